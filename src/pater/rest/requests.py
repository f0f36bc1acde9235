"""Reads what a client sent: body within its bounds, media types, preferences, conditions."""

from __future__ import annotations

import re
import zlib
from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from pater.records.changes import STANDING
from pater.rest.errors import HttpError

Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]

JSON_TYPES: Final = frozenset({"application/fhir+json", "application/json", "text/json"})
FORM: Final = "application/x-www-form-urlencoded"
FHIR_VERSIONS: Final = frozenset({"4.0", "4.0.1"})
_MAX_PARAMETERS: Final = 200
_LONGEST_QUERY: Final = 1024 * 1024  # characters of all parameters together
_ETAG: Final = re.compile(r'(?:W/)?"([^"]*)"\Z')
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._\-]{1,64}\Z")
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")


class ClientGone(Exception):  # noqa: N818 (nobody is left to call it an error)
    """The client closed the connection before its request was complete."""


def is_id(text: str) -> bool:
    """Whether the text is a FHIR id."""
    return _ID.match(text) is not None


def request_id(given: str | None) -> str | None:
    """The client's X-Request-Id when it may be used as it is."""
    return given if given is not None and _REQUEST_ID.match(given) else None


async def read_body(receive: Receive, headers: dict[str, str], limit: int) -> bytes:
    """The whole body, unpacked when gzip. Raises HttpError 413, 415, 400; ClientGone."""
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > 15 or int(length) > limit):
        raise too_large(limit)
    encoding = headers.get("content-encoding", "identity").strip().lower()
    if encoding not in ("identity", "", "gzip"):
        raise HttpError(415, "not-supported", "the content encodings are gzip and identity")
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        size += len(chunk)
        if size > limit:
            raise too_large(limit)
        chunks.append(chunk)
        if not message.get("more_body", False):
            break
    body = chunks[0] if len(chunks) == 1 else b"".join(chunks)
    return _gunzip(body, limit) if encoding == "gzip" else body


def too_large(limit: int) -> HttpError:
    """The refusal of a body over the limit."""
    return HttpError(413, "too-long", f"a request body has at most {limit} bytes")


def _gunzip(data: bytes, limit: int) -> bytes:
    unpacker = zlib.decompressobj(wbits=31)
    try:
        body = unpacker.decompress(data, limit + 1)
    except zlib.error:
        raise HttpError(400, "structure", "the body is not gzip as it says") from None
    if len(body) > limit:
        raise too_large(limit)
    if not unpacker.eof or unpacker.unused_data:
        raise HttpError(400, "structure", "the gzip body is not complete")
    return body


def parse_media_type(text: str) -> tuple[str, dict[str, str]]:
    """`type/subtype` in lower case and its parameters."""
    kind, *rest = text.split(";")
    parameters: dict[str, str] = {}
    for part in rest:
        name, _, value = part.partition("=")
        parameters[name.strip().lower()] = value.strip().strip('"')
    return kind.strip().lower(), parameters


def wants_pretty(pairs: list[tuple[str, str]]) -> bool:
    """Whether `_pretty` asks for lines and indents."""
    return any(name == "_pretty" and value == "true" for name, value in pairs)


def require_form(headers: dict[str, str]) -> None:
    """Refuses (415) a body that is not a form in UTF-8."""
    kind, parameters = parse_media_type(headers.get("content-type", ""))
    if kind != FORM or parameters.get("charset", "utf-8").lower() not in ("utf-8", "utf8"):
        raise HttpError(415, "not-supported", f"send {FORM} in UTF-8")


def parse_parameters(text: bytes) -> list[tuple[str, str]]:
    """The pairs of a query string or a form. Raises HttpError 400, 413."""
    if not text:
        return []
    if len(text) > _LONGEST_QUERY:
        problem = f"the parameters of a request have at most {_LONGEST_QUERY} characters"
        raise HttpError(413, "too-long", problem)
    try:
        pairs = parse_qsl(
            text.decode("ascii"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=_MAX_PARAMETERS,
        )
    except UnicodeDecodeError:
        raise HttpError(400, "value", "parameters are percent-encoded UTF-8") from None
    except ValueError:
        raise HttpError(
            400, "too-costly", f"a request has at most {_MAX_PARAMETERS} parameters"
        ) from None
    if any("\x00" in name or "\x00" in value for name, value in pairs):
        raise HttpError(400, "value", "a parameter holds the character U+0000")
    return pairs


def split_format(pairs: list[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """The parameters without `_format` and `_pretty`, and the values of `_format`."""
    formats = [value for name, value in pairs if name == "_format"]
    return [pair for pair in pairs if pair[0] not in ("_format", "_pretty")], formats


def prefer_return(headers: dict[str, str]) -> str:
    """`minimal`, `representation`, `OperationOutcome`, or "" when the client has no wish."""
    for part in headers.get("prefer", "").replace(";", ",").split(","):
        name, _, value = part.strip().partition("=")
        value = value.strip().strip('"')
        if name.strip().lower() == "return" and value in (
            "minimal",
            "representation",
            "OperationOutcome",
        ):
            return value
    return ""


def prefers_lenient(headers: dict[str, str]) -> bool:
    """Whether `Prefer: handling=lenient` allows to leave out what is not understood."""
    preferences = headers.get("prefer", "").replace(";", ",").lower().replace(" ", "")
    return "handling=lenient" in preferences.split(",")


def expected_version(headers: dict[str, str]) -> int | None:
    """What If-Match and If-None-Match say of the current version: n, 0 (absent) or None.

    A version that this server cannot have given is -1: it matches nothing.
    """
    if headers.get("if-none-match", "").strip() == "*":
        return 0
    given = headers.get("if-match")
    if given is None:
        return None
    return version_of(given)


def version_of(etag: str) -> int:
    """The version in an ETag; -1 for one this server never gave; `*` is any that stands.

    Raises HttpError 400.
    """
    if etag.strip() == "*":
        return STANDING
    found = _ETAG.match(etag.strip())
    if not found:
        raise HttpError(400, "value", 'a version is stated like W/"1"')
    text = found[1]
    # versions are 32-bit numbers in the store; anything longer was never one
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else -1


def knows_version(headers: dict[str, str], version: int) -> bool:
    """Whether If-None-Match names the version (weak comparison); `*` names any that stands."""
    given = headers.get("if-none-match")
    if given is None:
        return False
    if given.strip() == "*":
        return True
    tags = (_ETAG.match(part.strip()) for part in given.split(","))
    return any(tag is not None and tag[1] == str(version) for tag in tags)


def knows_tag(headers: Mapping[str, str], tag: bytes) -> bool:
    """Whether If-None-Match names an ETag (weak comparison)."""
    given = [part.strip() for part in headers.get("if-none-match", "").split(",")]
    bare = tag.decode("ascii").removeprefix("W/")
    return "*" in given or bare in (part.removeprefix("W/") for part in given)


def has_current(headers: dict[str, str], version: int, updated: datetime) -> bool:
    """Whether the client says that it has this version, written at `updated`, already.

    If-None-Match goes before If-Modified-Since, and what is no HTTP date counts for nothing
    (RFC 9110 13.1.3). An HTTP date has whole seconds: a later write within the same second is not
    told apart, as for any server.
    """
    if "if-none-match" in headers or "if-modified-since" not in headers:
        return knows_version(headers, version)
    try:
        since = parsedate_to_datetime(headers["if-modified-since"])
    except (ValueError, TypeError, OverflowError):
        return False
    if since.tzinfo is None:
        since = since.replace(tzinfo=UTC)
    return updated.replace(microsecond=0) <= since
