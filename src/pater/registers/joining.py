"""One person's record goes into another's: in one transaction, and what was being written follows.

Merges are made of it, and splits that are undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from pater.access.caller import Caller
from pater.records.errors import Conflict
from pater.registers import moving, sources
from pater.registers.acts import Desk, Master, Merge, again, changed, state_of
from pater.registers.moving import Held
from pater.registers.surviving import joined, survive
from pater.registers.underway import Task
from pater.store.database import Connection
from pater.store.write import Put, Statement, WriteSet

Resource = dict[str, Any]

_SETTLING: Final = 100  # looks, _PAUSE apart, until what was being written has followed
_PAUSE: Final = 0.02
_STRAY_PAUSE: Final = 60.0  # seconds between looks for merges that could not settle
_REGISTER: Final = Caller(kind="system", id="register", name="register", role="loader")

_ALIAS: Final = "insert into alias (patient, former, person, survivor) values ($1, $2, $3, $4)"


class Joining:
    """Moves records from one person to another."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._db = desk.db

    async def merge(
        self, caller: Caller, one: Master, other: Master, reason: str, task: Task | None = None
    ) -> Merge:
        """Makes two persons one; what is large by a task. Raises Unprocessable, Conflict."""
        said = [
            *await sources.of(self._db, one.person),
            *await sources.of(self._db, other.person),
        ]
        master = joined(one.resource, other.resource, self._desk.gate.now())
        master = with_link(survive(master, said) if said else master, other.id, "replaces")
        mapping = moving.referring(self._desk.base_url, other.id, one.id)

        async def next_versions(record: Sequence[Held]) -> list[Put]:
            return [moving.next_version(each, one.person, mapping) for each in record]

        id_ = task.act if task else ""
        return await self.moved(
            caller, one, other, reason, master, next_versions, task=task, id=id_
        )

    async def moved(
        self,
        caller: Caller,
        one: Master,
        other: Master,
        reason: str,
        master: Resource,
        puts_of: Callable[[Sequence[Held]], Awaitable[list[Put]]],
        further: Sequence[Statement] = (),
        *,
        task: Task | None = None,
        id: str = "",
    ) -> Merge:
        """`other` goes into `one`, whose Patient is `master` then; `puts_of` says how each of the
        resources reads then. With a task all goes in chunks, still in one transaction. `id` is what
        the act was promised under.
        """
        made, statement = self._desk.written_down(
            caller, "merge", one, other, reason, settled=False, id=id
        )
        gone = {**with_link(other.resource, one.id, "replaced-by"), "active": False}
        changes = [
            changed(one, master),
            replace(changed(other, gone), person=one.person),
        ]
        written = [(moving.key_of("Patient", other.id), other.version, other.version + 1)]
        puts: list[Put] = []
        if task is None:
            record = await moving.record_of(self._db, other.person, other.id)
            if len(record) > moving.AT_ONCE:
                raise Conflict("the record has grown meanwhile")
            puts = await puts_of(record)
            written += _versions(record)
        statements = [
            statement,
            *moving.moves(
                made.id, other.person, one.person, (other.id, one.id), written, self._desk.tables
            ),
            Statement(_ALIAS, (other.id, other.person, one.person, one.id)),
            state_of(other.person, "merged"),
            *further,
            *(task.end() if task else ()),
        ]

        async def before(connection: Connection) -> AsyncGenerator[WriteSet, None]:
            assert task is not None
            await task.begin(await moving.locked(connection, other.person, [one.id, other.id]))
            await moving.standing(connection, [(e.id, e.version) for e in (one, other)])
            async for record in moving.walk(self._db, connection, other.person, other.id):
                yield self._chunk(made, one.person, record, await puts_of(record))
                await task.step(len(record))

        await self._desk.commit(
            caller, changes, statements, puts=puts, before=before if task else None
        )
        return made

    def _chunk(self, act: Merge, to: int, record: Sequence[Held], puts: list[Put]) -> WriteSet:
        """Part of a large record, with what tells that it moved."""
        written = _versions(record)
        keys = [key for key, _, _ in written]
        return WriteSet(
            puts,
            statements=[
                moving.noted(act.id, "resource", written),
                moving.history_follows(act.id, act.former, to, keys),
            ],
        )

    async def settle(self, act: Merge) -> None:
        """What was being written for the merged person while the two became one follows.

        Who begins to write now is told that they are one; who began before has ended when no
        older transaction is left.
        """
        mark = await self._db.fetchval("select pg_current_xact_id()::text")
        for _ in range(_SETTLING):
            over = await self._db.fetchval(
                "select pg_snapshot_xmin(pg_current_snapshot()) > $1::text::xid8", mark
            )
            await again(lambda: self._sweep(act))
            if over:
                await self._db.execute(
                    "update merge set settled = true where id = $1::text::uuid", act.id
                )
                return
            await asyncio.sleep(_PAUSE)

    async def _sweep(self, act: Merge) -> None:
        """Moves what came into the record of a merged person after it had been moved."""
        led = await self._db.fetchrow(
            "select person, survivor from alias where patient = $1 and former = $2",
            act.merged,
            act.former,
        )
        record = await moving.record_of(self._db, act.former, "") if led else []
        if led is None or not record:
            return
        survivor, person = led["survivor"], led["person"]
        mapping = moving.referring(self._desk.base_url, act.merged, survivor)
        large = len(record) > moving.AT_ONCE

        def next_versions(record: Sequence[Held]) -> list[Put]:
            return [moving.next_version(each, person, mapping) for each in record]

        async def before(connection: Connection) -> AsyncGenerator[WriteSet, None]:
            async for part in moving.walk(self._db, connection, act.former, ""):
                yield self._chunk(act, person, part, next_versions(part))

        here = [] if large else record
        statements = moving.moves(
            act.id, act.former, person, (act.merged, survivor), _versions(here), self._desk.tables
        )
        await self._desk.commit(
            _REGISTER, [], statements, puts=next_versions(here), before=before if large else None
        )

    async def follow(self, stop: asyncio.Event) -> None:
        """In the background: what was being written when a process ended follows its merge."""
        while not stop.is_set():
            for each in await self._desk.unsettled():
                await self.settle(each)
            try:
                await asyncio.wait_for(stop.wait(), _STRAY_PAUSE)
            except TimeoutError:
                continue


def _versions(record: Sequence[Held]) -> list[tuple[str, int, int]]:
    return [(each.key, each.version, each.version + 1) for each in record]


def with_link(patient: Resource, other: str, type: str) -> Resource:
    """A Patient with a link to another one, of one type."""
    link = {"other": {"reference": f"Patient/{other}"}, "type": type}
    others = [each for each in patient.get("link") or () if named(each) != other]
    return {**patient, "link": [*others, link]}


def without_link(patient: Resource, other: str) -> Resource:
    """A Patient without its link of the type seealso to another one."""
    links = [
        each
        for each in patient.get("link") or ()
        if each.get("type") != "seealso" or named(each) != other
    ]
    made = {key: value for key, value in patient.items() if key != "link"}
    return {**made, "link": links} if links else made


def named(link: Mapping[str, Any]) -> str:
    """The id of the Patient that a link names."""
    return str((link.get("other") or {}).get("reference", "")).rpartition("/")[2]
