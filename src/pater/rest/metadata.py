"""What the API says of itself without a token, made once and kept in every form it is asked for."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from pater.fhir.json import parse
from pater.rest.compression import Encoding, accepted_encoding, compressed
from pater.rest.errors import HttpError
from pater.rest.formats import Format, xml_of
from pater.rest.projection import project
from pater.rest.requests import knows_tag
from pater.rest.responses import Reply

_CACHE: Final = b"public, max-age=60"
_OWN_MODES: Final = frozenset({"", "full", "normative"})
_SUMMARIES: Final = frozenset({"true", "text", "data"})
_MOST_FORMS: Final = 64
"""Forms kept; what asks for more combinations of elements has them made each time."""

_Key = tuple[Format, str, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class _Form:
    """One way of saying it: the bytes in each encoding and their ETag."""

    bodies: Mapping[Encoding, bytes]
    etag: bytes


class Metadata:
    """The CapabilityStatement by `make`, and the statements of `others` by their mode.

    `describe` makes the OpenAPI description. When what these two say has changed, `revision` gives
    another object. The others are asked each time.
    """

    def __init__(
        self,
        make: Callable[[], bytes],
        revision: Callable[[], object],
        others: Mapping[str, Callable[[], Awaitable[bytes]]],
        describe: Callable[[], bytes],
    ) -> None:
        self._make = make
        self._describe = describe
        self._described: _Form | None = None
        self._revision = revision
        self._others = others
        self._made_at: object = None
        self._forms: dict[_Key, _Form] = {}

    async def reply(
        self, parameters: Sequence[tuple[str, str]], format: Format, headers: Mapping[str, str]
    ) -> Reply:
        """GET /metadata: `mode`, `_summary`, `_elements`; 304 for who has it already."""
        mode, summary, elements = _asked(parameters)
        if mode in _OWN_MODES:
            form = self._form((format, summary, elements))
        elif mode in self._others:
            body = await self._others[mode]()
            kind = str(parse(body)["resourceType"])
            form = _formed(body, kind, (format, summary, elements), kept=False)
        else:
            known = ", ".join(sorted({*_OWN_MODES, *self._others} - {""}))
            raise HttpError(400, "not-supported", f"the modes are {known}")
        kept = [(b"etag", form.etag), (b"cache-control", _CACHE)]
        if knows_tag(headers, form.etag):
            return Reply(304, b"", kept)
        encoding = accepted_encoding(headers.get("accept-encoding"))
        if encoding not in form.bodies:
            return Reply(200, form.bodies[""], kept, xml=format == "xml")
        body = form.bodies[encoding]
        return Reply(200, body, kept, xml=format == "xml", encoding=encoding or "identity")

    def openapi(self, headers: Mapping[str, str]) -> Reply:
        """GET /openapi.json, kept in the same way."""
        self._renew()
        if self._described is None:
            self._described = _formed(self._describe(), "", ("json", "", ()), kept=True)
        form = self._described
        kept = [(b"etag", form.etag), (b"cache-control", _CACHE),
                (b"content-type", b"application/json")]  # fmt: skip
        if knows_tag(headers, form.etag):
            return Reply(304, b"", kept[:2])
        encoding = accepted_encoding(headers.get("accept-encoding"))
        return Reply(200, form.bodies[encoding], kept, encoding=encoding or "identity")

    def _renew(self) -> None:
        now = self._revision()
        if now is not self._made_at:
            self._forms.clear()
            self._described = None
            self._made_at = now

    def _form(self, key: _Key) -> _Form:
        self._renew()
        found = self._forms.get(key)
        if found is None:
            found = _formed(self._make(), "CapabilityStatement", key, kept=True)
            if len(self._forms) < _MOST_FORMS:
                self._forms[key] = found
        return found


def _formed(body: bytes, type: str, key: _Key, *, kept: bool) -> _Form:
    """One form; what is kept is packed as small as can be."""
    format, summary, elements = key
    if summary or elements:
        body = project(body, type, summary, elements)
    if format == "xml":
        body = xml_of(body)
    digest = hashlib.blake2b(body, digest_size=9).hexdigest()
    bodies: dict[Encoding, bytes] = {"": body}
    if kept:
        bodies |= {"gzip": compressed(body, "gzip", 6), "zstd": compressed(body, "zstd", 9)}
    return _Form(bodies, f'W/"{digest}"'.encode("ascii"))


def _asked(parameters: Sequence[tuple[str, str]]) -> tuple[str, str, tuple[str, ...]]:
    mode = summary = ""
    elements: tuple[str, ...] = ()
    for name, value in parameters:
        if name == "mode":
            mode = value
        elif name == "_summary" and value in _SUMMARIES:
            summary = value
        elif name == "_elements" and value:
            elements = tuple(sorted(set(value.split(","))))
    return mode, summary, elements
