"""Turns a received document into the resources that are stored beside it: pure functions.

The entries become resources of their own, with server ids that stay the same over the versions of
one document; DocumentReference indexes it (IHE MHD 4.2.3, DocumentReference) and Provenance says
where it came from.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID, uuid5

from pater.domains.exchange.document import Entry, Resource, names_of
from pater.fhir.compartment import clinical_person_reference
from pater.fhir.references import rewrite
from pater.terminology.names import LOINC, document_types

_FORMAT: Final = {
    "system": "http://ihe.net/fhir/ihe.formatcode.fhir/CodeSystem/formatcode",
    "code": "urn:ihe:iti:xds:2017:mimeTypeSufficient",
}
_PARTICIPANT: Final = "http://terminology.hl7.org/CodeSystem/provenance-participant-type"


@dataclass(frozen=True, slots=True)
class Person:
    """The person that a Patient entry was tied to."""

    person: int
    patient: str


@dataclass(frozen=True, slots=True)
class Part:
    """One resource to write: its compartment, id and content (without id and version)."""

    type: str
    id: str
    person: int
    resource: Resource


def server_names(
    entries: Sequence[Entry], people: Mapping[int, Person], chain: UUID
) -> dict[str, str]:
    """From every name of an entry inside the document to its reference on this server."""
    ids: dict[int, str] = {}
    owner = next(iter(people.values()), Person(0, ""))
    for entry in entries:
        kind = str(entry.resource["resourceType"])
        if entry.position in people:
            ids[entry.position] = f"Patient/{people[entry.position].patient}"
        else:
            # the person is part of the name: a version that moves to another person moves its parts
            ids[entry.position] = f"{kind}/{uuid5(chain, f'{owner.person}:{entry.full_url}')}"
    return {name: ids[e.position] for name, e in names_of(list(entries)).items()}


def parts_of(
    entries: Sequence[Entry], people: Mapping[int, Person], names: Mapping[str, str]
) -> list[Part]:
    """The entries as resources to store, all but the Patients (the register's are theirs).

    `people` by the position of their entry, the subject of the document first.
    """
    compartment = {f"Patient/{p.patient}": p.person for p in people.values()}
    subject = next(iter(people.values()))
    parts = []
    for entry in entries:
        if entry.position in people:
            continue
        kind, _, resource_id = names[entry.full_url].partition("/")
        resource = rewrite(entry.resource, names)
        owner = clinical_person_reference(kind, resource)
        # what names no patient is of whom the document is: a device, a measurement, and also the
        # sender's picture of a physician or a hospital, which is no entry in a shared directory
        whose = f"{owner.type}/{owner.id}" if owner else ""
        person = compartment.get(whose, subject.person)
        parts.append(Part(kind, resource_id, person, {**resource, "id": resource_id}))
    return parts


def document_type(composition: Resource) -> Resource:
    """The type as sent, with the equivalent codes of the same document type after it.

    National and European guides type a discharge report differently; a search by any finds all.
    """
    concept: Resource = dict(composition.get("type") or {"text": "document"})
    codings = list(concept.get("coding", ()))
    present = {(c.get("system"), c.get("code")) for c in codings}
    for coding in list(codings):
        if coding.get("system") == LOINC and isinstance(coding.get("code"), str):
            for code in sorted(document_types(coding["code"])):
                if (LOINC, code) not in present:
                    present.add((LOINC, code))
                    codings.append({"system": LOINC, "code": code})
    return {**concept, "coding": codings} if codings else concept


def document_reference(
    *,
    reference_id: str,
    bundle_id: str,
    bundle: Resource,
    raw: bytes,
    composition: Resource,
    names: Mapping[str, str],
    subject: Person,
    received: datetime,
    custodian_name: str,
    replaces: str | None,
    encounter: Resource | None,
) -> Resource:
    """The DocumentReference of a received document.

    `composition` is as received; `replaces` is the id of the DocumentReference it supersedes.
    """
    local: Resource = rewrite(composition, names)
    stamp = received.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    attachment: Resource = {
        "contentType": "application/fhir+json",
        "url": f"Bundle/{bundle_id}",
        "size": len(raw),
        # FHIR R4 Attachment.hash is the SHA-1 of the bytes; integrity rests on the stored SHA-256
        "hash": base64.b64encode(hashlib.sha1(raw, usedforsecurity=False).digest()).decode(),
        "creation": bundle.get("timestamp"),
    }
    if isinstance(composition.get("title"), str):
        attachment["title"] = composition["title"]
    if isinstance(composition.get("language"), str):
        attachment["language"] = composition["language"]
    context: Resource = {"sourcePatientInfo": {"reference": f"Patient/{subject.patient}"}}
    if "encounter" in local:
        context["encounter"] = [local["encounter"]]
    if encounter and "period" in encounter:
        context["period"] = encounter["period"]
    out: Resource = {
        "resourceType": "DocumentReference",
        "id": reference_id,
        "masterIdentifier": bundle["identifier"],
        "status": "current",
        "docStatus": "final" if composition.get("status") in (None, "final") else "amended",
        "type": document_type(composition),
        "subject": {"reference": f"Patient/{subject.patient}"},
        "date": stamp,
    }
    if composition.get("status") == "preliminary":
        out["docStatus"] = "preliminary"
    if composition.get("status") == "entered-in-error":
        out["docStatus"] = "entered-in-error"
        out["status"] = "entered-in-error"
    if "identifier" in composition:
        out["identifier"] = [composition["identifier"]]
    if "category" in composition:
        out["category"] = composition["category"]
    authors = [a for a in local.get("author", ()) if _is_author(a)]
    if authors:
        out["author"] = authors
    if "custodian" in local:
        out["custodian"] = local["custodian"]
    else:
        out["custodian"] = {"display": custodian_name}
    if "title" in composition:
        out["description"] = composition["title"]
    if "confidentiality" in composition:
        out["securityLabel"] = [
            {
                "coding": [
                    {
                        "system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality",
                        "code": composition["confidentiality"],
                    }
                ]
            }
        ]
    if replaces is not None:
        out["relatesTo"] = [
            {"code": "replaces", "target": {"reference": f"DocumentReference/{replaces}"}}
        ]
    out["content"] = [{"attachment": attachment, "format": _FORMAT}]
    out["context"] = context
    return out


def _is_author(reference: Resource) -> bool:
    return bool(reference.get("reference") or reference.get("display"))


def provenance(
    *,
    targets: Sequence[str],
    received: datetime,
    organization: str,
    organization_name: str,
    client: str,
    bundle: Resource,
    replaces: str | None,
) -> Resource:
    """Where the document and its resources came from, and through which system."""
    stamp = received.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    who: Resource = {"display": organization_name or client}
    if organization:
        who["identifier"] = {
            "system": "https://ncez.mzcr.cz/fhir/sid/krpzs",
            "value": organization,
        }
    entities: list[Resource] = [{"role": "source", "what": {"identifier": bundle["identifier"]}}]
    if replaces is not None:
        entities.append(
            {"role": "revision", "what": {"reference": f"DocumentReference/{replaces}"}}
        )
    return {
        "resourceType": "Provenance",
        "target": [{"reference": target} for target in targets],
        "recorded": stamp,
        "activity": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-DataOperation",
                    "code": "CREATE" if replaces is None else "UPDATE",
                }
            ]
        },
        "agent": [
            {
                "type": {"coding": [{"system": _PARTICIPANT, "code": "custodian"}]},
                "who": who,
            },
            {
                "type": {"coding": [{"system": _PARTICIPANT, "code": "assembler"}]},
                "who": {"display": client},
            },
        ],
        "entity": entities,
    }


def superseded(stored: Resource) -> Resource:
    """A DocumentReference that a newer version has replaced."""
    return {**stored, "status": "superseded"}


def digest_of(raw: bytes) -> bytes:
    """The SHA-256 of a document as received."""
    return hashlib.sha256(raw).digest()


def encounter_of(entries: Sequence[Entry], composition: Mapping[str, Any]) -> Resource | None:
    """The Encounter that the document is about."""
    reference = composition.get("encounter")
    text = reference.get("reference") if isinstance(reference, dict) else None
    entry = names_of(list(entries)).get(text) if isinstance(text, str) else None
    return entry.resource if entry else None


def type_code(composition: Mapping[str, Any]) -> str:
    """The first code of the document's type, or ""."""
    codings = (composition.get("type") or {}).get("coding") or [{}]
    return str(codings[0].get("code", ""))
