"""The Have-I-Been-Pwned range look-up: only the first five characters of a SHA-1 leave the host."""

import hashlib
import logging

import requests

log = logging.getLogger(__name__)
TIMEOUT = 1


class PwnedPasswords:
    """A collection of breached passwords, asked by range (https://haveibeenpwned.com/API/v3#PwnedPasswords)."""

    def __init__(self, url: str):
        self._url = url

    def contain(self, password: str) -> bool:
        """Whether the password was breached. False, and a line in the log, when nobody answers within a second."""
        # SHA-1 is the service's index, not a protection.
        digest = hashlib.sha1(password.encode(), usedforsecurity=False).hexdigest().upper()
        try:
            answer = requests.get(
                f"{self._url}/range/{digest[:5]}",
                timeout=TIMEOUT,
                headers={"Add-Padding": "true"},
                allow_redirects=False,
            )
            answer.raise_for_status()
        except requests.RequestException as trouble:
            log.warning("the breached-password look-up did not answer: %s", type(trouble).__name__)
            return False
        return any(
            line.partition(":")[0] == digest[5:] and line.partition(":")[2].strip() != "0"
            for line in answer.text.splitlines()
        )
