"""What all acts of a registrar upon persons have in common: who may, on what, and how it is kept.

Each act is one transaction, written down with its reason, and can be undone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Any, Final, Literal, TypeVar

import asyncpg
import orjson

from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.records.changes import Change
from pater.records.errors import Conflict, Forbidden, NotFound, PreconditionFailed, Unprocessable
from pater.records.gate import Gate
from pater.records.patient_names import is_merged
from pater.registers import moving
from pater.store.database import Database, Record
from pater.store.person_tables import PersonTable
from pater.store.read import Stored
from pater.store.write import Before, Claim, Put, Statement

Resource = dict[str, Any]
Kind = Literal["merge", "link", "split", "cancel"]
T = TypeVar("T")

ROLES: Final = frozenset({"registrar", "loader"})
_LONGEST: Final = 2000
"""Who may say that two persons are one, or one is two."""
INTERACTION: Final = "merge"
MOST_LISTED: Final = 200
"""Acts about one person that are listed."""
SOURCES: Final = (
    PersonTable("source_record", "concat_ws('|', t.source, t.system, t.value)"),
    PersonTable("source_past", "concat_ws('|', t.source, t.system, t.value)"),
)
"""What sources say of a person, by the number under which they say it."""
OWN: Final = (
    *SOURCES,
    PersonTable("dispute", "t.id"),
    PersonTable("authorisation", "t.id"),
    PersonTable("authorisation", "t.id", person="agent"),
    PersonTable("basic_waiting", "encode(t.key, 'hex')"),
)
"""The tables of this room that carry a person number."""

_ATTEMPTS: Final = 5
_COLUMNS: Final = (
    "id, kind, survivor, merged, person, former, reason, by, by_name, at, seq, heads, settled,"
    " undone, undone_by"
)
_ONE: Final = f"select {_COLUMNS} from merge where id = $1::text::uuid"  # noqa: S608 constants
_OF: Final = (
    f"select {_COLUMNS} from merge where survivor = $1 union"  # noqa: S608 constants
    f" select {_COLUMNS} from merge where merged = $1 order by seq desc limit $2"
)
_OPEN: Final = f"select {_COLUMNS} from merge where not settled order by seq limit $1"  # noqa: S608
_MADE: Final = """
insert into merge (id, kind, survivor, merged, person, former, reason, by, by_name, at, heads,
                   settled)
values ($1::text::uuid, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11::text::jsonb, $12)
"""
_UNDONE: Final = "update merge set undone = $2, undone_by = $3 where id = $1::text::uuid"
_LATER: Final = """
select 1 from merge m where m.undone is null and m.kind <> 'link' and m.seq > $1
  and (m.survivor = any($2::text[]) or m.merged = any($2::text[])) limit 1
