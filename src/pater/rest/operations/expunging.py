"""`$expunge`: takes superseded versions, deletions or a whole resource out for good.

Only for the administrator, and only where `confirm` says once more what is meant.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter
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
_TEXT: Final = (
    "Takes superseded versions, deleted resources or a whole resource out for good. For the "
    "administrator; what was done stands in the journal. Where there is more, it is asked again."
)
_TAKES: Final = (
    Parameter("confirm", "string", "what is meant, once more: Type/id, the type, or the words "
              '"everything here" on the system', 1),
    Parameter("limit", "integer", f"versions and resources of one call, up to {MOST_AT_ONCE}"),
    Parameter("expungePreviousVersions", "boolean", "takes out superseded versions"),
    Parameter("expungeDeletedResources", "boolean", "takes out what is deleted"),
    Parameter("expungeEverything", "boolean", "at a resource: takes all of it out"),
)  # fmt: skip
_GIVES: Final = (
    Parameter("count", "integer", "how much was taken out", 1),
    Parameter("versions", "integer", "superseded versions among it", 1),
    Parameter("resources", "integer", "resources among it", 1),
    Parameter("more", "boolean", "whether there is more to be taken out", 1),
)


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
    return tuple(
        Operation("expunge", expunge, at, instance, text=_TEXT, takes=_TAKES, gives=_GIVES,
                  changes=True)
        for at, instance in ((types, True), (types, False), (frozenset({""}), False))
    )  # fmt: skip
