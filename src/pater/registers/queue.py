"""Which cases of the review queue a registrar wants to see, as one statement on an index."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal

Taken = Literal["", "free", "mine", "others", "available"]

HELD_FOR: Final = timedelta(minutes=30)
"""How long a case is somebody's who took it."""
COLUMNS: Final = (
    "c.id, c.person, c.state, c.version, c.reason, c.source, c.weight, c.made, c.until,"
    " c.taken_by, c.taken, c.decision, c.other, c.note, c.decided_by, c.decided, c.merge"
)
SOURCES: Final = """
with recursive s as (
  (select source from match_case where state = 'open' order by source limit 1)
  union all
  select (select m.source from match_case m where m.state = 'open' and m.source > s.source
          order by m.source limit 1)
  from s where s.source is not null)
select s.source, coalesce((select r.name from source_record r where r.source = s.source limit 1),
                          '') as name
from s where s.source is not null limit $1
"""
"""The sources of which something waits, each found by one step in the index."""
# Who was merged or taken out meanwhile needs no decision.
_THERE: Final = "exists (select from person_index i where i.person = c.person)"


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a registrar wants to see of the queue; what is None or empty does not narrow it.

    Weights in bits, `least` <= weight < `below`; `source` "" = documents. `taken`: by nobody
    (`free`), by who asks (`mine`), by somebody else (`others`), free or mine (`available`).
    """

    reason: str = ""
    least: float | None = None
    below: float | None = None
    since: datetime | None = None
    before: datetime | None = None
    source: str | None = None
    taken: Taken = ""


def question(
    wanted: Wanted, me: str, now: datetime, after: tuple[float, int] | None, count: int
) -> tuple[str, list[Any]]:
    """The statement and its values; `after` = weight and id of the last case of the page before."""
    values: list[Any] = [now]
    conditions = ["c.state = 'open'", "(c.until is null or c.until <= $1)", _THERE]

    def also(condition: str, *more: Any) -> None:
        places = [f"${len(values) + place}" for place in range(1, len(more) + 1)]
        conditions.append(condition.format(*places))
        values.extend(more)

    if after is not None:
        also("c.weight <= {0}::real and (c.weight, -c.id) < ({0}::real, -{1}::bigint)", *after)
    if wanted.reason:
        also("c.reason = {}", wanted.reason)
    if wanted.least is not None:
        also("c.weight >= {}::real", wanted.least)
    if wanted.below is not None:
        also("c.weight < {}::real", wanted.below)
    if wanted.since is not None:
        also("c.made >= {}", wanted.since)
    if wanted.before is not None:
        also("c.made < {}", wanted.before)
    if wanted.source is not None:
        also("c.source = {}", wanted.source)
    match wanted.taken:
        case "free":
            also("(c.taken_by = '' or c.taken < {})", now - HELD_FOR)
        case "mine":
            also("c.taken_by <> '' and c.taken_by = {} and c.taken >= {}", me, now - HELD_FOR)
        case "others":
            also("c.taken_by <> '' and c.taken_by <> {} and c.taken >= {}", me, now - HELD_FOR)
        case "available":
            also("(c.taken_by in ('', {}) or c.taken < {})", me, now - HELD_FOR)
    values.append(count)
    where = " and ".join(conditions)
    sql = (
        f"select {COLUMNS} from match_case c where {where}"  # noqa: S608 constants and places
        f" order by c.weight desc, c.id limit ${len(values)}"
    )
    return sql, values
