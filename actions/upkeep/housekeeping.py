"""What the worker deletes: rows that can no longer matter."""

from actions.ground import throttle
from actions.password_changes import password_changes
from actions.sessions import sessions
from actions.trail.events import Event
from models import (
    CLOCKS_DIFFER,
    Attempts,
    AuditEvent,
    DeviceInvitation,
    FormerAddress,
    KnownBrowser,
    LastLogin,
    OneTimeLink,
    OutboxItem,
    UsedToken,
    UserImport,
    WebmailCredential,
    WebSession,
    WorkerSign,
    now,
)

DAY = 24 * 3600
OUTBOX_KEPT = 30 * DAY
LINKS_KEPT = 30 * DAY
ATTEMPTS_KEPT = 2 * DAY
STRAY_GUESSES_KEPT = 30 * DAY
LAST_LOGINS_KEPT = 400 * DAY
IMPORTS_KEPT = 30 * DAY
# People decide soon about a file that they uploaded, or upload it again.
UNDECIDED_IMPORTS_KEPT = 2 * DAY
# As long as a clock may be wrong: once it is corrected, no used token becomes valid again.
USED_TOKENS_KEPT = 1 * DAY
# As long as a clock may be wrong: once it is corrected, mail arrives as long as was promised.
FORMER_ADDRESSES_KEPT = 1 * DAY
CREDENTIALS_KEPT = 30 * DAY
SIGNS_KEPT = 30 * DAY
# Events that strangers can cause without naming an existing account.
STRAY_REFUSALS = (Event.SESSION_REFUSED, Event.HANDOFF_SESSION_REFUSED, Event.WEBMAIL_REQUEST_REFUSED)


def clear_away() -> None:
    """Delete ended sessions, and old rows of links, tokens, invitations, deliveries, attempts and logins."""
    moment = now()
    longest = sessions.PERSON
    WebSession.delete().where(
        (WebSession.created_at < moment - longest.absolute)
        | (WebSession.seen_at < moment - longest.idle)
        | (WebSession.created_at > moment + CLOCKS_DIFFER)
        | (WebSession.seen_at > moment + CLOCKS_DIFFER)
    ).execute()
    KnownBrowser.delete().where(KnownBrowser.seen_at < moment - sessions.BROWSER_REMEMBERED).execute()
    OneTimeLink.delete().where(OneTimeLink.expires_at < moment - LINKS_KEPT).execute()
    # An invitation that became a device still says for whom the device was made, as long as the device exists.
    DeviceInvitation.delete().where(
        DeviceInvitation.expires_at < moment - LINKS_KEPT, DeviceInvitation.device.is_null()
    ).execute()
    OutboxItem.delete().where(
        (OutboxItem.delivered_at < moment - OUTBOX_KEPT) | (OutboxItem.given_up_at < moment - OUTBOX_KEPT)
    ).execute()
    # Guesses at unknown logins lose their meaning after a while; events that concern an account stay.
    AuditEvent.delete().where(
        AuditEvent.action.in_([event.code for event in STRAY_REFUSALS]),
        AuditEvent.account_login == "",
        AuditEvent.at < moment - STRAY_GUESSES_KEPT,
    ).execute()
    password_changes.clear_away()
    LastLogin.delete().where(LastLogin.last_access < moment - LAST_LOGINS_KEPT).execute()
    FormerAddress.delete().where(FormerAddress.expires_at < moment - FORMER_ADDRESSES_KEPT).execute()
    UsedToken.delete().where(UsedToken.expires_at < moment - USED_TOKENS_KEPT).execute()
    WebmailCredential.delete().where(WebmailCredential.expires_at < moment - CREDENTIALS_KEPT).execute()
    WorkerSign.delete().where(WorkerSign.seen_at < moment - SIGNS_KEPT).execute()
    Attempts.delete().where(Attempts.last_at < moment - ATTEMPTS_KEPT).execute()
    throttle.return_to_the_present()
    undecided = UserImport.state.in_((UserImport.READING, UserImport.CHECKED))
    UserImport.delete().where(undecided, UserImport.created_at < moment - UNDECIDED_IMPORTS_KEPT).execute()
    UserImport.delete().where(
        UserImport.state == UserImport.DONE, UserImport.created_at < moment - IMPORTS_KEPT
    ).execute()
