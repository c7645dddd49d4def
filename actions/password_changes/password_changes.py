"""New passwords for several mailboxes of a domain at once, or links by which their owners set them.

The steps follow the customer cabinet of Почта Лайт. A manager chooses the mailboxes and where the credentials go (a
*draft*, which the preview shows), and confirms with their own password. The worker does the rest
(`password_change_run`): it prepares everything, sends the archive and its key, and puts the passwords into force only
after both were accepted.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from peewee import IntegrityError, Value, fn

from actions.authority import authority
from actions.ground import phone_numbers, throttle
from actions.ground.addresses import canonical_contact, canonical_login, checked_name
from actions.ground.holding import hold_account
from actions.ground.ports import Ports
from actions.ground.refusals import N_, Refused
from actions.ground.unit_of_work import UnitOfWork, unit_of_work
from actions.password_changes import archive
from actions.passwords import passwords
from actions.services import search_words, services
from actions.sessions import sessions
from actions.trail import audit
from actions.trail.events import Event
from database import transactional
from models import Account, AccountWord, Domain, Mailbox, PasswordChange, PasswordChangeItem, Service, WebSession, now
from settings import LANGUAGES

# As many as fit into an e-mail that mail servers accept: Postfix by default takes ten million bytes.
MOST_MAILBOXES = 5000
LARGEST_ID = 2**31 - 1
MOST_DRAFTS = 5
HOUR, DAY = 3600, 24 * 3600
STARTED_A_DAY = throttle.Limit("password changes of a service", free=50, ceiling=50, window=DAY)
SENT_AGAIN = throttle.Limit("credentials sent again", free=3, ceiling=10, window=DAY)
# An old draft must be started again from the form: there may be other mailboxes by then.
DRAFT_KEPT = HOUR
# Computing takes most of the time; putting a password into force is quick.
PREPARING_SHARE = 0.9

CANCELLED = N_("It was cancelled before this mailbox's turn.")


@dataclass(frozen=True)
class Choice:
    """Which mailboxes of the domain: all that may be chosen, or those with these ids."""

    everyone: bool = False
    mailbox_ids: Sequence[int] = ()


@dataclass(frozen=True)
class WantedChange:
    """The request for a change. `language` is that of the e-mail, the archive and the text message. The last three
    fields have no effect with links: the password stays until its owner sets another, which ends everything by
    itself."""

    phone: str
    full_name: str
    email: str
    kind: str = PasswordChange.PASSWORDS
    archive_format: str = PasswordChange.ZIP
    language: str = ""
    must_change: bool = False
    everywhere: bool = False
    devices_too: bool = False


@dataclass(frozen=True)
class Progress:
    """The progress of a change: the number of mailboxes in all, prepared, with a new password, and left unchanged.
    `left` estimates the seconds for the rest, None where no estimate is possible."""

    total: int
    prepared: int
    changed: int
    skipped: int
    left: int | None

    @property
    def share(self) -> float:
        """The part that is done, from 0 to 1."""
        if not self.total:
            return 1.0
        settled = self.changed + self.skipped
        return PREPARING_SHARE * (self.prepared + settled) / self.total + (1 - PREPARING_SHARE) * settled / self.total


def choosable(account: Account, domain: Domain):
    """The domain's mailboxes whose passwords this manager may change, by address: those of active accounts below the
    manager's own rank."""
    return (
        Mailbox.select(Mailbox, Account)
        .join(Account, on=Mailbox.account)
        .where(
            Account.domain == domain,
            Account.state == Account.ACTIVE,
            Account.role.in_(authority.roles_below(account)),
        )
        .order_by(Account.login)
    )


def search(account: Account, domain: Domain, typed: str):
    """The choosable mailboxes whose address or owner's name has a word that begins with the text typed."""
    sought = search_words.searched(typed)
    if not sought:
        return choosable(account, domain)
    words = AccountWord.select(AccountWord.account).where(
        AccountWord.domain_id == domain.id,
        AccountWord.state == Account.ACTIVE,
        AccountWord.word >= sought,
        AccountWord.word < f"{sought}\x7f",
    )
    return choosable(account, domain).where(Account.id.in_(words))


def of(account: Account, service: Service):
    """The changes of a service that the account sees, newest first: those that were started, and its own drafts."""
    own = (PasswordChange.state != PasswordChange.DRAFT) | (PasswordChange.manager == account)
    return (
        PasswordChange.select(PasswordChange, Domain)
        .join(Domain)
        .where(PasswordChange.service == service, own)
        .order_by(PasswordChange.id.desc())
    )


