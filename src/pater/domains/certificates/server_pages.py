"""The pages under /certificates/servers: keys by which a provider's servers certify themselves."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from pater.domain import Services
from pater.domains.certificates.orders import operator_of
from pater.domains.certificates.pages import let_in
from pater.trust.acme import Binding
from pater.trust.acme.tables import Key
from pater.trust.ca import CaError
from pater.web.context import PageContext
from pater.web.i18n import N_

_LONGEST: Final = 5_000  # characters of a list of hosts
_HOSTS: Final = N_("Write one DNS name a line, 1 to 20; no addresses and no wildcards.")


def routes(context: PageContext, services: Services, binding: Binding) -> Sequence[BaseRoute]:
    """All of them."""

    async def servers(request: Request) -> Response:
        found = await binding.listing(context.caller_of(request).organization)
        now = services.clock()
        return context.render(
            request,
            "certificates/servers.html",
            rows=[(key, *_state(key, now)) for key in found],
            directory=_directory(services),
            ended="ended" in request.query_params,
        )

    async def new(request: Request) -> Response:
        """Gives a key; its secret is shown with the answer and never again."""
        if request.method != "POST":
            return form_of(request, "", "")
        hosts = (await context.form(request)).get("hosts", "")
        if len(hosts) > _LONGEST:
            return form_of(request, "", context._(request, _HOSTS))
        caller = context.caller_of(request)
        try:
            made = await binding.give(
                operator_of(caller),
                caller.organization,
                caller.organization_name,
                hosts.replace(",", " ").split(),
            )
        except CaError:
            return form_of(request, hosts, context._(request, _HOSTS))
        return context.render(
            request,
            "certificates/server_key.html",
            made=made,
            secret=binding.shown(made.id),
            directory=_directory(services),
        )

    def form_of(request: Request, hosts: str, error: str) -> Response:
        return context.render(
            request,
            "certificates/server_order.html",
            status=422 if error else 200,
            hosts=hosts,
            errors={"hosts": error} if error else {},
        )

    async def end(request: Request) -> Response:
        caller = context.caller_of(request)
        found = await binding.find(request.path_params["id"])
        if found is None or found.ico != caller.organization:
            raise HTTPException(404)
        if request.method == "POST":
            await context.form(request)
            await binding.end(operator_of(caller), found.id)
            return context.redirect("/certificates/servers?ended=1")
        return context.render(request, "certificates/server_end.html", key=found)

    let = functools.partial(let_in, context)
    acts = ["GET", "POST"]
    return [
        Route("/certificates/servers", let(servers)),
        Route("/certificates/servers/new", let(new, fresh=True), methods=acts),
        Route("/certificates/servers/{id}/end", let(end, fresh=True), methods=acts),
    ]


def _directory(services: Services) -> str:
    return services.base_url.removesuffix("/fhir") + "/acme/directory"


def _state(key: Key, now: datetime) -> tuple[str, str]:
    """How a key stands, and the colour of that."""
    if key.ended is not None:
        return N_("ended"), "neutral"
    if key.account:
        return N_("in use"), "success"
    if key.until < now:
        return N_("expired"), "neutral"
    return N_("not used yet"), "warning"
