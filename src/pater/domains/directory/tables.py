"""The plain tables of this domain: runs of imports and what they wrote, birth dates, disputes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any
from uuid import UUID

import orjson

from pater.store.database import Database, Record

DONE_CHANGES = "delete from directory_change where run = $1 and n = any($2::bigint[])"
WROTE = """
insert into directory_entry (source, type, id, digest, owner)
select $1, * from unnest($2::text[], $3::text[], $4::bytea[], $5::text[])
on conflict (source, type, id) do update set digest = excluded.digest, owner = excluded.owner
"""
ENDED = """
update directory_entry e set digest = '' from unnest($2::text[], $3::text[]) as k(type, id)
where e.source = $1 and e.type = k.type and e.id = k.id
"""
_NEW_RUN = """
insert into directory_run (source, file, day, part, state, started, report)
values ($1, $2, $3, $4, 'looking', $5, '{}') returning run
"""
_SEEN = """
insert into directory_seen (run, type, id, line, digest)
select $1, * from unnest($2::text[], $3::text[], $4::int[], $5::bytea[])
on conflict do nothing
"""
_STANDING = """
select k.type, k.id, s.line, s.digest, e.digest as before
from unnest($2::text[], $3::text[]) as k(type, id)
join directory_seen s on s.run = $1 and s.type = k.type and s.id = k.id
left join directory_entry e on e.source = $4 and e.type = k.type and e.id = k.id
"""
_STAGE = """
insert into directory_change (run, rank, type, id, digest, owner, body)
select $1, * from unnest($2::smallint[], $3::text[], $4::text[], $5::bytea[], $6::text[],
    $7::bytea[])
"""
_NEXT = """
select n, type, id, digest, owner, body from directory_change
where run = $1 order by rank, n limit $2
"""
_MISSING = """
select e.type, e.id from directory_entry e
where e.source = $2 and e.digest <> ''
  and not exists (select from directory_seen s
                  where s.run = $1 and (s.type, s.id) in ((e.type, e.id), ('', e.owner)))
order by e.type, e.id limit $3
"""
_COUNT_MISSING = """
select e.type, count(*) as found,
  count(*) filter (where not exists (
    select from directory_seen s
    where s.run = $1 and (s.type, s.id) in ((e.type, e.id), ('', e.owner)))) as missing
from directory_entry e where e.source = $2 and e.digest <> '' group by e.type
"""
_BORN = """
insert into directory_born (practitioner, born) select * from unnest($1::text[], $2::date[])
on conflict (practitioner) do update set born = excluded.born
where directory_born.born <> excluded.born
"""
_DISPUTE = """
insert into directory_dispute (id, type, target, element, claim, organization, who, at, state,
    answer, decided_by)
values ($1, $2, $3, $4, $5, $6, $7, $8, 'open', '', '')
on conflict (id) do nothing
"""
_DISPUTES_OF = """
select * from directory_dispute where (type, target) in
  (select * from unnest($1::text[], $2::text[])) and state = 'open' order by at limit 200
