"""Replies: one view answers htmx with a fragment and everybody else with a page."""

from flask import Flask, Response, make_response, render_template, request
from flask import redirect as plain_redirect
from werkzeug.urls import iri_to_uri


def init_app(app: Flask) -> None:
    """Every answer says that it depends on who asked."""

    @app.after_request
    def vary(response: Response) -> Response:
        response.vary.add("HX-Request")
        return response


def render(page: str, status: int = 200, **context) -> Response:
    """The page, or for htmx the reply of this endpoint, if it has one: `<blueprint>/<view>.htmx.html`."""
    templates = [reply_of(request.endpoint), page] if request.htmx else page
    return make_response(render_template(templates, **context), status)


def reply_of(endpoint: str) -> str:
    """Where the htmx reply of an endpoint stands."""
    return endpoint.replace(".", "/") + ".htmx.html"


def redirect(address: str) -> Response:
    """Go to another page: 303 after a form, or told to htmx, which follows by loading the whole page."""
    if request.htmx:
        return Response(status=204, headers={"HX-Redirect": iri_to_uri(address)})
    return plain_redirect(address, 303)
