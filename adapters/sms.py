"""Text messages: by Kannel's sendsms, or by any gateway that takes an HTTP request which the settings describe.

An address contains neither the login nor the number nor the text. Neither a redirect nor a proxy of the
environment is followed, and no answer is repeated in a sentence, for a gateway may repeat the text in it.
"""

import hashlib
import io
import re
import socket
import ssl
from urllib.parse import SplitResult, urlsplit

import requests

from actions.ground.ports import PerhapsDelivered, SmsRefused, SmsUnavailable
from settings import Settings
from settings.sms import SmsBody, headers_of, login_of

CONNECT_SECONDS = 2
# For whoever only asks whether the gateway is there; and for a message, which costs money if it is sent twice.
CHECK_SECONDS, ANSWER_SECONDS = 5, 60
# What proxies say when the gateway behind them did not answer.
NO_ANSWER_BEHIND = (502, 504)
LONGEST_ANSWER = 10_000

NUMBER = re.compile(r"\+[0-9]{6,15}|[0-9]{3,6}")
# Kannel's: no blanks, for it reads several numbers; and nothing that its access log would take for something else.
ACCOUNT = re.compile(r"[A-Za-z0-9:._-]{1,64}")
REPORT_URL = re.compile(r"https?://[\x21-\x24\x26-\x7e]+")

# The basic alphabet of GSM 03.38 and its extension: what fits into 160 characters. All else goes as UCS-2, 70.
GSM_ALPHABET = frozenset(
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà^{}\\[~]|€"
)
GSM, UCS2 = "0", "2"

# delivered, failed, waiting, accepted by the network, refused by it
ALL_REPORTS = str(1 + 2 + 4 + 8 + 16)
ACCEPTED = re.compile(r"0: Accepted|3: Queued|Sent\.")


class KannelSms:
    """Kannel's sendsms for `kannel://user:password@host:port/`; `kannels://` is the same over TLS."""

    def __init__(self, settings: Settings):
        parts = urlsplit(settings.sms_url)
        self._gateway = Gateway(parts, "https" if parts.scheme == "kannels" else "http", "/cgi-bin/sendsms", 13013)
        user, password = login_of(parts)
        self._headers = {
            "Content-Type": "text/plain; charset=UTF-8",
            "X-Kannel-Username": user,
            "X-Kannel-Password": password,
        }
        if settings.sms_from:
            self._headers["X-Kannel-From"] = settings.sms_from

    def send(self, to: str, text: str, key: str, report_url: str = "") -> None:
        """Hand one message over. Kannel does not recognise a repeated message: `key` only appears in its access log."""
        status, answer = self._ask(
            text,
            {
                "X-Kannel-To": _checked_number(to),
                "X-Kannel-Coding": GSM if set(text) <= GSM_ALPHABET else UCS2,
                "X-Kannel-Account": key if ACCOUNT.fullmatch(key) else hashlib.sha256(key.encode()).hexdigest(),
                **_report_headers(report_url),
            },
            ANSWER_SECONDS,
        )
        if status == 202 and ACCEPTED.match(answer):
            return
        if status == 202 or status in NO_ANSWER_BEHIND:
            raise PerhapsDelivered(f"Kannel at {self._gateway.place} does not say whether it took the message.")
        if status == 403 and "Not routable" in answer:
            raise SmsRefused(f"Kannel at {self._gateway.place} has no way to this number.")
        if status == 400 and "Sender missing" in answer:
            raise SmsUnavailable(f"Kannel at {self._gateway.place} asks for a sender: set POSTERN_SMS_FROM.")
        if status == 400 and ("rejected" in answer or "denied by" in answer):
            raise SmsRefused(f"Kannel at {self._gateway.place} refuses this number or message.")
        self._trouble(status)

    def check(self) -> None:
        """Knows the login from a wrong one by what Kannel says about a message to nobody."""
        status, answer = self._ask("", {}, CHECK_SECONDS)
        if status != 400 or "Missing receiver" not in answer:
            self._trouble(status)

    def _ask(self, text: str, headers: dict[str, str], seconds: float) -> tuple[int, str]:
        return self._gateway.request("POST", text.encode("utf-8", "replace"), self._headers | headers, seconds)

    def _trouble(self, status: int):
        if status == 403:
            raise SmsUnavailable(f"Kannel at {self._gateway.place} refuses the login in POSTERN_SMS_URL.")
        if status in (500, 503):
            raise SmsUnavailable(f"Kannel at {self._gateway.place} cannot take messages now ({status}).")
        raise SmsUnavailable(f"What answered at {self._gateway.place} is not Kannel's sendsms ({status}).")


