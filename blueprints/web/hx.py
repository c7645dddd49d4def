"""Replies: one view answers htmx with a fragment and everybody else with a page; and what answers an action."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from flask import Flask, Response, abort, flash, make_response, render_template, request

from actions.ground import undo
from actions.ground.refusals import Refused
from actions.ground.throttle import TooManyAttempts

from . import guards, words
from .errors import wait_sentence
from .forms import PanelForm
from .redirects import redirect

# The category of a message with a button that takes back what it says.
UNDO = "undo"


def init_app(app: Flask) -> None:
    """Every answer says that it depends on who asked."""

    @app.after_request
    def vary(response: Response) -> Response:
        if "Vary" in response.headers:
            response.vary.add("HX-Request")
        else:
            response.headers.add("Vary", "HX-Request")
        return response


def render(page: str, status: int = 200, **context) -> Response:
    """The page, or for htmx the reply of this endpoint, if it has one: `<blueprint>/<view>.htmx.html`."""
    templates = [reply_of(request.endpoint), page] if request.htmx else page
    return make_response(render_template(templates, **context), status)


def anew(reply: Response) -> Response:
    """This reply to htmx, which keeps nothing of what was typed where it is put."""
    reply.headers["HX-Reswap"] = "outerHTML"
    return reply


def instead(target: str, template: str, status: int, **context) -> Response:
    """A fragment that takes the place of this part of the page, whatever the request was to fill, and keeps what was
    typed there."""
    placed = {"HX-Retarget": target, "HX-Reswap": "outerMorph"}
    return make_response(render_template(template, **context), status, placed)


def reply_of(endpoint: str) -> str:
    """The template of an endpoint's htmx reply."""
    return endpoint.replace(".", "/") + ".htmx.html"


@contextmanager
def submit(
    form: PanelForm,
    again: Callable[[PanelForm, int], Response],
    otherwise: str,
    too_many: int | None = None,
    check: Callable[[], object] | None = None,
) -> Iterator[None]:
    """Its body is the action that a form asks for. Where the form is not valid or the action is refused, the answer
    is `again(form, 422)`, with each reason beside the field that it names, or beside the field `otherwise`.

    `check` raises what the action would refuse, and changes nothing: where the form is not valid, it is asked too, so
    that all that is wrong is said together. So is an attempt too many, with the status `too_many`; without one it gets
    a page of its own.
    """
    is_valid = form.validate()
    try:
        if is_valid:
            yield
        elif check:
            check()
    except Refused as refusal:
        form.refuse(refusal, otherwise)
        abort(again(form, 422))
    except TooManyAttempts as refusal:
        if too_many is None:
            raise
        form[otherwise].errors = [wait_sentence(refusal)]
        abort(again(form, too_many))
    if not is_valid:
        abort(again(form, 422))


@contextmanager
def attempt(back: str) -> Iterator[None]:
    """Its body is an action that needs no form. Where it is refused, the page at `back` says why."""
    try:
        yield
    except Refused as refusal:
        flash(words.translated(refusal), "error")
        abort(redirect(back))


@contextmanager
def attempt_once() -> Iterator[None]:
    """Its body is the action of a one-time link. Where it is refused, the link can no longer be used."""
    try:
        yield
    except Refused:
        abort(410)


def done(back: str, sentence: str, category: str = "success") -> Response:
    """Say on the page at `back` what was done, and what the mail server still has to do."""
    flash(sentence, category)
    words.flash_pending()
    return redirect(back)


def done_for_now(back: str, sentence: str) -> Response:
    """`done`, with a button that takes it back."""
    if number := undo.offered(guards.unit()):
        flash({"number": number, "sentence": sentence, "seconds": undo.SECONDS}, UNDO)
        words.flash_pending()
        return redirect(back)
    return done(back, sentence)
