"""A Páteř of the tests' own: the real command, a port of its own, a data folder of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import httpx

from tests import completeness
from tests.ports import free_port
from tests.waiting import PATIENCE

PATER = str(Path(sys.executable).with_name("pater"))
WATCHED = str(Path(__file__).with_name("watched.py"))


class Running:
    """`pater demo` as a child process."""

    def __init__(self, folder: Path, *options: str, **environment: str) -> None:
        self.folder = folder
        self.options = options
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.environment = {
            **os.environ,
            "PATER_DATA": str(folder),
            "PATER_PORT": str(self.port),
            "PATER_POLICY": "declared",  # each test sends documents of patients of its own
            **environment,
        }
        self.left = folder.parent / f"{folder.name}.left"
        self.log = folder.parent / f"{folder.name}.log"
        self.process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[str, str] = {}

    def start(self, seconds: float = PATIENCE) -> Running:
        """Starts it and waits until it answers."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, WATCHED, "demo", *self.options],
                env={**self.environment, completeness.FILE: str(self.left)},
                stdout=log,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise AssertionError(f"it ended:\n{self.said()}")
            try:
                if httpx.get(f"{self.url}/health/ready", timeout=30).status_code == 200:
                    return self
            except httpx.TransportError:
                pass  # not yet
            time.sleep(0.1)
        self.kill()
        raise AssertionError(f"it did not come up:\n{self.said()}")

    def said(self) -> str:
        """Everything it printed."""
        return self.log.read_text("utf-8", "replace")[-6000:]

    def stop(self) -> None:
        """Asks it to stop and waits; what left it has to stand in its journal."""
        if self.process is not None and self.process.poll() is None:
            try:
                completeness.hold_file(self.left)
            finally:
                self.process.send_signal(signal.SIGTERM)
                self.process.wait(PATIENCE)

    def kill(self) -> None:
        """SIGKILL, as a power switch for the program."""
        assert self.process is not None
        self.process.kill()
        self.process.wait(PATIENCE)

    def command(self, *words: str) -> str:
        """Runs another `pater` command on the same data folder."""
        done = subprocess.run(
            [PATER, *words],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def token(self, name: str) -> str:
        """A bearer token of a demonstration name; each is asked for once."""
        if name not in self._tokens:
            self._tokens[name] = self.command("token", name)
        return self._tokens[name]

    def client(self, name: str) -> httpx.Client:
        """An HTTP client of the FHIR API with the bearer token of a demonstration name."""
        return httpx.Client(
            base_url=f"{self.url}/fhir",
            headers={
                "Authorization": f"Bearer {self.token(name)}",
                "Accept": "application/fhir+json",
            },
            timeout=PATIENCE,
        )
