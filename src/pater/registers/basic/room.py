"""The links to the basic registers of one running Páteř, put together, and their work."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from pater.access.deciding import Ages
from pater.records.errors import Gone, NotFound, RecordsError, Unprocessable
from pater.records.gate import Gate
from pater.registers.basic import waiting
from pater.registers.basic.authorisations import Authorisations
from pater.registers.basic.calling import Calling
from pater.registers.basic.checks import Checked, Checks, Told, written
from pater.registers.basic.health import Breaker
from pater.registers.basic.identities import CALLER, NAME, Identities
from pater.registers.basic.keeping import Public
from pater.registers.basic.ports import Businesses
from pater.registers.basic.secrets import Pseudonyms
from pater.registers.basic.told import Address, Down, LeftAlone
from pater.registers.disputes import Disputes
from pater.registers.room import Registers
from pater.store.database import Database
from pater.store.feed import FeedEvent
from pater.store.jobs import Job, schedule

KIND: Final = "basic-registers"
NIGHTLY: Final = "basic-registers-nightly"
"""The job that compares addresses and businesses again, and reports what differs."""
EVERY: Final = timedelta(minutes=1)
NIGHT: Final = timedelta(days=1)
_AT_ONCE: Final = 100
_RUN: Final = 2_000
"""Questions of one run; the next goes on."""
_CURSOR: Final = "select cursor from basic_register where register = $1"
_MOVE: Final = "update basic_register set cursor = $2, followed = $3 where register = $1"
_PAGE: Final = 500
_PAGES: Final = 20
_LOG = logging.getLogger(__name__)


class Basic:
    """`public` asks for addresses and business, `identities` who persons are, `authorisations`
    follows mandates, `checks` compares addresses and businesses; `breaker` knows how the registers
    are.
    """

    def __init__(
        self,
        gate: Gate,
        db: Database,
        registers: Registers,
        calling: Calling,
        secret: bytes,
        ages: Ages,
        clock: Callable[[], datetime],
    ) -> None:
        self._db, self._clock = db, clock
        names = Pseudonyms(secret)
        self.breaker = Breaker(db, clock)
        self.public = Public(db, clock, self.breaker, calling, calling)
        self.identities = Identities(
            gate, db, registers.registration, registers.index, calling, self.public, self.breaker,
            names, clock,
        )  # fmt: skip
        self.authorisations = Authorisations(
            gate, db, self.identities, calling, self.breaker, names, ages, clock
        )
        self.checks = Checks(db, self.public, clock)
        self.checks.keep("Patient", disputing(registers.merging.disputes))
        self._businesses: Businesses = calling

    async def handle(self, event: FeedEvent) -> None:
        """Somebody new, or changed, of whom the register of persons has not told: it is asked."""
        told = {each.person for each in event.changes if each.type == "Patient" and each.person > 0}
        gone = {e.person for e in event.changes if e.type == "Patient" and e.method == "DELETE"}
        await waiting.who(self._db, told - gone, self._clock())
        await self.checks.came(event.changes)

    async def work(self, job: Job) -> Mapping[str, Any]:
        """One run: what changed, then what waits. A register that is down stops its own part."""
        followed = 0
        for follow in (self.identities.follow, self.authorisations.follow, self.follow):
            try:
                followed += await follow()
            except Down as error:
                _LOG.warning("the changes of a basic register wait: %s", error)
        answered = await self.drain()
        compared = await self.checks.drain()
        await self.breaker.tidy()
        await self.public.tidy()
        return {"followed": followed, "answered": answered, "compared": compared}

    async def nightly(self, job: Job) -> Mapping[str, Any]:
        """Compares again what was compared long ago; its result is the report of the night."""
        return await self.checks.nightly()

    async def follow(self) -> int:
        """Has providers of ours compared of which the register of business tells a change."""
        found = 0
        for _ in range(_PAGES):
            cursor = await self._db.fetchval(_CURSOR, "ros")
            ask = partial(self._businesses.business_changes, cursor, _PAGE)
            page = await self.breaker.ask("ros", ask)
            found += await self.checks.changed(page.items)
            await self._db.execute(_MOVE, "ros", page.cursor, self._clock())
            if len(page.items) < _PAGE or page.cursor == cursor:
                break
        return found

    async def drain(self) -> int:
        """Asks what is due; how much was answered. What was not goes on waiting."""
        answered = tried = 0
        while tried < _RUN:
            rows = await waiting.due(self._db, self._clock(), _AT_ONCE)
            for one in rows:
                tried += 1
                try:
                    key = await self.identities.answer(one)
                except LeftAlone:
                    return answered
                except (Down, RecordsError) as error:
                    await waiting.again(self._db, one, self._clock(), str(error))
                    continue
                if key is not None:
                    await self.authorisations.came(key)
                await waiting.done(self._db, one)
                answered += 1
            if not rows:
                break
        return answered


def disputing(disputes: Disputes) -> Told:
    """What differs in a person's address is disputed by the register of addresses.

    A registrar decides; the dispute waits once, whatever else differs.
    """

    async def told(one: Checked) -> None:
        right = "–" if one.said is None else written(Address(**one.said))
        try:
            await disputes.open(CALLER, one.id, "address", f"RÚIAN {one.key}: {right}")
        except (NotFound, Gone, Unprocessable):
            return  # it is gone, merged, or disputed already

    return told


async def regularly(db: Database, *, linked: bool) -> None:
    """From now on the work is done each minute, or (without links) no more."""
    if linked:
        await schedule(db, KIND, KIND, EVERY)
        await schedule(db, NIGHTLY, NIGHTLY, NIGHT)
    else:
        await db.execute("delete from job_schedule where name = any($1)", [KIND, NIGHTLY])


__all__ = ["KIND", "NAME", "NIGHTLY", "Basic", "regularly"]
