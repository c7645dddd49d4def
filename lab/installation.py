"""The settings of a quick installation."""

from pathlib import Path


def environment_of(instance: Path, database_url: str, **changes: str) -> dict[str, str]:
    """The settings' environment variables for a quick installation that is complete and safe."""
    return {
        "POSTERN_INSTANCE": str(instance),
        "POSTERN_DATABASE_URL": database_url,
        "POSTERN_BASE_URL": "http://127.0.0.1:8123",
        "POSTERN_DOVEADM_URL": "http://127.0.0.1:1",
        "POSTERN_DOVECOT_POLICY_URL": "no",
        "POSTERN_MAIL_FROM": "postern@example.org",
        "POSTERN_ARGON2_MEMORY": "7168",
        "POSTERN_ARGON2_TIME": "1",
    } | changes
