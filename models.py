"""Storage: the tables and their named queries.

Times are whole seconds since the epoch in UTC. Tokens are stored as SHA-256 only. The views that Dovecot reads are in
`mail_views.py`: they are a contract with the mail server, and these tables may change behind them.
"""

import functools
import json
import secrets
import time

from peewee import (
    JOIN,
    BigIntegerField,
    BooleanField,
    CharField,
    CompositeKey,
    FixedCharField,
    ForeignKeyField,
    IntegerField,
    TextField,
    fn,
)

from database import Table, is_same
from mail_views import SELECTOR_LENGTH, PermissionBits, ProtocolBits
from named_queries import named

ANCIENT = 0
# A number of bytes before it is known.
NOT_KNOWN = -1

# Seconds by which the clocks of two nodes may differ. What lies further ahead was written by a clock that was wrong.
CLOCKS_DIFFER = 60


def now() -> int:
    """The present moment in whole seconds since the epoch."""
    return int(time.time())


def has_come(awaited: BigIntegerField | int, moment: int, at_most: int):
    """Whether a moment that was written down has come; of a column, the condition for it. None is further ahead than
    `at_most` seconds: one that is was written by a clock that was wrong, and is not waited for."""
    return (awaited <= moment) | (awaited > moment + at_most + CLOCKS_DIFFER)


class UnlimitedText(TextField):
    """Text that may be longer than the 64 KB which MySQL's TEXT holds."""

    field_type = "UNLIMITED_TEXT"


class JSONText(UnlimitedText):
    """A mapping kept as JSON text: readable by every database and by people."""

    def db_value(self, value):
        return None if value is None else json.dumps(value, ensure_ascii=False, sort_keys=True)

    def python_value(self, value):
        return None if value is None else json.loads(value)


class Organisation(Table):
    identity = ("name",)

    name = CharField(120, unique=True)
    created_at = BigIntegerField(default=now)


class Service(Table):
    """A mail service that an organisation ordered."""

    identity = ("organisation", "name")

    ACTIVE, SUSPENDED = "active", "suspended"

    organisation = ForeignKeyField(Organisation, backref="services", on_delete="RESTRICT")
    name = CharField(120)
    password_policy = CharField(16, default="classic")
    state = CharField(16, default=ACTIVE)
    # The account's password opens the webmail only; every other mail program needs a device password.
    device_passwords_only = BooleanField(default=False)
    # How many collaborators a mailbox may have.
    most_collaborators = IntegerField(default=50)
    # The order, 0 for no limit; and how much of it mailboxes use, counted where they are made and changed.
    most_mailboxes = IntegerField(default=0)
    quota_bytes = BigIntegerField(default=0)
    mailboxes_made = IntegerField(default=0)
    quota_given_bytes = BigIntegerField(default=0)
    # What the mailboxes held together when Dovecot was asked last, and when that was; NULL for not yet.
    used_bytes = BigIntegerField(default=0)
    used_at = BigIntegerField(null=True)
    created_at = BigIntegerField(default=now)
    # How often it was held: see `Table.hold`.
    held = BigIntegerField(default=0)

    class Meta:
        indexes = ((("organisation", "name"), True),)


class Domain(Table):
    identity = ("name",)

    service = ForeignKeyField(Service, backref="domains", on_delete="RESTRICT")
    name = CharField(253, unique=True)
    created_at = BigIntegerField(default=now)


def first_revision() -> int:
    """Where an account's revisions begin: a form about a removed one must not fit the account that got its number."""
    return secrets.randbelow(2**30)


