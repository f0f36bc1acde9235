"""One running demonstration for all system tests, with a client for each of its names."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

import httpx
import pytest

from tests.system.running import Running


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that the database's own user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="pt-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


Clients = Callable[[str], httpx.Client]


@pytest.fixture(scope="session")
def running() -> Iterator[Running]:
    """A demonstration with its region loaded."""
    with scratch() as folder:
        one = Running(folder / "data").start()
        yield one
        one.stop()


@pytest.fixture(scope="session")
def client(running: Running) -> Iterator[Clients]:
    """`client(name)`: an HTTP client that carries the name's token."""
    made: list[httpx.Client] = []

    @lru_cache(maxsize=32)
    def of(name: str) -> httpx.Client:
        made.append(running.client(name))
        return made[-1]

    yield of
    for one in made:
        one.close()
