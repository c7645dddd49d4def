"""The commands of `flask …`, imported when one is asked for: a process that answers browsers needs none."""

from functools import cached_property

import click
from flask import Flask
from flask.cli import AppGroup


class Commands(AppGroup):
    """The operator's commands (`cli/`)."""

    def __init__(self, name: str):
        super().__init__(name)
        del self.commands

    @cached_property
    def commands(self) -> dict[str, click.Command]:
        import cli

        return {command.name: command for command in cli.ALL}


def init_app(app: Flask) -> None:
    app.cli = Commands(app.name)
