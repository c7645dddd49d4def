"""The headers that every answer carries."""

import secrets
from urllib.parse import urlsplit

from flask import Flask, Response, g

from settings import Settings

from . import frame, hosts
from .csp import content_security_policy

YEAR = 365 * 24 * 3600


def csp_nonce() -> str:
    """The nonce of this answer."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return g.csp_nonce


def init_app(app: Flask, settings: Settings) -> None:
    own_host = urlsplit(settings.base_url).hostname

    @app.after_request
    def secure(response: Response) -> Response:
        headers, framers = response.headers, frame.framers(settings)
        # A file that is no page has a policy of its own, which is stricter.
        headers.setdefault("Content-Security-Policy", content_security_policy(csp_nonce(), framers))
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers["Cross-Origin-Opener-Policy"] = "same-origin"
        headers.setdefault("Cache-Control", "no-store")
        if not framers:
            headers["X-Frame-Options"] = "DENY"
        # Mail programs ask for their settings under the mail domains' own names, which are not Postern's to bind.
        if settings.is_https and hosts.asked() == own_host:
            headers["Strict-Transport-Security"] = f"max-age={YEAR}; includeSubDomains"
        return response
