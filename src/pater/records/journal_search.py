"""AuditEvent: the journal read and searched as FHIR; nothing of it is in the resource table."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from uuid import UUID

from pater.access.audit import to_fhir
from pater.access.caller import Caller
from pater.access.policy import Decision, decide
from pater.fhir.issues import Issue
from pater.fhir.json import dumps
from pater.fhir.search.query import (
    Condition,
    DateTerm,
    ReferenceTerm,
    SearchError,
    SearchRequest,
    TokenTerm,
    Value,
)
from pater.records.errors import Forbidden, NotFound
from pater.records.ports import DONE, Ports
from pater.records.scope_filter import OUTSIDE, filter_of
from pater.records.search_terms import journal_query
from pater.store import search as store_search
from pater.store.journal import JournalRow, place_id, place_of, read_entry, read_journal
from pater.store.read import Stored, persons_of
from pater.store.search import Page, Scope

TYPE = "AuditEvent"
DEFAULT_COUNT = 50
MAX_COUNT = 500
SCAN_LIMIT = 20_000
"""Rows that one page may look through for those that meet the conditions."""
_STEP = 1000

_Test = Callable[[JournalRow], bool]


@dataclass(slots=True)
class _Filter:
    """What the index of the journal answers, and tests for the rest."""

    person: int | None = None
    agent: str | None = None
    since: datetime | None = None
    id: UUID | None = None
    nothing: bool = False
    tests: list[_Test] = field(default_factory=list)

    def of_person(self, person: int) -> None:
        """Only rows of this person; two different ones leave nothing."""
        if self.person is not None and self.person != person:
            self.nothing = True
        self.person = person

    def meets(self, row: JournalRow) -> bool:
        """Whether a row meets everything."""
        return (self.person is None or row.person == self.person) and all(
            test(row) for test in self.tests
        )


async def read(ports: Ports, caller: Caller, id: str) -> Stored:
    """One entry as AuditEvent. Raises Forbidden, NotFound (also for another person's)."""
    decision = await _decided(ports, caller)
    uuid = _uuid(id)
    row = await read_entry(ports.db, uuid) if uuid else None
    if row is None or (decision.persons is not None and row.person not in decision.persons):
        person = row.person if row else 0
        reason = "other-person" if row else "not-found"
        await ports.refused(caller, "read", TYPE, reason, person=person, id=id)
        raise NotFound(TYPE, id)
    outside = filter_of(caller, "read")
    if outside is not None and not outside.holds(TYPE, to_fhir(row, ports.base_url)):
        await ports.refused(caller, "read", TYPE, OUTSIDE, person=row.person, id=id)
        raise NotFound(TYPE, id)
    await ports.record(
        [
            ports.entry(
                caller, "read", DONE, decision.reason,
                person=row.person, patient=row.patient, type=TYPE, id=id,
            )
        ]
    )  # fmt: skip
    return _stored(row, ports.base_url)


async def search(ports: Ports, caller: Caller, request: SearchRequest, count: int | None) -> Page:
    """A page of AuditEvents, newest first. Raises Forbidden, SearchError."""
    query = journal_query(request, ports.cursor_key)
    decision = await _decided(ports, caller, query)
    wanted = await _filter(ports, request)
    if decision.persons is not None:
        for person in decision.persons:
            wanted.of_person(person)
    outside = filter_of(caller, "search")
    if outside is not None and outside.touches(TYPE):
        wanted.tests.append(lambda row: outside.holds(TYPE, to_fhir(row, ports.base_url)))
    size = max(1, min(count or request.count or DEFAULT_COUNT, MAX_COUNT))
    before = _position(request.cursor)
    found, more = await _collect(ports, wanted, size, before)
    asked = wanted.person or 0
    await ports.record(
        [
            ports.entry(
                caller, "search", DONE, decision.reason,
                person=asked, patient=await ports.patient_of(asked), type=TYPE, query=query,
            )
        ]
    )  # fmt: skip
    stored = [_stored(row, ports.base_url) for row in found]
    return Page(stored, [], None, _cursor(found[-1]) if more and found else None)


async def rows(
    ports: Ports,
    caller: Caller,
    *,
    person: int | None,
    agent: str | None,
    since: datetime | None,
    until: datetime | None,
    count: int,
    before: tuple[datetime, int] | None,
) -> list[JournalRow]:
    """Journal rows for pages, newest first; looking at them is an entry of its own."""
    decision = await _decided(ports, caller)
    if decision.persons is not None:
        (own,) = decision.persons
        if person not in (None, own):
            await ports.refused(caller, "search", TYPE, "other-person", person=person or 0)
            raise Forbidden("other-person")
        person = own
    size = max(1, min(count, MAX_COUNT))
    found = await read_journal(ports.db, person, agent, since, until, size, before)
    asked = person or 0
    await ports.record(
        [
            ports.entry(
                caller, "search", DONE, decision.reason,
                person=asked, patient=await ports.patient_of(asked), type=TYPE,
            )
        ]
    )  # fmt: skip
    return found


async def _decided(ports: Ports, caller: Caller, query: str = "") -> Decision:
    decision = decide(caller, "search", TYPE, person=None)
    if not decision.allowed:
        await ports.refused(caller, "search", TYPE, decision.reason, query=query)
        raise Forbidden(decision.reason)
    return decision


async def _collect(
    ports: Ports, wanted: _Filter, size: int, before: tuple[datetime, int] | None
) -> tuple[list[JournalRow], bool]:
    """Up to `size` rows that meet the filter, and whether there may be more."""
    if wanted.nothing:
        return [], False
    if wanted.id is not None:
        row = await read_entry(ports.db, wanted.id)
        return ([row] if row and wanted.meets(row) else []), False
    found: list[JournalRow] = []
    seen = 0
    while seen < SCAN_LIMIT:
        step = size + 1 if not wanted.tests else _STEP
        batch = await read_journal(
            ports.db, wanted.person, wanted.agent, wanted.since, None, step, before
        )
        for row in batch:
            if wanted.meets(row):
                if len(found) == size:
                    return found, True
                found.append(row)
        if len(batch) < step:
            return found, False
        seen += len(batch)
        before = batch[-1].at, batch[-1].seq
    if found:
        return found, True
    raise _refused("", f"no match within {SCAN_LIMIT} entries: narrow the search", "too-costly")


async def _filter(ports: Ports, request: SearchRequest) -> _Filter:
    issues: list[Issue] = []
    if any(sort.param not in ("date", "_lastUpdated") or not sort.descending
           for sort in request.sort):  # fmt: skip
        issues += _refused("_sort", "AuditEvents come newest first (_sort=-date)").issues
    if request.includes:
        issues += _refused("_include", "AuditEvents are searched without inclusion").issues
    if request.filter is not None:
        issues += _refused("_filter", "AuditEvents are searched without or and not").issues
    if request.total != "none" or request.summary == "count":
        issues += _refused("_total", "AuditEvents are not counted").issues
    wanted = _Filter()
    for condition in request.conditions:
        try:
            await _condition(ports, condition, wanted)
        except SearchError as error:
            issues += error.issues
    if issues:
        raise SearchError(issues)
    return wanted


async def _condition(ports: Ports, condition: Condition, wanted: _Filter) -> None:
    name, values = condition.param, condition.values
    match (name, condition.kind, condition.modifier):
        case ("patient", "reference", None | "Patient"):
            await _patients(ports, values, wanted)
        case ("patient", "chain", None):
            await _chained(ports, condition, wanted)
        case ("date", "date", None) | (_, "lastUpdated", None):
            wanted.tests.append(lambda row: any(_within(row.at, v) for v in values))
            lows = [v.low for v in values if isinstance(v, DateTerm) and v.prefix in _FROM_LOW]
            if len(lows) == len(values):
                wanted.since = max(min(lows), wanted.since or min(lows))
        case ("agent", "reference", "identifier"):
            codes = {v.code for v in values if isinstance(v, TokenTerm)}
            if len(codes) == 1:
                wanted.agent = codes.pop()
            else:
                wanted.tests.append(lambda row: row.agent in codes)
        case ("entity", "reference", _) if condition.modifier != "missing":
            targets = {
                (t, v.id) for v in values if isinstance(v, ReferenceTerm) for t in v.types or ("",)
            }
            wanted.tests.append(lambda row: (row.entity_type, row.entity_id) in targets)
        case ("action", "token", None):
            actions = _codes(values)
            wanted.tests.append(lambda row: row.action in actions)
        case ("outcome", "token", None):
            outcomes = _codes(values)
            wanted.tests.append(lambda row: row.outcome in outcomes)
        case ("subtype", "token", None):
            kinds = _codes(values)
            wanted.tests.append(lambda row: row.interaction in kinds)
        case (_, "id", None):
            ids = [_uuid(code) for code in _codes(values)]
            wanted.id = ids[0] if len(ids) == 1 else None
            wanted.nothing = wanted.nothing or ids == [None]
            if len(ids) > 1:
                wanted.tests.append(lambda row: row.id in ids)
        case _:
            raise _refused(name, f"AuditEvent is not searched by {name} in this way")


async def _patients(ports: Ports, values: Sequence[Value], wanted: _Filter) -> None:
    ids = [v.id for v in values if isinstance(v, ReferenceTerm) and v.id is not None]
    _only(await persons_of(ports.db, ids), wanted)


async def _chained(ports: Ports, condition: Condition, wanted: _Filter) -> None:
    chained = [c.condition for c in condition.chain if c.type == "Patient"]
    persons: dict[str, int] = {}
    for each in chained:
        page = await store_search.search(
            ports.db,
            SearchRequest(type="Patient", conditions=(each,)),
            Scope(None),
            count=MAX_COUNT,
            cursor_key=ports.cursor_key,
        )
        persons.update({stored.id: stored.person for stored in page.matches})
    _only(persons, wanted)


def _only(persons: dict[str, int], wanted: _Filter) -> None:
    numbers = frozenset(persons.values())
    if not numbers:
        wanted.nothing = True
    elif len(numbers) == 1:
        wanted.of_person(next(iter(numbers)))
    else:
        wanted.tests.append(lambda row: row.person in numbers)


_FROM_LOW = frozenset({"eq", "ap", "ge", "gt", "sa"})


def _within(at: datetime, value: Value) -> bool:
    """An instant against a date value (FHIR R4 search, "Prefixes")."""
    if not isinstance(value, DateTerm):
        return False
    match value.prefix:
        case "eq" | "ap":
            return value.low <= at <= value.high
        case "ne":
            return not value.low <= at <= value.high
        case "gt" | "sa":
            return at > value.high
        case "ge":
            return at >= value.low
        case "lt" | "eb":
            return at < value.low
        case "le":
            return at <= value.high


def _codes(values: Sequence[Value]) -> set[str]:
    return {v.code for v in values if isinstance(v, TokenTerm) and v.code is not None}


def _uuid(text: str) -> UUID | None:
    try:
        uuid = UUID(text)
    except ValueError:
        return None
    return uuid if str(uuid) == text else None


def _cursor(row: JournalRow) -> str:
    """The place where a page ends. It says nothing secret and every page is decided anew, so it
    needs no seal.
    """
    return str(place_id(row.at, row.seq))


def _position(cursor: str | None) -> tuple[datetime, int] | None:
    if cursor is None:
        return None
    uuid = _uuid(cursor)
    place = place_of(uuid) if uuid else None
    if place is None:
        raise _refused("", "the page cursor is damaged", "value")
    return place


def _refused(param: str, text: str, code: str = "not-supported") -> SearchError:
    return SearchError([Issue("error", code, param, text)])


def _stored(row: JournalRow, base_url: str) -> Stored:
    body = dumps(to_fhir(row, base_url))
    return Stored(TYPE, str(row.id), 1, row.at, row.person, False, body, "POST")
