"""An invented person as a FHIR R4 Patient, as the register would keep it."""

from __future__ import annotations

from typing import Any

from pater.registers.identifiers import BIRTH_NUMBER, ID_CARD, INSURED_NUMBER, PASSPORT, RID
from pater.registers.matching.features import ADDRESS_POINT, MOTHER
from pater.registers.people.households import Person

_RUIAN = "https://ncez.mzcr.cz/fhir/sid/ruian"


def patient_of(person: Person, *, rid: bool = True, mother: str = "") -> dict[str, Any]:
    """The Patient without an id; `mother` is a number of the mother to keep with a child."""
    numbers = [
        (RID, person.rid if rid else ""),
        (BIRTH_NUMBER, person.birth_number),
        (INSURED_NUMBER, person.insured_number),
        ((ID_CARD if person.country == "CZE" else PASSPORT) + person.country, person.document),
    ]
    names: list[dict[str, Any]] = [
        {"use": "official", "family": person.family, "given": list(person.givens)}
    ]
    if person.maiden:
        names.append({"use": "maiden", "family": person.maiden})
    home = person.home
    patient: dict[str, Any] = {
        "resourceType": "Patient",
        "identifier": [{"system": s, "value": v} for s, v in numbers if v],
        "active": True,
        "name": names,
        "gender": "female" if person.sex == "f" else "male",
        "birthDate": person.born.isoformat(),
        "address": [
            {
                "use": "home",
                "line": [f"{home.street} {home.number}".strip()],
                "city": home.city,
                "postalCode": home.postcode,
                "country": "CZ",
                "extension": [
                    {
                        "url": ADDRESS_POINT,
                        "valueIdentifier": {"system": _RUIAN, "value": home.point},
                    }
                ],
            }
        ],
    }
    telecom = [("phone", person.phone), ("email", person.email)]
    if any(value for _, value in telecom):
        patient["telecom"] = [{"system": s, "value": v} for s, v in telecom if v]
    if person.order:
        patient["multipleBirthInteger"] = person.order
    if mother:
        patient["extension"] = [{"url": MOTHER, "valueIdentifier": {"value": mother}}]
    return patient
