"""`pater hl7` beside a running service: senders, and what waits in quarantine."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner, Result

from pater.cli import main
from pater.domains.persons.hl7 import tables
from tests.persons.hl7.hl7_world import Bench

BAD = "AB-1^^^LATER||Říha^Pavel||19700304|M"


async def test_senders_and_quarantine(at: Bench, tmp_path: Path) -> None:
    environment = {"PATER_DATA": str(tmp_path / "data"), "PATER_DATABASE_URL": at.api.db.dsn}
    (tmp_path / "data").mkdir()

    async def run(*arguments: str) -> Result:
        def call() -> Result:
            return CliRunner().invoke(main, ["hl7", *arguments], env=environment)

        return await asyncio.to_thread(call)

    about = ("sender", "NEW", "WARD", "--client")
    assert (await run(*about, "nobody")).exit_code == 1
    assert (await run(*about, "test_harness", "--system", "https://no.example")).exit_code == 1
    own = "https://harness.example/test_a"
    assert (await run(*about, "test_harness", "--system", own)).exit_code == 1
    assert (await run(*about, "test_harness_a", "--system", own)).exit_code == 0
    assert f"NEW|WARD  test_harness_a  {own}" in (await run("senders")).output
    assert "removed" in (await run("senders", "--remove", "NEW", "WARD")).output
    assert "no such sender" in (await run("senders", "--remove", "NEW", "WARD")).output

    assert "nothing waits" in (await run("quarantine")).output
    await at.adt(BAD, control="K1")
    await at.adt(BAD.replace("AB-1", "AB-2"), control="K2")
    listed = (await run("quarantine")).output
    assert "test_harness  K1  204 PID^1^3^1^4" in listed
    first, second = await tables.failures(at.api.db, "", 10)
    assert "Říha^Pavel" in (await run("quarantine", "--show", first.id)).output
    assert (await run("quarantine", "--retry", "x")).exit_code == 1
    for settled in ("--drop", "--show"):  # only a retry may be of all
        refused = await run("quarantine", settled, "all")
        assert refused.exit_code == 1 and "no id of a message" in refused.output
    assert (await run("quarantine", "--retry", first.id)).exit_code == 1
    await at.api.db.execute("update identity_domain set name = 'LATER' where name = 'TEST'")
    done = await run("quarantine", "--retry", first.id)
    assert done.exit_code == 0, done.output
    assert "dropped" in (await run("quarantine", "--drop", second.id)).output
    assert "nothing waits" in (await run("quarantine")).output
    assert await at.count() == 1
