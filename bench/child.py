"""A server of a measurement: a folder and a port of its own, started and ended by `with`."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from pathlib import Path
from types import TracebackType
from typing import Self
from urllib.error import URLError
from urllib.request import urlopen


class ServerError(Exception):
    """The server did not come up; the text is what it said."""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Child(ABC):
    """What is started for the length of a `with` block; its folder goes with it."""

    def __init__(self, name: str) -> None:
        # The database runs as another user when we are root: it must be able to enter.
        self.folder = Path(tempfile.mkdtemp(prefix=f"{name}-bench-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self._log = self.folder / "log"

    @abstractmethod
    def _start(self) -> None:
        """Starts it and waits until it answers. Raises ServerError."""

    @abstractmethod
    def _end(self) -> None:
        """Ends what was started."""

    def __enter__(self) -> Self:
        try:
            self._start()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _answers(self, process: subprocess.Popen[bytes], path: str, seconds: float) -> None:
        """Waits until `path` answers 200. Raises ServerError when it does not or has ended."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and process.poll() is None:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=30) as answer:
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(0.1)
        raise ServerError(self.said())

    def said(self) -> str:
        """The end of what it printed."""
        return self._log.read_text("utf-8", "replace")[-4000:] if self._log.exists() else ""
