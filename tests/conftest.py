"""The fixtures every room shares: one embedded PostgreSQL a session, one fresh database a test."""

from __future__ import annotations

import itertools
import logging
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from unittest.mock import patch

import asyncpg
import pytest
import structlog
from hypothesis import settings
from hypothesis.internal.conjecture import providers

from pater.app import rooms
from pater.store import embedded
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres
from pater.store.migrate import migrate
from tests import completeness
from tests.chromium import chromium
from tests.folders import scratch

# The same examples each time: a red test says what was changed. `HYPOTHESIS_PROFILE=wide` and
# `python -m tests.fuzz` look further.
settings.register_profile("same", derandomize=True, deadline=None)  # no test asserts a time
settings.register_profile("wide", derandomize=False, max_examples=2000, deadline=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))
if settings.get_current_profile_name() == "same":
    # Literals of our modules would be among the examples: those of a module that some other test
    # loads, or that a change elsewhere adds, must not decide what this one is tried with.
    _no_literals = providers._local_constants
    providers._get_local_constants = lambda: _no_literals

__all__ = ["chromium"]

completeness.install()

TEMPLATE = "pater_template"
HASTY = {
    "fsync": "off",
    "full_page_writes": "off",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "shared_buffers": "128MB",
    "max_wal_size": "256MB",
    # no plan changes because statistics came in the middle, no feed waits for one that makes them
    "autovacuum": "off",
}
_numbers = itertools.count(1)


# Whole servers and browsers: with several files side by side, the slow must not come last.
SLOW_FIRST = ("system", "clients", "leaks", "fuzz", "web", "consents", "apps", "persons")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The folders that wait most go first; the order within a file stays."""
    rank = {name: number for number, name in enumerate(SLOW_FIRST)}
    items.sort(key=lambda item: rank.get(item.path.parent.name, len(rank)))


@pytest.fixture(autouse=True)
def own_log_lines() -> Iterator[None]:
    """A command that a test runs in this process must not decide where the next test's lines go."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    structlog.reset_defaults()
    root.setLevel(level)
    root.handlers[:] = handlers


class Clock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def move(self, **duration: float) -> None:
        self.now += timedelta(**duration)


@pytest.fixture
def clock() -> Clock:
    """Stands at a fixed moment of the present month, where the partitions are."""
    return Clock(datetime.now(UTC).replace(day=15, hour=9, minute=0, second=0, microsecond=0))


def database_dsn(dsn: str, name: str) -> str:
    """The DSN of another database of the same server."""
    return dsn.replace("/pater?", f"/{name}?")


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A temporary folder that another user may enter (pytest's own are closed to the server's)."""
    folder = Path(tempfile.mkdtemp(prefix="pt-"))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres() -> Iterator[EmbeddedPostgres]:
    """One running embedded server for the whole session.

    Nobody needs its data after a power cut, and a copied database is made far faster without
    flushes. The tests of the embedded server itself start their own, as it ships.
    """
    shipped = embedded.server_settings

    def hasty(run_dir: Path, data_dir: Path) -> dict[str, str]:
        return {**shipped(run_dir, data_dir), **HASTY}

    with scratch() as folder:
        server = EmbeddedPostgres(folder / "data")
        try:
            with patch.object(embedded, "server_settings", hasty):
                server.start()
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
async def template(postgres: EmbeddedPostgres) -> str:
    """The name of a migrated database without rows, to copy from."""
    admin = await asyncpg.connect(postgres.dsn)
    await admin.execute(f"create database {TEMPLATE}")
    db = await Database.open(database_dsn(postgres.dsn, TEMPLATE), min_size=1, max_size=1)
    await migrate(db, rooms())
    await db.close()
    await admin.close()
    return TEMPLATE


@asynccontextmanager
async def fresh_database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Database]:
    """A copy of the template, dropped afterwards."""
    name = f"t{os.getpid()}_{next(_numbers)}"
    admin = await asyncpg.connect(database_dsn(postgres.dsn, "postgres"))
    try:
        # as files: a third of the work of writing each page to the log, which is the default
        await admin.execute(f"create database {name} template {template} strategy file_copy")
        db = await Database.open(database_dsn(postgres.dsn, name), min_size=1, max_size=10)
        try:
            yield db
            await completeness.hold(db.dsn)
        finally:
            await db.close()
            await admin.execute(f"drop database {name} with (force)")
    finally:
        await admin.close()


@pytest.fixture
async def database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Database]:
    """A fresh migrated database for one test."""
    async with fresh_database(postgres, template) as db:
        yield db


@pytest.fixture(scope="module")
async def module_database(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Database]:
    """A fresh migrated database for the tests of one module together."""
    async with fresh_database(postgres, template) as db:
        yield db
