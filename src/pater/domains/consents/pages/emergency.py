"""The page on which a professional says why a record must be opened in an emergency."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.domain import Services
from pater.domains.consents.emergency import (
    LONGEST,
    PURPOSE,
    RESCUE,
    Desk,
    plain_reason,
    readable,
)
from pater.domains.consents.pages.common import answers, name_of
from pater.fhir.json import parse
from pater.rest.requests import is_id
from pater.web.context import PageContext
from pater.web.i18n import N_

HOURS: Final = ("1", "4", "8", "24")
RECORD: Final = "/professional/patient"


def routes(context: PageContext, services: Services, desk: Desk) -> Sequence[BaseRoute]:
    """The page /professional/emergency, which the search for a patient leads to."""

    @context.require("clinician", "rescue")
    async def emergency(request: Request) -> Response:
        if request.method != "POST":
            return context.redirect("/professional")
        form = await context.form(request)
        patient = form.get("patient", "")
        if not is_id(patient):
            raise HTTPException(400)
        caller = replace(context.caller_of(request), purpose=PURPOSE)
        async with answers():
            stored = await services.gate.read(caller, "Patient", patient)
        if await desk.current(caller, stored.person) is not None:
            return await opened(request, patient)
        if caller.role == "rescue":  # whose every question is an emergency
            await desk.open(caller, patient, RESCUE, int(HOURS[2]))
            return await opened(request, patient)
        person = parse(stored.body)
        if form.get("step") != "open":
            return show(request, person, "", HOURS[2], {})
        reason, hours = plain_reason(form.get("reason", "")), form.get("hours", "")
        if hours not in HOURS:
            raise HTTPException(400)
        if not readable(reason) or len(form.get("reason", "")) > LONGEST:
            wrong = {"reason": N_("Say in 10 to 500 characters why, so that it can be reviewed.")}
            return show(request, person, form.get("reason", ""), hours, wrong, 422)
        async with answers():
            await desk.open(caller, patient, reason, int(hours))
        return await opened(request, patient)

    async def opened(request: Request, patient: str) -> Response:
        await context.open_patient(request, purpose=PURPOSE, patient=patient)
        return context.redirect(RECORD)

    def show(
        request: Request,
        person: dict[str, object],
        reason: str,
        hours: str,
        errors: dict[str, str],
        status: int = 200,
    ) -> Response:
        return context.render(
            request,
            "consents/emergency.html",
            status=status,
            patient=str(person["id"]),
            name=name_of(person),
            born=str(person.get("birthDate") or ""),
            reason=reason,
            hours=hours,
            errors={name: context._(request, text) for name, text in errors.items()},
        )

    return [Route("/professional/emergency", emergency, methods=["GET", "POST"])]
