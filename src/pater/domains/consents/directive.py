"""Advance directives (section 36 of act 372/2011): a signed paper of the patient, as a Consent.

The Consent carries the paper itself and who instructed the patient about what it means. It holds
nothing back; a record that is opened in an emergency always shows it.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

from pater.domains.consents.declaration import SCOPES, moment_of

Resource = dict[str, Any]
ADVANCE: Final = "adr"
KINDS: Final = ("acd", "dnr")
"""Any wish about later care; only that resuscitation shall not be tried."""
LARGEST: Final = 2 * 1024 * 1024
INSTRUCTED_BY: Final = "urn:pater:instructed-by"
LAW: Final = "§ 36 zákona č. 372/2011 Sb."
_CATEGORIES: Final = "http://terminology.hl7.org/CodeSystem/consentcategorycodes"
_PDF: Final = "application/pdf"
_NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Directive:
    """One advance directive: when it was signed, who instructed the patient and when, the paper."""

    kind: str
    signed: date | None
    physician: str
    instructed: date | None
    title: str = ""
    id: str = ""
    version: int = 0
    active: bool = True
    registered: datetime | None = None
    ended: datetime | None = None
    held: bool = True  # whether the paper is here


def is_pdf(content: bytes) -> bool:
    """Whether the bytes begin and end as a PDF does (ISO 32000-1, 7.5)."""
    return content.startswith(b"%PDF-") and b"%%EOF" in content[-1024:]


def consent_of(directive: Directive, paper: bytes, patient: str, now: datetime) -> Resource:
    """The Consent that registers a directive of a Patient (by id) with its signed paper."""
    whose = {"reference": f"Patient/{patient}"}
    attachment: Resource = {
        "contentType": _PDF,
        "data": base64.b64encode(paper).decode(),
        "size": len(paper),
    }
    if directive.title:
        attachment["title"] = directive.title
    if directive.signed:
        attachment["creation"] = directive.signed.isoformat()
    verification: Resource = {
        "verified": True,
        "extension": [{"url": INSTRUCTED_BY, "valueString": directive.physician}],
    }
    if directive.instructed:
        verification["verificationDate"] = directive.instructed.isoformat()
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPES, "code": ADVANCE}]},
        "category": [{"coding": [{"system": _CATEGORIES, "code": directive.kind}]}],
        "patient": whose,
        "dateTime": now.isoformat(timespec="seconds"),
        "performer": [whose],
        "sourceAttachment": attachment,
        "policyRule": {"text": LAW},
        "verification": [verification],
    }


def directive_of(consent: Mapping[str, Any], version: int, updated: datetime) -> Directive | None:
    """A Consent as a directive; None when it is none."""
    if ADVANCE not in _codes([consent.get("scope") or {}]):
        return None
    found = _codes(consent.get("category") or ())
    attachment = consent.get("sourceAttachment") or {}
    verification = next(iter(consent.get("verification") or ()), _NOTHING)
    instructed = next(
        (
            str(e.get("valueString", ""))
            for e in verification.get("extension") or ()
            if e.get("url") == INSTRUCTED_BY
        ),
        "",
    )
    active = consent.get("status") == "active"
    return Directive(
        kind=next((kind for kind in KINDS if kind in found), KINDS[0]),
        signed=_day(attachment.get("creation")),
        physician=instructed,
        instructed=_day(verification.get("verificationDate")),
        title=str(attachment.get("title") or ""),
        id=str(consent.get("id", "")),
        version=version,
        active=active,
        registered=moment_of(consent.get("dateTime")),
        ended=None if active else updated,
        held=bool(attachment.get("data")),
    )


def paper_of(consent: Mapping[str, Any]) -> bytes | None:
    """The signed paper of a directive; None when there is no PDF in it."""
    data = (consent.get("sourceAttachment") or {}).get("data")
    if not isinstance(data, str):
        return None
    try:
        paper = base64.b64decode(data, validate=True)
    except (binascii.Error, ValueError):
        return None
    return paper if is_pdf(paper) else None


def _codes(concepts: Any) -> set[str]:
    return {
        str(coding.get("code")) for concept in concepts for coding in concept.get("coding") or ()
    }


def _day(text: object) -> date | None:
    moment = moment_of(text)
    return moment.date() if moment else None
