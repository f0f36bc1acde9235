"""Taking versions out for good: superseded ones and deletions, in bounded batches."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.store.database import Connection, Database, Record
from pater.store.journal import JournalEntry, write_entries
from pater.store.write import Statement

Row = tuple[int, str, str, int]
"""Person, type, id and version of what was taken out; version 0 = the resource itself."""
Tell = Callable[[Sequence[Row]], Awaitable[Sequence[JournalEntry]]]
Also = Callable[[Sequence[Row]], Awaitable[Sequence[Statement]]]

_OF_ONE = "select type, id, version from history where type = $2 and id = $3 limit $1"
_OF_TYPE = "select type, id, version from history where type = $2 order by updated, rid limit $1"
_OF_ALL = "select type, id, version from history limit $1"
_TAKE_VERSIONS = """
delete from history h using ({which}) k
where h.type = k.type and h.id = k.id and h.version = k.version
returning h.person, h.type, h.id, h.version
"""
_GONE = """
select type, id from resource where deleted and type <> {patient}{which}
limit $1 for update skip locked
"""
_VERSIONS_OF = """
select h.type, h.id, h.version from unnest($2::smallint[], $3::text[]) as k(type, id)
join history h on h.type = k.type and h.id = k.id limit $1
"""
_TAKE_ROWS = """
with gone as (
  delete from resource r using unnest($1::smallint[], $2::text[]) as k(type, id)
  where r.type = k.type and r.id = k.id and r.deleted
    and not exists (select from history h where h.type = k.type and h.id = k.id)
  returning r.person, r.type, r.id, r.rid
), words as (
  delete from text_index t using gone g where t.rid = g.rid
)
select person, type, id, 0 as version from gone
"""


async def take_versions(db: Database, type: str, id: str, limit: int, tell: Tell) -> list[Row]:
    """Takes up to `limit` superseded versions out: of one resource, a type ("" id), all ("" type).

    `tell` makes the journal entries of what was taken; they are written in the same transaction.
    """
    async with db.transaction() as connection:
        if id:
            rows = await _versions(connection, _OF_ONE, limit, TYPE_NUMBER[type], id)
        elif type:
            rows = await _versions(connection, _OF_TYPE, limit, TYPE_NUMBER[type])
        else:
            rows = await _versions(connection, _OF_ALL, limit)
        await write_entries(connection, await tell(rows))
    return rows


async def take_deleted(
    db: Database, type: str, id: str, limit: int, tell: Tell, also: Also | None = None
) -> list[Row]:
    """Takes deleted resources with all their versions out, together up to `limit` rows.

    A resource goes when its last version has gone, and with it what `also` says. A Patient's
    deletion stays: its number names the person, also elsewhere.
    """
    which, args = "", list[object]()
    if type:
        which, args = " and type = $2", [TYPE_NUMBER[type]]
    if id:
        which, args = f"{which} and id = $3", [*args, id]
    gone = _GONE.format(patient=TYPE_NUMBER["Patient"], which=which)
    async with db.transaction() as connection:
        found = await connection.fetch(gone, limit, *args)
        if not found:
            return []
        keys = [row["type"] for row in found], [row["id"] for row in found]
        rows = await _versions(connection, _VERSIONS_OF, limit, *keys)
        if len(rows) < limit:
            whole = _plain(await connection.fetch(_TAKE_ROWS, *keys))
            rows += whole
            for statement in await also(whole) if also else ():
                await connection.execute(statement.sql, *statement.args)
        await write_entries(connection, await tell(rows))
    return rows


async def _versions(connection: Connection, which: str, limit: int, *args: object) -> list[Row]:
    return _plain(await connection.fetch(_TAKE_VERSIONS.format(which=which), limit, *args))


def _plain(rows: Sequence[Record]) -> list[Row]:
    return [(r["person"], RESOURCE_TYPES[r["type"]], r["id"], r["version"]) for r in rows]
