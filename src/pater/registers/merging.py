"""Two persons who are one; two who may be; somebody who is nobody. And all of that taken back.

Numbers are never given again: the merged one leads to the survivor, whose record is found by
either.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any, Final

import asyncpg

from pater.access.caller import Caller
from pater.records.changes import Change
from pater.records.errors import Conflict, Forbidden, NotFound, Unprocessable
from pater.records.gate import Gate
from pater.registers import moving, splitting
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
)
from pater.registers.disputes import Disputes
from pater.registers.identifiers import RID
from pater.registers.joining import Joining, named, with_link
from pater.registers.moving import Key
from pater.registers.underway import Task, Underway, asker
from pater.registers.undoing import Undoing
from pater.store.database import Database
from pater.store.jobs import Job, JobFailed, LeaseLost
from pater.store.person_tables import PersonTable
from pater.store.read import Stored
from pater.store.write import Statement, claim_key

__all__ = ["Merge", "Merging", "keep_merged"]

Resource = dict[str, Any]

_ACTING: Final = """
select 1 from representation
where ended is null and ((person = $1 and agent = $2) or (person = $2 and agent = $1)) limit 1
"""
_FREED: Final = """
with gone as (
  delete from claim where person = $1::bigint and key <> $3::bytea returning key, target
)
insert into merge_row (merge, place, key)
select $2::text::uuid, 'freed', encode(key, 'hex') || '/' || target from gone
"""


def _nobody(_: int, __: int) -> None:
    """Hears what nobody has to be told."""


class Merging:
    """The acts. `tables` are the plain tables of all other rooms that carry a person number; `told`
    hears the numbers of persons whose records were joined or parted.
    """

    def __init__(
        self,
        gate: Gate,
        db: Database,
        tables: Sequence[PersonTable],
        *,
        base_url: str,
        random: Random,
        next_person: Callable[[], Awaitable[int]],
        told: Callable[[int, int], None] = _nobody,
    ) -> None:
        self._desk = Desk(gate, db, (*tables, *OWN), base_url, random, next_person)
        self.underway = Underway(db, gate.hold)
        """What is so large that a job does it."""
        self._joining = Joining(self._desk)
        self._undoing = Undoing(self._desk, self._joining)
        self._db = db
        self._told = told
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

        `versions` are those of the two Patients that the registrar saw. A large record is moved by
        a job: what is given then has its id. Raises Forbidden, NotFound, Unprocessable (why they
        cannot be merged), Conflict (somebody wrote in between, or moves one of them).
        """
        await self._desk.may(caller, reason)

        async def act() -> Merge:
            await self.underway.free(survivor, merged)
            one, other = await self._two(survivor, merged, versions)
            await self._apart(one, other)
            if await moving.more(self._db, other.person, other.id, moving.AT_ONCE):
                return await self._accepted(caller, one, other, reason, versions)
            return await self._joining.merge(caller, one, other, reason)

        made = await again(act, once=versions is not None)
        return made if made.job else await self._settled(made)

    async def _apart(self, one: Master, other: Master) -> None:
        if await self._db.fetchval(_ACTING, one.person, other.person):
            raise refused("one of the two acts for the other: end that first")

    async def _settled(self, made: Merge) -> Merge:
        self._told(made.person, made.former)
        await self._joining.settle(made)
        return await self._desk.one(made.id)

    async def _accepted(
        self,
        caller: Caller,
        one: Master,
        other: Master,
        reason: str,
        versions: tuple[int, int] | None,
    ) -> Merge:
        """A merge that a job will make."""
        made, _ = self._desk.written_down(caller, "merge", one, other, reason, settled=False)
        payload = {
            "kind": "merge",
            "survivor": one.id,
            "merged": other.id,
            "reason": reason,
            "versions": versions,
        }
        kept = [(one.id, 0), (other.id, other.person)]
        return replace(made, job=await self.underway.accept(caller, made.id, kept, payload))

    async def work(self, job: Job) -> dict[str, str]:
        """The handler of large acts: each is one transaction, so it begins anew where it died."""
        await self.underway.refresh()
        try:
            if job.payload["kind"] == "merge":
                await self._merge_by(job)
            else:
                await self._undo_by(job)
        except asyncpg.DivisionByZeroError as error:
            raise LeaseLost from error
        except Unprocessable as error:
            raise JobFailed(" ".join(each.text for each in error.issues)) from error
        except (Conflict, Forbidden, NotFound) as error:
            raise JobFailed(str(error)) from error
        finally:
            await self.underway.refresh()
        return {"act": job.payload["act"]}

    async def _merge_by(self, job: Job) -> None:
        asked, caller, task = job.payload, asker(job), Task(job)
        versions = tuple(asked["versions"]) if asked["versions"] else None

        async def act() -> Merge:
            one, other = await self._two(asked["survivor"], asked["merged"], versions)
            await self._apart(one, other)
            return await self._joining.merge(caller, one, other, asked["reason"], task)

        try:
            made = await self._desk.one(task.act)  # a worker died after it was written
        except NotFound:
            await self._desk.may(caller, asked["reason"])
            made = await again(act, once=versions is not None)
        await self._settled(made)

    async def _undo_by(self, job: Job) -> None:
        caller, task = asker(job), Task(job)
        await self._desk.may(caller, "undo")
        if (await self._desk.one(task.act)).undone is None:
            await self._undone(caller, task.act, task)

    async def link(self, caller: Caller, one: str, other: str, reason: str) -> Merge:
        """Notes that two Patients may be one person; their records stay apart.

        Raises as `merge`.
        """
        await self._desk.may(caller, reason)

        async def act() -> Merge:
            await self.underway.free(one, other)
            first, second = await self._two(one, other, None)
            if any(named(each) == other for each in first.resource.get("link") or ()):
                raise refused("these two are linked already")
            changes = [
                changed(first, with_link(first.resource, other, "seealso")),
                changed(second, with_link(second.resource, one, "seealso")),
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
        await self.underway.free(patient)
        made = await again(lambda: splitting.split(self._desk, caller, wish))
        self._told(made.person, made.former)
        return await self._desk.one(made.id)

    async def cancel(self, caller: Caller, patient: str, reason: str) -> Merge:
        """Takes somebody out of the register who was entered by mistake and has no record.

        The number stays taken; the identifiers are free for whom they belong to. Raises as `merge`.
        """
        await self._desk.may(caller, reason)

        async def act() -> Merge:
            await self.underway.free(patient)
            one = await self._desk.master(patient)
            if await moving.more(self._db, one.person, one.id, 0):
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
        """Takes an act back: what it moved goes back, with what was written of it meanwhile; by a
        job where that is much, as `merge`.

        Raises Forbidden, NotFound, Unprocessable (what was built on it comes first), Conflict (it
        is undone already, or somebody wrote in between).
        """
        await self._desk.may(caller, "undo")
        found = await self._one(act)
        await self.underway.free(found.survivor, found.merged)
        if found.undone is None and await self._undoing.large(found):
            await self._desk.standing(found)
            whose = found.former if found.kind == "split" else found.person
            kept = [(found.survivor, 0), (found.merged, whose)]
            job = await self.underway.accept(caller, act, kept, {"kind": "undo"})
            return replace(found, job=job)
        return await self._undone(caller, act)

    async def _undone(self, caller: Caller, act: str, task: Task | None = None) -> Merge:
        async def undoing() -> Merge:
            found = await self._desk.one(act)
            await self._undoing.undo(caller, found, task)
            return found

        done = await again(undoing)
        self._told(done.person, done.former)
        return await self._desk.one(act)

    async def _one(self, act: str) -> Merge:
        """An act. Raises NotFound; Conflict for one that is still to come."""
        try:
            return await self._desk.one(act)
        except NotFound:
            coming = await self.underway.of_act(act)
            if coming is None or not coming.unfinished:
                raise
            raise Conflict("this is under way: wait for its end") from None

    async def of(self, patient: str) -> list[Merge]:
        """What was done with a Patient, the newest first."""
        return await self._desk.of(patient)

    async def one(self, act: str) -> Merge:
        """One act. Raises NotFound."""
        return await self._desk.one(act)

    async def follow(self, stop: asyncio.Event) -> None:
        """In the background: what was being written when a process ended follows its merge."""
        await self._joining.follow(stop)

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


async def keep_merged(caller: Caller, change: Change, stored: Stored | None) -> Change:
    """The keeper of Patients that lead to others: only acts change them. Raises Unprocessable."""
    refuse_merged(change, stored)
    return change


def _rid_key(patient: Resource) -> bytes:
    for each in patient.get("identifier") or ():
        if each.get("system") == RID:
            return claim_key("person", RID, str(each.get("value")))
    return b""