class Account(Table):
    """A login that can sign in, and the person behind it."""

    identity = ("login", "created_at")

    OPERATOR, OWNER, ADMINISTRATOR, PERSON = "operator", "owner", "administrator", "person"
    COLLABORATOR = "collaborator"
    MANAGERS = (OPERATOR, OWNER, ADMINISTRATOR)
    ACTIVE, LOCKED, SUSPENDED = "active", "locked", "suspended"
    # Only collaborators: invited and without a password yet; and never to come back.
    PENDING, DISABLED = "pending", "disabled"
    LIGHT, DARK = "light", "dark"

    login = CharField(254, unique=True)
    role = CharField(16, default=PERSON)
    organisation = ForeignKeyField(Organisation, backref="accounts", null=True, on_delete="RESTRICT")
    first_name = CharField(120, default="")
    last_name = CharField(120, default="")
    contact_email = CharField(254, default="")
    # In E.164, such as +393331234567.
    phone = CharField(16, default="")
    language = CharField(8, default="")
    timezone = CharField(64, default="")
    # LIGHT or DARK; empty for what the person's system has.
    theme = CharField(8, default="")
    password_hash = CharField(255, null=True)
    password_changed_at = BigIntegerField(null=True)
    must_change_password = BooleanField(default=False)
    state = CharField(16, default=ACTIVE)
    # Counts what managers change, so that none of two who save at once overwrites the other unknowingly.
    revision = IntegerField(default=first_revision)
    # Of a mailbox's owner: where it is, which never changes, and the key that puts the list in the order of names
    # (`actions.services.search_words`). Each order of the list is an index of its own.
    service = ForeignKeyField(Service, null=True, on_delete="RESTRICT", index=False, backref="+")
    domain = ForeignKeyField(Domain, null=True, on_delete="RESTRICT", index=False, backref="+")
    sort_name = CharField(320, default="")
    # What the mailbox held when Dovecot was asked last, in bytes, NOT_KNOWN before that; and when a mail program or
    # webmail signed in last, about to the hour, ANCIENT for never.
    used_bytes = BigIntegerField(default=NOT_KNOWN)
    last_access = BigIntegerField(default=ANCIENT)
    # The address from which an e-mail came back, the reason as a number (RFC 3463) and when; and when an e-mail was
    # sent to find out anew, before which nothing counts.
    bounced_address = CharField(254, default="")
    bounce_status = CharField(11, default="")
    bounced_at = BigIntegerField(default=ANCIENT)
    contact_tried_at = BigIntegerField(default=ANCIENT)
    created_at = BigIntegerField(default=now)
    # How often it was held: see `Table.hold`.
    held = BigIntegerField(default=0)

    # Whether a webmail signed it in, which knows a person with a mailbox: then it acts as no more than that. Of the
    # object in memory alone.
    acts_as_person = False

    class Meta:
        indexes = (
            (("service", "state", "login"), False),
            (("service", "state", "sort_name"), False),
            (("domain", "state", "login"), False),
            (("domain", "state", "sort_name"), False),
            (("service", "state", "used_bytes"), False),
            (("domain", "state", "used_bytes"), False),
            (("service", "state", "last_access"), False),
            (("domain", "state", "last_access"), False),
        )

    @property
    def acting_role(self) -> str:
        """The role in which it acts; `role` is the one that protects it."""
        return self.PERSON if self.acts_as_person and self.role in self.MANAGERS else self.role

    @property
    def is_manager(self) -> bool:
        """Whether it acts as a manager."""
        return self.acting_role in self.MANAGERS

    @property
    def display_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip() or self.login

    @functools.cached_property
    def mailbox(self) -> "Mailbox | None":
        """The mailbox that this account opens, its own or the one it shares as a collaborator, as it was when first
        asked for; a manager need not have one."""
        opened = Mailbox.id == self.collaboration.mailbox_id if self.collaboration else Mailbox.account == self
        return Mailbox.select(Mailbox, Domain, Service).join(Domain).join(Service).where(opened).first()

    @functools.cached_property
    def collaboration(self) -> "Collaboration | None":
        """What this account may do in somebody else's mailbox, as it was when first asked for; None for all others."""
        return Collaboration.get_or_none(Collaboration.account == self) if self.is_collaborator else None

    @property
    def address(self) -> str:
        """The e-mail address that it writes from."""
        return self.mailbox.address if self.is_collaborator else self.login

    @property
    def outside_addresses(self) -> list[str]:
        """The addresses at which e-mails reach this person when the mailbox cannot be opened: the contact address, and
        a manager's login."""
        return [each for each in (self.contact_email, self.login if self.is_manager else "") if each]

    @property
    def returned_from(self) -> str:
        """The address from which its e-mails come back; empty for none that is still in use."""
        return self.bounced_address if self.bounced_address in self.outside_addresses else ""

    @property
    def session_name(self) -> str:
        """What the mail server calls the sessions of this account's password; its devices' begin with it."""
        return f"{self.mailbox.address}/c{self.collaboration.id}" if self.is_collaborator else self.login

    @property
    def is_collaborator(self) -> bool:
        return self.role == self.COLLABORATOR

    @property
    def owns_mailbox(self) -> bool:
        """Whether the mailbox that it opens is its own."""
        return self.mailbox is not None and not self.is_collaborator

    @property
    def may_enter(self) -> bool:
        """Whether it may sign in at all: a collaborator only as long as the mailbox's owner may."""
        if self.state != self.ACTIVE:
            return False
        return not self.is_collaborator or self.mailbox is not None and self.mailbox.account.state == self.ACTIVE

    @property
    def password_policy(self) -> str:
        return self.mailbox.domain.service.password_policy if self.mailbox else "classic"

    @classmethod
    def by_login(cls, login: str) -> "Account | None":
        return cls.get_or_none(cls.login == login)

    @classmethod
    def managers_of(cls, organisation: Organisation | None):
        """Who looks after an organisation's mailboxes and can still sign in."""
        return cls.select().where(
            cls.organisation == organisation,
            cls.role.in_((cls.OWNER, cls.ADMINISTRATOR)),
            cls.state == cls.ACTIVE,
        )

    def replace_password(self, old_hash: str | None, new_hash: str) -> bool:
        """Put a new hash in place of exactly the old one; False when somebody else was quicker."""
        fresh = {"password_hash": new_hash, "password_changed_at": now(), "must_change_password": False}
        return self.write(is_same(Account.password_hash, old_hash), **fresh)

    def put_into_state(self, state: str) -> bool:
        """Active, locked, suspended … from now on, also where the list of users looks for it; False when it is gone."""
        Account.update(revision=Account.revision + 1).where(self.itself()).execute()
        if not self.write(state=state):
            return False
        AccountWord.update(state=state).where(AccountWord.account == self).execute()
        return True


