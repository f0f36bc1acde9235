"""Several server processes: they serve one port, are replaced when they die, and end together."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest

from tests.folders import scratch
from tests.system.documents import discharge, encoded
from tests.system.running import Running
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as one:
        yield one


def _children(pid: int) -> set[int]:
    """The server processes below the parent (PostgreSQL's is another program)."""
    found = set()
    for place in Path("/proc").iterdir():
        if not place.name.isdigit():
            continue
        try:
            fields = (place / "stat").read_text().rpartition(")")[2].split()
            command = (place / "cmdline").read_bytes()
        except OSError:
            continue
        if int(fields[1]) == pid and fields[0] != "Z" and b"\0demo" in command:
            found.add(int(place.name))
    return found


def _until(right: Callable[[], bool]) -> None:
    end = time.monotonic() + PATIENCE
    while not right():
        assert time.monotonic() < end
        time.sleep(0.05)


def _serves(running: Running) -> bool:
    try:
        ready = httpx.get(f"http://127.0.0.1:{running.port}/health/ready", timeout=30)
        return ready.status_code == 200
    except httpx.TransportError:
        return False


def _gone(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except OSError:
        return True


def test_two_processes_serve_one_port_and_end_together(folder: Path) -> None:
    running = Running(folder / "data", "--empty", PATER_WORKERS="2").start()
    assert running.process is not None
    parent = running.process.pid
    workers = _children(parent)
    assert len(workers) == 2
    with running.client("hospital-a") as client:
        sent = client.post("/Bundle", content=encoded(discharge()), headers=JSON)
        assert sent.status_code == 201
        path = sent.headers["location"].split("/fhir")[1].split("/_history")[0]
    for _ in range(12):  # each on a connection of its own, so both are asked
        with running.client("hospital-b") as client:
            assert client.get(path).status_code == 200

    dead = min(workers)
    os.kill(dead, signal.SIGKILL)
    _until(lambda: len(_children(parent) - {dead}) == 2)
    _until(lambda: _serves(running))

    workers = _children(parent)
    running.process.send_signal(signal.SIGTERM)
    assert running.process.wait(PATIENCE) == 0
    assert all(map(_gone, workers))
    assert not (folder / "data/running").exists()


def test_a_killed_parent_takes_its_processes_with_it(folder: Path) -> None:
    running = Running(folder / "data", "--empty", PATER_WORKERS="2").start()
    assert running.process is not None
    workers = _children(running.process.pid)
    running.process.kill()
    running.process.wait(PATIENCE)
    _until(lambda: all(map(_gone, workers)))
    running.start()  # the database left behind is taken over
    running.stop()
