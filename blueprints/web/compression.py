"""Which answers are compressed. The size of a compressed answer says what its parts have in common (BREACH): whoever
chooses one part and sees the sizes of many answers can guess another. So

- the token of forms and the nonce are others in each answer;
- a page that shows a secret is not compressed;
- where the address has a query, which somebody else may have chosen, only what a page of ours or the person asked for
  is;
- and each answer is longer by a random number of bytes.
"""

import secrets
import struct
import zlib

from flask import Flask, Response, g, request

# Bytes: what is shorter fits into one packet anyway; and what is added at most.
SHORTEST, MOST_ADDED = 1024, 64
# From here on, more work makes a page hardly shorter.
LEVEL = 5
OUR_OWN = ("same-origin", "none")
# RFC 1952: magic, deflate, a comment follows, no time, nothing said of the effort, unknown system.
HEAD = b"\x1f\x8b\x08\x10\x00\x00\x00\x00\x00\xff"


def init_app(app: Flask) -> None:
    app.jinja_env.globals["shows_secret"] = shows_secret

    # The functions that were registered last run first: this one sees the whole answer.
    @app.after_request
    def compress(response: Response) -> Response:
        if response.mimetype == "text/html" and not response.is_streamed:
            response.headers["Vary"] = ", ".join(filter(None, (response.headers.get("Vary"), "Accept-Encoding")))
            if _may_be_compressed(response):
                response.set_data(compressed(response.get_data()))
                response.headers["Content-Encoding"] = "gzip"
        return response


def shows_secret() -> str:
    """Called where a template shows a password or a link that is as good as one: this answer is not compressed."""
    g.shows_secret = True
    return ""


def compressed(content: bytes) -> bytes:
    """The content in gzip, with a comment of random length, which nobody reads."""
    packer = zlib.compressobj(LEVEL, zlib.DEFLATED, -zlib.MAX_WBITS)
    comment = b"-" * secrets.randbelow(MOST_ADDED) + b"\0"
    end = struct.pack("<II", zlib.crc32(content), len(content) & 0xFFFFFFFF)
    return b"".join((HEAD, comment, packer.compress(content), packer.flush(), end))


def _may_be_compressed(response: Response) -> bool:
    environ = request.environ
    is_asked_for = "gzip" in environ.get("HTTP_ACCEPT_ENCODING", "") and request.accept_encodings["gzip"] > 0
    if not is_asked_for or "shows_secret" in g or "Content-Encoding" in response.headers:
        return False
    is_chosen_here = not environ.get("QUERY_STRING") or environ.get("HTTP_SEC_FETCH_SITE") in OUR_OWN
    return is_chosen_here and response.calculate_content_length() >= SHORTEST