class Mailbox(Table):
    identity = ("home",)

    domain = ForeignKeyField(Domain, backref="mailboxes", on_delete="RESTRICT")
    account = ForeignKeyField(Account, backref="mailboxes", on_delete="RESTRICT")
    address = CharField(254, unique=True)
    # Where Dovecot keeps the mail, relative to the mail root. Never derived from the address alone: a new mailbox at
    # an old address must not find its predecessor's mail.
    home = CharField(300, unique=True)
    quota_bytes = BigIntegerField(default=0)
    device_passwords_only = BooleanField(default=False)
    created_at = BigIntegerField(default=now)

    @property
    def addresses(self) -> list[str]:
        """Its address, and the former ones whose mail still arrives."""
        return [self.address, *(each.address for each in FormerAddress.living(FormerAddress.mailbox == self))]

    @classmethod
    def by_address(cls, address: str) -> "Mailbox | None":
        return cls.get_or_none(cls.address == address)


class FormerAddress(Table):
    """An address that a mailbox had before, and whose mail still arrives there. Nobody else gets it meanwhile."""

    identity = ("address", "created_at")

    address = CharField(254, unique=True)
    domain = ForeignKeyField(Domain, backref="former_addresses", on_delete="CASCADE")
    mailbox = ForeignKeyField(Mailbox, backref="former_addresses", on_delete="CASCADE")
    created_at = BigIntegerField(default=now)
    # NULL for as long as nobody ends it.
    expires_at = BigIntegerField(null=True)

    @classmethod
    def living(cls, *conditions: object):
        """Those of these conditions whose mail still arrives, the newest first."""
        is_alive = cls.expires_at.is_null() | (cls.expires_at > now())
        return cls.select().where(is_alive, *conditions).order_by(cls.id.desc())


class Collaboration(PermissionBits, Table):
    """An account that opens a mailbox which is not its own, and what it may do there."""

    identity = ("account", "mailbox", "created_at")

    account = ForeignKeyField(Account, unique=True, on_delete="CASCADE")
    mailbox = ForeignKeyField(Mailbox, backref="collaborations", on_delete="CASCADE")
    permissions = IntegerField(default=PermissionBits.READ)
    created_by = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="collaborations_made")
    created_by_login = CharField(254)
    created_at = BigIntegerField(default=now)
    # Until when the link to set a password that was sent last can be used.
    link_expires_at = BigIntegerField(default=ANCIENT)

    def may(self, permission: int) -> bool:
        return bool(self.permissions & permission)

    @classmethod
    def mailbox_id_for(cls, account_id: int) -> int | None:
        """The mailbox that this account opens, its own or a shared one, found by one query for every role."""
        shared = cls.select(cls.mailbox).where(cls.account == account_id)
        own = Mailbox.select(Mailbox.id).where(Mailbox.account == account_id)
        found = list(shared.union_all(own).tuples())
        return found[0][0] if found else None


class Webmail(Table):
    """A webmail that signs its users in here, by tokens that it signs."""

    identity = ("key_id",)

    EDDSA, HS256 = "EdDSA", "HS256"

    origin = CharField(255, unique=True)
    key_id = CharField(32, unique=True)
    # Fixed for the key: the algorithm that a token names is not trusted.
    algorithm = CharField(8)
    # In base64: the public key for EdDSA; for HS256 the shared one, encrypted.
    key = TextField()
    # Whose mailboxes it may speak for; None for all.
    organisation = ForeignKeyField(Organisation, null=True, on_delete="RESTRICT", backref="webmails")
    created_at = BigIntegerField(default=now)

    @classmethod
    def by_origin(cls, origin: str) -> "Webmail | None":
        return cls.get_or_none(cls.origin == origin)

    def speaks_for(self, account: Account) -> bool:
        """Whether this is somebody whom it can know: who opens a mailbox of its organisation."""
        if account.mailbox is None:
            return False
        return self.organisation_id in (None, account.mailbox.domain.service.organisation_id)


