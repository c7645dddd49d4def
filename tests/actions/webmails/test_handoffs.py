"""Hand-offs of webmails: what counts, what does not, and that each counts once."""

import time

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from actions.ground.actor import OPERATOR, Actor
from actions.ground.throttle import TooManyAttempts
from actions.ground.unit_of_work import UnitOfWork
from actions.sessions import sessions
from actions.upkeep import housekeeping
from actions.webmails import handoffs, webmail_credentials, webmails
from actions.webmails.handoffs import Arrival
from actions.webmails.webmail_credentials import WantedCredential
from actions.webmails.webmail_tokens import HANDOFF, REQUEST, NotAccepted
from lab.actors import acting
from models import Account, AuditEvent, Organisation, UsedToken, Webmail, WebmailCredential, WebSession, now
from tests.actions.conftest import at_the_same_instant
from tests.conftest import PASSWORD, cuts_at_once
from tests.signing import ORIGIN, SigningWebmail, base64url, by_hmac, signed

IN_ITS_FRAME = Arrival(ORIGIN, "iframe")
OTHER = "https://other.example.com"


@pytest.fixture
def webmail(ports) -> SigningWebmail:
    return SigningWebmail(ports)


def enter(ports, actor: Actor, token: object, arrival: Arrival = IN_ITS_FRAME):
    return handoffs.enter(UnitOfWork(ports, actor), handoffs.examine(UnitOfWork(ports, actor), token, arrival))


def refusal(ports, actor: Actor, token: object, arrival: Arrival = IN_ITS_FRAME) -> str:
    """Why it does not count; nobody is signed in by it."""
    before = WebSession.select().count()
    with pytest.raises(NotAccepted) as raised:
        enter(ports, actor, token, arrival)
    assert WebSession.select().count() == before
    return raised.value.reason


def noted() -> list[tuple]:
    """What the audit trail says of refusals: why, and to whom."""
    events = AuditEvent.select().where(AuditEvent.action == "handoff:session:refused").order_by(AuditEvent.id)
    return [(event.details["reason"], event.account_login) for event in events]


@pytest.mark.parametrize("algorithm", [Webmail.EDDSA, Webmail.HS256])
def test_it_signs_in_whom_it_names_without_a_password(ports, stranger, anna, algorithm):
    webmail = SigningWebmail(ports, OTHER, algorithm=algorithm)
    session, token = enter(ports, stranger, webmail.handoff(anna.login), Arrival(OTHER, "iframe"))
    assert sessions.find(token) == session
    assert session.account == anna
    assert session.password_at == 0
    assert (session.webmail, session.webmail_session) == (webmail.row, "session-1")
    assert not sessions.password_is_recent(session)
    assert AuditEvent.get(AuditEvent.action == "handoff:session:started").account == anna


def test_a_collaborator_comes_in_by_the_own_login(ports, stranger, people, anna, webmail):
    carla = people.add_collaborator(anna)
    assert enter(ports, stranger, webmail.handoff(carla.login))[0].account == carla


TIMES = ("iat", "nbf", "exp")
# The times stand as seconds from now.
CLAIMS = {
    "another's audience": ({"aud": "https://elsewhere.example.org"}, "audience"),
    "several audiences": ({"aud": ["http://127.0.0.1:8123", "https://elsewhere.example.org"]}, "audience"),
    "another's issuer": ({"iss": OTHER}, "issuer"),
    "expired": ({"iat": -80, "nbf": -85, "exp": -20}, "expired"),
    "of the future": ({"iat": 3600, "nbf": 3600, "exp": 3660}, "future"),
    "not yet": ({"nbf": 3600, "exp": 100}, "future"),
    "good for an hour": ({"exp": 3600}, "lifetime"),
    "made long ago": ({"iat": -3600}, "lifetime"),
    "a time in words": ({"iat": "7"}, "lifetime"),
    "half seconds": ({"exp": 30.5}, "lifetime"),
    "no number": ({"jti": None}, "claims"),
    "a number that can be guessed": ({"jti": "1"}, "jti"),
    "a number that is no text": ({"jti": 7}, "claims"),
    "nobody": ({"sub": None}, "sub"),
    "no session": ({"sid": None}, "sid"),
    "a session that is no text": ({"sid": ["x"]}, "sid"),
    "a long session": ({"sid": "x" * 65}, "sid"),
    "no expiry": ({"exp": None}, "claims"),
    "somebody unknown": ({"sub": "nobody@example.org"}, "account"),
    "half a character": ({"sub": "\ud800"}, "sub"),
    "a query": ({"sub": "' OR 1=1 -- "}, "account"),
}


