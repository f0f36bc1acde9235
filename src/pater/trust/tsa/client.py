"""Asking a time-stamp authority: any by its address (RFC 3161, 3.4), or our own in process."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import httpx
from asn1crypto import tsp
from cryptography import x509

from pater.trust.tsa.authority import Authority
from pater.trust.tsa.verifying import LONGEST_TOKEN, StampError, token_of, verify

QUERY: Final = "application/timestamp-query"
REPLY: Final = "application/timestamp-reply"
_PATIENCE: Final = 20.0  # seconds

Stamping = Callable[[bytes], Awaitable[bytes]]
"""A token over a SHA-256 digest. Raises StampError."""


def own(authority: Authority) -> Stamping:
    """Stamps by our own authority, in this process."""

    async def stamp(digest: bytes) -> bytes:
        return authority.stamp(digest)

    return stamp


def remote(url: str, roots: Sequence[x509.Certificate], http: httpx.AsyncClient) -> Stamping:
    """Stamps by the authority at an address; each token is verified before it is believed."""

    async def stamp(digest: bytes) -> bytes:
        nonce = secrets.randbits(63)
        imprint = {"hash_algorithm": {"algorithm": "sha256"}, "hashed_message": digest}
        request = tsp.TimeStampReq(
            {"version": "v1", "message_imprint": imprint, "nonce": nonce, "cert_req": True}
        )
        answer = bytearray()
        try:
            async with http.stream(
                "POST",
                url,
                content=request.dump(),
                headers={"Content-Type": QUERY, "Accept": REPLY},
                timeout=_PATIENCE,
            ) as response:
                if response.status_code != 200:
                    raise StampError(f"the authority answers {response.status_code}")
                async for chunk in response.aiter_bytes():
                    answer += chunk
                    if len(answer) > LONGEST_TOKEN:
                        raise StampError("the answer of the authority is too long")
        except httpx.HTTPError as error:
            raise StampError(f"the authority cannot be asked: {type(error).__name__}") from error
        token = token_of(bytes(answer))
        verify(token, digest, roots, nonce=nonce)
        return token

    return stamp
