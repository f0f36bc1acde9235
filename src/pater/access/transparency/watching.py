"""Whether the log is kept: told in `/health/ready`, and in the log file while it is late."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Final, Literal

import structlog

from pater.access.transparency.heads import HeadError, last_head
from pater.store.database import Database

LATE: Final = timedelta(minutes=5)
"""A head is signed every minute; after so long without one something is wrong."""
_EVERY: Final = 60.0
_log = structlog.get_logger("pater.transparency")

State = Literal["none", "kept", "late"]


async def state_of(db: Database, now: datetime) -> State:
    """`none` before the first head, `late` when the newest is older than LATE."""
    newest = await last_head(db)
    if newest is None:
        return "none"
    try:
        return "kept" if now - newest.head().time <= LATE else "late"
    except HeadError:
        return "late"


async def watch(db: Database, clock: Callable[[], datetime], stop: asyncio.Event) -> None:
    """Says so every minute while the log is late, until told to stop.

    The first look is after LATE: who was stopped for long is late at first.
    """
    pause = LATE.total_seconds()
    while not stop.is_set():
        with suppress(TimeoutError):
            await asyncio.wait_for(stop.wait(), pause)
            return
        pause = _EVERY
        try:
            if await state_of(db, clock()) == "late":
                _log.error("no head of the journal was signed for five minutes")
        except Exception as error:
            _log.error("the transparency log cannot be watched", kind=type(error).__name__)
