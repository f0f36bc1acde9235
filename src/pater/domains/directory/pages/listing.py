"""The list and map of facilities: by words, service, town, and whether they are open now."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.domain import Services
from pater.domains.directory.pages.map import drawn
from pater.domains.directory.wording import said
from pater.fhir.search.text import normalise
from pater.registers.providers import tables
from pater.registers.providers.index import words_of
from pater.registers.providers.nearby import Facility, Wish, find
from pater.registers.providers.systems import FIELD
from pater.web.context import PageContext
from pater.web.i18n import N_

PAGE: Final = 20
_LONGEST: Final = 100
_DISTANCES: Final = (5, 10, 20, 50, 100)
_USUAL: Final = 20
_REMEMBERED: Final = timedelta(minutes=5)
NO_TOWN: Final = N_("The register has no facility in a town of this name.")


class Offered:
    """What is offered somewhere, by name; looked up now and then, because it hardly changes."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._until: datetime | None = None
        self._known: tuple[tuple[str, str], ...] = ()

    async def options(self) -> tuple[tuple[str, str], ...]:
        """(code, name) of each field of care."""
        now = self._services.clock()
        if self._until is None or now >= self._until:
            rows = await tables.codes(self._services.db, FIELD)
            self._known = tuple((row["code"], row["title"]) for row in rows)
            self._until = now + _REMEMBERED
        return self._known


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The one page."""
    offered = Offered(services)

    async def listing(request: Request) -> Response:
        asked = {
            name: request.query_params.get(name, "").replace("\0", "").strip()[:_LONGEST]
            for name in ("q", "service", "town", "km", "open", "after")
        }
        options = await offered.options()
        if asked["service"] not in {code for code, _ in options}:
            asked["service"] = ""
        kilometres = int(asked["km"]) if asked["km"] in map(str, _DISTANCES) else _USUAL
        errors = {}
        at = None
        if asked["town"]:
            at = await tables.town(services.db, normalise(asked["town"]))
            if at is None:
                errors["town"] = context._(request, NO_TOWN)
        moment = services.clock() if asked["open"] == "now" else None
        wish = Wish(
            at, kilometres * 1_000.0 if at else None, asked["service"], FIELD if asked["service"]
            else "", moment, words_of(asked["q"])[:8], PAGE + 1, _place(asked["after"]),
        )  # fmt: skip
        found = [] if errors else await find(services.db, wish)
        shown = found[:PAGE]
        language = context.language(request).code
        marks = [
            (each.lat, each.lon, str(number))
            for number, each in enumerate(shown, 1)
            if each.lat is not None and each.lon is not None
        ]
        return context.render(
            request,
            "directory/listing.html",
            status=422 if errors else 200,
            asked=asked,
            kilometres=str(kilometres),
            distances=[(str(each), f"{each} km") for each in _DISTANCES],
            options=sorted(
                ((code, said(title, language)) for code, title in options),
                key=lambda each: normalise(str(each[1])),
            ),
            said=lambda text: said(text, language),
            errors=errors,
            found=shown,
            empty=not shown and await tables.empty(services.db),
            more=len(found) > PAGE,
            next=_next(asked, shown) if len(found) > PAGE and at is None else "",
            first=not asked["after"],
            near=at is not None,
            map=drawn(marks),
        )

    return [Route("/directory", listing)]


def _next(asked: dict[str, str], shown: Sequence[Facility]) -> str:
    last = shown[-1]
    kept = {name: value for name, value in asked.items() if value and name != "after"}
    return "/directory?" + urlencode({**kept, "after": f"{last.place}~{last.name}"[:_LONGEST]})


def _place(text: str) -> tuple[str, str] | None:
    """Where the next page begins: name and id of the last facility."""
    place, tilde, name = text.partition("~")
    return (name, place) if tilde else None