"""
_OPEN = """
select * from directory_dispute where state = 'open' and (at, id) > ($1, $2)
order by at, id limit $3
"""
_DECIDED = """
select * from directory_dispute where decided is not null and (decided, id) < ($1, $2)
order by decided desc, id desc limit $3
"""
_OF_PROVIDER = """
select * from directory_dispute where organization = $1 and organization <> ''
order by at desc limit $2
"""
_FIRST = (datetime.min.replace(tzinfo=UTC), UUID(int=0))
_LAST = (datetime.max.replace(tzinfo=UTC), UUID(int=2**128 - 1))
_DECIDE = """
update directory_dispute set state = $2, answer = $3, decided = $4, decided_by = $5
where id = $1 and state = 'open' returning id
"""


@dataclass(frozen=True, slots=True)
class Made:
    """One resource of a row, ready to be compared."""

    type: str
    id: str
    line: int
    digest: bytes
    owner: str


@dataclass(frozen=True, slots=True)
class Standing:
    """Which row brought a resource first in this run, with which content, and what stood before."""

    line: int
    digest: bytes
    before: bytes | None  # None = no import wrote it yet; b"" = it was ended


@dataclass(frozen=True, slots=True)
class Waiting:
    """A resource to be written."""

    n: int
    type: str
    id: str
    digest: bytes
    owner: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Dispute:
    """Somebody says that a datum of the register is wrong: a provider (`organization`, IČO), or
    a basic register (`who`, with no organisation). `state`: open, accepted, refused.
    """

    id: UUID
    type: str
    target: str
    element: str
    claim: str
    organization: str
    at: datetime
    who: str = ""
    state: str = "open"
    answer: str = ""
    decided: datetime | None = None
    decided_by: str = ""


async def new_run(
    db: Database, source: str, file: str, day: date, part: bool, now: datetime
) -> int:
    """Begins a run; what older runs of the source left behind is removed."""
    old = "select run from directory_run where source = $1"
    await db.execute(f"delete from directory_seen where run in ({old})", source)  # noqa: S608
    await db.execute(f"delete from directory_change where run in ({old})", source)  # noqa: S608
    run: int = await db.fetchval(_NEW_RUN, source, file, day, part, now)
    return run


async def run_state(db: Database, run: int) -> tuple[str, date, dict[str, Any]] | None:
    """State, day and report of a run."""
    row = await db.fetchrow("select state, day, report from directory_run where run = $1", run)
    return None if row is None else (row["state"], row["day"], orjson.loads(row["report"]))


async def latest_run(db: Database, source: str) -> int:
    """The newest run of a source; 0 = there is none."""
    sql = "select coalesce(max(run), 0) from directory_run where source = $1"
    found: int = await db.fetchval(sql, source)
    return found


async def set_run(
    db: Database, run: int, state: str, report: Mapping[str, Any], finished: datetime | None = None
) -> None:
    """Says how a run stands."""
    await db.execute(
        "update directory_run set state = $2, report = $3, finished = $4 where run = $1",
        run,
        state,
        orjson.dumps(dict(report)).decode(),
        finished,
    )


async def forget_run(db: Database, run: int) -> None:
    """Removes what a run that is over needed."""
    await db.execute("delete from directory_seen where run = $1", run)
    await db.execute("delete from directory_change where run = $1", run)


async def see(
    db: Database, run: int, source: str, made: Sequence[Made]
) -> dict[tuple[str, str], Standing]:
    """Notes what rows bring; for each resource says which row was the first to bring it."""
    types, ids = [m.type for m in made], [m.id for m in made]
    await db.execute(_SEEN, run, types, ids, [m.line for m in made], [m.digest for m in made])
    rows = await db.fetch(_STANDING, run, types, ids, source)
    return {
        (row["type"], row["id"]): Standing(row["line"], row["digest"], row["before"])
        for row in rows
    }


async def stage(db: Database, run: int, rows: Sequence[tuple[int, Made, bytes]]) -> None:
    """Keeps resources to be written: (rank, resource, body)."""
    await db.execute(
        _STAGE, run, [rank for rank, _, _ in rows], [m.type for _, m, _ in rows],
        [m.id for _, m, _ in rows], [m.digest for _, m, _ in rows],
        [m.owner for _, m, _ in rows], [b for _, _, b in rows],
    )  # fmt: skip


async def next_changes(db: Database, run: int, count: int) -> list[Waiting]:
    """The next resources to be written."""
    return [Waiting(**dict(row)) for row in await db.fetch(_NEXT, run, count)]


async def missing(db: Database, run: int, source: str, count: int) -> list[tuple[str, str]]:
    """Resources that the source had and this run's file has not: (type, id)."""
    rows = await db.fetch(_MISSING, run, source, count)
    return [(row["type"], row["id"]) for row in rows]


async def count_missing(db: Database, run: int, source: str) -> dict[str, tuple[int, int]]:
    """By type: how many the source has, and how many of them the file has not."""
    rows = await db.fetch(_COUNT_MISSING, run, source)
    return {row["type"]: (row["found"], row["missing"]) for row in rows}


async def set_born(db: Database, born: Mapping[str, date]) -> None:
    """Keeps birth dates of practitioners, by id."""
    if born:
        await db.execute(_BORN, list(born), list(born.values()))


async def born_on(db: Database, day: date, count: int) -> list[str]:
    """Practitioners (ids) born on a day."""
    rows = await db.fetch(
        "select practitioner from directory_born where born = $1 limit $2", day, count
    )
    return [row["practitioner"] for row in rows]


async def add_dispute(db: Database, one: Dispute, who: str) -> None:
    """Keeps a dispute."""
    await db.execute(
        _DISPUTE, one.id, one.type, one.target, one.element, one.claim, one.organization, who,
        one.at,
    )  # fmt: skip


async def disputes_of(db: Database, keys: Sequence[tuple[str, str]]) -> list[Dispute]:
    """The open disputes about resources."""
    rows = await db.fetch(_DISPUTES_OF, [t for t, _ in keys], [i for _, i in keys])
    return [_dispute(row) for row in rows]


async def open_disputes(
    db: Database, count: int, after: tuple[datetime, UUID] | None = None
) -> list[Dispute]:
    """The oldest open ones; `after` = moment and id of the last one of the page before."""
    return [_dispute(row) for row in await db.fetch(_OPEN, *(after or _FIRST), count)]


async def decided_disputes(
    db: Database, count: int, after: tuple[datetime, UUID] | None = None
) -> list[Dispute]:
    """Those that were decided, the latest first."""
    return [_dispute(row) for row in await db.fetch(_DECIDED, *(after or _LAST), count)]


async def disputes_by(db: Database, organization: str, count: int) -> list[Dispute]:
    """What a provider said to be wrong, the newest first."""
    return [_dispute(row) for row in await db.fetch(_OF_PROVIDER, organization, count)]


async def dispute_by_id(db: Database, id: UUID) -> Dispute | None:
    """One dispute."""
    row = await db.fetchrow("select * from directory_dispute where id = $1", id)
    return None if row is None else _dispute(row)


async def decide_dispute(
    db: Database, id: UUID, state: str, answer: str, who: str, now: datetime
) -> bool:
    """Closes an open dispute; False when it is not open (any more)."""
    return await db.fetchval(_DECIDE, id, state, answer, now, who) is not None


def _dispute(row: Record) -> Dispute:
    return Dispute(**dict(row))
