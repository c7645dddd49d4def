"""A command that kills its own process (SIGKILL) before its n-th step: `python -m tests.killed N backup …`.

A step is a statement, among a restore's one that changes something, or a file that gets another name. With 0 it is not
killed, and prints how many steps it took.
"""

import os
import signal
import sys

from peewee import Database

from app import create_app
from backups import _envelope
from tests.test_upgrades import CHANGES


class Steps:
    def __init__(self, number: int):
        self.number, self.taken = number, 0

    def take(self) -> None:
        self.taken += 1
        if self.taken == self.number:
            os.kill(os.getpid(), signal.SIGKILL)


def run(number: int, words: list[str]) -> None:
    app = create_app()
    steps, plain = Steps(number), Database.execute_sql

    def execute(database, statement, *arguments, **named):
        if words[0] == "backup" or CHANGES.match(statement):
            steps.take()
        return plain(database, statement, *arguments, **named)

    Database.execute_sql = execute
    sys.addaudithook(lambda event, _arguments: event == "os.rename" and steps.take())
    _envelope.COST = 4
    if words[0] == "backup" and number:
        # Some of it is in the file before the end.
        _envelope.PIECE = 1024
    done = app.test_cli_runner().invoke(args=words)
    print(done.output, file=sys.stderr)
    print(steps.taken)
    sys.exit(done.exit_code)


if __name__ == "__main__":
    run(int(sys.argv[1]), sys.argv[2:])
