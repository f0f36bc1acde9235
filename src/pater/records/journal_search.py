"""AuditEvent: the journal read and searched as FHIR (IHE ITI-81); the resource table has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pater.access.audit import ICO, OWN_IDS, REST_INTERACTIONS, to_fhir
from pater.access.audit_told import told_to_fhir
from pater.access.caller import Caller
from pater.access.policy import Decision
from pater.fhir.issues import Issue
from pater.fhir.json import dumps
from pater.fhir.search.index import index_values
from pater.fhir.search.match import matches
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
from pater.store.journal_received import RECEIVED, originals
from pater.store.read import Stored, formers, persons_of
from pater.store.search import Page, Scope

TYPE = "AuditEvent"
DEFAULT_COUNT = 50
MAX_COUNT = 500
MOST_ROWS = 1001
"""Rows for one page, or for an export of it."""
SCAN_LIMIT = 20_000
"""Rows that one page may look through for those that meet the conditions."""
RENDERED_LIMIT = 4_000
"""The same where each has to be made an AuditEvent for it."""
_STEP = 1000
_RENDERED_STEP = 200
_FAR = datetime.max.replace(tzinfo=UTC) - timedelta(days=1)

_Test = Callable[[JournalRow], bool]
_Found = tuple[JournalRow, dict[str, Any]]


@dataclass(slots=True)
class _Filter:
    """What the index of the journal answers, and tests for the rest.

    `tests` look at a row, `quick` at one of our own in place of `told`, which look at the
    AuditEvent that somebody told us; `exact` look at every AuditEvent.
    """

    person: int | None = None
    formers: list[int] = field(default_factory=list)  # numbers that lead to the person
    agent: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    id: UUID | None = None
    nothing: bool = False
    tests: list[_Test] = field(default_factory=list)
    quick: list[_Test] = field(default_factory=list)
    told: list[Condition] = field(default_factory=list)
    exact: list[Condition] = field(default_factory=list)
    outside: Callable[[dict[str, Any]], bool] | None = None

    def of_person(self, person: int) -> None:
        """Only rows of this person; two different ones leave nothing."""
        if self.person is not None and self.person != person:
            self.nothing = True
        self.person = person

    @property
    def bounded(self) -> bool:
        """Whether an index or a period says where to look."""
        return self.person is not None or self.agent is not None or self.since is not None

    @property
    def all(self) -> bool:
        """Whether every row that the index gives is meant."""
        return not (self.tests or self.quick or self.exact or self.outside)

    @property
    def rendering(self) -> bool:
        """Whether rows have to be made AuditEvents to be judged."""
        return bool(self.exact or self.outside)

    def may_meet(self, row: JournalRow) -> bool:
        """What can be told from the row alone."""
        tests = self.tests if row.reason == RECEIVED else [*self.tests, *self.quick]
        mine = self.person is None or row.person == self.person or row.person in self.formers
        return mine and all(test(row) for test in tests)

    @property
    def numbers(self) -> int | list[int] | None:
        """Whose rows are read."""
        return [self.person, *self.formers] if self.person and self.formers else self.person

    def meets(self, row: JournalRow, event: dict[str, Any]) -> bool:
        """The rest, told from the AuditEvent."""
        wanted = [*self.exact, *(self.told if row.reason == RECEIVED else ())]
        if wanted:
            index = index_values(TYPE, event)
            if not all(matches(condition, event, index) for condition in wanted):
                return False
        return self.outside is None or self.outside(event)


async def read(ports: Ports, caller: Caller, id: str) -> Stored:
    """One entry as AuditEvent. Raises Forbidden, NotFound (also for another person's)."""
    decision = await _decided(ports, caller)
    uuid = _uuid(id)
    row = await read_entry(ports.db, uuid) if uuid else None
    if row is None or not await _own(ports, decision, row.person):
        person = row.person if row else 0
        reason = "other-person" if row else "not-found"
        await ports.refused(caller, "read", TYPE, reason, person=person, id=id)
        raise NotFound(TYPE, id)
    ((_, event),) = await _rendered(ports, [row])
    outside = filter_of(caller, "read")
    if outside is not None and not outside.holds(TYPE, event):
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
    return _stored(row, event)


async def _own(ports: Ports, decision: Decision, person: int) -> bool:
    """Whether entries of a person are open, or of one who was found to be such a person."""
    if decision.persons is None or person in decision.persons:
        return True
    for each in decision.persons:
        if person in await formers(ports.db, each):
            return True
    return False


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
        wanted.outside = lambda event: outside.holds(TYPE, event)
    if wanted.person:
        wanted.formers = await formers(ports.db, wanted.person)
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
    stored = [_stored(row, event) for row, event in found]
    return Page(stored, [], None, str(place_id(*more)) if more else None)


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
    keep: Callable[[JournalRow], bool] | None = None,
) -> list[JournalRow]:
    """Journal rows for pages, newest first; looking at them is an entry of its own.

    With `keep` only those that it keeps, of the next SCAN_LIMIT.
    """
    decision = await _decided(ports, caller)
    if decision.persons is not None:
        (own,) = decision.persons
        if person not in (None, own):
            await ports.refused(caller, "search", TYPE, "other-person", person=person or 0)
            raise Forbidden("other-person")
        person = own
    found: list[JournalRow] = []
    size = max(1, min(count, MOST_ROWS))
    step, seen = (_STEP, 0) if keep else (size, 0)
    # what was entered while the person had another number stays there, and is theirs
    numbers = [person, *await formers(ports.db, person)] if person else None
    while len(found) < size and seen < SCAN_LIMIT:
        batch = await read_journal(ports.db, numbers, agent, since, until, step, before)
        found += filter(keep, batch) if keep else batch
        seen += len(batch)
        if len(batch) < step:
            break
        before = batch[-1].at, batch[-1].seq
    found = found[:size]
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
    decision = ports.policy.decide(caller, "search", TYPE)
    if not decision.allowed:
        await ports.refused(caller, "search", TYPE, decision.reason, query=query)
        raise Forbidden(decision.reason)
    return decision


