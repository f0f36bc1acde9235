"""Relations of care: which resources say who has a patient in care, and until when.

A relation is a row beside the resource that says it, written in the same transaction and gone with
it. What has ended is not written at all.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from pater.access.actors import Around, Key, Who, codings, items, wanted, who
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.search.dates import date_span
from pater.store.database import Database
from pater.store.write import Statement

AFTER_CARE: Final = timedelta(days=30)
"""How long who had a patient in care still may look: results come, letters are written."""
REFERRAL: Final = timedelta(days=90)
PRESCRIPTION: Final = timedelta(days=14)
KEPT: Final = timedelta(days=90)
"""How long a relation that has ended is kept, for explanations of what was decided."""
MOST: Final = 100
"""Organizations and professionals that one resource may name."""

EVER: Final = datetime(9999, 12, 31, tzinfo=UTC)
"""As an end: none is known. As PostgreSQL's `infinity` it is kept."""
LONG_AGO: Final = datetime(1, 1, 1, tzinfo=UTC)

_OPEN_ENCOUNTER: Final = frozenset({"arrived", "triaged", "in-progress", "onleave"})
_OPEN_EPISODE: Final = frozenset({"active", "onhold", "waitlist"})

SAYING: Final = (
    "Encounter", "EpisodeOfCare", "ServiceRequest", "MedicationRequest", "CareTeam", "Patient",
    "Coverage", "Flag",
)  # fmt: skip
"""The types that say who has a patient in care, insures them, or ordered a measure."""
MEASURES: Final = frozenset(
    {
        ("http://snomed.info/sct", "40174006"),
        ("http://hl7.org/fhir/sid/icd-10", "Z29.0"),
        ("https://uzis.cz/terminology/CodeSystem/mkn-10", "Z29.0"),
    }
)
"""What orders isolation or quarantine, by system and code."""


@dataclass(frozen=True, slots=True)
class Relation:
    """That somebody has a person in care in some way; `organization` an IČO or ""."""

    kind: str
    organization: str
    practitioner: str
    since: datetime
    until: datetime


def holders(type: str, resource: Mapping[str, Any]) -> Iterator[Any]:
    """The Reference elements of a resource that say who has the patient in care."""
    match type:
        case "Encounter":
            yield resource.get("serviceProvider")
        case "EpisodeOfCare":
            yield resource.get("managingOrganization")
            yield resource.get("careManager")
        case "ServiceRequest":
            yield from _list(resource.get("performer"))
        case "MedicationRequest":
            dispense = resource.get("dispenseRequest")
            yield dispense.get("performer") if isinstance(dispense, dict) else None
            yield resource.get("performer")
        case "CareTeam":
            yield from _list(resource.get("managingOrganization"))
            for each in items(resource.get("participant"))[:MOST]:
                yield each.get("member")
                yield each.get("onBehalfOf")
        case "Patient":
            yield from _list(resource.get("generalPractitioner"))
        case "Coverage":
            yield from _list(resource.get("payor"))
        case "Flag":
            yield resource.get("author")


def referred(type: str, resource: Mapping[str, Any], around: Around) -> set[Key]:
    """The resources that have to be read to tell who is meant."""
    return wanted(holders(type, resource), around)


def says_something(type: str, resource: Mapping[str, Any], now: datetime) -> bool:
    """Whether a resource may say a relation that has not ended: without reading anything else."""
    if type not in SAYING:
        return False
    span = _span(type, resource, now)
    return span is not None and span[2] > now and any(each for each in holders(type, resource))


def relations_of(
    type: str, resource: Mapping[str, Any], around: Around, now: datetime
) -> tuple[Relation, ...]:
    """The relations that a resource says and that have not ended; total for whatever JSON."""
    span = _span(type, resource, now)
    if span is None or span[2] <= now:
        return ()
    kind, since, until = span
    found: dict[Relation, None] = {}
    for holder in holders(type, resource):
        for relation in _each(kind, who(holder, around, resource), since, until):
            found[relation] = None
    return tuple(found)[:MOST]


def in_care_of(
    organization: str, type: str, resource: Mapping[str, Any], now: datetime
) -> tuple[Relation, ...]:
    """What an Encounter in a document of an organization says: of that organization alone."""
    span = _span(type, resource, now) if type == "Encounter" else None
    if span is None or span[2] <= now or not organization:
        return ()
    return (Relation(span[0], organization, "", span[1], span[2]),)


def _each(kind: str, means: Who, since: datetime, until: datetime) -> Iterator[Relation]:
    # a professional is meant by all their names; one with an organization, as such
    for practitioner in sorted(means.practitioners):
        yield Relation(kind, "", practitioner, since, until)
    if not means.practitioners:
        for organization in sorted(means.organizations):
            yield Relation(kind, organization, "", since, until)


