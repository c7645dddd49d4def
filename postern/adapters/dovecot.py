"""The mail server's port over doveadm's HTTP API, as Dovecot 2.3 and 2.4 speak it.

One command is one POST of `[["kick", {"mask": ["anna@example.org"]}, "tag"]]`; the answer is `doveadmResponse` with the
result or `error` with doveadm's exit code (sysexits.h).
"""

import base64
from collections import Counter
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

import requests

from postern.actions.ports import Connection, MailServerUnavailable

# Together the 2 seconds that somebody who watches the page can be asked to wait. Looking up a host's name comes on top:
# give POSTERN_DOVEADM_URL an IP address.
CONNECT_SECONDS = 0.8
ANSWER_SECONDS = 1.2

NO_USER = 67
NOBODY_CONNECTED = 68


class DoveadmMailServer:
    """Dovecot, asked through its doveadm listener. Threads may share it: every question is a new connection."""

    def __init__(self, url: str, key: str):
        self.url = url.rstrip("/") + "/doveadm/v1"
        self.place = urlsplit(url).netloc.rpartition("@")[2]
        self._headers = {"Authorization": "X-Dovecot-API " + base64.b64encode(key.encode()).decode()}

    def connections(self, login: str) -> list[Connection]:
        """The mail programs connected now under this login, one entry for each protocol and address."""
        if not _can_be_connected(login):
            return []
        rows = self._rows(self._ask("who", mask=[login], separateConnections=True))
        counted = Counter((row.get("service", ""), row.get("ip", "")) for row in rows if row.get("username") == login)
        return [
            Connection(user=login, protocol=protocol, address=address, count=count)
            for (protocol, address), count in sorted(counted.items())
        ]

    def end_connections(self, login: str) -> None:
        """Cut every connection whose session has exactly this user name. Nobody being connected is success."""
        if _can_be_connected(login):
            self._ask("kick", mask=[login], accepting=NOBODY_CONNECTED)

    def end_connections_from(self, login: str, address: str) -> None:
        """Cut this login's connections that come from one IP address; anything else is nobody's address."""
        if _can_be_connected(login) and _is_address(address):
            self._ask("kick", mask=[login, address], accepting=NOBODY_CONNECTED)

    def user(self, address: str) -> dict[str, str] | None:
        """What Dovecot's user database says of a mailbox (`home`, `quota_rule` …), or None if it knows none.

        This reads the view `mail_user` the way Dovecot does: it shows whether Dovecot reads this database at all.
        """
        if not _can_be_connected(address):
            return None
        answer = self._ask("user", userMask=[address], accepting=NO_USER)
        if answer is None:
            return None
        if not isinstance(answer, dict) or not isinstance(answer.get(address), dict):
            raise self._not_understood()
        return answer[address]

    def version(self) -> str:
        """ "2.3" or "2.4": the API does not tell, but 2.4 did away with the director's commands."""
        commands = self._rows(self._request("GET"))
        return "2.3" if any(row.get("command") == "directorStatus" for row in commands) else "2.4"

    def _ask(self, command: str, accepting: int | None = None, **parameters: object) -> object:
        """The result of one command; None if doveadm ended with the exit code that is acceptable."""
        answer = self._request("POST", json=[[command, parameters, "postern"]])
        match answer:
            case [["doveadmResponse", result, "postern"]]:
                return result
            case [["error", {"exitCode": code}, "postern"]] if code == accepting and accepting is not None:
                return None
            case [["error", {"type": kind, **details}, "postern"]]:
                reason = f"{kind} {details.get('exitCode', '')}".rstrip()
                raise MailServerUnavailable(f"Dovecot at {self.place} could not do “{command}”: {reason}.")
        raise self._not_understood()

    def _request(self, method: str, **content: object) -> object:
        """The decoded answer. Neither a redirect nor a proxy of the environment is followed: the key stays here."""
        try:
            with requests.Session() as session:
                session.trust_env = False
                response = session.request(
                    method,
                    self.url,
                    headers=self._headers,
                    timeout=(CONNECT_SECONDS, ANSWER_SECONDS),
                    allow_redirects=False,
                    **content,
                )
        except requests.Timeout as error:
            raise MailServerUnavailable(f"Dovecot at {self.place} did not answer in time.") from error
        except (requests.RequestException, OSError, ValueError) as error:
            raise MailServerUnavailable(f"Dovecot at {self.place} cannot be reached.") from error
        if response.status_code in (401, 403):
            raise MailServerUnavailable(f"Dovecot at {self.place} refuses the key in POSTERN_DOVEADM_KEY.")
        if response.status_code != 200:
            raise MailServerUnavailable(f"Dovecot at {self.place} answered with status {response.status_code}.")
        try:
            return response.json()
        except ValueError as error:
            raise self._not_understood() from error

    def _rows(self, answer: object) -> list[dict]:
        if not isinstance(answer, list) or not all(isinstance(row, dict) for row in answer):
            raise self._not_understood()
        return answer

    def _not_understood(self) -> MailServerUnavailable:
        return MailServerUnavailable(f"What answered at {self.place} is not Dovecot's doveadm listener.")


def _can_be_connected(login: str) -> bool:
    """Whether this can be a session's user name, and not a mask that means others.

    doveadm reads * and ? as wildcards without an escape, and a mask that is an IP address or network as everybody who
    connects from there. No login has such a name: Dovecot's `auth_username_chars` refuses the wildcards.
    """
    return bool(login) and "*" not in login and "?" not in login and not _is_network(login)


def _is_network(text: str) -> bool:
    try:
        ip_network(text, strict=False)
    except ValueError:
        return False
    return True


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True
