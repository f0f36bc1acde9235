"""A Páteř that runs already, for a command beside it: its database, or what to do first."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

from pater.settings import Settings
from pater.store.database import Database

# Holds the address of the embedded database while it runs, for commands beside it.
RUNNING: Final = "running"


class ServingError(RuntimeError):
    """Páteř cannot be served as it stands; `advice` says what to do."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(message)
        self.message, self.advice = message, advice


def running_dsn(settings: Settings) -> str:
    """The address of a database that runs already. Raises ServingError."""
    if settings.database_url:
        return settings.database_url
    try:
        return (settings.data / RUNNING).read_text("utf-8")
    except OSError as error:
        raise _nothing_runs(settings) from error


def _nothing_runs(settings: Settings) -> ServingError:
    return ServingError(
        f"Nothing is running on the data folder {settings.data}.",
        "Start it first, in another terminal: make demo",
    )


@asynccontextmanager
async def running_database(settings: Settings) -> AsyncIterator[Database]:
    """The database of a Páteř that runs already, for a command beside it. Raises ServingError."""
    try:
        db = await Database.open(running_dsn(settings), min_size=1, max_size=2)
    except OSError as error:
        raise _nothing_runs(settings) from error
    try:
        yield db
    finally:
        await db.close()
