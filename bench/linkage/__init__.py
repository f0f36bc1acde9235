"""Quality of matching: ours beside Splink and recordlinkage, on the same records in the same run.

The other linkers are needed here only, so they live in an environment of their own.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parent.parent.parent
_HOME = _ROOT / ".venv-bench"


def run(arguments: list[str]) -> int:
    """Runs the measurement in its environment, which is made when it is not there."""
    python = _HOME / "bin/python"
    key = (_ROOT / "requirements-bench.lock").read_text(encoding="utf-8")
    stamp = _HOME / ".lock"
    if not (stamp.exists() and stamp.read_text(encoding="utf-8") == key):
        print("▸ Other linkers (requirements-bench.lock)", flush=True)
        uv = _ROOT / ".venv/bin/uv"
        told = os.environ | {"UV_SYSTEM_CERTS": "1", "UV_LINK_MODE": "copy"}
        venv = [uv, "venv", "-q", "--allow-existing", "--python", sys.executable, _HOME]
        lock = ["--require-hashes", "-r", _ROOT / "requirements-bench.lock"]
        install = [uv, "pip", "install", "-q", "--python", python, *lock]
        for command in (venv, install):
            if subprocess.run(command, env=told, check=False).returncode:
                print("✗ The other linkers could not be installed.", file=sys.stderr)
                return 1
        stamp.write_text(key, encoding="utf-8")
    path = os.environ | {"PYTHONPATH": f"{_ROOT / 'src'}:{_ROOT}"}
    return subprocess.run(
        [python, "-m", "bench.linkage", *arguments], cwd=_ROOT, env=path, check=False
    ).returncode
