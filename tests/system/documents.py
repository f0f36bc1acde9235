"""Documents for the system tests: a small valid one, and changes to it."""

from __future__ import annotations

import copy
import json
import uuid
from collections.abc import Callable
from random import Random
from typing import Any

from pater.registers.identifiers import RID, new_rid

Resource = dict[str, Any]
XHTML = "http://www.w3.org/1999/xhtml"
DISCHARGE = {"coding": [{"system": "http://loinc.org", "code": "34105-7"}]}


def discharge(
    rid: str | None = None,
    *,
    family: str = "Nováková",
    given: str = "Eva",
    born: str = "1970-05-06",
    title: str = "Propouštěcí zpráva",
    composition: str | None = None,
    stamp: str = "2026-01-05T10:00:00+01:00",
) -> Resource:
    """A small discharge report of one person with one diagnosis and one measurement."""
    rid = rid or new_rid(Random(uuid.uuid4().int))
    names = {n: f"urn:uuid:{uuid.uuid4()}" for n in ("c", "p", "e", "o", "d", "x")}

    def ref(name: str) -> Resource:
        return {"reference": names[name]}

    resources: dict[str, Resource] = {
        "c": {
            "resourceType": "Composition",
            "identifier": {
                "system": "https://test.example/compositions",
                "value": composition or str(uuid.uuid4()),
            },
            "status": "final",
            "type": DISCHARGE,
            "subject": ref("p"),
            "encounter": ref("e"),
            "date": stamp,
            "author": [ref("o")],
            "custodian": ref("o"),
            "title": title,
            "section": [
                {
                    "title": "Průběh hospitalizace",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "8648-8"}]},
                    "text": {
                        "status": "additional",
                        "div": f'<div xmlns="{XHTML}"><p>Bez komplikací.</p></div>',
                    },
                    "entry": [ref("d"), ref("x")],
                }
            ],
        },
        "p": {
            "resourceType": "Patient",
            "identifier": [{"system": RID, "value": rid}],
            "name": [{"family": family, "given": [given]}],
            "gender": "female",
            "birthDate": born,
        },
        "e": {
            "resourceType": "Encounter",
            "status": "finished",
            "class": {
                "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                "code": "IMP",
            },
            "subject": ref("p"),
            "period": {"start": "2026-01-01", "end": "2026-01-05"},
        },
        "o": {"resourceType": "Organization", "name": "Zkušební nemocnice"},
        "d": {
            "resourceType": "Condition",
            "subject": ref("p"),
            "code": {
                "coding": [
                    {
                        "system": "http://hl7.org/fhir/sid/icd-10",
                        "code": "J18.9",
                        "display": "Pneumonie NS",
                    }
                ]
            },
        },
        "x": {
            "resourceType": "Observation",
            "status": "final",
            "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
            "subject": ref("p"),
            "effectiveDateTime": "2026-01-02T08:00:00+01:00",
            "valueQuantity": {
                "value": 72,
                "unit": "/min",
                "system": "http://unitsofmeasure.org",
                "code": "/min",
            },
        },
    }
    return {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid.uuid4()}"},
        "timestamp": stamp,
        "entry": [{"fullUrl": names[n], "resource": r} for n, r in resources.items()],
    }


def changed(bundle: Resource, change: Callable[[Resource], None]) -> Resource:
    """A copy with a change made to it."""
    copied = copy.deepcopy(bundle)
    change(copied)
    return copied


def resource_of(bundle: Resource, kind: str) -> Resource:
    """The first resource of a type in a Bundle."""
    found: Resource = next(
        e["resource"] for e in bundle["entry"] if e["resource"]["resourceType"] == kind
    )
    return found


def rid_of(bundle: Resource) -> str:
    """The RID that a document's Patient was sent with."""
    return str(resource_of(bundle, "Patient")["identifier"][0]["value"])


def encoded(bundle: Resource) -> bytes:
    """As a sender would put it on the wire; the spaces show whether bytes are kept."""
    return json.dumps(bundle, ensure_ascii=False, indent=1).encode()
