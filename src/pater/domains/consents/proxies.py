"""A patient authorises somebody to look at their record: the form's wish, and the Consent of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from pater.access.relations import EVER
from pater.domains.consents.declaration import CATEGORY_SYSTEM, CONSENT_KIND, POLICY
from pater.registers.identifiers import RID

SCOPES: Final = "urn:pater:consent-scope"
REPRESENTATION: Final = "representation"
"""Of its own, because the scopes of R4 speak of showing, treating and research, not of acting."""
_DELEGATEE: Final = {
    "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-RoleCode", "code": "DELEGATEE"}]
}


@dataclass(frozen=True, slots=True)
class Wish:
    """Whom a patient authorises (RID, name), for what categories (empty = all), until when."""

    rid: str
    name: str
    categories: frozenset[str]
    since: datetime
    until: datetime


def consent_of(wish: Wish, patient: str) -> dict[str, Any]:
    """The Consent by which a Patient (by id) authorises somebody to act for them."""
    whose = {"reference": f"Patient/{patient}"}
    period = {"start": wish.since.isoformat(timespec="seconds")}
    if wish.until < EVER:
        period["end"] = wish.until.isoformat(timespec="seconds")
    provision: dict[str, Any] = {
        "type": "permit",
        "period": period,
        "actor": [
            {
                "role": _DELEGATEE,
                "reference": {
                    "type": "Patient",
                    "identifier": {"system": RID, "value": wish.rid},
                    "display": wish.name,
                },
            }
        ],
    }
    if wish.categories:
        provision["class"] = [
            {"system": CATEGORY_SYSTEM, "code": category} for category in sorted(wish.categories)
        ]
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPES, "code": REPRESENTATION}]},
        "category": [{"coding": [dict(CONSENT_KIND)]}],
        "patient": whose,
        "dateTime": wish.since.isoformat(timespec="seconds"),
        "performer": [whose],
        "policy": [{"uri": POLICY}],
        "provision": provision,
    }
