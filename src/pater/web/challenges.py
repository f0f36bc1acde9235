"""Random challenges for passkeys, and other short secrets, that travel in a form under our seal.

A seal holds for one use by one visit and for five minutes; that a challenge is answered once is
remembered where it is checked (`access.passkeys`).
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request

from pater.access.passkeys import CHALLENGE_BYTES, CHALLENGE_LIFE
from pater.web.forms import Signer, same_secret


@dataclass(frozen=True, slots=True)
class Challenges:
    """Seals values into forms and takes them back."""

    signer: Signer
    clock: Callable[[], datetime]

    def fresh(self, request: Request, use: str) -> tuple[bytes, str]:
        """A new challenge for one use, and its sealed form."""
        challenge = secrets.token_bytes(CHALLENGE_BYTES)
        return challenge, self.seal(request, use, challenge)

    def seal(self, request: Request, use: str, value: bytes) -> str:
        """A value for a hidden field; it can be read, but not changed or used by another visit."""
        text = f"{use}:{value.hex()}:{_binding(request)}"
        return self.signer.seal(text, self.clock() + CHALLENGE_LIFE)

    def open(self, request: Request, use: str, sealed: str) -> bytes | None:
        """The value of a seal of this use and visit, or None."""
        if len(sealed) > 4000:
            return None
        text = self.signer.open(sealed, self.clock())
        found = (text or "").split(":")
        if len(found) != 3 or found[0] != use or not same_secret(found[2], _binding(request)):
            return None
        return bytes.fromhex(found[1])


def _binding(request: Request) -> str:
    return hashlib.sha256(request.state.csrf.encode()).hexdigest()[:32]
