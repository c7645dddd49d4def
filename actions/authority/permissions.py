"""What a collaborator may do in a mailbox, and what each permission implies. The meanings follow Aruba PEC."""

from actions.ground.refusals import N_
from models import Account, Collaboration, Device

READ, WRITE, SEND = Collaboration.READ, Collaboration.WRITE, Collaboration.SEND
IMAP, POP3, SETTINGS = Collaboration.IMAP, Collaboration.POP3, Collaboration.SETTINGS
MAIL_PROGRAMS = Collaboration.MAIL_PROGRAMS
EACH = (READ, WRITE, SEND, IMAP, POP3, SETTINGS)
ALL = READ | WRITE | SEND | IMAP | POP3 | SETTINGS
WORDS = {
    READ: N_("Read"),
    WRITE: N_("Write"),
    SEND: N_("Send"),
    IMAP: N_("Use in mail programs, by IMAP"),
    POP3: N_("Use in mail programs, by POP3"),
    SETTINGS: N_("Manage settings"),
}
# What each permission requires: a mail program also sends, and a sender stores what was sent.
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


def bringing(permission: int) -> list[int]:
    """The permissions that imply this one."""
    return [each for each, implied in IMPLIES.items() if implied & permission]
