"""`$register-check`: what the basic registers say of the addresses and the business of a resource.

What a register says stands beside the resource, and never in it: here whoever may read the resource
is told it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter, Parts, Services
from pater.registers.basic.checks import TYPES, Checked
from pater.registers.basic.checks import results as checked_of
from pater.registers.basic.identities import address_of
from pater.registers.basic.told import Address
from pater.rest.operations.inputs import read_inputs
from pater.rest.operations.places import parameters, resource_id

NAME: Final = "register-check"
_GIVES: Final = (
    Parameter("register", "code", "ruian (addresses) or ros (business)", 1),
    Parameter("key", "string", "code of the address point, or the IČO", 1),
    Parameter("state", "code", "correct or disputed", 1),
    Parameter("at", "instant", "when it was compared", 1),
    Parameter("differs", "code", "what differs", 0, "*"),
    Parameter("address", "Address", "as the register of addresses has it"),
    Parameter("name", "string", "of the business, as its register has it"),
    Parameter("seat", "string", "of the business, on one line"),
    Parameter("ended", "date", "when the business ended"),
)


def parts(services: Services) -> Parts:
    """The operation, at one Patient, Organization or Location."""

    async def run(caller: Caller, request: OperationRequest) -> Answer:
        id_ = resource_id(request.type, request.id)
        read_inputs(request, {})
        stored = await services.gate.read(caller, request.type, id_)
        found = await checked_of(services.db, request.type, stored.id)
        return parameters(*(_said(each) for each in found))

    operation = Operation(
        NAME, run, frozenset(TYPES), instance=True, methods=frozenset({"GET", "POST"}),
        text="What the basic registers say of the addresses and the business of a resource, as far"
        " as it was compared with them. For who may read the resource.",
        gives=(Parameter("checked", "", "one address or business", 0, "*", _GIVES),),
    )  # fmt: skip
    return Parts(operations=(operation,))


def _said(one: Checked) -> dict[str, Any]:
    listed: list[dict[str, Any]] = [
        {"name": "register", "valueCode": one.register},
        {"name": "key", "valueString": one.key},
        {"name": "state", "valueCode": one.state},
        {"name": "at", "valueInstant": one.at.isoformat(timespec="seconds")},
        *({"name": "differs", "valueCode": each} for each in one.differs),
    ]
    if one.said is not None:
        listed += _spelling(one, one.said)
    return {"name": "checked", "part": listed}


def _spelling(one: Checked, said: Mapping[str, Any]) -> list[dict[str, Any]]:
    """As the register has it."""
    if one.register == "ruian":
        return [{"name": "address", "valueAddress": address_of(Address(**said))}]
    named = (("name", "valueString"), ("seat", "valueString"), ("ended", "valueDate"))
    return [{"name": name, kind: said[name]} for name, kind in named if said.get(name)]
