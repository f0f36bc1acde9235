"""What a person declares about the sharing of their record, and the FHIR Consent that says it.

Pure both ways: a page turns a form into a `Declaration` and that into a Consent, and every Consent
that stands in the record back into a `Declaration` that can be put in words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from typing import Any, Final, Literal

from pater.fhir.labels import CATEGORIES
from pater.registers.identifiers import ICO, PROFESSIONAL

Resource = dict[str, Any]
Topic = Literal["everything", "category", "document", "provider", "professional"]

SCOPES: Final = "http://terminology.hl7.org/CodeSystem/consentscope"
CATEGORY_SYSTEM: Final = "urn:pater:record-category"
LOINC: Final = "http://loinc.org"
PRIVACY: Final = "patient-privacy"
# The right to restrict access and to object to sharing: EHDS, articles 8 and 10.
POLICY: Final = "http://data.europa.eu/eli/reg/2025/327/oj"
CONSENT_KIND: Final = {"system": LOINC, "code": "59284-0", "display": "Patient Consent"}
_PARTICIPATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"
_RECIPIENT: Final = {"coding": [{"system": _PARTICIPATION, "code": "IRCP"}]}

# What a person can speak of. The others are not theirs to hold back: who they are, what the law
# makes others report, and what says how the sharing itself goes.
SPOKEN_OF: Final = (
    "patient-summary", "ambulatory-report", "discharge-report", "laboratory-order",
    "laboratory-report", "imaging-order", "imaging-report", "medication", "vaccination", "other",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Party:
    """A provider (`system` ICO) or a professional (PROFESSIONAL) whom a declaration names."""

    system: str
    value: str
    name: str = ""


@dataclass(frozen=True, slots=True)
class Declaration:
    """One declaration; empty `categories`, `documents` and `parties` mean all there are.

    `documents` are DocumentReference ids with their names. `since` and `until` bound it in time
    (both within). `at` is when it was made, `ended` when it was ended. `plain` is False for one
    that says more than this shows.
    """

    permits: bool = False
    categories: tuple[str, ...] = ()
    documents: tuple[tuple[str, str], ...] = ()
    parties: tuple[Party, ...] = ()
    since: datetime | None = None
    until: datetime | None = None
    at: datetime | None = None
    ended: datetime | None = None
    id: str = ""
    version: int = 0
    active: bool = True
    plain: bool = True

    @property
    def opts_out(self) -> bool:
        """Whether it holds everything back from everybody."""
        return not (self.permits or self.categories or self.documents or self.parties)

    def same_as(self, other: Declaration) -> bool:
        """Whether both say the same, whenever they were made."""
        return self.plain and other.plain and self._said() == other._said()

    def replaces(self, other: Declaration) -> bool:
        """Whether it speaks for all time of just what the other speaks of, and so takes its place.

        One that speaks of a while leaves what holds before and after it.
        """
        always = self.since is None and self.until is None
        return always and self.plain and other.plain and self._about() == other._about()

    def _about(self) -> tuple[object, ...]:
        return self._said()[1:4]

    def _said(self) -> tuple[object, ...]:
        return (
            self.permits,
            frozenset(self.categories),
            frozenset(id for id, _ in self.documents),
            frozenset((party.system, party.value) for party in self.parties),
            self.since,
            self.until,
        )

    def in_force(self, now: datetime) -> bool:
        """Whether it holds at a moment."""
        return (
            self.active
            and (self.since is None or self.since <= now)
            and (self.until is None or now <= self.until)
        )


def consent_of(declaration: Declaration, patient: str, now: datetime) -> Resource:
    """The Consent of a new declaration of a Patient (by id)."""
    provision: Resource = {"type": "permit" if declaration.permits else "deny"}
    period = {
        name: moment.isoformat(timespec="seconds")
        for name, moment in (("start", declaration.since), ("end", declaration.until))
        if moment is not None
    }
    if period:
        provision["period"] = period
    if declaration.parties:
        provision["actor"] = [_actor(party) for party in declaration.parties]
    if declaration.categories:
        provision["class"] = [
            {"system": CATEGORY_SYSTEM, "code": category} for category in declaration.categories
        ]
    if declaration.documents:
        provision["data"] = [
            {"meaning": "instance", "reference": _named(f"DocumentReference/{id}", name)}
            for id, name in declaration.documents
        ]
    whose = {"reference": f"Patient/{patient}"}
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {"coding": [{"system": SCOPES, "code": PRIVACY}]},
        "category": [{"coding": [dict(CONSENT_KIND)]}],
        "patient": whose,
        "dateTime": now.isoformat(timespec="seconds"),
        "performer": [whose],
        "policy": [{"uri": POLICY}],
        "provision": provision,
    }


def _actor(party: Party) -> Resource:
    kind = "Organization" if party.system == ICO else "Practitioner"
    reference: Resource = {
        "type": kind,
        "identifier": {"system": party.system, "value": party.value},
    }
    if party.name:
        reference["display"] = party.name
    return {"role": _RECIPIENT, "reference": reference}


def _named(reference: str, name: str) -> Resource:
    return {"reference": reference, "display": name} if name else {"reference": reference}


def ended(consent: Resource) -> Resource:
    """The next version of a Consent that its person ends."""
    return {**consent, "status": "inactive"}


def is_privacy(consent: Mapping[str, Any]) -> bool:
    """Whether a Consent is about the sharing of the record."""
    return PRIVACY in _codes(consent.get("scope"))


def declaration_of(consent: Mapping[str, Any], version: int, updated: datetime) -> Declaration:
    """A Consent of scope patient-privacy as a declaration; `updated` is when it was last written.

    What cannot be shown whole (exceptions within it, purposes, …) is marked as not `plain`.
    """
    provision: Mapping[str, Any] = consent.get("provision") or {}
    period = provision.get("period") or {}
    classes = list(provision.get("class") or ())
    categories = [str(c.get("code")) for c in classes if c.get("system") == CATEGORY_SYSTEM]
    parties = [party_of(actor.get("reference") or {}) for actor in provision.get("actor") or ()]
    documents = [_document_of(each) for each in provision.get("data") or ()]
    active = consent.get("status") == "active"
    plain = (
        provision.keys() <= {"type", "period", "actor", "class", "data"}
        and len(categories) == len(classes)
        and all(category in CATEGORIES for category in categories)
        and all(party is not None for party in parties)
        and all(document is not None for document in documents)
    )
    return Declaration(
        permits=provision.get("type") == "permit",
        categories=tuple(categories),
        documents=tuple(d for d in documents if d is not None),
        parties=tuple(p for p in parties if p is not None),
        since=moment_of(period.get("start")),
        until=moment_of(period.get("end"), last=True),
        at=moment_of(consent.get("dateTime")),
        ended=None if active else updated,
        id=str(consent.get("id", "")),
        version=version,
        active=active,
        plain=plain,
    )


def party_of(reference: Mapping[str, Any]) -> Party | None:
    """The provider or professional that a Reference names by identifier."""
    identifier = reference.get("identifier") or {}
    system, value = identifier.get("system"), identifier.get("value")
    if system not in (ICO, PROFESSIONAL) or not value:
        return None
    return Party(str(system), str(value), str(reference.get("display") or ""))


def _document_of(data: Mapping[str, Any]) -> tuple[str, str] | None:
    reference = data.get("reference") or {}
    kind, _, id = str(reference.get("reference", "")).partition("/")
    if data.get("meaning") != "instance" or kind != "DocumentReference" or not id:
        return None
    return id, str(reference.get("display") or "")


def _codes(concept: object) -> set[str]:
    found = concept.get("coding") or () if isinstance(concept, Mapping) else ()
    return {str(coding.get("code")) for coding in found}


def moment_of(text: object, *, last: bool = False) -> datetime | None:
    """A FHIR dateTime as a moment; of a day, month or year its first (or last) one, in UTC."""
    if not isinstance(text, str):
        return None
    whole = {4: "-12-31" if last else "-01-01", 7: "-01"}.get(len(text), "")
    try:
        found = datetime.fromisoformat(text + whole)
    except ValueError:
        return None
    if len(text) == 7 and last:
        found = (found.replace(day=28) + timedelta(days=4)).replace(day=1) - timedelta(days=1)
    if found.tzinfo is None:
        from_day = datetime.combine(found.date(), time.max if last else time.min)
        found = from_day.replace(tzinfo=UTC)
    return found


def first_moment(day: date, zone: tzinfo) -> datetime:
    """The beginning of a day where people live."""
    return datetime.combine(day, time(), zone)


def last_moment(day: date, zone: tzinfo) -> datetime:
    """The last second of a day where people live."""
    return datetime.combine(day, time(23, 59, 59), zone)
