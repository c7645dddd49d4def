"""A mail server as far as the panel sees one: doveadm's HTTP API of Dovecot 2.3 over a list of connections."""

import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

NOBODY_CONNECTED = 68


@dataclass(frozen=True)
class Connected:
    login: str
    protocol: str
    address: str


class MailServer:
    """Answers `who`, `kick` and `quotaGet` on a free loopback port; with `is_down` it answers nobody."""

    def __init__(self):
        self.connected: list[Connected] = []
        self.is_down = False
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    def __enter__(self) -> "MailServer":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._http.shutdown()
        self._http.server_close()

    def connect(self, login: str, protocol: str = "imap", address: str = "192.0.2.17") -> None:
        self.connected.append(Connected(login, protocol, address))

    def logins(self) -> list[str]:
        return [each.login for each in self.connected]

    def answer(self, command: str, parameters: dict, tag: str) -> list:
        """The answer to one command of a request; a mask is a login, and perhaps the address it comes from."""
        if command == "quotaGet":
            return ["doveadmResponse", [{"type": "STORAGE", "value": "1024", "limit": "-"}], tag]
        login, *addresses = parameters["mask"]
        matching = [
            each for each in self.connected if each.login == login and (not addresses or each.address in addresses)
        ]
        if command == "who":
            rows = [{"username": each.login, "service": each.protocol, "ip": each.address} for each in matching]
            return ["doveadmResponse", rows, tag]
        if not matching:
            return ["error", {"type": "exitCode", "exitCode": NOBODY_CONNECTED}, tag]
        self.connected = [each for each in self.connected if each not in matching]
        return ["doveadmResponse", [{"result": each.login} for each in matching], tag]

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                commands = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if server.is_down:
                    return self.send_error(503)
                answer = json.dumps([server.answer(*command) for command in commands]).encode()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                return self.wfile.write(answer)

            def log_message(self, *_):
                pass

        return Handler
