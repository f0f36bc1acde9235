"""The review queue: registrars decide whether somebody is a person who is registered already.

A case carries a version, and whoever decides says which one they saw: of two who decide at once one
wins, the other is told. A decision can be taken back; what it merged is undone with it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from random import Random
from typing import Any, Final, Literal, Protocol

import asyncpg
import orjson

from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.records.errors import Conflict, Forbidden, NotFound, Unprocessable
from pater.records.gate import Change, Gate
from pater.registers.identifiers import RID, new_rid
from pater.registers.queue import COLUMNS, HELD_FOR, SOURCES, Wanted, question
from pater.registers.registration import numbered
from pater.store.database import Database, Record
from pater.store.read import Stored
from pater.store.write import Claim, Statement, claim_key

State = Literal["open", "decided"]
ROLES: Final = frozenset({"registrar", "loader"})
"""Who decides."""
MOST: Final = 100
"""Cases of one page."""
EVERYTHING: Final = Wanted()
_LONGEST: Final = 2_000

_ONE: Final = f"select {COLUMNS} from match_case c where c.id = $1"  # noqa: S608 constants
_DECIDED: Final = f"""
select {COLUMNS} from match_case c where c.state = 'decided' and (c.decided, c.id) < ($1, $2)
order by c.decided desc, c.id desc limit $3
"""  # noqa: S608 constants
_OF_PERSON: Final = f"""
select {COLUMNS} from match_case c where c.person = $1 order by c.id desc limit $2
"""  # noqa: S608 constants
_CANDIDATES: Final = """
select m.case_id, m.person, m.weight, m.probability, m.parts from match_candidate m
where m.case_id = any($1::bigint[])
  and exists (select from person_index i where i.person = m.person)
order by m.case_id, m.weight desc, m.place
"""
_TAKE: Final = """
update match_case set taken_by = $3, taken = $4, version = version + 1
where id = $1 and version = $2 and state = 'open'
  and (taken_by in ('', $3) or taken < $5) returning version
"""
_GIVE: Final = """
update match_case set taken_by = '', taken = null, version = version + 1
where id = $1 and version = $2 and state = 'open' and taken_by = $3 returning version
"""
_POSTPONE: Final = """
update match_case set until = $5, note = $6, taken_by = '', taken = null, version = version + 1
where id = $1 and version = $2 and state = 'open'
  and (taken_by in ('', $3) or taken < $4) returning version
"""
_DECIDE: Final = """
update match_case set state = 'decided', decision = $5, other = $6, note = $7, decided_by = $3,
  decided = $8, version = version + 1
where id = $1 and version = $2 and state = 'open'
  and (taken_by in ('', $3) or taken < $4) returning version
"""
# In the transaction of what the decision changes: it fails when somebody else decided.
_DECIDE_OR_FAIL: Final = """
update match_case set state = 'decided', decision = $5, other = $6, note = $7, decided_by = $3,
  decided = $8, version = version + 1
where id = $1 and case when id = $1 then 1 / (version = $2 and state = 'open'
  and (taken_by in ('', $3) or taken < $4))::int = 1 else false end
"""
_MERGED: Final = "update match_case set merge = $2 where id = $1"
_REOPEN: Final = """
update match_case set state = 'open', decision = '', other = 0, decided_by = '', decided = null,
  merge = '', taken_by = '', taken = null, until = null, version = version + 1
