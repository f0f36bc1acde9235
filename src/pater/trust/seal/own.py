"""The seal key, the stamps and the evidence that our own certification authority gives.

For closed networks and tests: nobody outside believes it unless they are given its root.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from pater.trust import ca
from pater.trust.ca.authority import AUTHORITIES, Identity
from pater.trust.keys import KeysError
from pater.trust.seal.keys import best_algorithm
from pater.trust.seal.model import Algorithm, Material, SealError, Text
from pater.trust.tsa.authority import Authority as StampAuthority
from pater.trust.tsa.authority import RefusalError
from pater.trust.tsa.authority import Signer as StampSigner
from pater.trust.tsa.self_made import POLICY

_HELD: Final = timedelta(minutes=10)  # a new or renewed certificate is used after that


@dataclass(frozen=True, slots=True)
class OwnKey:
    """The seal key of this installation, certified by its own authority."""

    signer: ca.Signer = field(repr=False)
    certificate: bytes = field(repr=False)
    chain: tuple[bytes, ...] = field(repr=False)
    algorithm: Algorithm

    async def sign(self, data: bytes, algorithm: Algorithm) -> bytes:
        if algorithm is not self.algorithm:
            raise SealError(
                "key",
                Text(
                    f"Tímto klíčem se podepisuje jen {self.algorithm}.",
                    f"This key signs with {self.algorithm} only.",
                ),
            )
        return await asyncio.to_thread(self.signer.sign, data)


@dataclass(slots=True)
class Own:
    """What our authority gives for seals: a SealKey, and itself as TimeStamper and Evidence.

    The authority is begun when there is none; each service's certificate is kept in memory for
    some minutes, so that a seal costs no statement. Errors: SealError.
    """

    authority: ca.Authority
    clock: Callable[[], datetime]
    _held: dict[str, tuple[datetime, Identity]] = field(default_factory=dict)

    async def key(self) -> OwnKey:
        """The key that seals, with its certificate; both are made on first use."""
        found = await self._identity("seal")
        algorithm = best_algorithm(found.signer.public_key)
        return OwnKey(found.signer, _der(found.certificate), _ders(found.chain), algorithm)

    async def anchors(self) -> tuple[bytes, ...]:
        """The root of the authority; nothing when there is none yet."""
        return _ders((await self.authority.chain())[-1:])

    async def stamp(self, digest: bytes, algorithm: str) -> bytes:
        """A time stamp under a certificate that can be revoked, as level LT asks."""
        found = await self._identity("tsa")
        # the root is known to whoever believes it, and each stamp would carry it along
        signer = StampSigner(found.certificate, found.chain[:-1], found.signer.sign)
        try:
            made = StampAuthority(signer, POLICY, self.clock)
            return await asyncio.to_thread(made.stamp, digest, algorithm)
        except RefusalError as error:
            raise SealError(
                "stamp",
                Text("Časové razítko nelze vydat.", f"No time stamp is given: {error.text}."),
            ) from error

    async def issuers(self, certificate: bytes) -> Sequence[bytes]:
        return _ders(await self.authority.chain())

    async def revocation(self, certificate: bytes, issuer: bytes) -> Material:
        chain = _ders(await self.authority.chain())
        if issuer not in chain:
            return Material()
        # the chain goes from the issuing authority to the root, the names the other way
        name = AUTHORITIES[len(chain) - 1 - chain.index(issuer)]
        try:
            found = await self.authority.crl(name)
        except (ca.CaError, KeysError):
            return Material()
        return Material(crls=(found.der,)) if found is not None else Material()

    async def _identity(self, name: str) -> Identity:
        now = self.clock()
        held = self._held.get(name)
        if held is not None and now < held[0]:
            return held[1]
        try:
            await self.authority.begin(ca.ITSELF)
            found = await self.authority.identity(name)
        except (ca.CaError, KeysError) as error:
            raise _no_key(str(error)) from error
        if found is None:
            raise _no_key("there is no certification authority")
        self._held[name] = now + _HELD, found
        return found


def _no_key(why: str) -> SealError:
    return SealError(
        "key",
        Text(
            "Klíč vlastní autority nelze použít.", f"The authority's own key is not usable: {why}."
        ),
    )


def _der(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.DER)


def _ders(certificates: Sequence[x509.Certificate]) -> tuple[bytes, ...]:
    return tuple(map(_der, certificates))
