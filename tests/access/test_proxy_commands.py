"""`pater proxy`: an official enters, lists and ends parents and guardians."""

from __future__ import annotations

import asyncio
from datetime import date
from pathlib import Path

from click.testing import CliRunner, Result

from pater.access import representation
from pater.access.representation import birthday
from pater.app import now
from pater.cli import main
from pater.fhir.json import parse
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres
from pater.store.read import read
from tests.conftest import Clock, database_dsn
from tests.rest.world import world


async def test_parents_and_guardians_are_entered_listed_and_ended(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    name = await database.fetchval("select current_database()")
    env = {
        "PATER_DATA": str(tmp_path / "data"),
        "PATER_DATABASE_URL": database_dsn(postgres.dsn, name),
    }

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["proxy", *words], env=env)

    async with world(database, Clock(now())) as api:
        born = date(now().year - 10, 2, 1)
        child = (await api.patient(birthDate=born.isoformat()))["id"]
        vague = (await api.patient(birthDate=str(born.year)))["id"]
        grown = (await api.patient())["id"]
        mother = (await api.patient(name=[{"family": "Dvořáková", "given": ["Jana"]}]))["id"]
        by = ("--by", mother, "--reference", "15 Nc 7/2026")
        done = await run("add", "parent", "--patient", child, *by)
        assert done.exit_code == 0, done.output
        one = await representation.find(database, done.output.strip())
        assert one is not None and one.until == birthday(born, 18) and one.holds(now())
        assert (one.agent, one.agent_name) == (await api.person_of(mother), "Jana Dvořáková")
        # beside the row that each access asks stands what others read
        related = await read(database, "RelatedPerson", one.id)
        assert related is not None and related.person == one.person
        body = parse(related.body)
        assert body["active"] and body["patient"] == {"reference": f"Patient/{child}"}
        assert "entered already" in (await run("add", "parent", "--patient", child, *by)).output

        for wrong, why in (
            (vague, "the birth date of the child is not known"), (grown, "not old enough"),
            (mother, "nobody acts for themselves"), ("nobody", "There is no Patient 'nobody'"),
        ):  # fmt: skip
            done = await run("add", "parent", "--patient", wrong, *by)
            assert done.exit_code == 1 and why in done.output, done.output
        assert await database.fetchval("select count(*) from representation") == 1
        done = await run("add", "guardian", "--patient", grown, *by, "--until", "2001-01-01")
        assert "over before it began" in done.output
        done = await run("add", "guardian", "--patient", grown, *by)
        guardian = done.output.strip()
        listed = await run("list", "--patient", grown)
        assert guardian in listed.output and "15 Nc 7/2026" in listed.output
        assert (await run("end", guardian)).exit_code == 0
        related = await read(database, "RelatedPerson", guardian)
        assert related is not None and parse(related.body)["active"] is False
        assert "does not hold" in (await run("list", "--patient", grown)).output
        assert (await run("end", "none")).exit_code == 1
        reasons = [row["reason"] for row in await api.journal(patient=grown, agent="operator")]
        assert reasons.count("representation-made") == 1
        assert reasons.count("representation-ended") == 1
