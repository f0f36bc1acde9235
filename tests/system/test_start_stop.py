"""Starting and stopping: data stay, nothing is left behind, and failures say what to do."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.folders import scratch
from tests.system.documents import discharge, encoded
from tests.system.running import PATER, Running
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/fhir+json"}


@pytest.fixture
def folder() -> Iterator[Path]:
    with scratch() as one:
        yield one


def said(running: Running, *words: str) -> str:
    """What a command that must fail prints."""
    done = subprocess.run(
        [PATER, *words],
        env=running.environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopping_and_starting_again_keeps_the_data(folder: Path, number: signal.Signals) -> None:
    running = Running(folder / "data", "--empty").start()
    with running.client("hospital-a") as client:
        sent = client.post("/Bundle", content=encoded(discharge()), headers=JSON)
        path = sent.headers["location"].split("/fhir")[1].split("/_history")[0]
    server = int((folder / "data/postgres/cluster/postmaster.pid").read_text().split()[0])
    assert running.process is not None
    running.process.send_signal(number)
    assert running.process.wait(PATIENCE) == 0
    with pytest.raises(ProcessLookupError):
        os.kill(server, 0)
    assert not (folder / "data/running").exists()
    running.start()
    with running.client("hospital-b") as client:
        assert client.get(path).status_code == 200
    running.stop()


def test_a_taken_port_says_so(folder: Path) -> None:
    running = Running(folder / "data")
    with socket.socket() as other:
        other.bind(("127.0.0.1", running.port))
        other.listen()
        text = said(running, "demo")
    assert str(running.port) in text
    assert "PATER_PORT=" in text


def test_a_broken_database_folder_says_so(folder: Path) -> None:
    running = Running(folder / "data", "--empty").start()
    running.stop()
    cluster = folder / "data/postgres/cluster"
    (cluster / "global/pg_control").write_bytes(b"broken")
    text = said(running, "demo")
    assert "damaged" in text
    assert "backup" in text


def test_a_data_folder_that_is_a_file_says_so(folder: Path) -> None:
    running = Running(folder / "data")
    (folder / "data").write_text("not a folder")
    assert "data folder" in said(running, "demo")


def test_a_second_one_on_the_same_folder_says_so(folder: Path) -> None:
    first = Running(folder / "data", "--empty").start()
    second = Running(folder / "data", "--empty")
    text = said(second, "demo")
    assert "another" in text.lower()
    first.stop()


def test_a_demonstration_and_a_service_never_share_a_folder(folder: Path) -> None:
    running = Running(folder / "data", "--empty").start()
    running.stop()
    assert "demonstration" in said(running, "serve")
    service = Running(folder / "service")
    (folder / "service/keys").mkdir(parents=True)
    assert "not a demonstration" in said(service, "demo")
    assert "demo mode only" in said(service, "token", "loader")


def test_an_unknown_name_says_which_there_are(folder: Path) -> None:
    running = Running(folder / "data", "--empty").start()
    assert "hospital-a" in said(running, "token", "nobody")
    assert "PATRQT" in said(running, "token", "patient", "--purpose", "TREAT")
    running.stop()


def test_settings_that_make_no_sense_say_which(folder: Path) -> None:
    running = Running(folder / "data")
    running.environment["PATER_PORT"] = "many"
    assert "port" in said(running, "demo")


def test_a_port_that_is_none_says_so(folder: Path) -> None:
    assert "65535" in said(Running(folder / "data"), "demo", "--port", "80000")


def test_a_database_that_is_not_there_says_so(folder: Path) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}/pater"
        url = f"postgresql://user:geheim@{address}"  # not a secret
        text = said(Running(folder / "data", PATER_DATABASE_URL=url), "demo")
    assert "PATER_DATABASE_URL" in text
    assert "geheim" not in text


def test_keys_that_do_not_belong_to_the_database_say_so(folder: Path) -> None:
    running = Running(folder / "data", "--empty").start()
    running.stop()
    for key in (folder / "data/keys").iterdir():
        key.write_bytes(b"broken")
    assert "damaged" in said(running, "demo", "--empty")
    for key in (folder / "data/keys").iterdir():
        key.unlink()
    assert "backup" in said(running, "demo", "--empty")
