"""The quality of the register in figures: what came in, what waits, how good its own answers were.

Counts only, each bounded: a span of time or what is open, never a walk through everybody.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from typing import Final
from zoneinfo import ZoneInfo

from pater.registers.overview import MOST, OPEN, OPEN_DISPUTES
from pater.store.database import Database

PRAGUE: Final = ZoneInfo("Europe/Prague")
"""Days are those of the registrars' calendar."""

# How many there are is the planner's estimate: an exact number would be a walk through all.
ALL: Final = "select greatest(reltuples, 0)::bigint from pg_class where oid = 'person'::regclass"
FEW: Final = "select count(*) from (select from person limit $1) p"
TEMPORARY: Final = "select count(*) from (select from person where temporary limit $1) p"
# Of each day each number is counted up to a limit.
DAYS: Final = """
select d.place, n.lasting, n.temporary, a.alike, b.number, c.cases
from unnest($1::timestamptz[], $2::timestamptz[]) with ordinality as d(since, until, place)
cross join lateral (
  select count(*) filter (where not p.temporary) as lasting,
         count(*) filter (where p.temporary) as temporary
  from (select temporary from person
        where created >= d.since and created < d.until limit $3) p) n
cross join lateral (
  select count(*) as alike from (select from identified
    where way = 'alike' and at >= d.since and at < d.until limit $3) i) a
cross join lateral (
  select count(*) as number from (select from identified
    where way = 'number' and at >= d.since and at < d.until limit $3) i) b
cross join lateral (
  select count(*) as cases from (select from match_case
    where made >= d.since and made < d.until limit $3) m) c
order by d.place
"""
DECISIONS: Final = """
select c.decision, width_bucket(c.weight::float8, $3::float8[]) as band, count(*) as cases
from (select decision, weight from match_case
      where state = 'decided' and decided >= $1 order by decided desc, id desc limit $2) c
group by 1, 2
"""
WAITED: Final = """
select percentile_cont(0.5) within group (order by extract(epoch from c.decided - c.made)) as half,
       percentile_cont(0.9) within group (order by extract(epoch from c.decided - c.made)) as most
from (select made, decided from match_case
      where state = 'decided' and decided >= $1 order by decided desc, id desc limit $2) c
"""
ACTS: Final = """
select kind, undone is not null as undone, count(*) as acts from merge where at >= $1 group by 1, 2
"""
# A source that the register had matched by itself and a registrar split off again. Written so that
# the few splits lead: what they moved, then whether the register had put it there.
TAKEN_BACK: Final = """
select i.way, count(distinct r.key) as sources
from (select id from merge where at >= $1 and kind = 'split' and undone is null limit $2) m
cross join lateral (select w.key from merge_row w
                    where w.merge = m.id and w.place = 'source_record.person') r
cross join lateral (select f.way from identified f where f.key = r.key and f.key <> '' limit 1) i
group by i.way
"""


@dataclass(frozen=True, slots=True)
class Day:
    """What came in on one day (each up to MOST): persons for good and for the time being, sources
    that the register matched by comparison (`alike`) or by a verified number, cases.
    """

    day: str
    lasting: int
    temporary: int
    alike: int
    number: int
    cases: int


@dataclass(frozen=True, slots=True)
class Band:
    """What registrars decided about cases of one band of weights."""

    name: str
    match: int
    new: int


@dataclass(frozen=True, slots=True)
class Quality:
    """The register as a whole: `open` by age, the rest of the span.

    `taken_back`: sources matched by comparison or by number that were split off again; `half` and
    `most`: within what time half and nine tenths of the cases were decided (None = there are none).
    """

    persons: int
    temporary: int
    open: Mapping[str, int]
    oldest: datetime | None
    disputes: int
    days: tuple[Day, ...]
    decisions: Mapping[str, int]
    bands: tuple[Band, ...]
    half: timedelta | None
    most: timedelta | None
    acts: Mapping[str, int]
    undone: int
    taken_back: Mapping[str, int]

    @property
    def alike(self) -> int:
        """Sources that the register matched by comparison."""
        return sum(day.alike for day in self.days)

    @property
    def precision(self) -> float | None:
        """The share of them that nobody took back, in per cent; None = there are none."""
        if not self.alike:
            return None
        return 100 * max(self.alike - self.taken_back.get("alike", 0), 0) / self.alike


async def quality(
    db: Database, now: datetime, days: int, edges: Sequence[tuple[str, float]]
) -> Quality:
    """The figures of the register, and of the last `days` days until now.

    `edges`: the names of the bands of weights, each with the weight from which it goes up to the
    next (bits, rising; the first one's is not asked).
    """
    spans = _spans(now, days)
    since = spans[-1][0]
    persons = await db.fetchval(ALL)
    if persons <= MOST:
        persons = await db.fetchval(FEW, 2 * MOST)
    open_ = await db.fetch(OPEN, now, MOST)
    levels = [edge for _, edge in edges[1:]]
    decisions = await db.fetch(DECISIONS, since, MOST, levels)
    waited = await db.fetchrow(WAITED, since, MOST)
    acts = await db.fetch(ACTS, since)
    back = await db.fetch(TAKEN_BACK, since, MOST)
    found = {(row["decision"], row["band"]): row["cases"] for row in decisions}
    return Quality(
        persons=persons,
        temporary=await db.fetchval(TEMPORARY, MOST),
        open={row["age"]: row["cases"] for row in open_},
        oldest=min((row["oldest"] for row in open_), default=None),
        disputes=await db.fetchval(OPEN_DISPUTES, MOST),
        days=await _days(db, spans),
        decisions={
            kind: sum(count for (each, _), count in found.items() if each == kind)
            for kind in {kind for kind, _ in found}
        },
        bands=tuple(
            Band(name, found.get(("match", place), 0), found.get(("new", place), 0))
            for place, (name, _) in enumerate(edges)
        ),
        half=_span(waited["half"] if waited else None),
        most=_span(waited["most"] if waited else None),
        acts={row["kind"]: row["acts"] for row in acts if not row["undone"]},
        undone=sum(row["acts"] for row in acts if row["undone"]),
        taken_back={row["way"]: row["sources"] for row in back},
    )


def _spans(now: datetime, days: int) -> list[tuple[datetime, datetime]]:
    """The days until now, the latest first."""
    today = now.astimezone(PRAGUE).date()
    starts = [
        datetime.combine(today - timedelta(days=each), time(), PRAGUE).astimezone(UTC)
        for each in range(-1, days)
    ]
    return [(start, end) for end, start in pairwise(starts)]


async def _days(db: Database, spans: Sequence[tuple[datetime, datetime]]) -> tuple[Day, ...]:
    """The days on which something came in, the latest first."""
    rows = await db.fetch(DAYS, [a for a, _ in spans], [b for _, b in spans], MOST)
    found = []
    for (start, _), row in zip(spans, rows, strict=True):
        counts = [row[name] for name in ("lasting", "temporary", "alike", "number", "cases")]
        if any(counts):
            found.append(Day(start.astimezone(PRAGUE).date().isoformat(), *counts))
    return tuple(found)


def _span(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=float(seconds))
