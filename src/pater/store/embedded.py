"""A PostgreSQL of our own: made, started, watched and stopped by this process."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Any
from urllib.parse import quote

from pater.store.embedded_host import (
    Binaries,
    EmbeddedError,
    ServerUser,
    binaries,
    check_reachable,
    make_run_dir,
    server_user,
)

__all__ = ["EmbeddedError", "EmbeddedPostgres"]

_ROLE = "pater"
_READY_SECONDS = 600.0
"""Recovery after a crash replays the log and may take minutes on a large database."""
_STOP_SECONDS = 60.0
_LEAST_FREE = 256 * 1024 * 1024
_LOG_LIMIT = 16 * 1024 * 1024
_MB = 1024 * 1024

# What the server says when it gives up → what is wrong, and what to do.
_DIAGNOSES = (
    (
        r"No space left on device|Disk quota exceeded",
        "The disk of the database is full.",
        "Free some space on it and start again; nothing that was acknowledged is lost.",
    ),
    (
        r"incompatible with server|initialized by PostgreSQL version",
        "The database was made by another version of PostgreSQL.",
        "Start it with the release of Páteř that made it, dump it there, and load it here.",
    ),
    (
        r"lock file .* already exists|is another postmaster",
        "Another program is running this database.",
        "Stop that program, or choose another data folder.",
    ),
    (
        r"Permission denied|invalid permissions|wrong ownership",
        "The server may not read or write its folder.",
        "Give the folder back to the user Páteř runs as, or choose another data folder.",
    ),
    (
        r"could not (open|read|access) file|invalid checkpoint|could not locate .*checkpoint"
        r"|invalid data in|incorrect checksum|is not a valid data directory|configuration file",
        "The files of the database are damaged or incomplete.",
        "Restore the folder from a backup; do not try to repair it by hand.",
    ),
)
_DYING = "pre-existing shared memory block"


class EmbeddedPostgres:
    """One server over one folder, reachable by a unix socket only.

    `data_dir` holds `cluster` (PostgreSQL's files), `server.log`, `lock` and, where needed, a copy
    of the binaries. While this object runs the server, no other process can start it. A server
    whose program was killed is stopped at the next start, so that it is always our direct child.
    """

    def __init__(self, data_dir: Path, *, run_dir: Path | None = None, memory: int = 0) -> None:
        """`memory`: MB that the server keeps pages in; 0 = by the memory of the machine."""
        self.data_dir = data_dir.absolute()
        self._memory = memory
        self.dsn = ""
        self._cluster = self.data_dir / "cluster"
        self._log = self.data_dir / "server.log"
        self._wanted_run_dir = run_dir
        self._run_dir: Path | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._owner = 0

    def __enter__(self) -> EmbeddedPostgres:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """The process number of the running server."""
        return self._process.pid if self._process is not None else None

    def start(self) -> str:
        """Starts the server (making the database first when the folder is new); gives its DSN.

        Blocks until it accepts connections. Raises EmbeddedError; then nothing is left running.
        """
        if self._process is not None:
            return self.dsn
        try:
            user = server_user()
            self._prepare_folder(user)
            self._take_lock()
            self._stop_orphan()
            program = binaries(user, self.data_dir / "server")
            self._check_cluster(program)
            if not self._cluster.exists():
                self._initialise(user, program)
            user.own(self._cluster, 0o700)
            self._run_dir = make_run_dir(user, self._wanted_run_dir)
            self._launch(user, program, self._run_dir)
        except OSError as error:
            self.stop()
            raise _explain(f"Error: {error}") from error
        except BaseException:
            self.stop()
            raise
        self.dsn = f"postgresql://{_ROLE}@/{_ROLE}?host={quote(str(self._run_dir), safe='')}"
        return self.dsn

    def stop(self) -> None:
        """Stops the server in order and waits for its end. Does nothing when it does not run."""
        if self._owner not in (0, os.getpid()):
            return  # a forked worker: the server belongs to its parent
        if self._process is not None:
            _end(self._process)
            self._process = None
        if self._run_dir is not None and self._run_dir != self._wanted_run_dir:
            shutil.rmtree(self._run_dir, ignore_errors=True)
        self._run_dir = None
        self.dsn = ""
        if self._lock is not None:
            self._lock.close()
            self._lock = None

    def _prepare_folder(self, user: ServerUser) -> None:
        if self.data_dir.exists() and not self.data_dir.is_dir():
            raise EmbeddedError(f"{self.data_dir} is not a folder.", "Choose another data folder.")
        new = not self.data_dir.exists()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if not new and user.switch and self.data_dir.stat().st_uid not in (0, user.uid):
            raise EmbeddedError(
                f"The folder {self.data_dir} belongs to another user.",
                "Start Páteř as that user, or choose another data folder.",
            )
        if user.switch or new:
            user.own(self.data_dir, 0o700)
        check_reachable(user, self.data_dir)

    def _take_lock(self) -> None:
        lock = (self.data_dir / "lock").open("ab")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            lock.close()
            raise EmbeddedError(
                f"Another Páteř is running on the folder {self.data_dir}.",
                "Stop it first, or choose another data folder.",
            ) from error
        self._lock = lock
        self._owner = os.getpid()

    def _stop_orphan(self) -> None:
        """Ends a server whose program was killed: we hold the lock, so nobody else wants it."""
        pid_file = self._cluster / "postmaster.pid"
        lines = _read_lines(pid_file)
        if not lines or not lines[0].strip().lstrip("-").isdigit():
            return
        pid = abs(int(lines[0]))
        if not _runs_in(pid, self._cluster):
            # A number used again by another program would make the server refuse to start.
            pid_file.unlink(missing_ok=True)
            return
        for kind, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 10.0)):
            try:
                os.kill(pid, kind)
            except ProcessLookupError:
                break  # it ended by itself
            if _wait(lambda: not _runs_in(pid, self._cluster), seconds):
                break
        else:
            raise EmbeddedError(
                f"A database server left behind (process {pid}) does not stop.",
                "End that process, then start again.",
            )
        socket_dir = Path(lines[4].strip()) if len(lines) > 4 and lines[4].strip() else None
        if socket_dir is not None and socket_dir.name.startswith("pater-"):
            try:
                socket_dir.rmdir()
            except OSError:
                pass  # not empty or gone already: nothing depends on it

    def _check_cluster(self, program: Binaries) -> None:
        if not self._cluster.exists():
            return
        found = _read_lines(self._cluster / "PG_VERSION")
        if not found:
            raise EmbeddedError(
                f"{self._cluster} is there but holds no database.",
                "Restore the folder from a backup, or move it away to begin with a new database.",
            )
        if found[0].strip() != str(program.major):
            raise EmbeddedError(
                f"The database is of PostgreSQL {found[0].strip()};"
                f" this release brings PostgreSQL {program.major}.",
                "Start it with the release of Páteř that made it, dump it there, and load it here.",
            )

    def _initialise(self, user: ServerUser, program: Binaries) -> None:
        """Makes the database beside its place and renames it: a half-made one is never seen."""
        if shutil.disk_usage(self.data_dir).free < _LEAST_FREE:
            raise _explain("No space left on device")
        fresh = self.data_dir / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        command = [
            program.folder / "initdb",
            "--pgdata",
            fresh,
            "--username",
            _ROLE,
            "--auth=trust",  # the socket's folder, 0700, is the guard
            "--encoding=UTF8",
            "--no-locale",
            "--locale-provider=builtin",
            "--builtin-locale=C.UTF-8",
            "--data-checksums",
        ]
        self._run(user, command)
        single = [program.folder / "postgres", "--single", "-D", fresh, "postgres"]
        self._run(user, single, f"create database {_ROLE}\n".encode())
        fresh.rename(self._cluster)

    def _run(self, user: ServerUser, command: list[Any], given: bytes = b"") -> None:
        done = subprocess.run(
            command,
            input=given,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            cwd="/",
            env=_environment(),
            check=False,
            **user.popen_options(),  # type: ignore[call-overload]  # Popen's own keywords
        )
        if done.returncode != 0:
            raise _explain(done.stdout.decode(errors="replace"))

    def _launch(self, user: ServerUser, program: Binaries, run_dir: Path) -> None:
        command: list[Any] = [program.folder / "postgres", "-D", self._cluster]
        settings = server_settings(run_dir, self.data_dir)
        if self._memory:
            settings["shared_buffers"] = f"{self._memory}MB"
        for name, value in settings.items():
            command += ["-c", f"{name}={value}"]
        if self._log.exists() and self._log.stat().st_size > _LOG_LIMIT:
            self._log.replace(self._log.with_suffix(".log.1"))
        deadline = time.monotonic() + _READY_SECONDS
        while True:
            with self._log.open("ab") as log:
                begin = log.tell()
                self._process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd="/",
                    env=_environment(),
                    start_new_session=True,  # Ctrl+C is for us; we stop the server in order
                    **user.popen_options(),  # type: ignore[call-overload]  # Popen's own keywords
                )
            if _wait(self._ready_or_dead, deadline - time.monotonic()) and self._alive():
                return
            said = self._log.read_bytes()[begin:].decode(errors="replace")
            # Children of a killed server end within moments; until then its memory is in use.
            if _DYING not in said or time.monotonic() > deadline:
                raise _explain(said)
            time.sleep(0.2)

    def _alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _ready_or_dead(self) -> bool:
        lines = _read_lines(self._cluster / "postmaster.pid")
        # Line 1 is the process, line 8 the state; an old file of a dead server tells nothing.
        ready = len(lines) >= 8 and lines[7].strip() == "ready" and lines[0] == str(self.pid)
        return ready or not self._alive()


def server_settings(run_dir: Path, data_dir: Path) -> dict[str, str]:
    """Modest settings by the memory and disk of the machine. Nothing here weakens durability."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // _MB
    free = shutil.disk_usage(data_dir).free // _MB
    return {
        "listen_addresses": "",
        "unix_socket_directories": str(run_dir),
        "unix_socket_permissions": "0700",
        "max_connections": "100",
        # A batch of new resources holds an advisory lock for each.
        "max_locks_per_transaction": "256",
        # The pages that finding a person touches are to be here: not all systems keep what was read
        # once. Two fifths is the most that the manual of PostgreSQL calls sensible.
        "shared_buffers": f"{min(max(memory * 2 // 5, 128), 32 * 1024)}MB",
        "effective_cache_size": f"{max(memory // 2, 256)}MB",
        "work_mem": "16MB",
        "maintenance_work_mem": f"{min(max(memory // 32, 64), 512)}MB",
        # After a checkpoint each page is logged whole once more: a load of millions that made one
        # each 2 GB wrote little else. What is not used up is given back within some checkpoints.
        "max_wal_size": f"{min(max(free // 8, 512), 12 * 1024)}MB",
        "checkpoint_timeout": "15min",
        "random_page_cost": "1.1",
        "timezone": "UTC",
        "log_timezone": "UTC",
        "fsync": "on",
        "synchronous_commit": "on",
        "full_page_writes": "on",
        # The log must hold no personal data: no statements, no values of failed rows.
        "log_min_error_statement": "panic",
        "log_error_verbosity": "terse",
        "log_parameter_max_length_on_error": "0",
    }


def _environment() -> dict[str, str]:
    """A clean environment: PG* variables of the user must not lead the server astray."""
    kept = {name: os.environ[name] for name in ("PATH", "TMPDIR") if name in os.environ}
    return {**kept, "LC_ALL": "C", "TZ": "UTC"}


def _explain(said: str) -> EmbeddedError:
    for pattern, message, advice in _DIAGNOSES:
        if re.search(pattern, said):
            return EmbeddedError(message, advice)
    last = [line for line in said.splitlines() if re.search("FATAL|PANIC|rror", line)][-1:]
    return EmbeddedError(
        f"The database server did not start: {last[0].strip() if last else 'it gave no reason'}.",
        "See server.log in the data folder.",
    )


def _end(process: subprocess.Popen[bytes]) -> None:
    """Fast shutdown, then immediate (recovered at the next start), then by force; always reaped."""
    for kind, seconds in ((signal.SIGINT, _STOP_SECONDS), (signal.SIGQUIT, 10.0)):
        if process.poll() is not None:
            return
        process.send_signal(kind)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
        return
    process.kill()
    process.wait()


def _runs_in(pid: int, cluster: Path) -> bool:
    """Whether the process lives and is a server over this folder (its working folder tells)."""
    proc = Path("/proc", str(pid))
    if Path("/proc/self").exists():
        try:
            state = (proc / "stat").read_text().rpartition(")")[2].split()[0]
            return state != "Z" and (proc / "cwd").resolve(strict=True) == cluster.resolve()
        except OSError:
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def _read_lines(path: Path) -> list[str]:
    try:
        return path.read_text(errors="replace").splitlines()
    except (FileNotFoundError, NotADirectoryError):
        return []


def _wait(done: Any, seconds: float) -> bool:
    """Looks every 20 ms until `done()` or the time is over; whether it is done."""
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True
