"""Which grants of apps have ended lately: known in memory, so that no request asks the database.

An access token lives five minutes, so only what ended within this time has to be known. Every
process asks for it each second; what it ends itself it knows at once. Who has not heard from the
database for long trusts no app.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from pater.access import grants
from pater.access.tokens import LEEWAY, LIFETIME
from pater.store.database import Database

EVERY: Final = 1.0  # seconds
_SPAN: Final = LIFETIME + 4 * LEEWAY
_TRUSTED_FOR: Final = timedelta(seconds=30)
MOST: Final = 100_000
"""Ends within five minutes that are kept in mind; with more of them no app is trusted."""
_log = structlog.get_logger("pater.access")


class Revocations:
    """The grants that ended within the life of an access token."""

    def __init__(self, db: Database, clock: Callable[[], datetime]) -> None:
        self._db = db
        self._clock = clock
        self._ended: dict[str, datetime] = {}
        self._heard: datetime | None = None

    def __call__(self, grant: str) -> bool:
        """Whether the grant has ended, or nobody can say."""
        heard = self._heard
        if heard is None or self._clock() - heard > _TRUSTED_FOR:
            return True
        return grant in self._ended

    async def end(self, id: UUID, account: str | None = None) -> bool:
        """Ends a grant, and knows it at once; see `grants.end`."""
        now = self._clock()
        done = await grants.end(self._db, id, now, account)
        if done:
            self.note(id)
        return done

    def note(self, id: UUID) -> None:
        """Remembers that somebody ended a grant."""
        self._ended[str(id)] = self._clock()

    async def refresh(self) -> None:
        """Asks the database once."""
        now = self._clock()
        rows = await grants.ended_since(self._db, now - _SPAN, MOST)
        if len(rows) >= MOST:
            _log.error("too many ended grants to keep in mind")
            return
        # what was noted while the question was under way is kept
        known = {grant: ended for grant, ended in self._ended.items() if ended >= now - _SPAN}
        self._ended = known | {str(row["id"]): row["ended"] for row in rows}
        self._heard = now

    async def follow(self, stop: asyncio.Event) -> None:
        """Asks again and again until told to stop; a failure is logged and tried again."""
        while not stop.is_set():
            try:
                await self.refresh()
            except Exception as error:
                _log.error("ended grants are not known", kind=type(error).__name__)
            with suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), EVERY)
