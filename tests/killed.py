"""A command that kills its own process (SIGKILL) before a step: `python -m tests.killed STEP backup …`.

A step is a statement, among a restore's one that changes something, or a file that gets another name (`rename`). STEP
is its number, or how it begins. With 0 the process is not killed, and prints how many steps it took.
"""

import os
import signal
import sys

from peewee import Database

from app import create_app
from backups import _envelope
from tests.test_upgrades import CHANGES


class Steps:
    def __init__(self, last: str):
        self.last, self.taken = last, 0

    def take(self, step: str) -> None:
        self.taken += 1
        is_last = self.taken == int(self.last) if self.last.isdigit() else step.startswith(self.last)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)


def run(last: str, words: list[str]) -> None:
    app = create_app()
    steps, plain = Steps(last), Database.execute_sql

    def execute(database, statement, *arguments, **named):
        if words[0] == "backup" or CHANGES.match(statement):
            steps.take(statement)
        return plain(database, statement, *arguments, **named)

    Database.execute_sql = execute
    sys.addaudithook(lambda event, _arguments: event == "os.rename" and steps.take("rename"))
    _envelope.COST = 4
    if words[0] == "backup" and last != "0":
        # Some of it is in the file before the end.
        _envelope.PIECE = 1024
    done = app.test_cli_runner().invoke(args=words)
    print(done.output, file=sys.stderr)
    print(steps.taken)
    sys.exit(done.exit_code)


if __name__ == "__main__":
    run(sys.argv[1], sys.argv[2:])
