"""The token of forms: another one in each answer, and only its own browser's is taken."""

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from itsdangerous import URLSafeTimedSerializer

from blueprints.web import form_tokens
from models import WebSession
from tests.client import Client

PREFERENCES = "/account/preferences"
# Of a token's characters, those that say when it was made, and whatever is the same in two tokens by chance.
CHANCE = 5


def token_of(client: Client, page: str = PREFERENCES) -> str:
    return client.request("GET", page).tree.find(".//input[@name='csrf_token']").get("value")


def is_taken(client: Client, token: str) -> bool:
    answer = client.request("POST", PREFERENCES, {"csrf_token": token, "language": "", "timezone": ""})
    assert answer.status in (303, 400)
    return answer.status == 303


def in_common(one: str, other: str) -> int:
    """How many characters in a row stand in both, wherever."""
    lengths = (
        end - begin for begin in range(len(one)) for end in range(begin, len(one) + 1) if one[begin:end] in other
    )
    return max(lengths)


def test_the_token_differs_in_each_answer_and_each_is_taken(signed_in):
    tokens = [token_of(signed_in) for _ in range(4)]
    bodies = [token[form_tokens.TIME * 4 // 3 :] for token in tokens]
    for index, body in enumerate(bodies):
        assert max(in_common(body, other) for other in bodies[:index] + bodies[index + 1 :]) <= CHANCE
    assert all(is_taken(signed_in, token) for token in reversed(tokens))


@pytest.mark.parametrize("who", ["signed_in", "client"])
def test_the_secret_itself_stands_on_no_page(request, app, who):
    browser = request.getfixturevalue(who)
    page = browser.request("GET", PREFERENCES if who == "signed_in" else "/sign-in")
    with app.test_request_context(headers={"Cookie": "; ".join(f"{n}={v}" for n, v in browser.cookies().items())}):
        from flask import session

        secret = session["csrf_token"]
    assert len(secret) == 2 * form_tokens.SECRET
    plain = bytes.fromhex(secret)
    assert secret not in page.text
    assert urlsafe_b64encode(plain).decode().rstrip("=") not in page.text


def test_a_token_that_was_changed_is_not_taken(signed_in):
    token = token_of(signed_in)
    whole = urlsafe_b64decode(token + "=" * (-len(token) % 4))
    for place in range(len(whole)):
        changed = bytearray(whole)
        changed[place] ^= 1
        assert not is_taken(signed_in, urlsafe_b64encode(changed).rstrip(b"=").decode())
    for cut in (token[:-1], token[:40], token + "AAAA", token + "é", "\x00", "=" * 50):
        assert not is_taken(signed_in, cut)
    assert is_taken(signed_in, token)


def test_a_page_of_the_version_before_still_works(app, signed_in, new_client, boris):
    """Whoever had a page open while the panel was upgraded goes on; with his own token alone."""
    his = new_client()
    his.sign_in(boris.login, "Correct-Horse-7")
    token_of(signed_in), token_of(his)
    signed = URLSafeTimedSerializer(app.secret_key, salt="wtf-csrf-token")
    before = {row.account_id: signed.dumps(row.data["csrf_token"]) for row in WebSession.select()}
    assert is_taken(his, before[boris.id])
    assert not is_taken(signed_in, before[boris.id])
    others = URLSafeTimedSerializer("another key", salt="wtf-csrf-token")
    assert not is_taken(his, others.dumps(WebSession.get(WebSession.account == boris).data["csrf_token"]))


def test_a_session_without_a_secret_takes_no_token(app, signed_in):
    token = token_of(signed_in)
    WebSession.update(data={}).execute()
    assert not is_taken(signed_in, token)
    empty = URLSafeTimedSerializer(app.secret_key, salt="wtf-csrf-token").dumps("")
    assert not is_taken(signed_in, empty)
