"""The way back to a list, with what it was asked for: search, filters, order and page.

A page that acts on a row names the list as `back`, in its address or in its form; without it the browser says which
page led here. Only the list's own address is taken for one, and of that only the query: what comes out is always a
path of ours.
"""

from urllib.parse import parse_qsl, urlencode, urlsplit

from flask import request
from werkzeug.datastructures import MultiDict

# A query is as long as a search and the mark of a page; none has more fields.
LONGEST_QUERY, MOST_FIELDS = 4096, 20


def to(page: str, row: str = "") -> str:
    """The address of a list, asked for what it was asked before; `row` is the id of the element to go to in it."""
    known = (_query_of(address, page) for address in _said())
    query = next((each for each in known if each is not None), "")
    return page + (f"?{query}" if query else "") + (f"#{row}" if row else "")


def asked_of(address: str) -> MultiDict:
    """What an address that `to` made asks its list for."""
    return MultiDict(parse_qsl(urlsplit(address).query))


def after_confirmation(address: str) -> str:
    """The address of a page that is shown after another question: with the list that led here, if there was a
    search in it. The question hides from the browser where the person came from."""
    before = path_of(request.referrer or "")
    if "?" not in before or "back=" in address:
        return address
    return f"{address}{'&' if '?' in address else '?'}{urlencode({'back': before})}"


def path_of(address: str) -> str:
    """Path and query of an address, whatever host it names; empty for what is none."""
    try:
        parts = urlsplit(address)
    except ValueError:
        return ""
    return f"{parts.path}?{parts.query}" if parts.query else parts.path


def _said() -> list[str]:
    """The addresses that may be the list's: what is said on purpose, then where the person was, and what that said."""
    open_page, before = request.headers.get("HX-Current-URL", ""), request.referrer or ""
    said = (request.form.get("back"), request.args.get("back"), open_page, before, *map(_back_in, (open_page, before)))
    return [each for each in said if each]


def _back_in(address: str) -> str:
    """The list that the address of a page names."""
    try:
        return asked_of(path_of(address)).get("back", "")
    except ValueError:
        return ""


def _query_of(address: str, page: str) -> str | None:
    """The query of a list's address, written anew; None where this is not the address of that page."""
    path, _, query = path_of(address).partition("?")
    if path != page or len(query) > LONGEST_QUERY:
        return None
    try:
        return urlencode(parse_qsl(query, max_num_fields=MOST_FIELDS))
    except ValueError:
        return None