class WebSession(Table):
    """A signed-in browser. The cookie holds the token; this row decides."""

    identity = ("token_hash",)

    account = ForeignKeyField(Account, backref="sessions", on_delete="CASCADE")
    token_hash = FixedCharField(64, unique=True)
    data = JSONText(default=dict)
    created_at = BigIntegerField(default=now)
    seen_at = BigIntegerField(default=now)
    # When the password was last given in this session: what dangerous actions ask for.
    password_at = BigIntegerField(default=ANCIENT)
    address = CharField(45, default="")
    user_agent = CharField(255, default="")
    # Of a session that a webmail's hand-off began: which webmail's, and which session there (the token's `sid`).
    webmail = ForeignKeyField(Webmail, null=True, on_delete="CASCADE", backref="sessions")
    webmail_session = CharField(64, default="")

    @named
    @staticmethod
    def with_token(token_hash):
        """The session with this token, and who is signed in: the account with the mailbox that it opens, the domain,
        the service, the owner and, of a collaborator, what they may do there."""
        own, owner = Mailbox.alias(), Account.alias()
        shares = (Collaboration.account == Account.id) & (Account.role == Account.COLLABORATOR)
        opened = Mailbox.id == fn.COALESCE(Collaboration.mailbox, own.id)
        return (
            WebSession.select(WebSession, Account, Collaboration, Mailbox, Domain, Service, owner)
            .join(Account)
            .join(Collaboration, JOIN.LEFT_OUTER, on=shares, attr="collaboration")
            .join_from(Account, own, JOIN.LEFT_OUTER, on=own.account == Account.id, attr="its_own")
            .join_from(Account, Mailbox, JOIN.LEFT_OUTER, on=opened, attr="mailbox")
            .join(Domain, JOIN.LEFT_OUTER)
            .join(Service, JOIN.LEFT_OUTER)
            .join_from(Mailbox, owner, JOIN.LEFT_OUTER, on=Mailbox.account == owner.id, attr="account")
            .where(WebSession.token_hash == token_hash)
        )

    @named
    @staticmethod
    def of_account(account):
        """The account's sessions, last used first."""
        theirs = WebSession.account == account
        return WebSession.select().where(theirs).order_by(WebSession.seen_at.desc(), WebSession.id.desc())


class KnownBrowser(Table):
    """A browser in which this account signed in before: strangers' guesses do not slow it down."""

    identity = ("token_hash",)

    account = ForeignKeyField(Account, backref="known_browsers", on_delete="CASCADE")
    token_hash = FixedCharField(64, unique=True)
    seen_at = BigIntegerField(default=now)


class OneTimeLink(Table):
    """A link that was sent to somebody; the row holds the hash of its token and what it was made for."""

    identity = ("token_hash",)

    account = ForeignKeyField(Account, backref="links", on_delete="CASCADE")
    purpose = CharField(32)
    token_hash = FixedCharField(64, unique=True)
    # The state of the account that the link was made for; in any other state it is void.
    bound_to = FixedCharField(64)
    # What else the link is about, such as the device that "This wasn't me" ends.
    subject_id = IntegerField(null=True)
    # What makes that very thing: of a device, the form that it was made by.
    subject = FixedCharField(64, default="")
    # The contact e-mail that it confirms, or puts back.
    address = CharField(254, default="")
    created_at = BigIntegerField(default=now)
    expires_at = BigIntegerField()
    used_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("account", "purpose"), False),)

    def use(self) -> bool:
        """Use the link up; True for exactly one caller, however many come at the same moment."""
        return self.write(OneTimeLink.used_at.is_null(), OneTimeLink.expires_at > now(), used_at=now())


class AuditEvent(Table):
    """Who did what to whom, when and from where. Names are as they were then; rows outlive accounts."""

    identity = ("at", "action", "actor_login", "account_login")

    at = BigIntegerField(default=now, index=True)
    action = CharField(64)
    actor = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="acted")
    actor_login = CharField(254, default="")
    account = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="events")
    account_login = CharField(254, default="")
    organisation = ForeignKeyField(Organisation, null=True, on_delete="SET NULL")
    # The mailbox that the account opens: its owner sees what its collaborators did, also when they are gone.
    mailbox = ForeignKeyField(Mailbox, null=True, on_delete="SET NULL")
    address = CharField(45, default="")
    user_agent = CharField(255, default="")
    details = JSONText(default=dict)

    class Meta:
        # Each way to look through a long trail has an index, which ends with the number: the order of the page.
        indexes = (
            (("account", "at"), False),
            (("organisation", "at"), False),
            (("organisation", "action"), False),
            (("organisation", "actor_login"), False),
            (("organisation", "account_login"), False),
            (("action",), False),
            (("actor_login",), False),
            (("account_login",), False),
        )

    @classmethod
    def of(cls, account: Account, before: int | None = None, narrowed: bool = False):
        """What an account may see, the newest first: what happened to itself; the owner of a mailbox also what happened
        to its collaborators; who acts as a manager what happened in the organisation, and the operator everything.
        `before` continues below the event of this id. `narrowed`: the caller adds a condition that fewer events fulfil
        than an organisation has, and whose index is the better one."""
        events = cls.select().order_by(cls.id.desc())
        if account.acting_role == Account.OPERATOR:
            pass
        elif account.is_manager and account.organisation_id:
            # A sum has no index, so that no database walks through the organisation's.
            organisation = cls.organisation + 0 if narrowed else cls.organisation
            events = events.where(organisation == account.organisation_id)
        elif account.owns_mailbox:
            events = events.where(cls.mailbox == account.mailbox)
        else:
            events = events.where(cls.account == account)
        return events.where(cls.id < before) if before else events


