"""The patient whom a physician chooses for an app that asked for one (standalone launch)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pater.access import app_scopes
from pater.access.authorize import Asked
from pater.access.caller import Caller
from pater.access.policy import ROLE_PURPOSES
from pater.domain import Services
from pater.fhir.json import parse
from pater.fhir.search.query import parse_search
from pater.records.errors import Forbidden, Gone, NotFound
from pater.registers.identifiers import BIRTH_NUMBER, RID, check
from pater.web.i18n import N_

SYSTEMS: Final[Mapping[str, str]] = {"rid": RID, "rcis": BIRTH_NUMBER}
KINDS: Final[Mapping[str, str]] = {"rid": N_("RID"), "rcis": N_("Birth number")}
PURPOSES: Final[Mapping[str, str]] = {
    "TREAT": N_("Treatment of the patient"),
    "ETREAT": N_("Emergency treatment"),
}
_NOBODY: Final = N_("Nobody with this number is found, or you may not see them.")
_INVALID: Final = N_("This number is not valid; check the digits.")
_WHY: Final = N_("State why you need the record.")


@dataclass(frozen=True, slots=True)
class Picked:
    """Somebody's record, and why it is needed."""

    person: int
    patient: str
    name: str
    purpose: str

    def pairs(self) -> list[tuple[str, str]]:
        """To be sealed beside what the app asked."""
        return [
            ("pater_person", str(self.person)),
            ("pater_patient", self.patient),
            ("pater_name", self.name),
            ("pater_purpose", self.purpose),
        ]


def picked(pairs: Sequence[tuple[str, str]]) -> Picked | None:
    """Who was chosen before, from what we sealed ourselves."""
    kept = dict(pairs)
    if "pater_person" not in kept:
        return None
    return Picked(
        int(kept["pater_person"]), kept["pater_patient"], kept["pater_name"], kept["pater_purpose"]
    )


def wanted(caller: Caller, asked: Asked) -> bool:
    """Whether a physician may choose a patient: the app asks for one and brings none."""
    asks = any(s == app_scopes.LAUNCH_PATIENT or s.startswith("patient/") for s in asked.scopes)
    own = caller.role == "patient"
    return asks and not own and not asked.launch and bool(purposes(caller))


def purposes(caller: Caller) -> list[str]:
    """Why the caller's role may need a record."""
    return [each for each in PURPOSES if each in ROLE_PURPOSES.get(caller.role, ())]


async def pick(
    services: Services, caller: Caller, form: Mapping[str, str], opened: str
) -> Picked | dict[str, str]:
    """The patient of a form, or what is wrong by field. `opened` is the record that is open.

    The gate decides and journals it, as if the record were opened on the pages.
    """
    if form.get("answer") == "pick-open":
        if not opened or caller.purpose not in PURPOSES:
            return {"value": _NOBODY}
        try:
            stored = await services.gate.read(caller, "Patient", opened)
        except (NotFound, Gone, Forbidden):
            return {"value": _NOBODY}
        return _picked(stored.person, stored.id, parse(stored.body), caller.purpose)
    purpose = form.get("purpose", "")
    if purpose not in purposes(caller):
        return {"purpose": _WHY}
    system = SYSTEMS.get(form.get("kind", ""), RID)
    value = form.get("value", "")[:40].replace("/", "").replace(" ", "")
    if not value.isalnum() or check(system, value).ok is False:
        return {"value": _INVALID}
    asking = replace(caller, purpose=purpose)
    try:
        request = parse_search("Patient", [("identifier", f"{system}|{value}")])
        page = await services.gate.search(asking, request, count=2)
    except Forbidden:
        return {"value": _NOBODY}
    if len(page.matches) != 1:
        return {"value": _NOBODY}
    stored = page.matches[0]
    return _picked(stored.person, stored.id, parse(stored.body), purpose)


def _picked(person: int, id: str, body: Mapping[str, Any], purpose: str) -> Picked:
    name = next((one for one in body.get("name", ()) if isinstance(one, dict)), {})
    whole = " ".join((*name.get("given", ()), name.get("family", ""))).strip()
    return Picked(person, id, (whole or id)[:100], purpose)
