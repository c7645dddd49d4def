"""The headers that every answer carries."""

import secrets

from flask import Flask, Response, g

from postern.settings import Settings

from .csp import content_security_policy

YEAR = 365 * 24 * 3600


def csp_nonce() -> str:
    """The nonce of this answer."""
    if "csp_nonce" not in g:
        g.csp_nonce = secrets.token_urlsafe(16)
    return g.csp_nonce


def init_app(app: Flask, settings: Settings) -> None:
    frame_ancestors = list(settings.webmail_origins)

    @app.after_request
    def secure(response: Response) -> Response:
        headers = response.headers
        headers["Content-Security-Policy"] = content_security_policy(csp_nonce(), frame_ancestors)
        headers["X-Content-Type-Options"] = "nosniff"
        headers["Referrer-Policy"] = "same-origin"
        headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=()"
        headers["Cross-Origin-Resource-Policy"] = "same-origin"
        headers.setdefault("Cache-Control", "no-store")
        if not frame_ancestors:
            headers["X-Frame-Options"] = "DENY"
        if settings.is_https:
            headers["Strict-Transport-Security"] = f"max-age={YEAR}; includeSubDomains"
        return response
