"""`$expunge`: takes superseded versions, deletions or a whole resource out for good.

Only for the administrator, and only where `confirm` says once more what is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.fhir.definitions import RESOURCE_TYPES
from pater.records.expunging import MOST_AT_ONCE, Expunge
from pater.records.gate import Gate
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import Kind, read_inputs, refused
from pater.rest.operations.places import parameters, resource_id

_INSTANCE: Final[Mapping[str, Kind]] = {
    "confirm": "text",
    "limit": "number",
    "expungePreviousVersions": "boolean",
    "expungeDeletedResources": "boolean",
    "expungeEverything": "boolean",
}
_TYPE: Final = {name: kind for name, kind in _INSTANCE.items() if name != "expungeEverything"}


def operations(gate: Gate) -> Sequence[Operation]:
    """At an instance, on a type, on the system; always by POST."""

    async def expunge(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(request, _INSTANCE if request.id else _TYPE)
        place = request.type
        if request.id:
            place += f"/{resource_id(request.type, request.id)}"
        wish = Expunge(
            request.type,
            request.id,
            previous=inputs.flag("expungePreviousVersions"),
            deleted=inputs.flag("expungeDeletedResources"),
            everything=inputs.flag("expungeEverything"),
            limit=inputs.number("limit", MOST_AT_ONCE, least=1, most=MOST_AT_ONCE),
        )
        await gate.require(caller, "delete", request.type or "Basic")
        if not (wish.previous or wish.deleted or wish.everything):
            text = "say what to take out: previous versions, deleted resources or everything"
            raise HttpError(400, "required", text, path="Parameters.parameter")
        confirmed = inputs.needed("confirm")
        if confirmed.value != (place or "everything here"):
            text = f"this cannot be undone: confirm it with the text {place or 'everything here'}"
            raise refused(text, confirmed.path, "business-rule")
        done = await gate.expunge(caller, wish)
        return parameters(
            {"name": "count", "valueInteger": done.versions + done.resources},
            {"name": "versions", "valueInteger": done.versions},
            {"name": "resources", "valueInteger": done.resources},
            {"name": "more", "valueBoolean": done.more},
        )

    types = frozenset(RESOURCE_TYPES) - {"AuditEvent"}
    return (
        Operation("expunge", expunge, types, instance=True),
        Operation("expunge", expunge, types),
        Operation("expunge", expunge),
    )
