"""Who acts, and from where."""

from dataclasses import dataclass

from models import Account, WebSession

USER_AGENT_LENGTH = 255


@dataclass(frozen=True)
class Actor:
    """The acting account (None: nobody is signed in), its browser session, and the source of the request."""

    account: Account | None = None
    session: WebSession | None = None
    address: str = ""
    user_agent: str = ""

    @property
    def login(self) -> str:
        return self.account.login if self.account else ""


# The operator at the command line, who needs no account to act.
OPERATOR = Actor()