def find(account: Account, service_id: int, change_id: int) -> PasswordChange | None:
    """The change with this id, if the account manages its service."""
    service = services.find(account, service_id)
    return service and of(account, service).where(PasswordChange.id == change_id).first()


def checked(ports: Ports, wanted: WantedChange) -> WantedChange:
    """The request in stored form; raises `Refused` with the field that is wrong."""
    settings = ports.settings
    if not settings.has_sms:
        raise Refused(N_("Text messages cannot be sent yet: the operator has to set up a gateway first."), "phone")
    if wanted.kind not in (PasswordChange.PASSWORDS, PasswordChange.LINKS):
        raise Refused(N_("Not a valid choice."), "kind")
    if wanted.archive_format not in (PasswordChange.ZIP, PasswordChange.PDF):
        raise Refused(N_("Not a valid choice."), "archive_format")
    if wanted.archive_format == PasswordChange.PDF and not ports.archiver.makes_pdf():
        raise Refused(
            N_("PDF documents cannot be created here: the operator has to install their fonts first."), "archive_format"
        )
    if wanted.language not in ("", *LANGUAGES):
        raise Refused(N_("Not a valid choice."), "language")
    changes_now = wanted.kind == PasswordChange.PASSWORDS
    return WantedChange(
        phone_numbers.accepted(settings, wanted.phone),
        checked_name(wanted.full_name, "full_name"),
        _checked_email(wanted.email),
        wanted.kind,
        wanted.archive_format,
        wanted.language,
        wanted.must_change and changes_now,
        wanted.everywhere and changes_now,
        wanted.devices_too and wanted.everywhere and changes_now,
    )


def _checked_email(typed: str) -> str:
    try:
        return canonical_contact(typed)
    except Refused as refusal:
        raise Refused(refusal.sentence, "email", **refusal.facts) from None


@unit_of_work
def draft(unit: UnitOfWork, domain: Domain, choice: Choice, wanted: WantedChange) -> PasswordChange:
    """Create the draft for the preview, without changing any password. Raises `Refused` with the field that is
    wrong."""
    wanted = checked(unit.ports, wanted)
    chosen = _chosen(unit.actor.account, domain, choice)
    change = PasswordChange.create(
        service=domain.service,
        domain=domain,
        manager=unit.actor.account,
        manager_login=unit.actor.login,
        phone=wanted.phone,
        full_name=wanted.full_name,
        email=wanted.email,
        kind=wanted.kind,
        archive_format=wanted.archive_format,
        language=wanted.language,
        must_change=wanted.must_change,
        everywhere=wanted.everywhere,
        devices_too=wanted.devices_too,
    )
    fresh = PasswordChangeItem(change=change)
    columns = (Mailbox.id, Mailbox.address, *map(Value, (change.id, fresh.state, fresh.reason, False, fresh.secret)))
    PasswordChangeItem.insert_from(chosen.select(*columns), COPIED).execute()
    _forget_old_drafts(unit.actor.account)
    return change


def _forget_old_drafts(account: Account) -> None:
    """Delete all but the latest drafts: repeated previews would leave thousands of rows."""
    is_draft = PasswordChange.state == PasswordChange.DRAFT
    drafts = PasswordChange.select().where(is_draft, PasswordChange.manager == account)
    old = list(drafts.order_by(PasswordChange.id.desc()))[MOST_DRAFTS:]
    PasswordChange.delete().where(is_draft, PasswordChange.these(old)).execute()


# The columns that an item copies from its mailbox, and its initial values: INSERT … SELECT applies no defaults.
COPIED = (
    PasswordChangeItem.mailbox,
    PasswordChangeItem.address,
    PasswordChangeItem.change,
    PasswordChangeItem.state,
    PasswordChangeItem.reason,
    PasswordChangeItem.in_archive,
    PasswordChangeItem.secret,
)


def _chosen(account: Account, domain: Domain, choice: Choice):
    """The query of the chosen mailboxes; raises `Refused` when there are none, too many, or some that may not be
    chosen."""
    found = choosable(account, domain)
    if not choice.everyone:
        ids = set(choice.mailbox_ids)
        _refuse_too_many(len(ids))
        found = found.where(Mailbox.id.in_([each for each in ids if 0 < each <= LARGEST_ID]))
        if found.count() < len(ids):
            _refuse_others(domain, ids, found)
    count = found.count()
    if not count:
        raise Refused(N_("Choose at least one mailbox."), "mailboxes")
    _refuse_too_many(count)
    return found


def _refuse_too_many(count: int) -> None:
    if count > MOST_MAILBOXES:
        sentence = N_("You selected %(count)s mailboxes. At most %(most)s can be changed at the same time.")
        raise Refused(sentence, "mailboxes", count=count, most=MOST_MAILBOXES)


