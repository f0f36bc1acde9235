"""JSON or XML: what a client takes, what it sent, and the way between the two at the edge.

Inside everything is JSON. XML is turned into it when a body comes in, and an answer is turned
into XML when it goes out (FHIR R4 3.1.0.1.11).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final, Literal

from pater.fhir import json, xml
from pater.fhir.issues import Issue, Severity
from pater.fhir.json import JsonError
from pater.fhir.xml import XmlError
from pater.rest.errors import HttpError
from pater.rest.requests import FHIR_VERSIONS, JSON_TYPES, parse_media_type
from pater.rest.responses import Reply, outcome

Format = Literal["json", "xml"]

XML_TYPES: Final = frozenset({"application/fhir+xml", "application/xml", "text/xml"})
_TYPES: Final[Mapping[str, Format]] = MappingProxyType(
    {
        **dict.fromkeys(sorted(JSON_TYPES), "json"),
        **dict.fromkeys(sorted(XML_TYPES), "xml"),
    }
)
_FORMATS: Final[Mapping[str, Format]] = MappingProxyType(
    {
        **_TYPES,
        "json": "json",
        "application/json+fhir": "json",
        "xml": "xml",
        "application/xml+fhir": "xml",
    }
)
_ANY: Final = frozenset({"*/*", "application/*", ""})
_QUALITY: Final = re.compile(r"0(?:\.[0-9]{0,3})?\Z")
_DEEPEST_ANSWER: Final = 128  # a resource at its limit stands inside the levels of a Bundle
_LARGE: Final = 128 * 1024
"""Bytes from which a conversion leaves the event loop to the others."""
MOST_BYTES: Final = 16 * 1024 * 1024
"""Of JSON that is turned into XML at once: its tree takes some ten times as much memory."""


def accepted_format(headers: Mapping[str, str], formats: Sequence[str]) -> Format:
    """What the answer is written in; `formats` are the values of `_format`, which go first.

    Of several types in Accept the one of the highest quality is taken, a named one before a
    wildcard, then the first. Raises HttpError 406 when the client takes neither.
    """
    if formats:
        # a plus sign in a query is a space by the rules of forms: `application/fhir json`
        kinds = [parse_media_type(text.replace(" ", "+"))[0] for text in formats]
        if not all(kind in _FORMATS for kind in kinds):
            raise HttpError(406, "not-supported", "the formats are json and xml")
        return _FORMATS[kinds[0]]
    accept = headers.get("accept")
    if accept is None or accept in ("*/*", "application/fhir+json", "application/json"):
        return "json"
    best = (0.0, 0)
    chosen: Format = "json"
    for part in accept.split(","):
        kind, parameters = parse_media_type(part)
        found = _TYPES.get(kind)
        if (found is None and kind not in _ANY) or not _version(parameters):
            continue
        text = parameters.get("q", "1")
        rank = (float(text) if _QUALITY.match(text) else 1.0, 0 if found is None else 1)
        if rank[0] > 0 and rank > best:
            best, chosen = rank, found or "json"
    if best == (0.0, 0):
        text = "answers are application/fhir+json or application/fhir+xml of FHIR 4.0"
        raise HttpError(406, "not-supported", text)
    return chosen


def sent_format(headers: Mapping[str, str]) -> Format:
    """What the body is written in. Raises HttpError 415 when it is not FHIR 4.0 in UTF-8."""
    given = headers.get("content-type")
    if given in ("application/fhir+json", "application/json"):
        return "json"
    kind, parameters = parse_media_type(given or "")
    found = _TYPES.get(kind)
    if found is None:
        text = "send application/fhir+json or application/fhir+xml in UTF-8"
        raise HttpError(415, "not-supported", text)
    if parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise HttpError(415, "not-supported", "the character encoding is UTF-8")
    if not _version(parameters):
        raise HttpError(415, "not-supported", "the FHIR version is 4.0")
    return found


def _version(parameters: Mapping[str, str]) -> bool:
    return parameters.get("fhirversion", "4.0") in FHIR_VERSIONS


async def json_of(raw: bytes) -> bytes:
    """The JSON of a body in XML. Raises XmlError, HttpError 415 for documents.

    The bytes of a document are kept as they came, because they are what is signed; so a document
    has to come in the format in which it is kept.
    """
    return await asyncio.to_thread(_json, raw) if len(raw) > _LARGE else _json(raw)


def _json(raw: bytes) -> bytes:
    tree = xml.parse(raw)
    for path, bundle in _bundles(tree):
        if bundle.get("type") == "document":
            text = "a document is sent as application/fhir+json: XML is not taken in this release"
            raise HttpError(415, "not-supported", text, path=path)
    return json.dumps(tree)


def _bundles(tree: dict[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The Bundle itself, and those that the entries of a batch or transaction bring."""
    if tree.get("resourceType") != "Bundle":
        return []
    found = [("Bundle", tree)]
    if tree.get("type") in ("batch", "transaction"):
        for position, entry in enumerate(tree.get("entry", ())):
            resource = entry.get("resource", {})
            if resource.get("resourceType") == "Bundle":
                found.append((f"Bundle.entry[{position}].resource", resource))
    return found


async def in_xml(reply: Reply, *, reading: bool) -> Reply:
    """The same answer in XML, whose body has been JSON until now.

    What XML cannot say (a control character in a text) is refused with 406, what is too large
    with 413, where the client only reads; after a write the status stands, with an
    OperationOutcome that says it. A refusal that XML cannot say is answered in JSON.
    """
    if not reply.body or reply.xml:
        return reply
    try:
        body = await _converted(reply.body)
    except (XmlError, JsonError, HttpError) as error:
        if reply.status >= 400:
            return reply
        status = error.status if isinstance(error, HttpError) else 406
        path = error.issues[0].path if isinstance(error, XmlError) else ""
        text = f"this cannot be said in XML, ask for application/fhir+json: {error}"
        severity: Severity = "error" if reading else "warning"
        said = xml_of(outcome([Issue(severity, "not-supported", path, text)]))
        return Reply(status, said, xml=True) if reading else replace(reply, body=said, xml=True)
    return replace(reply, body=body, xml=True)


async def pretty(reply: Reply) -> Reply:
    """The same answer in JSON with lines and indents (`_pretty`, R4 3.1.0.1.13); XML as it is."""
    if reply.xml or reply.encoding or not 0 < len(reply.body) <= MOST_BYTES:
        return reply
    try:
        body = await asyncio.to_thread(_indented, reply.body)
    except JsonError:
        return reply
    return replace(reply, body=body)


def _indented(body: bytes) -> bytes:
    return json.dumps(json.parse(body, max_depth=_DEEPEST_ANSWER), indent=True)


async def _converted(body: bytes) -> bytes:
    if len(body) > MOST_BYTES:
        raise HttpError(413, "too-costly", f"it has more than {MOST_BYTES} bytes")
    return await asyncio.to_thread(xml_of, body) if len(body) > _LARGE else xml_of(body)


def xml_of(body: bytes) -> bytes:
    """The XML of a resource in JSON. Raises XmlError, JsonError."""
    return xml.dumps(json.parse(body, max_depth=_DEEPEST_ANSWER))