@pytest.mark.parametrize(("changes", "reason"), CLAIMS.values(), ids=CLAIMS)
def test_what_it_says_must_be_right(ports, stranger, anna, webmail, changes, reason):
    moment = int(time.time())
    times = {
        name: value + moment for name, value in changes.items() if isinstance(value, int | float) and name in TIMES
    }
    assert refusal(ports, stranger, webmail.handoff(anna.login, **changes | times)) == reason
    assert noted()[0][0] == reason


HEADERS = {
    "no algorithm": ({"alg": "none"}, "algorithm"),
    "another algorithm": ({"alg": "HS256"}, "algorithm"),
    "a request's type": ({"typ": REQUEST}, "header"),
    "any token's type": ({"typ": "JWT"}, "header"),
    "an address of keys": ({"jku": "https://evil.example/keys"}, "header"),
    "a key": ({"jwk": {"kty": "OKP"}}, "header"),
    "an address of certificates": ({"x5u": "https://evil.example/x"}, "header"),
    "a chain of certificates": ({"x5c": ["MIIB"]}, "header"),
}


@pytest.mark.parametrize(("changes", "reason"), HEADERS.values(), ids=HEADERS)
def test_its_header_must_be_plain(ports, stranger, anna, webmail, changes, reason):
    token = signed(webmail.header | changes, webmail.claims(anna.login), webmail.sign)
    assert refusal(ports, stranger, token) == reason
    assert noted() == [(reason, "")]


def test_its_signature_must_be_right(ports, stranger, anna, webmail):
    other = SigningWebmail(ports, OTHER)
    claims = webmail.claims(anna.login)
    unsigned = signed(webmail.header | {"alg": "none"}, claims, lambda _: b"")
    confused = signed(webmail.header | {"alg": "HS256"}, claims, by_hmac(webmail.key[32:]))
    named = signed(webmail.header, claims, by_hmac(webmail.key[32:]))
    foreign = signed(webmail.header, claims, other.sign)
    changed = webmail.handoff(anna.login).rpartition(".")[0] + "." + webmail.handoff(anna.login).rpartition(".")[2]
    reasons = [refusal(ports, stranger, token) for token in (unsigned, confused, named, foreign, changed)]
    assert reasons == ["algorithm", "algorithm", "signature", "signature", "signature"]
    assert noted() == [(reason, "") for reason in reasons]


def test_a_shared_key_is_no_key_of_another_algorithm(ports, stranger, anna):
    webmail = SigningWebmail(ports, OTHER, algorithm=Webmail.HS256)
    token = signed(webmail.header | {"alg": "HS512"}, webmail.claims(anna.login), webmail.sign)
    assert refusal(ports, stranger, token, Arrival(OTHER, "iframe")) == "algorithm"


DEEP = base64url(b"[" * 3000) + ".e30.e30"


@pytest.mark.parametrize("token", [None, "", "x", "a.b.c", "é" * 5000, "x" * 5000, 7, b"a.b.c", "..", "\0", DEEP])
def test_what_is_no_token_is_refused_and_fills_no_audit_trail(ports, stranger, webmail, token):
    assert refusal(ports, stranger, token) == "shape"
    assert noted() == []


KEY_NUMBERS = ["\ud800", "\0", "", "x" * 3000, "a b", "é", "' OR 1=1 -- ", 7, None, True, [], {}, ["x"], 1e400]


