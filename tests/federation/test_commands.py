"""`pater issuer`, `pater app list` and `pater tls` as an operator uses them."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from joserfc.jwk import ECKey

from pater.cli import main
from pater.store.database import Database

Run = Callable[..., Result]


@pytest.fixture
def run(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """Runs a command on the database of the test."""
    monkeypatch.setenv("PATER_DATABASE_URL", database.dsn)
    monkeypatch.setenv("PATER_DATA", str(tmp_path))

    def command(*words: str) -> Result:
        found: list[Result] = []
        # a command has an event loop of its own
        thread = threading.Thread(target=lambda: found.append(CliRunner().invoke(main, [*words])))
        thread.start()
        thread.join()
        return found[0]

    yield command


def test_providers_are_written_down_shown_and_taken_away(run: Run, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("s3cret\nmore\n")
    words = ("issuer", "add", "nia", "--address", "https://id.example", "--name", "Stát", "State",
             "--client-id", "pater", "--secret", str(secret), "--claim", "rid=https://x.example/rid",
             "--level", "http://eidas.europa.eu/LoA/high=2")  # fmt: skip
    added = run(*words)
    assert added.exit_code == 0 and "/login/from/nia" in added.output, added.output
    shown = run("issuer", "list").output
    assert "client_secret_basic" in shown and "rid = https://x.example/rid" in shown
    assert "http://eidas.europa.eu/LoA/high = 2" in shown and "s3cret" not in shown
    for wrong in (("--claim", "magic=x"), ("--level", "x=9"), ("--level", "x"), ("--claim", "x")):
        assert run(*words, *wrong).exit_code == 1
    assert run("issuer", "remove", "nia").exit_code == 0
    assert run("issuer", "remove", "nia").exit_code == 1
    assert "no providers" in run("issuer", "list").output


def test_apps_are_listed_with_what_they_may(run: Run) -> None:
    words = ("app", "add", "diary", "--name", "Diary", "--redirect", "https://d.example/back",
             "--launch", "https://d.example/go", "--scopes", "openid patient/*.rs")  # fmt: skip
    added = run(*words, "--secret")
    assert added.exit_code == 0 and "confidential" in added.output
    secret = added.output.rstrip().rpartition(" ")[2]
    listed = run("app", "list").output
    assert listed.splitlines() == [
        "diary  Diary  (confidential)",
        "    redirect https://d.example/back",
        "    launch   https://d.example/go",
        "    scopes   openid patient/*.rs",
    ]
    assert secret not in listed
    assert run("app", "remove", "diary").exit_code == 0 and run("app", "list").output == ""


def test_keys_of_an_app_come_from_a_file(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "keys.json"
    key = ECKey.generate_key("P-256", {"kid": "k"})
    file.write_text(json.dumps({"keys": [key.as_dict(private=False)]}))
    words = ("app", "add", "s", "--name", "S", "--redirect", "https://s.example/", "--scopes",
             "patient/*.rs", "--keys", str(file))  # fmt: skip
    assert "confidential" in run(*words).output
    file.write_text("no")
    assert run(*words).exit_code == 1


def test_a_system_without_a_name_comes_with_nothing(run: Run, tmp_path: Path) -> None:
    file = tmp_path / "c.pem"
    file.write_text("no certificate")
    assert run("tls", "add", "nobody", str(file)).exit_code == 1
    assert "no certificates" in run("tls", "list", "nobody").output
    assert "did not come" in run("tls", "remove", "nobody", "x").output
