"""What the patient was told: the list of notices, and the line on the first page of the portal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import Caller
from pater.domain import Attending, Attention, Services
from pater.domains.consents import tables
from pater.domains.consents.notices import CATEGORIES, notice_of
from pater.domains.consents.pages.common import answers, for_patients, own_record
from pater.fhir.json import parse
from pater.fhir.search.query import parse_search
from pater.web.context import PageContext

PAGE: Final = 20


def routes(context: PageContext, services: Services) -> Sequence[BaseRoute]:
    """The page /patient/notices; what it shows counts as seen."""

    @for_patients(context)
    async def notices(request: Request) -> Response:
        caller, person, patient = own_record(context, request)
        cursor = request.query_params.get("page", "")
        pairs = [
            ("patient", f"Patient/{patient}"),
            ("category", f"{CATEGORIES}|notification"),
            ("_sort", "-sent"),
        ]
        asked = parse_search("Communication", [*pairs, *([("_cursor", cursor)] if cursor else [])])
        async with answers():
            page = await services.gate.search(caller, asked, count=PAGE)
        lang = context.lang(request)
        items = [notice_of(parse(stored.body), lang) for stored in page.matches]
        ids = [item.id for item in items]
        unseen = await tables.unseen_among(services.db, person, ids)
        if unseen and not caller.app:
            await tables.see(services.db, person, unseen, services.clock())
        return context.render(
            request,
            "consents/notices.html",
            items=items,
            unseen=unseen,
            older=page.next or "",
            first=not cursor,
        )

    return [Route("/patient/notices", notices)]


def attending(services: Services) -> Attending:
    """Tells a patient of notices that they have not seen."""

    async def attend(caller: Caller) -> Sequence[Attention]:
        if caller.role != "patient" or not caller.person:
            return ()
        count = await tables.unseen(services.db, caller.person)
        if not count:
            return ()
        text = {"cs": f"Nová oznámení: {count}", "en": f"New notices: {count}"}
        return (Attention("/patient/notices", text),)

    return attend
