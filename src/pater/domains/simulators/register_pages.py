"""The simulated basic registers over HTTP: what programs ask, and the page that makes them fail."""

from __future__ import annotations

import asyncio
import hmac
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from pater.domains.simulators.registers import MODES, PATH, REGISTERS, Registers
from pater.web.context import PageContext
from pater.web.i18n import N_

SLOWLY: Final = 8.0
"""Seconds after which a slow register answers."""
_LONGEST: Final = 16_384
_SHOWN: Final = 30
_MODES: Mapping[str, str] = {
    "ok": N_("answers"),
    "down": N_("is down"),
    "slow": N_("is slow"),
    "wrong": N_("answers wrongly"),
}
_NAMES: Mapping[str, str] = {
    "rob": N_("Persons (ROB)"), "ruian": N_("Addresses (RUIAN)"), "ros": N_("Business (ROS)"),
    "reza": N_("Rights and mandates (REZA)"),
}  # fmt: skip
_KINDS: Mapping[str, str] = {
    "parent": N_("parent"), "guardian": N_("guardian"), "authorised": N_("authorised person"),
    "statutory": N_("statutory body"), "delegated": N_("delegated person"),
}  # fmt: skip

Answering = Callable[[Request], Awaitable[Any]]


def routes(registers: Registers, token: str = "", slowly: float = SLOWLY) -> Sequence[BaseRoute]:
    """What programs ask (see `registers.basic.calling`); with `token` only who has it."""

    def served(register: str, answering: Answering) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(request: Request) -> Response:
            given = request.headers.get("authorization", "")
            if token and not hmac.compare_digest(given.encode(), f"Bearer {token}".encode()):
                return JSONResponse({"error": "no token"}, 401)
            mode = registers.modes[register]
            if mode == "down":
                return JSONResponse({"error": "down"}, 503)
            if mode == "slow":
                await asyncio.sleep(slowly)
            if mode == "wrong":
                return JSONResponse({"nonsense": True})
            try:
                found = await answering(request)
            except (ValueError, ClientDisconnect):
                return JSONResponse({"error": "the request cannot be read"}, 400)
            return JSONResponse(found) if found is not None else JSONResponse({}, 404)

        return endpoint

    async def find(request: Request) -> Any:
        return registers.find(await _body(request))

    async def read(request: Request) -> Any:
        return registers.persons.get(str((await _body(request)).get("pseudonym")))

    async def changes(request: Request) -> Any:
        return registers.changes(*_page(request))

    async def address(request: Request) -> Any:
        return registers.addresses.get(request.path_params["code"])

    async def business(request: Request) -> Any:
        return registers.businesses.get(request.path_params["ico"])

    async def business_changes(request: Request) -> Any:
        return registers.business_changes(*_page(request))

    async def mandates(request: Request) -> Any:
        return registers.mandate_changes(*_page(request))

    return [
        Route(PATH + "/rob/find", served("rob", find), methods=["POST"]),
        Route(PATH + "/rob/read", served("rob", read), methods=["POST"]),
        Route(PATH + "/rob/changes", served("rob", changes)),
        Route(PATH + "/ruian/addresses/{code}", served("ruian", address)),
        Route(PATH + "/ros/businesses/{ico}", served("ros", business)),
        Route(PATH + "/ros/changes", served("ros", business_changes)),
        Route(PATH + "/reza/mandates", served("reza", mandates)),
    ]


def pages(context: PageContext, registers: Registers) -> Sequence[BaseRoute]:
    """What people see and turn."""

    async def shown(request: Request) -> Response:
        if request.method == "POST":
            _turn(registers, await context.form(request))
            return context.redirect(PATH)
        language = context.language(request)
        return context.render(
            request,
            "simulators/registers.html",
            registers=[(name, language.gettext(_NAMES[name])) for name in REGISTERS],
            modes=[(mode, language.gettext(_MODES[mode])) for mode in MODES],
            current=registers.modes,
            persons=list(registers.persons.values())[:_SHOWN],
            mandates=list(registers.mandates.values())[:_SHOWN],
            kinds={kind: language.gettext(text) for kind, text in _KINDS.items()},
            names={
                key: f"{each['given']} {each['family']}" for key, each in registers.persons.items()
            },
        )

    return [Route(PATH, shown, methods=["GET", "POST"])]


def _turn(registers: Registers, form: Mapping[str, str]) -> None:
    """What somebody pressed; of what is not there nothing happens."""
    for name in REGISTERS:
        if form.get(name) in MODES:
            registers.modes[name] = form[name]
    if form.get("died") in registers.persons:
        registers.die(form["died"])
    renamed = form.get("renamed", "")
    if renamed in registers.persons:
        registers.change(renamed, family="Novotná" if renamed < "8" else "Novotný")
    if form.get("ended") in registers.mandates:
        registers.end(form["ended"])


def _page(request: Request) -> tuple[str, int]:
    return request.query_params.get("after", ""), int(request.query_params.get("count", "100"))


async def _body(request: Request) -> dict[str, Any]:
    content = bytearray()
    async for chunk in request.stream():
        content += chunk
        if len(content) > _LONGEST:
            raise ValueError("too long")
    found = orjson.loads(bytes(content))
    if not isinstance(found, dict):
        raise ValueError("no object")
    return found
