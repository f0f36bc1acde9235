"""The time-stamp authority that others ask: certified by our own authority once there is one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import structlog
from cryptography.hazmat.primitives.serialization import Encoding

from pater.trust.ca.authority import Authority as Certification
from pater.trust.ca.errors import CaError
from pater.trust.keys import KeysError
from pater.trust.tsa.authority import Authority, Signer

_HELD: Final = timedelta(minutes=10)
_log = structlog.get_logger("pater.ca")


@dataclass(slots=True)
class Stamps:
    """`alone` stamps while there is no certification authority, or it cannot certify.

    The certificate is renewed in time by asking for it; it is kept in memory for some minutes.
    """

    certification: Certification
    alone: Authority
    clock: Callable[[], datetime]
    _held: tuple[datetime, Authority] | None = field(default=None)

    async def authority(self) -> Authority:
        """Who stamps now."""
        now = self.clock()
        if self._held is None or now >= self._held[0]:
            self._held = now + _HELD, await self._found()
        return self._held[1]

    async def roots(self) -> bytes:
        """The certificates under which its stamps are believed, also those of before, as PEM."""
        found = {(await self.authority()).root, self.alone.root}
        return b"".join(sorted(root.public_bytes(Encoding.PEM) for root in found))

    async def _found(self) -> Authority:
        try:
            identity = await self.certification.identity("tsa")
        except (CaError, KeysError) as error:
            _log.error("stamps are not certified by our authority", kind=type(error).__name__)
            return self.alone
        if identity is None:
            return self.alone
        signer = Signer(identity.certificate, identity.chain, identity.signer.sign)
        return Authority(signer, self.alone.policy, self.clock)
