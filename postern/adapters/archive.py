"""Encrypted archives, made in memory: ZIP (WinZip's AE-2, AES-256) and PDF (ISO 32000-2, revision 6, AES-256)."""

import io
import re
from collections.abc import Sequence
from pathlib import Path

import pikepdf
import pyzipper

from postern.actions.ports import ArchiveEntry, ArchiveImpossible
from postern.adapters.document import FONTS, Section, drawn

# 1980 is where ZIP's calendar begins. When an archive was made is nobody's business without its password.
EPOCH = (1980, 1, 1, 0, 0, 0)
PLAIN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*(\.[A-Za-z0-9_-]+)*")
OWNER_ONLY = 0o600


class EncryptedArchives:
    """An archiver; for PDF it needs the files of DejaVu's fonts in a directory."""

    def __init__(self, fonts: Path):
        self._fonts = fonts

    def zip(self, entries: Sequence[ArchiveEntry], password: str) -> bytes:
        """Stored, not compressed: some programs open only such. Raises `ValueError` for a name that is not plain, and
        without a password."""
        _check_names([entry.name for entry in entries])
        _check_password(password)
        archive = io.BytesIO()
        with pyzipper.AESZipFile(archive, "w", pyzipper.ZIP_STORED, encryption=pyzipper.WZ_AES) as file:
            file.setpassword(password.encode())
            for entry in entries:
                file.writestr(_described(entry.name), entry.content)
        return archive.getvalue()

    def pdf(self, title: str, sections: Sequence[Section], password: str) -> bytes:
        """Opened with the password, everything is allowed: what could be forbidden would bind the honest only. Raises
        `ValueError` without a password."""
        _check_password(password)
        if not self.makes_pdf():
            raise ArchiveImpossible(f"PDF needs the DejaVu fonts, and {self._fonts} does not have them.")
        encrypted = io.BytesIO()
        with pikepdf.open(io.BytesIO(drawn(title, sections, self._fonts))) as document:
            document.save(
                encrypted,
                encryption=pikepdf.Encryption(owner=password, user=password, R=6),
                # Inside of such streams the structure is encrypted as well.
                object_stream_mode=pikepdf.ObjectStreamMode.generate,
            )
        return encrypted.getvalue()

    def makes_pdf(self) -> bool:
        return all((self._fonts / name).is_file() for name in FONTS)


def _check_password(password: str) -> None:
    if not password:
        raise ValueError("An archive has a password.")


def _check_names(names: list[str]) -> None:
    if not all(PLAIN_NAME.fullmatch(name) for name in names) or len({name.lower() for name in names}) < len(names):
        raise ValueError("Files in an archive have plain names, each another one.")


def _described(name: str) -> pyzipper.zipfile_aes.AESZipInfo:
    described = pyzipper.zipfile_aes.AESZipInfo(name, EPOCH)
    described.external_attr = OWNER_ONLY << 16
    return described
