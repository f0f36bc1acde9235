"""POST of a Bundle to the API itself: a transaction (all or nothing) or a batch (each its own)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, replace
from email.utils import parsedate_to_datetime
from typing import Any, Final

from pater.access.caller import Caller
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.issues import Issue, has_errors, operation_outcome
from pater.fhir.json import dumps
from pater.fhir.validation import validate
from pater.fhir.validation.base import broken_rules
from pater.records.changes import Change, Edit
from pater.records.conditional import settle
from pater.rest import conditional, everything, operating, whole_search
from pater.rest import interactions as do
from pater.rest.entries import ORDER, Entry, read_entries, read_entry
from pater.rest.errors import HttpError, not_allowed, unsupported
from pater.rest.interactions import Api
from pater.rest.metadata import Metadata
from pater.rest.outcomes import CLIENT_ERRORS, reply_of
from pater.rest.patching import edit_of
from pater.rest.planning import METHODS, as_it_stands, plan, queries_of
from pater.rest.profiles import Check
from pater.rest.requests import parse_parameters, prefer_return, split_format
from pater.rest.responses import Reply, accepted, removed, version_path
from pater.store.read import Stored
from pater.store.write import Written

_AT_ONCE = 16  # entries of a batch that run side by side, so that their commits share a flush
_JSON: Final = {"content-type": "application/fhir+json"}
MOST_ENTRIES: Final = 10_000
MOST_BYTES: Final = 64 * 1024 * 1024
"""What the entries of one answer may hold together: a small Bundle may ask for much."""


async def process(
    api: Api, caller: Caller, raw: bytes, headers: dict[str, str], metadata: Metadata
) -> Reply:
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
        return await _batch(api, caller, bundle, prefer_return(headers), metadata)
    return await _transaction(api, caller, bundle, prefer_return(headers), metadata)


async def _transaction(
    api: Api, caller: Caller, bundle: dict[str, Any], prefer: str, metadata: Metadata
) -> Reply:
    issues = validate(bundle)
    status = 422 if has_errors(issues) else 400
    entries = list(read_entries(bundle, issues, api.config.base_url))
    for entry in entries:
        issues += _entry_issues(api, caller, entry)
    writing = [entry for entry in entries if entry.method in METHODS and not entry.operation]
    patches = _patches(writing, issues)
    meanings = queries_of(api, writing, issues)
    if not has_errors(issues):
        issues += await _rules(api, bundle, entries)
        status = 422
    if has_errors(issues):
        raise HttpError(status, "invalid", "the transaction is not right", issues=issues)

    async def once(check: Check | None = None) -> dict[int, bytes]:
        await meanings.look(api, caller)
        planned = plan(api, writing, patches, meanings, check)
        planned.sort(key=lambda pair: ORDER[pair[0].method])
        changes = [change for _, change in planned if isinstance(change, Change)]
        written: Sequence[Written] = ()
        if changes:
            written = await api.gate.commit(caller, changes, interaction="transaction")
        done = iter(written)
        results = {(w.type, w.id): w for w in written}
        answers: dict[int, bytes] = {}
        for entry, change in planned:
            if isinstance(change, Change):
                answers[entry.position] = _written_entry(next(done), prefer)
            elif change is None:
                answers[entry.position] = _removed_entry(None, entry.type, prefer)
            elif isinstance(change, Stored):
                answers[entry.position] = _written_entry(as_it_stands(change), prefer)
            else:
                same = replace(results[change], created=False)
                answers[entry.position] = _written_entry(same, prefer)
        return answers

    async def write(check: Check | None = None) -> dict[int, bytes]:
        return await (settle(lambda: once(check)) if meanings.entries else once(check))

    profiles = api.config.profiles
    answers = await (profiles.declared_later(write) if patches and profiles else write())
    room = _Room(metadata)
    for entry in entries:
        if entry.method == "GET":
            reply = await _single(api, caller, entry, prefer, room)
            answers[entry.position] = reply_entry(reply, api.config.base_url)
    return Reply(200, response_bundle("transaction-response", answers))


async def _rules(api: Api, bundle: dict[str, Any], entries: Sequence[Entry]) -> list[Issue]:
    """The invariants of all entries, then the profiles they declare."""
    issues = broken_rules(bundle)
    profiles = api.config.profiles
    if profiles is not None and not has_errors(issues):
        for entry in entries:
            if entry.method in ("POST", "PUT") and entry.resource is not None:
                issues += await profiles.declared(entry.resource, f"{entry.path}.resource")
    return issues


async def _batch(
    api: Api, caller: Caller, bundle: dict[str, Any], prefer: str, metadata: Metadata
) -> Reply:
    shell = {**bundle, "entry": []} if isinstance(bundle.get("entry"), list) else bundle
    if not shell.get("entry", True):
        shell.pop("entry")
    do.checked(shell)
    gate = asyncio.Semaphore(_AT_ONCE)
    answers: dict[int, bytes] = {}
    room = _Room(metadata)
    entries: list[Entry] = []
    for position, raw_entry in enumerate(bundle.get("entry") or ()):
        issues: list[Issue] = []
        entry = read_entry(position, raw_entry, issues, api.config.base_url)
        if entry is None or has_errors(issues):
            error = HttpError(400, "invalid", "the entry is not right", issues=issues)
            answers[position] = reply_entry(reply_of(error), api.config.base_url)
        else:
            entries.append(entry)

    async def run(entry: Entry) -> None:
        async with gate:
            reply = await _single(api, caller, entry, prefer, room)
            answers[entry.position] = reply_entry(reply, api.config.base_url)

    for method in ORDER:
        # a group, so that an error which is ours ends the others before it is answered
        async with asyncio.TaskGroup() as group:
            for entry in entries:
                if entry.method == method:
                    group.create_task(run(entry))
    return Reply(200, response_bundle("batch-response", answers))


def _patches(entries: Sequence[Entry], issues: list[Issue]) -> dict[int, Edit]:
    """The patches by the position of their entries, and what is wrong with them."""
    found: dict[int, Edit] = {}
    for entry in entries:
        if entry.method == "PATCH":
            edit = edit_of(entry.resource or {}, f"{entry.path}.resource", issues)
            if edit is not None:
                found[entry.position] = edit
    return found


def _entry_issues(api: Api, caller: Caller, entry: Entry) -> list[Issue]:
    """What a transaction cannot hold, beside what every entry needs."""
    issues: list[Issue] = []
    if entry.operation and entry.method == "POST":
        text = "operations are called by GET in a transaction; by POST in a batch"
        issues.append(Issue("error", "not-supported", f"{entry.path}.request", text))
    alone = api.alone.get(entry.type)
    if alone is not None and entry.method in METHODS and not entry.operation and alone(caller):
        text = f"what is told of a {entry.type} is taken by itself: send it alone or in a batch"
        issues.append(Issue("error", "not-supported", f"{entry.path}.request", text))
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


@dataclass(slots=True)
class _Room:
    """How much of an answer's size its entries have taken; and what the API says of itself."""

    metadata: Metadata
    taken: int = 0


