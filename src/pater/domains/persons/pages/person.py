"""The file of a person: what is known and from whom, side by side, as of a date; what was done."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.domains.persons.pages import checked, view, words
from pater.domains.persons.pages.common import ROLE, Room, answers
from pater.registers import overview, sources
from pater.registers.as_of import as_of
from pater.registers.held import insurances, registerings
from pater.registers.surviving import Said
from pater.web.i18n import N_

Rows = list[list[Any]]


def routes(room: Room) -> Sequence[BaseRoute]:
    """The page of a person."""
    context, services, registers = room.context, room.services, room.registers

    @context.require(ROLE)
    async def person(request: Request) -> Response:
        asked, caller = request.path_params["id"], context.caller_of(request)
        file = await room.shown(caller, asked, "file")
        say = room.say(request)
        valid, wrong = _day(request.query_params.get("valid", ""))
        known, unclear = _day(request.query_params.get("known", ""))
        said = await sources.of(room.db, file.person)
        past = await sources.past_of(room.db, file.person)
        errors = {"valid": wrong, "known": unclear}
        then: view.Resource | None = None
        held_then: tuple[Rows, Rows] = ([], [])
        names = view.titles(said, say)
        if (valid or known) and not (wrong or unclear):
            now = services.clock()
            until = min(datetime.combine(known, time.max, UTC), now) if known else now
            day = valid or known or now.date()
            async with answers():
                then = await as_of(services.gate, room.db, caller, file.id, day, until)
            if then is not None:
                told = known_then(said, past, until)
                held_then = (
                    view.insured(insurances(then, *told, day), say, names),
                    view.registering(registerings(then, *told, day), say, names),
                )
        async with answers():
            cases = await registers.reviewing.of(caller, file.person)
        acts = await registers.merging.of(file.id)
        disputes = await registers.merging.disputes.of(file.person)
        return context.render(
            request,
            "persons/person.html",
            who=view.brief(file.patient),
            asked=asked,
            standing=(await overview.standings(room.db, [file.person])).get(file.person),
            states=words.STATES,
            size=await overview.size(room.db, file.person),
            progress=await registers.merging.underway.of(file.id),
            lines=view.lines(file.patient, say, names),
            beside=view.beside(file.patient, said, say),
            insured=view.insured(insurances(file.patient, said, past), say, names),
            registering=view.registering(registerings(file.patient, said, past), say, names),
            insured_then=held_then[0],
            registering_then=held_then[1],
            on={"valid": request.query_params.get("valid", "")[:10],
                "known": request.query_params.get("known", "")[:10]},
            errors={name: context._(request, text) for name, text in errors.items() if text},
            then=view.lines(then, say, names) if then is not None else None,
            back=bool(valid or known) and not (wrong or unclear),
            acts=acts,
            act_words=words.ACTS,
            cases=cases.cases,
            reasons=words.REASONS,
            decisions=words.DECISIONS,
            disputes=disputes,
            dispute_states=words.DISPUTES,
            attributes=words.ATTRIBUTES,
            checks=await checked.rows(room, file, said, say),
            linked=services.basic is not None,
            people=await room.names_of(
                request,
                [*(act.by for act in acts), *(c.decided_by for c in cases.cases),
                 *(each.decider for each in disputes)],
            ),
            done=request.query_params.get("done", ""),
        )  # fmt: skip

    return [Route("/registry/persons/{id}", person)]


def known_then(
    said: Sequence[Said], past: Sequence[tuple[Said, datetime]], until: datetime
) -> tuple[list[Said], list[tuple[Said, datetime]]]:
    """What sources said at a moment, and what they had said before it, each until when."""
    now = [each for each in said if each.received <= until]
    now += [each for each, gone in past if each.received <= until < gone]
    return now, [(each, gone) for each, gone in past if gone <= until]


def _day(text: str) -> tuple[date | None, str]:
    """A day as browsers send it, or what is wrong with it (to be translated)."""
    if not text:
        return None, ""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None, N_("Enter a date.")
    return (day, "") if 1850 < day.year < 2200 else (None, N_("Enter a date."))
