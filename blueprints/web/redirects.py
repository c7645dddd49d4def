"""To another page, for browsers and for htmx."""

from flask import Response, request
from flask import redirect as plain_redirect
from werkzeug.urls import iri_to_uri


def redirect(address: str) -> Response:
    """Go to another page: 303 after a form, or a header for htmx, which loads the whole page."""
    if request.htmx:
        return Response(status=204, headers={"HX-Redirect": iri_to_uri(address)})
    return plain_redirect(address, 303)
