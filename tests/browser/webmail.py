"""A webmail as far as the panel sees one: pages of another origin that show the panel in a frame."""

import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Webmail:
    """Serves, on a free loopback port, a page whose address after `/frame/` is what it frames."""

    def __init__(self):
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Inbox)
        self.origin = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "Webmail":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._http.shutdown()
        self._http.server_close()


class Inbox(BaseHTTPRequestHandler):
    def do_GET(self):
        framed = self.path.partition("/frame/")[2]
        page = f'<!doctype html><title>Inbox</title><iframe src="{framed}" width="700" height="900"></iframe>'
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(page.encode())

    def log_message(self, *_):
        pass