async def _collect(
    ports: Ports, wanted: _Filter, size: int, before: tuple[datetime, int] | None
) -> tuple[list[_Found], tuple[datetime, int] | None]:
    """Up to `size` rows that meet the filter, and from where to go on when there may be more.

    A page looks through so many rows and no more: it may be short, or empty, and not the last.
    """
    if wanted.nothing:
        return [], None
    if wanted.id is not None:
        row = await read_entry(ports.db, wanted.id)
        return (await _meeting(ports, wanted, [row]) if row else []), None
    found: list[_Found] = []
    seen = 0
    limit = RENDERED_LIMIT if wanted.rendering else SCAN_LIMIT
    while seen < limit:
        step = size + 1 if wanted.all else _RENDERED_STEP if wanted.rendering else _STEP
        batch = await read_journal(
            ports.db, wanted.numbers, wanted.agent, wanted.since, wanted.until, step, before
        )
        for some in await _meeting(ports, wanted, batch):
            if len(found) == size:
                last = found[-1][0]
                return found, (last.at, last.seq)
            found.append(some)
        if len(batch) < step:
            return found, None
        seen += len(batch)
        before = batch[-1].at, batch[-1].seq
    if found or wanted.bounded:
        return found, before
    text = f"nothing within {limit} entries: name a patient, an agent or a beginning (date=ge…)"
    raise _refused("", text, "too-costly")


async def _meeting(ports: Ports, wanted: _Filter, rows: Sequence[JournalRow]) -> list[_Found]:
    """Those of the rows that meet the filter, with their AuditEvents."""
    some = await _rendered(ports, [row for row in rows if wanted.may_meet(row)])
    return [(row, event) for row, event in some if wanted.meets(row, event)]


async def _rendered(ports: Ports, rows: Sequence[JournalRow]) -> list[_Found]:
    """The AuditEvents of rows; what others told us as they told it."""
    told = await originals(ports.db, [(row.at, row.seq) for row in rows if row.reason == RECEIVED])
    found = []
    for row in rows:
        original = told.get((row.at, row.seq))
        event = told_to_fhir(row, original) if original else to_fhir(row, ports.base_url)
        found.append((row, event))
    return found


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
            ids = [v.id for v in values if isinstance(v, ReferenceTerm) and v.id is not None]
            _only(await persons_of(ports.db, ids), wanted)
        case ("patient", "reference", "identifier"):
            same = Condition("identifier", "token", None, values)
            _only(await _holders(ports, [same]), wanted)
        case ("patient", "chain", None):
            chained = [c.condition for c in condition.chain if c.type == "Patient"]
            _only(await _holders(ports, chained), wanted)
        case ("date", "date", None) | (_, "lastUpdated", None):
            _period(values, wanted)
        case ("agent", "reference", "identifier"):
            _agent(condition, wanted)
        case ("agent" | "entity" | "source", "chain", None):
            await _condition(ports, _identified(condition), wanted)
        case ("entity", "reference", None) if all(
            isinstance(v, ReferenceTerm) and v.id and not v.version for v in values
        ):
            targets = {(t, v.id) for v in values if isinstance(v, ReferenceTerm) for t in v.types}
            wanted.quick.append(
                lambda row: (
                    (row.entity_type, row.entity_id) in targets
                    or ("Patient", row.patient) in targets
                )
            )
            wanted.told.append(condition)
        case ("action", "token", None):
            actions = _codes(values)
            wanted.tests.append(lambda row: row.action in actions)
        case ("outcome", "token", None):
            outcomes = _codes(values)
            wanted.tests.append(lambda row: row.outcome in outcomes)
        case ("subtype", "token", None) if all(
            isinstance(v, TokenTerm) and v.system is None and v.code in REST_INTERACTIONS
            for v in values
        ):
            kinds = _codes(values)
            wanted.quick.append(lambda row: row.interaction in kinds)
            wanted.told.append(condition)
        case (_, "id", None):
            ids_ = [_uuid(code) for code in _codes(values)]
            wanted.id = ids_[0] if len(ids_) == 1 else None
            wanted.nothing = wanted.nothing or ids_ == [None]
            if len(ids_) > 1:
                wanted.tests.append(lambda row: row.id in ids_)
        case (_, "chain" | "has" | "words" | "composite" | "near", _) | (_, _, "in" | "not-in"):
            raise _refused(name, f"AuditEvent is not searched by {name} in this way")
        case (_, _, "above" | "below"):
            raise _refused(name, f"AuditEvent is not searched by {name} in this way")
        case _:
            wanted.exact.append(condition)


