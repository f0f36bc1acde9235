"""An authority over a fresh database, and its public addresses."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from starlette.applications import Starlette

from pater.store.database import Database
from pater.trust.ca import Authority, FileSigners, Kept, Operator, Subject, routes
from tests.conftest import Clock
from tests.trust.ca.keys import request

BASE = "https://pater.test"
OPERATOR = Operator("cli:eva", "eva")
SYSTEM = Subject(name="nis", ico="27520536", organization="Nemocnice Horní Lhota")
PERSON = Subject(krzp="112345673", given="Jana", family="Dvořáková")


@dataclass
class Pki:
    """The parts under test."""

    db: Database
    clock: Clock
    folder: Path
    authority: Authority
    http: httpx.AsyncClient
    files: Path

    async def system(self, csr: bytes | None = None, **said: str) -> Kept:
        """A certificate of a system."""
        subject = Subject(**{**SYSTEM.as_dict(), **said})  # type: ignore[arg-type]
        return await self.authority.issue(OPERATOR, "system", subject, csr or request())

    def again(self) -> Authority:
        """Another process on the same database and the same keys."""
        return Authority(self.db, FileSigners(self.folder), BASE, self.clock)

    def file(self, name: str, data: bytes) -> Path:
        """A file for the `openssl` command."""
        path = self.files / name
        path.write_bytes(data)
        return path

    def pem(self, name: str, kept: Kept) -> Path:
        """A certificate as a PEM file."""
        return self.file(name, certificate(kept).public_bytes(Encoding.PEM))

    async def chain_files(self) -> tuple[Path, Path]:
        """The issuing authority and the root as PEM files."""
        issuing, root = await self.authority.chain()
        return (
            self.file("issuing.pem", issuing.public_bytes(Encoding.PEM)),
            self.file("root.pem", root.public_bytes(Encoding.PEM)),
        )

    async def journal(self, *acts: str) -> list[dict[str, object]]:
        """The journal rows of these acts, oldest first."""
        rows = await self.db.fetch("select * from journal_entry order by seq")
        return [dict(row) for row in rows if row["interaction"] in acts]


def certificate(kept: Kept) -> x509.Certificate:
    """The certificate itself."""
    assert kept.der is not None
    return x509.load_der_x509_certificate(kept.der)


@pytest.fixture
async def pki(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[Pki]:
    """An authority that nobody has used yet."""
    folder, files = tmp_path / "keys", tmp_path / "files"
    files.mkdir()
    made = Authority(database, FileSigners(folder), BASE, clock)
    app = Starlette(routes=routes(made, clock))
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url=BASE) as http:
        yield Pki(database, clock, folder, made, http, files)
