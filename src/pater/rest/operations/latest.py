"""`Observation/$lastn`: the most recent observations of each kind (R4 Observation-lastn)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest
from pater.fhir.search.query import SearchRequest, parse_search
from pater.records.gate import Gate
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import refused
from pater.rest.own_addresses import with_own_addresses
from pater.rest.requests import is_id
from pater.rest.search_bundle import searchset

_MOST_EACH: Final = 100
_DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/Observation-lastn"


def operations(gate: Gate, base_url: str) -> Sequence[Operation]:
    """The one, on the type."""

    async def lastn(caller: Caller, request: OperationRequest) -> Answer:
        given = [*request.parameters, *_posted(request)]
        patient = _patient(given, base_url)
        each = _most(given)
        rest = [pair for pair in given if pair[0] not in ("max", "patient", "subject")]
        asked = with_own_addresses(parse_search("Observation", rest), base_url)
        kinds = {condition.kind for condition in asked.conditions}
        if asked != SearchRequest("Observation", asked.conditions) or kinds & {"chain", "has"}:
            text = "$lastn takes max, a patient and the search parameters of Observation itself"
            raise HttpError(400, "not-supported", text)
        page = await gate.latest(caller, patient, asked, each)
        links = [("self", given)]
        return Answer(200, searchset(base_url, "Observation/$lastn", links, asked, page))

    return (
        Operation(
            "lastn",
            lastn,
            frozenset({"Observation"}),
            methods=frozenset({"GET", "POST"}),
            definition=_DEFINITION,
        ),
    )


def _posted(request: OperationRequest) -> list[tuple[str, str]]:
    """The parameters of a POST: search parameters by name, as strings."""
    body = request.resource
    if body is None:
        return []
    listed = body.get("parameter", [])
    if body.get("resourceType") != "Parameters" or not isinstance(listed, list):
        raise refused("an operation takes Parameters", "resourceType", "invalid")
    found: list[tuple[str, str]] = []
    for number, part in enumerate(listed):
        path = f"Parameters.parameter[{number}]"
        values = [v for k, v in part.items() if k.startswith("value")] if part else []
        name = part.get("name") if isinstance(part, dict) else None
        if isinstance(name, str) and len(values) == 1:
            value = values[0]
            if isinstance(value, dict) and isinstance(value.get("reference"), str):
                value = value["reference"]
            if isinstance(value, str | int) and not isinstance(value, bool):
                found.append((name, str(value)))
                continue
        raise refused("a parameter has a name and one simple value", path)
    return found


def _patient(given: Sequence[tuple[str, str]], base_url: str) -> str:
    named = [pair for pair in given if pair[0] in ("patient", "subject")]
    path = "Parameters.parameter.where(name='patient')"
    if len(named) != 1:
        text = "$lastn is about one patient: patient=id"
        raise HttpError(400, "required", text, path=path)
    id = named[0][1].removeprefix(f"{base_url}/").removeprefix("Patient/")
    if not is_id(id):
        raise refused("this is a reference to one Patient", path)
    return id


def _most(given: Sequence[tuple[str, str]]) -> int:
    found = [value for name, value in given if name == "max"]
    text = found[0] if len(found) == 1 else "" if found else "1"
    if not (text.isascii() and text.isdigit() and len(text) < 4 and 1 <= int(text) <= _MOST_EACH):
        path = "Parameters.parameter.where(name='max')"
        raise refused(f"max is a number from 1 to {_MOST_EACH}", path)
    return int(text)
