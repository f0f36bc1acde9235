"""A representation as FHIR shows it: a RelatedPerson of the represented. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import Any, Final

from pater.access.relations import EVER
from pater.access.representation import Kind

RELATION: Final[Mapping[Kind, str]] = MappingProxyType(
    {"parent": "PRN", "guardian": "GUARD", "authorised": "POWATT"}
)
"""Kinds of representations as codes of HL7 v3 RoleCode."""
_ROLE_CODES: Final = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def related_person(
    id: str, kind: Kind, patient: str, name: str, since: datetime, over: datetime, now: datetime
) -> dict[str, Any]:
    """The RelatedPerson of `patient` (an id): `name` acts from `since` until `over`."""
    period = {"start": instant(since)}
    if over < EVER:
        period["end"] = instant(over)
    coding = {"system": _ROLE_CODES, "code": RELATION[kind]}
    resource: dict[str, Any] = {
        "resourceType": "RelatedPerson",
        "id": id,
        "active": now < over,
        "patient": {"reference": f"Patient/{patient}"},
        "relationship": [{"coding": [coding]}],
        "period": period,
    }
    if name:
        resource["name"] = [{"text": name}]
    return resource


def ended(resource: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The same, over from now on."""
    period = {**resource.get("period", {}), "end": instant(now)}
    return {**resource, "active": False, "period": period}


def instant(moment: datetime) -> str:
    """A moment as FHIR writes it."""
    return moment.isoformat(timespec="seconds")


def name_of(patient: Mapping[str, Any]) -> str:
    """The official or usual name of a Patient on one line, "" = none."""
    names = [each for each in patient.get("name", ()) if each.get("use") != "old"]
    names.sort(key=lambda each: each.get("use") not in ("official", "usual"))
    if not names:
        return ""
    parts = (*names[0].get("given", ()), names[0].get("family", ""))
    return " ".join(part for part in parts if part)
