"""A Páteř of the benchmark's own: the real command, an empty data folder, a free port."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from urllib.error import URLError
from urllib.request import urlopen

from bench.machine import descendants

_PATER = str(Path(sys.executable).with_name("pater"))


class ServerError(Exception):
    """The server did not come up; the text is what it said."""


def free_port() -> int:
    """A port that nobody uses now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Server:
    """`pater demo --empty` as a child process, for the length of a `with` block."""

    def __init__(self, *, workers: int = 1) -> None:
        # The database runs as another user when we are root: it must be able to enter.
        self.folder = Path(tempfile.mkdtemp(prefix="pater-bench-"))
        self.folder.chmod(0o755)
        self.port = free_port()
        self.environment = {
            **os.environ,
            "PATER_DATA": str(self.folder / "data"),
            "PATER_PORT": str(self.port),
            "PATER_WORKERS": str(workers),
        }
        self._log = self.folder / "log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        """The process of the server."""
        assert self._process is not None
        return self._process.pid

    @property
    def dsn(self) -> str:
        """The address of the server's database."""
        return (self.folder / "data" / "running").read_text("utf-8").strip()

    def __enter__(self) -> Server:
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

    def _start(self) -> None:
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [_PATER, "demo", "--empty", "--port", str(self.port)],
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + 120
        while time.monotonic() < end and self._process.poll() is None:
            try:
                with urlopen(f"http://127.0.0.1:{self.port}/health/ready", timeout=2) as answer:
                    if answer.status == 200:
                        return
            except (URLError, OSError):
                time.sleep(0.1)
        raise ServerError(self.said())

    def _stop(self) -> None:
        if self._process is not None and self._process.poll() is None:
            left = descendants(self._process.pid)
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                for pid in left:
                    try:
                        os.kill(pid, signal.SIGKILL)
                    except ProcessLookupError:
                        continue
                self._process.wait(10)
        shutil.rmtree(self.folder, ignore_errors=True)

    def said(self) -> str:
        """The end of what it printed."""
        return self._log.read_text("utf-8", "replace")[-4000:] if self._log.exists() else ""

    def token(self, name: str) -> str:
        """A bearer token of a demonstration client."""
        done = subprocess.run(
            [_PATER, "token", name],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        if done.returncode:
            raise ServerError(done.stderr)
        return done.stdout.strip()
