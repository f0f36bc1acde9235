"""Turns a written-down demonstration report into a FHIR R4 document Bundle."""

from __future__ import annotations

import base64
from datetime import datetime
from decimal import Decimal
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

import orjson

from pater.domains.exchange.demo import entries
from pater.domains.exchange.demo.draft import Draft, moment
from pater.domains.exchange.demo.letter import letter
from pater.domains.exchange.demo.people import DOCTORS, HOSPITALS, Json
from pater.domains.exchange.demo.report import Report
from pater.domains.exchange.demo.sections import sections
from pater.registers.identifiers import PROVIDER
from pater.terminology.names import LOINC

_PRESENTED: Final = "https://hl7.cz/fhir/core/StructureDefinition/presentedForm"
_VERSION: Final = (
    "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber"
)


def build(report: Report, replaced: Report | None) -> bytes:
    """The document Bundle of a report as JSON; `replaced` is the report that it corrects."""
    b = Draft(report)
    b.add("patient", b.person.resource())
    custodian = b.add("hospital", b.hospital.resource())
    author = b.add(
        "author",
        {
            "resourceType": "PractitionerRole",
            "practitioner": b.doctor(report.author),
            "organization": custodian,
            "specialty": [{"text": DOCTORS[report.author].specialty}],
        },
    )
    attester = b.doctor(report.attester)
    diagnoses = [
        (name, entries.condition(one, b.subject, index == 0, moment(report.start)[:10]))
        for index, one in enumerate(report.diagnoses)
        for name in [f"diagnosis-{index}"]
    ]
    stay = entries.encounter(report, b.subject, custodian, moment)
    stay["diagnosis"] = [
        {
            "condition": b.add(name, resource),
            "use": entries.coding("http://terminology.hl7.org/CodeSystem/diagnosis-role", "DD"),
            "rank": rank,
        }
        for rank, (name, resource) in enumerate(diagnoses, start=1)
    ]
    b.add("encounter", stay)
    told = sections(b)
    issued = moment(report.issued or report.end)
    composition: Json = {
        "resourceType": "Composition",
        "language": "cs",
        "extension": [{"url": _VERSION, "valueString": report.version}],
        "identifier": _identifier(report),
        "status": "amended" if replaced else "final",
        "type": {
            "coding": [
                {"system": LOINC, "code": "34105-7", "display": "Hospital Discharge summary"}
            ],
            "text": "Propouštěcí zpráva",
        },
        "category": [
            {"coding": [{"system": LOINC, "code": "11503-0", "display": "Medical records"}]}
        ],
        "subject": b.subject,
        "encounter": b.encounter,
        "date": issued,
        "author": [author],
        "title": report.title,
        "confidentiality": "N",
        "attester": [{"mode": "legal", "time": issued, "party": attester}],
        "custodian": custodian,
    }
    if replaced:
        composition["relatesTo"] = [{"code": "replaces", "targetIdentifier": _identifier(replaced)}]
    composition["section"] = told
    if report.original:
        composition["extension"].append(
            {
                "url": _PRESENTED,
                "valueAttachment": {
                    "contentType": "application/pdf",
                    "language": "cs",
                    "data": base64.b64encode(
                        letter(report, datetime.fromisoformat(issued))
                    ).decode(),
                    "title": f"Propouštěcí zpráva {report.number}",
                    "creation": issued,
                },
            }
        )
    own = str(uuid5(NAMESPACE_URL, f"pater-demo/{report.key}/composition"))
    bundle: Json = {
        "resourceType": "Bundle",
        "language": "cs",
        "identifier": {
            "system": "urn:ietf:rfc:3986",
            "value": f"urn:uuid:{uuid5(NAMESPACE_URL, f'pater-demo/{report.key}/bundle')}",
        },
        "type": "document",
        "timestamp": issued,
        "entry": [
            {
                "fullUrl": f"urn:uuid:{own}",
                "resource": {"resourceType": "Composition", "id": own, **composition},
            },
            *b.entries,
        ],
    }
    return orjson.dumps(bundle, default=_decimal)


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)


def _identifier(report: Report) -> Json:
    return {
        "system": f"{HOSPITALS[report.hospital].site}/dokumenty",
        "value": report.number,
        "assigner": {"identifier": {"system": PROVIDER, "value": HOSPITALS[report.hospital].ico}},
    }