"""


@dataclass(frozen=True, slots=True)
class Merge:
    """One act of a registrar; `survivor` and `merged` are Patient ids (of a split, `merged` is the
    new one; of a cancellation both are the same).
    """

    id: str
    kind: Kind
    survivor: str
    merged: str
    person: int
    former: int
    reason: str
    by: str
    by_name: str
    at: datetime
    seq: int
    heads: Mapping[str, list[int]]
    settled: bool
    undone: datetime | None
    undone_by: str
    job: str = ""
    """Who makes it, or takes it back: it is accepted and not yet done."""


@dataclass(frozen=True, slots=True)
class Master:
    """A Patient of the register as it stands."""

    id: str
    person: int
    version: int
    resource: Resource


@dataclass(frozen=True, slots=True)
class Desk:
    """What acts are done with; `tables` are all plain tables that carry a person number."""

    gate: Gate
    db: Database
    tables: tuple[PersonTable, ...]
    base_url: str
    random: Random
    next_person: Callable[[], Awaitable[int]]

    async def may(self, caller: Caller, reason: str) -> None:
        """Raises Forbidden; Unprocessable without a reason."""
        await self.gate.require(caller, "update", "Patient")
        if caller.role not in ROLES:
            await self.gate.refuse(caller, "update", "Patient", "no-role")
            raise Forbidden("no-role")
        if not reason.strip():
            raise refused("say why")
        if len(reason) > _LONGEST or not all(each.isprintable() for each in reason.split()):
            raise refused(f"the reason is up to {_LONGEST} characters, without control characters")

    async def master(self, patient: str) -> Master:
        """A Patient upon which something may be done. Raises NotFound, Unprocessable."""
        if not patient.isascii() or not patient.isprintable():  # the database would not take it
            raise NotFound("Patient", patient)
        held = (await moving.given(self.db, [("Patient", patient)])).get(("Patient", patient))
        if held is None or not held.body:
            raise NotFound("Patient", patient)
        resource = parse(held.body)
        if is_merged(resource):
            raise refused("this Patient was merged: name the one it leads to, or undo that first")
        state = await self.db.fetchval("select state from person where person = $1", held.person)
        if state == "cancelled":
            raise refused("this Patient was cancelled: undo that first")
        return Master(patient, held.person, held.version, resource)

    async def one(self, act: str) -> Merge:
        """One act. Raises NotFound."""
        try:
            row = await self.db.fetchrow(_ONE, act)
        except asyncpg.DataError:
            row = None
        if row is None:
            raise NotFound("Merge", act)
        return _merge_of(row)

    async def of(self, patient: str) -> list[Merge]:
        """What was done with a Patient, the newest first."""
        rows = await self.db.fetch(_OF, patient, MOST_LISTED)
        return [_merge_of(row) for row in rows]

    async def unsettled(self) -> list[Merge]:
        """Merges whose latecomers have still to follow."""
        return [_merge_of(row) for row in await self.db.fetch(_OPEN, MOST_LISTED)]

    async def standing(self, act: Merge) -> None:
        """Raises Conflict when an act was undone, Unprocessable when another one builds on it.

        Asked after the Patients were read: who changes one of them meanwhile makes the commit fail.
        """
        if (await self.one(act.id)).undone is not None:
            raise Conflict("this was undone already")
        if act.kind == "link":
            return
        if await self.db.fetchval(_LATER, act.seq, [act.survivor, act.merged]):
            raise refused("a later act builds on this one: undo the later one first")

    async def version(self, patient: str, version: int, now: Master | None = None) -> Resource:
        """A Patient as it was in a version. Raises Unprocessable: it was expunged."""
        if now is not None and now.version == version:
            return now.resource
        found = await moving.past(self.db, [("Patient", patient, version)])
        body = found.get(("Patient", patient))
        if not body:
            raise refused("an earlier version was expunged: this can no longer be undone")
        return parse(body)

    def written_down(
        self, caller: Caller, kind: Kind, one: Master, other: Master, reason: str,
        *, settled: bool = True, id: str = "",
    ) -> tuple[Merge, Statement]:  # fmt: skip
        """An act (under an id), and what writes it down."""
        heads = {
            "survivor": [one.version, one.version + 1],
            "merged": [other.version, other.version + 1],
        }
        made = Merge(
            id or self.gate.new_id(), kind, one.id, other.id, one.person, other.person, reason,
            caller.id, caller.name, self.gate.now(), 0, heads, settled, None, "",
        )  # fmt: skip
        statement = Statement(
            _MADE,
            (
                made.id, kind, one.id, other.id, one.person, other.person, reason, caller.id,
                caller.name, made.at, orjson.dumps(heads).decode(), settled,
            ),
        )  # fmt: skip
        return made, statement

    def taken_back(self, caller: Caller, act: Merge) -> Statement:
        """What notes that an act was undone."""
        return Statement(_UNDONE, (act.id, self.gate.now(), caller.id))

    async def commit(
        self,
        caller: Caller,
        changes: Sequence[Change],
        statements: Sequence[Statement],
        *,
        puts: Sequence[Put] = (),
        claims: Sequence[Claim] = (),
        back: frozenset[int] = frozenset(),
        before: Before | None = None,
    ) -> None:
        """Everything of an act in one transaction; `before` makes the parts of a large one."""
        reason = self.gate.decide(caller, "update", "Patient").reason
        await self.gate.commit(
            caller, changes, claims=claims, statements=statements, interaction=INTERACTION,
            reason=reason, also=puts, back=back, before=before,
        )  # fmt: skip


def state_of(person: int, state: str) -> Statement:
    """Sets the state of a person."""
    return Statement("update person set state = $2 where person = $1", (person, state))


def refused(text: str) -> Unprocessable:
    """The refusal of an act."""
    return Unprocessable([Issue("error", "business-rule", "", text)])


def refuse_merged(change: Change, stored: Stored | None) -> None:
    """Raises Unprocessable for a change of a Patient that leads to another one, unless it is an
    act's own. For the keeper of Patient.
    """
    if change.derived or stored is None or stored.deleted or b'"replaced-by"' not in stored.body:
        return
    if is_merged(parse(stored.body)):
        text = "this Patient was merged: change the one that it leads to (Patient.link)"
        raise Unprocessable([Issue("error", "business-rule", change.path or "Patient", text)])


async def again(act: Callable[[], Awaitable[T]], *, once: bool = False) -> T:
    """Does an act; when somebody wrote in between, on what stands now."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return await act()
        except PreconditionFailed as error:
            if once or attempt == _ATTEMPTS:
                raise Conflict("somebody changed one of the Patients: look again") from error
        except Conflict:
            if once or attempt == _ATTEMPTS:
                raise
        await asyncio.sleep(0)
    raise AssertionError("the last attempt returns or raises")


def changed(one: Master, resource: Resource) -> Change:
    """A new version of a Patient, over the one that was seen."""
    return Change(
        "update", "Patient", one.id, resource,
        if_match=one.version, person=one.person, derived=True,
    )  # fmt: skip


def undone_in(before: Resource, after: Resource, now: Resource) -> Resource:
    """What stands now without what led from `before` to `after`; what came later stays."""
    made: Resource = {}
    for key in dict.fromkeys([*now, *before]):
        old, new, current = before.get(key), after.get(key), now.get(key)
        if current == new:
            value = old
        elif isinstance(current, list) and isinstance(new, list | None):
            added = [each for each in new or () if each not in (old or ())]
            lost = [each for each in old or () if each not in (new or ())]
            value = [*lost, *(each for each in current if each not in added)]
        else:
            value = current
        if value not in (None, []):
            made[key] = value
    return made


def _merge_of(row: Record) -> Merge:
    values = dict(row)
    values["id"] = str(values["id"])
    values["heads"] = orjson.loads(values["heads"])
    return Merge(**values)