def _refuse_others(domain: Domain, ids: set[int], found) -> None:
    """Name the first mailbox of the domain that may not be chosen; say nothing about mailboxes of other domains."""
    others = {each for each in ids if 0 < each <= LARGEST_ID} - {mailbox.id for mailbox in found}
    barred = Mailbox.select().where(Mailbox.domain == domain, Mailbox.id.in_(others)).first()
    if barred is None:
        raise Refused(
            N_("Some of these are not mailboxes of this domain, or no longer exist. Choose again."), "mailboxes"
        )
    sentence = N_("%(address)s is locked, suspended or not yours to change. Remove it from the selection.")
    raise Refused(sentence, "mailboxes", address=barred.address)


def start(
    unit: UnitOfWork, change: PasswordChange, password: object, browser: str | None = None
) -> tuple[WebSession, str]:
    """Hand a draft over to the worker; a change that is already started stays as it is. Returns the renewed session,
    because the password was given, and the token for its cookie. Raises `Refused` when the password is not the acting
    person's, a mailbox is in another change in progress, or the draft is too old, or `throttle.TooManyAttempts`."""
    passwords.confirm(unit, password, browser)
    return _start_and_go_on(unit, change)


@unit_of_work
def _start_and_go_on(unit: UnitOfWork, change: PasswordChange) -> tuple[WebSession, str]:
    _start(unit, change)
    return sessions.renew(unit)


def _start(unit: UnitOfWork, change: PasswordChange) -> None:
    started = change.proceed(
        PasswordChange.DRAFT,
        PasswordChange.PREPARING,
        started_at=now(),
        address=unit.actor.address,
        user_agent=unit.actor.user_agent,
    )
    if not started:
        return
    if now() >= change.created_at + DRAFT_KEPT:
        raise Refused(N_("This was prepared more than an hour ago. Start again from the form."), "current_password")
    if not may_go_on(change):
        raise Refused(N_("You are not allowed to do this."), "current_password")
    authority.refuse_unless_may_manage(unit.actor, change.service)
    throttle.attempt([STARTED_A_DAY.on(change.service_id)])
    _take(change)
    count = change.items.count()
    audit.record(
        unit.actor,
        Event.PASSWORD_CHANGE_STARTED,
        None,
        domain=change.domain.name,
        mailboxes=count,
        kind=change.kind,
        phone=change.phone,
        email=change.email,
    )


def may_go_on(change: PasswordChange) -> bool:
    """Whether its manager, whose row this holds until the transaction ends, still manages the service."""
    try:
        manager = hold_account(change.manager_id, change.manager_login)
    except Refused:
        return False
    return authority.may_manage(manager, change.service)


def _take(change: PasswordChange) -> None:
    """Reserve each mailbox for this change, and store the hash of the password to replace."""
    present = (
        Account.select(Account.password_hash)
        .join(Mailbox, on=Mailbox.account)
        .where(Mailbox.id == PasswordChangeItem.mailbox)
    )
    try:
        PasswordChangeItem.update(open_mailbox=PasswordChangeItem.mailbox, old_hash=present).where(
            PasswordChangeItem.change == change
        ).execute()
    except IntegrityError:
        sentence = N_(
            "Some of these mailboxes are in another password change that is still running. Wait until it has finished."
        )
        raise Refused(sentence, "current_password") from None


@unit_of_work
def cancel(unit: UnitOfWork, change: PasswordChange) -> None:
    """Stop before the next mailbox. Mailboxes with a new password keep it, because the archive has it. Raises `Refused`
    when the change is over, or the acting person no longer manages the service."""
    authority.refuse_unless_may_manage(unit.actor, change.service)
    if not end(change, PasswordChange.CANCELLED, CANCELLED):
        raise Refused(N_("This has already ended."))
    audit.record(unit.actor, Event.PASSWORD_CHANGE_CANCELLED, None, domain=change.domain.name, **counts(change))


def end(change: PasswordChange, state: str, reason: str = "") -> bool:
    """Close an open change, within the caller's transaction. The remaining mailboxes stay unchanged, and another change
    may include them. False when the change was closed before."""
    if not any(change.proceed(before, state, finished_at=now()) for before in PasswordChange.OPEN):
        return False
    if state != PasswordChange.DONE:
        change.write(reason=reason)
    items = PasswordChangeItem.change == change
    left = PasswordChangeItem.state.in_((PasswordChangeItem.WAITING, PasswordChangeItem.PREPARED))
    PasswordChangeItem.update(state=PasswordChangeItem.SKIPPED, reason=reason).where(items, left).execute()
    PasswordChangeItem.update(open_mailbox=None, secret="", new_hash=None, old_hash=None).where(items).execute()
    if not change.items.where(PasswordChangeItem.state == PasswordChangeItem.CHANGED).exists():
        archive.erase(change)
    else:
        archive.erase_when_delivered(change)
    return True


