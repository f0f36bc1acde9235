"""Acts upon persons taken back: what they moved goes back, with what was written of it since."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import asyncpg

from pater.access.caller import Caller
from pater.access.person_tables import authors_kept
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.registers import moving
from pater.registers.acts import Desk, Master, Merge, changed, refused, state_of, undone_in
from pater.registers.joining import Joining, with_link, without_link
from pater.registers.moving import Held, Key
from pater.store.person_tables import ALIASES
from pater.store.write import Put, Statement

Resource = dict[str, Any]

# By the merged Patient, or by one that led to it.
_WRITTEN: Final = """
select w.type, w.id from alias_written w where w.patient = $1
   or w.patient in (
     select m.key from merge_row m where m.merge = $2::text::uuid and m.place = $3)
limit $4
"""
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

    async def undo(self, caller: Caller, act: Merge) -> None:
        """Raises NotFound, Unprocessable (what comes first), Conflict (it is undone already, or
        somebody wrote in between).
        """
        await self._desk.standing(act)
        match act.kind:
            case "merge":
                await self._unmerge(caller, act)
            case "split":
                await self._unsplit(caller, act)
            case "link":
                await self._unlink(caller, act)
            case "cancel":
                await self._uncancel(caller, act)

    async def _unmerge(self, caller: Caller, act: Merge) -> None:
        one = await self._master(act.survivor)
        head = ("Patient", act.merged)
        other = await self._standing(act.merged)
        await self._desk.standing(act)
        moved = await self._noted(act)
        moved.pop(head)
        written = await self._db.fetch(_WRITTEN, act.merged, act.id, ALIASES.place, moving.MOST + 1)
        also = {moving.named(f"{row['type']}/{row['id']}") for row in written}
        if len(also) > moving.MOST:
            raise refused(f"more than {moving.MOST} resources were written meanwhile")
        back, puts = await self._back(act, moved, also - moved.keys(), (one.person, act.former))
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
        back.append((head, act.heads["merged"][1]))
        types = [row["type"] for row in written]
        ids = [row["id"] for row in written]
        statements = [
            Statement("delete from alias where patient = $1", (act.merged,)),
            *moving.moves_back(act.id, one.person, act.former, act.merged, back, self._desk.tables),
            authors_kept(one.person, act.former),
            authors_kept(act.former, one.person),
            state_of(act.former, "valid"),
            Statement(_FORGOTTEN, (types, ids)),
            self._desk.taken_back(caller, act),
        ]
        await self._desk.commit(
            caller, changes, statements, puts=puts, back=frozenset({act.former})
        )

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
        """The resources that an act moved, with their versions before and after."""
        rows = await self._db.fetch(
            "select key, before, after from merge_row"
            " where merge = $1::text::uuid and place in ('resource', 'tombstone')",
            act.id,
        )
        return {moving.named(row["key"]): (row["before"], row["after"]) for row in rows}

    async def _back(
        self,
        act: Merge,
        moved: Mapping[Key, tuple[int, int]],
        also: set[Key],
        persons: tuple[int, int],
    ) -> tuple[list[tuple[Key, int]], list[Put]]:
        """What goes back, each with the version since which it was the other's; and as what."""
        source, to = persons
        now = await moving.given(self._db, [*moved, *also])
        mine = {key: held for key, held in now.items() if held.person == source}
        before = await self._untouched(mine, moved)
        mapping = moving.referring(self._desk.base_url, act.survivor, act.merged)
        puts: list[Put] = []
        back: list[tuple[Key, int]] = []
        for key, held in mine.items():
            was, after = moved.get(key, (0, 1))
            # of a deletion that moved as it was, only what came later was written as the other's
            back.append((key, after if after != was else after + 1))
            if key in before:
                puts.append(moving.restored(held, to, before[key]))
            elif held.body:  # of a deletion the row itself goes
                puts.append(moving.next_version(held, to, mapping))
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

    async def _unsplit(self, caller: Caller, act: Merge) -> None:
        """Who was made a person of their own is none: everything goes back to where it was."""
        one, other = await self._master(act.survivor), await self._master(act.merged)
        await self._desk.standing(act)
        record = await self._joining.record(other)
        held = {(each.type, each.id): each for each in record}
        before = await self._untouched(held, await self._noted(act))
        mapping = moving.referring(self._desk.base_url, other.id, one.id)
        puts = [
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
            caller, one, other, reason, record, master, puts, further
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
