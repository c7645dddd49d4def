"""What a person can do: each room covers one subject, each function one intent. No Flask here, and no SQL dialect.

A room's docstring states its purpose and which of its modules other rooms may import; modules that begin with `_` are
private. A room imports only from rooms below it in this list.
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
