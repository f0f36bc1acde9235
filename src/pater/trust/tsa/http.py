"""`POST /tsa`: the time-stamp authority for others (RFC 3161, 3.4), and its root certificate."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives.serialization import Encoding
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from pater.trust.tsa.authority import LONGEST_REQUEST, Authority
from pater.trust.tsa.client import QUERY, REPLY

_PEM: Final = "application/x-pem-file"


def routes(authority: Authority) -> list[BaseRoute]:
    """Open to everybody: a stamp tells nothing of anybody, and its request is a hash."""
    root = authority.root.public_bytes(Encoding.PEM)

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
        answer = authority.answer(bytes(body))
        return Response(answer, media_type=REPLY, headers={"Cache-Control": "no-store"})

    async def certificate(_: Request) -> Response:
        return Response(root, media_type=_PEM)

    return [
        Route("/tsa", stamp, methods=["POST"]),
        Route("/tsa/certificate", certificate),
    ]
