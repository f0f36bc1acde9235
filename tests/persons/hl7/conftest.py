"""A bench for each test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pater.store.database import Database
from tests.conftest import Clock
from tests.persons.hl7.hl7_world import Bench, bench


@pytest.fixture
async def at(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[Bench]:
    """Senders and a register of its own."""
    async with bench(database, clock, tmp_path) as made:
        yield made