@pytest.mark.parametrize("number", KEY_NUMBERS, ids=repr)
def test_a_number_that_no_key_has_is_refused(ports, stranger, anna, webmail, number):
    token = signed(webmail.header | {"kid": number}, webmail.claims(anna.login), webmail.sign)
    assert refusal(ports, stranger, token) in ("key", "shape")
    assert noted() == []


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(st.characters(codec=None), max_size=80)
    | st.sampled_from(["EdDSA", "HS256", "none", "\ud800", "\0", HANDOFF]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=6,
)
NAMES = ("alg", "typ", "kid", "b64", "crit", "zip", "cty", "jku", "jwk", "x5u", "x5c", "enc")
ANY_CASES = hypothesis_settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def may_be_brought(ports, token: object) -> None:
    """Whatever it is, it is refused as one that does not count."""
    with pytest.raises((NotAccepted, TooManyAttempts)):
        handoffs.examine(UnitOfWork(ports, Actor(address="192.0.2.1")), token, IN_ITS_FRAME)


@ANY_CASES
@given(header=st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=8), JSON, max_size=5), names_key=st.booleans())
def test_whatever_stands_in_a_header_is_refused(ports, anna, webmail, header, names_key):
    header = header | ({"kid": webmail.row.key_id} if names_key else {})
    may_be_brought(ports, signed(header, webmail.claims(anna.login), lambda _: b"no signature"))


@ANY_CASES
@given(
    claims=st.dictionaries(st.sampled_from(["iss", "aud", "sub", "iat", "nbf", "exp", "jti", "sid"]), JSON, min_size=1)
)
def test_whatever_a_webmail_claims_is_refused_where_it_is_wrong(ports, anna, webmail, claims):
    # One wrong thing is enough, and nobody has this login.
    claims = webmail.claims("nobody@example.org") | claims
    may_be_brought(ports, signed(webmail.header, claims, webmail.sign))


@ANY_CASES
@given(token=st.text(st.characters(codec=None)) | st.from_regex(r"[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*"))
def test_whatever_text_is_brought_is_refused(ports, webmail, token):
    may_be_brought(ports, token)


def test_a_key_that_is_not_known_is_refused(ports, stranger, anna, webmail):
    token = signed(webmail.header | {"kid": "unknown"}, webmail.claims(anna.login), webmail.sign)
    assert refusal(ports, stranger, token) == "key"
    Webmail.delete().execute()
    assert refusal(ports, stranger, webmail.handoff(anna.login)) == "key"


def test_it_counts_once(ports, stranger, anna, webmail):
    token = webmail.handoff(anna.login)
    assert enter(ports, stranger, token)
    assert refusal(ports, stranger, token) == "replay"
    assert refusal(ports, acting(anna), token) == "replay"
    assert noted() == [("replay", anna.login)] * 2


def test_of_many_at_the_same_moment_one_counts(ports, stranger, anna, webmail):
    token = webmail.handoff(anna.login)
    outcomes = at_the_same_instant(*[lambda: enter(ports, stranger, token)] * 8)
    assert sum(isinstance(outcome, tuple) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, NotAccepted) for outcome in outcomes) == 7
    assert WebSession.select().count() == 1


def test_used_tokens_are_kept_as_long_as_they_could_matter(ports, stranger, anna, webmail, clock):
    enter(ports, stranger, webmail.handoff(anna.login))
    clock.pass_by(housekeeping.USED_TOKENS_KEPT)
    housekeeping.clear_away()
    assert UsedToken.select().count() == 1
    clock.pass_by(120)
    housekeeping.clear_away()
    assert UsedToken.select().count() == 0


ARRIVALS = {
    "from another origin": (Arrival("https://evil.example", "iframe"), "origin"),
    "from an origin that begins alike": (Arrival(ORIGIN + ".evil.example", "iframe"), "origin"),
    "from an origin that is kept back": (Arrival("null", "iframe"), "origin"),
    "from no origin": (Arrival(None, "iframe"), "origin"),
    "from Postern itself": (Arrival("http://127.0.0.1:8123", "iframe"), "origin"),
    "by a script": (Arrival(ORIGIN, "empty"), "destination"),
    "as an object": (Arrival(ORIGIN, "object"), "destination"),
}


