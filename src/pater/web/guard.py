"""The outermost layer of the pages: security headers, request ids, and no stack trace, ever."""

from __future__ import annotations

import re
import uuid
from collections.abc import Awaitable, Callable

import structlog
from starlette.datastructures import MutableHeaders
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "font-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_log = structlog.get_logger("pater.web")

Failure = Callable[[Request], Awaitable[Response]]


class Guard:
    """ASGI middleware around the whole shell.

    `failure` draws the page of an unexpected error; the log gets the place and the kind of the
    error with the request id, never the request's data.
    """

    def __init__(self, app: ASGIApp, failure: Failure, secure: bool) -> None:
        self._app = app
        self._failure = failure
        self._headers = dict(HEADERS)
        if secure:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        given = request.headers.get("x-request-id", "")
        request_id = given if _REQUEST_ID.fullmatch(given) else str(uuid.uuid4())
        request.state.request_id = request_id
        started = False

        async def with_headers(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers[name] = value
                targets = getattr(request.state, "form_targets", ())
                if targets:  # browsers hold the redirect after a form to the policy too
                    wider = "form-action 'self' " + " ".join(targets)
                    headers["Content-Security-Policy"] = POLICY.replace("form-action 'self'", wider)
                headers["X-Request-Id"] = request_id
                # pages may hold a person's data: no cache keeps them unless they say otherwise
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        try:
            await self._app(scope, receive, with_headers)
        except Exception as error:
            frame = _last_frame(error)
            _log.error("page failed", kind=type(error).__name__, at=frame, request=request_id)
            if started:
                raise
            response = await self._failure(request)
            await response(scope, receive, with_headers)


def _last_frame(error: BaseException) -> str:
    """Where the error was raised, as `module:line`; an error's text may hold personal data."""
    trace, place = error.__traceback__, ""
    while trace is not None:
        place = f"{trace.tb_frame.f_globals.get('__name__', '?')}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place
