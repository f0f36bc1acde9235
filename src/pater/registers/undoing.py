"""Acts upon persons taken back: what they moved goes back, with what was written of it since."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any, Final

import asyncpg

from pater.access.caller import Caller
from pater.access.person_tables import authors_kept
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.records.errors import Conflict
from pater.registers import moving
from pater.registers.acts import Desk, Master, Merge, changed, refused, state_of, undone_in
from pater.registers.joining import Joining, with_link, without_link
from pater.registers.moving import Held, Key, Moved
from pater.registers.underway import Task
from pater.store.database import Connection
from pater.store.write import Put, Statement, WriteSet

Resource = dict[str, Any]

_FORGOTTEN: Final = """
delete from alias_written where (type, id) in (select * from unnest($1::smallint[], $2::text[]))
"""
_HELD_AGAIN: Final = """
insert into claim (key, person, target)
select decode(split_part(key, '/', 1), 'hex'), $2::bigint, substr(key, strpos(key, '/') + 1)
from merge_row where merge = $1::text::uuid and place = 'freed'
"""


class Undoing:
    """Takes acts back, each by its kind."""

    def __init__(self, desk: Desk, joining: Joining) -> None:
        self._desk = desk
        self._joining = joining
        self._db = desk.db

    async def large(self, act: Merge) -> bool:
        """Whether so much goes back that a job has to do it."""
        if act.kind == "merge":
            return await moving.more_moved(self._db, act.id, act.merged, moving.AT_ONCE)
        if act.kind == "split":
            return await moving.more(self._db, act.former, act.merged, moving.AT_ONCE)
        return False

    async def undo(self, caller: Caller, act: Merge, task: Task | None = None) -> None:
        """Takes an act back, what is large by a task. Raises NotFound, Unprocessable (what comes
        first), Conflict (it is undone already, or somebody wrote in between).
        """
        await self._desk.standing(act)
        match act.kind:
            case "merge":
                await self._unmerge(caller, act, task)
            case "split":
                await self._unsplit(caller, act, task)
            case "link":
                await self._unlink(caller, act)
            case "cancel":
                await self._uncancel(caller, act)

    async def _unmerge(self, caller: Caller, act: Merge, task: Task | None) -> None:
        one = await self._master(act.survivor)
        other = await self._standing(act.merged)
        await self._desk.standing(act)
        before, after = act.heads["survivor"]
        then = await self._desk.version(act.survivor, before)
        made = await self._desk.version(act.survivor, after, one)
        was = await self._desk.version(act.merged, act.heads["merged"][0])
        changes = [
            changed(one, undone_in(then, made, one.resource)),
            Change(
                "update", "Patient", act.merged, was,
                if_match=other.version, person=act.former, derived=True,
            ),
        ]  # fmt: skip
        tables = self._desk.tables
        back = frozenset({act.former})
        head = (("Patient", act.merged), act.heads["merged"][1])
        rest = moving.moves_back(act.id, one.person, act.former, act.merged, tables)

        async def part(found: list[Moved], connection: Connection | None = None) -> WriteSet:
            keys, puts = await self._back(act, found, one.person, connection)
            late = [moving.numbered(each.key) for each in found if each.late]
            return WriteSet(
                puts,
                statements=[*self._follow(act, one.person, keys), _forgotten(late)],
                back=back,
            )

        async def parts(connection: Connection) -> AsyncGenerator[WriteSet, None]:
            assert task is not None
            ids = [act.survivor, act.merged]
            await task.begin(await moving.locked_moved(connection, act.id, act.merged, ids))
            await moving.standing(connection, [(one.id, one.version), (other.id, other.version)])
            yield WriteSet(statements=rest, back=back)
            async for found in moving.walk_moved(connection, act.id, act.merged):
                yield await part(found, connection)
                await task.step(len(found))

        here = WriteSet()
        if task is None:
            found = await moving.moved_by(self._db, act.id, act.merged)
            if len(found) > moving.AT_ONCE:
                raise Conflict("more was written meanwhile")
            here = await part(found)
            here.statements[:0] = rest
        statements = [
            Statement("delete from alias where patient = $1", (act.merged,)),
            *here.statements,
            *self._follow(act, one.person, [head]),
            *moving.after(tables, one.person, act.former),
            authors_kept(one.person, act.former),
            authors_kept(act.former, one.person),
            state_of(act.former, "valid"),
            self._desk.taken_back(caller, act),
            *(task.end() if task else ()),
        ]
        await self._desk.commit(
            caller, changes, statements, puts=here.puts, back=back, before=parts if task else None
        )

    def _follow(self, act: Merge, source: int, keys: Sequence[tuple[Key, int]]) -> list[Statement]:
        tables = self._desk.tables
        return moving.follow_back(act.id, source, act.former, act.merged, keys, tables)

    async def _master(self, patient: str) -> Master:
        """A Patient of an act, upon which something may be done. Raises Unprocessable."""
        await self._standing(patient)
        return await self._desk.master(patient)

    async def _standing(self, patient: str) -> Held:
        """A Patient of an act as it stands. Raises Unprocessable: it is no more."""
        head = ("Patient", patient)
        held = (await moving.given(self._db, [head])).get(head)
        if held is None:
            raise refused("the Patient was expunged: this can no longer be undone")
        if not held.body:
            raise refused("the Patient was deleted meanwhile: write it again first")
        return held

    async def _noted(self, act: Merge) -> dict[Key, tuple[int, int]]:
        """The resources that a split moved, with their versions before and after."""
        rows = await self._db.fetch(
            "select key, before, after from merge_row"
            " where merge = $1::text::uuid and place = 'resource'",
            act.id,
        )
        return {moving.named(row["key"]): (row["before"], row["after"]) for row in rows}

    async def _back(
        self, act: Merge, found: Sequence[Moved], source: int, connection: Connection | None
    ) -> tuple[list[tuple[Key, int]], list[Put]]:
        """What goes back, each with the version since which it was the other's; and as what."""
        moved = {each.key: (each.before, each.after) for each in found}
        now = await moving.given(self._db, moved, connection)
        mine = {key: held for key, held in now.items() if held.person == source}
        before = await self._untouched(mine, moved)
        mapping = moving.referring(self._desk.base_url, act.survivor, act.merged)
        puts: list[Put] = []
        back: list[tuple[Key, int]] = []
        for key, held in mine.items():
            was, after = moved[key]
            # of a deletion that moved as it was, only what came later was written as the other's
            back.append((key, after if after != was else after + 1))
            if key in before:
                puts.append(moving.restored(held, act.former, before[key]))
            elif held.body:  # of a deletion the row itself goes
                puts.append(moving.next_version(held, act.former, mapping))
        return back, puts

    async def _untouched(
        self, held: Mapping[Key, Held], moved: Mapping[Key, tuple[int, int]]
    ) -> dict[Key, bytes]:
        """What stands as an act left it: as it was before."""
        same = [
            (*key, moved[key][0])
            for key, each in held.items()
            if each.body and key in moved and each.version == moved[key][1] > moved[key][0]
        ]
        return await moving.past(self._db, same)

    async def _unsplit(self, caller: Caller, act: Merge, task: Task | None) -> None:
        """Who was made a person of their own is none: everything goes back to where it was."""
        one, other = await self._master(act.survivor), await self._master(act.merged)
        await self._desk.standing(act)
        noted = await self._noted(act)
        mapping = moving.referring(self._desk.base_url, other.id, one.id)

        async def puts_of(record: Sequence[Held]) -> list[Put]:
            held = {(each.type, each.id): each for each in record}
            before = await self._untouched(held, noted)
            return [
                moving.restored(each, one.person, before[key])
                if key in before
                else moving.next_version(each, one.person, mapping)
                for key, each in held.items()
            ]

        first, after = act.heads["survivor"]
        then = await self._desk.version(act.survivor, first)
        made = await self._desk.version(act.survivor, after, one)
        master = with_link(undone_in(then, made, one.resource), other.id, "replaces")
        reason = f"undoes the split {act.id}"
        further = [self._desk.taken_back(caller, act)]
        merged = await self._joining.moved(
            caller, one, other, reason, master, puts_of, further, task=task
        )
        await self._joining.settle(merged)

    async def _unlink(self, caller: Caller, act: Merge) -> None:
        pairs = {act.survivor: act.merged, act.merged: act.survivor}
        found = await moving.given(self._db, [("Patient", each) for each in pairs])
        changes = []
        for (_, id_), held in found.items():
            if held.body:
                master = Master(id_, held.person, held.version, parse(held.body))
                changes.append(changed(master, without_link(master.resource, pairs[id_])))
        await self._desk.standing(act)
        await self._desk.commit(caller, changes, [self._desk.taken_back(caller, act)])

    async def _uncancel(self, caller: Caller, act: Merge) -> None:
        held = await self._standing(act.survivor)
        await self._desk.standing(act)
        was = await self._desk.version(act.survivor, act.heads["survivor"][0])
        change = Change(
            "update", "Patient", act.survivor, was,
            if_match=held.version, person=held.person, derived=True,
        )  # fmt: skip
        statements = [
            Statement(_HELD_AGAIN, (act.id, held.person)),
            state_of(held.person, "valid"),
            self._desk.taken_back(caller, act),
        ]
        try:
            await self._desk.commit(caller, [change], statements)
        except asyncpg.UniqueViolationError as error:
            raise refused("one of the identifiers belongs to somebody else by now") from error


def _forgotten(late: Sequence[tuple[int, str]]) -> Statement:
    """What was written for the merged Patient is with them again."""
    return Statement(_FORGOTTEN, ([type_ for type_, _ in late], [id_ for _, id_ in late]))
