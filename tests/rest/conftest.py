"""One API for the tests of a module, over a database of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.world import World, world


@pytest.fixture(scope="module")
async def api(module_database: Database) -> AsyncIterator[World]:
    """The API; its clock stands still at a fixed moment of this month."""
    clock = Clock(datetime.now(UTC).replace(day=15, hour=9, minute=0, second=0, microsecond=0))
    async with world(module_database, clock) as made:
        yield made
