"""Reads what Outlook asks: an XML document from a stranger."""

from dataclasses import dataclass
from xml.etree import ElementTree  # noqa: S405 - document types, and with them entities, are refused below

REQUEST_NAMESPACE = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006"
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
    `REQUEST_NAMESPACE`.
    """
    if len(body) > LARGEST_REQUEST:
        raise BadRequest
    parser = ElementTree.XMLParser(target=_PlainDocument())  # noqa: S314
    try:
        parser.feed(body)
        root = parser.close()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise BadRequest from error
    names = {"request": REQUEST_NAMESPACE}
    address = root.findtext("./request:Request/request:EMailAddress", "", names).strip()
    schema = root.findtext("./request:Request/request:AcceptableResponseSchema", "", names).strip()
    if root.tag != f"{{{REQUEST_NAMESPACE}}}Autodiscover" or not address or not schema:
        raise BadRequest
    return AutodiscoverRequest(address, schema)
