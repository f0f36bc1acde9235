"""A Páteř of the benchmark's own: the real command, an empty data folder, a free port."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import asyncpg

from bench.child import Child, ServerError
from bench.machine import descendants

_PATER = str(Path(sys.executable).with_name("pater"))


class Server(Child):
    """`pater demo --empty` as a child process, for the length of a `with` block."""

    def __init__(self, *, workers: int = 1) -> None:
        super().__init__("pater")
        self.environment = {
            **os.environ,
            "PATER_DATA": str(self.folder / "data"),
            "PATER_PORT": str(self.port),
            "PATER_POLICY": "declared",  # as callers state: compared over versions
            "PATER_WORKERS": str(workers),
        }
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
        self._answers(self._process, "/health/ready", 120)

    def _end(self) -> None:
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

    async def settle(self) -> None:
        """Vacuum and statistics, which come by themselves some time after much was written."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute("vacuum (analyze)", timeout=3600)
        finally:
            await connection.close()

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
