"""Certificates of a provider: its administrator orders, renews, downloads and revokes them.

The certification authority does each act and its journal entry; here are the pages, what an
administrator may ask for, and the warnings before a certificate ends.
"""

from __future__ import annotations

from pathlib import Path

from starlette.routing import BaseRoute

from pater.domain import Domain, NavEntry, Parts, Services
from pater.domains.certificates import pages, server_pages
from pater.domains.certificates.warning import KIND, letter_job, watch
from pater.web.context import PageContext

HERE = Path(__file__).resolve().parent


def build(services: Services) -> Parts:
    """The working parts of this domain."""
    authority = services.certification
    if authority is None:
        return Parts()

    def routes(context: PageContext) -> list[BaseRoute]:
        found: list[BaseRoute] = []
        if services.acme is not None:  # before the pages of single certificates
            found += server_pages.routes(context, services, services.acme)
        return [*found, *pages.routes(context, services, authority)]

    return Parts(jobs={KIND: letter_job(services)}, tasks=[watch(services)], pages=routes)


domain = Domain(
    name="certificates",
    title={"cs": "Certifikáty", "en": "Certificates"},
    build=build,
    migrations=HERE / "migrations",
    templates=HERE / "templates",
    locale=HERE / "locale",
    navigation=(
        NavEntry("administration", "/certificates", {"cs": "Certifikáty", "en": "Certificates"}),
    ),
)
