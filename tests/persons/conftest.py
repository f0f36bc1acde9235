"""One register a test."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pater.store.database import Database
from tests.conftest import Clock
from tests.persons.faces import Faces, register


@pytest.fixture
async def at(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[Faces]:
    """An empty register with two hospitals."""
    async with register(database, clock, tmp_path) as made:
        yield made