@unit_of_work
def send_mail_again(unit: UnitOfWork, change: PasswordChange) -> None:
    """Send the same archive again, or at once if it waits for another attempt. Raises `Refused` when it is erased, or
    the acting person no longer manages the service, or `throttle.TooManyAttempts`."""
    authority.refuse_unless_may_manage(unit.actor, change.service)
    _refuse_erased(change)
    throttle.attempt([SENT_AGAIN.on("mail", change.id)])
    if not archive.hurry(change, archive.mail_delivery(change), of_message=False):
        archive.put_mail(unit.ports, change)
    audit.record(unit.actor, Event.PASSWORD_CHANGE_MAIL_AGAIN, None, domain=change.domain.name, email=change.email)


@unit_of_work
def send_message_again(unit: UnitOfWork, change: PasswordChange) -> None:
    """Send the same key again, or at once if it waits for another attempt. Raises `Refused` when it is erased, or the
    acting person no longer manages the service, or `throttle.TooManyAttempts`."""
    authority.refuse_unless_may_manage(unit.actor, change.service)
    _refuse_erased(change)
    throttle.attempt([SENT_AGAIN.on("message", change.id)])
    if not archive.hurry(change, archive.message_delivery(change), of_message=True):
        archive.put_message(unit.ports, change)
    audit.record(unit.actor, Event.PASSWORD_CHANGE_MESSAGE_AGAIN, None, domain=change.domain.name, phone=change.phone)


def _refuse_erased(change: PasswordChange) -> None:
    if not archive.is_kept(change):
        raise Refused(
            N_("The archive and its password have been erased. Start a new password change for those who need it.")
        )


def counts(change: PasswordChange) -> dict[str, int]:
    """How many mailboxes have a new password or link, and how many were left unchanged."""
    found = _by_state(change)
    return {
        "changed": found.get(PasswordChangeItem.CHANGED, 0),
        "skipped": found.get(PasswordChangeItem.SKIPPED, 0),
    }


def progress(change: PasswordChange) -> Progress:
    """The change's progress now."""
    found = _by_state(change)
    prepared = PasswordChangeItem.new_hash.is_null(False) & (PasswordChangeItem.state == PasswordChangeItem.PREPARED)
    reached = Progress(
        total=sum(found.values()),
        prepared=change.items.where(prepared).count(),
        changed=found.get(PasswordChangeItem.CHANGED, 0),
        skipped=found.get(PasswordChangeItem.SKIPPED, 0),
        left=None,
    )
    return Progress(reached.total, reached.prepared, reached.changed, reached.skipped, _seconds_left(change, reached))


def _seconds_left(change: PasswordChange, reached: Progress) -> int | None:
    """An estimate from the pace so far; None while the e-mail and the text message wait for others."""
    passed = now() - (change.started_at or now())
    if change.state not in (PasswordChange.PREPARING, PasswordChange.CHANGING) or not reached.share or passed < 3:
        return None
    return round(passed * (1 - reached.share) / reached.share)


def _by_state(change: PasswordChange) -> dict[str, int]:
    query = (
        PasswordChangeItem.select(PasswordChangeItem.state, fn.COUNT(PasswordChangeItem.id))
        .where(PasswordChangeItem.change == change)
        .group_by(PasswordChangeItem.state)
    )
    return dict(query.tuples())


def changes_its_recipient(change: PasswordChange) -> bool:
    """Whether the credentials go to one of the mailboxes whose password is changed: a recipient who cannot open it
    cannot read them."""
    return change.items.where(PasswordChangeItem.address == canonical_login(change.email)).exists()


def clear_away() -> None:
    """Erase the secrets kept for seven days, stop changes that are still open by then, and delete abandoned drafts."""
    moment = now()
    for change in PasswordChange.select().where(
        PasswordChange.started_at < moment - archive.KEPT, PasswordChange.erased_at.is_null()
    ):
        _clear_away(change)
    PasswordChange.delete().where(
        PasswordChange.state == PasswordChange.DRAFT, PasswordChange.created_at < moment - DAY
    ).execute()


TOO_LONG = N_("It did not finish within seven days.")


@transactional
def _clear_away(change: PasswordChange) -> None:
    end(change, PasswordChange.STOPPED, TOO_LONG)
    archive.erase(change)
