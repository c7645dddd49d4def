"""Which answers are compressed, and what their size says."""

import gzip

import pytest

from blueprints.web import compression
from tests.arrows import ROOT
from tests.client import Client

PASSWORD_PAGE, FILTERED = "/account/password", "/account/activity?about=anna"
GZIP = {"Accept_Encoding": "gzip, deflate, br"}


def content(client: Client, address: str, **headers: str) -> tuple[bool, bytes]:
    """Whether an answer was compressed, and its bytes as they were sent."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = client._client.get(address, base_url=client.base_url, headers=named)
    assert answer.status_code == 200
    assert "Accept-Encoding" in answer.headers["Vary"]
    return answer.headers.get("Content-Encoding") == "gzip", answer.data


def test_a_page_is_a_third_as_long_and_says_the_same(signed_in):
    is_compressed, sent = content(signed_in, PASSWORD_PAGE, **GZIP)
    was_compressed, plain = content(signed_in, PASSWORD_PAGE)
    assert (is_compressed, was_compressed) == (True, False)
    assert len(gzip.decompress(sent)) == len(plain)
    assert len(sent) < 4000 < len(plain)


@pytest.mark.parametrize("refused", ["", "identity", "gzip;q=0", "br"])
def test_who_does_not_take_it_gets_none(signed_in, refused):
    assert not content(signed_in, PASSWORD_PAGE, Accept_Encoding=refused)[0]


def test_a_page_whose_address_others_may_have_chosen_is_not(signed_in):
    sites = (None, "cross-site", "same-site", "same-origin", "none")
    asked = [GZIP | ({"Sec_Fetch_Site": site} if site else {}) for site in sites]
    assert [content(signed_in, FILTERED, **headers)[0] for headers in asked] == [False, False, False, True, True]


def test_a_page_that_shows_a_password_is_not(signed_in):
    """The only one who could see it often enough to guess is who makes the browser ask for it again and again."""
    form = signed_in.open("/devices/new").fill({"Name": "Phone"})
    shown = form.press(form.buttons[-1], **GZIP)
    assert shown.title == "The password of “Phone”"
    assert shown.headers.get("Content-Encoding") is None


def test_the_length_is_another_each_time():
    lengths = [len(compression.compressed(b"the same " * 500)) for _ in range(400)]
    assert max(lengths) - min(lengths) > compression.MOST_ADDED // 2
    assert len(set(lengths)) > compression.MOST_ADDED // 2


def test_every_template_that_shows_a_secret_says_so():
    """What the script takes off a page that is left is what may not be compressed."""
    templates = {file: file.read_text(encoding="utf-8") for file in (ROOT / "templates").rglob("*.html")}
    showing = {file.name for file, text in templates.items() if "data-forget" in text}
    assert showing >= {"secret.html", "qr_code.html", "made.html"}
    assert showing == {file.name for file, text in templates.items() if "shows_secret()" in text}
