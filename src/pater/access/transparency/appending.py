"""Moves the log on behind the journal: to what every transaction has settled, then a signed head.

The journal itself pays nothing for it. A number is taken from the sequence inside the statement
that inserts it, which holds a lock on the table by then. So once all who held such a lock when the
sequence stood at a number have ended, no entry up to that number can still appear.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

import structlog

from pater.access.transparency.entries import ACT, walk
from pater.access.transparency.heads import (
    SignedHead,
    keep_head,
    keep_stamp,
    last_head,
    last_stamped,
    signed,
)
from pater.access.transparency.tiles import Growing
from pater.store.database import Database
from pater.trust.log_keys import LogKey
from pater.trust.tsa.client import Stamping

EVERY: Final = 50.0  # seconds between heads
STAMPED_EVERY: Final = timedelta(hours=1)
ACTS: Final = 1 << 14
"""Acts that one head adds at most, so that catching up goes in short transactions."""
_PATIENCE: Final = 10.0  # seconds that a round waits for transactions to settle
_PAUSE: Final = 0.05
_LOCK = 0x70617465725F6C67
_log = structlog.get_logger("pater.transparency")

_TAKEN = "select case when is_called then last_value else 0 end from journal_seq"
_WRITERS = """
select virtualtransaction from pg_locks
where relation = 'journal'::regclass and mode = 'RowExclusiveLock' and granted
and database = (select oid from pg_database where datname = current_database())
"""


@dataclass(frozen=True, slots=True)
class _Settling:
    """A number, and the transactions that may still bring an entry up to it."""

    through: int
    writers: frozenset[str]


class Keeper:
    """Keeps the log of one database. Several may: they take turns."""

    def __init__(
        self, db: Database, key: LogKey, clock: Callable[[], datetime], stamp: Stamping
    ) -> None:
        self._db, self._key, self._clock, self._stamp = db, key, clock, stamp
        self._settling: _Settling | None = None

    async def keep_up(self, stop: asyncio.Event) -> None:
        """A head a minute and a stamp an hour until told to stop; failures are tried again."""
        while not stop.is_set():
            try:
                await self.advance(_PATIENCE)
                await self.stamp_hourly()
            except Exception as error:
                _log.error("the transparency log failed", kind=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)

    async def advance(self, patience: float = _PATIENCE) -> SignedHead:
        """Appends what is settled and signs a head, also when nothing is new; the newest head.

        Waits up to `patience` seconds for writers; what is not settled then comes the next time.
        """
        through = await self._horizon(patience)
        while True:
            head, behind = await self._append(through)
            if not behind:
                return head

    async def stamp_hourly(self) -> None:
        """Has the newest head time-stamped when that was not done for an hour."""
        stamped, last = await last_stamped(self._db), await last_head(self._db)
        if last is None or last.stamp is not None:
            return
        due = None if stamped is None else stamped.head().time + STAMPED_EVERY
        if due is None or self._clock() >= due:
            await keep_stamp(self._db, last.head().number, await self._stamp(last.digest))

    async def _horizon(self, patience: float) -> int:
        """The number up to which every entry there will ever be can be seen; 0: not known yet."""
        loop = asyncio.get_running_loop()
        until = loop.time() + patience
        if self._settling is None:
            # the order matters: who takes a number after the first look holds no lower one
            taken = await self._db.fetchval(_TAKEN)
            self._settling = _Settling((taken + 1) * ACT - 1, await self._writers())
        while self._settling.writers & await self._writers():
            if loop.time() >= until:
                return 0
            await asyncio.sleep(_PAUSE)
        through, self._settling = self._settling.through, None
        return through

    async def _writers(self) -> frozenset[str]:
        rows = await self._db.fetch(_WRITERS)
        return frozenset(row[0] for row in rows)

    async def _append(self, through: int) -> tuple[SignedHead, bool]:
        """One head further, and whether there is more to do."""
        async with self._db.transaction() as connection:
            await connection.execute("select pg_advisory_xact_lock($1)", _LOCK)
            previous = await last_head(connection)
            before = previous.head() if previous else None
            covered = before.through if before else 0
            end = min(max(through, covered), (covered // ACT + ACTS) * ACT + ACT - 1)
            growing = await Growing.from_size(connection, before.size if before else 0)
            async for entries in walk(connection, covered, end):
                growing.append(entries)
                await growing.write(connection)
            tree = growing.tree
            now = self._clock()
            if before is not None:
                now = max(now, before.time)
            head = signed(self._key, previous, tree.size, tree.root(), end, now)
            await keep_head(connection, head)
        return head, end < through
