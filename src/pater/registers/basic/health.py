"""How each basic register is: a circuit breaker over all processes, and counts for people.

After `FAILURES` in a row a register is left alone for a while that grows; then one question tries,
and if it is answered all may ask again.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, TypeVar

from pater.registers.basic.told import Down, LeftAlone, Register
from pater.store.database import Database

FAILURES: Final = 5
SHORTEST: Final = timedelta(seconds=5)
LONGEST: Final = timedelta(minutes=5)
PROBE: Final = timedelta(seconds=30)
"""How long one question may try before another one does."""
KEPT: Final = timedelta(days=2)
_HOURS: Final = 24

_T = TypeVar("_T")
_STATE: Final = "select failures, shut_until from basic_register where register = $1"
_PROBE: Final = """
update basic_register set shut_until = $2::timestamptz + $3::interval
where register = $1 and shut_until <= $2 returning register
"""
_ANSWERED: Final = """
with told as (
  update basic_register set failures = 0, shut_until = null, answered = $2::timestamptz, error = ''
  where register = $1
)
insert into basic_hour as h (register, hour, asked)
values ($1, date_trunc('hour', $2::timestamptz), 1)
on conflict (register, hour) do update set asked = h.asked + 1
"""
_FAILED: Final = """
with told as (
  update basic_register
  set failures = failures + 1, failed = $2::timestamptz, error = $3,
      shut_until = case when failures + 1 >= $4::int
        then $2::timestamptz
          + least($5::interval * power(2, least(failures + 1 - $4::int, 20)), $6::interval)
      end
  where register = $1
)
insert into basic_hour as h (register, hour, asked, failed)
values ($1, date_trunc('hour', $2::timestamptz), 1, 1)
on conflict (register, hour) do update set asked = h.asked + 1, failed = h.failed + 1
"""
_SPARED: Final = """
insert into basic_hour as h (register, hour, spared)
values ($1, date_trunc('hour', $2::timestamptz), 1)
on conflict (register, hour) do update set spared = h.spared + 1
"""
_SHOWN: Final = """
select r.register, r.failures, r.shut_until, r.answered, r.failed, r.error, r.followed,
       coalesce(sum(h.asked), 0)::int as asked, coalesce(sum(h.failed), 0)::int as wrong,
       coalesce(sum(h.spared), 0)::int as spared
from basic_register r left join basic_hour h on h.register = r.register and h.hour > $1
group by r.register
"""
_BY_HOUR: Final = """
select hour, sum(asked - failed)::int as answered, sum(failed)::int as failed
from basic_hour where hour > $1 group by hour order by hour limit $2
"""


@dataclass(frozen=True, slots=True)
class Health:
    """How a register is, with its questions of the last day."""

    register: Register
    failures: int
    shut_until: datetime | None
    answered: datetime | None
    failed: datetime | None
    error: str
    followed: datetime | None
    asked: int
    wrong: int
    spared: int

    def state(self, now: datetime) -> str:
        """`up`, `failing`, `shut` (left alone for a while), or `unknown` (never asked)."""
        if self.shut_until is not None and self.shut_until > now:
            return "shut"
        if self.failures:
            return "failing"
        return "up" if self.answered else "unknown"


class Breaker:
    """Asks registers, unless they are left alone."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db, self._clock = db, clock

    async def ask(self, register: Register, question: Callable[[], Awaitable[_T]]) -> _T:
        """The answer, with what came of it written down. Raises Down."""
        row = await self._db.fetchrow(_STATE, register)
        assert row is not None  # the migration writes all four
        if row["shut_until"] is not None:
            tried = await self._db.fetchval(_PROBE, register, self._clock(), PROBE)
            if tried is None:
                raise LeftAlone("it failed several times and is left alone for a while")
        try:
            answer = await question()
        except Down as error:
            await self._db.execute(
                _FAILED, register, self._clock(), str(error), FAILURES, SHORTEST, LONGEST
            )
            raise
        await self._db.execute(_ANSWERED, register, self._clock())
        return answer

    async def spared(self, register: Register) -> None:
        """A question was answered from what is kept."""
        await self._db.execute(_SPARED, register, self._clock())

    async def shown(self) -> dict[str, Health]:
        """How all registers are, by name."""
        since = self._clock() - timedelta(hours=_HOURS)
        return {row["register"]: Health(**row) for row in await self._db.fetch(_SHOWN, since)}

    async def by_hour(self) -> list[tuple[datetime, int, int]]:
        """Questions of the last day to all registers: hour, answered, failed."""
        since = self._clock() - timedelta(hours=_HOURS)
        rows = await self._db.fetch(_BY_HOUR, since, _HOURS + 1)
        return [(row["hour"], row["answered"], row["failed"]) for row in rows]

    async def tidy(self) -> None:
        """Old counts go."""
        await self._db.execute("delete from basic_hour where hour < $1", self._clock() - KEPT)
