"""Encrypted archives, made in memory: ZIP (WinZip's AE-2, AES-256) and PDF (ISO 32000-2, revision 6, AES-256)."""

import io
import re
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from types import ModuleType
from zipfile import ZipInfo

from cryptography.hazmat.primitives.hashes import SHA1
from cryptography.hazmat.primitives.kdf.pbkdf2 import PBKDF2HMAC

from actions.ground.ports import ArchiveEntry, ArchiveImpossible, Section

# They carry Latin, Cyrillic and Greek; Debian has them in fonts-dejavu-core.
FONTS = ("DejaVuSans.ttf", "DejaVuSans-Bold.ttf", "DejaVuSansMono.ttf")

# 1980 is where ZIP's calendar begins. When an archive was made is nobody's business without its password.
EPOCH = (1980, 1, 1, 0, 0, 0)
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
OWNER_ONLY = 0o600


def _derived(password: bytes, salt: bytes, count: int, dkLen: int) -> bytes:  # noqa: N803 - the name that is called
    return PBKDF2HMAC(SHA1(), dkLen, salt, count).derive(password)  # noqa: S303 - what the format prescribes


@cache
def _zipper() -> ModuleType:
    """Imported for the first archive: pyzipper and pikepdf are a quarter of all that a process would load."""
    import pyzipper

    # Each file of an archive has a key of its own, and deriving them is most of the work: OpenSSL takes half the time
    # of what pyzipper calls by this name.
    pyzipper.zipfile_aes.PBKDF2 = _derived
    return pyzipper


class EncryptedArchives:
    """An archiver; for PDF it needs the files of DejaVu's fonts in a directory."""

    def __init__(self, fonts: Path):
        self._fonts = fonts

    def zip(self, entries: Iterable[ArchiveEntry], password: str) -> bytes:
        """Stored, not compressed: some programs open only such. Raises `ValueError` for a name that is not plain or
        comes twice, and without a password."""
        _check_password(password)
        archive, taken = io.BytesIO(), set()
        pyzipper = _zipper()
        with pyzipper.AESZipFile(archive, "w", pyzipper.ZIP_STORED, encryption=pyzipper.WZ_AES) as file:
            file.setpassword(password.encode())
            for entry in entries:
                _check_name(entry.name, taken)
                taken.add(entry.name.lower())
                file.writestr(_described(entry.name), entry.content)
        return archive.getvalue()

    def pdf(self, title: str, sections: Sequence[Section], password: str) -> bytes:
        """Opened with the password, everything is allowed: what could be forbidden would bind the honest only. Raises
        `ValueError` without a password."""
        _check_password(password)
        import pikepdf

        encrypted = io.BytesIO()
        with pikepdf.open(io.BytesIO(self.document(title, sections))) as document:
            document.save(
                encrypted,
                encryption=pikepdf.Encryption(owner=password, user=password, R=6),
                # Inside of such streams the structure is encrypted as well.
                object_stream_mode=pikepdf.ObjectStreamMode.generate,
            )
        return encrypted.getvalue()

    def document(self, title: str, sections: Sequence[Section]) -> bytes:
        if not self.makes_pdf():
            raise ArchiveImpossible(f"PDF needs the DejaVu fonts, and {self._fonts} does not have them.")
        # A third of all that a process loads, and only who makes a PDF needs it.
        from adapters.document import drawn

        return drawn(title, sections, self._fonts)

    def makes_pdf(self) -> bool:
        return all((self._fonts / name).is_file() for name in FONTS)


def _check_password(password: str) -> None:
    if not password:
        raise ValueError("An archive has a password.")


def _check_name(name: str, taken: set[str]) -> None:
    if not PLAIN_NAME.fullmatch(name) or name.lower() in taken:
        raise ValueError("Files in an archive have plain names, each another one.")


def _described(name: str) -> ZipInfo:
    described = _zipper().zipfile_aes.AESZipInfo(name, EPOCH)
    described.external_attr = OWNER_ONLY << 16
    return described
