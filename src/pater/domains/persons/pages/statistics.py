"""The quality of the register in figures: what came in, what waits, what was decided."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.domains.persons.pages import words
from pater.domains.persons.pages.common import ROLE, Room, answers
from pater.domains.persons.pages.waterfall import bands
from pater.registers.overview import MOST
from pater.registers.quality import quality

SPANS: Final = (7, 30, 90)


def routes(room: Room) -> Sequence[BaseRoute]:
    """The page /registry/statistics."""
    context, services = room.context, room.services

    @context.require(ROLE)
    async def statistics(request: Request) -> Response:
        async with answers():
            await services.gate.require(context.caller_of(request), "ask", "Patient")
        asked = request.query_params.get("days", "30")
        days = next((each for each in SPANS if str(each) == asked), 30)
        model = room.registers.index.model
        edges = bands(model.possible, model.automatic)
        found = await quality(room.db, services.clock(), days, edges)
        return context.render(
            request,
            "persons/statistics.html",
            found=found,
            share=100 * found.temporary / found.persons if found.persons else None,
            most=MOST,
            days=days,
            spans=SPANS,
            ages=words.AGES,
            acts=words.ACTS,
            decisions=words.DECISIONS,
            scores=words.SCORES,
        )

    return [Route("/registry/statistics", statistics)]
