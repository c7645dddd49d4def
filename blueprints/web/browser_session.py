"""Flask's session, kept in the database for people who are signed in.

The cookie of a signed-in browser holds an opaque token and nothing else; the row behind it is the session, so that
deleting the row ends it everywhere. A visitor who is not signed in has no row: the little that a form needs (its CSRF
secret, a flashed sentence) travels in a second, signed cookie.
"""

import logging

from flask import Flask, Request, Response, request
from flask.sessions import SecureCookieSessionInterface, SessionInterface, SessionMixin
from itsdangerous import BadSignature
from werkzeug.datastructures import CallbackDict

from actions.sessions import sessions
from database import TROUBLE, discard_connection
from models import WebSession
from settings import LANGUAGES, Settings

log = logging.getLogger(__name__)

WITHOUT_SESSION = ("/static/", "/assets/", "/healthz", "/dovecot/")
VISITOR_LIFETIME = 24 * 3600
LANGUAGE_LIFETIME = 400 * 24 * 3600
EXPECTED = "expected"


class BrowserSession(CallbackDict, SessionMixin):
    """The session of one request. `record` is the signed-in session's row, or None for a visitor.

    `trouble` is what the database answered instead of telling which of them it is. The page that says so needs a
    session as any other: an empty one, which is not kept.
    """

    def __init__(self, content: dict, record: WebSession | None = None, trouble: Exception | None = None):
        super().__init__(content, self._changed)
        self.modified = False
        self.accessed = True
        self.record = record
        self.trouble = trouble
        # False where the database takes nothing now: nobody waits for that twice.
        self.is_kept = True
        self.token: str | None = None
        self.ended = False
        self.browser: str | None = None
        # The language that the browser is to be spoken to in from now on; empty for the one that it asks for.
        self.language: str | None = None

    def _changed(self, _) -> None:
        self.modified = True

    def start(self, record: WebSession, token: str, browser: str | None = None) -> None:
        """The browser is signed in from now on: a new token, and nothing taken over from the visitor."""
        self.clear()
        self.record, self.token, self.browser = record, token, browser

    def end(self) -> None:
        """The browser is signed out from now on."""
        self.clear()
        self.record, self.token, self.ended = None, None, True

    def expect(self, login: str) -> None:
        """Let the next sign-in page of a visitor have this login filled in, once."""
        if self.record is None:
            self[EXPECTED] = login

    def expected(self) -> str:
        """The login to be filled in; empty for none."""
        return self.pop(EXPECTED, "")


def _keep(session: BrowserSession) -> None:
    """Write down what the session holds. The answer is made, and goes out also where that is not possible: what was to
    be said once is said once more."""
    try:
        WebSession.update(data=dict(session)).where(session.record.itself()).execute()
    except TROUBLE as trouble:
        log.error("the database did not keep a session: %s", trouble)
        discard_connection()


class DatabaseSessions(SessionInterface):
    """Opens and saves `BrowserSession`s."""

    def __init__(self, settings: Settings):
        prefix = "__Host-postern" if settings.is_https else "postern"
        self.session_cookie = f"{prefix}-session"
        self.visitor_cookie = f"{prefix}-visitor"
        self.browser_cookie = f"{prefix}-browser"
        self.language_cookie = f"{prefix}-language"
        self._attributes = {
            "path": "/",
            "httponly": True,
            "secure": settings.is_https,
            "samesite": "None" if settings.cross_site else "Lax",
            "partitioned": settings.cross_site,
        }

    def open_session(self, app: Flask, request: Request) -> BrowserSession:
        if request.path.startswith(WITHOUT_SESSION):
            return BrowserSession({})
        token = request.cookies.get(self.session_cookie)
        try:
            record = sessions.find(token) if token else None
        except TROUBLE as trouble:
            return BrowserSession({}, trouble=trouble)
        if record is not None:
            return BrowserSession(record.data, record)
        return BrowserSession(self._visitor_content(app, request))

    def save_session(self, app: Flask, session: BrowserSession, response: Response) -> None:
        if session.browser:
            lifetime = sessions.BROWSER_REMEMBERED
            response.set_cookie(self.browser_cookie, session.browser, max_age=lifetime, **self._attributes)
        if session.language:
            response.set_cookie(self.language_cookie, session.language, max_age=LANGUAGE_LIFETIME, **self._attributes)
        elif session.language is not None and self.language_cookie in request.cookies:
            response.delete_cookie(self.language_cookie, **self._attributes)
        if session.token:
            response.set_cookie(self.session_cookie, session.token, **self._attributes)
            response.delete_cookie(self.visitor_cookie, **self._attributes)
        if not session.modified or session.trouble or not session.is_kept:
            return
        if session.record is not None:
            _keep(session)
        else:
            signed = self._serializer(app).dumps(dict(session))
            response.set_cookie(self.visitor_cookie, signed, max_age=VISITOR_LIFETIME, **self._attributes)
            # One that is not known stays: while this request was on its way the browser may have got another.
            if session.ended and self.session_cookie in request.cookies:
                response.delete_cookie(self.session_cookie, **self._attributes)

    def known_browser(self, request: Request) -> str | None:
        """The token by which accounts know this browser."""
        return request.cookies.get(self.browser_cookie)

    def chosen_language(self, request: Request) -> str:
        """The language that was chosen in this browser, where it is one of ours; empty for none."""
        chosen = request.cookies.get(self.language_cookie, "")
        return chosen if chosen in LANGUAGES else ""

    def _visitor_content(self, app: Flask, request: Request) -> dict:
        try:
            content = self._serializer(app).loads(
                request.cookies.get(self.visitor_cookie, ""), max_age=VISITOR_LIFETIME
            )
        except BadSignature:
            return {}
        return content

    def _serializer(self, app: Flask):
        return SecureCookieSessionInterface().get_signing_serializer(app)
