"""Invented patients as facts and as transaction Bundles: what is asked can be checked by the facts.

A patient is a function of seed and number: 1 Patient, 8 Encounters, 10 Conditions, 70 Observations
and 11 MedicationRequests, tied by urn:uuid. No two results of the population have the same time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any, Final
from uuid import UUID

import orjson

PER_PATIENT: Final = 100
KINDS: Final = {
    "Patient": 1,
    "Encounter": 8,
    "Condition": 10,
    "Observation": 70,
    "MedicationRequest": 11,
}
NUMBERS: Final = "urn:bench:record"
LOINC: Final = "http://loinc.org"
ICD: Final = "http://hl7.org/fhir/sid/icd-10"
ATC: Final = "http://www.whocc.no/atc"
UCUM: Final = "http://unitsofmeasure.org"
RESULTS: Final = {
    "8867-4": ("Heart rate", "/min", 60, 110), "8480-6": ("Systolic pressure", "mm[Hg]", 90, 180),
    "2339-0": ("Glucose", "mg/dL", 60, 220), "718-7": ("Hemoglobin", "g/dL", 8, 18),
    "2093-3": ("Cholesterol", "mg/dL", 120, 300), "29463-7": ("Body weight", "kg", 45, 130),
    "6690-2": ("Leukocytes", "10*3/uL", 3, 15),
}  # fmt: skip
DIAGNOSES: Final = {
    "I10": "Esenciální hypertenze", "E11": "Diabetes mellitus 2. typu", "J45": "Astma",
    "M54": "Bolest zad", "F41": "Úzkostná porucha", "N39": "Zánět močových cest",
    "E78": "Vysoký cholesterol", "I25": "Ischemická choroba srdeční", "G43": "Migréna",
    "L20": "Atopický ekzém", "K21": "Refluxní choroba jícnu", "J06": "Zánět horních cest dýchacích",
}  # fmt: skip
DRUGS: Final = ("C09AA05", "A10BA02", "C10AA05", "N02BE01", "J01CA04", "B01AC06", "R03AC02")
_FAMILIES: Final = (
    "Novák Svoboda Novotný Dvořák Černý Procházka Kučera Veselý Horák Němec Marek Pospíšil"
    " Pokorný Hájek Jelínek Král Růžička Beneš Fiala Sedláček"
).split()
_GIVEN: Final = "Jan Petr Eva Jana Tomáš Lucie Martin Hana Pavel Anna Jiří Marie".split()
_CODES: Final = "http://terminology.hl7.org/CodeSystem"
_FIRST_DAY: Final = datetime(2015, 1, 1, tzinfo=UTC)
_DAYS: Final = 4000


@dataclass(frozen=True, slots=True)
class Result:
    """One Observation."""

    code: str
    value: float
    when: str


@dataclass(frozen=True, slots=True)
class Person:
    """A patient and what is known of them."""

    number: int
    family: str
    given: str
    gender: str
    born: date
    visits: tuple[str, ...]  # when
    diagnoses: tuple[str, ...]
    drugs: tuple[str, ...]
    results: tuple[Result, ...]

    @property
    def record(self) -> str:
        """The identifier's value."""
        return str(70_000_000 + self.number)


def person(number: int, seed: int = 1) -> Person:
    """The patient of this number."""
    random = Random(f"{seed}/{number}")

    def when(place: int = 0) -> str:
        # seconds are told by patient and place, so that no two results of the population tie
        minute = random.randrange(_DAYS * 24 * 60)
        moment = _FIRST_DAY + timedelta(minutes=minute, seconds=number % 60, milliseconds=place)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")

    def result(place: int) -> Result:
        code = random.choice(tuple(RESULTS))
        _, _, low, high = RESULTS[code]
        return Result(code, round(random.uniform(low, high), 1), when(place))

    return Person(
        number,
        random.choice(_FAMILIES),
        random.choice(_GIVEN),
        random.choice(("female", "male")),
        date(1930, 1, 1) + timedelta(days=random.randrange(33_000)),
        tuple(when() for _ in range(KINDS["Encounter"])),
        tuple(random.sample(tuple(DIAGNOSES), KINDS["Condition"])),
        tuple(random.choice(DRUGS) for _ in range(KINDS["MedicationRequest"])),
        tuple(result(place) for place in range(KINDS["Observation"])),
    )


def patient(one: Person) -> dict[str, Any]:
    """The Patient resource."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": NUMBERS, "value": one.record}],
        "active": True,
        "name": [{"use": "official", "family": one.family, "given": [one.given]}],
        "gender": one.gender,
        "birthDate": one.born.isoformat(),
        "address": [{"city": f"Obec {one.number % 6253}", "country": "CZ"}],
    }


def observation(found: Result, subject: str, encounter: str = "") -> dict[str, Any]:
    """An Observation resource."""
    name, unit, _, _ = RESULTS[found.code]
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [_coded(f"{_CODES}/observation-category", "laboratory", "Laboratory")],
        "code": _coded(LOINC, found.code, name),
        "subject": {"reference": subject},
        **({"encounter": {"reference": encounter}} if encounter else {}),
        "effectiveDateTime": found.when,
        "valueQuantity": {"value": found.value, "unit": unit, "system": UCUM, "code": unit},
    }


def transaction(one: Person) -> bytes:
    """All of a patient as a transaction of creates."""
    random = Random(one.number)

    def address() -> str:
        return UUID(int=random.getrandbits(128), version=4).urn

    me, visits = address(), [address() for _ in one.visits]
    subject = {"reference": me}
    entries = [(me, patient(one))]
    entries += [
        (
            visit,
            {
                "resourceType": "Encounter", "status": "finished",
                "class": {"system": f"{_CODES}/v3-ActCode", "code": "AMB"},
                "subject": subject, "period": {"start": when, "end": when},
            },
        )
        for visit, when in zip(visits, one.visits, strict=True)
    ]  # fmt: skip
    for place, code in enumerate(one.diagnoses):
        visit = place % len(visits)
        entries.append((address(), {
            "resourceType": "Condition",
            "clinicalStatus": _coded(f"{_CODES}/condition-clinical", "active", "Active"),
            "code": _coded(ICD, code, DIAGNOSES[code]),
            "subject": subject, "encounter": {"reference": visits[visit]},
            "recordedDate": one.visits[visit],
        }))  # fmt: skip
    for place, drug in enumerate(one.drugs):
        visit = place % len(visits)
        entries.append((address(), {
            "resourceType": "MedicationRequest", "status": "active", "intent": "order",
            "medicationCodeableConcept": _coded(ATC, drug, f"Drug {drug}"),
            "subject": subject, "encounter": {"reference": visits[visit]},
            "authoredOn": one.visits[visit], "dosageInstruction": [{"text": "1-0-1"}],
        }))  # fmt: skip
    entries += [
        (address(), observation(found, me, visits[place % len(visits)]))
        for place, found in enumerate(one.results)
    ]
    return orjson.dumps({
        "resourceType": "Bundle", "type": "transaction",
        "entry": [
            {"fullUrl": url, "resource": resource,
             "request": {"method": "POST", "url": resource["resourceType"]}}
            for url, resource in entries
        ],
    })  # fmt: skip


def _coded(system: str, code: str, display: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}
