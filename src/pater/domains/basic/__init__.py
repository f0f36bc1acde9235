"""The links to the basic registers of the state: their work, a page of their health, mandates.

What is asked and what becomes of it is in `pater.registers.basic`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.routing import BaseRoute

from pater.domain import Domain, Listener, NavEntry, Parts, Services
from pater.domains.basic import health, mandates
from pater.registers.basic import authorisations, waiting
from pater.registers.basic.room import KIND, NIGHTLY
from pater.web.context import PageContext

HERE = Path(__file__).resolve().parent


def build(services: Services) -> Parts:
    """The working parts of this domain; the page is there without links, too, and says so."""
    basic = services.basic

    def shown(context: PageContext) -> Sequence[BaseRoute]:
        registers = services.registers
        more = mandates.routes(context, services, registers) if registers else ()
        return [*health.routes(context, services), *more]

    jobs = {KIND: basic.work, NIGHTLY: basic.nightly} if basic else {}
    return Parts(
        listeners=[Listener(KIND, basic.handle)] if basic else [],
        jobs=jobs,
        pages=shown,
    )


domain = Domain(
    name="basic",
    title={"cs": "Základní registry", "en": "Basic registers"},
    build=build,
    templates=HERE / "templates",
    locale=HERE / "locale",
    navigation=[
        NavEntry(portal, health.PATH, {"cs": "Základní registry", "en": "Basic registers"})
        for portal in ("administration", "registry")
    ]
    + [NavEntry("administration", mandates.PATH, {"cs": "Pověření", "en": "Mandates"})],
    persons=(waiting.PERSON_TABLE, *authorisations.PERSON_TABLES),
)
