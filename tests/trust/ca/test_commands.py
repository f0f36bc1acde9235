"""`pater ca`, as an operator types it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from pater.cli import main
from pater.store.database import Database
from tests.trust.ca.keys import ec_key, request

Command = Callable[..., Awaitable[str]]
SYSTEM = ("--name", "nis", "--ico", "27520536", "--organization", "Nemocnice Horní Lhota")


@pytest.fixture
def command(database: Database, tmp_path: Path) -> Command:
    """Runs `pater ca …` on a database of its own: what it prints, with the status it must have."""
    settings = {"PATER_DATABASE_URL": database.dsn, "PATER_DATA": str(tmp_path / "data")}

    async def run(*words: str | Path, status: int = 0) -> str:
        done = await asyncio.to_thread(
            CliRunner(env=settings).invoke, main, ["ca", *map(str, words)]
        )
        assert done.exit_code == status, done.output
        return done.output

    return run


def serial_of(said: str) -> str:
    """The serial number at the begin of a line."""
    found = re.search(r"\b[0-9a-f]{40}\b", said)
    assert found, said
    return found[0]


async def test_the_life_of_a_certificate(command: Command, tmp_path: Path) -> None:
    csr = tmp_path / "csr.pem"
    csr.write_bytes(request())
    assert "no certificates" in await command("list")
    assert "no certification authority yet" in await command("chain", status=1)
    said = await command("init", "--name", "Kraj")
    assert "CN=Kraj Issuing CA" in said
    assert said.count("SHA-256") == 2
    assert await command("init") == said
    issued = await command("issue", "system", csr, *SYSTEM)
    made, issuing = x509.load_pem_x509_certificates(issued.encode())
    made.verify_directly_issued_by(issuing)
    assert (await command("chain")).startswith(issuing.public_bytes(Encoding.PEM).decode())
    serial = serial_of(await command("list", "--holder", "ico:27520536", "--state", "Issued"))
    assert int(serial, 16) == made.serial_number
    assert "none" in await command("expiring")
    assert serial in await command("expiring", "--days", "731")
    csr.write_bytes(request())
    renewed = serial_of(await command("renew", serial, csr))
    assert f"renews   {serial}" in await command("show", renewed)
    assert "superseded" in await command("revoke", serial, "--reason", "superseded")
    shown = await command("show", serial.upper())
    assert "state    Revoked" in shown
    assert "BEGIN CERTIFICATE" in shown
    assert "list 3 holds until" in await command("crl")


async def test_what_ends_within_a_week_fails_a_daily_check(
    command: Command, tmp_path: Path, database: Database
) -> None:
    csr = tmp_path / "csr.pem"
    csr.write_bytes(request())
    serial = serial_of(await command("issue", "tls-server", csr, "--host", "a.test"))
    for days, status, mark in ((20, 0, " "), (5, 1, "!")):
        await database.execute(
            "update ca_certificate set not_after = now() + $1", timedelta(days=days, hours=1)
        )
        assert f"{mark}{days:5} days  {serial}" in await command("expiring", status=status)


async def test_mistakes_are_told_in_words(command: Command, tmp_path: Path) -> None:
    csr = tmp_path / "csr.pem"
    key = ec_key()
    csr.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    assert "holds a private key" in await command("issue", "system", csr, *SYSTEM, status=1)
    csr.write_bytes(request(key))
    wrong = ("--name", "nis", "--ico", "27520537", "--organization", "N")
    assert "check digit of the IČO" in await command("issue", "system", csr, *wrong, status=1)
    assert "needs: ico" in await command("issue", "system", csr, "--name", "nis", status=1)
    assert "no certificate with this serial" in await command("show", "nonsense", status=1)
    assert "no certificate with this serial" in await command("renew", "77", csr, status=1)
    assert "Invalid value for '--reason'" in await command(
        "revoke", "77", "--reason", "certificateHold", status=2
    )
    assert "no certification authority yet" in await command("crl", status=1)
