"""The base of the page's time: a bare Flask route that answers with bytes which were made before."""

import os
from pathlib import Path

from flask import Flask, Response


def create_app(page: bytes) -> Flask:
    app = Flask("bare")
    app.add_url_rule("/", view_func=lambda: Response(page, mimetype="text/html"))
    return app


# uWSGI loads this module and asks for `app`.
if file := os.environ.get("BENCH_PAGE"):
    app = create_app(Path(file).read_bytes())
