"""My connected apps: what is allowed to whom, the end of it, and apps to open with a record."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from urllib.parse import urlencode
from uuid import UUID

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pater.access import app_scopes, apps, audit, authorize, grants, launches
from pater.access.apps import App
from pater.access.caller import Caller
from pater.access.launches import Launch
from pater.domain import Services
from pater.domains.apps import words
from pater.records.errors import Forbidden, Gone, NotFound
from pater.web.context import PageContext

MOST_OPENED: Final = 20  # apps offered for opening


@dataclass(frozen=True, slots=True)
class Connected:
    """One allowed app as the page shows it."""

    id: str
    name: str
    since: datetime
    used: datetime
    lines: Sequence[str]


def routes(context: PageContext, services: Services, issuer: str) -> Sequence[BaseRoute]:
    """`/apps`, and what its forms do."""

    @context.require()
    async def connected(request: Request) -> Response:
        caller = context.caller_of(request)
        held = await grants.of_account(services.db, caller.id, services.clock)
        known = await apps.find_many(services.db, {grant.app for grant in held})
        gettext = context.language(request).gettext
        items = [
            Connected(
                str(grant.id),
                known[grant.app].name if grant.app in known else grant.app,
                grant.created,
                grant.used,
                [line.text for line in words.lines(grant.scopes, gettext)],
            )
            for grant in held
        ]
        offered = await openable() if _record(context, request, caller) else []
        request.state.form_targets = tuple(
            dict.fromkeys(authorize.target_of(app.launch_url) for app in offered)
        )
        return context.render(
            request,
            "apps/connected.html",
            items=items,
            offered=offered,
            own=caller.role == "patient",
            ended="ended" in request.query_params,
        )

    @context.require()
    async def end(request: Request) -> Response:
        caller = context.caller_of(request)
        form = await context.form(request)
        try:
            id = UUID(form.get("grant", ""))
        except ValueError as error:
            raise HTTPException(400) from error
        grant = await grants.find(services.db, id)
        if services.revocations is None:
            raise HTTPException(503)
        if grant is not None and await services.revocations.end(id, caller.id):
            found = await apps.find(services.db, grant.app)
            acting = replace(caller, app=grant.app, app_name=found.name if found else grant.app)
            await _note(services, acting, "app-end", "app-ended", grant)
        return context.redirect("/apps?ended=1")

    @context.require()
    async def launch(request: Request) -> Response:
        """Hands the opened (or the own) record to an app by a one-time handle."""
        caller = context.caller_of(request)
        form = await context.form(request)
        app = await apps.find(services.db, form.get("app", ""))
        patient = _record(context, request, caller)
        if app is None or not app.active or not app.launch_url or not patient:
            raise HTTPException(400)
        try:
            stored = await services.gate.read(caller, "Patient", patient)
        except (NotFound, Gone) as error:
            raise HTTPException(404) from error
        except Forbidden as error:
            raise HTTPException(403) from error
        wish = Launch(app.id, caller.id, caller.purpose, stored.person, patient)
        handle = await launches.make(services.db, wish, services.clock)
        acting = replace(caller, app=app.id, app_name=app.name)
        await _note(services, acting, "app-launch", "app-launched", wish)
        sign = "&" if "?" in app.launch_url else "?"
        query = urlencode({"iss": issuer + "/fhir", "launch": handle})
        return RedirectResponse(app.launch_url + sign + query, 303)

    async def openable() -> list[App]:
        found = [
            app
            for app in await apps.every(services.db)
            if app.active and app.launch_url and app_scopes.LAUNCH in app.scopes
        ]
        return found[:MOST_OPENED]

    return [
        Route("/apps", connected),
        Route("/apps/end", end, methods=["POST"]),
        Route("/apps/launch", launch, methods=["POST"]),
    ]


def _record(context: PageContext, request: Request, caller: Caller) -> str:
    """The Patient whose record is at hand: the own one, or the one that is open."""
    if caller.role == "patient":
        return caller.patient or ""
    session = context.session_of(request)
    return session.patient if session and caller.purpose else ""


async def _note(
    services: Services,
    caller: Caller,
    interaction: str,
    reason: str,
    about: grants.Grant | Launch,
) -> None:
    if services.journal is None:
        raise HTTPException(503)
    entry = audit.entry(
        caller, "E", interaction, audit.OK, clock=services.clock, reason=reason,
        person=about.person or 0, patient=about.patient,
    )  # fmt: skip
    await services.journal([entry])
