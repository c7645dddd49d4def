"""Files of users as spreadsheet programs write them: what is read of them, what is refused, and that nothing in them
can take the machine."""

import io
import zipfile
from collections.abc import Callable

import pytest

from actions.ground.refusals import Refused
from actions.users import _sheets, user_files
from actions.users.user_files import Line

MAIN = 'xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"'
LINKS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
OFFICE = " ".join(
    f'xmlns:{name}="urn:oasis:names:tc:opendocument:xmlns:{name}:1.0"' for name in ("office", "table", "text", "style")
)
WORDS = ("address", "first_name", "quota_mb", "phone", "dora@example.org", "Dora")
HEADINGS = '<row r="1">' + "".join(f'<c r="{"ABCD"[n]}1" t="s"><v>{n}</v></c>' for n in range(4)) + "</row>"
DORA = '<c r="A4" t="s"><v>4</v></c><c r="B4" t="s"><v>5</v></c>'
NUMBERS = '<c r="C4"><v>1024.0</v></c><c r="D4" t="n"><v>3.93331234567E11</v></c>'


def packed(compression: int = zipfile.ZIP_DEFLATED, **parts: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return file.getvalue()


def xlsx(*sheets: str, states: tuple[str, ...] = (), compression: int = zipfile.ZIP_DEFLATED, **parts: str) -> bytes:
    """A workbook with the rows of these sheets, as Excel writes it."""
    named = [
        f'<sheet name="S{n}" sheetId="{n}" state="{dict(enumerate(states)).get(n, "visible")}" r:id="r{n}"/>'
        for n in range(len(sheets))
    ]
    links = [f'<Relationship Id="r{n}" Target="worksheets/sheet{n}.xml"/>' for n in range(len(sheets))]
    words = "".join(f"<si><t>{word}</t></si>" for word in WORDS)
    contents = {
        "xl/workbook.xml": f'<workbook {MAIN} xmlns:r="{LINKS}"><sheets>{"".join(named)}</sheets></workbook>',
        "xl/_rels/workbook.xml.rels": f"<Relationships>{''.join(links)}</Relationships>",
        "xl/sharedStrings.xml": f"<sst {MAIN}>{words}</sst>",
        "xl/styles.xml": f'<styleSheet {MAIN}><numFmts><numFmt numFmtId="164" formatCode="[Red]0&quot;d&quot;"/>'
        '<numFmt numFmtId="165" formatCode="dd/mm/yyyy"/></numFmts><cellXfs><xf numFmtId="0"/><xf numFmtId="164"/>'
        '<xf numFmtId="165"/><xf numFmtId="22"/></cellXfs></styleSheet>',
    }
    for number, rows in enumerate(sheets):
        contents[f"xl/worksheets/sheet{number}.xml"] = f"<worksheet {MAIN}><sheetData>{rows}</sheetData></worksheet>"
    return packed(compression, **contents | parts)


def ods(rows: str, before: str = "", after: str = "", **parts: str) -> bytes:
    """A document with the rows of a sheet, as LibreOffice writes it."""
    table = f'<table:table table:name="Users">{rows}</table:table>'
    spreadsheet = f"<office:body><office:spreadsheet>{table}{after}</office:spreadsheet></office:body>"
    content = f"<office:document-content {OFFICE}>{before}{spreadsheet}</office:document-content>"
    return packed(**{"content.xml": content} | parts)


def cell(text: str, attributes: str = "") -> str:
    return f"<table:table-cell {attributes}><text:p>{text}</text:p></table:table-cell>"


def row(*cells: str, attributes: str = "") -> str:
    return f"<table:table-row {attributes}>{''.join(cells)}</table:table-row>"


def lines(content: bytes) -> list[Line]:
    return list(user_files.read(user_files.text_of(io.BytesIO(content))))


def refusal(content: bytes) -> str:
    with pytest.raises(Refused) as refused:
        lines(content)
    assert refused.value.field == "file"
    return str(refused.value)


ODS_HEADINGS = row(*map(cell, WORDS[:4]), '<table:table-cell table:number-columns-repeated="16380"/>')
ODS_DORA = row(
    cell(
        f"dora@<text:span>example.org</text:span><office:annotation {OFFICE}><text:p>new</text:p></office:annotation>"
    ),
    cell("Dora"),
    cell("1.024,00", 'office:value-type="float" office:value="1024"'),
    cell("3,93E+11", 'office:value-type="float" office:value="393331234567"'),
)
ODS_BLANK = row(
    '<table:table-cell table:number-columns-repeated="16384"/>', attributes='table:number-rows-repeated="{}"'
)


@pytest.mark.parametrize(
    "content",
    [
        xlsx(HEADINGS + f'<row r="4">{DORA}{NUMBERS}</row>'),
        xlsx("", HEADINGS + f'<row r="4" hidden="1">{DORA}{NUMBERS}</row><row r="9"><c r="A9" s="1"/></row>'),
        xlsx(HEADINGS + f'<row r="4">{DORA}{NUMBERS}</row>', HEADINGS, states=("visible", "veryHidden")),
        ods(ODS_HEADINGS + ODS_BLANK.format(2) + ODS_DORA + ODS_BLANK.format(1048572)),
    ],
    ids=["xlsx", "second sheet, hidden row", "hidden sheet", "ods"],
)
def test_a_line_is_the_row_of_its_sheet_and_numbers_are_what_a_person_typed(content):
    (line,) = lines(content)
    assert line.number == 4
    assert line.problem is None
    assert (line.new.address, line.new.first_name, line.new.phone) == ("dora@example.org", "Dora", "393331234567")
    assert line.new.quota_bytes == 1024**3


def test_cells_are_read_as_they_are_shown():
    kinds = (
        '<c r="A1" t="inlineStr"><is><r><t>An</t></r><r><t>na</t></r><rPh><t>x</t></rPh></is></c>'
        '<c r="C1" t="str"><f>A1&amp;"x"</f><v>Annax</v></c><c t="b"><v>1</v></c><c t="e"><v>#N/A</v></c>'
        '<c s="1"><v>45000</v></c><c s="2"><v>45000</v></c><c s="3"><v>45000.5</v></c><c><v>0.5</v></c>'
        '<c s="2"><v>1E300</v></c><c s="99"><v>7</v></c>'
    )
    (found,) = _sheets.rows(xlsx(f"<row>{kinds}</row>"))
    assert found[:4] == ["Anna", "", "Annax", "1"]
    assert found[4:] == ["#N/A", "45000", "2023-03-15", "2023-03-15 12:00:00", "0.5", "1E300", "7"]
    dates = cell("15.3.23", 'office:value-type="date" office:date-value="2023-03-15"')
    merged = "<table:covered-table-cell><text:p>below</text:p></table:covered-table-cell>"
    spaced = "<text:p>Anna<text:s/>Maria</text:p><text:p>Blu</text:p>"
    (found,) = _sheets.rows(ods(row(dates, merged, f"<table:table-cell>{spaced}</table:table-cell>")))
    assert found == ["2023-03-15", "", "Anna Maria\nBlu"]


def test_a_short_row_has_nothing_in_its_last_columns():
    (line,) = lines(xlsx(HEADINGS + f'<row r="2">{DORA}</row>'.replace("4", "2", 1).replace("B4", "B2")))
    assert (line.number, line.problem) == (2, None)


def test_which_sheet_is_meant_is_asked():
    assert "S0, S2" in refusal(xlsx(HEADINGS, "", HEADINGS))
    other = f'<table:table table:name="More">{ODS_DORA}</table:table>'
    assert "Users, More" in refusal(ods(ODS_HEADINGS, after=other))
    style = (
        '<office:automatic-styles><style:style style:name="ta2"><style:table-properties table:display="false"/>'
        "</style:style></office:automatic-styles>"
    )
    hidden = other.replace("<table:table ", '<table:table table:style-name="ta2" ')
    assert len(lines(ods(ODS_HEADINGS + ODS_DORA, before=style, after=hidden))) == 1


MANIFEST = '<m:manifest xmlns:m="m"><m:file-entry><m:encryption-data/></m:file-entry></m:manifest>'


@pytest.mark.parametrize(
    "content",
    [_sheets.OLD + b"\0" * 600, ods("", **{"content.xml": "noise", "META-INF/manifest.xml": MANIFEST})],
    ids=["old or encrypted", "encrypted"],
)
def test_a_file_with_a_password_is_said_to_have_one(content):
    assert "password" in refusal(content)


ENTITIES = '<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'


@pytest.mark.parametrize(
    "content",
    [
        b"PK\x03\x04" + b"?" * 100,
        packed(**{"word/document.xml": "<document/>"}),
        xlsx(HEADINGS)[:-40],
        xlsx(HEADINGS, compression=zipfile.ZIP_LZMA),
        xlsx(**{"xl/workbook.xml": f'<workbook xmlns:r="{LINKS}"><sheet name="S" r:id="gone"/></workbook>'}),
        xlsx('<row r="1"><c r="A1" t="s"><v>99</v></c></row>'),
        xlsx('<row r="2"/><row r="1"/>'),
        xlsx('<row r="1"><c r="B1"><v>1</v></c><c r="A1"><v>1</v></c></row>'),
        xlsx("<row>"),
        xlsx(**{"xl/sharedStrings.xml": f"{ENTITIES}<sst><si><t>&b;</t></si></sst>"}),
        xlsx(**{"xl/styles.xml": '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>'}),
        ods(row(cell("a", 'table:number-columns-repeated="-5"'))),
    ],
)
def test_what_is_no_spreadsheet_is_refused(content):
    assert "cannot be read" in refusal(content)


def words() -> bytes:
    """One more than a file may have, each of them empty."""
    return xlsx(**{"xl/sharedStrings.xml": "<sst>" + "<si/>" * (_sheets.MOST_TEXT + 1) + "</sst>"})


def test_words_without_a_letter_are_counted(monkeypatch):
    monkeypatch.setattr(_sheets, "MOST_TEXT", 2**20)
    assert "too much" in refusal(words())


@pytest.mark.parametrize(
    "bomb",
    [
        lambda: xlsx('<row r="1">' + " " * (_sheets.MOST_BYTES + 1) + "</row>"),
        lambda: xlsx("".join(f'<row r="{n}"><c r="XFD{n}"><v>1</v></c></row>' for n in range(1, 1100))),
        lambda: xlsx('<row r="1048577"><c r="A1048577"><v>1</v></c></row>'),
        lambda: ods(row(cell("x" * 99, 'table:number-columns-repeated="999999999"'))),
        lambda: ods(row(cell("x" * 99), attributes='table:number-rows-repeated="1048576"')),
        lambda: xlsx(
            *['<row r="1">' + "".join(["<c><v>" + "7" * 3999 + "</v></c>"] * 3000) + "</row>"] * 3,
        ),
        pytest.param(lambda: words(), marks=pytest.mark.long),
    ],
    ids=["bytes", "blanks", "rows", "columns again", "rows again", "text of several sheets", "words"],
)
def test_no_file_takes_the_machine(bomb: Callable[[], bytes], monkeypatch):
    monkeypatch.setattr(_sheets, "MOST_BYTES", 64 * 1024**2 if "words" in bomb.__code__.co_names else 40 * 1024**2)
    assert "too much" in refusal(bomb())


@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("name", ["Dora", "Дора", "Çağrı"])
def test_wide_text_without_a_mark_is_read(encoding, name):
    (line,) = lines(f"address,first_name\r\ndora@example.org,{name}\r\n".encode(encoding))
    assert (line.problem, line.new.first_name) == (None, name)
