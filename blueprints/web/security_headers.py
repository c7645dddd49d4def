"""The headers that every answer carries."""

import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, g

from settings import Settings

from . import frame, hosts
from .csp import content_security_policy

YEAR = 365 * 24 * 3600
SAME_FOR_ALL = (
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Permissions-Policy", "camera=(), geolocation=(), microphone=()"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
)


def csp_nonce() -> str:
    """The nonce of this answer."""
    here = g._get_current_object()
    if "csp_nonce" not in here:
        here.csp_nonce = secrets.token_urlsafe(16)
    return here.csp_nonce


def init_app(app: Flask, settings: Settings) -> None:
    own_host = urlsplit(settings.base_url).hostname
    inner = app.wsgi_app

    def with_the_same_for_all(environ, start_response):
        def start(status: str, headers: list[tuple[str, str]], *trouble: object):
            return start_response(status, [*headers, *SAME_FOR_ALL], *trouble)

        return inner(environ, start)

    app.wsgi_app = with_the_same_for_all

    @app.after_request
    def secure(response: Response) -> Response:
        headers, framers = response.headers, frame.framers(settings)
        # A file that is no page has a policy of its own, which is stricter.
        headers.setdefault("Content-Security-Policy", content_security_policy(csp_nonce(), framers))
        headers.setdefault("Cache-Control", "no-store")
        if not framers:
            headers["X-Frame-Options"] = "DENY"
        # Mail programs ask for their settings under the mail domains' own names, which are not Postern's to bind.
        if settings.is_https and hosts.asked() == own_host:
            headers["Strict-Transport-Security"] = f"max-age={YEAR}; includeSubDomains"
        return response
