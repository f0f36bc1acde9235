"""The patient's portal: the record on a timeline, each document, and its copies."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.representation import ACTING
from pater.domain import Services
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
from pater.domains.exchange.pages.listing import by_year
from pater.domains.exchange.view import document_view
from pater.web.context import PageContext


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The pages under /patient."""

    @context.require("patient", ACTING)
    async def timeline(request: Request) -> Response:
        caller = context.caller_of(request)
        items = []
        if caller.patient:  # an account that is tied to nobody yet has an empty record
            async with answers():
                items = await documents_of(
                    services, caller, caller.patient, language_of(context, request)
                )
        return context.render(
            request,
            "exchange/patient_timeline.html",
            years=by_year(items),
            count=len(items),
            attention=await context.attention(request),
        )

    @context.require("patient", ACTING)
    async def document(request: Request) -> Response:
        opened = await open_document(
            services, context.caller_of(request), request.path_params["document"]
        )
        return context.render(
            request,
            "exchange/patient_document.html",
            view=document_view(opened.bundle, language_of(context, request)),
            base=f"/patient/documents/{opened.id}",
            sealed=opened.sealed,
            bundle=opened.id,
        )

    @context.require("patient", ACTING)
    async def as_json(request: Request) -> Response:
        opened = await open_document(
            services, context.caller_of(request), request.path_params["document"]
        )
        return attachment(opened.raw, "application/fhir+json", f"{opened.id}.json")

    @context.require("patient", ACTING)
    async def as_pdf(request: Request) -> Response:
        opened = await open_document(
            services, context.caller_of(request), request.path_params["document"]
        )
        return await pdf_of(opened, language_of(context, request), services)

    @context.require("patient", ACTING)
    async def original(request: Request) -> Response:
        opened = await open_document(
            services, context.caller_of(request), request.path_params["document"]
        )
        return file_of(opened, number_of(request, "index"), language_of(context, request))

    return [
        Route("/patient", timeline),
        Route("/patient/documents/{document}", document),
        Route("/patient/documents/{document}/json", as_json),
        Route("/patient/documents/{document}/pdf", as_pdf),
        Route("/patient/documents/{document}/original/{index}", original),
    ]
