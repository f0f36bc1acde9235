"""The OperationDefinitions of our own operations: resources of this server, written when it begins.

What an operation says of itself (`Operation.text`, `takes`, `gives`) is all there is to them; one
that follows a definition of others has none here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Operation, Parameter, Parts, Services
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.records.errors import Conflict, PreconditionFailed
from pater.rest.operations.own import own

Json = dict[str, Any]

TYPE: Final = "OperationDefinition"
_KEPT_BY: Final = ("id", "meta")
_SERVER: Final = Caller(
    kind="system", id="operations", name="operations", role="loader", purpose="SYSADMIN",
    strength=3, scopes=("system/*.cruds",),
)  # fmt: skip


def address(base_url: str, operation: Operation) -> str:
    """Where the definition of an operation is read: at its publisher's, or here."""
    return operation.definition or f"{base_url}/{TYPE}/{operation.name}"


def definitions(operations: Iterable[Operation], base_url: str) -> list[Json]:
    """The definitions; what stands at several places under one name is one operation."""
    made: dict[str, Json] = {}
    for each in operations:
        if each.definition:
            continue
        one = made.setdefault(each.name, _definition(each, base_url))
        types = sorted(each.types - {"", "*"})
        one["system"] |= "" in each.types
        one["instance"] |= each.instance
        one["type"] |= bool(types) and not each.instance
        if types:
            one["resource"] = sorted({*one.get("resource", ()), *types})
    return list(made.values())


def parts(services: Services, of: Iterable[Parts]) -> Parts:
    """The task that writes those of all `of` and of the API itself; every process may try."""
    operations = [operation for each in of for operation in each.operations]
    operations += own(services.gate, services.base_url)
    return Parts(tasks=[_writing(services, definitions(operations, services.base_url))])


def _writing(services: Services, wanted: list[Json]) -> Callable[[asyncio.Event], Awaitable[None]]:
    async def write(stop: asyncio.Event) -> None:
        gate = services.gate
        there = await gate.read_all(_SERVER, [(TYPE, each["id"]) for each in wanted])
        for each in wanted:
            stored = there.get((TYPE, each["id"]))
            if stored is not None and _bare(parse(stored.body)) == _bare(each):
                continue
            version = stored.version if stored is not None else 0
            change = Change("update", TYPE, each["id"], each, if_match=version)
            try:
                await gate.commit(_SERVER, [change])
            except (PreconditionFailed, Conflict):
                continue  # another process did it at the same moment, or somebody deleted it

    return write


def _bare(resource: Json) -> Json:
    return {key: value for key, value in resource.items() if key not in _KEPT_BY}


def _definition(operation: Operation, base_url: str) -> Json:
    listed = [_parameter(each, "in") for each in operation.takes]
    listed += [_parameter(each, "out") for each in operation.gives]
    made: Json = {
        "resourceType": TYPE,
        "id": operation.name,
        "url": address(base_url, operation),
        "name": "".join(part.capitalize() for part in operation.name.split("-")),
        "status": "active",
        "kind": "operation",
        "description": operation.text,
        "affectsState": operation.changes,
        "code": operation.name,
        "system": False,
        "type": False,
        "instance": False,
    }
    return made | ({"parameter": listed} if listed else {})


def _parameter(of: Parameter, use: str) -> Json:
    made: Json = {
        "name": of.name, "use": use, "min": of.least, "max": of.most, "documentation": of.text,
    }  # fmt: skip
    if of.type:
        made["type"] = of.type
    if of.parts:
        made["part"] = [_parameter(each, use) for each in of.parts]
    return made
