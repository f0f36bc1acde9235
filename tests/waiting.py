"""How tests wait for what comes by itself: for the thing, never for a time."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

PATIENCE = 180.0
"""Seconds until what never comes is a failure. Nobody waits so long for what comes: a slow machine
with much else to do must not fail a test, so this is no measure of anything."""


async def until(test: Callable[[], Any], seconds: float = PATIENCE) -> Any:
    """What `test` gives once it is true (a coroutine is awaited); fails when it never is."""
    async with asyncio.timeout(seconds):
        while True:
            found = test()
            if isinstance(found, Awaitable):
                found = await found
            if found:
                return found
            await asyncio.sleep(0.02)
