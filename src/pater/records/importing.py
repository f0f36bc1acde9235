"""Bulk import: whole chunks of lines written by COPY, in order, each with its checkpoint.

What is new goes by COPY; what is there already, or needs a closer look, goes one by one through
the gate. A line that waits for another one (the patient comes later in the files) is put aside
and tried again when all were seen. A bad line is reported and loses no other.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import asyncpg

from pater.access.caller import Caller
from pater.access.policy import decide, group
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.records import writing
from pater.records.changes import Change, ClaimsOf
from pater.records.errors import Forbidden, RecordsError, Unprocessable
from pater.records.import_dictionaries import Dictionaries
from pater.records.import_input import Chunk, InputError, chunks
from pater.records.import_lines import (
    Line,
    Prepare,
    conditional_references,
    parameters_of,
    prepare,
    read_line,
    same,
)
from pater.records.import_state import (
    CREATED,
    LATER,
    REPORT,
    UNCHANGED,
    UPDATED,
    Found,
    State,
)
from pater.records.import_targets import Targets
from pater.records.ports import DONE, Ports
from pater.records.scope_filter import filter_of
from pater.store.copying import Fresh, TakenError, copy_fresh, present
from pater.store.database import Connection
from pater.store.files import Files
from pater.store.jobs import Job, JobFailed
from pater.store.journal import JournalEntry, write_entries
from pater.store.read import Stored, read_many
from pater.store.write import Claim

_IN_FLIGHT: Final = 3
_RID_BLOCK: Final = 1_000
_AT_ONCE: Final = 16
_ATTEMPTS: Final = 4
_PASSES: Final = 6
"""How often lines that wait are tried again, as long as some succeed."""
_REMEMBERED: Final = 500_000
"""Persons who are known to have their entry of this import in the journal."""
_CLAIM: Final = """
insert into claim (key, person, target)
select * from unnest($1::bytea[], $2::bigint[], $3::text[])
on conflict do nothing returning key
"""
_HELD: Final = "select key, target from claim where key = any($1::bytea[])"


@dataclass(frozen=True, slots=True)
class ImportTask:
    """What is imported: files in order; `trust` = without validation.

    `claims_of` gives the business keys of a Patient. `executor` makes lines ready, None = a
    thread of this process.
    """

    inputs: Sequence[Path]
    trust: bool
    claims_of: ClaimsOf | None
    executor: Executor | None = None


async def require(ports: Ports, caller: Caller, query: str) -> None:
    """Decides whether the caller may import at all; recorded. Raises Forbidden."""
    for type_ in ("Patient", "Organization"):
        for action in ("create", "update"):
            decision = decide(caller, action, type_, person=None)
            reason = "" if decision.allowed else decision.reason
            if decision.allowed and (decision.persons is not None or caller.role != "loader"):
                reason = "own-address"
            if reason:
                await ports.refused(caller, "create", type_, reason, query=query,
                                    interaction="operation")  # fmt: skip
                raise Forbidden(reason)
    reason = decide(caller, "create", "Patient", person=None).reason
    await ports.record(
        [ports.entry(caller, "create", DONE, reason, query=query, interaction="operation")]
    )


@dataclass(slots=True)
class _Flight:
    """A chunk on its way: its transaction is open, its lines are being made ready."""

    chunk: Chunk
    how: Prepare
    stack: AsyncExitStack
    connection: Connection
    ready: asyncio.Future[list[Line]]


async def run(
    ports: Ports, files: Files, job: Job, caller: Caller, task: ImportTask
) -> Mapping[str, Any]:
    """Imports all inputs and gives what became of them. Raises JobFailed, LeaseLost."""
    work = _Import(ports, files, job, caller, task)
    try:
        return await work.run()
    except InputError as error:
        raise JobFailed(str(error)) from error
    finally:
        await work.close()


class _Import:
    def __init__(
        self, ports: Ports, files: Files, job: Job, caller: Caller, task: ImportTask
    ) -> None:
        self._ports, self._files, self._job = ports, files, job
        self._caller, self._task = caller, task
        self._state = State(**job.state)
        self._targets = Targets(ports.db)
        self._flights: deque[_Flight] = deque()
        self._rids: deque[int] = deque()
        self._journalled: set[int] = set()
        self._dictionaries = Dictionaries(ports, files, job.id)
        self._special = _special(ports, caller)
        self._reason = decide(caller, "create", "Patient", person=None).reason

    async def run(self) -> dict[str, Any]:
        await self._dictionaries.load()
        while not self._state.again and self._state.input <= len(self._task.inputs):
            at = self._state
            path = self._task.inputs[at.input - 1]
            await self._pass(chunks(path, at.input, at.offset, at.line, spool=False))
            self._state.input += 1
            self._state.offset = self._state.line = 0
        if not self._state.again and self._state.waiting:
            await self._turn()
        while self._state.again:
            at = self._state
            path = self._files.path(self._job.id, LATER.format(at.again))
            await self._pass(chunks(path, 0, at.offset, at.line, spool=True))
            if self._state.final or not self._state.waiting:
                break
            await self._turn()
        at = self._state
        return {
            "counts": at.counts,
            "errors": at.errors,
            "lines": at.seen,
            "report": REPORT if at.errors else "",
        }

    async def _turn(self) -> None:
        """To the next pass over what waits."""
        self._state.next_pass(_PASSES)
        await self._job.checkpoint(self._state.as_json())

    async def close(self) -> None:
        """Rolls back what is on its way."""
        while self._flights:
            flight = self._flights.popleft()
            flight.ready.cancel()
            await flight.stack.__aexit__(asyncio.CancelledError, asyncio.CancelledError(), None)

    async def _pass(self, found: Iterator[Chunk]) -> None:
        ended = False
        while True:
            while not ended and len(self._flights) < _IN_FLIGHT:
                chunk = await asyncio.to_thread(next, found, None)
                if chunk is None:
                    ended = True
                else:
                    self._flights.append(await self._begin(chunk))
            if not self._flights:
                return
            await self._finish(self._flights.popleft())

    async def _begin(self, chunk: Chunk) -> _Flight:
        """Opens the transaction of a chunk and has its lines made ready.

        The transaction is given its number before the time that its rows will carry is taken: who
        waits for all older transactions (an export) then has every row of an earlier time.
        """
        stack = AsyncExitStack()
        connection = await stack.enter_async_context(self._ports.db.transaction())
        try:
            await connection.fetchval("select pg_current_xact_id()::text")
            now = self._ports.clock()
            lines = [(code, data) for code, data in chunk.lines if data is not None]
            texts = conditional_references(b"".join(data for _, data in lines))
            how = Prepare(
                updated=now.replace(microsecond=now.microsecond // 1000 * 1000),
                base_url=self._ports.base_url,
                trust=self._task.trust,
                special=self._special,
                dictionaries=self._dictionaries.path,
                parameters=parameters_of(self._ports.db.parameters.custom),
                references=await self._targets.resolve(texts) if texts else {},
            )
            rids = await self._take_rids(len(lines))
            loop = asyncio.get_running_loop()
            ready = loop.run_in_executor(self._task.executor, prepare, lines, rids, how)
        except BaseException:
            await stack.aclose()
            raise
        return _Flight(chunk, how, stack, connection, ready)

    async def _take_rids(self, count: int) -> list[int]:
        while len(self._rids) < count:
            first = await self._ports.db.fetchval("select nextval('resource_rid')")
            self._rids.extend(range(first, first + _RID_BLOCK))
        return [self._rids.popleft() for _ in range(count)]

    async def _finish(self, flight: _Flight) -> None:
        for _ in range(_ATTEMPTS):
            async with flight.stack:
                lines = await flight.ready
                try:
                    await self._write(flight, lines)
                except (TakenError, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                    # somebody wrote one of them meanwhile: the chunk begins anew
                    await flight.stack.__aexit__(TakenError, TakenError(), None)
                else:
                    return
            flight = await self._begin(flight.chunk)
        await flight.stack.aclose()
        raise TakenError

    async def _write(self, flight: _Flight, lines: Sequence[Line]) -> None:
        if flight.how.parameters != parameters_of(self._ports.db.parameters.custom):
            raise TakenError  # indexed by what is no longer in force
        state = self._state.copy()
        found = Found(state.final)
        data = {code: line for code, line in flight.chunk.lines if line is not None}
        for code, line in flight.chunk.lines:
            if line is None:
                found.bad(code, "", "", [_TOO_LONG])
        rows: list[Line] = []
        slow: list[Line] = []
        for each in lines:
            if each.issues:
                found.bad(each.number, each.type, each.id, each.issues)
            elif each.waits:
                found.wait(each.number, each.type, each.id, data[each.number])
            else:
                (slow if each.special else rows).append(each)
        times = Counter((each.type, each.id) for each in (*rows, *slow))
        there = await present(flight.connection, {(TYPE_NUMBER[r.type], r.id) for r in rows})
        fresh: list[Line] = []
        for each in rows:
            known = (TYPE_NUMBER[each.type], each.id) in there
            alone = times[each.type, each.id] == 1
            (fresh if alone and not known else slow).append(each)
        if slow:
            slow.sort(key=lambda each: each.number)
            await self._one_by_one(slow, data, flight.how, found)
        persons: dict[int, int] = {}
        claims = await self._patients(flight, fresh, persons, data, found)
        fresh = await self._others(fresh, persons, data, found)
        await self._copy(flight, fresh, persons, claims)
        for each in fresh:
            state.count(each.type, CREATED)
        await asyncio.to_thread(found.spill, self._files, self._job.id, state)
        state.offset, state.line = flight.chunk.offset, flight.chunk.line
        state.seen += 0 if state.again else len(flight.chunk.lines)
        note = f"{state.seen} lines, {state.errors} errors"
        await self._job.checkpoint(
            state.as_json(), done=state.seen, note=note, connection=flight.connection
        )
        await flight.stack.aclose()
        self._state = state
        self._learn(fresh, persons)
        await self._dictionaries.train(self._state.counts)

    async def _copy(
        self,
        flight: _Flight,
        fresh: Sequence[Line],
        persons: Mapping[int, int],
        claims: Sequence[Claim],
    ) -> None:
        if not fresh:
            return
        rows = [
            Fresh(each.type, TYPE_NUMBER[each.type], each.id, persons[each.number], each.rows)
            for each in fresh
            if each.rows is not None
        ]
        await copy_fresh(flight.connection, rows, flight.how.updated)
        if claims:
            ordered = sorted(claims, key=lambda claim: claim.key)
            columns = [[getattr(c, name) for c in ordered] for name in ("key", "person", "target")]
            if len(await flight.connection.fetch(_CLAIM, *columns)) < len(ordered):
                raise TakenError
        entries = await self._entries(fresh, persons)
        await write_entries(flight.connection, entries)

    async def _entries(
        self, fresh: Sequence[Line], persons: Mapping[int, int]
    ) -> list[JournalEntry]:
        """One entry for each person whom this import has not touched before."""
        new = {persons[each.number] for each in fresh} - self._journalled - {0}
        own = {persons[each.number]: each.id for each in fresh if each.type == "Patient"}
        names = {**await self._ports.names.of_all(self._ports.db, new - own.keys()), **own}
        return [
            self._ports.entry(
                self._caller, "create", DONE, self._reason, person=person,
                patient=names.get(person, ""), query="$import", interaction="operation",
            )
            for person in sorted(new)
        ]  # fmt: skip

    def _learn(self, fresh: Sequence[Line], persons: Mapping[int, int]) -> None:
        if len(self._journalled) > _REMEMBERED:
            self._journalled.clear()
        for each in fresh:
            person = persons[each.number]
            self._journalled.add(person)
            if each.type == "Patient":
                self._ports.names.learn(person, each.id)
                self._targets.learn(each.id, person)

    async def _patients(
        self,
        flight: _Flight,
        fresh: Sequence[Line],
        persons: dict[int, int],
        data: Mapping[int, bytes],
        found: Found,
    ) -> list[Claim]:
        """Gives every new Patient a person, by the number of its line, and their business keys.

        Who would take another's key is reported and gets none.
        """
        wanted: dict[int, Sequence[Claim]] = {}
        patients = [each for each in fresh if each.type == "Patient"]
        for each in patients:
            persons[each.number] = await self._ports.committer.next_person()
            if self._task.claims_of is not None:
                resource = read_line(data[each.number], replace(flight.how, trust=True))[0]
                wanted[each.number] = self._task.claims_of(resource, persons[each.number], each.id)
        keys = [claim.key for claims in wanted.values() for claim in claims]
        rows = await flight.connection.fetch(_HELD, keys) if keys else []
        held: dict[bytes, str] = {row["key"]: row["target"] for row in rows}
        good: dict[bytes, Claim] = {}
        for each in patients:
            claims = wanted.get(each.number, ())
            if any(held.get(claim.key, each.id) != each.id for claim in claims):
                found.bad(each.number, each.type, each.id, [_CLAIMED])
                del persons[each.number]
                continue
            for claim in claims:
                held[claim.key] = each.id
                good[claim.key] = claim
        return list(good.values())

    async def _others(
        self,
        fresh: Sequence[Line],
        persons: dict[int, int],
        data: Mapping[int, bytes],
        found: Found,
    ) -> list[Line]:
        """Finds the person of everything else, and gives the lines that can be written now."""
        new = {e.id: persons[e.number] for e in fresh if e.number in persons}
        known = await self._targets.persons({e.owner for e in fresh if e.owner[0]}, new)
        kept: list[Line] = []
        for each in fresh:
            if each.type == "Patient":
                if each.number in persons:
                    kept.append(each)
                continue
            person = known.get(each.owner) if each.owner[0] else 0
            if person is None and found.final and each.owner[0] != "Patient":
                person = 0  # what it is about is not here: it belongs to nobody
            if person is None:
                found.wait(each.number, each.type, each.id, data[each.number])
                continue
            persons[each.number] = person
            kept.append(each)
        return kept

    async def _one_by_one(
        self, slow: Sequence[Line], data: Mapping[int, bytes], how: Prepare, found: Found
    ) -> None:
        """What is there already, or special: compared, and what differs committed by the gate."""
        bodies = {
            (each.type, each.id): each
            for each in await read_many(self._ports.db, {(s.type, s.id) for s in slow})
        }
        by_key: dict[tuple[str, str], list[Line]] = {}
        for each in slow:
            by_key.setdefault((each.type, each.id), []).append(each)
        gate = asyncio.Semaphore(_AT_ONCE)

        async def one(key: tuple[str, str], lines: Sequence[Line]) -> None:
            stored = bodies.get(key)
            async with gate:
                for line in lines:
                    stored = await self._single(line, data, how, stored, found)

        await asyncio.gather(*(one(key, lines) for key, lines in by_key.items()))

    async def _single(
        self,
        line: Line,
        data: Mapping[int, bytes],
        how: Prepare,
        stored: Stored | None,
        found: Found,
    ) -> Stored | None:
        """Writes one line when it says something new; gives what stands there then."""
        raw = data[line.number]
        resource = read_line(raw, replace(how, trust=True))[0]
        if stored is not None and not stored.deleted and same(stored.body, resource):
            found.done.append((line.type, UNCHANGED))
            return stored
        change = Change(
            "update", line.type, line.id, {**resource, "id": line.id},
            claims_of=self._task.claims_of if line.type == "Patient" else None,
        )  # fmt: skip
        try:
            [written] = await writing.commit(self._ports, self._caller, [change], (), (), "")
        except Unprocessable as error:
            if any(issue.code == "not-found" for issue in error.issues) and not found.final:
                found.wait(line.number, line.type, line.id, raw)
            else:
                found.bad(line.number, line.type, line.id, error.issues)
            return stored
        except RecordsError as error:
            code = "forbidden" if isinstance(error, Forbidden) else "conflict"
            issue = Issue("error", code, line.type, str(error))
            found.bad(line.number, line.type, line.id, [issue])
            return stored
        found.done.append((line.type, CREATED if written.created else UPDATED))
        return Stored(
            line.type, line.id, written.version, written.updated, 0, False, written.body, "PUT"
        )


_TOO_LONG: Final = Issue("error", "too-long", "", "a line has at most 16 MiB")
_CLAIMED: Final = Issue(
    "error", "conflict", "Patient.identifier", "an identifier belongs to another patient already"
)


def _special(ports: Ports, caller: Caller) -> frozenset[str]:
    """The types of which every resource has to be looked at by the gate itself."""
    narrow = filter_of(caller, "create", "update")
    found = set(ports.keepers)
    for type_ in RESOURCE_TYPES:
        decisions = [
            decide(caller, "create", type_, person=None),
            decide(caller, "update", type_, person=None),
        ]
        free = all(each.allowed and each.persons is None for each in decisions)
        if not free or group(type_) not in ("personal", "public"):
            found.add(type_)
        if narrow is not None and narrow.touches(type_):
            found.add(type_)
    return frozenset(found)
