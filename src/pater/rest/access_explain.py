"""`Patient/[id]/$access-explain`: why somebody may or may not do something, for who may audit.

The answer names no resource and nothing of what the patient wants; that it was asked is in the
patient's journal.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from pater.access import accounts, audit, clients, representation, sessions
from pater.access.caller import TWO_FACTORS, Caller
from pater.access.deciding import ACTIONS, Policy
from pater.access.explaining import Asked, explain
from pater.access.standing import DatabaseStanding
from pater.domain import Answer, Operation, OperationRequest, Parameter, Parts, Services
from pater.fhir.definitions import TYPE_NUMBER
from pater.records.errors import Forbidden
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import Inputs, Kind, read_inputs, refused
from pater.rest.operations.places import parameters, resource_id
from pater.store.read import persons_of

_TAKES: Final[Mapping[str, Kind]] = {
    "client": "text",
    "account": "text",
    "purpose": "text",
    "action": "text",
    "type": "text",
    "language": "text",
}


def parts(services: Services, policy: Policy) -> Parts:
    """The operation, over the policy in force."""
    standing = DatabaseStanding(services.db, services.clock, policy.territories, policy.parents)

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        id_ = resource_id("Patient", request.id)
        may = services.gate.decide(caller, "search", "AuditEvent")
        if not may.allowed or may.persons is not None:
            reason = "no-role" if may.allowed else may.reason
            await services.gate.refuse(caller, "search", "AuditEvent", reason)
            raise Forbidden(reason)
        inputs = read_inputs(request, _TAKES)
        action, type_ = inputs.text("action", "read"), inputs.text("type", "Observation")
        lang = inputs.text("language", "en")
        found = next((each for each in ACTIONS if each == action), None)
        if found is None or type_ not in TYPE_NUMBER or lang not in ("cs", "en"):
            text = f"action is one of {', '.join(ACTIONS)}, type a type of R4, language cs or en"
            raise HttpError(400, "value", text, path="Parameters.parameter")
        who = await _who(services, inputs)
        persons = await persons_of(services.db, [id_])
        if id_ not in persons:
            raise HttpError(404, "not-found", f"Patient/{id_} is not known")
        person, now = persons[id_], services.clock()
        await _note(services, caller, person, id_, who)
        acting = None
        if who.person and who.person != person:
            acting = await representation.between(services.db, who.person, person, now)
        if acting is not None and acting.holds(now):
            who = representation.stepped_in(who, acting)
        seen, said = await standing.seen(who, person, now), await standing.said(who, person, now)
        decision = policy.decide(who, found, type_, person=person, facts=seen.facts)
        lines = explain(
            policy, Asked(who, found, type_, person, now, seen, said, acting), lang, discreet=True
        )
        return parameters(
            {"name": "allowed", "valueBoolean": decision.allowed},
            {"name": "reason", "valueCode": decision.reason},
            {"name": "policy", "valueString": f"{policy.name} {policy.version} {policy.digest}"},
            *({"name": "step", "valueString": line} for line in lines),
        )

    operation = Operation(
        "access-explain",
        run,
        frozenset({"Patient"}),
        instance=True,
        methods=frozenset({"GET", "POST"}),
        text="Why a system or a person may or may not do something with a patient's data, step by"
        " step. For who may audit.",
        takes=(
            Parameter("client", "string", "id of a system; it, or an account, is needed"),
            Parameter("account", "string", "login name of a person"),
            Parameter("purpose", "code", "what for (v3 PurposeOfUse)"),
            Parameter("action", "code", f"one of {', '.join(ACTIONS)}; read without it"),
            Parameter("type", "code", "a resource type; Observation without it"),
            Parameter("language", "code", "cs or en"),
        ),
        gives=(
            Parameter("allowed", "boolean", "what is decided", 1),
            Parameter("reason", "code", "why", 1),
            Parameter("policy", "string", "name, version and digest of the policy", 1),
            Parameter("step", "string", "a step of the decision", 0, "*"),
        ),
    )
    return Parts(operations=(operation,))


async def _who(services: Services, inputs: Inputs) -> Caller:
    """The caller who is asked about: a system by its id, a person by the login name."""
    purpose = inputs.text("purpose")
    client, account = inputs.one("client"), inputs.one("account")
    if client is not None and account is None:
        system = await clients.find(services.db, str(client.value))
        if system is None:
            raise refused("there is no such system", client.path, "not-found")
        return clients.client_caller(system, scopes=system.scopes, purpose=purpose)
    if account is not None and client is None:
        person = await accounts.find_by_login(services.db, str(account.value))
        if person is None:
            raise refused("there is no such account", account.path, "not-found")
        return sessions.account_caller(person, strength=TWO_FACTORS, purpose=purpose)
    text = "whose right? client is the id of a system, account the login name of a person"
    raise HttpError(400, "required", text, path="Parameters.parameter")


async def _note(services: Services, caller: Caller, person: int, patient: str, who: Caller) -> None:
    if services.journal is None:
        raise HttpError(503, "transient", "there is no journal to write to")
    entry = audit.entry(
        caller, "R", "operation", audit.OK, clock=services.clock, reason="explained",
        person=person, patient=patient, query=f"access-explain={who.kind}/{who.id}",
    )  # fmt: skip
    await services.journal([entry])