class OutboxItem(Table):
    """Something still to be done in the outside world, written in the transaction of its cause."""

    identity = ("key",)

    # Seconds for which an item is left alone at most, between two tries and while somebody tries; and between two tries
    # of one that was perhaps delivered.
    LONGEST_WAIT, FAR_APART = 600, 3600

    kind = CharField(16)
    # Says what the item is for: the same key is never put in twice.
    key = CharField(120, unique=True)
    account = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="outbox")
    payload = UnlimitedText()
    created_at = BigIntegerField(default=now)
    next_try_at = BigIntegerField(default=now)
    leased_until = BigIntegerField(default=ANCIENT)
    attempts = IntegerField(default=0)
    # How often it was handed over and no answer came: it was perhaps delivered.
    unanswered = IntegerField(default=0)
    last_error = CharField(500, default="")
    delivered_at = BigIntegerField(null=True)
    given_up_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("delivered_at", "given_up_at", "next_try_at"), False),)

    @classmethod
    def open_items(cls):
        return cls.select().where(cls.delivered_at.is_null(), cls.given_up_at.is_null())

    @classmethod
    def due(cls, moment: int):
        is_next = (has_come(cls.next_try_at, moment, cls.LONGEST_WAIT) & (cls.unanswered == 0)) | has_come(
            cls.next_try_at, moment, cls.FAR_APART
        )
        return (
            cls.open_items()
            .where(is_next, has_come(cls.leased_until, moment, cls.LONGEST_WAIT))
            .order_by(cls.next_try_at)
        )

    def lease(self, seconds: int, *conditions: object) -> bool:
        """Take the item for so many seconds, as long as the conditions hold; True for exactly one caller."""
        moment = now()
        free = has_come(OutboxItem.leased_until, moment, seconds)
        is_open = OutboxItem.delivered_at.is_null() & OutboxItem.given_up_at.is_null()
        leased = OutboxItem.update(leased_until=moment + seconds, attempts=OutboxItem.attempts + 1)
        return bool(leased.where(self.itself(), free, is_open, *conditions).execute())

    @property
    def is_untouched(self):
        """The condition that nobody took the item since it was loaded: each lease counts an attempt."""
        return OutboxItem.attempts == self.attempts


class Device(ProtocolBits, Table):
    """A password of its own for one mail program: a public selector, and a verifier that Dovecot checks."""

    identity = ("account", "request_id", "created_at")

    account = ForeignKeyField(Account, backref="devices", on_delete="CASCADE")
    name = CharField(120)
    icon = CharField(16)
    # Whom it is for, when that is somebody else in the organisation; and who made it.
    user = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="devices_used")
    created_by = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="devices_made")
    created_by_login = CharField(254)
    protocols = IntegerField()
    selector = FixedCharField(SELECTOR_LENGTH)
    verifier = CharField(255)
    expires_at = BigIntegerField(null=True)
    created_at = BigIntegerField(default=now)
    password_at = BigIntegerField(default=now)
    # Who was shown its password, or had it sent to somebody: when a collaborator goes, what they know goes with them.
    password_by = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="device_passwords_known")
    # The form that it was made by: a form that is sent twice makes one device.
    request_id = FixedCharField(64, unique=True)

    class Meta:
        indexes = ((("account", "selector"), True),)

    @named
    @staticmethod
    def concerning(account):
        """The account's own devices, and others' that are for it or whose passwords it handed out."""
        concerned = (Device.account == account) | (Device.user == account) | (Device.password_by == account)
        return Device.select().where(concerned).order_by(Device.id)


class LastLogin(Table):
    """When a login or device was used last, by which protocol and from where. Written by Dovecot alone."""

    login_id = BigIntegerField()
    device_id = BigIntegerField()  # 0: the account's password
    service = CharField(20)
    ip = CharField(45)
    last_access = BigIntegerField(index=True)

    class Meta:
        primary_key = CompositeKey("login_id", "device_id", "service", "ip")

    @classmethod
    def of_device(cls, device: Device):
        """The device's uses, the latest first."""
        return cls.select().where(cls.device_id == device.id).order_by(cls.last_access.desc())


