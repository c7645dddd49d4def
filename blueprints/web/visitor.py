"""Who asks: the account behind the living session of a request, or a visitor."""

from flask import g, session
from werkzeug.local import LocalProxy

from models import WebSession


class Visitor:
    """Somebody who is not signed in."""

    is_authenticated = False


class SignedIn:
    """The account behind a living session, and the session's row."""

    is_authenticated = True

    def __init__(self, record: WebSession):
        self.record = record
        self.account = record.account


def current() -> SignedIn | Visitor:
    """Who this request is from. Whoever signs in or out by it is somebody else from the next one on."""
    here = g._get_current_object()
    try:
        return here.visitor
    except AttributeError:
        here.visitor = SignedIn(session.record) if session.record else Visitor()
        return here.visitor


current_user = LocalProxy(current)
