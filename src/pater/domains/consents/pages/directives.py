"""The pages of advance directives: register one with its signed paper, list them, revoke."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final
from uuid import uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.consents import directive as directives
from pater.domains.consents.declaration import SCOPES
from pater.domains.consents.directive import KINDS, LARGEST, Directive
from pater.domains.consents.pages.common import (
    answers,
    commit_once,
    day_of,
    for_patients,
    form_key,
    own_record,
    pdf_file,
)
from pater.fhir.json import parse
from pater.fhir.search.query import parse_search
from pater.records.gate import Change, Claim, claim_key
from pater.rest.requests import is_id
from pater.web.context import PageContext
from pater.web.forms import file_of
from pater.web.i18n import N_

MOST: Final = 100
_FIELDS: Final = ("kind", "signed", "physician", "instructed")


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The pages under /patient/directives."""
    gate = services.gate

    @for_patients(context)
    async def listing(request: Request) -> Response:
        caller, person, patient = own_record(context, request)
        if request.method != "POST":
            blank = dict.fromkeys(_FIELDS, "") | {"kind": KINDS[0], "key": str(uuid4())}
            return await show(request, caller, patient, blank, {})
        sent = await context.form(request)
        values = {name: " ".join(sent.get(name, "").split())[:100] for name in _FIELDS}
        values["key"] = form_key(sent)
        if values["kind"] not in KINDS:
            raise HTTPException(400)
        today = services.clock().astimezone(context.language(request).zone).date()
        signed, instructed = day_of(values["signed"]), day_of(values["instructed"])
        errors: dict[str, str] = {}
        for name, day in (("signed", signed), ("instructed", instructed)):
            if day is None or day > today:
                errors[name] = N_("Enter a day that is not in the future.")
        if len(values["physician"]) < 3:
            errors["physician"] = N_("Enter the physician's name.")
        paper = file_of(request, "paper")
        if paper is None or not directives.is_pdf(paper.content):
            errors["paper"] = N_("Choose the PDF file.")
        elif len(paper.content) > LARGEST:
            errors["paper"] = N_("The file is larger than 2 MB.")
        if errors or paper is None:
            return await show(request, caller, patient, values, errors, 422)
        wish = Directive(values["kind"], signed, values["physician"], instructed)
        consent = directives.consent_of(wish, paper.content, patient, services.clock())
        id = gate.new_id()
        once = Claim(claim_key("consent-form", str(person), values["key"]), person, id)
        await commit_once(gate, caller, [Change("create", "Consent", id, consent)], once)
        return context.redirect("/patient/directives?done=made")

    async def show(
        request: Request,
        caller: Caller,
        patient: str,
        form: Mapping[str, str],
        errors: Mapping[str, str],
        status: int = 200,
    ) -> Response:
        asked = parse_search(
            "Consent",
            [
                ("patient", f"Patient/{patient}"),
                ("scope", f"{SCOPES}|{directives.ADVANCE}"),
                ("_sort", "-date"),
            ],
        )
        async with answers():
            page = await gate.search(caller, asked, count=MOST)
        found = (directives.directive_of(parse(s.body), s.version, s.updated) for s in page.matches)
        return context.render(
            request,
            "consents/directives.html",
            status=status,
            items=[each for each in found if each is not None],
            form=form,
            errors={name: context._(request, text) for name, text in errors.items()},
            done=request.query_params.get("done", ""),
        )

    @for_patients(context)
    async def paper(request: Request) -> Response:
        caller, _, _ = own_record(context, request)
        id = request.path_params["id"]
        if not is_id(id):
            raise HTTPException(404)
        async with answers():
            stored = await gate.read(caller, "Consent", id)
        content = directives.paper_of(parse(stored.body))
        if content is None:
            raise HTTPException(404)
        return pdf_file(content, f"{id}.pdf")

    return [
        Route("/patient/directives", listing, methods=["GET", "POST"]),
        Route("/patient/directives/{id}/paper", paper),
    ]
