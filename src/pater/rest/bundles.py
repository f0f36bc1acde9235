"""POST of a Bundle to the API itself: a transaction (all or nothing) or a batch (each its own)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import unquote

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue, has_errors
from pater.fhir.json import dumps
from pater.fhir.validation import validate
from pater.records.changes import Change, Method
from pater.rest import interactions as do
from pater.rest.errors import HttpError
from pater.rest.interactions import Api
from pater.rest.outcomes import CLIENT_ERRORS, reply_of
from pater.rest.references_in_bundles import names_of, resolved, unresolved
from pater.rest.requests import is_id, parse_parameters, prefer_return, split_format, version_of
from pater.rest.responses import Reply, version_path
from pater.store.write import Written

_ORDER: Final = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3}
_METHODS: Final[dict[str, Method]] = {"DELETE": "delete", "POST": "create", "PUT": "update"}
_AT_ONCE = 16  # entries of a batch that run side by side, so that their commits share a flush
_JSON: Final = {"content-type": "application/fhir+json"}
MOST_ENTRIES: Final = 10_000
MOST_BYTES: Final = 64 * 1024 * 1024
"""What the entries of one answer may hold together: a small Bundle may ask for much."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry: what it asks for. `id` is "" for the type's own address."""

    position: int
    method: str
    type: str
    id: str
    rest: tuple[str, ...]  # further segments of the address: `_history`, a version
    query: str
    headers: dict[str, str]
    full_url: str
    resource: dict[str, Any] | None

    @property
    def path(self) -> str:
        """The FHIRPath of the entry."""
        return f"Bundle.entry[{self.position}]"


async def process(api: Api, caller: Caller, raw: bytes, headers: dict[str, str]) -> Reply:
    """POST / with a Bundle of type transaction or batch."""
    bundle = do.body_of("Bundle", raw)
    kind = bundle.get("type")
    if kind not in ("transaction", "batch"):
        text = "this address takes a Bundle of type transaction or batch"
        raise HttpError(400, "invalid", text, path="Bundle.type")
    entries = bundle.get("entry")
    if isinstance(entries, list) and len(entries) > MOST_ENTRIES:
        text = f"a Bundle has at most {MOST_ENTRIES} entries here"
        raise HttpError(413, "too-long", text, path="Bundle.entry")
    if kind == "batch":
        return await _batch(api, caller, bundle, prefer_return(headers))
    return await _transaction(api, caller, bundle, prefer_return(headers))


async def _transaction(api: Api, caller: Caller, bundle: dict[str, Any], prefer: str) -> Reply:
    issues = validate(bundle)
    status = 422 if has_errors(issues) else 400
    entries = list(_entries(bundle, issues, api.config.base_url))
    for entry in entries:
        issues += _entry_issues(api, entry)
    changes = _changes(api, [e for e in entries if e.method in _METHODS], issues)
    if has_errors(issues):
        raise HttpError(status, "invalid", "the transaction is not right", issues=issues)
    changes.sort(key=lambda pair: _ORDER[pair[0].method])
    written: Sequence[Written] = ()
    if changes:
        written = await api.gate.commit(
            caller, [change for _, change in changes], interaction="transaction"
        )
    answers: dict[int, bytes] = {
        entry.position: _written_entry(result, prefer)
        for (entry, _), result in zip(changes, written, strict=True)
    }
    room = _Room()
    for entry in entries:
        if entry.method == "GET":
            reply = await _single(api, caller, entry, prefer, room)
            answers[entry.position] = _reply_entry(reply, api.config.base_url)
    return Reply(200, _response("transaction-response", answers))


async def _batch(api: Api, caller: Caller, bundle: dict[str, Any], prefer: str) -> Reply:
    shell = {**bundle, "entry": []} if isinstance(bundle.get("entry"), list) else bundle
    if not shell.get("entry", True):
        shell.pop("entry")
    do.checked(shell)
    gate = asyncio.Semaphore(_AT_ONCE)
    answers: dict[int, bytes] = {}
    room = _Room()
    entries: list[Entry] = []
    for position, raw_entry in enumerate(bundle.get("entry") or ()):
        issues: list[Issue] = []
        entry = _entry(position, raw_entry, issues, api.config.base_url)
        if entry is None or has_errors(issues):
            error = HttpError(400, "invalid", "the entry is not right", issues=issues)
            answers[position] = _reply_entry(reply_of(error), api.config.base_url)
        else:
            entries.append(entry)

    async def run(entry: Entry) -> None:
        async with gate:
            reply = await _single(api, caller, entry, prefer, room)
            answers[entry.position] = _reply_entry(reply, api.config.base_url)

    for method in _ORDER:
        # a group, so that an error which is ours ends the others before it is answered
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                if entry.method == method:
                    group.create_task(run(entry))
    return Reply(200, _response("batch-response", answers))


