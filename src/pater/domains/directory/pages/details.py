"""A facility and a professional, each on a page of its own: what is public of them."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import KEY, Caller
from pater.domain import Services
from pater.domains.directory import tables
from pater.domains.directory.lookups import (
    extensions,
    id_in,
    name_of,
    resources,
    value_of,
)
from pater.domains.directory.pages.map import drawn
from pater.domains.directory.wording import concept, named, said
from pater.fhir.json import parse
from pater.fhir.search.places import position_of
from pater.records.errors import Gone, NotFound
from pater.registers.identifiers import PROFESSIONAL, PROVIDER
from pater.registers.providers import systems
from pater.registers.providers.hours import DAY, closed_times, is_open, spans
from pater.registers.providers.index import referred
from pater.web.context import PageContext
from pater.web.i18n import Language

VISITOR: Final = Caller(
    kind="system",
    id="public-directory",
    name="Public pages of the register",
    role="researcher",
    strength=KEY,
    scopes=tuple(f"system/{type_}.rs" for type_ in systems.TYPES),
)
"""As whom the pages read the register for anybody: it may read nothing else."""
_MOST: Final = 100

Json = dict[str, Any]


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """Both pages."""
    gate, clock = services.gate, services.clock

    async def one(type_: str, id_: str) -> Json:
        if len(id_) > 64 or not id_.isascii():
            raise HTTPException(404)
        try:
            return parse((await gate.read(VISITOR, type_, id_)).body)
        except (NotFound, Gone) as error:
            raise HTTPException(404) from error

    async def place(request: Request) -> Response:
        location = await one("Location", request.path_params["id"])
        here = f"Location/{location['id']}"
        owner = referred(location.get("managingOrganization"), "Organization")
        organization = await one("Organization", owner) if owner else {}
        offers, roles, permits, departments = await asyncio.gather(
            resources(gate, VISITOR, "HealthcareService", ("location", here)),
            resources(
                gate, VISITOR, "PractitionerRole", ("location", here), ("active", "true"),
                count=_MOST,
            ),
            resources(gate, VISITOR, "OrganizationAffiliation", ("location", here)),
            resources(gate, VISITOR, "Organization", ("partof", f"Organization/{owner}")),
        )  # fmt: skip
        language = context.language(request)
        now = clock()
        shown = []
        for each in offers:
            week = spans(each.get("availableTime", ()))
            shut = closed_times(each.get("notAvailable", ()))
            shown.append(
                {
                    "name": named(each, language.code),
                    "active": each.get("active", True),
                    "forms": [concept(form, language.code) for form in each.get("category", ())],
                    "known": bool(week),
                    "open": is_open(week, now) and not any(a <= now < b for a, b in shut),
                    "days": _days(language, week),
                    "closed": [
                        said(str(c.get("description", "")), language.code)
                        for c in each.get("notAvailable", ())
                    ],
                }
            )
        at = position_of(location)
        keys = [("Location", location["id"]), *(("HealthcareService", o["id"]) for o in offers)]
        return context.render(
            request,
            "directory/place.html",
            name=name_of(location, language.code),
            running=location.get("status", "active") == "active",
            kind=next((concept(k, language.code) for k in location.get("type", ())[1:]), ""),
            address=location.get("address", {}).get("text", ""),
            provider=organization.get("name", ""),
            ico=value_of(organization, PROVIDER) if organization else "",
            contacts=_contacts(location) or _contacts(organization),
            offers=shown,
            departments=[
                (said(each.get("name", ""), language.code),
                 next(iter(extensions(each, systems.BEDS)), None))
                for each in departments if each.get("active", True)
            ],
            equipment=[
                said(str(each), language.code)
                for each in extensions(location, systems.EQUIPMENT)
            ],
            people=[
                {
                    "id": referred(each.get("practitioner"), "Practitioner"),
                    "name": (each.get("practitioner") or {}).get("display", ""),
                    "work": concept(next(iter(each.get("code", ())), None), language.code),
                    "field": concept(next(iter(each.get("specialty", ())), None), language.code),
                }
                for each in roles
            ],
            permits=[
                (value_of(each, systems.PERMIT), (each.get("organization") or {}).get("display"),
                 each.get("period", {}).get("start"))
                for each in permits
            ],
            disputed=await tables.disputes_of(services.db, keys),
            map=drawn([(*at, "")]) if at else None,
        )  # fmt: skip

    async def professional(request: Request) -> Response:
        person = await one("Practitioner", request.path_params["id"])
        roles = await resources(
            gate, VISITOR, "PractitionerRole", ("practitioner", f"Practitioner/{person['id']}")
        )
        owners = [("Organization", referred(each.get("organization"), "Organization"))
                  for each in roles]  # fmt: skip
        known = await gate.read_all(VISITOR, [each for each in dict.fromkeys(owners) if each[1]])
        names = {id_: parse(stored.body).get("name", "") for (_, id_), stored in known.items()}
        language = context.language(request)
        name: Json = next(iter(person.get("name", ())), {})
        whole = " ".join([*name.get("prefix", ()), *name.get("given", ()), name.get("family", "")])
        if name.get("suffix"):
            whole += ", " + ", ".join(name["suffix"])
        return context.render(
            request,
            "directory/professional.html",
            name=whole,
            krzp=value_of(person, PROFESSIONAL),
            qualifications=[
                (concept(each.get("code"), language.code), each.get("period", {}).get("start", ""))
                for each in person.get("qualification", ())
            ],
            restrictions=[
                said(str(each), language.code) for each in extensions(person, systems.RESTRICTION)
            ],
            roles=[
                {
                    "employer": names.get(id_in(each.get("organization")), ""),
                    "work": concept(next(iter(each.get("code", ())), None), language.code),
                    "field": concept(next(iter(each.get("specialty", ())), None), language.code),
                    "place": next((id_in(where) for where in each.get("location", ())), ""),
                    "since": each.get("period", {}).get("start", ""),
                    "active": each.get("active", True),
                }
                for each in roles
            ],
        )

    return [
        Route("/directory/place/{id}", place),
        Route("/directory/professional/{id}", professional),
    ]


def _contacts(resource: Json) -> list[tuple[str, str]]:
    return [
        (str(each.get("system", "")), str(each.get("value", "")))
        for each in resource.get("telecom", ())
        if each.get("value")
    ]


def _days(language: Language, week: Sequence[tuple[int, int]]) -> list[tuple[str, str]]:
    """Each day of the week by its name, and when it is open; "" = closed."""
    names = language.locale.days["stand-alone"]["wide"]
    made = []
    for number in range(7):
        low, high = number * DAY, (number + 1) * DAY
        parts = [
            f"{_clock(max(first, low) - low)}–{_clock(min(last, high) - low)}"
            for first, last in week
            if first < high and last > low
        ]
        made.append((str(names[number]), ", ".join(parts)))
    return made


def _clock(minute: int) -> str:
    return f"{minute // 60}:{minute % 60:02}"
