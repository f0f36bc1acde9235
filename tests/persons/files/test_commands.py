"""`pater persons` beside a running service: an import, and the quarantine of rows."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from pater.cli import main
from pater.domains.persons.files import tables
from tests.persons.faces import NUMBERS_A, A, Faces
from tests.persons.files.test_importing import Hospital, pavel, person


async def test_an_operator_imports_a_list(at: Faces, tmp_path: Path) -> None:
    hospital, db = Hospital(at, tmp_path), at.services.db
    environment = {"PATER_DATA": str(tmp_path / "data"), "PATER_DATABASE_URL": db.dsn}
    (tmp_path / "data").mkdir()

    async def run(*arguments: str) -> Result:
        def call() -> Result:
            return CliRunner().invoke(main, ["persons", *arguments], env=environment)

        return await asyncio.to_thread(call)

    path = str(hospital.file([person("1"), pavel("2", rodne_cislo="1"), person("1")], "cp1250"))
    about = ("import", path, "--source", A.organization, "--system", NUMBERS_A)
    dry = await run(*about, "--dry-run")
    assert dry.exit_code == 1, dry.output  # a row would be refused
    assert "3 rows (cp1250, delimiter ;), nothing was written" in dry.output
    assert "1 would be new persons" in dry.output
    listed = (tmp_path / "pacienti.report.csv").read_text("utf-8").splitlines()
    assert [line.split(",")[:4] for line in listed[1:]] == [
        ["2", "1", "new", ""],
        ["3", "2", "refused", "rodne_cislo"],
        ["4", "1", "repeated", ""],
    ]
    assert await hospital.count() == 0

    done = await run(*about)
    assert done.exit_code == 1
    assert "1 refused: rodne_cislo: " in done.output
    assert "row 3: rodne_cislo: " in done.output
    assert "pater persons quarantine" in done.output
    assert await hospital.count() == 1
    wrong = await run(*about[:4], "--system", "https://nobody.example")
    assert wrong.exit_code == 1
    assert "no NamingSystem" in wrong.output
    assert (await db.fetchval("select count(*) from job where state = 'running'")) == 0

    [kept] = await tables.waiting(db, "", 10)
    listing = (await run("quarantine", "--source", A.organization)).output
    assert f"{kept.id}  " in listing
    assert "pacienti.csv:3" in listing
    assert "nothing waits" in (await run("quarantine", "--source", "00064203")).output
    assert ";Říha;" in (await run("quarantine", "--show", kept.id)).output
    assert (await run("quarantine", "--retry", "x")).exit_code == 1
    retried = await run("quarantine", "--retry", "all")
    assert retried.exit_code == 1
    assert f"{kept.id}  rodne_cislo: " in retried.output
    assert "dropped" in (await run("quarantine", "--drop", kept.id)).output
    assert "no such row" in (await run("quarantine", "--drop", kept.id)).output
    assert "nothing waits" in (await run("quarantine", "--retry", "all")).output


async def test_what_waited_long_enough_is_forgotten(at: Faces, tmp_path: Path) -> None:
    hospital, db = Hospital(at, tmp_path), at.services.db
    await hospital.brings([pavel("2", rodne_cislo="1")])
    [kept] = await hospital.waiting()
    await tables.forget(db, kept.at)
    assert await hospital.waiting() == [kept]
    at.desk.api.clock.move(days=1)
    await tables.forget(db, at.desk.api.clock())
    assert await hospital.waiting() == []
