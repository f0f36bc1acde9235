"""Apps of others: a person allows one to act for them, sees what is allowed, and ends it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.routing import BaseRoute

from pater.domain import Domain, NavEntry, Parts, Services
from pater.domains.apps import connected, consent, sample
from pater.web.context import PageContext

HERE = Path(__file__).resolve().parent
_TITLE = {"cs": "Aplikace", "en": "Apps"}


def build(services: Services) -> Parts:
    """The working parts of this domain."""
    issuer = services.base_url.removesuffix("/fhir")

    def pages(context: PageContext) -> Sequence[BaseRoute]:
        return [
            *consent.routes(context, services, issuer),
            *connected.routes(context, services, issuer),
            *(sample.routes(context, issuer) if context.demo else ()),
        ]

    return Parts(pages=pages)


domain = Domain(
    name="apps",
    title=_TITLE,
    build=build,
    templates=HERE / "templates",
    locale=HERE / "locale",
    static=HERE / "static",
    navigation=(
        NavEntry("patient", "/apps", _TITLE),
        NavEntry("professional", "/apps", _TITLE),
    ),
)
