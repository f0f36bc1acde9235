"""The plain tables of files of persons: rows that a run has seen, rows that could not be taken."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson
import zstandard

from pater.store.database import Database, Record

__all__ = ["Database", "Refused", "Seen"]

_SEE: Final = """
insert into person_file_seen (run, key, line, digest)
select $1::text::uuid, * from unnest($2::bytea[], $3::int[], $4::bytea[]) on conflict do nothing
"""
_SEEN: Final = """
select key, line, digest from person_file_seen
where run = $1::text::uuid and key = any($2::bytea[])
"""
_ABANDONED: Final = """
delete from person_file_seen s where not exists (
  select from job j where j.id = s.run and j.state in ('waiting', 'running'))
"""
_KEEP: Final = """
insert into person_file_refused (id, source, system, number, digest, at, file, line, place, reason,
                                 twice, tries, layout, body)
select k.id::uuid, k.source, k.system, k.number, k.digest, $1, k.file, k.line, k.place, k.reason,
       k.twice, 1, k.layout::jsonb, k.body
from unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::text[], $8::int[],
            $9::text[], $10::text[], $11::bool[], $12::text[], $13::bytea[])
  as k(id, source, system, number, digest, file, line, place, reason, twice, layout, body)
on conflict (source, system, digest) do update
set file = excluded.file, line = excluded.line, place = excluded.place,
    reason = excluded.reason, twice = excluded.twice, number = excluded.number,
    tries = person_file_refused.tries + 1
"""
_COLUMNS: Final = (
    "id, source, system, number, digest, at, file, line, place, reason, twice, tries, layout, body"
)
_WAITING: Final = (
    f"select {_COLUMNS} from person_file_refused"  # noqa: S608 constants
    " where ($1 = '' or source = $1) and (at, id) > ($3, $4::text::uuid) order by at, id limit $2"
)
_SETTLED: Final = (
    "delete from person_file_refused where source = $1 and system = $2 and number = any($3::text[])"
)
_FIRST: Final = (datetime(1970, 1, 1, tzinfo=UTC), "00000000-0000-0000-0000-000000000000")


@dataclass(frozen=True, slots=True)
class Seen:
    """The row of a run that was the first to name somebody by a key, and a hash of what it says."""

    line: int
    digest: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """A row in quarantine; `layout` and `body` are how it stood in its file."""

    id: str
    source: str
    system: str
    number: str
    digest: bytes
    at: datetime
    file: str
    line: int
    place: str
    reason: str
    twice: bool
    tries: int
    layout: Mapping[str, Any]
    body: bytes


async def see(
    db: Database, run: str, rows: Sequence[tuple[bytes, int, bytes]]
) -> dict[bytes, Seen]:
    """Notes by which keys rows name somebody (key, line, hash), and says which row was the first
    of the run to do so.
    """
    found = {}
    keys = [key for key, _, _ in rows]
    await db.execute(_SEE, run, keys, [line for _, line, _ in rows], [d for _, _, d in rows])
    for row in await db.fetch(_SEEN, run, keys):
        found[bytes(row["key"])] = Seen(row["line"], bytes(row["digest"]))
    return found


async def unsee(db: Database, run: str) -> None:
    """Forgets what a run that has ended saw, and what runs saw that nobody goes on with."""
    await db.execute("delete from person_file_seen where run = $1::text::uuid", run)
    await db.execute(_ABANDONED)


async def keep(db: Database, now: datetime, refused: Sequence[Refused]) -> None:
    """Puts rows into quarantine; one that is there already was tried once more."""
    if not refused:
        return
    once = list({(each.source, each.system, each.digest): each for each in refused}.values())
    pack = zstandard.ZstdCompressor().compress
    await db.execute(
        _KEEP, now,
        [each.id for each in once], [each.source for each in once],
        [each.system for each in once], [each.number for each in once],
        [each.digest for each in once], [each.file[:200] for each in once],
        [each.line for each in once], [each.place[:200] for each in once],
        [each.reason[:1000] for each in once], [each.twice for each in once],
        [orjson.dumps(dict(each.layout)).decode() for each in once],
        [pack(each.body) for each in once],
    )  # fmt: skip


async def settle(db: Database, source: str, system: str, numbers: Sequence[str]) -> None:
    """What was refused of these numbers waits no longer: they were told of since."""
    if numbers:
        await db.execute(_SETTLED, source, system, list(numbers))


async def waiting(
    db: Database, source: str, most: int, after: Refused | None = None
) -> list[Refused]:
    """Rows in quarantine, the oldest first; of one source, or "" of all."""
    at, id = (after.at, after.id) if after is not None else _FIRST
    rows = await db.fetch(_WAITING, source, most, at, id)
    return [_refused(row) for row in rows]


async def count(db: Database, source: str) -> int:
    """How many rows of a source are in quarantine."""
    found: int = await db.fetchval(
        "select count(*) from person_file_refused where source = $1", source
    )
    return found


async def one(db: Database, id: str) -> Refused | None:
    """One row in quarantine."""
    row = await db.fetchrow(
        f"select {_COLUMNS} from person_file_refused where id = $1::text::uuid",  # noqa: S608
        id,
    )
    return None if row is None else _refused(row)


async def drop(db: Database, id: str) -> bool:
    """Takes a row out of quarantine; False when it was not there."""
    gone = await db.fetchval(
        "delete from person_file_refused where id = $1::text::uuid returning id", id
    )
    return gone is not None


async def forget(db: Database, until: datetime) -> None:
    """Takes out rows that nobody looked after."""
    await db.execute("delete from person_file_refused where at < $1", until)


def _refused(row: Record) -> Refused:
    values = dict(row)
    values["id"] = str(values["id"])
    values["digest"] = bytes(values["digest"])
    values["layout"] = orjson.loads(values["layout"])
    values["body"] = zstandard.ZstdDecompressor().decompress(values["body"])
    return Refused(**values)
