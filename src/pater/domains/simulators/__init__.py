"""Simulations of systems of others, for demonstrations and tests: the state's provider of
identities, and its basic registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.routing import BaseRoute

from pater.domain import Domain, Parts, Services
from pater.domains.simulators import register_pages, registers
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

    held = registers.demonstrated(services.clock)

    def shown(context: PageContext) -> Sequence[BaseRoute]:
        return [*pages(context, provider), *register_pages.pages(context, held)]

    return Parts(routes=[*routes(provider), *register_pages.routes(held)], pages=shown)


domain = Domain(
    name="simulators",
    title={"cs": "Simulace", "en": "Simulations"},
    build=build,
    templates=HERE / "templates",
    locale=HERE / "locale",
)
