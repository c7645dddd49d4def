"""The mail server's port over doveadm's HTTP API, as Dovecot 2.3 and 2.4 speak it.

One POST brings one or more commands, such as `[["kick", {"mask": ["anna@example.org"]}, "tag"]]`; each is answered by
`doveadmResponse` with the result or by `error` with doveadm's exit code (sysexits.h).

How sessions differ: on 2.3 those of a collaborator, a device or a webmail have names of their own
(`anna@example.org/c4`, `anna@example.org/d17`, `anna@example.org/c4/d18`, `anna@example.org/w12`), on 2.4 every session
has the mailbox's name and carries such a name in the field `user_device`, `anna@example.org/d0` for an account's
password, and with the address from which it came in `user_place`, `anna@example.org/d17/192.0.2.7`. The generated
configuration sees to that.
"""

import base64
import contextlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from actions.ground.ports import Connection, MailServerUnavailable, Quota

# Together the 2 seconds that somebody who watches the page can be asked to wait. Looking up a host's name comes on top:
# give POSTERN_DOVEADM_URL an IP address.
CONNECT_SECONDS = 0.8
ANSWER_SECONDS = 1.2

KILOBYTE = 1024
Connected = Callable[[str], list[Connection]]
# A command of doveadm and its parameters.
Question = tuple[str, dict]

NO_USER = 67
NOBODY_CONNECTED = 68


class Sessions23:
    """Sessions of Dovecot 2.3, where a device's and a webmail's have names of their own."""

    def listed(self, login: str) -> list[dict]:
        """The masks that together find every session of a login."""
        return [{"mask": [login]}, {"mask": [f"{login}/w*"]}, {"mask": [f"{login}/d*"]}]

    def ended(self, name: str) -> dict:
        """The mask of the sessions of one device or one webmail's session."""
        return {"mask": [name]}

    def from_there(self, parameters: dict, address: str) -> dict:
        """Of the sessions that these parameters mean, those that come from an address."""
        return {"mask": [*parameters["mask"], address]}

    def own_ended(self, login: str, connected: Connected) -> list[dict]:
        """The masks of the sessions of the account's password, and of webmails in its place."""
        return self.listed(login)[:2]

    def all_ended(self, login: str, connected: Connected) -> list[dict]:
        """The masks of every session of a login."""
        return self.listed(login)

    def name(self, row: dict, login: str) -> object:
        """The name that tells whose session this is."""
        return row.get("username")

    def number_ended(self, rows: list[dict]) -> int:
        """How many sessions a kick says that it ended."""
        return len([row["result"] for row in rows])


class Sessions24:
    """Sessions of Dovecot 2.4, which all have the mailbox's name, and the name of their own in a field."""

    def listed(self, login: str) -> list[dict]:
        return [{"mask": [_mailbox_of(login)]}]

    def ended(self, name: str) -> dict:
        return {"mask": [name], "passdbField": "user_device"}

    def from_there(self, parameters: dict, address: str) -> dict:
        # With a field and an address doveadm takes both for sessions' names, and ends nobody.
        return {"mask": [f"{name}/{address}" for name in parameters["mask"]], "passdbField": "user_place"}

    def own_ended(self, login: str, connected: Connected) -> list[dict]:
        webmails = {_name_of(each) for each in connected(login) if each.credential_id}
        return [self.ended(name) for name in (f"{login}/d0", *sorted(webmails))]

    def all_ended(self, login: str, connected: Connected) -> list[dict]:
        # By the mailbox's name its collaborators would be cut as well.
        return [self.ended(name) for name in sorted({_name_of(each) for each in connected(login)})]

    def name(self, row: dict, login: str) -> object:
        return row["user_device"] if row.get("username") == _mailbox_of(login) else None

    def number_ended(self, rows: list[dict]) -> int:
        return sum(int(row["count"]) for row in rows)


SESSIONS = {"2.3": Sessions23, "2.4": Sessions24}


