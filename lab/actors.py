"""Who acts, in tests and measurements, and from where."""

from actions.ground.actor import Actor
from actions.sessions import sessions
from models import Account

ADDRESS, BROWSER = "192.0.2.1", "Mozilla/5.0 (X11; Linux x86_64) Firefox/140.0"


def acting(account: Account, address: str = ADDRESS, user_agent: str = BROWSER) -> Actor:
    """Somebody who signed in just now."""
    session, _ = sessions.start(account, address, user_agent)
    return Actor(account, session, address, user_agent)
