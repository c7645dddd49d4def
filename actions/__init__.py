"""What a person can do: a room for each subject, one function per intent. No Flask here, and no SQL dialect.

A room says in its docstring what it is for and which of its modules others may import; modules that begin with `_` are
its own. It imports only from rooms that stand below it in this list.
"""

ROOMS = (
    "upkeep",
    "password_changes",
    "users",
    "webmails",
    "services",
    "passwords",
    "collaborations",
    "revocation",
    "devices",
    "notices",
    "authority",
    "sessions",
    "outbox",
    "trail",
    "ground",
)
