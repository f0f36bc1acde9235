"""One running server without records, and tokens that its clients get with their keys."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.tokens import token
from tests.folders import scratch
from tests.system.running import Running

NODE = Path(__file__).parent / "node"


@pytest.fixture(scope="session")
def server() -> Iterator[Running]:
    """A demonstration without its region."""
    with scratch() as folder:
        one = Running(folder / "data", "--empty").start()
        yield one
        one.stop()


@pytest.fixture
def base(server: Running) -> str:
    """The address of the FHIR API."""
    return f"{server.url}/fhir"


@pytest.fixture
def bearer(server: Running, base: str) -> str:
    """A fresh token of the loader."""
    return token(base, server.folder, "loader", "system/*.cruds")


@pytest.fixture(scope="session")
def node() -> Path:
    """The folder of the Node.js clients with exactly the locked packages installed."""
    program, npm = shutil.which("node"), shutil.which("npm")
    assert program and npm, "Node.js 20 or newer is needed"
    locked = json.loads((NODE / "package-lock.json").read_text())["packages"]
    for path, entry in locked.items():
        manifest = NODE / path / "package.json"
        if path and not entry.get("optional") and not entry.get("peer"):
            if (
                manifest.is_file()
                and json.loads(manifest.read_text())["version"] == (entry["version"])
            ):
                continue
            command = [npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund",
                       "--omit=optional", "--omit=peer"]  # fmt: skip
            subprocess.run(command, cwd=NODE, check=True, timeout=300)
            break
    return NODE