def _entries(bundle: dict[str, Any], issues: list[Issue], base_url: str) -> Iterable[Entry]:
    for position, raw in enumerate(bundle.get("entry") or ()):
        entry = _entry(position, raw, issues, base_url)
        if entry is not None:
            yield entry


def _entry(position: int, raw: Any, issues: list[Issue], base_url: str) -> Entry | None:
    """One entry read; None with issues when its request cannot be understood."""
    path = f"Bundle.entry[{position}]"

    def wrong(code: str, place: str, text: str) -> None:
        issues.append(Issue("error", code, f"{path}{place}", text))

    request = raw.get("request") if isinstance(raw, dict) else None
    method = request.get("method") if isinstance(request, dict) else None
    url = request.get("url") if isinstance(request, dict) else None
    if not isinstance(request, dict) or not isinstance(method, str) or not isinstance(url, str):
        wrong("required", ".request", "an entry has a request with method and url")
        return None
    if method not in _ORDER:
        wrong("not-supported", ".request.method", "the methods are DELETE, POST, PUT and GET")
        return None
    resource = raw.get("resource")
    if resource is not None and not isinstance(resource, dict):
        wrong("structure", ".resource", "a resource is a JSON object")
        return None
    headers: dict[str, str] = {}
    for element, header in (("ifMatch", "if-match"), ("ifNoneMatch", "if-none-match")):
        value = request.get(element)
        if isinstance(value, str):
            headers[header] = value
    if "ifNoneExist" in request:
        wrong("not-supported", ".request.ifNoneExist", "conditional create is not offered yet")
    relative = url.removeprefix(base_url).lstrip("/") if url.startswith(base_url) else url
    address, _, query = relative.partition("?")
    segments = [unquote(part) for part in address.lstrip("/").split("/")]
    type_, id_, *rest = [*segments, ""][:5] if len(segments) > 1 else [segments[0], ""]
    entry = Entry(
        position=position,
        method=method,
        type=type_,
        id=id_,
        rest=tuple(part for part in rest if part),
        query=query,
        headers=headers,
        full_url=raw["fullUrl"] if isinstance(raw.get("fullUrl"), str) else "",
        resource=resource,
    )
    _address_issues(entry, issues)
    return entry


def _address_issues(entry: Entry, issues: list[Issue]) -> None:
    """Whether method and address go together."""
    url = f"{entry.path}.request.url"
    if entry.type not in TYPE_NUMBER:
        issues.append(Issue("error", "not-found", url, "the address names no resource type"))
        return
    if entry.method == "GET":
        if entry.id and entry.rest and (entry.rest[0] != "_history" or len(entry.rest) > 2):
            issues.append(Issue("error", "not-supported", url, "this is no address to read"))
        return
    if entry.query:
        text = "conditional requests are not offered in this release"
        issues.append(Issue("error", "not-supported", url, text))
    elif entry.rest or (entry.method == "POST") != (not entry.id):
        text = "POST goes to the type, PUT and DELETE to the type and id"
        issues.append(Issue("error", "value", url, text))
    elif entry.id and not is_id(entry.id):
        issues.append(Issue("error", "value", url, "an id has 1 to 64 of A-Z a-z 0-9 - ."))
    if entry.method == "DELETE":
        return
    if entry.resource is None:
        issues.append(
            Issue("error", "required", f"{entry.path}.resource", "the entry has a resource")
        )
    elif entry.resource.get("resourceType") != entry.type:
        text = f"the resource is a {entry.type}, as its address says"
        issues.append(Issue("error", "value", f"{entry.path}.resource", text))
    elif entry.method == "PUT" and entry.resource.get("id") != entry.id:
        text = "the resource has the same id as its address"
        issues.append(Issue("error", "value", f"{entry.path}.resource.id", text))


def _entry_issues(api: Api, entry: Entry) -> list[Issue]:
    """What a transaction cannot hold, beside what every entry needs."""
    issues: list[Issue] = []
    resource = entry.resource or {}
    if entry.method == "POST" and entry.type in api.creates and resource.get("type") == "document":
        issues.append(
            Issue(
                "error",
                "not-supported",
                f"{entry.path}.resource",
                "a document is sent by itself or in a batch: it is a transaction of its own",
            )
        )
    return issues


