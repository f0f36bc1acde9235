"""Who looked: the patient's page of it, proofs, files, and the disputing of an entry."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from urllib.parse import urlencode
from uuid import UUID, uuid4

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access import audit
from pater.access.caller import Caller
from pater.access.policy_texts import text as policy_text
from pater.access.transparency.proving import NotThereError, Proof
from pater.domain import Services
from pater.domains.exchange import tables
from pater.domains.exchange.pages.common import answers, attachment, language_of
from pater.domains.exchange.pages.listing import looks, moment
from pater.domains.exchange.pages.looking import (
    KINDS,
    Wanted,
    as_csv,
    as_json,
    grouped,
    line_of,
)
from pater.domains.exchange.pdf import compile_pdf
from pater.fhir.json import dumps, parse
from pater.records.gate import JournalRow
from pater.web.context import PageContext
from pater.web.i18n import N_

PAGE: Final = 50  # looks on one page
MOST_EXPORTED: Final = 1000  # looks in one file
_FORMATS: Final = ("csv", "json", "pdf")
_SHORTEST, _LONGEST = 10, 2000  # characters of what is disputed
_DISPUTES: Final = 50  # shown at once


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The pages under /patient/access, and those under /privacy/disputes."""
    return [*_patient_routes(context, services), *_officer_routes(context, services)]