class DeviceNetwork(Table):
    """A network from which a device was used: its owner gets one e-mail for each."""

    identity = ("device", "network")

    device = ForeignKeyField(Device, backref="networks", on_delete="CASCADE")
    network = CharField(49)
    seen_at = BigIntegerField(default=now)

    class Meta:
        indexes = ((("device", "network"), True),)


class DeviceInvitation(Table):
    """An invitation to set up a device; by itself it opens nothing, its recipient still proves who they are."""

    identity = ("account", "email", "name", "created_at")

    account = ForeignKeyField(Account, backref="device_invitations", on_delete="CASCADE")
    invited_by = ForeignKeyField(Account, on_delete="CASCADE", backref="invitations_made")
    user = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="invitations_received")
    email = CharField(254, default="")
    name = CharField(120)
    icon = CharField(16)
    protocols = IntegerField()
    device_expires_at = BigIntegerField(null=True)
    token_hash = FixedCharField(64, unique=True)
    # The code that was shown once to the inviter, and the one that was sent to the address, each as SHA-256 with a key.
    inviter_code_hash = FixedCharField(64, default="")
    mailed_code_hash = FixedCharField(64, default="")
    mailed_code_expires_at = BigIntegerField(default=ANCIENT)
    created_at = BigIntegerField(default=now)
    expires_at = BigIntegerField()
    accepted_at = BigIntegerField(null=True)
    withdrawn_at = BigIntegerField(null=True)
    device = ForeignKeyField(Device, null=True, on_delete="SET NULL", backref="invitation")

    @classmethod
    def undecided(cls):
        """The condition for those that were neither accepted nor withdrawn."""
        return cls.accepted_at.is_null() & cls.withdrawn_at.is_null()

    @classmethod
    def pending(cls, account: Account):
        """The account's invitations that can still be accepted, the newest first."""
        return (
            cls.select().where(cls.account == account, cls.undecided(), cls.expires_at > now()).order_by(cls.id.desc())
        )

    @property
    def recipient(self) -> str:
        """The address that was invited."""
        return self.user.login if self.user else self.email

    def withdraw(self) -> bool:
        """Take the invitation back; False when it was accepted or withdrawn before."""
        return self.write(self.undecided(), withdrawn_at=now())

    def accept(self) -> bool:
        """Use the invitation up; True for exactly one caller."""
        same_link = DeviceInvitation.token_hash == self.token_hash
        return self.write(self.undecided(), same_link, DeviceInvitation.expires_at > now(), accepted_at=now())


class Attempts(Table):
    """The recent attempts under one key: the throttle's memory."""

    identity = ("key",)

    key = FixedCharField(64, unique=True)
    count = IntegerField(default=0)
    first_at = BigIntegerField(default=now)
    last_at = BigIntegerField(default=now)


class AccountWord(Table):
    """A word by which a mailbox's owner is found, with all that follows it: `keller anna`, `keller@example.org`.

    Written by `actions.services.search_words` alone. Place and state are here too, so that one index finds what a
    search is for.
    """

    account = ForeignKeyField(Account, on_delete="CASCADE", index=False, backref="words")
    word = CharField(64)
    service_id = IntegerField()
    domain_id = IntegerField()
    state = CharField(16)

    class Meta:
        primary_key = CompositeKey("account", "word")
        indexes = (
            (("service_id", "state", "word", "account"), False),
            (("domain_id", "state", "word", "account"), False),
        )


class UserImport(Table):
    """A file of users for a service: read, checked line by line, then made all at once or not at all."""

    identity = ("service", "file_name", "created_at")

    # Its lines are still being written down; being looked at; looked at; to be made; made, and invitations are being
    # sent.
    READING, CHECKING, CHECKED, WANTED, FINISHING, DONE = (
        "reading", "checking", "checked", "wanted", "finishing", "done",
    )  # fmt: skip
    # What the worker continues.
    IN_HAND = (CHECKING, WANTED, FINISHING)

    service = ForeignKeyField(Service, backref="imports", on_delete="CASCADE")
    made_by = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="imports_made")
    made_by_login = CharField(254)
    file_name = CharField(120, default="")
    # Whether the users are sent a link to set their password.
    invites = BooleanField(default=True)
    state = CharField(16, default=READING)
    line_count = IntegerField(default=0)
    # How many lines the present step is done with.
    done_count = IntegerField(default=0)
    problem_count = IntegerField(default=0)
    # What is wrong with the file as a whole, as a sentence and its facts.
    problem = JSONText(null=True)
    invited_count = IntegerField(default=0)
    # Who wants it made, from where.
    address = CharField(45, default="")
    user_agent = CharField(255, default="")
    leased_until = BigIntegerField(default=ANCIENT)
    created_at = BigIntegerField(default=now)
    made_at = BigIntegerField(null=True)
    # How often it was held: see `Table.hold`.
    held = BigIntegerField(default=0)

    class Meta:
        indexes = ((("state", "leased_until"), False),)

    @property
    def is_in_hand(self) -> bool:
        """Whether something is being done about it now."""
        return self.state in (self.READING, *self.IN_HAND)

    @property
    def can_be_made(self) -> bool:
        return self.state == self.CHECKED and not self.problem_count and self.problem is None

    def lease(self, seconds: int) -> bool:
        """Take it for so many seconds; True for exactly one caller."""
        moment = now()
        return self.write(has_come(UserImport.leased_until, moment, seconds), leased_until=moment + seconds)


