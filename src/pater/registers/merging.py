"""Two persons who are one; two who may be; somebody who is nobody. And all of that taken back.

Numbers are never given again: the merged one leads to the survivor, whose record is found by
either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

import asyncpg

from pater.access.caller import Caller
from pater.access.person_tables import authors_kept
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.records.errors import Conflict
from pater.records.gate import Gate
from pater.registers import moving, sources, splitting
from pater.registers.acts import (
    OWN,
    Desk,
    Master,
    Merge,
    again,
    changed,
    refuse_merged,
    refused,
    state_of,
    undone_in,
)
from pater.registers.disputes import Disputes
from pater.registers.identifiers import RID
from pater.registers.moving import Held, Key
from pater.registers.surviving import joined, survive
from pater.store.database import Database
from pater.store.person_tables import ALIASES, PersonTable
from pater.store.read import Stored
from pater.store.write import Put, Statement, claim_key

__all__ = ["Merge", "Merging", "keep_merged"]

Resource = dict[str, Any]

_SETTLING: Final = 100  # looks, _PAUSE apart, until what was being written has followed
_PAUSE: Final = 0.02
_STRAY_PAUSE: Final = 60.0  # seconds between looks for merges that could not settle
_REGISTER: Final = Caller(kind="system", id="register", name="register", role="loader")

_ALIAS: Final = "insert into alias (patient, former, person, survivor) values ($1, $2, $3, $4)"
_ACTING: Final = """
select 1 from representation
where ended is null and ((person = $1 and agent = $2) or (person = $2 and agent = $1)) limit 1
"""
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
_FREED: Final = """
with gone as (
  delete from claim where person = $1::bigint and key <> $3::bytea returning key, target
)
insert into merge_row (merge, place, key)
select $2::text::uuid, 'freed', encode(key, 'hex') || '/' || target from gone
"""
_HELD_AGAIN: Final = """
insert into claim (key, person, target)
select decode(split_part(key, '/', 1), 'hex'), $2::bigint, substr(key, strpos(key, '/') + 1)
from merge_row where merge = $1::text::uuid and place = 'freed'
"""


class Merging:
    """The acts. `tables` are the plain tables of all other rooms that carry a person number."""

    def __init__(
        self,
        gate: Gate,
        db: Database,
        tables: Sequence[PersonTable],
        *,
        base_url: str,
        random: Random,
        next_person: Callable[[], Awaitable[int]],
    ) -> None:
        self._desk = Desk(gate, db, (*tables, *OWN), base_url, random, next_person)
        self._db = db
        self.disputes = Disputes(self._desk)
        """What is said to be wrong of a person."""

    async def merge(
        self,
        caller: Caller,
        survivor: str,
        merged: str,
        reason: str,
        versions: tuple[int, int] | None = None,
    ) -> Merge:
        """Makes two persons one: what `merged` had belongs to `survivor` (Patient ids).

        `versions` are those of the two Patients that the registrar saw. Raises Forbidden, NotFound,
        Unprocessable (why they cannot be merged), Conflict (somebody wrote in between).
        """
        await self._desk.may(caller, reason)

        async def act() -> Merge:
            one, other = await self._two(survivor, merged, versions)
            if await self._db.fetchval(_ACTING, one.person, other.person):
                raise refused("one of the two acts for the other: end that first")
            return await self._merge(caller, one, other, reason)

        made = await again(act, once=versions is not None)
        await self._settle(made)
        return await self._desk.one(made.id)

    async def link(self, caller: Caller, one: str, other: str, reason: str) -> Merge:
        """Notes that two Patients may be one person; their records stay apart.

        Raises as `merge`.
        """
        await self._desk.may(caller, reason)

        async def act() -> Merge:
            first, second = await self._two(one, other, None)
            if any(_other(each) == other for each in first.resource.get("link") or ()):
                raise refused("these two are linked already")
            changes = [
                changed(first, _with_link(first.resource, other, "seealso")),
                changed(second, _with_link(second.resource, one, "seealso")),
            ]
            made, statement = self._desk.written_down(caller, "link", first, second, reason)
            await self._desk.commit(caller, changes, [statement])
            return made

        return await self._desk.one((await again(act)).id)

    async def unlink(self, caller: Caller, act: str) -> Merge:
        """Ends a link. Raises as `undo`."""
        if (await self._desk.one(act)).kind != "link":
            raise refused("this is no link: undo it as what it is")
        return await self.undo(caller, act)

    async def split(
        self,
        caller: Caller,
        patient: str,
        reason: str,
        *,
        sources: Sequence[tuple[str, str, str]] = (),
        resources: Sequence[Key] = (),
    ) -> Merge:
        """Makes a person of their own of what belongs to somebody else: sources (name, system,
        value) and resources (type, id) of a person. Raises as `merge`.
        """
        await self._desk.may(caller, reason)
        wish = splitting.Split(patient, tuple(sources), tuple(resources), reason)
        made = await again(lambda: splitting.split(self._desk, caller, wish))
        return await self._desk.one(made.id)

    async def cancel(self, caller: Caller, patient: str, reason: str) -> Merge:
        """Takes somebody out of the register who was entered by mistake and has no record.

        The number stays taken; the identifiers are free for whom they belong to. Raises as `merge`.
        """
        await self._desk.may(caller, reason)

        async def act() -> Merge:
            one = await self._desk.master(patient)
            if await moving.record_of(self._db, one.person, one.id):
                raise refused("this person has records: merge or split them first")
            if await self._db.fetchval("select 1 from account where person = $1", one.person):
                raise refused("this person has an account")
            made, statement = self._desk.written_down(caller, "cancel", one, one, reason)
            statements = [
                statement,
                Statement(_FREED, (one.person, made.id, _rid_key(one.resource))),
                state_of(one.person, "cancelled"),
            ]
            gone = changed(one, {**one.resource, "active": False})
            await self._desk.commit(caller, [gone], statements)
            return made

        return await self._desk.one((await again(act)).id)

    async def undo(self, caller: Caller, act: str) -> Merge:
        """Takes an act back: what it moved goes back, with what was written of it meanwhile.

        Raises Forbidden, NotFound, Unprocessable (what was built on it comes first), Conflict (it
        is undone already, or somebody wrote in between).
        """
        await self._desk.may(caller, "undo")

        async def undoing() -> None:
            found = await self._desk.one(act)
            await self._desk.standing(found)
            match found.kind:
                case "merge":
                    await self._unmerge(caller, found)
                case "split":
                    await self._unsplit(caller, found)
                case "link":
                    await self._unlink(caller, found)
                case "cancel":
                    await self._uncancel(caller, found)

        await again(undoing)
        return await self._desk.one(act)

    async def of(self, patient: str) -> list[Merge]:
        """What was done with a Patient, the newest first."""
        return await self._desk.of(patient)

    async def one(self, act: str) -> Merge:
        """One act. Raises NotFound."""
        return await self._desk.one(act)

    async def follow(self, stop: asyncio.Event) -> None:
        """In the background: what was being written when a process ended follows its merge."""
        while not stop.is_set():
            for each in await self._desk.unsettled():
                await self._settle(each)
            try:
                await asyncio.wait_for(stop.wait(), _STRAY_PAUSE)
            except TimeoutError:
                continue

    async def _two(
        self, one: str, other: str, versions: tuple[int, int] | None
    ) -> tuple[Master, Master]:
        if one == other:
            raise refused("a Patient cannot be merged or linked with itself")
        first, second = await self._desk.master(one), await self._desk.master(other)
        if versions is not None and versions != (first.version, second.version):
            raise Conflict("somebody changed one of the two Patients: look at them again")
        if first.person == second.person or not (first.person and second.person):
            raise refused("these are one person already")
        return first, second

    async def _merge(self, caller: Caller, one: Master, other: Master, reason: str) -> Merge:
        record = await self._record(other)
        said = [
            *await sources.of(self._db, one.person),
            *await sources.of(self._db, other.person),
        ]
        master = joined(one.resource, other.resource, self._desk.gate.now())
        master = _with_link(survive(master, said) if said else master, other.id, "replaces")
        mapping = moving.referring(self._desk.base_url, other.id, one.id)
        puts = [moving.next_version(each, one.person, mapping) for each in record]
        return await self._moved(caller, one, other, reason, record, master, puts)

    async def _moved(
        self,
        caller: Caller,
        one: Master,
        other: Master,
        reason: str,
        record: Sequence[Held],
        master: Resource,
        puts: Sequence[Put],
        further: Sequence[Statement] = (),
    ) -> Merge:
        """`other` goes into `one`, whose Patient is `master` then."""
        made, statement = self._desk.written_down(
            caller, "merge", one, other, reason, settled=False
        )
        gone = {**_with_link(other.resource, one.id, "replaced-by"), "active": False}
        changes = [
            changed(one, master),
            replace(changed(other, gone), person=one.person),
        ]
        written = [(each.key, each.version, each.version + 1) for each in record]
        written.append((moving.key_of("Patient", other.id), other.version, other.version + 1))
        ids = other.id, one.id
        statements = [
            statement,
            *moving.moves(made.id, other.person, one.person, ids, written, self._desk.tables),
            Statement(_ALIAS, (other.id, other.person, one.person, one.id)),
            state_of(other.person, "merged"),
            *further,
        ]
        await self._desk.commit(caller, changes, statements, puts=puts)
        return made

    async def _record(self, of: Master) -> list[Held]:
        record = await moving.record_of(self._db, of.person, of.id)
        if len(record) > moving.MOST:
            raise refused(
                f"the record to be moved has more than {moving.MOST} resources: merge the other"
                " way round, or split it first"
            )
        return record

    async def _settle(self, act: Merge) -> None:
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
        record = record[: moving.MOST]
        survivor, person = led["survivor"], led["person"]
        mapping = moving.referring(self._desk.base_url, act.merged, survivor)
        puts = [moving.next_version(each, person, mapping) for each in record]
        written = [(each.key, each.version, each.version + 1) for each in record]
        ids = act.merged, survivor
        statements = moving.moves(act.id, act.former, person, ids, written, self._desk.tables)
        await self._desk.commit(_REGISTER, [], statements, puts=puts)

    async def _unmerge(self, caller: Caller, act: Merge) -> None:
        one = await self._desk.master(act.survivor)
        head = ("Patient", act.merged)
        other = (await moving.given(self._db, [head])).get(head)
        if other is None or not other.body:
            raise refused("the merged Patient was deleted meanwhile")
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
        one, other = await self._desk.master(act.survivor), await self._desk.master(act.merged)
        await self._desk.standing(act)
        record = await self._record(other)
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
        master = _with_link(undone_in(then, made, one.resource), other.id, "replaces")
        reason = f"undoes the split {act.id}"
        further = [self._desk.taken_back(caller, act)]
        merged = await self._moved(caller, one, other, reason, record, master, puts, further)
        await self._settle(merged)

    async def _unlink(self, caller: Caller, act: Merge) -> None:
        pairs = {act.survivor: act.merged, act.merged: act.survivor}
        found = await moving.given(self._db, [("Patient", each) for each in pairs])
        changes = []
        for (_, id_), held in found.items():
            if held.body:
                master = Master(id_, held.person, held.version, parse(held.body))
                changes.append(changed(master, _without_link(master.resource, pairs[id_])))
        await self._desk.standing(act)
        await self._desk.commit(caller, changes, [self._desk.taken_back(caller, act)])

    async def _uncancel(self, caller: Caller, act: Merge) -> None:
        head = ("Patient", act.survivor)
        held = (await moving.given(self._db, [head]))[head]
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


async def keep_merged(caller: Caller, change: Change, stored: Stored | None) -> Change:
    """The keeper of Patients that lead to others: only acts change them. Raises Unprocessable."""
    refuse_merged(change, stored)
    return change


def _with_link(patient: Resource, other: str, type: str) -> Resource:
    link = {"other": {"reference": f"Patient/{other}"}, "type": type}
    others = [each for each in patient.get("link") or () if _other(each) != other]
    return {**patient, "link": [*others, link]}


def _without_link(patient: Resource, other: str) -> Resource:
    links = [
        each
        for each in patient.get("link") or ()
        if each.get("type") != "seealso" or _other(each) != other
    ]
    made = {key: value for key, value in patient.items() if key != "link"}
    return {**made, "link": links} if links else made


def _other(link: Mapping[str, Any]) -> str:
    return str((link.get("other") or {}).get("reference", "")).rpartition("/")[2]


def _rid_key(patient: Resource) -> bytes:
    for each in patient.get("identifier") or ():
        if each.get("system") == RID:
            return claim_key("person", RID, str(each.get("value")))
    return b""
