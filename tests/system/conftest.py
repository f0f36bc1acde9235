"""One running demonstration for all system tests, with a client for each of its names."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

import httpx
import pytest

from tests.folders import scratch
from tests.system.running import Running

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
