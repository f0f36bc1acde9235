"""The log of one installation: its keys from the data folder, its keeper, its proofs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pater.access.transparency.appending import Keeper
from pater.access.transparency.proving import NotThereError, Proof, prove
from pater.store.database import Database
from pater.store.journal import place_of, read_entry
from pater.trust.keys import KeysError
from pater.trust.log_keys import LogKey
from pater.trust.tsa.authority import Authority
from pater.trust.tsa.client import Stamping, own, remote
from pater.trust.tsa.self_made import self_made


@dataclass(frozen=True, slots=True)
class LogKeys:
    """The keys of an installation's log, and the certificates its stamps are believed under."""

    head: LogKey
    authority: Authority
    roots: Sequence[x509.Certificate]

    @classmethod
    def of_folder(
        cls, folder: Path, clock: Callable[[], datetime], stamp_roots: str = ""
    ) -> LogKeys:
        """The keys of a folder, made on first use; `stamp_roots` is a PEM file with the roots of
        further authorities. Raises KeysError.
        """
        authority = self_made(folder, clock)
        others = certificates(Path(stamp_roots)) if stamp_roots else []
        return cls(LogKey.load_or_create(folder), authority, (authority.root, *others))

    def public(self) -> tuple[dict[str, Any], str]:
        """What somebody needs to verify: the JWK Set of heads, the roots of stamps as PEM."""
        pem = b"".join(root.public_bytes(Encoding.PEM) for root in self.roots)
        return self.head.jwks(), pem.decode("ascii")


@dataclass(frozen=True, slots=True)
class TransparencyLog:
    """What the roof opens once and hands to those who keep, prove and show."""

    db: Database
    keys: LogKeys
    keeper: Keeper

    @classmethod
    def of(
        cls, db: Database, keys: LogKeys, clock: Callable[[], datetime], stamp_url: str = ""
    ) -> TransparencyLog:
        """Heads are stamped by the authority at `stamp_url`; without one, by our own."""
        stamp = _elsewhere(stamp_url, keys.roots) if stamp_url else own(keys.authority)
        return cls(db, keys, Keeper(db, keys.head, clock, stamp))

    async def prove(self, id: str, size: int | None = None) -> Proof:
        """The proof for the entry with this AuditEvent id, by the newest head or one of a size.

        Raises NotThereError. The caller has to have been allowed to read the entry.
        """
        place = place_of(UUID(id))
        if place is None:
            row = await read_entry(self.db, UUID(id))
            if row is None:
                raise NotThereError("there is no such entry")
            place = row.at, row.seq
        return await prove(self.db, self.keys.head, *place, size)


def certificates(path: Path) -> list[x509.Certificate]:
    """The certificates of a PEM file. Raises KeysError."""
    try:
        return x509.load_pem_x509_certificates(path.read_bytes())
    except (OSError, ValueError, x509.InvalidVersion) as error:
        raise KeysError(
            f"the certificates in {path} cannot be read",
            "Name a PEM file with the root certificate of the time-stamp authority.",
        ) from error


def _elsewhere(url: str, roots: Sequence[x509.Certificate]) -> Stamping:
    async def stamp(digest: bytes) -> bytes:
        async with httpx.AsyncClient() as http:
            return await remote(url, roots, http)(digest)

    return stamp