def _patient_routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    async def rows_of(
        request: Request, count: int, before: tuple[datetime, int] | None
    ) -> list[JournalRow]:
        caller, query = context.caller_of(request), request.query_params
        if not caller.person:  # an account that is tied to nobody yet
            return []
        async with answers():
            return await services.gate.journal(
                caller,
                person=caller.person,
                since=_start(_day(query.get("since", ""))),
                until=_end(_day(query.get("until", ""))),
                count=count,
                before=before,
                keep=_wanted(request).test(),
            )

    @context.require("patient")
    async def page(request: Request) -> Response:
        caller, query = context.caller_of(request), request.query_params
        before = query.get("before", "")
        rows = await rows_of(request, PAGE + 1, _position(before))
        lang = language_of(context, request)
        groups = grouped(looks(rows[:PAGE], caller.id))
        more = rows[PAGE - 1] if len(rows) > PAGE else None
        wanted = _wanted(request)
        asked = {
            "since": query.get("since", ""),
            "until": query.get("until", ""),
            "provider": wanted.provider,
            "kind": wanted.kind,
            "emergency": "1" if wanted.emergency else "",
        }
        given = {name: value for name, value in asked.items() if value}
        reasons = {group.first.reason for group in groups} - {""}
        disputed = await tables.disputes_of(services.db, caller.person or 0, _DISPUTES)
        return context.render(
            request,
            "exchange/patient_access.html",
            groups=groups,
            kinds_of_look=[(key, context._(request, text)) for key, text in KINDS.items()],
            reasons={reason: policy_text(reason, lang) for reason in reasons},
            asked=asked,
            query=urlencode(given),
            older=urlencode({**given, "before": f"{more.at.isoformat()}~{more.seq}"})
            if more
            else "",
            first=not before,
            disputes=disputed,
            disputed={str(one.entry) for one in disputed},
        )

    @context.require("patient")
    async def export(request: Request) -> Response:
        format = request.query_params.get("format", "")
        if format not in _FORMATS:
            raise HTTPException(400)
        lang, now = language_of(context, request), services.clock()
        rows = await rows_of(request, MOST_EXPORTED + 1, None)
        shown = rows[:MOST_EXPORTED]
        proofs = [await _proof(services, row) for row in shown]
        lines = [
            line_of(row, policy_text(row.reason, lang) if row.reason else "", proof)
            for row, proof in zip(shown, proofs, strict=True)
        ]
        name = f"pater-access-{now:%Y-%m-%d}"
        if format == "csv":
            return attachment(as_csv(lines), "text/csv; charset=utf-8", f"{name}.csv")
        if format == "json":
            return attachment(as_json(lines, proofs, now), "application/json", f"{name}.json")
        data = {
            "lang": lang,
            "lines": [
                {key: "" if value is None else str(value) for key, value in line.items()}
                for line in lines
            ],
            "more": len(rows) > len(shown),
            "title": context._(request, N_("Who looked at my records")),
            "columns": [
                context._(request, text)
                for text in (N_("When"), N_("Who"), N_("What"), N_("Why"), N_("Number in the log"))
            ],
            "cut": context._(request, N_("There are more: narrow the time.")),
            "made": context._(request, N_("Made")),
            "made_at": f"{now:%Y-%m-%d %H:%M} UTC",
            "sealed": context._(
                request,
                N_(
                    "Each number is the place of the entry in the sealed log; its proof is in the"
                    " JSON file of the same looks."
                ),
            ),
        }
        content = await asyncio.to_thread(compile_pdf, "access.typ", data, now)
        return attachment(content, "application/pdf", f"{name}.pdf")

    async def opened(request: Request) -> tuple[UUID, dict[str, Any]]:
        """The entry that is asked for, read through the gate."""
        entry = _uuid(request.path_params["entry"])
        async with answers():
            stored = await services.gate.read(context.caller_of(request), "AuditEvent", str(entry))
        return entry, parse(stored.body)

    async def proof_of(entry: UUID) -> Proof | None:
        """The proof of an entry, None while it has none."""
        if services.log is None:
            raise HTTPException(404)
        try:
            return await services.log.prove(str(entry))
        except NotThereError:
            return None

    @context.require("patient")
    async def proof(request: Request) -> Response:
        entry, event = await opened(request)
        return await show(request, entry, event)

    async def show(
        request: Request,
        entry: UUID,
        event: dict[str, Any],
        said: str = "",
        errors: dict[str, str] | None = None,
    ) -> Response:
        person = context.caller_of(request).person or 0
        return context.render(
            request,
            "exchange/patient_proof.html",
            status=422 if errors else 200,
            proof=await proof_of(entry),
            at=moment(event["recorded"]),
            entry=str(entry),
            dispute=await tables.dispute_of_entry(services.db, person, entry),
            said=said,
            errors=errors or {},
        )

    @context.require("patient")
    async def proof_file(request: Request) -> Response:
        entry, _ = await opened(request)
        found = await proof_of(entry)
        if found is None:
            raise HTTPException(404)
        return attachment(dumps(found.as_json()), "application/json", f"{entry}.json")

    @context.require("patient")
    async def dispute(request: Request) -> Response:
        caller = context.caller_of(request)
        entry, event = await opened(request)
        said = (await context.form(request)).get("text", "").strip()
        if not _SHORTEST <= len(said) <= _LONGEST:
            text = N_("Say in a sentence or two why this access was not right.")
            if len(said) > _LONGEST:
                text = N_("This is too long: at most 2,000 characters.")
            return await show(request, entry, event, said, {"text": context._(request, text)})
        one = _dispute(caller, entry, event, said, services.clock())
        if await tables.dispute(services.db, one):
            await _record(services, caller, [one], "disputed")
        return context.redirect(f"/patient/access/{entry}#dispute")

    return [
        Route("/patient/access", page),
        Route("/patient/access/export", export),
        Route("/patient/access/{entry}", proof),
        Route("/patient/access/{entry}/proof", proof_file),
        Route("/patient/access/{entry}/dispute", dispute, methods=["POST"]),
    ]


