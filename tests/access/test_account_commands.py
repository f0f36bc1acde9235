"""`pater account` and `pater gateway`: what an operator does reaches the people it is for."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

from click.testing import CliRunner, Result

from pater.access import accounts, clients, single_codes
from pater.app import now
from pater.cli import main
from pater.store.database import Database
from pater.store.embedded import EmbeddedPostgres
from pater.trust.keys import Keys
from tests.access.test_gateway import certificate
from tests.access.test_smart import HOSPITAL
from tests.conftest import Clock, database_dsn

PASSWORD = "kapr plave v lednu"


async def test_the_commands(
    database: Database, postgres: EmbeddedPostgres, tmp_path: Path, clock: Clock
) -> None:
    name = await database.fetchval("select current_database()")
    data = tmp_path / "data"
    env = {"PATER_DATA": str(data), "PATER_DATABASE_URL": database_dsn(postgres.dsn, name)}

    async def run(*words: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, list(words), env=env)

    about = ("--name", "Jana Nováková", "--role", "patient", "--password")
    easy = await run("account", "add", "jana", *about, "heslo1234567")
    assert easy.exit_code == 1
    made = await run("account", "add", "jana", *about, PASSWORD)
    assert made.exit_code == 0, made.output
    first = re.search(r"one-time code: (\S+)", made.output)
    assert (await run("account", "add", "jana", *about, PASSWORD)).exit_code == 1
    assert "one-time code waiting" in (await run("account", "show", "jana")).output
    assert (await run("account", "lock", "jana")).exit_code == 0
    assert "locked by an operator" in (await run("account", "show", "jana")).output
    assert (await run("account", "unlock", "jana")).exit_code == 0
    again = re.search(r"one-time code: (\S+)", (await run("account", "reset", "jana")).output)
    assert (await run("account", "reset", "nobody")).exit_code == 1

    found = await accounts.find_by_login(database, "jana")
    keys = Keys.load_or_create(data / "keys")
    assert found is not None and found.active and first is not None and again is not None
    assert not await single_codes.use(database, keys, found.id, first[1], now())
    assert await single_codes.use(database, keys, found.id, again[1], now())
    rows = await database.fetch("select reason, agent from journal order by at, seq")
    assert [(row["reason"], row["agent"]) for row in rows] == [
        (f"account-{what}", "operator") for what in ("added", "locked", "unlocked", "reset")
    ]

    await clients.register(database, HOSPITAL, now)
    (tmp_path / "c.pem").write_bytes(certificate(clock))
    pem = str(tmp_path / "c.pem")
    assert (await run("gateway", "add", "nobody", pem, "--id", "c1")).exit_code == 1
    assert (await run("gateway", "add", "hospital-b", pem, "--id", "c1")).exit_code == 0
    assert "revoked" in (await run("gateway", "revoke", "c1")).output
    assert "c1  revoked" in (await run("gateway", "list", "hospital-b")).output
