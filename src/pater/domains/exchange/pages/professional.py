"""The professional's portal: find the patient, state the purpose, read the documents.

What names a person travels in the body of forms, never in an address; pages of a patient carry
the register's meaningless id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.access.policy import ROLE_PURPOSES
from pater.domain import Services
from pater.domains.exchange import tables
from pater.domains.exchange.pages.common import (
    answers,
    attachment,
    documents_of,
    file_of,
    language_of,
    number_of,
    open_document,
    pdf_of,
)
from pater.domains.exchange.pages.listing import PatientItem, patient_item
from pater.domains.exchange.view import document_view
from pater.fhir.json import parse
from pater.fhir.search.query import parse_search
from pater.registers.identifiers import BIRTH_NUMBER, INSURED_NUMBER, RID, check
from pater.rest.requests import is_id
from pater.web.context import PageContext
from pater.web.i18n import N_

PURPOSES: Mapping[str, str] = {
    "TREAT": N_("Treatment of the patient"),
    "ETREAT": N_("Emergency treatment"),
}
SYSTEMS: Mapping[str, str] = {
    "rid": RID,
    "rcis": BIRTH_NUMBER,
    "cpoj": INSURED_NUMBER,
}
ROLES = ("clinician", "rescue")
EMERGENCY = "ETREAT"
HITS = 20
_FIELDS = ("by", "kind", "value", "family", "given", "born", "purpose")


@dataclass(frozen=True, slots=True)
class Question:
    """A search form as it was filled in, with what is wrong with it by field."""

    values: Mapping[str, str]
    errors: Mapping[str, str]

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The FHIR search that the form asks for."""
        v = self.values
        if v["by"] == "identifier":
            return [("identifier", f"{SYSTEMS[v['kind']]}|{_literal(v['value'])}")]
        found = [("family", _literal(v["family"])), ("birthdate", v["born"])]
        return found + ([("given", _literal(v["given"]))] if v["given"] else [])


def _literal(text: str) -> str:
    """A typed text as one search value: the signs of the search syntax lose their meaning."""
    for sign in ("\\", ",", "|", "$"):
        text = text.replace(sign, "\\" + sign)
    return text


