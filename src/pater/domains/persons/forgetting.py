"""Takes out what nobody needs any more, each hour."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import datetime
from typing import Final

import structlog
from asyncpg import PostgresError

_PAUSE: Final = 3600.0
_log = structlog.get_logger("pater.persons")


def hourly(
    what: str, forget: Callable[[datetime], Awaitable[None]], clock: Callable[[], datetime]
) -> Callable[[asyncio.Event], Awaitable[None]]:
    """The task that calls `forget` with the time, until it is stopped; `what` is for the log."""

    async def go_on(stop: asyncio.Event) -> None:
        while not stop.is_set():
            try:
                await forget(clock())
            except (PostgresError, OSError) as error:  # the next hour will do
                _log.warning("old rows were not forgotten", what=what, error=type(error).__name__)
            try:
                await asyncio.wait_for(stop.wait(), _PAUSE)
            except TimeoutError:
                continue

    return go_on
