"""A short coverage-guided run of the readers, where atheris is installed; longer ones by hand."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif(find_spec("atheris") is None, reason="atheris has no wheel for this machine")
@pytest.mark.parametrize("name", ["filter"])
def test_a_short_run_finds_nothing(name: str, tmp_path: Path) -> None:
    words = ["-m", "tests.fuzz.atheris_targets", name, "-runs=1500", "-seed=1"]
    done = subprocess.run(
        [sys.executable, *words, f"-artifact_prefix={tmp_path}/"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "Done 1500 runs" in done.stderr
