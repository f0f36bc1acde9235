"""Binary over HTTP as the content that it is, not as a resource around it (FHIR R4 Binary)."""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping, Sequence
from typing import Final

from pater.fhir.json import dumps, parse
from pater.rest.errors import HttpError
from pater.rest.formats import XML_TYPES
from pater.rest.requests import JSON_TYPES, parse_media_type
from pater.rest.responses import Header, Reply

_CONTEXT: Final = "x-security-context"
_MEDIA_TYPE: Final = re.compile(r"[!-~]{1,100}/[!-~]{1,100}(?:;[ -~]{1,200})?\Z")
_FHIR: Final = JSON_TYPES | XML_TYPES
# What somebody stored must not act as a page of this server in a browser.
_GUARDED: Final[Sequence[Header]] = (
    (b"content-disposition", b"attachment"),
    (b"content-security-policy", b"sandbox; default-src 'none'"),
)


def wants_content(segments: Sequence[str], headers: Mapping[str, str]) -> bool:
    """Whether a read of this address means the content: a Binary, and no FHIR type is named."""
    match segments:
        case ["Binary", id] | ["Binary", id, "_history", _] if id[:1] not in ("$", "_"):
            return not _FHIR & _kinds(headers)
    return False


def is_content(segments: Sequence[str], headers: Mapping[str, str]) -> bool:
    """Whether the body that is sent to this address is the content of a Binary."""
    kind = parse_media_type(headers.get("content-type", ""))[0]
    match segments:
        case ["Binary"] | ["Binary", _]:
            return bool(_MEDIA_TYPE.match(kind)) and kind not in _FHIR
    return False


def content(reply: Reply, headers: Mapping[str, str]) -> Reply:
    """The content in the answer to a read; another answer as it is. Raises HttpError 406."""
    if reply.status != 200:
        return reply
    binary = parse(reply.body)
    stated = binary.get("contentType", "")
    kind = stated if _MEDIA_TYPE.match(stated) else "application/octet-stream"
    bare = parse_media_type(kind)[0]
    if not {bare, f"{bare.partition('/')[0]}/*", "*/*", ""} & (_kinds(headers) or {""}):
        raise HttpError(406, "not-supported", f"this Binary is {bare}")
    try:
        body = b64decode("".join(binary.get("data", "").split()), validate=True)
    except Base64Error:
        return reply
    found = [*reply.headers, (b"content-type", kind.encode("ascii")), *_GUARDED]
    context = binary.get("securityContext", {}).get("reference", "")
    if context and context.isascii() and context.isprintable():
        found.append((_CONTEXT.encode("ascii"), context.encode("ascii")))
    return Reply(200, body, found)


def resource(raw: bytes, segments: Sequence[str], headers: Mapping[str, str]) -> bytes:
    """The Binary around content that was sent, as JSON; X-Security-Context says whose it is."""
    context = headers.get(_CONTEXT, "").strip()
    return dumps(
        {
            "resourceType": "Binary",
            **({"id": segments[1]} if len(segments) > 1 else {}),
            "contentType": headers["content-type"].strip(),
            **({"securityContext": {"reference": context}} if context else {}),
            "data": b64encode(raw).decode("ascii"),
        }
    )


def _kinds(headers: Mapping[str, str]) -> set[str]:
    """The media types that the client takes; none when it does not say."""
    parts = headers.get("accept", "").split(",")
    asked = (parse_media_type(part) for part in parts if part.strip())
    return {kind for kind, parameters in asked if parameters.get("q") not in ("0", "0.0")}
