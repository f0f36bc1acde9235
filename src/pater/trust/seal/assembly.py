"""Puts the seal service of an installation together from what its operator set."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final

import httpx
from cryptography import x509

from pater.trust.seal.certificates import anchors_of, pem_or_der
from pater.trust.seal.choosing import key_of, password_of
from pater.trust.seal.evidence import Fetched
from pater.trust.seal.model import Evidence, Material, SealError, SealKey, Text, TimeStamper
from pater.trust.seal.origins import origins_of
from pater.trust.seal.own import Own
from pater.trust.seal.service import Service
from pater.trust.tsa.client import remote
from pater.trust.tsa.verifying import StampError

_HELD: Final = timedelta(minutes=10)
_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Wishes:
    """What an operator may set; empty means what our own authority gives.

    `roots` is a folder of PEM files, `stamp_roots` one PEM file; `unrevocable` are roots (DER) of
    ours that revoke nothing.
    """

    key: str = ""
    password: str = field(default="", repr=False)
    password_file: str = ""
    roots: str = ""
    origins: str = ""
    stamp_url: str = ""
    stamp_roots: str = ""
    unrevocable: tuple[bytes, ...] = ()


def new_client() -> httpx.AsyncClient:
    """A client that goes only where it is sent."""
    return httpx.AsyncClient(timeout=_SECONDS, follow_redirects=False, trust_env=False)


def service_of(wishes: Wishes, own: Own, clock: Callable[[], datetime]) -> Service:
    """The service. Raises SealError for roots that cannot be read; a key is opened when needed."""
    roots = anchors_of(Path(wishes.roots).expanduser()) if wishes.roots else ()
    stamp_roots = _stamp_roots(wishes.stamp_roots)
    stamper: TimeStamper = own
    if wishes.stamp_url:
        stamper = _Elsewhere(wishes.stamp_url, stamp_roots)

    async def anchors() -> tuple[bytes, ...]:
        return (*await own.anchors(), *roots)

    return Service(
        _Held(wishes, own, clock).key,
        stamper,
        anchors,
        (*wishes.unrevocable, *stamp_roots),
        _Both(own, Fetched(origins_of(wishes.origins), new_client, clock)),
        clock,
        frozenset(wishes.unrevocable),
    )


def _stamp_roots(file: str) -> tuple[bytes, ...]:
    if not file:
        return ()
    try:
        return tuple(pem_or_der(Path(file).expanduser().read_bytes()))
    except OSError as error:
        raise SealError(
            "key",
            Text(
                f"Soubor {file} s autoritami razítek nelze číst.",
                f"The file {file} with the authorities of stamps cannot be read.",
            ),
        ) from error


@dataclass(slots=True)
class _Held:
    """The key, opened on first use and again now and then: certificates are renewed."""

    wishes: Wishes
    own: Own
    clock: Callable[[], datetime]
    found: tuple[datetime, SealKey] | None = None
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)

    async def key(self) -> SealKey:
        async with self.turn:
            if self.found is None or self.clock() >= self.found[0]:
                password = password_of(self.wishes.password, self.wishes.password_file)
                opened = await key_of(self.wishes.key, password, self.own, new_client)
                self.found = self.clock() + _HELD, opened
            return self.found[1]


@dataclass(frozen=True, slots=True)
class _Both:
    """Evidence of our own authority, else by the addresses that certificates name."""

    own: Evidence
    fetched: Evidence

    async def issuers(self, certificate: bytes) -> Sequence[bytes]:
        return (*await self.own.issuers(certificate), *await self.fetched.issuers(certificate))

    async def revocation(self, certificate: bytes, issuer: bytes) -> Material:
        found = await self.own.revocation(certificate, issuer)
        if found.crls or found.ocsps:
            return found
        return await self.fetched.revocation(certificate, issuer)


@dataclass(frozen=True, slots=True)
class _Elsewhere:
    """A time-stamp authority at an address; each stamp is verified before it is taken."""

    url: str
    roots: tuple[bytes, ...]

    async def stamp(self, digest: bytes, algorithm: str) -> bytes:
        if algorithm != "sha256":
            raise _no_stamp("it stamps SHA-256 only")
        roots = [x509.load_der_x509_certificate(one) for one in self.roots]
        try:
            async with new_client() as http:
                return await remote(self.url, roots, http)(digest)
        except StampError as error:
            raise _no_stamp(str(error)) from error


def _no_stamp(why: str) -> SealError:
    return SealError(
        "stamp", Text("Časové razítko se nepodařilo získat.", f"No time stamp was given: {why}.")
    )
