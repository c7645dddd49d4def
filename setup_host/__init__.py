"""From an unpacked tarball to a running service: `flask --app setup_host setup`, as root.

An application of its own: it runs before there are settings, and never opens the database as root.
- `answers` what the operator says, and the settings that follow from it
- `host`    the machine, or a directory that is going to be one
- `edits`   how files of Postfix, nginx and Postern change
- `steps`   the plan: users, directories, files, commands
- `record`  what was replaced, so that it can be put back
- `first_people` runs as Postern's own user: the first service, manager and mailbox
"""

from flask import Flask

from setup_host.command import setup

app = Flask(__name__, static_folder=None)
app.cli.add_command(setup)
