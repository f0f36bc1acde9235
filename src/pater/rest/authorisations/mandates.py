"""`Organization/$mandates`: who may act for an organisation, as Contracts, for those entitled.

A Contract, because FHIR means by it also "a unilateral directive" such as a power of attorney; a
Consent is a patient's choice. They are made of the rows that every decision asks, so they say what
is so at this moment. Numbers of people stand in the body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from pater.access import audit
from pater.access.caller import Caller
from pater.access.relations import EVER
from pater.domain import Answer, Operation, OperationRequest, Parameter, Services
from pater.fhir.json import dumps
from pater.records.errors import Forbidden
from pater.records.patient_names import PatientNames
from pater.registers.basic import granting
from pater.registers.basic.granting import Given
from pater.registers.identifiers import ICO, RID, check_ico, check_rid
from pater.registers.related_persons import instant
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import Inputs, Kind, read_inputs, refused
from pater.store.read import claim_holders
from pater.store.write import claim_key

NAME: Final = "mandates"
SERVICE: Final = "urn:pater:service"
NUMBER: Final = "urn:pater:mandate"
KIND: Final = "urn:pater:mandate-kind"
_ROLES: Final = "http://terminology.hl7.org/CodeSystem/contractsignertypecodes"
_RELATION: Final = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
_STATES: Final = {"holds": "executed", "later": "executable", "over": "terminated"}
_DEFAULT: Final = 50
_TAKES: Final[Mapping[str, Kind]] = {
    "organization": "text", "agent": "text", "service": "text", "status": "text",
    "after": "text", "_count": "number",
}  # fmt: skip


def operation(services: Services) -> Operation:
    """The operation on the type Organization, by POST."""

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        await _admit(services, caller)
        if request.parameters:
            text = "what is asked for stands in the body"
            raise HttpError(400, "not-supported", text, path="Parameters")
        inputs = read_inputs(request, _TAKES)
        organization = await _organization(services, caller, inputs)
        agent = await _agent(services, inputs)
        count = inputs.number("_count", _DEFAULT, least=1, most=granting.MOST)
        state = inputs.text("status")
        wanted = {code: name for name, code in _STATES.items()}
        if state and state not in wanted:
            given = inputs.needed("status")
            raise refused(f"one of {', '.join(wanted)}", given.path)
        after = None
        if mark := inputs.text("after"):
            after = await granting.one(services.db, organization, mark)
            if after is None:
                raise refused("no mandate of this organisation", inputs.needed("after").path)
        now = services.clock()
        found: list[Given] = []
        if agent >= 0:
            found = await granting.listing(
                services.db, organization, now, state=wanted.get(state, ""),  # type: ignore[arg-type]  # one of its keys
                agent=agent, service=inputs.text("service"), after=after, count=count + 1,
            )  # fmt: skip
        shown = found[:count]
        await _note(services, caller, organization, shown)
        entries: list[dict[str, Any]] = [
            {"resource": contract(each, now), "search": {"mode": "match"}} for each in shown
        ]
        bundle: dict[str, Any] = {"resourceType": "Bundle", "type": "searchset"}
        if len(found) > count:
            # how to go on: the number to be given as `after`
            bundle["identifier"] = {"system": NUMBER, "value": shown[-1].id}
        if entries:
            bundle["entry"] = entries
        return Answer(200, dumps(bundle))

    return Operation(
        NAME, run, frozenset({"Organization"}),
        text="Who may act for an organisation, as Contracts made at this moment. For its own"
        " systems, and the operator's. Whose name leaves reads it in their journal.",
        takes=(
            Parameter("organization", "string", "its IČO", 1),
            Parameter("agent", "string", "RID of the person who acts"),
            Parameter("service", "string", "only mandates for this service"),
            Parameter("status", "code", f"one of {', '.join(_STATES.values())}"),
            Parameter("after", "string", "the number that the Bundle before gave, to go on"),
            Parameter("_count", "integer", f"up to {granting.MOST}; {_DEFAULT} without it"),
        ),
        gives=(Parameter("return", "Bundle", "searchset of Contracts", 1),),
    )  # fmt: skip


def contract(one: Given, now: Any) -> dict[str, Any]:
    """A mandate as a Contract; its grantor and grantee are the parties of each term."""
    period = {"start": instant(one.since)}
    if one.over < EVER:
        period["end"] = instant(one.over)
    organization = {
        "type": "Organization",
        "identifier": {"system": ICO, "value": one.organization},
    }
    agent: dict[str, Any] = {"type": "Patient", "display": one.agent_name or "?"}
    parties = [
        {"reference": [organization], "role": _code(_ROLES, "GRANTOR")},
        {"reference": [agent], "role": _code(_ROLES, "GRANTEE")},
    ]
    terms = [
        {
            "applies": period,
            **({"type": _code(SERVICE, service)} if service else {}),
            "offer": {"party": parties},
        }
        for service in one.services or ("",)
    ]
    made: dict[str, Any] = {
        "resourceType": "Contract",
        "id": str(uuid5(NAMESPACE_URL, f"{NUMBER}:{one.id}")),
        "identifier": [{"system": NUMBER, "value": one.id}],
        "status": _STATES[one.state(now)],
        "applies": period,
        "subject": [organization],
        "type": _code(_RELATION, "POWATT"),
        "subType": [_code(KIND, one.kind)],
        "term": terms,
    }
    if one.reference:
        made["legallyBindingReference"] = {"display": one.reference}
    return made


def _code(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


async def _admit(services: Services, caller: Caller) -> None:
    """Systems of the provider itself, and of the operator. Raises Forbidden."""
    decision = services.gate.decide(caller, "ask", "Consent")
    if not decision.allowed or caller.kind != "system" or caller.app:
        reason = "no-role" if decision.allowed else decision.reason
        await services.gate.refuse(caller, "ask", "Contract", reason)
        raise Forbidden(reason)


async def _organization(services: Services, caller: Caller, inputs: Inputs) -> str:
    given = inputs.needed("organization")
    ico = str(given.value)
    if check_ico(ico).ok is False:
        raise refused("an IČO has eight digits, the last one checks the others", given.path)
    if caller.role == "provider-system" and ico != caller.organization:
        await services.gate.refuse(caller, "ask", "Contract", "not-asked-for-others")
        raise Forbidden("not-asked-for-others")
    return ico


async def _agent(services: Services, inputs: Inputs) -> int:
    """The person of a RID; 0 = nobody is named, -1 = nobody of ours."""
    given = inputs.one("agent")
    if given is None:
        return 0
    rid = str(given.value)
    if check_rid(rid).ok is False:
        raise refused("no RID", given.path)
    held = await claim_holders(services.db, [claim_key("person", RID, rid)])
    return next((person for person, _ in held.values()), -1)


async def _note(services: Services, caller: Caller, organization: str, found: list[Given]) -> None:
    """Whose name leaves reads it in their journal."""
    if services.journal is None:
        raise HttpError(503, "transient", "there is no journal to write to")
    people = {each.agent for each in found} or {0}
    names = await PatientNames().of_all(services.db, sorted(people - {0}))
    await services.journal([
        audit.entry(
            caller, "E", "operation", audit.OK, clock=services.clock, reason="asked-may",
            person=person, patient=names.get(person, ""), query=f"mandates PZS/{organization}",
        )
        for person in sorted(people)
    ])  # fmt: skip
