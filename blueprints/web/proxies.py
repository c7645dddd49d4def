"""Where a request comes from: what the trusted proxies say, where that is an address; else whoever connected."""

from flask import Flask
from werkzeug.middleware.proxy_fix import ProxyFix

from actions.ground.addresses import plain_ip
from settings import Settings


def init_app(app: Flask, settings: Settings) -> None:
    """`request.remote_addr` is an IP address without port and interface, or empty."""
    inner = app.wsgi_app

    def plainly(environ, start_response):
        said, peer = environ.get("REMOTE_ADDR", ""), environ["werkzeug.proxy_fix.orig"]["REMOTE_ADDR"] or ""
        environ["REMOTE_ADDR"] = plain_ip(said) or plain_ip(peer)
        return inner(environ, start_response)

    app.wsgi_app = ProxyFix(plainly, x_for=settings.proxies, x_proto=settings.proxies)
