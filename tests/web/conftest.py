"""A house served over real HTTP, and one headless Chromium for the browser tests."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import uvicorn

from tests.waiting import PATIENCE
from tests.web.house import House, house

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session", autouse=True)
def assets() -> None:
    """The style sheets and icons, built when they are not there."""
    if (ROOT / "src/pater/web/static/build/icons.json").is_file():
        return
    if shutil.which("npm") is None:
        pytest.skip("the front-end parts are not built and npm is not here to build them")
    subprocess.run([sys.executable, ROOT / "tools" / "build_assets.py"], check=True)


@pytest.fixture
def home() -> House:
    """A fresh house in demonstration mode."""
    return house(demo=True)


@pytest.fixture
async def client(home: House) -> AsyncIterator[httpx.AsyncClient]:
    """An HTTP client of the house, with a cookie jar."""
    transport = httpx.ASGITransport(home.app, client=("192.0.2.7", 4711))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as made:
        yield made


@dataclass
class Served:
    """A house that listens on a real port."""

    home: House
    url: str


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    """A house behind uvicorn in a thread."""
    home = house(demo=True)
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(home.app, log_level="warning", lifespan="off"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Served(home, f"http://127.0.0.1:{port}")
    server.should_exit = True
    thread.join(timeout=PATIENCE)
