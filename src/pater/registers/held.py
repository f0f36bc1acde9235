"""What held of a person from when to when: their insurance, and who registered them as a patient.

Out of what sources say now and said before, each source by itself. A source that says the same
again goes on saying it; what it says next ends what it said before. A period that is told counts
more than when it was told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Final, TypeVar

from pater.fhir.search.dates import date_span
from pater.registers import sources
from pater.registers.identifiers import ICO, INSURED_NUMBER, SID
from pater.registers.surviving import REGISTERING, Said, origin, shown
from pater.store.database import Database
from pater.terminology import names

INSURER: Final = SID + "kp"
OWN: Final = "KRP"
"""The source of what the register holds and no source says."""
INSURERS: Final = "https://ncez.mzcr.cz/terminology/CodeSystem/healthInsuranceCompanyCode"
_LAST: Final = datetime.max.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """From when to when (dates or moments as FHIR writes them, "" = not known, goes on), who says
    so, whether others do not overrule it, whether somebody says it is wrong.
    """

    start: str = ""
    end: str = ""
    source: str = OWN
    reference: bool = False
    disputed: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Insured(Held):
    """An insured person's number, the insurer's code and name ("" = not said)."""

    number: str
    insurer: str = ""
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Registering(Held):
    """Who registered a person: the field (SNOMED CT in the national profile, or words), the
    provider's name, system and number.
    """

    field: str = ""
    name: str = ""
    system: str = ""
    number: str = ""


Row = TypeVar("Row", bound=Held)


async def insurance_of(
    db: Database, person: int, master: Mapping[str, Any], at: date | None = None
) -> list[Insured]:
    """The insurance of a person whose Patient was shown to the asker; `at`: what held that day."""
    now, past = await sources.of(db, person), await sources.past_of(db, person)
    return insurances(master, now, past, at)


async def registering_of(
    db: Database, person: int, master: Mapping[str, Any], at: date | None = None
) -> list[Registering]:
    """Who registered a person whose Patient was shown to the asker; `at`: whose it was that day."""
    now, past = await sources.of(db, person), await sources.past_of(db, person)
    return registerings(master, now, past, at)


def insurances(
    master: Mapping[str, Any],
    now: Sequence[Said],
    past: Sequence[tuple[Said, datetime]],
    at: date | None = None,
) -> list[Insured]:
    """All insurances, the newest first; of one day (`at`) what is believed most first."""
    return _rows(_insured, lambda _: "", "identifier", master, now, past, at)


def registerings(
    master: Mapping[str, Any],
    now: Sequence[Said],
    past: Sequence[tuple[Said, datetime]],
    at: date | None = None,
) -> list[Registering]:
    """All registrations, the newest first; of one day (`at`) what is believed most first."""
    return _rows(_registering, lambda row: row.field, "extension", master, now, past, at)


def _rows(
    items: Callable[[Mapping[str, Any]], Iterator[Row]],
    kind: Callable[[Row], str],
    attribute: str,
    master: Mapping[str, Any],
    now: Sequence[Said],
    past: Sequence[tuple[Said, datetime]],
    at: date | None,
) -> list[Row]:
    """`kind`: rows of one source and one kind take each other's place."""
    sayings: dict[tuple[str, str, str], list[tuple[Said, datetime | None]]] = {}
    for said, until in [*((each, None) for each in now), *past]:
        whose = (said.source.name, said.source.system, said.source.value)
        sayings.setdefault(whose, []).append((said, until))
    made: list[Row] = []
    for told in sayings.values():
        told.sort(key=lambda each: each[1] or _LAST, reverse=True)
        made += _in_turn(_spans(items, attribute, told), kind)
    seen = {_what(row) for row in made}
    made += [row for row in items(master) if _what(row) not in seen]
    if at is not None:
        made = [row for row in made if _day(row.start) <= at <= _day(row.end, date.max, last=True)]
    made.sort(key=lambda row: _day(row.start), reverse=True)
    if at is not None:
        made.sort(key=lambda row: (row.disputed, not row.reference))
    return made


@dataclass(slots=True)
class _Span:
    """A row; when its source said it no more; whether its start was told; in which saying last."""

    row: Any
    until: datetime | None
    exact: bool
    saying: int


