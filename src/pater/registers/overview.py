"""What registrars see of persons beside their Patients, and of the register as a whole.

Counts only; whoever shows a person asks the gate for who it is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database

MOST: Final = 10_000
"""Up to here things are counted; more is shown as more."""
_PATIENT: Final = TYPE_NUMBER["Patient"]
_STANDING: Final = "select person, rid, temporary, state from person where person = any($1)"
_SIZE: Final = """
select
  (select count(*) from (select from resource where person = $1 and not deleted and type <> $2
                         limit $3) r) as records,
  (select count(*) from (select from source_record where person = $1 limit $3) s) as sources,
  exists (select from account where person = $1) as account
"""
# How many there are is the planner's estimate: an exact number would be a walk through all.
_ALL: Final = "select greatest(reltuples, 0)::bigint from pg_class where oid = 'person'::regclass"
_FEW: Final = "select count(*) from (select from person limit $1) p"
_TEMPORARY: Final = "select count(*) from (select from person where temporary limit $1) p"
_OPEN: Final = """
select c.age, count(*) as cases, min(c.made) as oldest from (
  select made, case when made > $1::timestamptz - interval '1 day' then 'day'
                    when made > $1::timestamptz - interval '7 days' then 'week'
                    when made > $1::timestamptz - interval '30 days' then 'month'
                    else 'older' end as age
  from match_case where state = 'open' limit $2) c
group by c.age
"""
_TAKEN_IN: Final = """
select (p.created at time zone 'Europe/Prague')::date as day, p.temporary, count(*) as persons
from person p where p.created >= $1 group by 1, 2
"""
_CASES: Final = """
select (made at time zone 'Europe/Prague')::date as day, count(*) as cases
from match_case where made >= $1 group by 1
"""
_DECISIONS: Final = """
select decision, count(*) as cases from match_case
where state = 'decided' and decided >= $1 group by 1
"""
_ACTS: Final = """
select kind, undone is not null as undone, count(*) as acts from merge where at >= $1 group by 1, 2
"""
_DISPUTES: Final = "select count(*) from (select from dispute where state = 'open' limit $1) d"


@dataclass(frozen=True, slots=True)
class Standing:
    """How a person stands: number, whether it is for the time being, valid, merged or cancelled."""

    rid: str
    temporary: bool
    state: str


@dataclass(frozen=True, slots=True)
class Size:
    """What hangs on a person, without saying what it is (each up to MOST)."""

    records: int
    sources: int
    account: bool


@dataclass(frozen=True, slots=True)
class Day:
    """What came in on one day: persons for good and for the time being, cases."""

    day: str
    lasting: int
    temporary: int
    cases: int


@dataclass(frozen=True, slots=True)
class Quality:
    """The register as a whole: `open` by age, `decisions` and `acts` of the span by kind."""

    persons: int
    temporary: int
    open: Mapping[str, int]
    oldest: datetime | None
    disputes: int
    days: tuple[Day, ...]
    decisions: Mapping[str, int]
    acts: Mapping[str, int]
    undone: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits for registrars (each up to MOST)."""

    cases: int
    disputes: int


async def standings(db: Database, persons: Sequence[int]) -> dict[int, Standing]:
    """How persons stand; who came in otherwise than by registration may have no row."""
    rows = await db.fetch(_STANDING, list(persons)) if persons else []
    return {row["person"]: Standing(row["rid"], row["temporary"], row["state"]) for row in rows}


async def size(db: Database, person: int) -> Size:
    """What would move when a person is merged."""
    row = await db.fetchrow(_SIZE, person, _PATIENT, MOST)
    assert row is not None
    return Size(row["records"], row["sources"], row["account"])


async def waiting(db: Database, now: datetime) -> Waiting:
    """How much waits."""
    rows = await db.fetch(_OPEN, now, MOST)
    return Waiting(sum(row["cases"] for row in rows), await db.fetchval(_DISPUTES, MOST))


async def quality(db: Database, now: datetime, span: timedelta) -> Quality:
    """The figures of the register, and of the span until now."""
    since = now - span
    persons = await db.fetchval(_ALL)
    if persons <= MOST:
        persons = await db.fetchval(_FEW, 2 * MOST)
    open_ = await db.fetch(_OPEN, now, MOST)
    decisions = await db.fetch(_DECISIONS, since)
    acts = await db.fetch(_ACTS, since)
    return Quality(
        persons=persons,
        temporary=await db.fetchval(_TEMPORARY, MOST),
        open={row["age"]: row["cases"] for row in open_},
        oldest=min((row["oldest"] for row in open_), default=None),
        disputes=await db.fetchval(_DISPUTES, MOST),
        days=await _days(db, since),
        decisions={row["decision"]: row["cases"] for row in decisions},
        acts={row["kind"]: row["acts"] for row in acts if not row["undone"]},
        undone=sum(row["acts"] for row in acts if row["undone"]),
    )


async def _days(db: Database, since: datetime) -> tuple[Day, ...]:
    """The days on which something came in, the latest first."""
    taken: dict[str, dict[str, int]] = {}
    for row in await db.fetch(_TAKEN_IN, since):
        kind = "temporary" if row["temporary"] else "lasting"
        taken.setdefault(row["day"].isoformat(), {})[kind] = row["persons"]
    for row in await db.fetch(_CASES, since):
        taken.setdefault(row["day"].isoformat(), {})["cases"] = row["cases"]
    return tuple(
        Day(day, found.get("lasting", 0), found.get("temporary", 0), found.get("cases", 0))
        for day, found in sorted(taken.items(), reverse=True)
    )
