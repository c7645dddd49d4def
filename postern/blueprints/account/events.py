"""The audit trail's actions in words."""

from flask_babel import gettext as _

from postern.actions.text import N_
from postern.models import AuditEvent

SENTENCES = {
    "web:session:started": N_("Signed in"),
    "web:session:refused": N_("A sign-in was refused"),
    "web:session:signed-out": N_("Signed out"),
    "web:session:ended": N_("A browser was signed out"),
    "web:sessions:ended-others": N_("All other browsers and mail programs were signed out"),
    "web:connections:ended": N_("Mail programs were disconnected"),
    "web:password:changed": N_("The password was changed"),
    "web:password:link-requested": N_("A link to set a new password was sent to the contact address"),
    "web:device:made": N_("A device was added"),
    "web:device:password-changed": N_("The password of a device was changed"),
    "web:device:renamed": N_("A device was renamed"),
    "web:device:disconnected": N_("A device was disconnected"),
    "web:devices:disconnected": N_("All devices were disconnected"),
    "web:devices:required": N_("Mail programs need a device password from now on"),
    "web:devices:not-required": N_("Mail programs may use your own password again"),
    "web:invitation:made": N_("Somebody was invited to set up a device"),
    "web:invitation:renewed": N_("An invitation to set up a device was sent again"),
    "web:invitation:withdrawn": N_("An invitation to set up a device was withdrawn"),
    "link:invitation:accepted": N_("An invitation to set up a device was accepted"),
    "link:invitation:guessed": N_("An invitation was withdrawn after too many wrong codes"),
    "link:device:disowned": N_("A device was disconnected: “This wasn't me”"),
    "web:preferences:changed": N_("The preferences were changed"),
    "link:password:welcome": N_("The first password was set"),
    "link:password:reset": N_("A new password was set through a link"),
    "link:password:recover": N_("The account was opened again with a new password"),
    "link:account:locked": N_("The account was locked: “This wasn't me”"),
    "operator:mailbox:added": N_("The mailbox was created"),
    "operator:manager:added": N_("The account was created"),
    "operator:account:locked": N_("The account was locked by the operator"),
    "operator:account:link-made": N_("The operator made a link to set a new password"),
}


def sentence(event: AuditEvent) -> str:
    """What happened, for the person it happened to."""
    known = SENTENCES.get(event.action)
    return _(known) if known else event.action
