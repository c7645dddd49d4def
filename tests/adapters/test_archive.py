"""Archives as their recipients open them: 7-Zip, bsdtar, poppler; and as somebody without the password finds them."""

import io
import logging
import re
import subprocess
import sys
from pathlib import Path

import pikepdf
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actions.ground.ports import ArchiveEntry, ArchiveImpossible
from adapters.archive import EncryptedArchives

FONTS = Path("/usr/share/fonts/truetype/dejavu")
ROOT = Path(__file__).parent.parent.parent
PASSWORD, ANOTHER = "ABCDE-FGHJK-LMNPQ-RSTUV", "ABCDE-FGHJK-LMNPQ-RSTUW"
SECRET = "QWERT-zuiop-1lI0O"
RUSSIAN, TURKISH = "Щёголева Ёлка, съешь ещё этих булок", "İğne ıslık Şükrü Çağ Ömür"
ENTRIES = [
    ArchiveEntry("0002.txt", f"anna@example.org\r\n{SECRET}\r\n{RUSSIAN}\r\n{TURKISH}\r\n".encode()),
    ArchiveEntry("0001.txt", b""),
    ArchiveEntry("all.csv", b"\x00\xff" * 70_000),
]
SECTIONS = [
    ("anna@example.org", [("New password", SECRET), ("Имя", RUSSIAN), ("Ad", TURKISH), ("", "Change it soon.")]),
    ("boris@example.org", [("New password", "b" * 20)]),
]


@pytest.fixture
def archiver() -> EncryptedArchives:
    return EncryptedArchives(FONTS)


def run(*command: str) -> subprocess.CompletedProcess:
    return subprocess.run(command, capture_output=True, stdin=subprocess.DEVNULL, timeout=60)


# --- ZIP ---


@pytest.fixture
def zipped(archiver, tmp_path) -> Path:
    file = tmp_path / "a.zip"
    file.write_bytes(archiver.zip(ENTRIES, PASSWORD))
    return file


def unpacked(directory: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in directory.iterdir()}


def test_7zip_opens_it_with_the_password_and_not_without(zipped, tmp_path):
    assert run("7z", "x", f"-p{PASSWORD}", f"-o{tmp_path / 'right'}", str(zipped)).returncode == 0
    assert unpacked(tmp_path / "right") == {entry.name: entry.content for entry in ENTRIES}
    for wrong in (ANOTHER, "", PASSWORD.lower()):
        refused = run("7z", "x", f"-p{wrong}", "-y", f"-o{tmp_path / 'wrong'}", str(zipped))
        assert refused.returncode != 0
        assert SECRET.encode() not in b"".join(unpacked(tmp_path / "wrong").values())


def test_bsdtar_opens_it_with_the_password_and_not_without(zipped, tmp_path):
    assert run("bsdtar", "-x", "--passphrase", PASSWORD, "-C", str(tmp_path), "-f", str(zipped)).returncode == 0
    assert (tmp_path / "0002.txt").read_bytes() == ENTRIES[0].content
    assert run("bsdtar", "-x", "--passphrase", ANOTHER, "-O", "-f", str(zipped)).returncode != 0


def test_whoever_only_has_the_file_sees_neutral_names_and_sizes(zipped):
    listed = run("7z", "l", "-slt", f"-p{ANOTHER}", str(zipped)).stdout.decode()
    facts = {name: re.findall(rf"^{name} = (.*)$", listed, re.MULTILINE) for name in ("Path", "Method", "CRC")}
    assert facts["Path"][1:] == [entry.name for entry in ENTRIES]
    assert set(facts["Method"]) == {"AES-256 Store"}
    # A checksum of so short a file would be as good as the file.
    assert not any(facts["CRC"])
    assert set(re.findall(r"^Modified = (.{10})", listed, re.MULTILINE)) == {"1980-01-01"}
    assert SECRET.encode() not in zipped.read_bytes()


