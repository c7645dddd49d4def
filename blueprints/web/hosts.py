"""By which names the panel is asked. It answers by its own, the base URL's, and by no other.

A name that somebody else made lead here (DNS rebinding) would make our pages those of another site, to be read there.
"""

import re
from collections.abc import Callable
from functools import cache
from ipaddress import ip_address
from urllib.parse import urlsplit

from flask import Flask, Response, current_app, request

from settings import Settings, is_loopback_host

HOST = re.compile(r"(?:([A-Za-z0-9._-]+)|\[([0-9A-Fa-f:.]+)\])(?::[0-9]{1,5})?")


def init_app(app: Flask, settings: Settings) -> None:
    """Refuse every other name, before anything else is asked."""

    @app.before_request
    def refuse_other_names():
        view = current_app.view_functions.get(request.endpoint)
        is_admitted = getattr(view, "other_hosts", lambda _host: False)
        if not is_own(settings, asked()) and not is_admitted(asked()):
            return Response("Nothing is served by this name.\n", 400, mimetype="text/plain")
        return None


def answers_also(is_admitted: Callable[[str], bool]) -> Callable:
    """A view that answers by every further name that `is_admitted`."""

    def declare(view):
        view.other_hosts = is_admitted
        return view

    return declare


def answers_by_any_name(view):
    """A view that looks at who signed its requests, or at their key, and at nothing that a browser sends: a webmail's
    server and Dovecot ask by whatever name leads here from there."""
    return answers_also(lambda _host: True)(view)


def asked() -> str:
    """The name that this request is for, in small letters, without port and brackets; empty when it names none."""
    named = HOST.fullmatch(request.environ.get("HTTP_HOST", ""))
    return (named[1] or named[2]).lower() if named else ""


def is_own(settings: Settings, host: str) -> bool:
    """Whether the panel goes by this name. Where its own is a loopback address, as a demo's, by any address too: a
    machine has several, and no site of somebody else is called like one."""
    is_ours = host == _name_in(settings.base_url)
    return is_ours or (settings.is_loopback and (is_loopback_host(host) or is_address(host)))


@cache
def _name_in(base_url: str) -> str | None:
    return urlsplit(base_url).hostname


def is_address(host: str) -> bool:
    """Whether it is an IP address, which no name that somebody else made is."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def is_of_a_monitor(host: str) -> bool:
    """Whether a monitor asks like this: by an address, by a loopback name, or by no name."""
    return not request.environ.get("HTTP_HOST") or is_loopback_host(host) or is_address(host)
