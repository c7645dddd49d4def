"""Reads what Outlook asks: an XML document from a stranger."""

from dataclasses import dataclass
from xml.etree import ElementTree  # noqa: S405 - document types, and with them entities, are refused below

REQUEST_NAMESPACE = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
# ActiveSync's, with the same elements: [MS-ASCMD] 2.2.1.1.
MOBILE_NAMESPACE = "http://schemas.microsoft.com/exchange/autodiscover/mobilesync/requestschema/2006"
RESPONSE_SCHEMA = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a"
LARGEST_REQUEST = 16 * 1024


class BadRequest(Exception):
    """This is no Autodiscover request."""


@dataclass(frozen=True)
class AutodiscoverRequest:
    """The address that settings are asked for, and the kind of answer that is understood."""

    address: str
    schema: str


class _PlainDocument(ElementTree.TreeBuilder):
    """Builds a tree of elements and text; raises before the first entity could be declared."""

    def doctype(self, *_declaration) -> None:
        raise BadRequest


def read(body: bytes) -> AutodiscoverRequest:
    """The request in these bytes; raises `BadRequest`.

    The form is that of [MS-OXDSCLI] 2.2.3: Autodiscover > Request > EMailAddress and AcceptableResponseSchema, all in
    `REQUEST_NAMESPACE`; or in `MOBILE_NAMESPACE`, which phones ask in.
    """
    if len(body) > LARGEST_REQUEST:
        raise BadRequest
    parser = ElementTree.XMLParser(target=_PlainDocument())  # noqa: S314
    try:
        parser.feed(body)
        root = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadRequest from error
    namespace = MOBILE_NAMESPACE if root.tag.startswith(f"{{{MOBILE_NAMESPACE}}}") else REQUEST_NAMESPACE
    names = {"request": namespace}
    address = root.findtext("./request:Request/request:EMailAddress", "", names).strip()
    schema = root.findtext("./request:Request/request:AcceptableResponseSchema", "", names).strip()
    if root.tag != f"{{{namespace}}}Autodiscover" or not address or not schema:
        raise BadRequest
    return AutodiscoverRequest(address, schema)
