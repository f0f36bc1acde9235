"""`pater seal`, as an operator types it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pater.cli import main
from pater.store.database import Database
from pater.trust.keys import Keys
from tests.trust.seal.ground import Ground, pdf
from tests.trust.seal.test_keys import pem, written

Command = Callable[..., Awaitable[str]]


@pytest.fixture
def command(database: Database, tmp_path: Path) -> Command:
    """Runs `pater …` on a database of its own: what it prints, with the status it must have."""
    Keys.load_or_create(tmp_path / "data" / "keys")  # as one that serves has it
    settings = {"PATER_DATABASE_URL": database.dsn, "PATER_DATA": str(tmp_path / "data")}

    async def run(*words: str | Path, status: int = 0) -> str:
        done = await asyncio.to_thread(CliRunner(env=settings).invoke, main, [*map(str, words)])
        assert done.exit_code == status, done.output
        return done.output

    return run


async def test_sealed_raised_and_looked_at(command: Command, tmp_path: Path) -> None:
    report = tmp_path / "report.pdf"
    report.write_bytes(pdf())
    assert "report.pdf.sealed.pdf" in await command("seal", "create", report, "--level", "B")
    sealed = tmp_path / "report.pdf.sealed.pdf"
    said = await command("seal", "validate", sealed)
    assert said.startswith("✓ TOTAL-PASSED  PAdES B")
    assert "Páteř pečeť" in said
    await command("seal", "extend", sealed)
    told = json.loads(await command("seal", "validate", sealed, "--json"))
    assert told["indication"] == "TOTAL-PASSED"
    assert told["signatures"][0]["level"] == "LTA"
    # with nothing but the root, as somebody else has it
    roots = tmp_path / "roots"
    roots.mkdir()
    root = x509.load_pem_x509_certificates((await command("ca", "chain")).encode())[-1]
    (roots / "root.cer").write_bytes(root.public_bytes(Encoding.DER))
    assert "✓" in await command("seal", "validate", sealed, "--roots", roots)
    (roots / "root.cer").write_bytes(Ground().root.der)
    said = await command("seal", "validate", sealed, "--roots", roots, status=2)
    assert "NO_CERTIFICATE_CHAIN_FOUND" in said


async def test_apart_from_the_file_and_several_files(command: Command, tmp_path: Path) -> None:
    one, other = tmp_path / "one.txt", tmp_path / "other.txt"
    one.write_text("one")
    other.write_text("other")
    await command("seal", "create", one, "--detached")
    apart = tmp_path / "one.txt.p7s"
    await command("seal", "validate", apart, "--content", one)
    said = await command("seal", "validate", apart, "--content", other, status=1)
    assert said.startswith("✗ TOTAL-FAILED HASH_FAILURE")
    await command("seal", "validate", apart, status=2)
    for inner in ("CAdES", "XAdES"):
        box = tmp_path / f"{inner}.asice"
        await command("seal", "create", one, other, "--with", inner, "--out", box)
        said = await command("seal", "validate", box)
        assert "covers: one.txt, other.txt" in said


async def test_what_cannot_be_done_is_said(command: Command, tmp_path: Path) -> None:
    text = tmp_path / "text.txt"
    text.write_text("no seal")
    assert "no seal of a format" in await command("seal", "validate", text, status=1)
    assert "cannot be read" in await command("seal", "create", text, "--format", "PAdES", status=1)
    assert "NAME=VALUE" in await command("seal", "create", text, "--option", "x", status=1)


async def test_a_key_of_the_operator(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ground = Ground()
    key = written(tmp_path / "seal.pem", pem(ground.seal, b"secret"))
    password = written(tmp_path / "password", b"secret\n")
    monkeypatch.setenv("PATER_SEAL_KEY", str(key))
    monkeypatch.setenv("PATER_SEAL_PASSWORD_FILE", str(password))
    text = tmp_path / "text.txt"
    text.write_text("a report")
    await command("seal", "create", text, "--level", "B")
    said = await command("seal", "validate", tmp_path / "text.txt.p7m", "--json", status=2)
    assert json.loads(said)["signatures"][0]["signedBy"] == "CN=Seal,C=CZ"
    roots = tmp_path / "roots"
    roots.mkdir()
    (roots / "root.pem").write_bytes(ground.root.certificate.public_bytes(Encoding.PEM))
    monkeypatch.setenv("PATER_SEAL_ROOTS", str(roots))
    # trusted now; but nobody tells whether the certificate was revoked
    said = await command("seal", "validate", tmp_path / "text.txt.p7m", status=2)
    assert "TRY_LATER" in said
