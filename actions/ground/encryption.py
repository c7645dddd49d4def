"""Encryption at rest, with keys derived from the secret key in the settings."""

import base64
import functools
import json

from cryptography.fernet import Fernet
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


def derived_key(secret_key: str, purpose: str) -> bytes:
    """256 bits for one purpose, in URL-safe base64; a key for one purpose reveals nothing about another."""
    derivation = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"postern {purpose}".encode())
    return base64.urlsafe_b64encode(derivation.derive(secret_key.encode()))


def seal(secret_key: str, purpose: str, content: dict) -> str:
    """Encrypt and authenticate a small mapping; only the same key and purpose can open it."""
    return _cipher(secret_key, purpose).encrypt(json.dumps(content).encode()).decode()


def unseal(secret_key: str, purpose: str, sealed: str) -> dict:
    """The mapping that was sealed; raises `cryptography.fernet.InvalidToken` for anything else."""
    return json.loads(_cipher(secret_key, purpose).decrypt(sealed.encode()))


def seal_bytes(secret_key: str, purpose: str, content: bytes) -> str:
    """`seal` for bytes, of any length."""
    return _cipher(secret_key, purpose).encrypt(content).decode()


def unseal_bytes(secret_key: str, purpose: str, sealed: str) -> bytes:
    """The bytes that were sealed; raises `cryptography.fernet.InvalidToken` for anything else."""
    return _cipher(secret_key, purpose).decrypt(sealed.encode())


@functools.lru_cache(maxsize=8)
def _cipher(secret_key: str, purpose: str) -> Fernet:
    return Fernet(derived_key(secret_key, purpose))
