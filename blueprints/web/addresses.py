"""The variable parts of the panel's addresses."""

from flask import Flask
from werkzeug.routing import IntegerConverter

LARGEST_NUMBER = 2**31 - 1


class RowNumber(IntegerConverter):
    """The number of a row, as far as a database can hold it: anything else is the address of nothing."""

    regex = "[0-9]{1,10}"

    def __init__(self, *given: object, **named: object):
        super().__init__(*given, **{"max": LARGEST_NUMBER} | named)


def number(text: str) -> int:
    """The number of a row in a query. One that no database can hold becomes the largest, which no row has; raises
    `ValueError` for what is none."""
    return min(max(int(text), 0), LARGEST_NUMBER)


def init_app(app: Flask) -> None:
    """Every `<int:…>` is the number of a row."""
    app.url_map.converters["int"] = RowNumber
