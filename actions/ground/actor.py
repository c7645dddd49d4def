"""Who acts, and from where."""

from dataclasses import dataclass

from models import Account, WebSession

ADDRESS_LENGTH, USER_AGENT_LENGTH = 45, 255


@dataclass(frozen=True)
class Actor:
    """The account that acts (None: nobody is signed in), its browser session, and where the request came from: nothing
    longer than the columns that keep it."""

    account: Account | None = None
    session: WebSession | None = None
    address: str = ""
    user_agent: str = ""

    def __post_init__(self) -> None:
        object.__setattr__(self, "address", self.address[:ADDRESS_LENGTH])
        object.__setattr__(self, "user_agent", self.user_agent[:USER_AGENT_LENGTH])

    @property
    def is_operator_at_command_line(self) -> bool:
        """Whether the operator acts at the command line: this very object, and not just nobody from nowhere, which is
        what a visitor may look like."""
        return self is OPERATOR

    @property
    def login(self) -> str:
        return self.account.login if self.account else ""


# The operator at the command line, who needs no account to act.
OPERATOR = Actor()
