"""What the public registers said, kept while it is valid, and longer while they are down."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import date, datetime, timedelta
from typing import Any, Final, Generic, TypeVar

import orjson

from pater.registers.basic.health import Breaker
from pater.registers.basic.ports import Addresses, Businesses
from pater.registers.basic.told import Address, Business, Down, Register
from pater.registers.identifiers import check_ico
from pater.store.database import Database

VALID: Final[dict[Register, timedelta]] = {
    "ruian": timedelta(days=30), "ros": timedelta(days=1),
}  # fmt: skip
"""How long an answer is believed; that there is no such one only `NOTHING`."""
NOTHING: Final = timedelta(hours=1)
STALE: Final = timedelta(days=90)
"""How long an answer is kept beyond, for when the register is down."""
_LONGEST_CODE: Final = 9
_MOST: Final = 10_000

_T = TypeVar("_T")
_FIND: Final = "select received, until, body from basic_answer where register = $1 and key = $2"
_KEEP: Final = """
insert into basic_answer (register, key, received, until, body) values ($1, $2, $3, $4, $5)
on conflict (register, key) do update
set received = excluded.received, until = excluded.until, body = excluded.body
"""
_EXPIRE: Final = """
update basic_answer set until = $3 where register = $1 and key = $2 and until > $3
"""
_TIDY: Final = """
delete from basic_answer where ctid = any(array(
  select ctid from basic_answer where until < $1 order by until limit $2))
"""


@dataclass(frozen=True, slots=True)
class Answer(Generic[_T]):
    """What a register said, and when; None = there is no such one. `fresh` is false for an answer
    that is valid no more while the register cannot be asked.
    """

    value: _T | None
    received: datetime
    fresh: bool = True


class Public:
    """Asks the registers of addresses and of business."""

    def __init__(
        self,
        db: Database,
        clock: Callable[[], datetime],
        breaker: Breaker,
        addresses: Addresses,
        businesses: Businesses,
    ) -> None:
        self._db, self._clock, self._breaker = db, clock, breaker
        self._addresses, self._businesses = addresses, businesses

    async def address(self, code: str) -> Answer[Address]:
        """The address point of a code; of no code nobody is asked. Raises Down."""
        if not (code.isascii() and code.isdigit() and len(code) <= _LONGEST_CODE):
            return Answer(None, self._clock())
        code = code.lstrip("0")
        return await self._kept(
            "ruian", code, self._addresses.address, lambda said: Address(**said)
        )

    async def business(self, ico: str) -> Answer[Business]:
        """The business of an IČO; of a wrong IČO nobody is asked. Raises Down."""
        if check_ico(ico).ok is False:
            return Answer(None, self._clock())
        return await self._kept("ros", ico, self._businesses.business, _business)

    async def _kept(
        self,
        register: Register,
        key: str,
        ask: Callable[[str], Awaitable[_T | None]],
        read: Callable[[dict[str, Any]], _T],
    ) -> Answer[_T]:
        row = await self._db.fetchrow(_FIND, register, key)
        kept = None
        if row is not None:
            body = None if row["body"] is None else read(orjson.loads(row["body"]))
            kept = Answer(body, row["received"], row["until"] > self._clock())
        if kept is not None and kept.fresh:
            await self._breaker.spared(register)
            return kept
        try:
            said = await self._breaker.ask(register, lambda: ask(key))
        except Down:
            if kept is None:
                raise
            await self._breaker.spared(register)
            return kept
        now = self._clock()
        body_text = None if said is None else orjson.dumps(asdict(said)).decode()  # type: ignore[call-overload]  # all are dataclasses
        until = now + (NOTHING if said is None else VALID[register])
        await self._db.execute(_KEEP, register, key, now, until, body_text)
        return Answer(said, now)

    async def expire(self, register: Register, key: str) -> None:
        """What is kept is believed no longer: something changed."""
        await self._db.execute(_EXPIRE, register, key, self._clock())

    async def tidy(self) -> None:
        """Answers that nobody would believe any more go, some at a time."""
        await self._db.execute(_TIDY, self._clock() - STALE, _MOST)


def _business(said: dict[str, Any]) -> Business:
    ended = said.get("ended")
    return Business(**{**said, "ended": date.fromisoformat(ended) if ended else None})
