"""`POST /tsa`: the time-stamp authority for others (RFC 3161, 3.4), and its root certificates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Protocol

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from pater.trust.tsa.authority import LONGEST_REQUEST, Authority
from pater.trust.tsa.client import QUERY, REPLY

_PEM: Final = "application/x-pem-file"


class Stamps(Protocol):
    """Whoever knows which authority stamps now."""

    async def authority(self) -> Authority:
        """Who stamps now."""
        ...

    async def roots(self) -> bytes:
        """The certificates under which its stamps are believed, as PEM."""
        ...


@dataclass(frozen=True, slots=True)
class _Always:
    one: Authority

    async def authority(self) -> Authority:
        return self.one

    async def roots(self) -> bytes:
        return self.one.root.public_bytes(Encoding.PEM)


def routes(stamps: Stamps | Authority) -> list[BaseRoute]:
    """Open to everybody: a stamp tells nothing of anybody, and its request is a hash."""
    who = _Always(stamps) if isinstance(stamps, Authority) else stamps

    async def stamp(request: Request) -> Response:
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != QUERY:
            return PlainTextResponse(f"send {QUERY}\n", 415)
        body = bytearray()
        try:
            async for chunk in request.stream():
                body += chunk
                if len(body) > LONGEST_REQUEST:
                    return PlainTextResponse("the request is too long\n", 413)
        except ClientDisconnect:
            return Response(status_code=400)
        answer = (await who.authority()).answer(bytes(body))
        return Response(answer, media_type=REPLY, headers={"Cache-Control": "no-store"})

    async def certificate(_: Request) -> Response:
        return Response(await who.roots(), media_type=_PEM)

    return [
        Route("/tsa", stamp, methods=["POST"]),
        Route("/tsa/certificate", certificate),
    ]
