"""Pages of other origins may call the API from a browser: those that the operator names (Fetch)."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, Final

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
AsgiApp = Callable[
    [Scope, Callable[[], Awaitable[Message]], Callable[[Message], Awaitable[None]]],
    Awaitable[None],
]

_PATHS: Final = ("/fhir", "/oauth/", "/.well-known/")
_METHODS: Final = b"GET, HEAD, POST, PUT, PATCH, DELETE"
_HEADERS: Final = (
    b"Accept, Authorization, Content-Type, If-Match, If-Modified-Since, If-None-Exist, "
    b"If-None-Match, If-Range, Prefer, Range, X-Request-Id"
)
_EXPOSED: Final = (
    b"Accept-Ranges, Content-Location, Content-Range, ETag, Last-Modified, Link, Location, "
    b"Retry-After, X-Progress, X-Request-Id"
)
_VARY: Final = (b"vary", b"Origin")


def with_origins(app: AsgiApp, origins: frozenset[str]) -> AsgiApp:
    """The application for these origins too ("*" = any); without any it is as it was.

    No cookie opens the API, so credentials are never allowed: a page has to hold a token.
    """
    return _Cors(app, origins) if origins else app


class _Cors:
    def __init__(self, app: AsgiApp, origins: frozenset[str]) -> None:
        self._app = app
        self._origins = origins

    async def __call__(
        self,
        scope: Scope,
        receive: Callable[[], Awaitable[Message]],
        send: Callable[[Message], Awaitable[None]],
    ) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(_PATHS):
            await self._app(scope, receive, send)
            return
        headers = dict(scope["headers"])
        origin = headers.get(b"origin")
        allowed = origin is not None and (
            "*" in self._origins or origin.decode("latin-1") in self._origins
        )
        if scope["method"] == "OPTIONS" and b"access-control-request-method" in headers:
            await _preflight(send, origin if allowed else None)
            return

        async def answer(message: Message) -> None:
            if message["type"] == "http.response.start":
                more = [_VARY]
                if allowed and origin is not None:
                    more += [
                        (b"access-control-allow-origin", origin),
                        (b"access-control-expose-headers", _EXPOSED),
                    ]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        await self._app(scope, receive, answer)


async def _preflight(send: Callable[[Message], Awaitable[None]], origin: bytes | None) -> None:
    """The answer needs no token: a browser asks before it may send one."""
    headers = [_VARY]
    if origin is not None:
        headers += [
            (b"access-control-allow-origin", origin),
            (b"access-control-allow-methods", _METHODS),
            (b"access-control-allow-headers", _HEADERS),
            (b"access-control-max-age", b"3600"),
        ]
    await send({"type": "http.response.start", "status": 204, "headers": headers})
    await send({"type": "http.response.body", "body": b""})
