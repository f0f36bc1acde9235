"""Security headers of every answer, whichever room gives it; what a room says itself stays."""

from __future__ import annotations

from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS: Final = (
    (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)
_ONLY_TLS: Final = (b"strict-transport-security", b"max-age=31536000")


class EdgeHeaders:
    """ASGI middleware; over https (`secure`) browsers are told to come by it alone."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = (*HEADERS, _ONLY_TLS) if secure else HEADERS

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = list(message.get("headers", ()))
                said = {name for name, _ in headers}
                headers += [pair for pair in self._headers if pair[0] not in said]
                message = {**message, "headers": headers}
            await send(message)

        await self._app(scope, receive, sending)
