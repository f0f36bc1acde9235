"""Who has whom in care in the demonstration, and what one of the patients holds back."""

from __future__ import annotations

from typing import Any, Final

from pater.domains.exchange.demo.people import HOSPITALS, Person
from pater.registers.identifiers import ICO

Json = dict[str, Any]

ELSEWHERE: Final = "novotny"
"""The patient whom hospital B has not in care: it finds who it is, and nothing else."""
RESERVED: Final = "kovalenko"
"""The patient who holds discharge reports back from hospital B."""
_V3: Final = "http://terminology.hl7.org/CodeSystem/v3-"
_CONSENT: Final = "http://terminology.hl7.org/CodeSystem/consentscope"


def in_care(person: Person, hospital: str) -> bool:
    """Whether a hospital ("a" or "b") has a patient in care."""
    return hospital == "a" or person.key != ELSEWHERE


def encounter(patient: str, hospital: str) -> Json:
    """The Encounter by which a hospital states that a patient is in its care."""
    own = HOSPITALS[hospital]
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": f"{_V3}ActCode", "code": "AMB", "display": "ambulatory"},
        "subject": {"reference": f"Patient/{patient}"},
        "period": {"start": "2026-01-01"},
        "serviceProvider": {
            "identifier": {"system": ICO, "value": own.ico},
            "display": own.name,
        },
    }


def reserve(patient: str) -> Json:
    """What the patient who holds something back has declared."""
    recipient = {"system": f"{_V3}ParticipationType", "code": "IRCP"}
    hospital = HOSPITALS["b"]
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": _CONSENT, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-01-01T08:00:00+01:00",
        "policyRule": {"coding": [{"system": f"{_V3}ActCode", "code": "OPTOUT"}]},
        "provision": {
            "type": "deny",
            "class": [{"system": "urn:pater:record-category", "code": "discharge-report"}],
            "actor": [
                {
                    "role": {"coding": [recipient]},
                    "reference": {
                        "identifier": {"system": ICO, "value": hospital.ico},
                        "display": hospital.name,
                    },
                }
            ],
        },
    }
