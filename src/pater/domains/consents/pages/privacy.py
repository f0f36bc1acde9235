"""The privacy officer's queue: every emergency access is looked at and judged, oldest first."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access import audit
from pater.access.caller import Caller
from pater.domain import Services
from pater.domains.consents import tables
from pater.domains.consents.emergency import INTERACTION
from pater.domains.consents.pages.common import answers
from pater.domains.consents.tables import Access
from pater.records.gate import JournalRow
from pater.rest.requests import is_id
from pater.web.context import PageContext
from pater.web.i18n import N_

VERDICTS: Final = ("justified", "not-justified")
SPAN: Final = timedelta(days=30)
UNDO: Final = timedelta(minutes=30)
LOOKS: Final = 200
LONGEST_NOTE: Final = 1000
_WHAT: Final[Mapping[str, str]] = {
    "read": N_("Reading"),
    "vread": N_("Reading"),
    "history-instance": N_("Reading"),
    "search-type": N_("Search"),
    "emergency-access": N_("Opening in an emergency"),
}
_ABOUT: Final[Mapping[str, str]] = {
    "Bundle": N_("document"),
    "Composition": N_("document"),
    "DocumentReference": N_("list of documents"),
    "Patient": N_("personal data"),
    "Observation": N_("results"),
    "Condition": N_("diagnoses"),
    "Communication": N_("notice to the patient"),
}


@dataclass(frozen=True, slots=True)
class Look:
    """One look under an emergency access, without what was seen."""

    at: datetime
    what: str
    about: str
    refused: bool


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The pages under /privacy."""
    db = services.db

    @context.require("privacy-officer")
    async def queue(request: Request) -> Response:
        after = _position(request.query_params.get("after", ""))
        since = services.clock() - SPAN
        found = await tables.waiting(db, after)
        shown = found[: tables.PAGE]
        more = shown[-1] if len(found) > len(shown) else None
        return context.render(
            request,
            "consents/privacy.html",
            items=shown,
            older=f"{more.since.isoformat()}~{more.id}" if more else "",
            first=after is None,
            counts=await tables.counts(db, since),
            judged=[] if after else await tables.judged(db, since),
            last=await just_judged(request),
        )

    async def just_judged(request: Request) -> Access | None:
        """The access that this officer judged a moment ago, to be taken back if need be."""
        id = request.query_params.get("judged", "")
        found = await tables.access(db, id) if is_id(id) else None
        mine = context.caller_of(request).id
        fresh = services.clock() - UNDO
        if found is None or found.reviewer != mine or not found.reviewed:
            return None
        return found if found.reviewed >= fresh else None

    @context.require("privacy-officer")
    async def review(request: Request) -> Response:
        caller, item = context.caller_of(request), await known(request)
        if request.method != "POST":
            return await show(request, caller, item)
        form = await context.form(request)
        verdict, note = form.get("verdict", ""), form.get("note", "").strip()
        errors: dict[str, str] = {}
        if verdict not in VERDICTS:
            errors["verdict"] = N_("Choose a verdict.")
        if len(note) > LONGEST_NOTE:
            errors["note"] = N_("The note is too long.")
        elif verdict == "not-justified" and len(note) < 10:
            errors["note"] = N_("Say why it was not justified.")
        if errors:
            return await show(request, caller, item, verdict, note, errors, status=422)
        now = services.clock()
        if not await tables.judge(db, item.id, caller.id, verdict, note, now):
            return await show(request, caller, await known(request), taken=True, status=409)
        await record(caller, item, "emergency-reviewed")
        rest = await tables.waiting(db)
        target = f"/privacy/accesses/{rest[0].id}" if rest else "/privacy"
        return context.redirect(f"{target}?judged={item.id}")

    @context.require("privacy-officer")
    async def undo(request: Request) -> Response:
        caller, item = context.caller_of(request), await known(request)
        if not await tables.unjudge(db, item.id, caller.id, services.clock() - UNDO):
            raise HTTPException(409)
        await record(caller, item, "emergency-review-undone")
        return context.redirect(f"/privacy/accesses/{item.id}")

    async def known(request: Request) -> Access:
        id = request.path_params["id"]
        found = await tables.access(db, id) if is_id(id) else None
        if found is None:
            raise HTTPException(404)
        return found

    async def show(
        request: Request,
        caller: Caller,
        item: Access,
        verdict: str = "",
        note: str = "",
        errors: Mapping[str, str] | None = None,
        *,
        taken: bool = False,
        status: int = 200,
    ) -> Response:
        async with answers():
            rows = await services.gate.journal(
                caller,
                person=item.person,
                agent=item.agent,
                since=item.since,
                until=item.over + timedelta(seconds=1),
                count=LOOKS + 1,
            )
        mine = [row for row in rows if row.agent_kind == item.agent_kind]
        gettext = context.language(request).gettext
        return context.render(
            request,
            "consents/review.html",
            status=status,
            item=item,
            organization=next((r.organization_name for r in mine if r.organization_name), "")
            or item.organization,
            patient=next((row.patient for row in mine if row.patient), ""),
            looks=[_look(row, gettext) for row in mine[:LOOKS]],
            more=len(rows) > LOOKS,
            reviewer=context._(request, N_("you"))
            if item.reviewer == caller.id
            else item.reviewer or "",
            verdict=verdict,
            note=note,
            errors={name: context._(request, text) for name, text in (errors or {}).items()},
            taken=taken,
            last=await just_judged(request),
        )

    async def record(caller: Caller, item: Access, reason: str) -> None:
        """Writes into the journal that an access was judged; the patient sees it too."""
        if services.journal is None:
            raise HTTPException(503)
        entry = audit.entry(
            caller, "E", "emergency-review", audit.OK, clock=services.clock, reason=reason,
            person=item.person,
        )  # fmt: skip
        await services.journal([entry])

    return [
        Route("/privacy", queue),
        Route("/privacy/accesses/{id}", review, methods=["GET", "POST"]),
        Route("/privacy/accesses/{id}/undo", undo, methods=["POST"]),
    ]


def _look(row: JournalRow, gettext: Callable[[str], str]) -> Look:
    what = _WHAT.get(row.interaction, N_("Use"))
    about = _ABOUT.get(row.entity_type, N_("records"))
    if row.interaction == INTERACTION:
        about = ""
    return Look(row.at, gettext(what), gettext(about), row.outcome != audit.OK)


def _position(text: str) -> tuple[datetime, str] | None:
    """Where the next page of the queue begins."""
    if not text:
        return None
    at, _, id = text.partition("~")
    try:
        moment = datetime.fromisoformat(at.replace(" ", "+"))
    except ValueError as error:
        raise HTTPException(400) from error
    if moment.tzinfo is None or not is_id(id):
        raise HTTPException(400)
    return moment.astimezone(UTC), id