def test_the_same_content_is_never_the_same_archive(archiver):
    assert archiver.zip(ENTRIES, PASSWORD) != archiver.zip(ENTRIES, PASSWORD)


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../x",
        "a/b",
        "/etc/passwd",
        "C:\\x",
        "a\\b",
        ".hidden",
        "a\nb",
        "a\0b",
        "пароль.txt",
        "a b",
        "-x",
        "a.",
    ],
)
def test_a_name_that_could_lead_elsewhere_or_tell_something_is_a_mistake(archiver, name):
    with pytest.raises(ValueError):
        archiver.zip([ArchiveEntry(name, b"")], PASSWORD)


def test_two_files_of_one_name_are_a_mistake(archiver):
    with pytest.raises(ValueError):
        archiver.zip([ArchiveEntry("a.txt", b"1"), ArchiveEntry("A.txt", b"2")], PASSWORD)


def test_an_archive_without_a_password_is_a_mistake(archiver):
    for make in (lambda: archiver.zip(ENTRIES, ""), lambda: archiver.pdf("Title", SECTIONS, "")):
        with pytest.raises(ValueError):
            make()


# --- PDF ---


@pytest.fixture
def save(archiver, tmp_path):
    def save(sections, title: str = "Credentials · Пароли · Şifreler") -> Path:
        file = tmp_path / "a.pdf"
        file.write_bytes(archiver.pdf(title, sections, PASSWORD))
        return file

    return save


def pages_of(file: Path) -> list[str]:
    read = run("pdftotext", "-layout", "-upw", PASSWORD, str(file), "-")
    assert read.returncode == 0, read.stderr
    return read.stdout.decode().removesuffix("\f").split("\f")


def test_a_pdf_is_read_with_the_password(save):
    pages = pages_of(save(SECTIONS))
    told = [[re.sub(r"\s+", " ", line).strip() for line in page.splitlines() if line.strip()] for page in pages]
    title = "Credentials · Пароли · Şifreler"
    annas = [
        title,
        "anna@example.org",
        f"New password {SECRET}",
        f"Имя {RUSSIAN}",
        f"Ad {TURKISH}",
        "Change it soon.",
        "1/2",
    ]
    # One page for each person.
    assert told == [annas, [title, "boris@example.org", f"New password {'b' * 20}", "2/2"]]


def test_a_pdf_is_not_read_without_the_password(save):
    file = save(SECTIONS)
    for wrong in (ANOTHER, "", PASSWORD.lower()):
        assert run("pdftotext", "-upw", wrong, str(file), "-").returncode != 0
        with pytest.raises(pikepdf.PasswordError):
            pikepdf.open(file, password=wrong)
    for told in (SECRET, "anna", "Credentials", "Щёголева", "DejaVu"):
        assert told.encode() not in file.read_bytes()
        assert told.encode("utf-16-be") not in file.read_bytes()


def test_a_pdf_is_encrypted_as_the_standard_of_today_says(save):
    with pikepdf.open(save(SECTIONS), password=PASSWORD) as document:
        encryption = document.encryption
        assert (encryption.R, encryption.bits) == (6, 256)
        methods = {encryption.stream_method, encryption.string_method, encryption.file_method}
        assert methods == {pikepdf.models.encryption.EncryptionMethod.aesv3}
        assert document.docinfo["/Title"] == "Credentials · Пароли · Şifreler"
        assert document.owner_password_matched


def test_only_a_value_of_one_word_is_set_in_the_typeface_of_passwords(save):
    def fonts(value: str) -> str:
        return run("pdffonts", "-upw", PASSWORD, str(save([("a", [("b", value)])]))).stdout.decode()

    assert "DejaVuSansMono" in fonts(SECRET)
    assert "DejaVuSansMono" not in fonts("several words")