async def _single(api: Api, caller: Caller, entry: Entry, prefer: str, room: _Room) -> Reply:
    """One entry as the interaction that it stands for; a client's error is its answer."""
    try:
        if entry.method == "GET" and room.taken > MOST_BYTES:
            raise HttpError(413, "too-costly", "the answer is full: ask for this by itself")
        if entry.method == "GET" and entry.type == "metadata":
            parameters, _ = split_format(parse_parameters(_ascii(entry.query)))
            reply = await room.metadata.reply(parameters, "json", entry.headers)
        else:
            reply = await _interaction(api, caller, entry, prefer)
    except CLIENT_ERRORS as error:
        return reply_of(error)
    if entry.head:
        return replace(reply, body=b"")
    room.taken += len(reply.body)
    return reply


async def _interaction(api: Api, caller: Caller, entry: Entry, prefer: str) -> Reply:
    headers = {**entry.headers, **({"prefer": f"return={prefer}"} if prefer else {})}
    if entry.operation:
        return await _operation(api, caller, entry, headers)
    if entry.method == "GET":
        parameters, _ = split_format(parse_parameters(_ascii(entry.query)))
        if entry.type == "_history":
            return await do.histories(api, caller, "", parameters)
        if entry.type not in TYPE_NUMBER:
            return await whole_search.search(api, caller, parameters)
        if entry.rest == ("*",):
            return await everything.compartment(api, caller, entry.id, parameters)
        if entry.rest and entry.rest[0] in TYPE_NUMBER:
            return await everything.search(
                api, caller, entry.type, entry.id, entry.rest[0], parameters
            )
        if not entry.id or entry.id == "_search":
            return await do.search(api, caller, entry.type, parameters)
        if entry.id == "_history" and not entry.rest:
            return await do.histories(api, caller, entry.type, parameters)
        if not entry.rest:
            return await do.read(api, caller, entry.type, entry.id, parameters, headers)
        if len(entry.rest) == 1:
            return await do.history(api, caller, entry.type, entry.id, parameters)
        version = entry.rest[1]
        return await do.vread(api, caller, entry.type, entry.id, version, parameters, headers)
    if entry.method in ("DELETE", "PATCH") or entry.query:
        return await _conditional(api, caller, entry, headers)
    resource = entry.resource or {}
    raw = dumps(resource)
    if entry.method == "POST" and "if-none-exist" in headers:
        query = conditional.query_of(entry.type, headers["if-none-exist"])
        return await conditional.create_parsed(api, caller, entry.type, resource, query, prefer)
    if entry.method == "PUT":
        return await do.update(api, caller, entry.type, entry.id, raw, {**_JSON, **headers})
    issues = validate(resource) if entry.type not in api.creates else []
    if has_errors(issues):
        raise HttpError(422, "invalid", "the resource is not valid", issues=issues)
    return await do.create_parsed(api, caller, entry.type, resource, raw, prefer)