def question(form: Mapping[str, str], today: date) -> Question:
    """Reads the form; errors are texts to translate."""
    values = {name: " ".join(form.get(name, "").split()) for name in _FIELDS}
    values["kind"] = values["kind"] if values["kind"] in SYSTEMS else "rid"
    values["by"] = "name" if values["by"] == "name" else "identifier"
    errors: dict[str, str] = {}
    if values["purpose"] not in PURPOSES:
        errors["purpose"] = N_("State why you need the patient's records.")
    if values["by"] == "identifier":
        values["value"] = values["value"].replace("/", "").replace(" ", "")
        if not values["value"]:
            errors["value"] = N_("Enter the identifier.")
        elif check(SYSTEMS[values["kind"]], values["value"]).ok is False:
            errors["value"] = N_("This identifier is not valid; check the digits.")
    else:
        if len(values["family"]) < 2:
            errors["family"] = N_("Enter the family name.")
        try:
            born = date.fromisoformat(values["born"])
        except ValueError:
            errors["born"] = N_("Enter the date of birth.")
        else:
            values["born"] = born.isoformat()  # 20260131 and 2026-W05-6 are dates too
            if born > today:
                errors["born"] = N_("The date of birth is in the future.")
    return Question(values, errors)


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The pages under /professional."""

    @context.require(*ROLES)
    async def find(request: Request) -> Response:
        if request.method != "POST":
            blank = dict.fromkeys(_FIELDS, "") | {"by": "identifier", "kind": "rid"}
            return show(request, Question(blank, {}), None)
        asked = question(await context.form(request), services.clock().date())
        if asked.errors:
            return show(request, asked, None, status=422)
        caller = replace(context.caller_of(request), purpose=asked.values["purpose"])
        async with answers():
            page = await services.gate.search(
                caller, parse_search("Patient", asked.parameters), count=HITS
            )
        hits = [patient_item(parse(stored.body), RID) for stored in page.matches]
        return show(request, asked, hits)

    def show(
        request: Request, asked: Question, hits: list[PatientItem] | None, status: int = 200
    ) -> Response:
        return context.render(
            request,
            "exchange/professional_find.html",
            status=status,
            asked=asked.values,
            errors={name: context._(request, text) for name, text in asked.errors.items()},
            hits=hits,
            purposes={
                purpose: text
                for purpose, text in PURPOSES.items()
                if purpose in ROLE_PURPOSES[context.caller_of(request).role]
            },
        )

    @context.require(*ROLES)
    async def open_patient(request: Request) -> Response:
        form = await context.form(request)
        patient, purpose = form.get("patient", ""), form.get("purpose", "")
        # in an emergency the way leads over the page that asks why
        if purpose not in PURPOSES or purpose == EMERGENCY or not is_id(patient):
            raise HTTPException(400)
        await context.open_patient(request, purpose=purpose, patient=patient)
        return context.redirect("/professional/patient")

    @context.require(*ROLES)
    async def patient(request: Request) -> Response:
        session = context.session_of(request)
        if session is None or not session.patient or not session.caller.purpose:
            return context.redirect("/professional")
        caller, lang = context.caller_of(request), language_of(context, request)
        async with answers():
            stored = await services.gate.read(caller, "Patient", session.patient)
            items = await documents_of(services, caller, session.patient, lang)
        return context.render(
            request,
            "exchange/professional_patient.html",
            patient=patient_item(parse(stored.body), RID),
            items=items,
            purpose=PURPOSES.get(caller.purpose, ""),
            emergency=caller.purpose == EMERGENCY,
        )

    @context.require(*ROLES)
    async def document(request: Request) -> Response:
        opened = await open_document(services, reading(request), request.path_params["document"])
        return context.render(
            request,
            "exchange/professional_document.html",
            view=document_view(opened.bundle, language_of(context, request)),
            base=f"/professional/documents/{opened.id}",
            sealed=opened.sealed,
        )

    def reading(request: Request) -> Caller:
        """The caller of a page that reads; without a stated purpose there is no reading."""
        caller = context.caller_of(request)
        if not caller.purpose:
            raise HTTPException(403)
        return caller

    @context.require(*ROLES)
    async def as_json(request: Request) -> Response:
        opened = await open_document(services, reading(request), request.path_params["document"])
        return attachment(opened.raw, "application/fhir+json", f"{opened.id}.json")

    @context.require(*ROLES)
    async def as_pdf(request: Request) -> Response:
        opened = await open_document(services, reading(request), request.path_params["document"])
        return await pdf_of(opened, language_of(context, request), services)

    @context.require(*ROLES)
    async def original(request: Request) -> Response:
        opened = await open_document(services, reading(request), request.path_params["document"])
        return file_of(opened, number_of(request, "index"), language_of(context, request))

    @context.require("clinician")
    async def arrivals(request: Request) -> Response:
        caller = context.caller_of(request)
        since = services.clock().date() - timedelta(days=29)
        found = await tables.arrivals(services.db, caller.organization, since)
        days = {since + timedelta(days=n): 0 for n in range(30)}
        for arrival in found:
            if arrival.day in days:
                days[arrival.day] += arrival.documents
        return context.render(
            request,
            "exchange/professional_arrivals.html",
            days=list(days.items()),
            total=sum(days.values()),
            organization=caller.organization_name,
        )

    return [
        Route("/professional", find, methods=["GET", "POST"]),
        Route("/professional/open", open_patient, methods=["POST"]),
        Route("/professional/patient", patient),
        Route("/professional/arrivals", arrivals),
        Route("/professional/documents/{document}", document),
        Route("/professional/documents/{document}/json", as_json),
        Route("/professional/documents/{document}/pdf", as_pdf),
        Route("/professional/documents/{document}/original/{index}", original),
    ]
