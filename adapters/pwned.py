"""The Have-I-Been-Pwned range look-up: only the first five characters of a SHA-1 leave the host."""

import hashlib
import logging
import re
import time

import requests
from urllib3.exceptions import HTTPError

log = logging.getLogger(__name__)
TIMEOUT = 1
# Seconds and bytes, of the whole answer: with padding it has about a thousand lines.
WHOLE_ANSWER, LONGEST_ANSWER = 2, 512 * 1024
LINE = re.compile(r"([0-9A-F]{35}):(\d+)")


class PwnedPasswords:
    """A collection of breached passwords, asked by range (https://haveibeenpwned.com/API/v3#PwnedPasswords)."""

    def __init__(self, url: str):
        self._url = url

    def contain(self, password: str) -> bool:
        """Whether the password was breached. False, and a line in the log, when nobody answers in time, or not in the
        form of a range."""
        # SHA-1 is the service's index, not a protection.
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        try:
            known = LINE.findall(self._range(digest[:5]))
        except (requests.RequestException, HTTPError, OSError, ValueError) as trouble:
            log.warning("the breached-password look-up did not answer: %s", type(trouble).__name__)
            return False
        return any(ending == digest[5:] and count.strip("0") for ending, count in known)

    def _range(self, beginning: str) -> str:
        """The lines of a range; raises what `contain` catches when there are none."""
        latest = time.monotonic() + WHOLE_ANSWER
        address, headers = f"{self._url}/range/{beginning}", {"Add-Padding": "true"}
        with requests.get(address, timeout=TIMEOUT, headers=headers, allow_redirects=False, stream=True) as answer:
            answer.raise_for_status()
            read = bytearray()
            while part := answer.raw.read1(LONGEST_ANSWER, decode_content=True):
                read += part
                if len(read) > LONGEST_ANSWER or time.monotonic() > latest:
                    raise requests.Timeout
        text = read.decode("ascii")
        # A redirect or a page of something between would say of every password that it is good.
        if answer.status_code != 200 or not LINE.search(text):
            raise ValueError("no range")
        return text