class DoveadmMailServer:
    """Dovecot, through its doveadm listener. Threads may share it: every question is a new connection.

    Without a version it asks Dovecot for its own, once.
    """

    def __init__(self, url: str, key: str, version: str = ""):
        self._version = version
        self.url = url.rstrip("/") + "/doveadm/v1"
        self.place = urlsplit(url).netloc.rpartition("@")[2]
        self._headers = {"Authorization": "X-Dovecot-API " + base64.b64encode(key.encode()).decode()}

    def connections(self, login: str) -> list[Connection]:
        """The mail programs connected now under this login, one entry for each password, protocol and address."""
        if not _can_be_connected(login):
            return []
        return self._connections(login, self._ask(self._listing(login)))

    def end_connections(self, login: str, device_id: int | None = 0, address: str = "", credential_id: int = 0) -> None:
        """Cut connections of this login: those of the account's password (0) with those that webmails opened in its
        place, of one device, or all of them (None); with a credential's number only those of that session of a webmail,
        with an address only those that come from there. Nobody being connected is success.

        Raises `MailServerUnavailable` also when Dovecot ended nobody and lists somebody who was to be ended.
        """
        if not _can_be_connected(login) or (address and not _is_address(address)):
            return
        if credential_id:
            masks = [self._sessions.ended(f"{login}/w{credential_id}")]
        elif device_id:
            masks = [self._sessions.ended(f"{login}/d{device_id}")]
        else:
            masks = (self._sessions.all_ended if device_id is None else self._sessions.own_ended)(
                login, self.connections
            )
        if address:
            masks = [self._sessions.from_there(mask, address) for mask in masks]
        kicks = [("kick", mask) for mask in masks]
        answers = self._ask([*kicks, *self._listing(login)], accepting=NOBODY_CONNECTED) if kicks else []
        if self._number_ended(answers[: len(kicks)]):
            return
        # What is listed while a session ends says nothing; here none does.
        still_there = self._connections(login, answers[len(kicks) :])
        if any(_is_meant(each, device_id, address, credential_id) for each in still_there):
            raise MailServerUnavailable(
                f"Dovecot at {self.place} did not end connections that it lists. Write its configuration again with"
                " “flask dovecot config”, and reload it."
            )

    def user(self, address: str) -> dict[str, str] | None:
        """What Dovecot's user database says of a mailbox (`home`, `quota_rule` …), or None if it knows none.

        This reads the view `mail_user` the way Dovecot does: it shows whether Dovecot reads this database at all.
        """
        if not _can_be_connected(address):
            return None
        [answer] = self._ask([("user", {"userMask": [address]})], accepting=NO_USER)
        if answer is None:
            return None
        if not isinstance(answer, dict) or not isinstance(answer.get(address), dict):
            raise self._not_understood()
        return answer[address]

    def quotas(self, addresses: Sequence[str]) -> dict[str, Quota]:
        """What each of these mailboxes holds, whole kilobytes as Dovecot counts them; without those unknown to it."""
        known = [address for address in addresses if _can_be_connected(address)]
        answers = self._ask([("quotaGet", {"user": address}) for address in known], accepting=NO_USER)
        found = zip(known, answers, strict=True)
        return {address: self._quota(self._rows(rows)) for address, rows in found if rows is not None}

    def _quota(self, rows: list[dict]) -> Quota:
        """Of the roots of a mailbox the one that limits storage; a mailbox without any is not counted."""
        row = next((each for each in rows if each.get("type") == "STORAGE"), {"value": "0", "limit": "-"})
        try:
            return Quota(KILOBYTE * int(row["value"]), 0 if row["limit"] == "-" else KILOBYTE * int(row["limit"]))
        except (KeyError, ValueError, TypeError) as error:
            raise self._not_understood() from error

    def version(self) -> str:
        """ "2.3" or "2.4": the API does not tell, but 2.4 did away with the director's commands."""
        commands = self._rows(self._request("GET"))
        return "2.3" if any(row.get("command") == "directorStatus" for row in commands) else "2.4"

    @property
    def _sessions(self) -> Sessions23 | Sessions24:
        self._version = self._version or self.version()
        return SESSIONS[self._version]()

    def _listing(self, login: str) -> list[Question]:
        return [("who", {**mask, "separateConnections": True}) for mask in self._sessions.listed(login)]

    def _connections(self, login: str, answers: list) -> list[Connection]:
        rows = [row for answer in answers for row in self._rows(answer)]
        with self._in_its_version():
            keys = [
                (_password_of(self._sessions.name(row, login), login), row.get("service", ""), row.get("ip", ""))
                for row in rows
            ]
        counted = Counter(key for key in keys if key[0] is not None)
        return [
            Connection(login, protocol, address, count, *password)
            for (password, protocol, address), count in sorted(counted.items())
        ]

    def _number_ended(self, answers: list) -> int:
        with self._in_its_version():
            return sum(self._sessions.number_ended(self._rows(answer)) for answer in answers if answer is not None)

    @contextlib.contextmanager
    def _in_its_version(self) -> Iterator[None]:
        """For what reads an answer in which the versions differ."""
        try:
            yield
        except (KeyError, ValueError, TypeError) as error:
            raise MailServerUnavailable(
                f"Dovecot at {self.place} does not answer as Dovecot {self._version} does: see POSTERN_DOVECOT_VERSION."
            ) from error

    def _ask(self, questions: list[Question], accepting: int | None = None) -> list:
        """The results of these commands, in their order, all in one request; None for one that ended with the exit code
        that is acceptable."""
        if not questions:
            return []
        answers = self._request("POST", json=[[*question, "postern"] for question in questions])
        if not isinstance(answers, list) or len(answers) != len(questions):
            raise self._not_understood()
        return [
            self._result(command, answer, accepting) for (command, _), answer in zip(questions, answers, strict=True)
        ]

    def _result(self, command: str, answer: object, accepting: int | None) -> object:
        match answer:
            case ["doveadmResponse", result, "postern"]:
                return result
            case ["error", {"exitCode": code}, "postern"] if code == accepting and accepting is not None:
                return None
            case ["error", {"type": kind, **details}, "postern"]:
                reason = f"{kind} {details.get('exitCode', '')}".rstrip()
                raise MailServerUnavailable(f"Dovecot at {self.place} could not do “{command}”: {reason}.")
        raise self._not_understood()

    def _request(self, method: str, **content: object) -> object:
        """The decoded answer. Neither a redirect nor a proxy of the environment is followed: the key stays here."""
        # Large, and a process that serves pages seldom asks.
        import requests

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


def _mailbox_of(login: str) -> str:
    return login.partition("/")[0]


def _is_meant(each: Connection, device_id: int | None, address: str, credential_id: int) -> bool:
    is_password = device_id in (None, each.device_id) and credential_id in (0, each.credential_id)
    return is_password and address in ("", each.address)


def _name_of(connection: Connection) -> str:
    kind, number = ("w", connection.credential_id) if connection.credential_id else ("d", connection.device_id)
    return f"{connection.user}/{kind}{number}"


def _password_of(name: object, login: str) -> tuple[int, int] | None:
    """The numbers of device and webmail's credential in a session's name, both 0 for the account's password; None when
    it is not one of this login."""
    if name == login:
        return 0, 0
    owner, _, own = str(name).rpartition("/")
    kind, number = own[:1], own[1:]
    if owner != login or kind not in ("d", "w") or not number.isdecimal():
        return None
    return (int(number), 0) if kind == "d" else (0, int(number))


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
