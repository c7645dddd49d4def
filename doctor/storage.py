"""The database, and what stands in it that cannot work."""

import time
from collections.abc import Iterator

from peewee import PeeweeException

from actions.ground import phone_numbers
from actions.ground.addresses import receiver
from actions.ground.ports import Ports
from actions.upkeep import installation
from database import database, differing_migrations, first_damage, is_mysql, is_unfinished_restore
from doctor.clocks import compared
from doctor.findings import Finding, fine, judged, wrong
from models import Account, Mailbox
from upgrades import unfinished

MOST_NAMED = 10
# Without these being well, nothing that is in the database can be examined.
NEEDED = {"database", "migrations"}


def answers(_ports: Ports) -> Iterator[Finding]:
    try:
        missing, unknown = differing_migrations()
    except PeeweeException as trouble:
        if is_unfinished_restore(trouble):
            yield wrong("database", f"{trouble}.", "Run “flask restore” again, to its end.")
        else:
            yield wrong("database", f"The database does not answer: {trouble}.", "Check POSTERN_DATABASE_URL.")
        return
    yield fine("database", "The database answers.")
    trouble, mend = "", ""
    if missing:
        trouble, mend = f"{len(missing)} migration(s) are missing.", "Run “flask db upgrade”."
    elif begun := unfinished(unknown):
        trouble, mend = begun
    elif unknown:
        trouble = f"A later version of Postern has been at work here: it applied {', '.join(unknown)}."
        mend = "Run that version here too, or restore the backup that was made before."
    yield judged("migrations", trouble, mend, "The database is up to date.")


def damage(_ports: Ports) -> Iterator[Finding]:
    mend = "Stop Postern and Dovecot, and restore a backup."
    try:
        found = first_damage()
    except PeeweeException as trouble:
        found = str(trouble)
    yield judged("damage", found and f"The database file is damaged ({found}).", mend, "Its file is not damaged.")


def secret_key(ports: Ports) -> Iterator[Finding]:
    """Two nodes with different keys refuse each other's sessions, links and e-mails."""
    other = installation.with_another_key(ports.settings)
    when = other and time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime(other.seen_at))
    trouble = other and f"The worker on {other.node} used another secret key with this database (at {when})."
    mend = (
        "Give every node the same secret.key or POSTERN_SECRET_KEY, and restart them; after a deliberate change of the"
        " key this is over an hour after the last worker with the former one."
    )
    yield judged("secret key", trouble or "", mend, "No worker uses another secret key with this database.")


def clock(_ports: Ports) -> Iterator[Finding]:
    """SQLite has none of its own."""
    if is_mysql():
        ((moment,),) = database.execute_sql("SELECT UNIX_TIMESTAMP()").fetchall()
        yield compared("the database server", moment)


def delimited(ports: Ports) -> Iterator[Finding]:
    """Mailboxes that were made before the delimiter was known, or while it was another one: none of their mail reaches
    them."""
    delimiter = ports.settings.recipient_delimiter
    every = Mailbox.select(Mailbox.address).order_by(Mailbox.address).tuples().iterator()
    if affected := [address for (address,) in every if receiver(address, delimiter) != address]:
        yield wrong(
            "addresses",
            f"{len(affected)} mailbox(es) contain “{delimiter}” before the @, so mail to them goes to the address"
            f" without what follows it: {_named(affected)}.",
            "Give these people another address, or set POSTERN_RECIPIENT_DELIMITER to another sign and write Dovecot's"
            " configuration again.",
        )


def without_messages(_ports: Ports) -> Iterator[Finding]:
    """Phone numbers that earlier versions took, and no text message can reach."""
    every = Account.select(Account.login, Account.phone).where(Account.phone != "").order_by(Account.login)
    if affected := [login for login, phone in every.tuples().iterator() if not phone_numbers.takes_messages(phone)]:
        yield wrong(
            "phone numbers",
            f"{len(affected)} account(s) have a landline or another number that no text message can reach:"
            f" {_named(affected)}.",
            "Give these people the number of a mobile phone.",
        )


def _named(affected: list[str]) -> str:
    return ", ".join(affected[:MOST_NAMED]) + (", …" if len(affected) > MOST_NAMED else "")
