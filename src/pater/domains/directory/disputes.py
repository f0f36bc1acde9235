"""A provider says that a datum of the register is wrong: kept, shown as disputed, decided later."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import UUID

from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.directory import tables
from pater.domains.directory.lookups import id_in, value_of
from pater.domains.directory.tables import Dispute
from pater.fhir.json import parse
from pater.records.errors import Forbidden
from pater.registers.basic.checks import Checked
from pater.registers.identifiers import PROVIDER
from pater.registers.providers import tables as register
from pater.registers.providers.systems import TYPES
from pater.rest.errors import HttpError

ROLES: Final = ("provider-system", "clinician", "administrator")
_LONGEST: Final = 2_000
_LONGEST_ELEMENT: Final = 200
_WAITING: Final = 100
"""Disputes of one provider that wait at a time."""


async def dispute(
    services: Services, caller: Caller, type: str, target: str, element: str, claim: str
) -> UUID:
    """Keeps a dispute about a resource that the caller may read; gives its id.

    A provider disputes what the register says of itself, and of professionals who work for it.
    Raises HttpError, Forbidden, NotFound.
    """
    element, claim = element.strip(), claim.strip()
    if type not in TYPES:
        raise HttpError(400, "value", "this is nothing of the register of providers")
    if not element or len(element) > _LONGEST_ELEMENT or not element.isprintable():
        raise HttpError(400, "value", "name the datum in one line of up to 200 characters")
    if not claim or len(claim) > _LONGEST:
        raise HttpError(400, "value", "say what is right, in up to 2000 characters")
    if caller.role not in ROLES or not caller.organization:
        await services.gate.refuse(caller, "update", type, "no-organization", id=target)
        raise Forbidden("no-organization", "only providers dispute data of the register")
    stored = await services.gate.read(caller, type, target)
    if not await _concerns(services, caller, parse(stored.body)):
        await services.gate.refuse(caller, "update", type, "not-owner", id=target)
        raise Forbidden("not-owner", "this is said of another provider")
    known = await tables.disputes_by(services.db, caller.organization, 2 * _WAITING)
    waiting = [each for each in known if each.state == "open"]
    if any((each.type, each.target, each.element) == (type, target, element) for each in waiting):
        raise HttpError(409, "duplicate", "this is disputed already and waits for its answer")
    if len(waiting) >= _WAITING:
        raise HttpError(409, "too-costly", f"more than {_WAITING} disputes do not wait at a time")
    one = Dispute(
        UUID(services.new_id()), type, target, element, claim, caller.organization,
        services.clock(),
    )  # fmt: skip
    await tables.add_dispute(services.db, one, caller.id)
    return one.id


def by_register(services: Services) -> Callable[[Checked], Awaitable[None]]:
    """What differs from a basic register is disputed by it; told again, it is the same dispute."""

    async def told(one: Checked) -> None:
        shown = [] if one.said is None else [v for v in one.said.values() if v not in (None, "")]
        claim = f"{one.register.upper()} {one.key}: {', '.join(map(str, shown)) or '–'}"
        kept = Dispute(
            UUID(bytes=one.digest), one.type, one.id, f"{one.register}: {', '.join(one.differs)}",
            claim[:_LONGEST], "", one.at,
        )  # fmt: skip
        await tables.add_dispute(services.db, kept, one.register)

    return told


async def _concerns(services: Services, caller: Caller, resource: dict[str, Any]) -> bool:
    """Whether a resource says something of the caller's organisation."""
    if value_of(resource, PROVIDER) == caller.organization:
        return True
    own = set(await register.organizations_of(services.db, caller.organization))
    named = [resource.get(name) for name in
             ("managingOrganization", "providedBy", "participatingOrganization", "organization",
              "partOf")]  # fmt: skip
    if any(id_in(each) in own for each in named if each):
        return True
    if resource["resourceType"] != "Practitioner":
        return False
    return bool(own & set(await register.employers_of(services.db, str(resource["id"]))))
