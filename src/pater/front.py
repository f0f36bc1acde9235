"""The door of the application: requests for resources go straight to the API."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from pater.fhir.definitions import TYPE_NUMBER


@dataclass(frozen=True, slots=True)
class AtBase:
    """An application asked at the address it is mounted at, without the slash."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "path": "/", "root_path": ""}, receive, send)


class Front:
    """Hands requests for resources straight to the API.

    The router would look at every other route first, and unwrap nothing: the API answers its own
    errors. Where somebody else has a route under the same first word, the router decides.
    """

    def __init__(self, rest: ASGIApp, everything: ASGIApp, routes: Sequence[BaseRoute]) -> None:
        self._rest = rest
        self._everything = everything
        paths = [str(getattr(route, "path", "")) for route in routes]
        taken = {path.split("/")[2] for path in paths if path.startswith("/fhir/")}
        free = not any("{" in word for word in taken) and "/{" not in {path[:2] for path in paths}
        self._types = frozenset(TYPE_NUMBER) - taken if free else frozenset()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope.get("path", "")
        if path.startswith("/fhir/") and scope["type"] == "http" and not scope.get("root_path"):
            word = path[6:].partition("/")[0]
            if word in self._types:
                await self._rest({**scope, "root_path": "/fhir"}, receive, send)
                return
        await self._everything(scope, receive, send)