def _changes(api: Api, entries: Sequence[Entry], issues: list[Issue]) -> list[tuple[Entry, Change]]:
    """The changes with ids given and references between entries rewritten."""
    names: dict[str, str] = {}
    ids: dict[int, str] = {}
    places: dict[str, int] = {}
    for entry in entries:
        ids[entry.position] = entry.id or api.gate.new_id()
        if entry.method == "DELETE":
            continue
        address = f"{entry.type}/{ids[entry.position]}"
        if entry.full_url in places:
            text = f"entry {places[entry.full_url]} has the same fullUrl"
            issues.append(Issue("error", "duplicate", f"{entry.path}.fullUrl", text))
        elif entry.full_url:
            places[entry.full_url] = entry.position
        names.update(dict.fromkeys(names_of(entry.full_url, address), address))
    changes: list[tuple[Entry, Change]] = []
    for entry in entries:
        resource = None
        path = f"{entry.path}.resource"
        if entry.method != "DELETE" and entry.resource is not None:
            resource = entry.resource
            if entry.type != "Bundle":  # a Bundle has its own names, and they mean its own entries
                resource = resolved(resource, names)
                issues += unresolved(resource, path)
        change = Change(
            _METHODS[entry.method],
            entry.type,
            ids[entry.position],
            resource,
            if_match=_expected(entry, issues),
            path=path,
            claims_of=do.claims_of(api, entry.type) if resource is not None else None,
        )
        changes.append((entry, change))
    return changes


def _expected(entry: Entry, issues: list[Issue]) -> int | None:
    if entry.headers.get("if-none-match") == "*":
        return 0
    text = entry.headers.get("if-match")
    if text is None or entry.method == "POST":
        return None
    try:
        return version_of(text)
    except HttpError as error:
        issues.append(Issue("error", "value", f"{entry.path}.request.ifMatch", str(error)))
        return None


@dataclass(slots=True)
class _Room:
    """How much of an answer's size its entries have taken."""

    taken: int = 0


async def _single(api: Api, caller: Caller, entry: Entry, prefer: str, room: _Room) -> Reply:
    """One entry as the interaction that it stands for; a client's error is its answer."""
    try:
        if entry.method == "GET" and room.taken > MOST_BYTES:
            raise HttpError(413, "too-costly", "the answer is full: ask for this by itself")
        reply = await _interaction(api, caller, entry, prefer)
    except CLIENT_ERRORS as error:
        return reply_of(error)
    room.taken += len(reply.body)
    return reply


async def _interaction(api: Api, caller: Caller, entry: Entry, prefer: str) -> Reply:
    headers = {**entry.headers, **({"prefer": f"return={prefer}"} if prefer else {})}
    if entry.method == "GET":
        parameters, _ = split_format(parse_parameters(_ascii(entry.query)))
        if not entry.id or entry.id == "_search":
            return await do.search(api, caller, entry.type, parameters)
        if not entry.rest:
            return await do.read(api, caller, entry.type, entry.id, parameters, headers)
        if len(entry.rest) == 1:
            return await do.history(api, caller, entry.type, entry.id, parameters)
        version = entry.rest[1]
        return await do.vread(api, caller, entry.type, entry.id, version, parameters, headers)
    if entry.method == "DELETE":
        return await do.delete(api, caller, entry.type, entry.id, headers)
    resource = entry.resource or {}
    raw = dumps(resource)
    if entry.method == "PUT":
        return await do.update(api, caller, entry.type, entry.id, raw, {**_JSON, **headers})
    issues = validate(resource) if entry.type not in api.creates else []
    if has_errors(issues):
        raise HttpError(422, "invalid", "the resource is not valid", issues=issues)
    return await do.create_parsed(api, caller, entry.type, resource, raw, prefer)


def _ascii(query: str) -> bytes:
    try:
        return query.encode("ascii")
    except UnicodeEncodeError:
        raise HttpError(400, "value", "an address is percent-encoded") from None


def _written_entry(written: Written, prefer: str) -> bytes:
    if not written.version or not written.body:
        return b'{"response":{"status":"204"}}'
    status = "201 Created" if written.created else "200 OK"
    response = {
        "status": status,
        "location": version_path(written.type, written.id, written.version),
        "etag": f'W/"{written.version}"',
        "lastModified": written.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if prefer != "representation":
        return b'{"response":' + dumps(response) + b"}"
    return b'{"resource":' + written.body + b',"response":' + dumps(response) + b"}"


def _reply_entry(reply: Reply, base_url: str) -> bytes:
    """A reply as an entry of the answer: resources as they are, refusals as the outcome."""
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in reply.headers}
    response: dict[str, Any] = {"status": str(reply.status)}
    if "location" in headers:
        response["location"] = headers["location"].removeprefix(f"{base_url}/")
    if "etag" in headers:
        response["etag"] = headers["etag"]
    if not reply.body:
        return b'{"response":' + dumps(response) + b"}"
    if reply.status >= 400 or reply.body.startswith(b'{"resourceType":"OperationOutcome"'):
        head = dumps(response)[:-1]
        return b'{"response":' + head + b',"outcome":' + reply.body + b"}}"
    return b'{"resource":' + reply.body + b',"response":' + dumps(response) + b"}"


def _response(kind: str, answers: dict[int, bytes]) -> bytes:
    entries = b",".join(answers[position] for position in sorted(answers))
    listed = b',"entry":[' + entries + b"]" if entries else b""
    return b'{"resourceType":"Bundle","type":"' + kind.encode("ascii") + b'"' + listed + b"}"