def _span(
    type: str, resource: Mapping[str, Any], now: datetime
) -> tuple[str, datetime, datetime] | None:
    """Kind, beginning and end of what a resource says; None when it says nothing."""
    status = resource.get("status")
    if not (status is None or isinstance(status, str)):
        return None
    match type:
        case "Encounter":
            start, end = _period(resource.get("period"))
            if status in _OPEN_ENCOUNTER:
                return "encounter", start or LONG_AGO, EVER
            if status == "finished" and (end or start):
                return "encounter", start or LONG_AGO, _after(end or start, AFTER_CARE)
        case "EpisodeOfCare":
            start, end = _period(resource.get("period"))
            if status in _OPEN_EPISODE:
                return "encounter", start or LONG_AGO, _after(end, AFTER_CARE)
            if status == "finished" and end:
                return "encounter", start or LONG_AGO, _after(end, AFTER_CARE)
        case "ServiceRequest":
            if status == "active":
                ordered = _day(resource.get("authoredOn"), 0) or now
                end = _day(resource.get("occurrenceDateTime"), 1)
                end = end or _period(resource.get("occurrencePeriod"))[1]
                return "referral", LONG_AGO, end or _after(ordered, REFERRAL)
        case "MedicationRequest":
            if status == "active":
                ordered = _day(resource.get("authoredOn"), 0) or now
                dispense = resource.get("dispenseRequest")
                end = None
                if isinstance(dispense, dict):
                    end = _period(dispense.get("validityPeriod"))[1]
                return "prescription", LONG_AGO, end or _after(ordered, PRESCRIPTION)
        case "CareTeam":
            if status in ("active", None):
                start, end = _period(resource.get("period"))
                return "care-team", start or LONG_AGO, end or EVER
        case "Patient":
            if resource.get("active") is not False:
                return "registered", LONG_AGO, EVER
        case "Coverage":
            if status == "active":
                start, end = _period(resource.get("period"))
                return "insured", start or LONG_AGO, end or EVER
        case "Flag":
            if status == "active" and is_measure(resource):
                start, end = _period(resource.get("period"))
                return "outbreak", start or LONG_AGO, end or EVER
    return None


def is_measure(resource: Mapping[str, Any]) -> bool:
    """Whether the code or a category of a resource orders isolation or quarantine."""
    concepts = (resource.get("code"), *items(resource.get("category")))
    return any(
        (str(coding.get("system")), str(coding.get("code"))) in MEASURES
        for concept in concepts
        for coding in codings(concept)
    )


def _list(value: Any) -> list[dict[str, Any]]:
    return items(value)[:MOST]


def _period(value: Any) -> tuple[datetime | None, datetime | None]:
    if not isinstance(value, dict):
        return None, None
    return _day(value.get("start"), 0), _day(value.get("end"), 1)


def _day(value: Any, edge: int) -> datetime | None:
    """The first (0) or last (1) moment of a date; None when it is none."""
    if not isinstance(value, str):
        return None
    try:
        return date_span(value)[edge]
    except ValueError:
        return None


def _after(moment: datetime | None, by: timedelta) -> datetime:
    if moment is None or moment > EVER - by:
        return EVER
    return moment + by


# One statement, so that a resource without relations costs nothing but this look by its id. The
# person is that of the row, which is written by now.
_SAID: Final = """
with gone as (delete from care_relation where source = $2 and source_type = $1)
insert into care_relation
  (person, kind, organization, practitioner, since, until, source_type, source)
select r.person, n.kind, n.organization, n.practitioner,
       case when n.since <= $9 then '-infinity' else n.since end,
       case when n.until >= $8 then 'infinity' else n.until end, $1, $2
from unnest($3::text[], $4::text[], $5::text[], $6::timestamptz[], $7::timestamptz[])
       as n(kind, organization, practitioner, since, until)
join resource r on r.type = $1 and r.id = $2 and not r.deleted and r.person > 0
"""
_GONE: Final = "delete from care_relation where source = $2 and source_type = $1"
_AUTHORED: Final = """
insert into care_relation
  (person, kind, organization, practitioner, since, until, source_type, source)
select $1, 'author', $2, '', $3, 'infinity', 0, ''
where not exists (
  select from care_relation
  where person = $1 and organization = $2 and practitioner = '' and kind = 'author')
"""


def said(type: str, id: str, relations: tuple[Relation, ...]) -> Statement:
    """What writes the relations that a resource says now, in place of what it said before."""
    if not relations:
        return gone(type, id)
    return Statement(
        _SAID,
        (
            TYPE_NUMBER[type],
            id,
            [each.kind for each in relations],
            [each.organization for each in relations],
            [each.practitioner for each in relations],
            [each.since for each in relations],
            [each.until for each in relations],
            EVER,
            LONG_AGO,
        ),
    )


def gone(type: str, id: str) -> Statement:
    """What takes away all that a resource said."""
    return Statement(_GONE, (TYPE_NUMBER[type], id))


def authored(person: int, organization: str, now: datetime) -> Statement:
    """That an organization (IČO) wrote of a person; said once, it stays."""
    return Statement(_AUTHORED, (person, organization, now))


async def purge(db: Database, now: datetime) -> None:
    """Takes away what ended so long ago that nobody asks how it was."""
    await db.execute("delete from care_relation where until < $1", now - KEPT)
