"""A webmail as far as the panel sees one: pages of another origin that frame the panel and hand people over."""

import importlib.util
import sys
import threading
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlencode, urlsplit

HELPER = Path(__file__).parents[2] / "integrations" / "webmail" / "handoff.py"
LOOK = {"accent", "size", "font", "titled"}
# What the webmail's page does with the frame: it grows with its content, and records the messages.
SCRIPT = """
    window.told = [];
    addEventListener("message", ({data, source, origin}) => {
        const frame = document.querySelector("iframe");
        if (source !== frame?.contentWindow || origin !== document.body.dataset.panel) return;
        told.push(data);
        if (data.type === "postern:height") frame.style.height = `${data.height}px`;
    });
    window.say = (data, origin = document.body.dataset.panel) =>
        document.querySelector("iframe").contentWindow.postMessage(data, origin);
"""


def _helper():
    spec = importlib.util.spec_from_file_location("postern_handoff", HELPER)
    module = sys.modules["postern_handoff"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class Webmail:
    """Serves, on a free loopback port, a page whose address after `/frame/` is what it frames; and, once it has a key,
    `/settings` with the panel handed over in a frame (or, with `target=_blank`, in a tab)."""

    def __init__(self):
        self._helper = _helper()
        self._configs = {}
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self.origin = f"http://127.0.0.1:{self._http.server_port}"
        # The same pages, on another site than the panel's.
        self.far_origin = f"http://localhost:{self._http.server_port}"

    def __enter__(self) -> "Webmail":
        threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        return self

    def __exit__(self, *_) -> None:
        self._http.shutdown()
        self._http.server_close()

    def take_key(self, printed: str) -> None:
        """Read what `flask webmail add` printed."""
        lines = dict(line.split(" = ") for line in printed.splitlines() if line.startswith("$config"))
        values = {name.split("_", 1)[1].rstrip("']"): value.strip("';") for name, value in lines.items()}
        values.pop("server_url")
        self._configs[values["origin"]] = self._helper.Config(**values)

    def settings(self, login: str, onward: str = "/account/password", target: str = "postern", **look: str) -> str:
        """The path of the page that hands this person over."""
        return f"/settings?{urlencode({'login': login, 'next': onward, 'target': target} | look)}"

    def page(self, origin: str, address: str) -> str:
        """What stands at an address of the webmail."""
        if "/frame/" in address:
            return _in_page(f'<iframe src="{address.partition("/frame/")[2]}" width="700" height="900"></iframe>', "")
        if not address.startswith("/settings?"):
            return ""
        asked = {name: value for name, [value] in parse_qs(urlsplit(address).query).items()}
        config = self._configs[origin]
        onward, target = asked.pop("next"), asked.pop("target")
        look = {name: asked.pop(name) for name in LOOK & set(asked)}
        form = self._helper.form(config, onward, target, look=look, session="session-1", **asked)
        return _in_page(f'<iframe name="postern" title="Account" width="100%" height="150"></iframe>{form}', config.url)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        webmail = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_response(200)
                self.send_header("Content-Type", "text/html; charset=utf-8")
                self.send_header("Referrer-Policy", "strict-origin")
                self.end_headers()
                self.wfile.write(webmail.page(f"http://{self.headers['Host']}", self.path).encode())

            def log_message(self, *_):
                pass

        return Handler


def _in_page(content: str, panel: str) -> str:
    return (
        f'<!doctype html><title>Inbox</title><body data-panel="{escape(panel)}"><script>{SCRIPT}</script>'
        f'<button id="before">Inbox</button>{content}<button id="after">Sign out</button>'
    )
