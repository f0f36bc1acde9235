"""One empty server of its own for all fuzzing tests, apart from the one of the system tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.folders import scratch
from tests.fuzz.server import Target
from tests.system.running import Running


@pytest.fixture(scope="session")
def target() -> Iterator[Target]:
    """A server without records, and clients for the loader and for a hospital."""
    with scratch() as folder:
        running = Running(folder / "data", "--empty").start()
        clients = [running.client(name) for name in ("loader", "hospital-a")]
        made = Target(running, clients)
        made.prepare()
        yield made
        for each in clients:
            each.close()
        running.stop()