class HttpSms:
    """A gateway that takes one HTTP request for each message, described by the settings `sms_…`."""

    def __init__(self, settings: Settings):
        parts = urlsplit(settings.sms_url)
        self._gateway = Gateway(parts, parts.scheme, "/", None, auth=any(login_of(parts)))
        self._method = settings.sms_method
        self._body = SmsBody(settings.sms_body)
        self._headers = headers_of(settings.sms_headers) | {"Content-Type": self._body.content_type}
        self._sender = settings.sms_from
        self._success = re.compile(settings.sms_success)
        self._refusal = re.compile(settings.sms_refusal) if settings.sms_refusal else None

    def send(self, to: str, text: str, key: str, report_url: str = "") -> None:
        """Hand one message over. What the settings call a refusal is one; else 400 and 422 are."""
        number = _checked_number(to)
        facts = {"to": number, "digits": number.lstrip("+"), "text": text, "key": key, "from": self._sender}
        body = self._body.filled(facts | {"report_url": report_url})
        status, answer = self._gateway.request(self._method, body, self._headers, ANSWER_SECONDS)
        if status in (400, 422) or (self._refusal and self._refusal.search(answer)):
            raise SmsRefused(f"The SMS gateway at {self._gateway.place} refuses this number or message ({status}).")
        if status in (401, 403):
            raise SmsUnavailable(f"The SMS gateway at {self._gateway.place} refuses our login ({status}).")
        if status in NO_ANSWER_BEHIND:
            raise PerhapsDelivered(f"The SMS gateway at {self._gateway.place} did not answer what asked it ({status}).")
        if not 200 <= status < 300:
            raise SmsUnavailable(f"The SMS gateway at {self._gateway.place} answered with status {status}.")
        if not self._success.search(answer):
            raise PerhapsDelivered(
                f"The SMS gateway at {self._gateway.place} took the message, and did not answer as POSTERN_SMS_SUCCESS"
                " or POSTERN_SMS_REFUSAL says."
            )

    def check(self) -> None:
        """Whether it can be reached: more cannot be asked without sending something."""
        self._gateway.reach()


class Gateway:
    """Where requests go, one connection for each."""

    def __init__(self, parts: SplitResult, scheme: str, path: str, port: int | None, auth: bool = False):
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
        self._is_tls = scheme == "https"
        self._port = parts.port or port or (443 if self._is_tls else 80)
        self._host = parts.hostname
        self._url = f"{scheme}://{host}:{self._port}{parts.path if parts.path not in ('', '/') else path}"
        if parts.query:
            self._url += f"?{parts.query}"
        self._auth = tuple(each.encode() for each in login_of(parts)) if auth else None
        self.place = f"{host}:{self._port}"

    def request(self, method: str, body: bytes, headers: dict[str, str], seconds: float) -> tuple[int, str]:
        """Status and the beginning of the answer; where there is none in so many seconds, raises `SmsUnavailable`, or
        `PerhapsDelivered` once the request was handed over."""
        handed = Handed(body)
        try:
            with requests.Session() as session:
                session.trust_env = False
                session.mount("https://", TrustingTheSystem())
                with session.request(
                    method,
                    self._url,
                    data=handed if body else b"",
                    headers=headers,
                    auth=self._auth,
                    timeout=(CONNECT_SECONDS, seconds),
                    allow_redirects=False,
                    stream=True,
                ) as response:
                    return response.status_code, _beginning(response)
        # Without their causes: those could hold the request, with the login in it.
        except requests.Timeout:
            raise handed.silence(f"The SMS gateway at {self.place} did not answer in time.") from None
        except (requests.RequestException, OSError, ValueError):
            raise handed.silence(f"The SMS gateway at {self.place} cannot be reached.") from None

    def reach(self) -> None:
        """Connect, and shake hands over TLS; raises `SmsUnavailable`."""
        try:
            with socket.create_connection((self._host, self._port), CONNECT_SECONDS) as connection:
                if self._is_tls:
                    ssl.create_default_context().wrap_socket(connection, server_hostname=self._host).close()
        except OSError:
            raise SmsUnavailable(f"The SMS gateway at {self.place} cannot be reached.") from None


class Handed(io.BytesIO):
    """A request's body, which knows whether any of it has left."""

    has_left = False

    def read(self, size: int | None = -1) -> bytes:
        self.has_left = True
        return super().read(size)

    def silence(self, sentence: str) -> SmsUnavailable | PerhapsDelivered:
        """What it means that no answer came."""
        return PerhapsDelivered(sentence) if self.has_left else SmsUnavailable(sentence)


class TrustingTheSystem(requests.adapters.HTTPAdapter):
    """Trusts the authorities that the host trusts, an operator's own among them, besides those of requests."""

    def init_poolmanager(self, *arguments: object, **named: object) -> None:
        super().init_poolmanager(*arguments, ssl_context=ssl.create_default_context(), **named)


def _beginning(response: requests.Response) -> str:
    answer = next(response.iter_content(LONGEST_ANSWER), b"")
    return answer.decode("utf-8", "replace")


def _checked_number(to: str) -> str:
    if not NUMBER.fullmatch(to):
        raise SmsRefused("This is not a phone number that can be sent to.")
    return to


def _report_headers(report_url: str) -> dict[str, str]:
    """Kannel fills its percent signs, so the address must have none of its own."""
    if not report_url:
        return {}
    if not REPORT_URL.fullmatch(report_url):
        raise ValueError("The address for reports has characters that Kannel would take for something else.")
    joint = "&" if "?" in report_url else "?"
    return {"X-Kannel-DLR-Mask": ALL_REPORTS, "X-Kannel-DLR-URL": f"{report_url}{joint}state=%d"}
