"""A made-up population for bulk measurements: plausible records, the same for the same number."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from random import Random

import orjson

_FAMILIES = (
    "Novák Svoboda Novotný Dvořák Černý Procházka Kučera Veselý Horák Němec Marek Pospíšil"
    " Pokorný Hájek Jelínek Král Růžička Beneš Fiala Sedláček"
).split()
_GIVEN = "Jan Petr Eva Jana Tomáš Lucie Martin Hana Pavel Anna Jiří Marie Karel Věra".split()
_LOINC = [
    ("8867-4", "Heart rate", "/min", 60, 110), ("8480-6", "Systolic pressure", "mm[Hg]", 90, 180),
    ("8462-4", "Diastolic pressure", "mm[Hg]", 50, 110), ("2339-0", "Glucose", "mg/dL", 60, 220),
    ("718-7", "Hemoglobin", "g/dL", 8, 18), ("2093-3", "Cholesterol", "mg/dL", 120, 300),
    ("29463-7", "Body weight", "kg", 45, 130), ("8302-2", "Body height", "cm", 140, 205),
    ("6690-2", "Leukocytes", "10*3/uL", 3, 15), ("2160-0", "Creatinine", "mg/dL", 0, 3),
]  # fmt: skip
_ICD = ("I10 E11 J06 M54 K21 F41 N39 J45 E78 I25 G43 L20 H52 R51 Z00").split()
_ATC = ("C09AA05 A10BA02 C10AA05 N02BE01 J01CA04 B01AC06 C07AB07 A02BC01 R03AC02 M01AE01").split()
PER_PATIENT = 50
"""Resources of one patient, the Patient among them."""


def population(resources: int, *, first: int = 0) -> Iterator[bytes]:
    """Lines of NDJSON, patient by patient; patients are numbered from `first`."""
    made, number = 0, first
    while made < resources:
        for line in _patient(number):
            yield line
            made += 1
            if made == resources:
                return
        number += 1


def _patient(number: int) -> Iterator[bytes]:
    random = Random(number)
    me = f"bp-{number}"
    born = date(1930, 1, 1) + timedelta(days=random.randrange(33_000))
    yield _line(
        {
            "resourceType": "Patient",
            "id": me,
            "identifier": [{"system": "urn:bench:patient", "value": str(10_000_000 + number)}],
            "active": True,
            "name": [{"use": "official", "family": f"{random.choice(_FAMILIES)}{number % 997}",
                      "given": [random.choice(_GIVEN)]}],
            "gender": random.choice(("male", "female")),
            "birthDate": born.isoformat(),
            "address": [{"city": f"Obec {number % 6_253}", "country": "CZ",
                         "postalCode": str(10_000 + number % 70_000)}],
        }
    )  # fmt: skip
    subject = {"reference": f"Patient/{me}"}
    for visit in range(4):
        day = date(2015, 1, 1) + timedelta(days=random.randrange(4_000))
        at = f"{day.isoformat()}T{random.randrange(7, 18):02}:{random.randrange(60):02}:00+01:00"
        encounter = f"{me}-e{visit}"
        seen = {"reference": f"Encounter/{encounter}"}
        yield _line(
            {
                "resourceType": "Encounter", "id": encounter, "status": "finished",
                "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                          "code": "AMB"},
                "subject": subject, "period": {"start": at, "end": at},
            }
        )  # fmt: skip
        code = random.choice(_ICD)
        yield _line(
            {
                "resourceType": "Condition", "id": f"{encounter}-c",
                "clinicalStatus": _coding(
                    "http://terminology.hl7.org/CodeSystem/condition-clinical", "active", "Active"
                ),
                "code": _coding("http://hl7.org/fhir/sid/icd-10", code, f"Diagnosis {code}"),
                "subject": subject, "encounter": seen, "recordedDate": at,
            }
        )  # fmt: skip
        drug = random.choice(_ATC)
        yield _line(
            {
                "resourceType": "MedicationRequest", "id": f"{encounter}-m", "status": "active",
                "intent": "order",
                "medicationCodeableConcept": _coding(
                    "http://www.whocc.no/atc", drug, f"Drug {drug}"
                ),
                "subject": subject, "encounter": seen, "authoredOn": at,
                "dosageInstruction": [{"text": "1-0-1", "timing": {"repeat": {"frequency": 2,
                                       "period": 1, "periodUnit": "d"}}}],
            }
        )  # fmt: skip
        for result in range(9 if visit else 10):
            loinc, name, unit, low, high = random.choice(_LOINC)
            yield _line(
                {
                    "resourceType": "Observation", "id": f"{encounter}-o{result}",
                    "status": "final",
                    "category": [_coding(
                        "http://terminology.hl7.org/CodeSystem/observation-category",
                        "laboratory", "Laboratory",
                    )],
                    "code": _coding("http://loinc.org", loinc, name),
                    "subject": subject, "encounter": seen, "effectiveDateTime": at, "issued": at,
                    "valueQuantity": {"value": round(random.uniform(low, high), 1), "unit": unit,
                                      "system": "http://unitsofmeasure.org", "code": unit},
                }
            )  # fmt: skip


def _coding(system: str, code: str, display: str) -> dict[str, object]:
    return {"coding": [{"system": system, "code": code, "display": display}], "text": display}


def _line(resource: dict[str, object]) -> bytes:
    return orjson.dumps(resource) + b"\n"
