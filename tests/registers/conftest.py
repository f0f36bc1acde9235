"""A house for the tests of a module about merged persons."""

from __future__ import annotations

from collections.abc import AsyncIterator
from random import Random

import httpx
import pytest

from pater.app import build, open_house
from pater.settings import Settings
from pater.store.database import Database
from tests.registers.merging_world import BASE, Ward


@pytest.fixture(scope="module")
async def ward(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Ward]:
    """One house for a module."""
    settings = Settings(data=tmp_path_factory.mktemp("merging"), demo=True, policy="cz")
    async with open_house(settings, module_database.dsn) as opened:
        transport = httpx.ASGITransport(build(opened))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            yield Ward(opened, http, Random(11))
