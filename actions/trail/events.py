"""Every kind of audit event, with the words that describe it to people."""

from enum import Enum, unique

from actions.ground.refusals import N_


@unique
class Event(Enum):
    """A kind of audit event: its stored code, `source:subject:what`, and its sentence. Each member is named after its
    code, without the source `web`. Rows outlive versions: a code never changes, even when nothing records it any
    more."""

    def __init__(self, code: str, sentence: str):
        self.code, self.sentence = code, sentence

    SESSION_STARTED = "web:session:started", N_("Signed in")
    SESSION_REFUSED = "web:session:refused", N_("A sign-in was refused")
    SESSION_SIGNED_OUT = "web:session:signed-out", N_("Signed out")
    SESSION_ENDED = "web:session:ended", N_("A browser was signed out")
    SESSIONS_ENDED_OTHERS = "web:sessions:ended-others", N_("All other browsers and mail programs were signed out")
    CONNECTIONS_ENDED = "web:connections:ended", N_("Mail programs were disconnected")
    PASSWORD_CHANGED = "web:password:changed", N_("The password was changed")
    PASSWORD_REFUSED = "web:password:refused", N_("A wrong current password was entered")
    SESSION_GUESSED = "web:session:guessed", N_("A browser was signed out after too many wrong passwords")
    PASSWORD_LINK_REQUESTED = (
        "web:password:link-requested",
        N_("A link to set a new password was sent to the contact e-mail"),
    )
    DEVICE_MADE = "web:device:made", N_("A device was added")
    DEVICE_PASSWORD_CHANGED = "web:device:password-changed", N_("The password of a device was changed")
    DEVICE_RENAMED = "web:device:renamed", N_("A device was renamed")
    DEVICE_DISCONNECTED = "web:device:disconnected", N_("A device was disconnected")
    DEVICE_RESTORED = "web:device:restored", N_("A device was connected again: the disconnection was undone")
    DEVICES_DISCONNECTED = "web:devices:disconnected", N_("All devices were disconnected")
    DEVICES_REQUIRED = "web:devices:required", N_("Mail programs need a device password from now on")
    DEVICES_NOT_REQUIRED = "web:devices:not-required", N_("Mail programs can use the account's password again")
    INVITATION_MADE = "web:invitation:made", N_("Somebody was invited to set up a device")
    INVITATION_RENEWED = "web:invitation:renewed", N_("An invitation to set up a device was sent again")
    INVITATION_WITHDRAWN = "web:invitation:withdrawn", N_("An invitation to set up a device was withdrawn")
    LINK_INVITATION_ACCEPTED = "link:invitation:accepted", N_("An invitation to set up a device was accepted")
    LINK_INVITATION_GUESSED = "link:invitation:guessed", N_("An invitation was withdrawn after too many wrong codes")
    LINK_DEVICE_DISOWNED = "link:device:disowned", N_("A device was disconnected: “This wasn't me”")
    CONTACT_TESTED = "web:contact:tested", N_("A test e-mail was sent to the contact e-mail")
    CONTACT_WANTED = "web:contact:wanted", N_("A link to confirm another contact e-mail was sent")
    CONTACT_CANCELLED = "web:contact:cancelled", N_("The change of the contact e-mail was cancelled")
    LINK_CONTACT_CONFIRMED = "link:contact:confirmed", N_("The contact e-mail was changed")
    LINK_CONTACT_DISOWNED = (
        "link:contact:disowned",
        N_("The former contact e-mail was put back: “This wasn't me”"),
    )
    NAME_CHANGED = "web:name:changed", N_("The name was changed")
    PREFERENCES_CHANGED = "web:preferences:changed", N_("The preferences were changed")
    LINK_PASSWORD_WELCOME = "link:password:welcome", N_("The first password was set")
    LINK_PASSWORD_RESET = "link:password:reset", N_("A new password was set with a link")
    LINK_PASSWORD_RECOVER = "link:password:recover", N_("The account was unlocked with a new password")
    LINK_PASSWORD_HANDED_OUT = (
        "link:password:handed-out",
        N_("A new password was set with a link from an administrator"),
    )
    LINK_ACCOUNT_LOCKED = "link:account:locked", N_("The account was locked: “This wasn't me”")
    OPERATOR_SERVICE_ADDED = "operator:service:added", N_("A service was added")
    OPERATOR_SERVICE_CHANGED = "operator:service:changed", N_("A service was changed")
    OPERATOR_DOMAIN_ADDED = "operator:domain:added", N_("A domain was added")
    OPERATOR_DOMAIN_REMOVED = "operator:domain:removed", N_("A domain was removed")
    OPERATOR_SERVICE_REMOVED = "operator:service:removed", N_("A service was removed")
    OPERATOR_MAILBOX_ADDED = "operator:mailbox:added", N_("The mailbox was created")
    OPERATOR_MANAGER_ADDED = "operator:manager:added", N_("The account was created")
    OPERATOR_MANAGER_CHANGED = (
        "operator:manager:changed",
        N_("Role, names or contact e-mail were changed"),
    )
    OPERATOR_MANAGER_ROLE_GIVEN = "operator:manager:role-given", N_("The account became a manager's too")
    OPERATOR_MANAGER_ROLE_TAKEN = "operator:manager:role-taken", N_("The account is no longer a manager's")
    OPERATOR_MANAGER_REMOVED = "operator:manager:removed", N_("The manager's account was removed")
    OPERATOR_ACCOUNT_LOCKED = "operator:account:locked", N_("The account was locked by the operator")
    OPERATOR_ACCOUNT_LINK_MADE = "operator:account:link-made", N_("The operator created a link to set a new password")
    MAIL_SESSION_STARTED = "mail:session:started", N_("Signed in to the mailbox")
    MAIL_CONTACT_BOUNCED = "mail:contact:bounced", N_("E-mails to the contact e-mail came back")
    COLLABORATION_MADE = "web:collaboration:made", N_("A collaborator was added")
    COLLABORATION_LINK_SENT = "web:collaboration:link-sent", N_("The e-mail to set the password was sent again")
    COLLABORATION_PERMISSIONS_CHANGED = (
        "web:collaboration:permissions-changed",
        N_("The permissions of a collaborator were changed"),
    )
    COLLABORATION_RESET = "web:collaboration:reset", N_("The password of a collaborator was reset")
    COLLABORATION_DISABLED = "web:collaboration:disabled", N_("A collaborator was disabled")
    COLLABORATION_RESTORED = "web:collaboration:restored", N_("A collaborator was enabled again: it was undone")
    COLLABORATION_REMOVED = "web:collaboration:removed", N_("A collaborator was removed")
    PASSWORD_ISSUED = "web:password:issued", N_("An administrator set new passwords for this mailbox and others")
    PASSWORD_LINK_ISSUED = (
        "web:password:link-issued",
        N_("An administrator received a link to set a new password for the mailbox"),
    )
    PASSWORD_CHANGE_STARTED = "web:password-change:started", N_("A change of several passwords was started")
    PASSWORD_CHANGE_CANCELLED = "web:password-change:cancelled", N_("A change of several passwords was cancelled")
    PASSWORD_CHANGE_STOPPED = "web:password-change:stopped", N_("A change of several passwords was stopped")
    PASSWORD_CHANGE_FINISHED = "web:password-change:finished", N_("A change of several passwords was finished")
    PASSWORD_CHANGE_MAIL_AGAIN = (
        "web:password-change:mail-again",
        N_("The archive of a password change was sent again"),
    )
    PASSWORD_CHANGE_MESSAGE_AGAIN = "web:password-change:message-again", N_("The archive's password was sent again")
    COLLABORATION_SUSPENDED = (
        "web:collaboration:suspended",
        N_("A collaborator was suspended, because the mailbox was locked"),
    )
    ACCESS_ENDED = "web:access:ended", N_("All access to the mailbox was ended, and the account was suspended")
    USERS_IMPORTED = "web:users:imported", N_("Users were added from a file")
    USER_ADDED = "web:user:added", N_("The mailbox was created")
    USER_CHANGED = "web:user:changed", N_("Name, quota, contact e-mail or phone were changed")
    USER_PASSWORD_SET = "web:user:password-set", N_("A new password was set")
    USER_LINK_SENT = "web:user:link-sent", N_("A link to set the password was sent to the contact e-mail")
    USER_SUSPENDED = "web:user:suspended", N_("The account was suspended")
    USER_RESUMED = "web:user:resumed", N_("The account may be used again")
    USER_REMOVED = "web:user:removed", N_("The mailbox was removed")
    USER_RENAMED = "web:user:renamed", N_("The mailbox got another address")
    OPERATOR_MAILBOX_RENAMED = "operator:mailbox:renamed", N_("The mailbox got another address")
    USER_FORWARDING_ENDED = "web:user:forwarding-ended", N_("Mail to a former address is refused from now on")
    OPERATOR_FORWARDING_ENDED = (
        "operator:forwarding:ended",
        N_("Mail to a former address is refused from now on"),
    )
    HANDOFF_SESSION_STARTED = "handoff:session:started", N_("Signed in by a webmail")
    HANDOFF_SESSION_REFUSED = "handoff:session:refused", N_("A sign-in by a webmail was refused")
    WEBMAIL_SESSION_STARTED = "webmail:session:started", N_("Signed in to a webmail")
    WEBMAIL_SESSION_SIGNED_OUT = "webmail:session:signed-out", N_("Signed out of a webmail")
    WEBMAIL_SESSION_UNASKED = "webmail:session:unasked", N_("Signed in to a webmail that could not reach this panel")
    WEBMAIL_SESSION_UNASKED_REFUSED = (
        "webmail:session:unasked-refused",
        N_("A sign-in to a webmail that could not reach this panel was refused"),
    )
    WEBMAIL_REQUEST_REFUSED = "webmail:request:refused", N_("A webmail's request was refused")
    WEBMAIL_ENDED = "web:webmail:ended", N_("A webmail was signed out")
    OPERATOR_WEBMAIL_ADDED = "operator:webmail:added", N_("A webmail was registered")
    OPERATOR_WEBMAIL_REMOVED = "operator:webmail:removed", N_("A webmail was removed")
    OPERATOR_DATABASE_RESTORED = "operator:database:restored", N_("The database was restored from a backup")


