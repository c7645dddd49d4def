"""Postfix asks this about every message that somebody submits: whether it is written as whom its writer may write."""

import contextlib
from collections.abc import Iterator

from actions.authority import senders
from database import database, discard_connection

HOST, PORT = "127.0.0.1", 8891


class SenderCheck:
    """The rules of `actions.authority.senders`, asked of the database each time; raises what the database raises."""

    headers_wanted = senders.AUTHORS

    def refusal_of_envelope(self, login: str, sender: str) -> str:
        with _connection():
            return senders.refusal_of_envelope(login, sender)

    def refusal_of_headers(self, login: str, headers: list[tuple[str, str]]) -> str:
        with _connection():
            return senders.refusal_of_headers(login, headers)


@contextlib.contextmanager
def _connection() -> Iterator[None]:
    """Each SMTP session has a thread, which asks twice a message: it keeps no connection between the two."""
    try:
        yield
    except BaseException:
        discard_connection()
        raise
    if not database.is_closed():
        database.close()