class UserImportPart(Table):
    """Some lines of such a file as they were read; deleted when they were looked at."""

    identity = ("user_import",)

    user_import = ForeignKeyField(UserImport, backref="parts", on_delete="CASCADE")
    content = JSONText()


class UserImportLine(Table):
    """A line of such a file that was looked at: what is to be made of it, or what is wrong. It is deleted when its user
    is made and told."""

    identity = ("user_import", "line", "address")

    user_import = ForeignKeyField(UserImport, backref="lines", on_delete="CASCADE", index=False)
    line = IntegerField()
    # What is wrong, as a sentence and its facts.
    problem = JSONText(null=True)
    # What is to be made, in the columns that it is made in: one statement makes all of them.
    address = CharField(254)
    first_name = CharField(120, default="")
    last_name = CharField(120, default="")
    contact_email = CharField(254, default="")
    language = CharField(8, default="")
    phone = CharField(16, default="")
    state = CharField(16, default=Account.ACTIVE)
    quota_bytes = BigIntegerField(default=0)
    domain_id = IntegerField(null=True)
    home = CharField(300, default="")
    sort_name = CharField(320, default="")
    revision = IntegerField(default=0)

    class Meta:
        indexes = ((("user_import", "line"), True), (("user_import", "address"), False))


class LongText(TextField):
    """The same where it is called so on SQLite too."""

    field_type = "LONGTEXT"


class PasswordChange(Table):
    """New passwords, or links to set them, for several mailboxes of a domain at once: what was asked for, and how far
    it got."""

    identity = ("service", "domain", "manager_login", "created_at")

    PASSWORDS, LINKS = "passwords", "links"
    ZIP, PDF = "zip", "pdf"
    # A draft is what the preview shows. The worker prepares everything, sends archive and key, and only then changes.
    DRAFT, PREPARING, SENDING, CHANGING = "draft", "preparing", "sending", "changing"
    DONE, CANCELLED, STOPPED = "done", "cancelled", "stopped"
    OPEN, OVER = (PREPARING, SENDING, CHANGING), (DONE, CANCELLED, STOPPED)

    service = ForeignKeyField(Service, backref="password_changes", on_delete="CASCADE")
    domain = ForeignKeyField(Domain, backref="password_changes", on_delete="CASCADE")
    manager = ForeignKeyField(Account, null=True, on_delete="SET NULL", backref="password_changes")
    manager_login = CharField(254)
    # From where the manager asked for it: what the worker does is written down as theirs.
    address = CharField(45, default="")
    user_agent = CharField(255, default="")
    kind = CharField(16)
    archive_format = CharField(8)
    phone = CharField(32)
    full_name = CharField(120)
    email = CharField(254)
    language = CharField(8, default="")
    must_change = BooleanField(default=False)
    everywhere = BooleanField(default=False)
    devices_too = BooleanField(default=False)
    state = CharField(16, default=DRAFT)
    # Why it ended early: a sentence for people, in English.
    reason = CharField(255, default="")
    created_at = BigIntegerField(default=now)
    started_at = BigIntegerField(null=True)
    archived_at = BigIntegerField(null=True)
    finished_at = BigIntegerField(null=True)
    erased_at = BigIntegerField(null=True)
    # How often each was asked to be sent, and what became of the last one.
    mails = IntegerField(default=0)
    mail_sent_at = BigIntegerField(null=True)
    messages = IntegerField(default=0)
    message_sent_at = BigIntegerField(null=True)
    message_delivered_at = BigIntegerField(null=True)
    message_failed_at = BigIntegerField(null=True)
    leased_until = BigIntegerField(default=ANCIENT)
    leased_by = CharField(32, default="")
    # How often it was held: see `Table.hold`.
    held = BigIntegerField(default=0)

    class Meta:
        indexes = ((("service", "state"), False), (("state", "leased_until"), False))

    def lease(self, worker: str, seconds: int) -> bool:
        """Take it for so many seconds, or keep it for half of them at least; True for one worker at a time."""
        moment = now()
        if self.leased_by == worker and self.leased_until >= moment + seconds / 2:
            return True
        mine = (PasswordChange.leased_by == worker) | has_come(PasswordChange.leased_until, moment, seconds)
        is_open = PasswordChange.state.in_(self.OPEN)
        return self.write(mine, is_open, leased_by=worker, leased_until=moment + seconds)

    def proceed(self, before: str, after: str, **columns: object) -> bool:
        """From one state to another; True for exactly one caller, however many try at the same moment."""
        return self.write(PasswordChange.state == before, state=after, **columns)


