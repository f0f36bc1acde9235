"""`Patient/$isolation-ordered`: the one question of the police, answered yes or no.

Somebody unknown, a name that is another's and no order are one answer, and take the same reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

from pater.access.caller import Caller
from pater.access.rates import Limit, Rate
from pater.domain import Answer, Operation, OperationRequest, Parameter, Services
from pater.fhir.json import parse
from pater.fhir.search.dates import date_span
from pater.registers.patients import demographics_agree, names, strong_keys
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import Inputs, read_inputs, refused
from pater.rest.operations.places import parameters
from pater.store.read import claim_holders, read

RATE: Final = Rate(each_minute=30, burst=60)
"""How often one client may ask: enough for a patrol, too little to go through everybody."""
_LONGEST: Final = 200


def operation(services: Services, timer: Callable[[], float]) -> Operation:
    """The operation on the type Patient, by POST: nothing of a person stands in an address."""
    limit = Limit(RATE, timer)

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        await services.gate.require(caller, "ask", "Flag")
        seconds = limit.wait(caller.id)
        if seconds:
            retry = [(b"retry-after", str(seconds).encode())]
            raise HttpError(429, "throttled", "this was asked too often", headers=retry)
        takes = {"identifier": "complex", "family": "text", "given": "text", "birthDate": "text"}
        asked = _patient(read_inputs(request, takes))  # type: ignore[arg-type]  # literals
        person, patient = await _holder(services, asked)
        found = await services.gate.isolation_ordered(caller, person, patient)
        return parameters({"name": "ordered", "valueBoolean": found})

    return Operation(
        "isolation-ordered", run, frozenset({"Patient"}),
        text="Whether isolation is ordered for somebody; yes or no, for the police.",
        takes=(
            Parameter("identifier", "Identifier", "a national number of the person", 1),
            Parameter("family", "string", "family name", 1),
            Parameter("given", "string", "given names", 1),
            Parameter("birthDate", "date", "date of birth"),
        ),
        gives=(Parameter("ordered", "boolean", "yes or no", 1),),
    )  # fmt: skip


def _patient(inputs: Inputs) -> dict[str, Any]:
    """Whom the question is about. Raises HttpError 400."""
    given = inputs.needed("identifier")
    system, value = given.value.get("system"), given.value.get("value")
    if not (isinstance(system, str) and isinstance(value, str)):
        raise refused("an identifier has a system and a value", given.path)
    name = {}
    for part in ("family", "given"):
        text = inputs.needed(part)
        if not 0 < len(text.value.strip()) <= _LONGEST:
            raise refused(f"{part} has 1 to {_LONGEST} characters", text.path)
        name[part] = text.value
    patient: dict[str, Any] = {
        "identifier": [{"system": system, "value": value}],
        "name": [{"family": name["family"], "given": [name["given"], *name["given"].split()]}],
    }
    born = inputs.one("birthDate")
    if born is not None:
        try:
            date_span(born.value)
        except ValueError as error:
            raise refused("birthDate is a date", born.path) from error
        patient["birthDate"] = born.value
    return patient


async def _holder(services: Services, asked: dict[str, Any]) -> tuple[int, str]:
    """The person who has the identifier and the names; (0, "") when nobody does."""
    held = await claim_holders(services.db, strong_keys(asked))
    person, target = next(iter(held.values())) if len(held) == 1 else (0, "nobody")
    stored = await read(services.db, "Patient", target)
    if stored is None or stored.deleted:
        return 0, ""
    master = parse(stored.body)
    same = all(one & other for one, other in zip(names(asked), names(master), strict=True))
    return (person, target) if same and demographics_agree(asked, master) else (0, "")
