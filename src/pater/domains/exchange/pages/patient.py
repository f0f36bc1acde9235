"""The patient's portal: the record on a timeline, each document, its copies, and who looked."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.policy_texts import text as policy_text
from pater.access.transparency.proving import NotThereError, Proof
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
from pater.domains.exchange.pages.listing import by_year, looks, moment
from pater.domains.exchange.view import document_view
from pater.fhir.json import dumps, parse
from pater.rest.requests import is_id
from pater.web.context import PageContext

PAGE = 50  # lines of the access log on one page


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The pages under /patient."""

    @context.require("patient")
    async def timeline(request: Request) -> Response:
        caller = context.caller_of(request)
        items = []
        if caller.patient:  # an account that is tied to nobody yet has an empty record
            async with answers():
                items = await documents_of(
                    services, caller, caller.patient, language_of(context, request)
                )
        return context.render(
            request, "exchange/patient_timeline.html", years=by_year(items), count=len(items)
        )

    @context.require("patient")
    async def document(request: Request) -> Response:
        opened = await open_document(
            services, context.caller_of(request), request.path_params["document"]
        )
        return context.render(
            request,
            "exchange/patient_document.html",
            view=document_view(opened.bundle, language_of(context, request)),
            base=f"/patient/documents/{opened.id}",
        )

    @context.require("patient")
    async def as_json(request: Request) -> Response:
        opened = await open_document(
            services, context.caller_of(request), request.path_params["document"]
        )
        return attachment(opened.raw, "application/fhir+json", f"{opened.id}.json")

    @context.require("patient")
    async def as_pdf(request: Request) -> Response:
        opened = await open_document(
            services, context.caller_of(request), request.path_params["document"]
        )
        return await pdf_of(opened, language_of(context, request), services)

    @context.require("patient")
    async def original(request: Request) -> Response:
        opened = await open_document(
            services, context.caller_of(request), request.path_params["document"]
        )
        return file_of(opened, number_of(request, "index"), language_of(context, request))

    @context.require("patient")
    async def access(request: Request) -> Response:
        caller = context.caller_of(request)
        query = request.query_params
        since, until = _day(query.get("since", "")), _day(query.get("until", ""))
        before = query.get("before", "")
        position = _position(before)
        rows = []
        if caller.person:
            async with answers():
                rows = await services.gate.journal(
                    caller,
                    person=caller.person,
                    since=_start(since),
                    until=_end(until),
                    count=PAGE + 1,
                    before=position,
                )
        lang = language_of(context, request)
        lines = looks(rows[:PAGE], caller.id)
        more = rows[PAGE - 1] if len(rows) > PAGE else None
        return context.render(
            request,
            "exchange/patient_access.html",
            lines=lines,
            reasons={line.reason: policy_text(line.reason, lang) for line in lines if line.reason},
            since=since.isoformat() if since else "",
            until=until.isoformat() if until else "",
            older=f"{more.at.isoformat()}~{more.seq}" if more else "",
            first=not before,
        )

    async def proof_of(request: Request) -> tuple[Proof | None, dict[str, Any]]:
        """The proof for an entry of the log, None while it has none, and when it was written."""
        entry = request.path_params["entry"]
        if services.log is None or not is_id(entry):
            raise HTTPException(404)
        async with answers():
            stored = await services.gate.read(context.caller_of(request), "AuditEvent", entry)
        try:
            return await services.log.prove(entry), parse(stored.body)
        except NotThereError:
            return None, parse(stored.body)

    @context.require("patient")
    async def proof(request: Request) -> Response:
        found, event = await proof_of(request)
        return context.render(
            request,
            "exchange/patient_proof.html",
            proof=found,
            at=moment(event["recorded"]),
            entry=request.path_params["entry"],
        )

    @context.require("patient")
    async def proof_file(request: Request) -> Response:
        found, _ = await proof_of(request)
        if found is None:
            raise HTTPException(404)
        entry = request.path_params["entry"]
        return attachment(dumps(found.as_json()), "application/json", f"{entry}.json")

    return [
        Route("/patient", timeline),
        Route("/patient/documents/{document}", document),
        Route("/patient/documents/{document}/json", as_json),
        Route("/patient/documents/{document}/pdf", as_pdf),
        Route("/patient/documents/{document}/original/{index}", original),
        Route("/patient/access", access),
        Route("/patient/access/{entry}", proof),
        Route("/patient/access/{entry}/proof", proof_file),
    ]


def _day(text: str) -> date | None:
    """A day of the filter; an unreadable one is no filter but a 400."""
    if not text:
        return None
    try:
        return date.fromisoformat(text)
    except ValueError as error:
        raise HTTPException(400) from error


def _start(day: date | None) -> datetime | None:
    return datetime.combine(day, time(), UTC) if day else None


def _end(day: date | None) -> datetime | None:
    """The end of a day; there is nothing after the last day that there is."""
    return _start(day + timedelta(days=1)) if day and day < date.max else None


def _position(text: str) -> tuple[datetime, int] | None:
    """Where the next page of the log begins."""
    if not text:
        return None
    at, _, seq = text.partition("~")
    try:
        moment, number = datetime.fromisoformat(at.replace(" ", "+")), int(seq)
        if moment.tzinfo is None or not 0 <= number < 2**63:
            raise HTTPException(400)
        return moment.astimezone(UTC), number
    except (ValueError, OverflowError) as error:
        raise HTTPException(400) from error
