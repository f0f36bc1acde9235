"""`Patient/$match` (FHIR R4; IHE PDQm, ITI-119): who of the register is like this Patient.

In: `resource` (a Patient), `onlyCertainMatches`, `count`. Out: a searchset Bundle, the likeliest
first, each entry with its score and the extension match-grade. Identification only. A number whose
check fails and a date that cannot be are said in an entry of mode outcome.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Services
from pater.fhir.issues import Issue, operation_outcome
from pater.fhir.json import dumps, parse
from pater.fhir.validation.base import validate_base
from pater.registers.accepting import usable
from pater.registers.asking import Alike, alike, tells_enough
from pater.registers.room import Registers
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import Kind, read_inputs, refused

DEFINITION: Final = "http://hl7.org/fhir/OperationDefinition/Patient-match"
GRADE: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
USUAL: Final = 10
MOST: Final = 50
"""Persons of one answer."""
_TAKES: Final[Mapping[str, Kind]] = {
    "resource": "resource",
    "onlyCertainMatches": "boolean",
    "count": "number",
}


def operation(services: Services, registers: Registers) -> Operation:
    """The operation on the type, by POST: what names people stays out of addresses."""

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        gate = services.gate
        await gate.require(caller, "ask", "Patient")
        patient, certain, count = _read(request)
        remarks = _remarks(patient, services.clock())
        gate.admit(caller)
        organization = caller.organization if caller.role == "provider-system" else ""
        found = await alike(services.db, registers.index, patient, organization)
        wanted = [each for each in found if each.grade == "certain" or not certain][:count]
        shown = await gate.identify(caller, [each.person for each in wanted], "match")
        if not shown:
            await gate.missed(caller, [_named(patient)])
        entries = [
            _entry(services.base_url, each, shown[each.person].body)
            for each in wanted
            if each.person in shown
        ]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        bundle["total"] = len(entries)
        if remarks:
            entries.append({"resource": operation_outcome(remarks), "search": {"mode": "outcome"}})
        bundle |= {"entry": entries} if entries else {}
        return Answer(200, dumps(bundle))

    return Operation("match", run, frozenset({"Patient"}), definition=DEFINITION)


def _read(request: OperationRequest) -> tuple[dict[str, Any], bool, int]:
    """The Patient, whether only certain ones are wanted, how many. Raises HttpError."""
    inputs = read_inputs(_as_parameters(request), _TAKES)
    resource, path = inputs.needed("resource")
    if resource.get("resourceType") != "Patient":
        raise refused("resource is a Patient", path)
    wrong = [each for each in validate_base(resource) if each.severity in ("error", "fatal")]
    if wrong:
        raise HttpError(422, "invalid", "", issues=wrong)
    certain = inputs.flag("onlyCertainMatches")
    return resource, certain, inputs.number("count", USUAL, least=1, most=MOST)


def _remarks(patient: dict[str, Any], now: datetime) -> list[Issue]:
    """What of the Patient can be nobody's, as warnings. Raises HttpError 422 when it is all."""
    good, remarks = usable(patient, now)
    if tells_enough(good):
        return [replace(each, severity="warning") for each in remarks]
    said = [each for each in remarks if each.severity == "error"]
    text = "say more: a number, or a name with a birth date, a postcode or a telephone"
    raise HttpError(
        422, "required", "", issues=[*said, Issue("error", "required", "Patient", text)]
    )


def _as_parameters(request: OperationRequest) -> OperationRequest:
    """A body that is a Patient is the only input (R4 3.2.0.1.1)."""
    body = request.resource
    if body is None or body.get("resourceType") != "Patient":
        return request
    parameters = {
        "resourceType": "Parameters",
        "parameter": [{"name": "resource", "resource": body}],
    }
    return OperationRequest(
        request.method, request.type, request.id, request.parameters, parameters, request.raw,
        request.headers,
    )  # fmt: skip


def _entry(base_url: str, found: Alike, body: bytes) -> dict[str, Any]:
    patient = parse(body)
    return {
        "fullUrl": f"{base_url}/Patient/{patient['id']}",
        "resource": patient,
        "search": {
            "extension": [{"url": GRADE, "valueCode": found.grade}],
            "mode": "match",
            "score": round(found.probability, 4),
        },
    }


def _named(patient: Mapping[str, Any]) -> str:
    """The text by which the question named somebody."""
    parts = {key: patient.get(key) for key in ("identifier", "name", "birthDate")}
    return dumps({key: value for key, value in parts.items() if value}).decode()
