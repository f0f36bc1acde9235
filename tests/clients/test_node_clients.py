"""`fhir-kit-client` and the SMART JS client `fhirclient` (npm) talk to a running server."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clients.tokens import key_file
from tests.system.running import Running
from tests.waiting import PATIENCE


@pytest.mark.parametrize("script", ["kit.mjs", "smart.mjs"])
def test_a_javascript_client_finds_everything_it_needs(
    server: Running, base: str, node: Path, script: str
) -> None:
    done = subprocess.run(
        ["node", script, base, str(key_file(server.folder, "loader"))],
        cwd=node,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 0 and done.stdout.strip().endswith("ok"), done.stderr[-4000:]
