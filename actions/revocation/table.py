"""What each cause ends, as one table: a row for each cause, a column for each kind of access.

A new kind of access is a new column. `revocation` must have a way to end it, and every row states whether it ends.
`python -m actions.revocation.table` prints the table for docs/security.md.
"""

from enum import Enum, Flag, auto


class Access(Flag):
    """The kinds of access to an account: what opens it, what is open now, and what could open it again."""

    BROWSERS = auto()
    KNOWN_BROWSERS = auto()
    WEBMAILS = auto()
    PASSWORD_LINKS = auto()
    NOT_ME_LINKS = auto()
    NOT_MY_DEVICE_LINKS = auto()
    CONTACT_LINKS = auto()
    NOT_MY_CONTACT_LINKS = auto()
    OWN_DEVICES = auto()
    DEVICES_OF_OTHERS = auto()
    CONNECTIONS = auto()
    DEVICE_CONNECTIONS = auto()
    PASSWORD = auto()


NAMES = {
    Access.BROWSERS: "Signed-in browsers",
    Access.KNOWN_BROWSERS: "Known browsers",
    Access.WEBMAILS: "Webmail sessions and their credentials",
    Access.PASSWORD_LINKS: "Links that set a password",
    Access.NOT_ME_LINKS: "“This wasn't me” links",
    Access.NOT_MY_DEVICE_LINKS: "“Not my device” links",
    Access.CONTACT_LINKS: "Links that confirm a contact e-mail",
    Access.NOT_MY_CONTACT_LINKS: "“Not my contact e-mail” links",
    Access.OWN_DEVICES: "Own devices and invitations",
    Access.DEVICES_OF_OTHERS: "Devices of others that it handed out or was given, and invitations",
    Access.CONNECTIONS: "Connections by the password and webmails",
    Access.DEVICE_CONNECTIONS: "Connections by devices",
    Access.PASSWORD: "The password itself",
}


class Cause(Enum):
    """Why access ends. docs/security.md shows the value."""

    OWN_CHANGE = "The person changes the password"
    OWN_CHANGE_EVERYWHERE = "… and logs out from everywhere"
    OWN_CHANGE_EVERYWHERE_AND_DEVICES = "… with the device passwords"
    OTHERS_ENDED = "The person signs all others out"
    SET_BY_LINK = "A link sets the password"
    SET_BY_MANAGER = "A manager sets the password"
    BULK_CHANGE = "A bulk change sets the password and logs out from everywhere"
    BULK_CHANGE_AND_DEVICES = "… with the device passwords"
    CONTACT_CHANGED = "A manager changes the contact e-mail"
    CONTACT_CONFIRMED = "The person's new contact e-mail is confirmed"
    RENAMING = "The mailbox gets another address, for its owner and each collaborator"
    SUSPENSION = "A manager suspends the user"
    SUSPENSION_OF_OWNER = "… for each collaborator of the mailbox"
    LOCK = "“This wasn't me”, or the operator locks the account"
    COLLABORATION_ENDED = (
        "A collaborator is reset, disabled or removed, or the mailbox's owner is locked, offboarded or removed"
    )
    OFFBOARDING = "A manager ends all access of a leaver"
    REMOVAL = "A manager removes the user, or the operator a manager without a mailbox"
    REMOVAL_OF_MANAGERS_MAILBOX = "… the mailbox of somebody who is a manager too"
    ROLE_CHANGED = "The operator makes a manager of somebody with a mailbox, or takes that role away"


_OPEN = Access.BROWSERS | Access.WEBMAILS | Access.CONNECTIONS
_DEVICES = Access.OWN_DEVICES | Access.DEVICES_OF_OTHERS | Access.DEVICE_CONNECTIONS
# A new password is in force: everyone who used the old one is signed out, and no browser counts as the owner's any
# more.
_NEW_PASSWORD = _OPEN | Access.KNOWN_BROWSERS | Access.PASSWORD_LINKS | Access.CONTACT_LINKS
_EVERYTHING = ~Access(0)

ENDS = {
    # Somebody who knew the old password may have entered a contact e-mail of their own.
    Cause.OWN_CHANGE: Access.PASSWORD_LINKS | Access.CONTACT_LINKS,
    Cause.OWN_CHANGE_EVERYWHERE: _NEW_PASSWORD,
    Cause.OWN_CHANGE_EVERYWHERE_AND_DEVICES: _NEW_PASSWORD | _DEVICES,
    Cause.OTHERS_ENDED: _OPEN | Access.DEVICE_CONNECTIONS,
    Cause.SET_BY_LINK: _NEW_PASSWORD,
    Cause.SET_BY_MANAGER: _NEW_PASSWORD,
    Cause.BULK_CHANGE: _NEW_PASSWORD,
    Cause.BULK_CHANGE_AND_DEVICES: _NEW_PASSWORD | _DEVICES,
    # The links went to the former address. The manager's word counts: nobody puts that address back.
    Cause.CONTACT_CHANGED: Access.PASSWORD_LINKS | Access.CONTACT_LINKS | Access.NOT_MY_CONTACT_LINKS,
    Cause.CONTACT_CONFIRMED: Access.PASSWORD_LINKS | Access.CONTACT_LINKS,
    # What is open has the former address as its name. Passwords and links go on working, under the new one.
    Cause.RENAMING: _OPEN | Access.DEVICE_CONNECTIONS,
    # A pause. Whatever opens nothing by itself is kept for when the user is resumed: a manager who suspends by mistake
    # takes nothing away. Known browsers only spare their owner the wait that strangers' guesses cause.
    Cause.SUSPENSION: _OPEN | Access.DEVICE_CONNECTIONS | Access.PASSWORD_LINKS | Access.CONTACT_LINKS,
    # A collaborator's invitation waits for the mailbox and opens nothing meanwhile.
    Cause.SUSPENSION_OF_OWNER: _OPEN | Access.DEVICE_CONNECTIONS,
    # The password stays, because only a different one opens a locked account again. The devices are gone, so their "Not
    # my device" links have no purpose.
    Cause.LOCK: _EVERYTHING & ~Access.PASSWORD,
    Cause.COLLABORATION_ENDED: _EVERYTHING,
    Cause.OFFBOARDING: _EVERYTHING,
    Cause.REMOVAL: _EVERYTHING,
    # The manager signs in again, with the same password.
    Cause.REMOVAL_OF_MANAGERS_MAILBOX: _EVERYTHING & ~Access.PASSWORD,
    # A browser that was signed in as one is not as the other. Somebody of a lower rank may have a link to set the
    # password of an account that becomes a manager's. The mailbox is open as before.
    Cause.ROLE_CHANGED: Access.BROWSERS | Access.KNOWN_BROWSERS | Access.PASSWORD_LINKS | Access.CONTACT_LINKS,
}


def as_markdown() -> str:
    """The table as docs/security.md shows it."""
    heads = ["When", *NAMES.values()]
    rows = [[cause.value, *("ends" if access in ENDS[cause] else "–" for access in NAMES)] for cause in Cause]
    return "\n".join(f"| {' | '.join(row)} |" for row in [heads, ["---"] * len(heads), *rows])


if __name__ == "__main__":
    print(as_markdown())
