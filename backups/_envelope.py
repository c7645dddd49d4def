"""A stream that is encrypted to a passphrase, and authenticated piece by piece.

The key is scrypt's of the passphrase and a random salt. Each piece is encrypted by AES-256-GCM; its nonce is a random
prefix, the piece's number, and whether it is the last one (the STREAM construction of Hoang, Reyhanitabar, Rogaway and
Vizár), and the file's head is authenticated with each. So a piece that is changed, left out, moved or cut off at the
end is noticed, and neither side holds more than one piece in memory.
"""

import io
import secrets
import struct
import unicodedata
from typing import BinaryIO

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from actions.ground.refusals import Refused

MAGIC = b"Postern backup 1\n"
# The binary logarithm of scrypt's cost: 128 MB of memory. It stands in the head; a file that asks for more than the
# most (256 MB) is refused before that is spent.
COST, MOST_COST = 17, 18
SALT, PREFIX, PIECE, TAG = 16, 7, 64 * 1024, 16
HEAD = len(MAGIC) + 1 + SALT + PREFIX


class Unreadable(Refused):
    """The passphrase is wrong, or the file is damaged or none of ours."""


class Sealing(io.RawIOBase):
    """What is written here is encrypted into the file. Only `seal` makes it whole: what is merely closed, such as
    after an exception, cannot be read."""

    def __init__(self, file: BinaryIO, passphrase: str):
        salt, prefix = secrets.token_bytes(SALT), secrets.token_bytes(PREFIX)
        self._file, self._kept = file, bytearray()
        self._head = MAGIC + bytes([COST]) + salt + prefix
        self._pieces = _Pieces(self._head, passphrase)
        file.write(self._head)

    def writable(self) -> bool:
        return True

    def write(self, content) -> int:
        self._kept += content
        # The last piece is known by being the last: a full one waits until something follows it.
        while len(self._kept) > PIECE:
            self._file.write(self._pieces.encrypt(bytes(self._kept[:PIECE]), last=False))
            del self._kept[:PIECE]
        return len(content)

    def seal(self) -> None:
        self._file.write(self._pieces.encrypt(bytes(self._kept), last=True))


class Opening(io.RawIOBase):
    """What was encrypted into the file. Reading raises `Unreadable`, also where the end is missing."""

    def __init__(self, file: BinaryIO, passphrase: str):
        head = file.read(HEAD)
        if len(head) < HEAD or not head.startswith(MAGIC) or not 1 <= head[len(MAGIC)] <= MOST_COST:
            raise Unreadable("This is no backup of Postern's.")
        self._file = file
        self._pieces = _Pieces(head, passphrase)
        self._next = file.read(PIECE + TAG)
        self._kept = memoryview(b"")
        self._is_over = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        if not self._kept and not self._is_over:
            piece, self._next = self._next, self._file.read(PIECE + TAG)
            self._is_over = not self._next
            self._kept = memoryview(self._pieces.decrypt(piece, last=self._is_over))
        taken = min(len(buffer), len(self._kept))
        buffer[:taken] = self._kept[:taken]
        self._kept = self._kept[taken:]
        return taken


class _Pieces:
    def __init__(self, head: bytes, passphrase: str):
        cost, salt = head[len(MAGIC)], head[-SALT - PREFIX : -PREFIX]
        # Typed on another keyboard, the same letters may be made of other characters.
        secret = unicodedata.normalize("NFC", passphrase).encode()
        key = Scrypt(salt=salt, length=32, n=2**cost, r=8, p=1).derive(secret)
        self._cipher, self._head, self._number = AESGCM(key), head, 0

    def encrypt(self, piece: bytes, last: bool) -> bytes:
        return self._cipher.encrypt(self._nonce(last), piece, self._head)

    def decrypt(self, piece: bytes, last: bool) -> bytes:
        try:
            return self._cipher.decrypt(self._nonce(last), piece, self._head)
        except InvalidTag:
            raise Unreadable("The passphrase is wrong, or the file is damaged.") from None

    def _nonce(self, last: bool) -> bytes:
        nonce = self._head[-PREFIX:] + struct.pack(">IB", self._number, last)
        self._number += 1
        return nonce
