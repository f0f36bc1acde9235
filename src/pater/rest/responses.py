"""Builds answers: status, headers of a version (ETag, Location, Last-Modified), JSON bodies."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final

from pater.fhir.issues import Issue, operation_outcome
from pater.fhir.json import dumps
from pater.rest.compression import LEAST, accepted_encoding, packed
from pater.store.read import Stored
from pater.store.write import Written

Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

_CONTENT_TYPE: Final = (b"content-type", b"application/fhir+json; charset=utf-8")
_CONTENT_TYPE_XML: Final = (b"content-type", b"application/fhir+xml; charset=utf-8")
# Health data are for the one who asked: no shared cache and no copy on a disk.
_NO_STORE: Final = (b"cache-control", b"no-store")
_VARY: Final = (b"vary", b"Accept, Accept-Encoding")
_NOSNIFF: Final = (b"x-content-type-options", b"nosniff")


@dataclass(frozen=True, slots=True)
class Reply:
    """One answer before it is sent. An empty body has no content type, another is JSON or XML.

    `encoding` says how the body is compressed already (`identity` = it shall not be).
    """

    status: int
    body: bytes = b""
    headers: Sequence[Header] = ()
    xml: bool = False
    encoding: str = ""


async def send_reply(
    send: Send, reply: Reply, request_id: str, *, head: bool = False, accept_encoding: str = ""
) -> None:
    """Sends the answer, compressed where the client takes that and it is worth it; for HEAD with
    the headers of the body but without it."""
    body, encoding = reply.body, reply.encoding
    if accept_encoding and not encoding and len(body) >= LEAST:
        chosen = accepted_encoding(accept_encoding)
        if chosen:
            body, encoding = await packed(body, chosen), chosen
    headers: list[Header] = [
        *reply.headers,
        (b"content-length", b"%d" % len(body)),
        (b"x-request-id", request_id.encode("ascii")),
        _VARY,
        _NOSNIFF,
    ]
    said = [name for name, _ in reply.headers]
    if b"cache-control" not in said:
        headers.append(_NO_STORE)
    if encoding and encoding != "identity":
        headers.append((b"content-encoding", encoding.encode("ascii")))
    if body and b"content-type" not in said:
        headers.append(_CONTENT_TYPE_XML if reply.xml else _CONTENT_TYPE)
    if reply.status in (204, 304):
        headers = [h for h in headers if h[0] != b"content-length"]
    await send({"type": "http.response.start", "status": reply.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if head else body})


def outcome(issues: Sequence[Issue]) -> bytes:
    """An OperationOutcome as bytes."""
    return dumps(operation_outcome(issues))


def etag(version: int) -> bytes:
    """The weak ETag of a version (FHIR R4 3.1.0.1.3)."""
    return b'W/"%d"' % version


def http_date(at: datetime) -> bytes:
    """An aware time in UTC as HTTP writes it."""
    return format_datetime(at, usegmt=True).encode("ascii")


def version_headers(version: int, updated: datetime) -> list[Header]:
    """ETag and Last-Modified."""
    return [(b"etag", etag(version)), (b"last-modified", http_date(updated))]


def stored_reply(stored: Stored) -> Reply:
    """A resource as it is stored, byte for byte."""
    return Reply(200, stored.body, version_headers(stored.version, stored.updated))


def version_path(type: str, id: str, version: int) -> str:
    """The address of one version, relative to the API's."""
    return f"{type}/{id}/_history/{version}"


def written_reply(
    written: Written, base_url: str, prefer: str, issues: Sequence[Issue] = ()
) -> Reply:
    """The answer to a create or update: 201 or 200, and the body that the client prefers.

    Without a preference the resource is returned. `issues` are what validation remarked.
    """
    status = 201 if written.created else 200
    headers = version_headers(written.version, written.updated)
    location = f"{base_url}/{version_path(written.type, written.id, written.version)}"
    headers.append((b"location", location.encode("ascii")))
    if prefer == "minimal":
        body = b""
    elif prefer == "OperationOutcome":
        body = outcome([*issues, accepted(written)])
    else:
        body = written.body
    return Reply(status, body, headers)


def deleted_reply(written: Written | None, type: str, prefer: str) -> Reply:
    """The answer to a delete: 204; 200 with what was done for who wants an OperationOutcome.

    `written` None, or of version 0: there was nothing to delete.
    """
    there = written is not None and written.version > 0
    headers = version_headers(written.version, written.updated) if written and there else []
    if prefer != "OperationOutcome":
        return Reply(204, b"", headers)
    return Reply(200, outcome([removed(written, type)]), headers)


def removed(written: Written | None, type: str) -> Issue:
    """What a delete did, for `Prefer: return=OperationOutcome`."""
    done = f"there was no {type} to delete"
    if written is not None and written.version:
        done = f"{type}/{written.id} was deleted"
    return Issue("information", "informational", "", done)


def accepted(written: Written) -> Issue:
    """What was done, for `Prefer: return=OperationOutcome`."""
    done = "created" if written.created else "updated"
    return Issue("information", "informational", "", f"{written.type}/{written.id} was {done}")
