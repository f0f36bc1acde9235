"""`$everything` of a Patient, of all Patients, of an Encounter (R4 operations)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.fhir.search.query import SearchRequest
from pater.records.everything import MAX_COUNT, Wish
from pater.records.gate import Gate
from pater.rest.operations.inputs import Inputs, Kind, read_inputs, refused
from pater.rest.operations.places import resource_id
from pater.rest.search_bundle import CURSOR, searchset
from pater.store.record import Care, EverybodyPlace, RecordPlace
from pater.store.search import Page

Run = Callable[[Caller, OperationRequest], Awaitable[Answer]]
Place = RecordPlace | EverybodyPlace

_ENCOUNTER: Final[Mapping[str, Kind]] = {
    "_since": "text", "_type": "text", "_count": "number", CURSOR: "text",
}  # fmt: skip
_PATIENT: Final[Mapping[str, Kind]] = {"start": "text", "end": "text", **_ENCOUNTER}
_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/"


def operations(gate: Gate, base_url: str) -> Sequence[Operation]:
    """The three of them."""

    async def of_patient(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(request, _PATIENT)
        care = Care(inputs.start("start"), inputs.end("end"))
        id = resource_id("Patient", request.id) if request.id else ""
        known: Sequence[type[Place]] = (RecordPlace,) if id else (RecordPlace, EverybodyPlace)
        wish = _wish(inputs, known, None if care == Care() else care)
        page = await gate.everything(caller, id, wish)
        return _answer(base_url, f"Patient/{id}" if id else "Patient", inputs, page)

    async def of_encounter(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(request, _ENCOUNTER)
        id = resource_id("Encounter", request.id)
        page = await gate.everything_of_encounter(caller, id, _wish(inputs, (RecordPlace,), None))
        return _answer(base_url, f"Encounter/{id}", inputs, page)

    def operation(type: str, run: Run, *, instance: bool) -> Operation:
        return Operation(
            "everything",
            run,
            frozenset({type}),
            instance=instance,
            methods=frozenset({"GET", "POST"}),
            definition=f"{_DEFINITION}{type}-everything",
        )

    return (
        operation("Patient", of_patient, instance=True),
        operation("Patient", of_patient, instance=False),
        operation("Encounter", of_encounter, instance=True),
    )


def _wish(inputs: Inputs, places: Sequence[type[Place]], care: Care | None) -> Wish:
    cursor = inputs.one(CURSOR)
    if cursor is not None and not any(each.of(cursor.value) for each in places):
        raise refused(f"{CURSOR} is none that this server gave", cursor.path)
    return Wish(
        types=inputs.types(),
        since=inputs.start("_since"),
        care=care,
        count=inputs.number("_count", MAX_COUNT, least=1),
        cursor=cursor.value if cursor else None,
    )


def _answer(base_url: str, place: str, inputs: Inputs, page: Page) -> Answer:
    links: list[tuple[str, Sequence[tuple[str, str]]]] = [("self", inputs.query)]
    if page.next is not None:
        again = [pair for pair in inputs.query if pair[0] != CURSOR]
        links.append(("next", [*again, (CURSOR, page.next)]))
    request = SearchRequest(place.partition("/")[0])
    return Answer(200, searchset(base_url, f"{place}/$everything", links, request, page))
