"""What is said to be wrong of persons: the registrars' queue, and the decision."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domains.persons.pages import view, words
from pater.domains.persons.pages.common import ROLE, Room, answers, whole
from pater.fhir.json import parse
from pater.records.errors import Conflict, Unprocessable
from pater.registers import sources
from pater.registers.disputes import LONGEST, Dispute, State
from pater.web.i18n import N_

PAGE = 20


def routes(room: Room) -> Sequence[BaseRoute]:
    """The pages under /registry/disputes."""
    context, services = room.context, room.services
    disputes = room.registers.merging.disputes

    @context.require(ROLE)
    async def queue(request: Request) -> Response:
        caller = context.caller_of(request)
        after = request.query_params.get("after", "")
        async with answers():
            before = await disputes.one(_uuid(after)) if after else None
            found = await disputes.queue(caller, before, PAGE + 1)
            shown = found[:PAGE]
            people = await services.gate.identify(
                caller, [each.person for each in shown], "disputes"
            )
        return context.render(
            request,
            "persons/disputes.html",
            items=[
                (each, view.brief(parse(people[each.person].body)))
                for each in shown
                if each.person in people
            ],
            attributes=words.ATTRIBUTES,
            older=shown[-1].id if len(found) > PAGE else "",
            first=not after,
            done=request.query_params.get("done", ""),
        )

    @context.require(ROLE)
    async def one(request: Request) -> Response:
        caller, id = context.caller_of(request), _uuid(request.path_params["id"])
        async with answers():
            await services.gate.require(caller, "update", "Patient")
            found = await disputes.one(id)
        if request.method != "POST":
            return await show(request, caller, found)
        form = await context.form(request)
        version, state = whole(form, "version"), form.get("state", "")
        answer = form.get("answer", "").strip()
        errors = dict[str, str]()
        if state not in ("corrected", "kept"):
            errors["state"] = N_("Choose what was decided.")
        if not 3 <= len(answer) <= LONGEST:
            errors["answer"] = N_("Say why, in 3 to 2000 characters: whoever asked reads it.")
        if errors:
            return await show(request, caller, found, form.get("answer", ""), errors, status=422)
        decided: State = "corrected" if state == "corrected" else "kept"
        try:
            async with answers():
                await disputes.decide(caller, id, version, decided, answer)
        except Unprocessable as error:
            errors["state"] = room.refusal(request, error)
            return await show(request, caller, found, answer, errors, status=422)
        except HTTPException as error:
            if not isinstance(error.__cause__, Conflict):
                raise
            found = await disputes.one(id)
            return await show(request, caller, found, answer, {}, taken=True, status=409)
        return context.redirect("/registry/disputes?done=" + decided)

    async def show(
        request: Request,
        caller: Caller,
        found: Dispute,
        answer: str = "",
        errors: dict[str, str] | None = None,
        *,
        taken: bool = False,
        status: int = 200,
    ) -> Response:
        async with answers():
            people = await services.gate.identify(caller, [found.person], "disputes")
        stored = people.get(found.person)
        if stored is None:
            raise HTTPException(404)
        patient = parse(stored.body)
        say = room.say(request)
        side = view.beside(patient, await sources.of(room.db, found.person), say)
        rows = tuple(each for each in side.lines if each[0] == found.attribute)
        return context.render(
            request,
            "persons/dispute.html",
            status=status,
            item=found,
            who=view.brief(patient),
            beside=view.Beside(side.columns, rows, side.left_out),
            attributes=words.ATTRIBUTES,
            states=words.DISPUTES,
            answer=answer,
            taken=taken,
            people=await room.names_of(request, [found.decider]),
            errors={name: context._(request, text) for name, text in (errors or {}).items()},
        )

    return [
        Route("/registry/disputes", queue),
        Route("/registry/disputes/{id}", one, methods=["GET", "POST"]),
    ]


def _uuid(text: str) -> str:
    try:
        return str(UUID(text))
    except ValueError as error:
        raise HTTPException(404) from error
