"""The interactions of one resource: read, vread, history, search, create, update, delete."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pater.access.caller import Caller
from pater.domain import Answer, Check, CreateHandler, Looking, Operation, QueriedHandler
from pater.fhir.issues import Issue, has_errors
from pater.fhir.json import parse
from pater.fhir.validation.base import validate_base
from pater.records.changes import Change
from pater.records.gate import Gate
from pater.records.searching import MAX_COUNT
from pater.rest.asked import Asked
from pater.rest.config import RestConfig
from pater.rest.errors import HttpError
from pater.rest.history_query import HistoryQuery, history_query, listed_keys
from pater.rest.projection import SUMMARIES, project
from pater.rest.requests import expected_version, has_current, is_id, prefer_return
from pater.rest.responses import (
    Header,
    Reply,
    deleted_reply,
    stored_reply,
    version_headers,
    written_reply,
)
from pater.rest.sealed_links import PAGE, seal, unseal
from pater.rest.search_bundle import CURSOR, history_bundle, searchset
from pater.store.history import Key
from pater.store.read import Stored

Parameters = Sequence[tuple[str, str]]
Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class Api:
    """What every interaction works with."""

    gate: Gate
    config: RestConfig
    creates: Mapping[str, Sequence[CreateHandler]]
    checks: Mapping[str, Sequence[Check]]
    operations: Mapping[tuple[str, str, bool], Operation]
    described: Mapping[str, Mapping[str, Any]]  # see `Parts.described`
    queried: Mapping[str, QueriedHandler] = field(default_factory=dict)
    looking: Mapping[str, Looking] = field(default_factory=dict)
    alone: Mapping[str, Callable[[Caller], bool]] = field(default_factory=dict)
    asked: Asked = field(default_factory=Asked)


async def read(
    api: Api, caller: Caller, type: str, id: str, parameters: Parameters, headers: Headers
) -> Reply:
    """GET /type/id, with `_summary` and `_elements`; 304 when the client has the version."""
    summary, elements = _projection(parameters)
    stored = await api.gate.read(caller, type, _id(type, id))
    return _shown(stored, headers, summary, elements)


def _shown(stored: Stored, headers: Headers, summary: str, elements: tuple[str, ...]) -> Reply:
    if has_current(headers, stored.version, stored.updated):
        return Reply(304, b"", version_headers(stored.version, stored.updated))
    reply = stored_reply(stored)
    if summary or elements:
        return Reply(200, project(stored.body, stored.type, summary, elements), reply.headers)
    return reply


async def vread(
    api: Api, caller: Caller, type: str, id: str, version: str, parameters: Parameters,
    headers: Headers,
) -> Reply:  # fmt: skip
    """GET /type/id/_history/version; as `read`."""
    summary, elements = _projection(parameters)
    if not (version.isascii() and version.isdigit() and len(version) < 10):
        raise HttpError(404, "not-found", f"{type} has no such version")
    stored = await api.gate.vread(caller, type, _id(type, id), int(version))
    return _shown(stored, headers, summary, elements)


async def history(api: Api, caller: Caller, type: str, id: str, parameters: Parameters) -> Reply:
    """GET /type/id/_history, newest first, in pages of `_count`; `_since`, `_at`, `_list`."""
    asked = history_query(parameters)
    only = await _listed(api, caller, asked)
    page = await api.gate.history(
        caller, type, _id(type, id), asked.count, asked.cursor, asked.period, only
    )
    path = f"{type}/{id}/_history"
    return Reply(200, history_bundle(api.config.base_url, path, asked.kept, page))


async def histories(api: Api, caller: Caller, type: str, parameters: Parameters) -> Reply:
    """GET /type/_history or, with "" as type, /_history; as `history`."""
    asked = history_query(parameters)
    only = await _listed(api, caller, asked)
    page = await api.gate.histories(caller, type, asked.count, asked.cursor, asked.period, only)
    path = f"{type}/_history" if type else "_history"
    return Reply(200, history_bundle(api.config.base_url, path, asked.kept, page))


async def _listed(api: Api, caller: Caller, asked: HistoryQuery) -> list[Key] | None:
    """What the List names to which a history is held; None = there is no such wish."""
    if not asked.list:
        return None
    stored = await api.gate.read(caller, "List", asked.list)
    return listed_keys(parse(stored.body), api.config.base_url)


async def search(
    api: Api,
    caller: Caller,
    type: str,
    parameters: Parameters,
    *,
    private: bool = False,
    lenient: bool = False,
) -> Reply:
    """GET /type?… or POST /type/_search (`private`: its links show no parameters).

    A `lenient` search leaves out the parameters that are not known, and says so in an entry.
    """
    key = api.config.link_key
    if key and len(parameters) == 1 and parameters[0][0] == PAGE:
        parameters = unseal(parameters[0][1], type, key)
        private = True
    look = api.looking.get(type)
    looked = None if look is None else await look(caller, parameters)
    meant = parameters if looked is None else looked.parameters
    request = api.asked.of(type, meant, api.config.base_url, api.gate.custom, lenient=lenient)
    page = await api.gate.search(caller, request)
    if looked is not None:
        page = replace(page, matches=await looked.show(page.matches))
    if look is not None and page.total is None and page.next is None:
        # whoever searches for people is told how many there are (IHE ITI-78 3.78.4.1.3)
        first = all(name != CURSOR for name, _ in parameters)
        page = replace(page, total=len(page.matches) if first else None)
    if request.ignored:
        unread = {name for name, _ in request.ignored}
        parameters = [pair for pair in parameters if pair[0] not in unread]
    if request.count is not None and request.count > MAX_COUNT:  # the links say what was done
        most = str(MAX_COUNT)
        parameters = [(name, most if name == "_count" else value) for name, value in parameters]
    links = [("self", parameters)]
    if page.next is not None:
        again = [pair for pair in parameters if pair[0] != CURSOR]
        links.append(("next", [*again, (CURSOR, page.next)]))
    if private and key:
        links = [(relation, [(PAGE, seal(pairs, type, key))]) for relation, pairs in links]
    remarks = looked.remarks if looked is not None else ()
    return Reply(200, searchset(api.config.base_url, type, links, request, page, remarks))


async def create(api: Api, caller: Caller, type: str, raw: bytes, headers: Headers) -> Reply:
    """POST /type with the bytes as received."""
    return await create_parsed(api, caller, type, body_of(type, raw), raw, prefer_return(headers))


async def create_parsed(
    api: Api, caller: Caller, type: str, resource: dict[str, Any], raw: bytes, prefer: str
) -> Reply:
    """A create whose body is parsed: a domain's handler may take it, else it is an ordinary one."""
    for handler in api.creates.get(type, ()):
        answer = await handler(caller, resource, raw, prefer)
        if answer is not None:
            return answered(answer)
    await api.gate.require(caller, "create", type)
    remarks = await conforming(api, resource)
    change = Change("create", type, None, resource, claims_of=claims_of(api, type))
    (written,) = await api.gate.commit(caller, [change])
    return written_reply(written, api.config.base_url, prefer, remarks)


