"""Certificates of a provider: its administrator orders, renews, downloads and revokes them.

The certification authority does each act and its journal entry; here are the pages, what an
administrator may ask for, and the warnings before a certificate ends.
"""

from __future__ import annotations

from pathlib import Path

from pater.domain import Domain, NavEntry, Parts, Services
from pater.domains.certificates.pages import routes
from pater.domains.certificates.warning import KIND, letter_job, watch

HERE = Path(__file__).resolve().parent


def build(services: Services) -> Parts:
    """The working parts of this domain."""
    authority = services.certification
    if authority is None:
        return Parts()
    return Parts(
        jobs={KIND: letter_job(services)},
        tasks=[watch(services)],
        pages=lambda context: routes(context, services, authority),
    )


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
