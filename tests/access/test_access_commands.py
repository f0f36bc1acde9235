"""`pater access`: an operator sees which policy held, and why something is or is not allowed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from click.testing import CliRunner, Result

from pater.access import clients, policy_versions
from pater.access.policy_files import body_of, shipped
from pater.access.probing import Bound, Probing
from pater.app import now
from pater.cli import main
from pater.records.standing_kept import StandingKept
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres
from pater.store.journal import JournalEntry
from tests.access.test_smart import HOSPITAL
from tests.access.test_standing import consent, encounter
from tests.conftest import Clock, database_dsn
from tests.rest.world import BASE, CLINICIAN, world


async def test_a_decision_is_explained_step_by_step(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    name = await database.fetchval("select current_database()")
    env = {
        "PATER_DATA": str(tmp_path / "data"),
        "PATER_DATABASE_URL": database_dsn(postgres.dsn, name),
        "PATER_POLICY": "cz",
    }

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["access", *words], env=env)

    clock = Clock(now())
    async with world(database, clock) as api:
        for type_, keeper in StandingKept(database, clock, BASE).keepers().items():
            api.gate.keep(type_, keeper)
        patient = (await api.patient())["id"]
        await clients.register(database, HOSPITAL, now)
        ours = {"identifier": {"system": "https://ncez.mzcr.cz/fhir/sid/ico",
                               "value": HOSPITAL.organization}}  # fmt: skip
        asked = ("explain", "read", "Observation", "--client", HOSPITAL.id, "--purpose", "TREAT")
        stranger = await run(*asked, "--patient", patient)
        assert stranger.exit_code == 0, stranger.output
        assert "REFUSED: Nothing is known of the caller caring" in stranger.output
        stay = await api.create(encounter(patient, ours))
        provision = {
            "type": "deny",
            "class": [{"system": "urn:pater:record-category", "code": "medication"}],
        }
        will = await api.create(consent(patient, provision))
        clock.move(seconds=1)
        allowed = (await run(*asked, "--patient", patient)).output
        assert "Policy cz, version" in allowed
        assert "Scope system/*.rs allows it." in allowed
        assert f"Relation encounter: Encounter/{stay['id']}, holds without end." in allowed
        assert "ALLOWED: The provider reads for the patient's treatment." in allowed
        assert "Act 372/2011" in allowed
        assert f"category medication: Consent/{will['id']}, Consent.provision" in allowed
        czech = (await run(*asked, "--patient", patient, "--lang", "cs")).output
        assert "DOVOLENO" in czech
        assert "zákon č. 372/2011 Sb." in czech
        general = (await run(*asked)).output
        assert "No person is named" in general
        rows = await database.fetch("select reason, agent, patient from journal_entry where"
                                    " agent = 'operator'")  # fmt: skip
        assert [tuple(row) for row in rows] == [("explained", "operator", patient)] * 3
    assert (await run("explain", "read", "Patient", "--client", "nobody")).exit_code == 1
    assert (await run("explain", "read", "Patient")).exit_code == 1


async def test_policies_are_kept_and_checked(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    name = await database.fetchval("select current_database()")
    env = {
        "PATER_DATA": str(tmp_path / "data"),
        "PATER_DATABASE_URL": database_dsn(postgres.dsn, name),
    }

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, ["access", *words], env=env)

    at = now()
    for hours, which in ((4, "cz"), (3, "cz"), (2, "declared"), (1, "cz")):
        moment = at - timedelta(hours=hours)
        await policy_versions.keep(database, shipped(which), body_of(which), moment)
    listed = (await run("policy")).output.splitlines()
    assert [line.split()[3] for line in listed] == ["cz", "declared", "cz"]
    for hours, which in ((0, "cz"), (1.5, "declared"), (2.5, "cz"), (5, "")):
        found = await policy_versions.in_force(database, at - timedelta(hours=hours))
        assert (found.name if found else "") == which
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(body_of("cz"))
    assert (await run("check", str(good))).output.startswith("cz 1: ")
    body = json.loads(body_of("cz"))
    body["rules"][0]["reason"] = "because"
    bad.write_text(json.dumps(body))
    refused = await run("check", str(bad))
    assert refused.exit_code == 1
    assert "rules[0]" in refused.output


async def test_who_went_through_people_is_listed(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path
) -> None:
    name = await database.fetchval("select current_database()")
    env = {
        "PATER_DATA": str(tmp_path / "data"),
        "PATER_DATABASE_URL": database_dsn(postgres.dsn, name),
    }

    async def run() -> str:
        words = ["access", "alarms"]
        result = await asyncio.to_thread(CliRunner().invoke, main, words, env=env)
        assert result.exit_code == 0, result.output
        return result.output

    assert await run() == "None.\n"
    probing = Probing(now, {"person": Bound(2, 3)})
    entries: list[JournalEntry] = []

    async def journal(some: Sequence[JournalEntry]) -> None:
        entries.extend(some)

    await probing.missed(CLINICIAN, ["a", "b", "c", "d"], database, journal)
    [last, first] = (await run()).splitlines()
    assert "stopped" in last and "alarm" in first
    for line in (first, last):
        assert "3 people" in line and f"person/{CLINICIAN.id}" in line and "12345679" in line
    assert [each.reason for each in entries] == ["probing-alarm", "probing-stopped"]