@unique
class Group(Enum):
    """Events that people look for together: a word for addresses, and its name. `REFUSED` holds what was refused, which
    is in the group of its subject too."""

    def __init__(self, word: str, title: str):
        self.word, self.title = word, title

    SIGN_INS = "sign-ins", N_("Sign-ins")
    PASSWORDS = "passwords", N_("Passwords")
    DEVICES = "devices", N_("Devices")
    COLLABORATORS = "collaborators", N_("Collaborators")
    USERS = "users", N_("Users")
    SETTINGS = "settings", N_("Settings")
    REFUSED = "refused", N_("Refused")


_GROUPS = {
    Group.SIGN_INS: {"session", "sessions", "connections", "request"},
    Group.PASSWORDS: {"password", "password-change", "account"},
    Group.DEVICES: {"device", "devices", "invitation"},
    Group.COLLABORATORS: {"collaboration"},
    Group.USERS: {"user", "users", "mailbox", "manager", "access", "forwarding"},
    Group.SETTINGS: {"contact", "name", "preferences", "service", "domain", "webmail", "database"},
}
_ELSEWHERE = {
    Event.USER_PASSWORD_SET: Group.PASSWORDS,
    Event.USER_LINK_SENT: Group.PASSWORDS,
    Event.WEBMAIL_ENDED: Group.SIGN_INS,
}


def group_of(event: Event) -> Group:
    """The group of what the event is about."""
    subject = event.code.split(":")[1]
    return _ELSEWHERE.get(event) or next(group for group, subjects in _GROUPS.items() if subject in subjects)


def was_refused(code: str) -> bool:
    """Whether somebody was refused, or guessed too often; for a code of another version too."""
    return code.rpartition(":")[2] in {"refused", "unasked-refused", "guessed"}


def codes_of(word: str) -> list[str]:
    """The codes of a group's events; none for a word that names no group."""
    if word == Group.REFUSED.word:
        return [event.code for event in Event if was_refused(event.code)]
    return [event.code for event in Event if group_of(event).word == word]


_SENTENCES = {event.code: event.sentence for event in Event}


def sentence_of(code: str) -> str | None:
    """The words for a stored code; None for a code that this version does not know."""
    return _SENTENCES.get(code)
