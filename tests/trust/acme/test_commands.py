"""`pater acme`, as an operator types it."""

from __future__ import annotations

import asyncio
from pathlib import Path

from click.testing import CliRunner

from pater.cli import main
from pater.store.database import Database
from pater.trust.acme.tables import key


async def test_the_life_of_a_key(database: Database, tmp_path: Path) -> None:
    settings = {"PATER_DATABASE_URL": database.dsn, "PATER_DATA": str(tmp_path / "data")}

    async def command(*words: str, status: int = 0) -> str:
        done = await asyncio.to_thread(CliRunner(env=settings).invoke, main, ["acme", *words])
        assert done.exit_code == status, done.output
        return done.output

    assert await command("list") == "no keys\n"
    said = await command("key", "--ico", "27520536", "--organization", "Nemocnice",
                         "--host", "nis.example", "--host", "PACS.example")  # fmt: skip
    told = dict(line.split(maxsplit=1) for line in said.splitlines())
    assert told["directory"] == "http://127.0.0.1:8080/acme/directory"
    kept = await key(database, told["key"])
    assert kept and kept.hosts == ("nis.example", "pacs.example")
    listed = await command("list", "--ico", "27520536")
    assert told["key"] in listed and "waiting" in listed and told["secret"] not in listed
    assert "no keys" in await command("list", "--ico", "12345679")
    assert "eight digits" in await command("key", "--ico", "1", "--host", "a", status=1)
    assert "DNS name" in await command("key", "--ico", "27520536", "--host", "10.0.0.1", status=1)
    assert "DNS name" in await command("key", "--ico", "27520536", "--host", "*.a", status=1)
    assert "no such key" in await command("end", "x", status=1)
    assert "has ended" in await command("end", told["key"])
    assert "ended" in await command("list")
