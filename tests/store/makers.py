"""Small resources and journal entries for the tests of the store."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import uuid4

from pater.store.journal import JournalEntry
from pater.store.write import Put


def observation(text: str = "first") -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}], "text": text},
        "subject": {"reference": "Patient/p1"},
        "effectiveDateTime": "2026-11-01T10:00:00Z",
        "valueQuantity": {
            "value": 72,
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
    }


def patient(family: str = "Nováková") -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "identifier": [{"system": "urn:test", "value": "1"}],
        "name": [{"family": family, "given": ["Jana"]}],
        "birthDate": "1980-02-29",
    }


def put(id: str | None = None, text: str = "first", **options: Any) -> Put:
    """An Observation of person 7; without an id a fresh one by POST."""
    options.setdefault("person", 7)
    if id is None:
        return Put(
            "Observation", str(uuid4()), resource=observation(text), method="POST", **options
        )
    return Put("Observation", id, resource=observation(text), **options)


def entry(at: datetime, person: int = 7, **fields: Any) -> JournalEntry:
    values: dict[str, Any] = {
        "at": at,
        "person": person,
        "patient": "p1",
        "action": "R",
        "interaction": "read",
        "outcome": "0",
        "reason": "treatment",
        "agent_kind": "person",
        "agent": "clinician",
        "agent_name": "MUDr. Test",
        "role": "clinician",
        "organization": "00000001",
        "organization_name": "Nemocnice",
        "purpose": "TREAT",
        "entity_type": "Observation",
        "entity_id": "o1",
        "entity_version": 1,
        "query": "",
        "request_id": "r1",
        "source": "192.0.2.1",
    }
    return JournalEntry(**{**values, **fields})
