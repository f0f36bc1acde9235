"""Taking records out for good: for the administrator alone, every step in the journal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pater.access.caller import Caller
from pater.fhir.issues import Issue
from pater.records.changes import Change
from pater.records.errors import Forbidden, Unprocessable
from pater.records.ports import DONE, Ports
from pater.records.scope_filter import OUTSIDE, filter_of
from pater.records.writing import commit, require
from pater.store import expunge as store
from pater.store.expunge import Row
from pater.store.journal import JournalEntry
from pater.store.write import Statement

MOST_AT_ONCE = 1000
INTERACTION = "expunge"


@dataclass(frozen=True, slots=True)
class Expunge:
    """What shall go: of one resource, of a type (`id` ""), of all (`type` "")."""

    type: str
    id: str
    previous: bool = False
    deleted: bool = False
    everything: bool = False  # of one resource only: it is deleted first
    limit: int = MOST_AT_ONCE


@dataclass(frozen=True, slots=True)
class Expunged:
    """How many versions and whole resources went, and whether more may be left."""

    versions: int
    resources: int
    more: bool


async def expunge(ports: Ports, caller: Caller, wish: Expunge) -> Expunged:
    """One bounded batch of it. Raises Forbidden, Unprocessable."""
    reason = await _may(ports, caller, wish)
    deleted = wish.deleted
    if wish.everything:
        if wish.type == "Patient":
            text = "a Patient stays as deleted, because its number names the person"
            raise Unprocessable([Issue("error", "business-rule", "Patient", text)])
        change = Change("delete", wish.type, wish.id)
        await commit(ports, caller, [change], (), (), "")
        deleted = True
    left = min(wish.limit, MOST_AT_ONCE)
    rows: list[Row] = []

    async def tell(taken: Sequence[Row]) -> list[JournalEntry]:
        return await _entries(ports, caller, taken, reason)

    async def also(taken: Sequence[Row]) -> list[Statement]:
        found: list[Statement] = []
        for type, forget in ports.forgets.items():
            ids = [row[2] for row in taken if row[1] == type]
            if ids:
                found += await forget(ids)
        return found

    if deleted:
        rows += await store.take_deleted(ports.db, wish.type, wish.id, left, tell, also)
    if wish.previous and len(rows) < left:
        rest = left - len(rows)
        rows += await store.take_versions(ports.db, wish.type, wish.id, rest, tell)
    versions = sum(1 for row in rows if row[3])
    return Expunged(versions, len(rows) - versions, len(rows) >= left)


async def _may(ports: Ports, caller: Caller, wish: Expunge) -> str:
    """Who may delete everything of the type may expunge it; a role of less may not."""
    reason = await require(
        ports, caller, "delete", wish.type or "Basic", id=wish.id, interaction=INTERACTION
    )
    outside = filter_of(caller, "delete")
    narrow = outside is not None and (not wish.type or outside.touches(wish.type))
    if caller.role != "loader" or narrow:
        why = OUTSIDE if narrow else "no-role"
        await ports.refused(caller, "delete", wish.type, why, id=wish.id, interaction=INTERACTION)
        raise Forbidden(why)
    return reason


async def _entries(
    ports: Ports, caller: Caller, rows: Sequence[Row], reason: str
) -> list[JournalEntry]:
    """One entry for each resource that lost something, at its person."""
    lost: dict[tuple[int, str, str], int] = {}
    for person, type, id, _ in rows:
        lost[person, type, id] = lost.get((person, type, id), 0) + 1
    persons = {person for person, _, _ in lost if person}
    names = await ports.names.of_all(ports.db, persons) if persons else {}
    return [
        ports.entry(
            caller,
            "delete",
            DONE,
            reason,
            person=person,
            patient=names.get(person, ""),
            type=type,
            id=id,
            query=f"rows={number}",
            interaction=INTERACTION,
        )
        for (person, type, id), number in lost.items()
    ]