@pytest.mark.parametrize(("arrival", "reason"), ARRIVALS.values(), ids=ARRIVALS)
def test_a_stolen_one_is_refused_where_it_does_not_belong(ports, stranger, anna, webmail, arrival, reason):
    assert refusal(ports, stranger, webmail.handoff(anna.login), arrival) == reason
    assert noted() == [(reason, anna.login)]


def test_another_webmails_page_does_not_post_it(ports, stranger, anna, webmail):
    SigningWebmail(ports, OTHER)
    assert refusal(ports, stranger, webmail.handoff(anna.login), Arrival(OTHER, "iframe")) == "origin"


def test_a_webmail_speaks_for_its_own_organisation(ports, stranger, people, anna):
    Organisation.create(name="Another Ltd")
    own = SigningWebmail(ports, ORIGIN, organisation="Example Ltd")
    foreign = SigningWebmail(ports, OTHER, organisation="Another Ltd")
    assert refusal(ports, stranger, foreign.handoff(anna.login), Arrival(OTHER, "iframe")) == "account"
    assert noted() == [("account", "")]
    assert enter(ports, stranger, own.handoff(anna.login))


def test_a_webmail_speaks_for_nobody_without_a_mailbox(ports, stranger, manager, webmail):
    assert refusal(ports, stranger, webmail.handoff(manager.login)) == "account"


@pytest.mark.parametrize("role", Account.MANAGERS)
def test_a_manager_with_a_mailbox_comes_in_as_a_person(ports, stranger, people, webmail, role):
    both = people.add("both", role=role)
    _session, token = enter(ports, stranger, webmail.handoff(both.login))
    account = sessions.find(token).account
    assert (account, account.is_manager, account.acting_role) == (both, False, Account.PERSON)


@pytest.mark.parametrize("state", [Account.LOCKED, Account.SUSPENDED, Account.PENDING, Account.DISABLED])
def test_who_may_not_enter_does_not(ports, stranger, anna, webmail, state):
    Account.update(state=state).execute()
    assert refusal(ports, stranger, webmail.handoff(anna.login)) == "state"


def test_the_same_account_goes_on_with_its_session(ports, stranger, anna, webmail):
    session, _ = enter(ports, stranger, webmail.handoff(anna.login))
    actor = Actor(anna, session, "192.0.2.1", "Firefox")
    assert enter(ports, actor, webmail.handoff(anna.login, sid="session-2")) is None
    assert WebSession.get().webmail_session == "session-2"


def test_a_session_that_began_with_the_password_ends_and_does_not_become_the_webmails(ports, anna, webmail):
    own = acting(anna)
    assert sessions.password_is_recent(own.session)
    session, token = enter(ports, own, webmail.handoff(anna.login))
    assert not sessions.exists(own.session)
    assert [each.token_hash for each in WebSession.select()] == [session.token_hash]
    assert (session.webmail, session.password_at) == (webmail.row, 0)
    assert sessions.find(token) == session


def test_a_session_that_another_webmail_began_ends_and_does_not_become_this_ones(ports, stranger, anna, webmail):
    other = SigningWebmail(ports, OTHER)
    session, first = enter(ports, stranger, other.handoff(anna.login), Arrival(OTHER, "iframe"))
    session.write(password_at=now())
    actor = Actor(anna, session, "192.0.2.1", "Firefox")
    session, token = enter(ports, actor, webmail.handoff(anna.login))
    assert sessions.find(first) is None
    assert sessions.find(token).webmail == webmail.row
    assert not sessions.password_is_recent(session)


def test_another_account_takes_its_place_and_the_first_is_signed_out(ports, anna, boris, webmail):
    session, _ = enter(ports, acting(boris), webmail.handoff(anna.login))
    assert [each.account for each in WebSession.select()] == [anna]
    assert session.account == anna
    assert AuditEvent.get(AuditEvent.action == "web:session:signed-out").account == boris