async def _operation(api: Api, caller: Caller, entry: Entry, headers: dict[str, str]) -> Reply:
    allowed = operating.methods(api, entry.operation, entry.type, entry.id)
    if entry.method not in allowed:
        raise not_allowed(allowed)
    if entry.operation == "graphql":
        raise unsupported("GraphQL answers no resource: ask by itself")
    parameters, _ = split_format(parse_parameters(_ascii(entry.query)))
    raw = dumps(entry.resource) if entry.resource is not None else b""
    return await operating.operate(
        api, caller, entry.operation, entry.method, entry.type, entry.id, parameters, raw, headers,
        lambda: do.parse_body,
    )  # fmt: skip


async def _conditional(api: Api, caller: Caller, entry: Entry, headers: dict[str, str]) -> Reply:
    """A DELETE, a PATCH, or a PUT by query."""
    query = parse_parameters(_ascii(entry.query))
    if entry.method == "PUT":
        resource = entry.resource or {}
        return await conditional.update_parsed(api, caller, entry.type, resource, query, headers)
    if entry.method == "DELETE":
        if entry.id:
            return await do.delete(api, caller, entry.type, entry.id, headers)
        return await conditional.delete(api, caller, entry.type, query, headers)
    issues: list[Issue] = []
    edit = edit_of(entry.resource or {}, f"{entry.path}.resource", issues)
    if edit is None:
        raise HttpError(400, "invalid", "the patch is not right", issues=issues)
    if entry.id:
        return await conditional.patch(api, caller, entry.type, entry.id, edit, headers)
    return await conditional.patch_by_query(api, caller, entry.type, edit, query, headers)


def _ascii(query: str) -> bytes:
    try:
        return query.encode("ascii")
    except UnicodeEncodeError:
        raise HttpError(400, "value", "an address is percent-encoded") from None


def _written_entry(written: Written, prefer: str) -> bytes:
    if not written.version or not written.body:
        return _removed_entry(written, written.type, prefer)
    status = "201 Created" if written.created else "200 OK"
    response: dict[str, Any] = {
        "status": status,
        "location": version_path(written.type, written.id, written.version),
        "etag": f'W/"{written.version}"',
        "lastModified": written.updated.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
    }
    if prefer == "OperationOutcome":
        response["outcome"] = operation_outcome([accepted(written)])
    if prefer != "representation":
        return b'{"response":' + dumps(response) + b"}"
    return b'{"resource":' + written.body + b',"response":' + dumps(response) + b"}"


def _removed_entry(written: Written | None, type: str, prefer: str) -> bytes:
    if prefer != "OperationOutcome":
        return b'{"response":{"status":"204"}}'
    done = operation_outcome([removed(written, type)])
    return dumps({"response": {"status": "200 OK", "outcome": done}})


def reply_entry(reply: Reply, base_url: str) -> bytes:
    """A reply as an entry of the answer: resources as they are, refusals as the outcome."""
    headers = {name.decode("ascii"): value.decode("ascii") for name, value in reply.headers}
    response: dict[str, Any] = {"status": str(reply.status)}
    if "location" in headers:
        response["location"] = headers["location"].removeprefix(f"{base_url}/")
    if "etag" in headers:
        response["etag"] = headers["etag"]
    if "last-modified" in headers:
        at = parsedate_to_datetime(headers["last-modified"])
        response["lastModified"] = at.isoformat().replace("+00:00", "Z")
    if not reply.body:
        return b'{"response":' + dumps(response) + b"}"
    if reply.status >= 400 or reply.body.startswith(b'{"resourceType":"OperationOutcome"'):
        head = dumps(response)[:-1]
        return b'{"response":' + head + b',"outcome":' + reply.body + b"}}"
    return b'{"resource":' + reply.body + b',"response":' + dumps(response) + b"}"


def response_bundle(kind: str, answers: dict[int, bytes]) -> bytes:
    """A Bundle of that type with the entries in the order of their numbers."""
    entries = b",".join(answers[position] for position in sorted(answers))
    listed = b',"entry":[' + entries + b"]" if entries else b""
    return b'{"resourceType":"Bundle","type":"' + kind.encode("ascii") + b'"' + listed + b"}"
