"""`$diff`: what has to be done to one version or resource to make the other of it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.json import dumps, parse
from pater.fhir.patch import difference
from pater.records.gate import Gate
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import Inputs, Kind, read_inputs, refused
from pater.rest.operations.places import reference, resource_id
from pater.store.read import Stored

_INSTANCE: Final[Mapping[str, Kind]] = {
    "fromVersion": "number", "toVersion": "number", "includeMeta": "boolean",
}  # fmt: skip
_SYSTEM: Final[Mapping[str, Kind]] = {"from": "text", "to": "text", "includeMeta": "boolean"}
_TEXT: Final = (
    "What has to be done to one version of a resource to make another of it, or to one resource to "
    "make another of the same type of it: a FHIRPath Patch. Both have to be readable by who asks."
)
_TAKES: Final = (
    Parameter("fromVersion", "integer", "at a resource: the old version; the one before the new"),
    Parameter("toVersion", "integer", "at a resource: the new version; the current one"),
    Parameter("from", "string", "on the system, needed there: a reference, also to a version"),
    Parameter("to", "string", "on the system, needed there: a reference, also to a version"),
    Parameter("includeMeta", "boolean", "also what the server keeps: id, version, time"),
)
_GIVES: Final = (Parameter("return", "Parameters", "the FHIRPath Patch", 1),)


def operations(gate: Gate, base_url: str) -> Sequence[Operation]:
    """Between two versions at an instance, between two references on the system."""

    async def instance(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(request, _INSTANCE)
        type, id = request.type, resource_id(request.type, request.id)
        to = inputs.number("toVersion", 0, least=1)
        new = await (gate.vread(caller, type, id, to) if to else gate.read(caller, type, id))
        before = inputs.number("fromVersion", new.version - 1, least=1)
        if before < 1:
            raise HttpError(400, "value", "there is no version before this one")
        return await _difference(await gate.vread(caller, type, id, before), new, inputs)

    async def system(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(request, _SYSTEM)
        given = [inputs.needed(name) for name in ("from", "to")]
        places = [reference(str(each.value), base_url, each.path) for each in given]
        if places[0][0] != places[1][0]:
            raise refused("both are of one type", given[1].path)
        found = [
            await (
                gate.read(caller, type, id)
                if version is None
                else gate.vread(caller, type, id, version)
            )
            for type, id, version in places
        ]
        return await _difference(found[0], found[1], inputs)

    methods = frozenset({"GET", "POST"})
    everywhere = frozenset(RESOURCE_TYPES) - {"AuditEvent"}
    return (
        Operation("diff", instance, everywhere, instance=True, methods=methods, text=_TEXT,
                  takes=_TAKES, gives=_GIVES),
        Operation("diff", system, methods=methods, text=_TEXT, takes=_TAKES, gives=_GIVES),
    )  # fmt: skip


async def _difference(old: Stored, new: Stored, inputs: Inputs) -> Answer:
    """A FHIRPath Patch (R4 3.1.0.8.1); without `includeMeta` what the server keeps is left out."""
    whole = inputs.flag("includeMeta")
    before, after = (parse(each.body) if whole else _said(parse(each.body)) for each in (old, new))
    try:
        return Answer(200, dumps(await asyncio.to_thread(difference, before, after)))
    except ValueError as error:
        raise HttpError(422, "too-costly", str(error)) from None


def _said(resource: dict[str, Any]) -> dict[str, Any]:
    """A resource without its id, and of its meta only what somebody said."""
    kept = {
        key: value
        for key, value in resource.get("meta", {}).items()
        if key not in ("versionId", "lastUpdated")
    }
    rest = {key: value for key, value in resource.items() if key not in ("id", "meta")}
    return {**rest, "meta": kept} if kept else rest
