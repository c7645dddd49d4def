"""How an installation is known again: by its secret key, of which nothing is told; and whether its worker works.

Each worker writes a sign of life for its node, with a check of the secret key. Whoever asks the panel's `/healthz`
with a question of their own in the header `QUESTION` gets a proof in `ANSWER` that the same key is known there, and
one over the address that the panel takes theirs for. Whoever does not know the key learns nothing from either.
"""

import hmac
import socket

from actions.ground.encryption import derived_key
from models import WorkerSign, now
from settings import Settings

QUESTION, ANSWER = "X-Postern-Question", "X-Postern-Answer"
# Seconds. A worker gives a sign every minute.
STANDS_STILL_AFTER = 300
# For so long a node that stopped is taken for one that still works: perhaps it is only being started again.
STILL_COUNTS = 3600


def give_a_sign(settings: Settings) -> None:
    """The worker on this node works, and uses this secret key."""
    WorkerSign.replace(node=this_node(), key_check=_proof(settings, "worker"), seen_at=now()).execute()


def last_sign() -> WorkerSign | None:
    return WorkerSign.select().order_by(WorkerSign.seen_at.desc()).first()


def with_another_key(settings: Settings) -> WorkerSign | None:
    """The latest sign of a worker that uses another secret key, unless one with this key was there long after it."""
    own = WorkerSign.key_check == _proof(settings, "worker")
    other = WorkerSign.select().where(~own).order_by(WorkerSign.seen_at.desc()).first()
    known = WorkerSign.select().where(own).order_by(WorkerSign.seen_at.desc()).first()
    return None if other and known and known.seen_at > other.seen_at + STILL_COUNTS else other


def this_node() -> str:
    return socket.gethostname()[:255]


def answer(settings: Settings, question: str, address: str | None) -> str:
    """What the panel answers: two proofs."""
    return f"{_proof(settings, 'panel', question)} {_proof(settings, 'address', question, address or '')}"


def is_from_here(settings: Settings, question: str, answered: str) -> bool:
    """Whether the answer to a question comes from a panel with the same secret key."""
    return hmac.compare_digest(answered.partition(" ")[0].encode(), _proof(settings, "panel", question).encode())


def is_taken_for(settings: Settings, question: str, answered: str, address: str) -> bool:
    """Whether the panel took whoever asked for this address."""
    told = answered.partition(" ")[2]
    return hmac.compare_digest(told.encode(), _proof(settings, "address", question, address).encode())


def _proof(settings: Settings, *facts: str) -> str:
    key = derived_key(settings.secret_key, "this installation")
    return hmac.new(key, "\n".join(facts).encode(), "sha256").hexdigest()
