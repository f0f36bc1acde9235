"""Bulk import: whole chunks of lines written by COPY, in order, each with its checkpoint.

What is new goes by COPY; what is there already, or needs a closer look, goes one by one through
the gate. A line that waits for another one (the patient comes later in the files) is put aside
and tried again when all were seen. A bad line is reported and loses no other.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import asyncpg

from pater.access.caller import Caller
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.issues import Issue
from pater.records import writing
from pater.records.changes import Change, ClaimsOf
from pater.records.errors import Forbidden, RecordsError, Unprocessable
from pater.records.import_dictionaries import Dictionaries
from pater.records.import_input import Chunk, InputError, Lines, chunks
from pater.records.import_lines import (
    MOST_ISSUES,
    Line,
    Made,
    Prepare,
    conditional_references,
    parameters_of,
    read_line,
    same,
)
from pater.records.import_processes import Maker, in_thread
from pater.records.import_rights import special
from pater.records.import_state import CREATED, LATER, REPORT, UNCHANGED, UPDATED, Found, State
from pater.records.import_targets import Targets
from pater.records.ports import DONE, Ports
from pater.store.copying import copy_rows, present, take_names
from pater.store.database import Connection
from pater.store.files import Files
from pater.store.jobs import Job, JobFailed
from pater.store.journal import JournalEntry, write_entries
from pater.store.read import Stored, read_many
from pater.store.write import Claim

_IN_FLIGHT: Final = 3
_RID_BLOCK: Final = 1_000
_AT_ONCE: Final = 16
Conforming = Callable[[dict[str, Any]], Awaitable[Sequence[Issue]]]
Keep = Callable[[Connection, datetime, Sequence[tuple[int, str, Any]]], Awaitable[None]]
_PATIENT: Final = TYPE_NUMBER["Patient"]
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

    `claims_of` gives the claims of a Patient that is changed, `keys` the business keys of a new
    one and `beside` what a register keeps beside it (functions of modules: they are also called in
    other processes), which `keep` writes with person and id. `make` makes chunks ready;
    `conforming` says what of a resource does not conform to its profiles.
    """

    inputs: Sequence[Path]
    trust: bool
    claims_of: ClaimsOf | None
    keys: Callable[[Mapping[str, Any]], tuple[bytes, ...]] | None = None
    make: Maker = in_thread
    conforming: Conforming | None = None
    beside: Callable[[Mapping[str, Any]], Any] | None = None
    keep: Keep | None = None


class TakenError(Exception):
    """Somebody wrote one of the resources meanwhile; nothing of these was written."""


