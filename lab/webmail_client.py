"""Roundcube as a program uses it: its pages and its JSON, without a browser."""

import re
from typing import Self

import requests
from requests.adapters import HTTPAdapter

from lab.servers import HOST, wait_until
from lab.whole_host import Site, WholeHost

REQUEST_SECONDS = 30


class WebmailClient:
    """One browser's worth of cookies in one webmail. `source` is the address that it comes from, on this machine."""

    def __init__(self, host: WholeHost, site: Site, source: str = HOST, user_agent: str = "Firefox"):
        self._base = f"https://{HOST}:{host.port}/"
        self._session = requests.Session()
        self._session.trust_env = False
        self._session.verify = str(host.nginx.certificate)
        self._session.mount("https://", HTTPAdapter())
        self._session.get_adapter("https://").poolmanager.connection_pool_kw["assert_hostname"] = site.webmail
        self._session.get_adapter("https://").poolmanager.connection_pool_kw["source_address"] = (source, 0)
        self._session.headers["User-Agent"] = user_agent
        self._session.headers["Host"] = f"{site.webmail}:{host.port}"

    def log_in(self, login: str, password: str) -> requests.Response:
        """Type both into the login page; the page that answers."""
        fields = {"_task": "login", "_action": "login", "_user": login, "_pass": password}
        return self._session.post(
            self._base + "?_task=login",
            fields | {"_token": self._token(self.get(_task="login").text)},
            timeout=REQUEST_SECONDS,
        )

    def logged_in(self, login: str, password: str) -> Self:
        answer = self.log_in(login, password)
        assert shows_mail(answer), messages(answer)
        return self

    def get(self, **query: str) -> requests.Response:
        return self._session.get(self._base, params=query, timeout=REQUEST_SECONDS)

    def list_mail(self) -> requests.Response:
        """What a click on the inbox asks for."""
        return self.get(_task="mail", _action="list", _mbox="INBOX", _remote="1")

    def send_mail(self, recipient: str, subject: str, sender: str | None = None) -> str:
        """Write an e-mail and send it, from the first identity or as another sender; what Roundcube says then."""
        page = self.get(_task="mail", _action="compose")
        letter = {"_to": recipient, "_subject": subject, "_message": "Text.", "_is_html": "0"}
        identity = re.search(r'<select[^>]*name="_from".*?<option value="(\d+)"', page.text, re.DOTALL)[1]
        compose_id = re.search(r'"compose_id":"([^"]+)"', page.text)[1]
        fields = {
            "_token": self._token(page.text),
            "_task": "mail",
            "_action": "send",
            "_id": compose_id,
            "_from": sender or identity,
        }
        answer = self._session.post(self._base + "?_task=mail&_framed=1", letter | fields, timeout=REQUEST_SECONDS)
        return answer.text

    def waits_for_mail(self, subject: str) -> None:
        wait_until(lambda: subject in self.list_mail().text, f"“{subject}” arrives")

    def log_out(self) -> requests.Response:
        return self.get(_task="logout", _token=self._token(self.get(_task="settings").text))

    @property
    def session_id(self) -> str:
        return self._session.cookies["roundcube_sessid"]

    def opens_mail(self) -> bool:
        """Whether the webmail shows the inbox at this moment."""
        return shows_mail(self.get(_task="mail"))

    @staticmethod
    def _token(page: str) -> str:
        return re.search(r'"request_token":"([^"]+)"', page)[1]


def shows_mail(answer: requests.Response) -> bool:
    """Whether this is the page with the inbox; the login page may stand at the same address."""
    return '"task":"mail"' in answer.text


def messages(answer: requests.Response) -> str:
    """What Roundcube tells the person on a page."""
    return " ".join(re.findall(r'display_message\("([^"]*)"', answer.text)).encode().decode("unicode_escape")
