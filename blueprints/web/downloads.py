"""What is downloaded: tables, written line by line as they are read, so that a long one neither waits nor fills
memory; documents; and profiles for Apple's devices."""

from collections.abc import Iterable

from flask import Response, stream_with_context
from flask_babel import lazy_gettext as _l

from actions.ground import spreadsheet
from actions.ground.domain_names import readable
from actions.trail import trail
from models import AuditEvent

from .audit_words import sentence

TRAIL_HEADER = (
    _l("When (UTC)"),
    _l("What"),
    _l("Done by"),
    _l("Affected account"),
    _l("Where"),
    _l("Browser or program"),
    _l("Details"),
    _l("Code"),
)


def csv(name: str, header: Iterable[object], rows: Iterable[Iterable[object]]) -> Response:
    """The file `name`, for a spreadsheet."""
    return Response(
        stream_with_context(spreadsheet.lines(header, rows)),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )


def trail_row(event: AuditEvent) -> tuple[object, ...]:
    """An event of the audit trail, in the order of `TRAIL_HEADER`."""
    details = readable(trail.in_words(event.details))
    who, whom, where = readable(event.actor_login), readable(event.account_login), event.address
    return trail.exact(event.at), sentence(event), who, whom, where, event.user_agent, details, event.action


def pdf(name: str, content: bytes) -> Response:
    """The document as the file `name`."""
    disposition = f'attachment; filename="{name}"'
    return Response(content, content_type="application/pdf", headers={"Content-Disposition": disposition})


APPLE_PROFILE = "application/x-apple-aspen-config"


def apple_download(profile: bytes, name: str) -> Response:
    """An Apple configuration profile as the file `name`.mobileconfig."""
    disposition = f'attachment; filename="{name}.mobileconfig"'
    return Response(profile, content_type=APPLE_PROFILE, headers={"Content-Disposition": disposition})