def _period(values: Sequence[Value], wanted: _Filter) -> None:
    wanted.tests.append(lambda row: any(_within(row.at, v) for v in values))
    terms = [v for v in values if isinstance(v, DateTerm)]
    lows = [v.low for v in terms if v.prefix in _FROM_LOW]
    highs = [v.high for v in terms if v.prefix in _TO_HIGH]
    if lows and len(lows) == len(values):
        wanted.since = max(min(lows), wanted.since or min(lows))
    if highs and len(highs) == len(values):
        end = min(max(highs), _FAR) + _MOMENT
        wanted.until = min(end, wanted.until or end)


def _agent(condition: Condition, wanted: _Filter) -> None:
    """An account, a client or whatever a sender called the agent; an IČO is an organization's."""
    values = [v for v in condition.values if isinstance(v, TokenTerm)]
    codes = {v.code for v in values}
    systems = {v.system for v in values}
    if systems == {ICO}:
        wanted.tests.append(lambda row: row.organization in codes or row.reason == RECEIVED)
        wanted.told.append(condition)
    elif systems <= {None, OWN_IDS} and len(codes) == 1:
        wanted.agent = codes.pop()
    elif systems <= {None, OWN_IDS}:
        wanted.tests.append(lambda row: row.agent in codes)
    else:
        wanted.exact.append(condition)


def _identified(condition: Condition) -> Condition:
    """`agent.identifier=…` (ITI-81) as `agent:identifier=…`: who acts has no resource here."""
    found = {c.condition for c in condition.chain}
    one = found.pop() if len(found) == 1 else None
    if one is None or (one.param, one.kind, one.modifier) != ("identifier", "token", None):
        text = f"{condition.param} is searched by itself or by its identifier"
        raise _refused(condition.param, text)
    return Condition(condition.param, "reference", "identifier", one.values)


async def _holders(ports: Ports, conditions: Sequence[Condition]) -> dict[str, int]:
    """The persons of the Patients who meet any of these."""
    persons: dict[str, int] = {}
    for each in conditions:
        page = await store_search.search(
            ports.db,
            SearchRequest(type="Patient", conditions=(each,)),
            Scope(None),
            count=MAX_COUNT,
            cursor_key=ports.cursor_key,
        )
        persons.update({stored.id: stored.person for stored in page.matches})
    return persons


def _only(persons: dict[str, int], wanted: _Filter) -> None:
    numbers = frozenset(persons.values())
    if not numbers:
        wanted.nothing = True
    elif len(numbers) == 1:
        wanted.of_person(next(iter(numbers)))
    else:
        wanted.tests.append(lambda row: row.person in numbers)


_FROM_LOW = frozenset({"eq", "ap", "ge", "gt", "sa"})
_TO_HIGH = frozenset({"eq", "ap", "le", "lt", "eb"})
_MOMENT = timedelta(microseconds=1)


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


def _position(cursor: str | None) -> tuple[datetime, int] | None:
    """The place where the page before ended. It says nothing secret and every page is decided
    anew, so it needs no seal.
    """
    if cursor is None:
        return None
    uuid = _uuid(cursor)
    place = place_of(uuid) if uuid else None
    if place is None:
        raise _refused("", "the page cursor is damaged", "value")
    return place


def _refused(param: str, text: str, code: str = "not-supported") -> SearchError:
    return SearchError([Issue("error", code, param, text)])


def _stored(row: JournalRow, event: dict[str, Any]) -> Stored:
    return Stored(TYPE, str(row.id), 1, row.at, row.person, False, dumps(event), "POST")
