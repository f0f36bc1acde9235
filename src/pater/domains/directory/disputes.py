"""A provider says that a datum of the register is wrong: kept, shown as disputed, decided later."""

from __future__ import annotations

from typing import Any, Final
from uuid import UUID

from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.directory import tables
from pater.domains.directory.lookups import id_in, value_of
from pater.domains.directory.tables import Dispute
from pater.fhir.json import parse
from pater.records.errors import Forbidden
from pater.registers.identifiers import PROVIDER
from pater.registers.providers import tables as register
from pater.registers.providers.systems import TYPES
from pater.rest.errors import HttpError

ROLES: Final = ("provider-system", "clinician", "administrator")
_LONGEST: Final = 2_000
_LONGEST_ELEMENT: Final = 200


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
    one = Dispute(
        UUID(services.new_id()), type, target, element, claim, caller.organization,
        services.clock(),
    )  # fmt: skip
    await tables.add_dispute(services.db, one, caller.id)
    return one.id


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
