"""What a collaborator may do in a mailbox, and what each permission implies. The meanings follow Aruba PEC."""

from dataclasses import dataclass

from actions.ground.refusals import N_
from models import Account, Collaboration, Device

READ, WRITE, SEND = Collaboration.READ, Collaboration.WRITE, Collaboration.SEND
IMAP, POP3, SETTINGS = Collaboration.IMAP, Collaboration.POP3, Collaboration.SETTINGS
MAIL_PROGRAMS = Collaboration.MAIL_PROGRAMS


@dataclass(frozen=True)
class Permission:
    """A permission as pages and e-mails show it: its icon of the lucide set, its name, and what it lets somebody do."""

    bit: int
    icon: str
    word: str
    meaning: str


EACH = (
    Permission(READ, "eye", N_("Read"), N_("Every collaborator reads the messages in the webmail.")),
    Permission(WRITE, "pencil", N_("Write"), N_("Create, move and delete messages and folders, and write drafts.")),
    Permission(SEND, "send", N_("Send"), N_("Send messages as this mailbox. Includes Write.")),
    Permission(
        IMAP,
        "monitor-smartphone",
        N_("Use in mail programs, by IMAP"),
        N_("For phones, tablets and computers; mail stays on the server. Includes Write and Send."),
    ),
    Permission(
        POP3,
        "download",
        N_("Use in mail programs, by POP3"),
        N_("For older programs, which download the mail. Includes Write and Send."),
    ),
    Permission(
        SETTINGS,
        "settings-2",
        N_("Manage settings"),
        N_(
            "See and manage this mailbox's devices and collaborators in this panel, but never your password or"
            " their own permissions."
        ),
    ),
)
ALL = sum(each.bit for each in EACH)
WORDS = {each.bit: each.word for each in EACH}
# What each needs to make sense: who uses a mail program also sends with it, and who sends keeps what was sent.
IMPLIES = {IMAP: SEND | WRITE, POP3: SEND | WRITE, SEND: WRITE}


def completed(chosen: int) -> int:
    """The chosen permissions with all that they imply; reading is always included."""
    for permission, implied in IMPLIES.items():
        if chosen & permission:
            chosen |= implied
    return chosen & ALL | READ


def of(account: Account) -> int:
    """What an account may do in the mailbox that it opens: everything if it owns the mailbox."""
    if account.collaboration:
        return account.collaboration.permissions
    return ALL if account.owns_mailbox else 0


def have_changed(account: Account) -> bool:
    """Whether a collaborator's permissions have changed since the account was loaded."""
    known = account.collaboration
    return known is not None and not (
        Collaboration.select()
        .where(Collaboration.id == known.id, Collaboration.account == account)
        .where(Collaboration.permissions == known.permissions)
        .exists()
    )


def device_protocols(permissions: int) -> int:
    """What a device of an account with these permissions may do: a sum of `Device.IMAP`, `.POP3` and `.SENDING`."""
    reading = (Device.IMAP if permissions & IMAP else 0) | (Device.POP3 if permissions & POP3 else 0)
    return reading | Device.SENDING if reading else 0


def named(permissions: int) -> list[Permission]:
    """The permissions of a sum."""
    return [each for each in EACH if each.bit & permissions]


def bringing(permission: int) -> list[int]:
    """The permissions that imply this one."""
    return [each for each, implied in IMPLIES.items() if implied & permission]