def test_a_webmails_session_that_was_ended_signs_nobody_in(ports, stranger, anna, webmail):
    wanted = WantedCredential(anna.login, PASSWORD, "session-1", "192.0.2.1", "Firefox")
    made = webmail_credentials.make(ports, webmail.row, wanted)
    assert enter(ports, stranger, webmail.handoff(anna.login))
    webmail_credentials.end(UnitOfWork(ports, acting(anna)), made.credential)
    assert refusal(ports, stranger, webmail.handoff(anna.login)) == "ended"
    assert enter(ports, stranger, webmail.handoff(anna.login, sid="session-2"))
    webmail_credentials.make(ports, webmail.row, wanted)
    assert enter(ports, stranger, webmail.handoff(anna.login))
    WebmailCredential.update(expires_at=now()).execute()
    assert refusal(ports, stranger, webmail.handoff(anna.login)) == "ended"


def test_one_that_keeps_the_password_ends_with_the_password(ports, stranger, anna, webmail):
    Account.update(password_changed_at=1000).execute()
    assert refusal(ports, stranger, webmail.handoff(anna.login, auth_time=999)) == "ended"
    assert enter(ports, stranger, webmail.handoff(anna.login, auth_time=1000))


def brought(ports, actor: Actor, token: object) -> str:
    """What becomes of a token that does not count."""
    try:
        enter(ports, actor, token)
    except (NotAccepted, TooManyAttempts) as refusal:
        return getattr(refusal, "reason", "wait")
    raise AssertionError("it counts")


def forged(webmail: SigningWebmail, login: str) -> str:
    """It names the key, which each person of the webmail can read, and is signed by another."""
    return signed(webmail.header, webmail.claims(login), by_hmac(b"another key"))


def test_who_keeps_forging_is_slowed_down_and_nobody_else(ports, stranger, anna, webmail):
    assert [brought(ports, stranger, forged(webmail, anna.login)) for _ in range(30)] == ["signature"] * 20 + [
        "wait"
    ] * 10
    assert len(noted()) == 20
    neighbour = Actor(address=stranger.address)
    assert enter(ports, neighbour, webmail.handoff(anna.login))
    assert brought(ports, Actor(address="198.51.100.1"), forged(webmail, anna.login)) == "signature"
    other = SigningWebmail(ports, OTHER)
    assert brought(ports, stranger, forged(other, anna.login)) == "signature"


def test_what_anybody_can_make_up_costs_no_write_and_stops_nobody(ports, stranger, anna, webmail, statements):
    for token in ["x.y.z", "", signed(webmail.header | {"kid": "unknown"}, {}, webmail.sign)] * 100:
        assert brought(ports, stranger, token) in ("shape", "key")
    assert {statement.split()[0] for statement in statements} <= {"SELECT"}
    assert enter(ports, stranger, webmail.handoff(anna.login))


def test_a_good_one_that_is_brought_again_and_again_is_no_attack(ports, stranger, anna, webmail):
    """Two clicks, or sixty."""
    token = webmail.handoff(anna.login)
    outcomes = at_the_same_instant(*[lambda: brought_in(ports, stranger, token)] * 60)
    assert sorted(map(str, outcomes)) == ["entered"] + ["replay"] * 59
    assert 1 <= len(noted()) <= 20
    assert enter(ports, stranger, webmail.handoff(anna.login))
    assert brought(ports, stranger, webmail.handoff(anna.login, aud="https://elsewhere.example.org")) == "audience"


def brought_in(ports, actor: Actor, token: str) -> str:
    try:
        return "entered" if enter(ports, actor, token) else "went on"
    except NotAccepted as refusal:
        return refusal.reason


def test_a_webmail_that_is_removed_takes_its_sessions_along(ports, stranger, anna, webmail):
    enter(ports, stranger, webmail.handoff(anna.login))
    own = acting(anna).session
    assert cuts_at_once(webmails.remove, UnitOfWork(ports, OPERATOR), ORIGIN)
    assert list(WebSession.select()) == [own]
