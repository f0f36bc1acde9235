"""Conditional interactions (FHIR R4 3.1.0.8.1, 3.1.0.4.3, 3.1.0.7.1) and PATCH.

Each looks what its query means, and writes so that nobody can have come in between.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pater.access.caller import Caller
from pater.fhir.issues import Issue, has_errors
from pater.fhir.search.query import SearchRequest, parse_search
from pater.records.changes import Change, Edit
from pater.records.conditional import Meant, settle
from pater.records.errors import PreconditionFailed
from pater.rest.errors import HttpError, unsupported
from pater.rest.interactions import (
    Api,
    Headers,
    Parameters,
    answered,
    body_of,
    checked,
    claims_of,
    conforming,
)
from pater.rest.own_addresses import with_own_addresses
from pater.rest.profiles import Check
from pater.rest.requests import expected_version, is_id, parse_parameters, prefer_return
from pater.rest.responses import (
    Reply,
    deleted_reply,
    outcome,
    version_headers,
    version_path,
    written_reply,
)
from pater.store.read import Stored


def query_request(api: Api, type: str, parameters: Parameters) -> SearchRequest:
    """The search that the query of a conditional interaction is. Raises SearchError, HttpError."""
    request = with_own_addresses(
        parse_search(type, parameters, custom=api.gate.custom), api.config.base_url
    )
    if not request.conditions:
        raise HttpError(400, "required", "a conditional interaction has search parameters")
    if request != SearchRequest(type, request.conditions):
        raise unsupported("the query of a conditional interaction has search parameters only")
    return request


def query_of(type: str, text: str) -> list[tuple[str, str]]:
    """The parameters in an If-None-Exist header or a conditional reference."""
    head, mark, query = text.strip().partition("?")
    if not mark:
        query = head
    elif head not in ("", type):
        raise HttpError(400, "value", f"the query is one of {type}")
    try:
        return parse_parameters(query.encode("ascii"))
    except UnicodeEncodeError:
        raise HttpError(400, "value", "a query is percent-encoded") from None


async def create(api: Api, caller: Caller, type: str, raw: bytes, headers: Headers) -> Reply:
    """POST /type with If-None-Exist: 201; or 200 with what the query means already."""
    query = query_of(type, headers["if-none-exist"])
    return await create_parsed(api, caller, type, body_of(type, raw), query, prefer_return(headers))


async def create_parsed(
    api: Api, caller: Caller, type: str, resource: dict[str, Any], query: Parameters, prefer: str
) -> Reply:
    """A conditional create whose body is parsed."""
    handler = api.queried.get(type)
    if handler is not None:
        answer = await handler(caller, "POST", query, resource, prefer)
        if answer is not None:
            return answered(answer)
    await api.gate.require(caller, "create", type)
    refuse_document(api, type, resource)
    request = query_request(api, type, query)
    remarks = await conforming(api, resource)

    async def once() -> Reply:
        meant = await api.gate.meant(caller, request)
        if meant.stored is not None:
            return _found(meant.stored, api.config.base_url, prefer)
        return await _created(api, caller, type, resource, meant, prefer, remarks)

    return await settle(once)


async def _queried(
    api: Api,
    caller: Caller,
    method: str,
    type: str,
    parameters: Parameters,
    resource: dict[str, Any] | None,
    headers: Headers,
) -> Reply | None:
    """The answer of the domain that takes the request."""
    handler = api.queried.get(type)
    if handler is None:
        return None
    answer = await handler(caller, method, parameters, resource, prefer_return(headers))
    return None if answer is None else answered(answer)


def refuse_document(api: Api, type: str, resource: dict[str, Any]) -> None:
    """A document has its own rule of what may be there once."""
    if type in api.creates and resource.get("type") == "document":
        raise unsupported("a document is known by its identifiers, not by a query")


async def update(
    api: Api, caller: Caller, type: str, raw: bytes, parameters: Parameters, headers: Headers
) -> Reply:
    """PUT /type?query: updates what the query means, or creates it."""
    return await update_parsed(api, caller, type, body_of(type, raw), parameters, headers)


async def update_parsed(
    api: Api,
    caller: Caller,
    type: str,
    resource: dict[str, Any],
    parameters: Parameters,
    headers: Headers,
) -> Reply:
    """A conditional update whose body is parsed."""
    taken = await _queried(api, caller, "PUT", type, parameters, resource, headers)
    if taken is not None:
        return taken
    await api.gate.require(caller, "update", type)
    refuse_document(api, type, resource)
    request = query_request(api, type, parameters)
    expected = expected_version(headers)
    prefer = prefer_return(headers)
    remarks = await conforming(api, resource)

    async def once() -> Reply:
        meant = await api.gate.meant(caller, request)
        change = update_change(api, type, resource, meant, expected)
        (written,) = await api.gate.commit(caller, [change])
        return written_reply(written, api.config.base_url, prefer, remarks)

    return await settle(once)


def update_change(
    api: Api,
    type: str,
    resource: dict[str, Any],
    meant: Meant,
    expected: int | None,
    path: str = "",
) -> Change:
    """The change that a conditional update comes to. Raises HttpError 400, PreconditionFailed."""
    given = resource.get("id")
    claims = claims_of(api, type)
    if meant.stored is not None:
        id = meant.stored.id
        if given not in (None, id):
            text = "the query means a resource of another id"
            raise HttpError(400, "value", text, path=f"{path or type}.id")
        return Change("update", type, id, {**resource, "id": id}, if_match=expected, path=path,
                      claims_of=claims)  # fmt: skip
    if expected:
        raise PreconditionFailed(type, given if isinstance(given, str) else "", None)
    mine = meant.claims_of(type, claims)
    if given is None:
        return Change("create", type, None, resource, path=path, claims_of=mine)
    if not isinstance(given, str) or not is_id(given):
        raise HttpError(400, "value", "an id has 1 to 64 of A-Z a-z 0-9 - .", path=f"{type}.id")
    return Change("update", type, given, resource, if_match=0, path=path, claims_of=mine)


async def delete(
    api: Api, caller: Caller, type: str, parameters: Parameters, headers: Headers
) -> Reply:
    """DELETE /type?query: 204 for the one that the query means or none, 412 for several."""
    taken = await _queried(api, caller, "DELETE", type, parameters, None, headers)
    if taken is not None:
        return taken
    await api.gate.require(caller, "delete", type)
    request = query_request(api, type, parameters)
    expected, prefer = expected_version(headers), prefer_return(headers)

    async def once() -> Reply:
        meant = await api.gate.meant(caller, request)
        if meant.stored is None:
            return deleted_reply(None, type, prefer)
        change = delete_change(type, meant.stored, expected)
        (written,) = await api.gate.commit(caller, [change])
        return deleted_reply(written, type, prefer)

    return await settle(once)


def delete_change(type: str, stored: Stored, expected: int | None) -> Change:
    """The deletion of exactly the version that the query meant, or that the client expects."""
    version = stored.version if expected is None else expected
    return Change("delete", type, stored.id, if_match=version)


async def patch(
    api: Api, caller: Caller, type: str, id: str, edit: Edit, headers: Headers
) -> Reply:
    """PATCH /type/id; validated after patching."""
    if not is_id(id):
        raise HttpError(404, "not-found", f"{type} has no resource of this id")
    await api.gate.require(caller, "update", type)
    return await _patched(api, caller, type, id, edit, headers)


async def _patched(
    api: Api, caller: Caller, type: str, id: str, edit: Edit, headers: Headers
) -> Reply:
    async def write(check: Check) -> Reply:
        change = patch_change(api, type, id, edit, expected_version(headers), check=check)
        (written,) = await api.gate.commit(caller, [change], interaction="patch")
        return written_reply(written, api.config.base_url, prefer_return(headers))

    if api.config.profiles is None:
        return await write(lambda _: [])
    return await api.config.profiles.declared_later(write)


async def patch_by_query(
    api: Api,
    caller: Caller,
    type: str,
    edit: Edit,
    parameters: Parameters,
    headers: Headers,
) -> Reply:
    """PATCH /type?query: what the query means; 404 when that is nothing."""
    await api.gate.require(caller, "update", type)
    request = query_request(api, type, parameters)
    meant = await api.gate.meant(caller, request)
    if meant.stored is None:
        raise HttpError(404, "not-found", f"the query means no {type}")
    return await _patched(api, caller, type, meant.stored.id, edit, headers)


def patch_change(
    api: Api,
    type: str,
    id: str,
    edit: Edit,
    expected: int | None,
    path: str = "",
    check: Check | None = None,
) -> Change:
    """The change that a patch comes to; what it makes must be valid and stay where it is.

    `check` may find more issues in it than the rules of R4 do."""
    return Change(
        "update",
        type,
        id,
        if_match=expected,
        edit=_edit(type, id, edit, check),
        path=path,
        claims_of=claims_of(api, type),
    )


def _edit(type: str, id: str, patch: Edit, check: Check | None) -> Edit:
    def edit(resource: dict[str, Any]) -> dict[str, Any]:
        patched = patch(resource)
        if patched.get("resourceType") != type or patched.get("id") != id:
            raise HttpError(422, "invalid", "a patch changes neither resourceType nor id")
        issues = checked(patched)
        if check is not None and has_errors(issues := [*issues, *check(patched)]):
            raise HttpError(422, "invalid", "the resource is not valid", issues=issues)
        return patched

    return edit


async def _created(
    api: Api,
    caller: Caller,
    type: str,
    resource: dict[str, Any],
    meant: Meant,
    prefer: str,
    remarks: Sequence[Issue],
) -> Reply:
    claims = meant.claims_of(type, claims_of(api, type))
    change = Change("create", type, None, resource, claims_of=claims)
    (written,) = await api.gate.commit(caller, [change])
    return written_reply(written, api.config.base_url, prefer, remarks)


def _found(stored: Stored, base_url: str, prefer: str) -> Reply:
    address = f"{base_url}/{version_path(stored.type, stored.id, stored.version)}"
    headers = [*version_headers(stored.version, stored.updated),
               (b"location", address.encode("ascii"))]  # fmt: skip
    body = stored.body
    if prefer == "minimal":
        body = b""
    elif prefer == "OperationOutcome":
        text = f"{stored.type}/{stored.id} is there already"
        body = outcome([Issue("information", "informational", "", text)])
    return Reply(200, body, headers)