def _spans(
    items: Callable[[Mapping[str, Any]], Iterator[Row]],
    attribute: str,
    told: Sequence[tuple[Said, datetime | None]],
) -> list[_Span]:
    """What one source said, the newest first. What it said without a break is one row."""
    spans: list[_Span] = []
    by_what: dict[tuple[Any, ...], list[_Span]] = {}
    for saying, (said, until) in enumerate(told):
        since = said.since.astimezone(UTC).isoformat()
        for item in items(said.patient):
            known = by_what.setdefault(_what(item), [])
            same = next((e for e in known if e.saying == saying - 1 and _meet(e.row, item)), None)
            if same is None:
                row = replace(
                    item, start=item.start or since, source=shown(said.source),
                    reference=said.source.reference, disputed=attribute in said.disputed,
                )  # fmt: skip
                known.append(_Span(row, until, bool(item.start), saying))
                spans.append(known[-1])
                continue
            if not same.exact:
                same.row = replace(same.row, start=item.start or since)
            same.exact, same.saying = same.exact or bool(item.start), saying
    return spans


def _meet(row: Held, before: Held) -> bool:
    """Whether two sayings of one thing may be of one time."""
    ended = before.end and _day(before.end, last=True) < _day(row.start)
    begun = row.end and before.start and _day(before.start) > _day(row.end, last=True)
    return not (ended or begun)


def _in_turn(spans: Sequence[_Span], kind: Callable[[Row], str]) -> Iterator[Row]:
    """The rows of one source with their ends: told, or when it was said no more, or the day before
    the next of its kind is told to begin.
    """
    for span in spans:
        row = span.row
        ends = [row.end] if row.end else []
        if span.until is not None and not row.end:
            ends.append(span.until.astimezone(UTC).isoformat())
        begins = [_day(e.row.start) for e in spans if e.exact and kind(e.row) == kind(row)]
        later = [each for each in begins if each > _day(row.start)]
        if later:
            ends.append((min(later) - timedelta(days=1)).isoformat())
        yield replace(row, end=min(ends, key=lambda e: _day(e, last=True))) if ends else row


def _what(row: Held) -> tuple[Any, ...]:
    """What a row says, whoever says it and of whatever time."""
    if isinstance(row, Insured):
        return row.number, row.insurer or row.name
    assert isinstance(row, Registering)
    return row.field, row.system, row.number, row.name


def _day(text: str, unknown: date = date.min, *, last: bool = False) -> date:
    if not text:
        return unknown
    try:
        return date_span(text)[1 if last else 0].date()
    except ValueError:
        return unknown


def _insured(patient: Mapping[str, Any]) -> Iterator[Insured]:
    """The insured person's numbers of a Patient."""
    for each in patient.get("identifier") or ():
        if each.get("system") != INSURED_NUMBER or not each.get("value"):
            continue
        assigner = each.get("assigner") or {}
        number = assigner.get("identifier") or {}
        code = number.get("value") if number.get("system") in (INSURER, ICO) else None
        name = assigner.get("display") or (code and names.display(INSURERS, str(code), "cs"))
        yield Insured(
            number=str(each["value"]), insurer=str(code or ""), name=str(name or ""),
            **_noted(each, each.get("period")),
        )  # fmt: skip


def _registering(patient: Mapping[str, Any]) -> Iterator[Registering]:
    """Who registered a patient, by the national extension and as general practitioners."""
    for extension in patient.get("extension") or ():
        if extension.get("url") != REGISTERING:
            continue
        parts = {part.get("url"): part for part in extension.get("extension") or ()}
        whom = (parts.get("value") or {}).get("valueReference") or {}
        concept = (parts.get("category") or {}).get("valueCodeableConcept") or {}
        coding: Mapping[str, Any] = next(iter(concept.get("coding") or ()), {})
        field = str(coding.get("code") or concept.get("text") or "")
        period = (parts.get("period") or {}).get("valuePeriod")
        yield _provider(whom, field, _noted(extension, period))
    for whom in patient.get("generalPractitioner") or ():
        yield _provider(whom, "", {})


def _provider(whom: Mapping[str, Any], field: str, noted: Mapping[str, Any]) -> Registering:
    number = whom.get("identifier") or {}
    return Registering(
        field=field, name=str(whom.get("display") or ""), system=str(number.get("system") or ""),
        number=str(number.get("value") or ""), **noted,
    )  # fmt: skip


def _noted(element: Mapping[str, Any], period: Any) -> dict[str, Any]:
    """The period of a part of a Patient, and of the register's own where it comes from."""
    given = period if isinstance(period, dict) else {}
    made = {name: str(given[name]) for name in ("start", "end") if given.get(name)}
    source = origin(element)
    return made | ({"source": source} if source else {})