async def require(ports: Ports, caller: Caller, query: str) -> None:
    """Decides whether the caller may import at all; recorded. Raises Forbidden."""
    for type_ in ("Patient", "Organization"):
        for action in ("create", "update"):
            decision = ports.policy.decide(caller, action, type_)
            reason = "" if decision.allowed else decision.reason
            if decision.allowed and (decision.persons is not None or caller.role != "loader"):
                reason = "own-address"
            if reason:
                await ports.refused(caller, "create", type_, reason, query=query,
                                    interaction="operation")  # fmt: skip
                raise Forbidden(reason)
    reason = ports.policy.decide(caller, "create", "Patient").reason
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
    ready: asyncio.Future[Made]


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
        self._targets = Targets(ports, caller)
        self._flights: deque[_Flight] = deque()
        self._rids: deque[int] = deque()
        self._journalled: set[int] = set()
        self._met = False  # whether some of the resources were there already
        self._dictionaries = Dictionaries(ports, files, job.id)
        self._special = special(ports, caller)
        self._reason = ports.policy.decide(caller, "create", "Patient").reason

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
            texts = conditional_references(chunk.data)
            references, refused = await self._targets.resolve(texts) if texts else ({}, {})
            how = Prepare(
                updated=now.replace(microsecond=now.microsecond // 1000 * 1000),
                base_url=self._ports.base_url,
                trust=self._task.trust,
                special=self._special,
                dictionaries=self._dictionaries.path,
                parameters=parameters_of(self._ports.db.parameters.custom),
                keys=self._task.keys,
                beside=self._task.beside,
                references=references,
                refused=refused,
            )
            rids = await self._take_rids(chunk.line - chunk.first)
            ready = asyncio.ensure_future(self._task.make(chunk, rids, how))
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
                made = await flight.ready
                try:
                    await self._write(flight, made)
                except (TakenError, asyncpg.UniqueViolationError, asyncpg.DeadlockDetectedError):
                    # somebody wrote one of them meanwhile: the chunk begins anew
                    await flight.stack.__aexit__(TakenError, TakenError(), None)
                else:
                    return
            flight = await self._begin(flight.chunk)
        await flight.stack.aclose()
        raise TakenError

    async def _write(self, flight: _Flight, made: Made) -> None:
        if flight.how.parameters != parameters_of(self._ports.db.parameters.custom):
            raise TakenError  # indexed by what is no longer in force
        state = self._state.copy()
        found = Found(state.final)
        raw = Lines(flight.chunk)
        slow: list[Line] = []
        for each in made.odd:
            if each.issues:
                found.bad(each.number, each.type, each.id, each.issues)
            elif each.waits:
                found.wait(each.number, each.type, each.id, raw[each.number])
            else:
                slow.append(each)
        wrong = await self._nonconforming(made, raw, flight.how, found)
        led = await self._targets.merged(made.owners)
        apart = await self._apart(flight.connection, made, careful=bool(slow or led))
        apart |= {place for place, at in enumerate(made.owner) if at in led}
        slow += [made.line(place) for place in sorted(apart)]
        slow = [each for each in slow if each.number not in wrong]
        if slow:
            slow.sort(key=lambda each: each.number)
            await self._one_by_one(slow, raw, flight.how, found)
        fresh = [
            place
            for place, number in enumerate(made.numbers)
            if place not in apart and number not in wrong
        ]
        new, claims = await self._patients(flight.connection, made, fresh, found)
        places, persons = await self._persons(made, fresh, new, raw, found)
        rows = made.rows if len(places) == len(made.numbers) else made.rows.chosen(places)
        if places and await take_names(flight.connection, rows):
            self._met = True
            raise TakenError
        await copy_rows(flight.connection, rows, persons, flight.how.updated)
        await self._claim(flight.connection, claims)
        if self._task.keep is not None:
            await self._task.keep(flight.connection, flight.how.updated, made.beside_of(new))
        await write_entries(flight.connection, await self._entries(new, persons))
        for number, count in Counter(rows.types).items():
            state.count(RESOURCE_TYPES[number], CREATED, count)
        await asyncio.to_thread(found.spill, self._files, self._job.id, state)
        state.offset, state.line = flight.chunk.offset, flight.chunk.line
        state.seen += 0 if state.again else len(made.odd) + len(made.numbers)
        note = f"{state.seen} lines, {state.errors} errors"
        await self._job.checkpoint(
            state.as_json(), done=state.seen, note=note, connection=flight.connection
        )
        await flight.stack.aclose()
        self._state = state
        self._learn(new, persons)
        await self._dictionaries.train(self._state.counts)

    async def _nonconforming(self, made: Made, raw: Lines, how: Prepare, found: Found) -> set[int]:
        """Reports the lines that do not conform to the profiles they declare."""
        wrong: set[int] = set()
        if self._task.conforming is None:
            return wrong
        for number in sorted(made.declaring):
            resource, type_, id_, _ = read_line(raw[number], replace(how, trust=True))
            issues = await self._task.conforming(resource)
            errors = [each for each in issues if each.severity in ("error", "fatal")]
            if errors:
                wrong.add(number)
                found.bad(number, type_, id_, errors[:MOST_ISSUES])
            await asyncio.sleep(0)  # others are served meanwhile
        return wrong

    async def _apart(self, connection: Connection, made: Made, *, careful: bool) -> frozenset[int]:
        """The places of what cannot go by COPY: it comes twice, or is there already.

        As long as nothing was there, that is only looked at when the names are taken; not so when
        lines are written one by one before (`careful`), for then the chunk must not begin anew.
        """
        keys = list(zip(made.rows.types, made.rows.ids, strict=True))
        found: set[tuple[int, str]] = set()
        if len(set(keys)) < len(keys):
            found |= {key for key, times in Counter(keys).items() if times > 1}
        if found or careful or self._met:
            found |= await present(connection, made.rows.types, made.rows.ids)
        if not found:
            return frozenset()
        return frozenset(place for place, key in enumerate(keys) if key in found)

    async def _claim(self, connection: Connection, claims: Sequence[Claim]) -> None:
        if claims:
            ordered = sorted(claims, key=lambda claim: claim.key)
            columns = [[getattr(c, name) for c in ordered] for name in ("key", "person", "target")]
            if len(await connection.fetch(_CLAIM, *columns)) < len(ordered):
                raise TakenError

    async def _entries(
        self, patients: Mapping[str, int], persons: Sequence[int]
    ) -> list[JournalEntry]:
        """One entry for each person whom this import has not touched before."""
        new = set(persons) - self._journalled - {0}
        own = {person: id_ for id_, person in patients.items()}
        names = {**await self._ports.names.of_all(self._ports.db, new - own.keys()), **own}
        return [
            self._ports.entry(
                self._caller, "create", DONE, self._reason, person=person,
                patient=names.get(person, ""), query="$import", interaction="operation",
            )
            for person in sorted(new)
        ]  # fmt: skip

    def _learn(self, patients: Mapping[str, int], persons: Sequence[int]) -> None:
        if len(self._journalled) > _REMEMBERED:
            self._journalled.clear()
        self._journalled.update(persons)
        for id_, person in patients.items():
            self._ports.names.learn(person, id_)
            self._targets.learn(id_, person)

    async def _patients(
        self,
        connection: Connection,
        made: Made,
        fresh: Sequence[int],
        found: Found,
    ) -> tuple[dict[str, int], list[Claim]]:
        """Gives every new Patient a person, by their id, and their business keys.

        Who would take another's key is reported and gets none.
        """
        patients = [place for place in fresh if made.rows.types[place] == _PATIENT]
        wanted = {
            made.rows.ids[place]: made.keys.get(made.rows.ids[place], ()) for place in patients
        }
        keys = [key for keys in wanted.values() for key in keys]
        rows = await connection.fetch(_HELD, keys) if keys else []
        held: dict[bytes, str] = {row["key"]: row["target"] for row in rows}
        persons: dict[str, int] = {}
        claims: dict[bytes, Claim] = {}
        for place in patients:
            id_ = made.rows.ids[place]
            if any(held.get(key, id_) != id_ for key in wanted[id_]):
                found.bad(made.numbers[place], "Patient", id_, [_CLAIMED])
                continue
            persons[id_] = await self._ports.committer.next_person()
            for key in wanted[id_]:
                held[key] = id_
                claims[key] = Claim(key, persons[id_], id_)
        return persons, list(claims.values())

    async def _persons(
        self,
        made: Made,
        fresh: Sequence[int],
        new: Mapping[str, int],
        raw: Lines,
        found: Found,
    ) -> tuple[list[int], list[int]]:
        """The places of what can be written now, and the person of each; `new` are Patients."""
        wanted = {made.owner[place] for place in fresh}
        owners = {at: made.owners[at] for at in wanted if made.owners[at][0]}
        known = await self._targets.persons(owners.values(), new)
        persons: dict[int, int | None] = {}
        for at in wanted:
            owner = made.owners[at]
            persons[at] = known.get(owner) if owner[0] else 0
            if persons[at] is None and found.final and owner[0] != "Patient":
                persons[at] = 0  # what it is about is not here: it belongs to nobody
        places: list[int] = []
        theirs: list[int] = []
        for place in fresh:
            person = persons[made.owner[place]]
            id_ = made.rows.ids[place]
            if made.rows.types[place] == _PATIENT:
                if id_ not in new:
                    continue  # it is in the report
                person = new[id_]
            if person is None:
                line = made.line(place)
                found.wait(line.number, line.type, line.id, raw[line.number])
                continue
            places.append(place)
            theirs.append(person)
        return places, theirs

    async def _one_by_one(
        self, slow: Sequence[Line], raw: Lines, how: Prepare, found: Found
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
                    stored = await self._single(line, raw[line.number], how, stored, found)

        await asyncio.gather(*(one(key, lines) for key, lines in by_key.items()))

    async def _single(
        self,
        line: Line,
        raw: bytes,
        how: Prepare,
        stored: Stored | None,
        found: Found,
    ) -> Stored | None:
        """Writes one line when it says something new; gives what stands there then."""
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


_CLAIMED: Final = Issue(
    "error", "conflict", "Patient.identifier", "an identifier belongs to another patient already"
)
