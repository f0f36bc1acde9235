"""Files that the program keeps beside the database: folders of named files under one root.

The only place that knows they are files: another store of objects needs these few functions.
Names are the program's own, never a client's.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._\-]{0,127}", re.ASCII)
_BLOCK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Files:
    """Folders of files under `root`, which is made when the first file is written."""

    root: Path

    def _path(self, folder: str, name: str = "") -> Path:
        for part in (folder, name) if name else (folder,):
            if not _NAME.fullmatch(part):
                raise ValueError("a file's name has letters, digits, dots and dashes")
        return self.root / folder / name if name else self.root / folder

    def append(self, folder: str, name: str, at: int) -> BinaryIO:
        """The file open for writing behind its first `at` bytes; what followed them is cut off.

        Raises FileNotFoundError when it has fewer.
        """
        path = self._path(folder, name)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if at and (not path.exists() or path.stat().st_size < at):
            raise FileNotFoundError(name)
        file = path.open("r+b" if path.exists() else "w+b")
        file.truncate(at)
        file.seek(at)
        return file

    def size(self, folder: str, name: str) -> int | None:
        """Bytes of a file, None when there is none."""
        try:
            return self._path(folder, name).stat().st_size
        except (OSError, ValueError):
            return None

    def blocks(
        self, folder: str, name: str, first: int = 0, count: int | None = None
    ) -> Iterator[bytes]:
        """The content of a file, or `count` bytes behind the `first`, in pieces. Raises OSError."""
        with self._path(folder, name).open("rb", buffering=0) as file:
            file.seek(first)
            while count is None or count > 0:
                block = file.read(_BLOCK if count is None else min(count, _BLOCK))
                if not block:
                    return
                count = None if count is None else count - len(block)
                yield block

    def path(self, folder: str, name: str) -> Path:
        """Where a file lies, for a reader in another process of this machine."""
        return self._path(folder, name)

    def remove(self, folder: str) -> None:
        """Removes a folder with its files, when there is one."""
        shutil.rmtree(self._path(folder), ignore_errors=True)

    def age(self, folder: str) -> float:
        """Seconds since a file was added to the folder (0 when it has gone)."""
        try:
            return time.time() - self._path(folder).stat().st_mtime
        except OSError:
            return 0.0

    def folders(self) -> list[str]:
        """All folders."""
        return sorted(each.name for each in self.root.iterdir()) if self.root.is_dir() else []


def settle(file: BinaryIO) -> None:
    """Has what was written survive a power cut."""
    file.flush()
    os.fsync(file.fileno())
