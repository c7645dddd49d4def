"""In-memory twins of the ports, for tests and for a demo without a mail server."""

from email.message import EmailMessage

from postern.actions.ports import Connection, MailerUnavailable, MailServerUnavailable


class MemoryMailServer:
    """A mail server whose connections are a list."""

    def __init__(self, connections: list[Connection] | None = None):
        self.connected = connections or []
        self.is_down = False

    def connections(self, login: str) -> list[Connection]:
        self._answer()
        return [each for each in self.connected if each.user == login]

    def end_connections(self, login: str, device_id: int | None = 0, address: str = "", credential_id: int = 0) -> None:
        self._answer()
        self.connected = [
            each for each in self.connected if not self._is_meant(each, login, device_id, address, credential_id)
        ]

    def version(self) -> str:
        self._answer()
        return "memory"

    def user(self, address: str) -> dict[str, str] | None:
        self._answer()
        return None

    @staticmethod
    def _is_meant(each: Connection, login: str, device_id: int | None, address: str, credential_id: int) -> bool:
        is_password = device_id in (None, each.device_id) and credential_id in (0, each.credential_id)
        return each.user == login and is_password and address in ("", each.address)

    def _answer(self) -> None:
        if self.is_down:
            raise MailServerUnavailable("The mail server is down.")


class MemoryMailer:
    """A mailer that keeps what was sent."""

    def __init__(self):
        self.sent: list[tuple[str, EmailMessage]] = []
        self.is_down = False

    def send(self, message: EmailMessage, recipient: str) -> None:
        if self.is_down:
            raise MailerUnavailable("The mailer is down.")
        self.sent.append((recipient, message))


class NoBreachedPasswords:
    """The collection where the host did not switch the look-up on: it contains nothing."""

    def contain(self, password: str) -> bool:
        return False