def test_what_belongs_to_one_mailbox_stands_on_one_page(save):
    sections = [
        (f"head{n}", [(f"label{line}", f"value{n}x{line}") for line in range(1 + n * 7 % 30)]) for n in range(60)
    ]
    pages = pages_of(save(sections))
    assert len(pages) == len(sections)
    for heading, lines in sections:
        (page,) = [page for page in pages if re.search(rf"\b{heading}\b", page)]
        assert all(re.search(rf"\b{value}\b", page) for _, value in lines)
    assert [page.split()[-3:] for page in pages] == [[str(n + 1), "/", str(len(pages))] for n in range(len(pages))]


def test_a_section_longer_than_a_page_goes_on_on_the_next(save):
    pages = pages_of(save([("long", [("", f"line{n}") for n in range(150)]), ("next", [("a", "b")])]))
    assert re.findall(r"line\d+", "".join(pages)) == [f"line{n}" for n in range(150)]
    assert len(pages) == 5


def test_words_that_are_too_long_are_broken_and_lose_nothing(save):
    words = {"heading": "h" * 200, "label": "l" * 90, "value": "v" * 128 + "W" * 128, "title": "T" * 100}
    sections = [(words["heading"], [(words["label"], words["value"]), ("", "n" * 300)])]
    text = "".join(pages_of(save(sections, words["title"])))
    counts = {letter: text.count(letter) for letter in "hlvWTn"}
    assert counts == {"h": 200, "l": 90, "v": 128, "W": 128, "T": 100, "n": 300}


@settings(max_examples=6, deadline=None)
@given(st.lists(st.tuples(st.text(max_size=80), st.text(max_size=80)), max_size=60), st.text(max_size=80))
def test_whatever_is_written_can_be_drawn(lines, heading):
    made = EncryptedArchives(FONTS).pdf(heading, [(heading, lines)], PASSWORD)
    with pikepdf.open(io.BytesIO(made), password=PASSWORD) as document:
        assert len(document.pages) >= 1


def test_nothing_of_the_content_is_logged(archiver, caplog, recwarn):
    caplog.set_level(logging.DEBUG)
    archiver.pdf("標題", [("信箱", [("密碼", SECRET), ("名", "漢字 ☃ 𝕏")])], PASSWORD)
    archiver.zip(ENTRIES, PASSWORD)
    told = caplog.text + "".join(str(warning.message) for warning in recwarn)
    assert not [word for word in ("標", "信", "密", "漢", "𝕏", SECRET, PASSWORD) if word in told]


def test_a_host_without_fonts_makes_zip_only(tmp_path):
    archiver = EncryptedArchives(tmp_path)
    assert not archiver.makes_pdf()
    with pytest.raises(ArchiveImpossible, match=re.escape(str(tmp_path))):
        archiver.pdf("Title", SECTIONS, PASSWORD)
    assert archiver.zip(ENTRIES, PASSWORD)


# --- size ---

GROWTH = """
import resource, sys
from pathlib import Path
from actions.ground.ports import ArchiveEntry
from adapters.archive import EncryptedArchives
kind, count = sys.argv[1], int(sys.argv[2])
archiver = EncryptedArchives(Path("/usr/share/fonts/truetype/dejavu"))
lines = [("New password", "QWERT-zuiop-1lI0O-xy"), ("IMAP", "mail.example.org, port 993"), ("", "Change it soon. " * 8)]
sections = [(f"user{n}@example.org", lines) for n in range(count)]
entries = [ArchiveEntry(f"{n:05}.txt", str(section).encode() * 3) for n, section in enumerate(sections)]
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
archiver.zip(entries, "password") if kind == "zip" else archiver.pdf("Title", sections, "password")
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


def growth_in_mib(kind: str, count: int) -> float:
    measured = subprocess.run(
        [sys.executable, "-c", GROWTH, kind, str(count)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return int(measured.stdout) / 1024


@pytest.mark.long
@pytest.mark.parametrize("kind", ["zip", "pdf"])
def test_5000_mailboxes_need_little_memory(kind):
    assert growth_in_mib(kind, 5000) < 60


@pytest.mark.parametrize("kind", ["zip", "pdf"])
def test_300_mailboxes_need_hardly_any_memory(kind):
    assert growth_in_mib(kind, 300) < 30
