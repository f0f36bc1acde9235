"""Finding a person of the register: by a number, or by name and what else is known, also misspelt.

What names a person travels in the body of the form, never in an address.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domains.persons.pages.common import ROLE, Room, answers
from pater.domains.persons.pages.view import Brief, brief
from pater.fhir.json import dumps, parse
from pater.fhir.search.query import SearchError, parse_search
from pater.registers import overview
from pater.registers.identifiers import BIRTH_NUMBER, INSURED_NUMBER, RID, check
from pater.registers.matching import features_of
from pater.registers.numbers import typed
from pater.registers.overview import Standing
from pater.web.i18n import N_

HITS: Final = 20
"""Persons of one answer."""
NUMBERS: Final = (RID, BIRTH_NUMBER, INSURED_NUMBER)
_FIELDS: Final = ("number", "family", "given", "born", "postcode")
_LONGEST: Final = 100
_UNLIKE: Final = -8.0
"""Below this weight (bits) nobody would take two for one person."""


@dataclass(frozen=True, slots=True)
class Question:
    """A search form as it was filled in, with what is wrong with it by field."""

    values: Mapping[str, str]
    errors: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Hit:
    """Somebody found, and how they stand."""

    who: Brief
    standing: Standing | None


def question(form: Mapping[str, str], today: date) -> Question:
    """Reads the form; errors are texts to translate."""
    values = {name: " ".join(form.get(name, "").split())[:_LONGEST] for name in _FIELDS}
    errors: dict[str, str] = {}
    if values["born"]:
        try:
            born = date.fromisoformat(values["born"])
        except ValueError:
            errors["born"] = N_("Enter the date of birth.")
        else:
            values["born"] = born.isoformat()
            if born > today:
                errors["born"] = N_("The date of birth is in the future.")
    if not values["number"]:
        if len(values["family"]) < 2:
            errors["number" if not values["family"] else "family"] = N_(
                "Enter a number, or the family name."
            )
        elif not (values["born"] or values["postcode"] or values["given"]):
            errors["born"] = N_("Add the date of birth, the given name or the postcode.")
    return Question(values, errors)


def routes(room: Room) -> Sequence[BaseRoute]:
    """The first page of the portal."""
    context, services, registers = room.context, room.services, room.registers

    @context.require(ROLE)
    async def find(request: Request) -> Response:
        if request.method != "POST":
            return await show(request, Question(dict.fromkeys(_FIELDS, ""), {}), None)
        asked = question(await context.form(request), services.clock().date())
        if asked.errors:
            return await show(request, asked, None, status=422)
        caller = context.caller_of(request)
        async with answers():
            await services.gate.require(caller, "ask", "Patient")
            services.gate.admit(caller)
            hits = await found(caller, asked.values)
        return await show(request, asked, hits)

    async def found(caller: Caller, values: Mapping[str, str]) -> list[Hit]:
        if values["number"]:
            people = await typed(room.db, values["number"])
        else:
            people = await by_name(caller, values)
        patients = await services.gate.identify(caller, people, "find")
        if not patients:
            await services.gate.missed(caller, [dumps(dict(values)).decode()])
        standings = await overview.standings(room.db, list(patients))
        return [
            Hit(brief(parse(patients[each].body)), standings.get(each))
            for each in people
            if each in patients
        ]

    async def by_name(caller: Caller, values: Mapping[str, str]) -> list[int]:
        """Who has the name as it was typed, then who is like it."""
        asked = [("family", _literal(values["family"]))]
        asked += [("birthdate", values["born"])] if values["born"] else []
        asked += [("given", _literal(values["given"]))] if values["given"] else []
        asked += (
            [("address-postalcode", _literal(values["postcode"]))] if values["postcode"] else []
        )
        try:
            page = await services.gate.search(caller, parse_search("Patient", asked), count=HITS)
            exact = [stored.person for stored in page.matches]
        except SearchError:  # signs of which nothing is left when names are compared
            exact = []
        features = features_of(_patient(values))
        model = registers.index.model
        scored = [
            (model.score(features, each).weight, person)
            for person, each in await registers.index.candidates(features)
        ]
        scored.sort(key=lambda each: (-each[0], each[1]))
        alike = [person for weight, person in scored if weight > _UNLIKE]
        return list(dict.fromkeys([*exact, *alike]))[:HITS]

    async def show(
        request: Request, asked: Question, hits: list[Hit] | None, status: int = 200
    ) -> Response:
        return context.render(
            request,
            "persons/registry.html",
            status=status,
            asked=asked.values,
            errors={name: context._(request, text) for name, text in asked.errors.items()},
            unchecked=_unchecked(asked.values["number"]),
            hits=hits,
            most=HITS,
            waiting=await overview.waiting(room.db, services.clock()),
        )

    return [Route("/registry", find, methods=["GET", "POST"])]


def _patient(values: Mapping[str, str]) -> dict[str, Any]:
    """The form as a Patient to be compared."""
    name: dict[str, Any] = {"family": values["family"]}
    if values["given"]:
        name["given"] = values["given"].split()
    made: dict[str, Any] = {"resourceType": "Patient", "name": [name]}
    if values["born"]:
        made["birthDate"] = values["born"]
    if values["postcode"]:
        made["address"] = [{"postalCode": values["postcode"].replace(" ", "")}]
    return made


def _unchecked(number: str) -> bool:
    """Whether a typed number is none that could be given to anybody."""
    plain = number.replace("/", "").replace(" ", "")
    if not plain:
        return False
    return all(check(system, plain).ok is False for system in NUMBERS)


def _literal(text: str) -> str:
    """A typed text as one search value: the signs of the search syntax lose their meaning."""
    for sign in ("\\", ",", "|", "$"):
        text = text.replace(sign, "\\" + sign)
    return text