where id = $1 and version = $2 and state = 'decided' returning version
"""
_PERSON: Final = "update person set rid = $2, temporary = false where person = $1"


class Merged(Protocol):
    """What was merged, by its id."""

    @property
    def id(self) -> str:
        """The id by which it is undone."""
        ...


class Merges(Protocol):
    """Makes two persons one, and two again."""

    async def merge(self, caller: Caller, survivor: str, merged: str, reason: str) -> Merged:
        """Patient ids. Raises Unprocessable, Conflict."""
        ...

    async def undo(self, caller: Caller, merge_id: str) -> object:
        """Raises Unprocessable, Conflict."""
        ...


@dataclass(frozen=True, slots=True)
class Candidate:
    """Somebody whom the person of a case may be; `parts` are (attribute, level, weight in bits)."""

    person: int
    weight: float
    probability: float
    parts: tuple[tuple[str, str, float], ...]
    contradictions: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Case:
    """One question to a registrar. `reason`: `possible` (found alike), `numbers` (identifiers of
    another person), `disagree` (an identifier's holder has other names or birth date).
    """

    id: int
    person: int
    state: State
    version: int
    reason: str
    source: str
    weight: float
    made: datetime
    until: datetime | None
    taken_by: str
    taken: datetime | None
    decision: str
    other: int
    note: str
    decided_by: str
    decided: datetime | None
    merge: str
    candidates: tuple[Candidate, ...] = ()


@dataclass(frozen=True, slots=True)
class Shown:
    """Cases, and the Patients of everybody in them (each is in the journal as shown)."""

    cases: tuple[Case, ...]
    patients: Mapping[int, Stored]


class Reviewing:
    """The queue and what registrars do with it."""

    def __init__(
        self,
        gate: Gate,
        db: Database,
        merging: Merges,
        *,
        random: Random,
        clock: Callable[[], datetime],
    ) -> None:
        self._gate, self._db, self._merging = gate, db, merging
        self._random, self._clock = random, clock

    async def queue(
        self,
        caller: Caller,
        count: int = 20,
        after: tuple[float, int] | None = None,
        wanted: Wanted = EVERYTHING,
    ) -> Shown:
        """Open cases that are due, the likeliest first; `after` = weight and id of the last one."""
        await self._may(caller)
        sql, values = question(wanted, caller.id, self._clock(), after, min(count, MOST))
        return await self._shown(caller, await self._db.fetch(sql, *values))

    async def following(self, caller: Caller, wanted: Wanted, but: int = 0) -> int:
        """The next case that nobody else is at, other than `but`; 0 = there is none. Shows nobody.

        The case after `but` in the queue comes first, then those before it.
        """
        await self._may(caller)
        now, free = self._clock(), replace(wanted, taken="available")
        row = await self._db.fetchrow(_ONE, but) if 0 < but < 2**63 else None
        for after in ((row["weight"], row["id"]), None) if row is not None else (None,):
            sql, values = question(free, caller.id, now, after, 2)
            found = [each["id"] for each in await self._db.fetch(sql, *values)]
            if left := [each for each in found if each != but]:
                return int(left[0])
        return 0

    async def sources(self, caller: Caller) -> dict[str, str]:
        """Who told of those who wait, with names ("" = documents), up to MOST."""
        await self._may(caller)
        return {row["source"]: row["name"] for row in await self._db.fetch(SOURCES, MOST)}

    async def decided(
        self, caller: Caller, count: int = 20, after: tuple[datetime, int] | None = None
    ) -> Shown:
        """Decided cases, the newest first."""
        await self._may(caller)
        at, id_ = after or (self._clock() + timedelta(days=1), 0)
        rows = await self._db.fetch(_DECIDED, at, id_, min(count, MOST))
        return await self._shown(caller, rows)

    async def of(self, caller: Caller, person: int) -> Shown:
        """The cases of a person, the newest first."""
        await self._may(caller)
        return await self._shown(caller, await self._db.fetch(_OF_PERSON, person, MOST))

    async def one(self, caller: Caller, id: int) -> Shown:
        """One case. Raises NotFound."""
        await self._may(caller)
        return await self._shown(caller, [await self._row(id)])

    async def take(self, caller: Caller, id: int, version: int) -> int:
        """Makes a case the caller's for a while: nobody else decides it; the version it has now.

        Raises Conflict (somebody else has it, or it has changed).
        """
        await self._may(caller)
        return await self._moved(
            id, _TAKE, id, version, caller.id, self._clock(), self._clock() - HELD_FOR
        )

    async def give_back(self, caller: Caller, id: int, version: int) -> int:
        """Gives a case back that the caller took; the version it has now. Raises Conflict."""
        await self._may(caller)
        return await self._moved(id, _GIVE, id, version, caller.id)

    def holder(self, case: Case) -> str:
        """Who is at a case (an account); "" = nobody (any more)."""
        held = case.taken is not None and case.taken >= self._clock() - HELD_FOR
        return case.taken_by if held and case.state == "open" else ""

    async def postpone(
        self, caller: Caller, id: int, version: int, until: datetime, note: str = ""
    ) -> int:
        """Puts a case off until a moment; the version it has now. Raises Conflict."""
        await self._may(caller)
        if until <= self._clock():
            raise _wrong("until", "it is put off until a moment to come")
        held = self._clock() - HELD_FOR
        args = (id, version, caller.id, held, until, _short(note))
        return await self._moved(id, _POSTPONE, *args)

    async def match(
        self, caller: Caller, id: int, version: int, other: int, note: str = ""
    ) -> Case:
        """Decides that the person of a case is `other`: they are merged. The one who has a lasting
        number survives. Raises Conflict, Unprocessable (why they cannot be merged).
        """
        await self._may(caller)
        found = _case(await self._row(id), ())
        if other in (0, found.person):
            raise _wrong("other", "choose the other person")
        both = await self._gate.identify(caller, [found.person, other], "review")
        if len(both) < 2:
            raise _wrong("other", "one of the two is not in the register any more")
        now = self._clock()
        args = (id, version, caller.id, now - HELD_FOR, "match", other, _short(note), now)
        decided = await self._moved(id, _DECIDE, *args)
        survivor, merged = await self._order(both, found.person, other)
        try:
            made = await self._merging.merge(caller, survivor, merged, _short(note) or "review")
        except BaseException:
            await self._db.fetchval(_REOPEN, id, decided)
            raise
        await self._db.execute(_MERGED, id, made.id)
        return _case(await self._row(id), ())

    async def new(self, caller: Caller, id: int, version: int, note: str = "") -> Case:
        """Decides that the person of a case is nobody of the candidates. Who only had a temporary
        number and is known by name and birth date gets a lasting one. Raises Conflict.
        """
        await self._may(caller)
        found = _case(await self._row(id), ())
        now = self._clock()
        args = (id, version, caller.id, now - HELD_FOR, "new", 0, _short(note), now)
        stored = (await self._gate.identify(caller, [found.person], "review")).get(found.person)
        temporary = await self._db.fetchval(
            "select temporary from person where person = $1", found.person
        )
        if stored is None or not temporary or not _complete(parse(stored.body)):
            await self._moved(id, _DECIDE, *args)
            return _case(await self._row(id), ())
        rid = new_rid(self._random)
        change = Change(
            "update", "Patient", stored.id, numbered(parse(stored.body), rid),
            if_match=stored.version, person=found.person, derived=True,
        )  # fmt: skip
        try:
            await self._gate.commit(
                caller,
                [change],
                claims=[Claim(claim_key("person", RID, rid), found.person, stored.id)],
                statements=[
                    Statement(_DECIDE_OR_FAIL, args),
                    Statement(_PERSON, (found.person, rid)),
                ],
                reason="registration",
            )
        except asyncpg.DivisionByZeroError as error:
            raise Conflict("somebody else decided this case, or it has changed") from error
        return _case(await self._row(id), ())

    async def undo(self, caller: Caller, id: int, version: int) -> Case:
        """Takes a decision back: the case is open again, and two who were merged are two again.

        Raises Conflict (it is another version, or open), Unprocessable (a later act builds on it).
        """
        await self._may(caller)
        found = _case(await self._row(id), ())
        if found.state != "decided" or found.version != version:
            raise Conflict("the case is not as you saw it", found.version)
        if found.merge:
            try:
                await self._merging.undo(caller, found.merge)
            except NotFound:
                pass  # it was left to a job and refused there: there is nothing to undo
        try:
            await self._moved(id, _REOPEN, id, version)
        except asyncpg.UniqueViolationError as error:
            raise Conflict("another case about this person is open") from error
        return _case(await self._row(id), ())

    async def _may(self, caller: Caller) -> None:
        await self._gate.require(caller, "ask", "Patient")
        await self._gate.require(caller, "update", "Patient")
        if caller.role not in ROLES:
            await self._gate.refuse(caller, "update", "Patient", "no-role")
            raise Forbidden("no-role")

    async def _row(self, id: int) -> Record:
        row = await self._db.fetchrow(_ONE, id) if 0 < id < 2**63 else None
        if row is None:
            raise NotFound("Case", str(id))
        return row

    async def _moved(self, id: int, sql: str, *args: Any) -> int:
        """Runs a statement that holds for one version only."""
        version = await self._db.fetchval(sql, *args)
        if version is None:
            row = await self._row(id)
            raise Conflict("somebody else decided this case, or it has changed", row["version"])
        return int(version)

    async def _order(self, both: Mapping[int, Stored], one: int, other: int) -> tuple[str, str]:
        """The Patients who survives and who is merged: a lasting number wins, then the older."""
        rows = await self._db.fetch(
            "select person, temporary, created from person where person = any($1::bigint[])",
            [one, other],
        )
        known = {row["person"]: (row["temporary"], row["created"].timestamp()) for row in rows}
        first, second = sorted((one, other), key=lambda each: known.get(each, (True, 0.0)))
        return both[first].id, both[second].id

    async def _shown(self, caller: Caller, rows: Sequence[Record]) -> Shown:
        found: dict[int, list[Candidate]] = {}
        ids = [row["id"] for row in rows]
        for row in await self._db.fetch(_CANDIDATES, ids) if ids else ():
            found.setdefault(row["case_id"], []).append(_candidate(row))
        cases = tuple(_case(row, tuple(found.get(row["id"], ()))) for row in rows)
        persons = {each.person for each in cases}
        persons |= {who.person for each in cases for who in each.candidates}
        patients = await self._gate.identify(caller, sorted(persons), "review")
        return Shown(cases, patients)


def _candidate(row: Record) -> Candidate:
    said = orjson.loads(row["parts"])
    parts = tuple((str(a), str(level), float(w)) for a, level, w in said["parts"])
    return Candidate(
        row["person"], row["weight"], row["probability"], parts, tuple(said["contradictions"])
    )


def _case(row: Record, candidates: tuple[Candidate, ...]) -> Case:
    return Case(**dict(row), candidates=candidates)


def _complete(master: Mapping[str, Any]) -> bool:
    """Whether somebody is known well enough to have a lasting number."""
    named = any(each.get("family") and each.get("given") for each in master.get("name") or ())
    return named and len(str(master.get("birthDate", ""))) == 10


def _short(text: str) -> str:
    if len(text) > _LONGEST:
        raise _wrong("note", f"a note has at most {_LONGEST} characters")
    return text


def _wrong(place: str, text: str) -> Unprocessable:
    return Unprocessable([Issue("error", "business-rule", place, text)])
