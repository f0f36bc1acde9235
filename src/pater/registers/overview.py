"""What registrars see of persons beside their Patients, and how much waits for them.

Counts only; whoever shows a person asks the gate for who it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database

MOST: Final = 10_000
"""Up to here things are counted; more is shown as more."""
_PATIENT: Final = TYPE_NUMBER["Patient"]
STANDING: Final = "select person, rid, temporary, state from person where person = any($1)"
SIZE: Final = """
select
  (select count(*) from (select from resource where person = $1 and not deleted and type <> $2
                         limit $3) r) as records,
  (select count(*) from (select from source_record where person = $1 limit $3) s) as sources,
  exists (select from account where person = $1) as account
"""
OPEN: Final = """
select c.age, count(*) as cases, min(c.made) as oldest from (
  select made, case when made > $1::timestamptz - interval '1 day' then 'day'
                    when made > $1::timestamptz - interval '7 days' then 'week'
                    when made > $1::timestamptz - interval '30 days' then 'month'
                    else 'older' end as age
  from match_case where state = 'open' limit $2) c
group by c.age
"""
OPEN_DISPUTES: Final = "select count(*) from (select from dispute where state = 'open' limit $1) d"


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
class Waiting:
    """What waits for registrars (each up to MOST)."""

    cases: int
    disputes: int


async def standings(db: Database, persons: Sequence[int]) -> dict[int, Standing]:
    """How persons stand; who came in otherwise than by registration may have no row."""
    rows = await db.fetch(STANDING, list(persons)) if persons else []
    return {row["person"]: Standing(row["rid"], row["temporary"], row["state"]) for row in rows}


async def size(db: Database, person: int) -> Size:
    """What would move when a person is merged."""
    row = await db.fetchrow(SIZE, person, _PATIENT, MOST)
    assert row is not None
    return Size(row["records"], row["sources"], row["account"])


async def waiting(db: Database, now: datetime) -> Waiting:
    """How much waits."""
    rows = await db.fetch(OPEN, now, MOST)
    return Waiting(sum(row["cases"] for row in rows), await db.fetchval(OPEN_DISPUTES, MOST))
