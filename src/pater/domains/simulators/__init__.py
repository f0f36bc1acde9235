"""Simulations of systems of others, for demonstrations and tests: the state's identity provider."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.routing import BaseRoute

from pater.domain import Domain, Parts, Services
from pater.domains.simulators.identity import Provider
from pater.domains.simulators.pages import pages, routes
from pater.domains.simulators.people import CLIENT, SECRET
from pater.web.context import PageContext

HERE = Path(__file__).resolve().parent


def build(services: Services) -> Parts:
    """The working parts, in a demonstration only."""
    if not services.demo:
        return Parts()
    base = services.base_url.removesuffix("/fhir")
    provider = Provider(
        base,
        services.secret,
        services.clock,
        clients={CLIENT: SECRET},
        redirects=(base + "/login/from/",),
    )

    def shown(context: PageContext) -> Sequence[BaseRoute]:
        return pages(context, provider)

    return Parts(routes=routes(provider), pages=shown)


domain = Domain(
    name="simulators",
    title={"cs": "Simulace", "en": "Simulations"},
    build=build,
    templates=HERE / "templates",
    locale=HERE / "locale",
)