async def update(
    api: Api, caller: Caller, type: str, id: str, raw: bytes, headers: Headers
) -> Reply:
    """PUT /type/id; creates what is absent for those who may choose addresses."""
    resource = body_of(type, raw)
    if not is_id(id):
        raise HttpError(400, "value", "an id has 1 to 64 of A-Z a-z 0-9 - .")
    if resource.get("id") != id:
        text = "the resource has the same id as the address it is sent to"
        raise HttpError(400, "value", text, path=f"{type}.id")
    await api.gate.require(caller, "update", type)
    remarks = await conforming(api, resource)
    change = Change(
        "update",
        type,
        id,
        resource,
        if_match=expected_version(headers),
        claims_of=claims_of(api, type),
    )
    (written,) = await api.gate.commit(caller, [change])
    return written_reply(written, api.config.base_url, prefer_return(headers), remarks)


async def delete(api: Api, caller: Caller, type: str, id: str, headers: Headers) -> Reply:
    """DELETE /type/id: 204, also when there was nothing (FHIR R4 3.1.0.7)."""
    change = Change("delete", type, _id(type, id), if_match=expected_version(headers))
    (written,) = await api.gate.commit(caller, [change])
    return deleted_reply(written, type, prefer_return(headers))


def answered(answer: Answer) -> Reply:
    """A domain's answer as a reply."""
    headers: list[Header] = [
        (name.lower().encode("ascii"), value.encode("ascii"))
        for name, value in answer.headers.items()
    ]
    return Reply(answer.status, answer.body, headers)


def claims_of(api: Api, type: str) -> Any:
    """The hook that gives a resource's business keys, for the types that have some."""
    return api.config.patient_claims if type == "Patient" else None


def body_of(type: str, raw: bytes) -> dict[str, Any]:
    """The parsed body of a resource of the type. Raises JsonError, HttpError 400."""
    resource = parse_body(raw)
    found = resource.get("resourceType")
    if found != type:
        said = f"of type {found[:64]}" if isinstance(found, str) else "no resource"
        text = f"this address takes a resource of type {type}, the body is {said}"
        raise HttpError(400, "invalid", text, path="resourceType")
    return resource


def parse_body(raw: bytes) -> dict[str, Any]:
    """JSON as FHIR allows it. Raises JsonError, HttpError 400."""
    # U+0000 is no character of a FHIR string (R4 2.24.0.1), and no text column can hold it.
    if b"\\u0000" in raw and _has_nul(parse(raw)):
        raise HttpError(400, "value", "a string holds the character U+0000")
    return parse(raw)


def _has_nul(value: Any) -> bool:
    if isinstance(value, str):
        return "\x00" in value
    if isinstance(value, dict):
        return any(_has_nul(k) or _has_nul(v) for k, v in value.items())
    return isinstance(value, list) and any(_has_nul(each) for each in value)


def checked(resource: dict[str, Any]) -> list[Issue]:
    """What validation remarks on an acceptable resource. Raises HttpError 422 with all issues."""
    issues = validate_base(resource)
    if has_errors(issues):
        raise HttpError(422, "invalid", "the resource is not valid", issues=issues)
    return issues


async def conforming(api: Api, resource: dict[str, Any]) -> list[Issue]:
    """As `checked`, and held against the profiles of this server that the resource declares."""
    issues = checked(resource)
    if api.config.profiles is not None:
        issues += await api.config.profiles.declared(resource)
        if has_errors(issues):
            raise HttpError(422, "invalid", "the resource is not valid", issues=issues)
    return issues


def _id(type: str, id: str) -> str:
    if not is_id(id):
        raise HttpError(404, "not-found", f"{type} has no resource of this id")
    return id


def _projection(parameters: Parameters) -> tuple[str, tuple[str, ...]]:
    summary = ""
    elements: tuple[str, ...] = ()
    for name, value in parameters:
        if name == "_summary" and value in SUMMARIES:
            summary = value if value != "false" else ""
        elif name == "_elements" and value:
            elements = tuple(value.split(","))
        else:
            raise HttpError(400, "not-supported", f"a read takes no parameter {name[:64]} so")
    return summary, elements
