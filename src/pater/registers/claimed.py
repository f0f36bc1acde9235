"""Whom of the register a provider of identities means: exactly one person, or nobody."""

from __future__ import annotations

from typing import Any

from pater.access.federation.desk import Person, Registered
from pater.access.federation.errors import FederationError
from pater.registers.identifiers import BIRTH_NUMBER, RID
from pater.registers.patients import PatientRegister


class Claimed:
    """Finds persons by what a provider says; never makes one."""

    def __init__(self, register: PatientRegister) -> None:
        self._register = register

    async def __call__(self, said: Person) -> Registered | None:
        """The person; None for one who is not registered. Raises FederationError.

        All numbers that are said have to be of one person, and name and birth date to agree.
        """
        found = await self._register.holder(_patient(said))
        if found is None:
            return None
        identity, master = found
        if identity.state != "matched":
            raise FederationError("disagrees")
        return Registered(identity.person, identity.patient, _name(master) or said.whole_name)


def _patient(said: Person) -> dict[str, Any]:
    numbers = ((RID, said.rid), (BIRTH_NUMBER, said.birth_number))
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": system, "value": value} for system, value in numbers if value],
    }
    name = {"family": said.family} if said.family else {}
    if name or said.given:
        patient["name"] = [{**name, **({"given": said.given.split()} if said.given else {})}]
    if said.birth_date:
        patient["birthDate"] = said.birth_date
    return patient


def _name(master: dict[str, Any]) -> str:
    """The official name, or the first one."""
    names = [name for name in master.get("name", ()) if isinstance(name, dict)]
    names.sort(key=lambda name: name.get("use") != "official")
    if not names:
        return ""
    return " ".join((*names[0].get("given", ()), names[0].get("family", ""))).strip()
