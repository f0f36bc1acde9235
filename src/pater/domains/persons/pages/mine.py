"""What the register holds of a person, for themselves and for who treats them; saying it is wrong.

A registrar decides; the answer comes as a notice and stands on the person's own page.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domains.persons.pages import view, words
from pater.domains.persons.pages.common import Room, answers
from pater.fhir.json import parse
from pater.records.errors import Unprocessable
from pater.records.gate import Stored
from pater.registers import sources
from pater.registers.disputes import LONGEST
from pater.rest.requests import is_id
from pater.web.i18n import N_


def routes(room: Room) -> Sequence[BaseRoute]:
    """/patient/register and /professional/register/{id}."""
    context, services = room.context, room.services
    disputes = room.registers.merging.disputes

    @context.require("patient")
    async def own(request: Request) -> Response:
        caller = context.caller_of(request)
        if not caller.person or not caller.patient:
            return context.render(request, "persons/mine.html", who=None)
        form = await context.form(request) if request.method == "POST" else {}
        errors = dict[str, str]()
        if form and await opened(request, caller, caller.patient, form, errors):
            return context.redirect("/patient/register?done=1")
        stored = await read(caller, caller.patient)
        patient = parse(stored.body)
        said = await sources.of(room.db, stored.person)
        say = room.say(request)
        mine = await disputes.of(stored.person)
        return context.render(
            request,
            "persons/mine.html",
            status=422 if errors else 200,
            who=view.brief(patient),
            lines=view.lines(patient, say, view.titles(said, say)),
            sources=[
                (view.title_of(each, say), each.received, each.source.reference) for each in said
            ],
            choices=view.disputable(patient, say),
            disputes=mine,
            states=words.DISPUTES,
            attributes=words.ATTRIBUTES,
            attribute=form.get("attribute") or request.query_params.get("attribute", ""),
            text=form.get("text", ""),
            done=bool(request.query_params.get("done")),
            errors={name: context._(request, text) for name, text in errors.items()},
        )

    @context.require("clinician")
    async def provider(request: Request) -> Response:
        caller, id = context.caller_of(request), request.path_params["id"]
        if not is_id(id):
            raise HTTPException(404)
        stored = await read(caller, id)
        form = await context.form(request) if request.method == "POST" else {}
        errors = dict[str, str]()
        if form and await opened(request, caller, stored.id, form, errors):
            return context.redirect(f"/professional/register/{stored.id}?done=1")
        patient = parse(stored.body)
        say = room.say(request)
        found = await disputes.of(stored.person)
        return context.render(
            request,
            "persons/provider.html",
            status=422 if errors else 200,
            who=view.brief(patient),
            choices=view.disputable(patient, say),
            disputes=[each for each in found if each.organization == caller.organization],
            states=words.DISPUTES,
            attributes=words.ATTRIBUTES,
            attribute=form.get("attribute", ""),
            text=form.get("text", ""),
            done=bool(request.query_params.get("done")),
            errors={name: context._(request, text) for name, text in errors.items()},
        )

    async def read(caller: Caller, patient: str) -> Stored:
        async with answers():
            return await services.gate.read(caller, "Patient", patient)

    async def opened(
        request: Request,
        caller: Caller,
        patient: str,
        form: Mapping[str, str],
        errors: dict[str, str],
    ) -> bool:
        """Says that something is wrong; what hinders it goes to `errors`."""
        attribute, text = form.get("attribute", ""), form.get("text", "").strip()
        if attribute not in words.ATTRIBUTES:
            errors["attribute"] = N_("Choose what is wrong.")
        if not 3 <= len(text) <= LONGEST:
            errors["text"] = N_("Say what is right, in 3 to 2000 characters.")
        if errors:
            return False
        try:
            async with answers():
                await disputes.open(caller, patient, attribute, text)
        except Unprocessable as error:
            errors["attribute"] = room.refusal(request, error)
        return not errors

    both = ["GET", "POST"]
    return [
        Route("/patient/register", own, methods=both),
        Route("/professional/register/{id}", provider, methods=both),
    ]