class PasswordChangeItem(Table):
    """One mailbox of such a change."""

    identity = ("change", "address")

    WAITING, PREPARED, CHANGED, SKIPPED = "waiting", "prepared", "changed", "skipped"

    change = ForeignKeyField(PasswordChange, backref="items", on_delete="CASCADE")
    mailbox = ForeignKeyField(Mailbox, null=True, on_delete="SET NULL", backref="password_changes")
    address = CharField(254)
    # The mailbox's number as long as the change is open: so no mailbox is in two of them.
    open_mailbox = BigIntegerField(null=True, unique=True)
    state = CharField(16, default=WAITING)
    # Why it was skipped: a sentence for people, in English.
    reason = CharField(255, default="")
    in_archive = BooleanField(default=False)
    # The new password or the link's token, encrypted, until it is in the archive.
    secret = TextField(default="")
    # What replaces what: hashes of passwords, or the hash of a link's token.
    new_hash = CharField(255, null=True)
    old_hash = CharField(255, null=True)
    changed_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("change", "state"), False),)


class CredentialsArchive(Table):
    """The archive of a password change and its key, both encrypted, as long as they can still be sent."""

    identity = ("change",)

    change = ForeignKeyField(PasswordChange, unique=True, on_delete="CASCADE")
    content = LongText()
    key = TextField()


class UsedToken(Table):
    """A token of a webmail that was used: none counts twice."""

    identity = ("key",)

    key = FixedCharField(64, unique=True)
    expires_at = BigIntegerField(index=True)


class WorkerSign(Table):
    """A sign of life of the worker on one node, with a check of its secret key, which tells nothing of the key."""

    node = CharField(255, primary_key=True)
    key_check = FixedCharField(64)
    seen_at = BigIntegerField(default=now)


class Undoable(Table):
    """Something that a browser has just done, and can take back for some seconds. What it deleted is sealed."""

    identity = ("until",)

    session = ForeignKeyField(WebSession, on_delete="CASCADE", backref="undoable")
    account = ForeignKeyField(Account, on_delete="CASCADE", backref="undoable")
    kind = CharField(16)
    sealed = UnlimitedText()
    until = BigIntegerField()

    @classmethod
    def of(cls, session: WebSession | None):
        """What this browser may take back, the newest first."""
        return cls.select().where(cls.session == session).order_by(cls.id.desc())


class WebmailCredential(Table):
    """What one session of a webmail opens the mailbox with in place of the person's password: from the webmail's hosts
    only. It is made like a device's password. What has ended is kept for a while: a webmail's session whose
    credential has ended signs nobody in here any more."""

    identity = ("account", "selector")

    account = ForeignKeyField(Account, backref="webmail_credentials", on_delete="CASCADE")
    webmail = ForeignKeyField(Webmail, backref="credentials", on_delete="CASCADE")
    webmail_session = CharField(64)
    selector = FixedCharField(SELECTOR_LENGTH)
    verifier = CharField(255)
    address = CharField(45)
    network = CharField(49)
    user_agent = CharField(255, default="")
    created_at = BigIntegerField(default=now)
    expires_at = BigIntegerField(index=True)
    ended_at = BigIntegerField(null=True)

    class Meta:
        indexes = ((("selector", "account"), True),)

    @named
    @staticmethod
    def of_account(account):
        """The account's credentials and their webmails, the oldest first."""
        kept = WebmailCredential.select(WebmailCredential, Webmail).join(Webmail)
        return kept.where(WebmailCredential.account == account).order_by(WebmailCredential.id)

    @classmethod
    def living(cls, account: Account):
        """The account's credentials that still open the mailbox, the newest first."""
        alive = (cls.account == account, cls.ended_at.is_null(), cls.expires_at > now())
        return cls.select().where(*alive).order_by(cls.id.desc())

    @property
    def is_alive(self) -> bool:
        return self.ended_at is None and now() < self.expires_at


TABLES = (
    Organisation,
    Service,
    Domain,
    Account,
    Mailbox,
    FormerAddress,
    Collaboration,
    Webmail,
    WebSession,
    KnownBrowser,
    OneTimeLink,
    AuditEvent,
    OutboxItem,
    Device,
    LastLogin,
    DeviceNetwork,
    DeviceInvitation,
    Attempts,
    AccountWord,
    UserImport,
    UserImportPart,
    UserImportLine,
    PasswordChange,
    PasswordChangeItem,
    CredentialsArchive,
    UsedToken,
    WebmailCredential,
    WorkerSign,
    Undoable,
)