def _officer_routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    async def show(
        request: Request, errors: dict[str, str], said: str = "", id: str = "", status: int = 200
    ) -> Response:
        caller = context.caller_of(request)
        found = await tables.open_disputes(services.db, _DISPUTES)
        if found:
            await _record(services, caller, found, "review")
        return context.render(
            request,
            "exchange/privacy_disputes.html",
            status=status,
            disputes=found,
            reasons={
                one.reason: policy_text(one.reason, language_of(context, request)) for one in found
            },
            errors=errors,
            said=said,
            wrong=id,
            taken=request.query_params.get("taken") == "1",
        )

    @context.require("privacy-officer")
    async def queue(request: Request) -> Response:
        return await show(request, {})

    @context.require("privacy-officer")
    async def answer(request: Request) -> Response:
        caller = context.caller_of(request)
        one = await tables.dispute_by_id(services.db, _uuid(request.path_params["id"]))
        if one is None:
            raise HTTPException(404)
        form = await context.form(request)
        said, verdict = form.get("answer", "").strip(), form.get("verdict", "")
        errors = {}
        if not _SHORTEST <= len(said) <= _LONGEST:
            text = N_("Write an answer that the patient understands (10 to 2,000 characters).")
            errors[f"answer-{one.id}"] = context._(request, text)
        if verdict not in ("justified", "unjustified"):
            errors[f"verdict-{one.id}"] = context._(request, N_("Say whether it was justified."))
        if errors:
            return await show(request, errors, said, str(one.id), 422)
        done = await tables.answer_dispute(
            services.db, one.id, said, verdict == "justified", services.clock(), caller.id
        )
        if done:
            await _record(services, caller, [one], "dispute-answered")
        return context.redirect("/privacy/disputes" if done else "/privacy/disputes?taken=1")

    return [
        Route("/privacy/disputes", queue),
        Route("/privacy/disputes/{id}", answer, methods=["POST"]),
    ]


async def _proof(services: Services, row: JournalRow) -> Proof | None:
    if services.log is None:
        return None
    try:
        return await services.log.prove(str(row.id))
    except NotThereError:
        return None


def _dispute(
    caller: Caller, entry: UUID, event: dict[str, Any], said: str, now: datetime
) -> tables.Dispute:
    asking: dict[str, Any] = next((a for a in event["agent"] if a.get("requestor")), {})
    who = asking.get("who", {})
    name = str(asking.get("name") or who.get("display") or "")
    organizations = [
        str(agent.get("who", {}).get("display", ""))
        for agent in event["agent"]
        if any(c.get("code") == "PROV" for c in agent.get("type", {}).get("coding", ()))
    ]
    kinds = event.get("subtype") or [{}]
    return tables.Dispute(
        id=uuid4(),
        entry=entry,
        person=caller.person or 0,
        patient=caller.patient or "",
        account=caller.id,
        at=moment(event["recorded"]) or now,
        who=name,
        organization=next(iter(organizations), ""),
        what=str(kinds[0].get("code", "")),
        reason=str(event.get("outcomeDesc", "")),
        text=said,
        created=now,
    )


async def _record(
    services: Services, caller: Caller, some: Sequence[tables.Dispute], reason: str
) -> None:
    """Writes into the journal of each person that their dispute was made, seen or answered."""
    if services.journal is None:
        raise HTTPException(503)
    await services.journal(
        [
            audit.entry(
                caller,
                "R" if reason == "review" else "E",
                "access-dispute",
                audit.OK,
                clock=services.clock,
                reason=reason,
                person=one.person,
                patient=one.patient,
                entity_type="AuditEvent",
                entity_id=str(one.entry),
            )
            for one in some
        ]
    )


def _wanted(request: Request) -> Wanted:
    query = request.query_params
    kind = query.get("kind", "")
    return Wanted(
        query.get("provider", "").strip()[:100],
        kind if kind in KINDS else "",
        query.get("emergency", "") == "1",
    )


def _uuid(text: str) -> UUID:
    try:
        found = UUID(text)
    except ValueError as error:
        raise HTTPException(404) from error
    if str(found) != text:
        raise HTTPException(404)
    return found


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
        when, number = datetime.fromisoformat(at.replace(" ", "+")), int(seq)
        if when.tzinfo is None or not 0 <= number < 2**63:
            raise HTTPException(400)
        return when.astimezone(UTC), number
    except (ValueError, OverflowError) as error:
        raise HTTPException(400) from error
