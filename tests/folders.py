"""Folders for the servers of tests: in memory where there is enough, else where others are, too."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MEMORY = Path("/dev/shm")
ENOUGH = 4 * 1024**3


@contextmanager
def scratch() -> Iterator[Path]:
    """A temporary folder that the database's own user may enter.

    A database is a thousand files, and most tests make one: on a busy disk that takes ten times
    the work of the test. What a killed run left in memory is taken away by the next.
    """
    parent = None
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > ENOUGH:
        parent = MEMORY
        for left in MEMORY.glob("pt-*-*"):
            owner = left.name.split("-")[1]
            if owner.isdigit() and not Path("/proc", owner).exists():
                shutil.rmtree(left, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=f"pt-{os.getpid()}-", dir=parent))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
