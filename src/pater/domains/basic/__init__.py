"""The links to the basic registers of the state: their work, and the page that shows their health.

What is asked and what becomes of it is in `pater.registers.basic`.
"""

from __future__ import annotations

from pathlib import Path

from pater.domain import Domain, Listener, NavEntry, Parts, Services
from pater.domains.basic import health
from pater.registers.basic import authorisations, waiting
from pater.registers.basic.room import KIND

HERE = Path(__file__).resolve().parent


def build(services: Services) -> Parts:
    """The working parts of this domain; the page is there without links, too, and says so."""
    basic = services.basic
    return Parts(
        listeners=[Listener(KIND, basic.handle)] if basic else [],
        jobs={KIND: basic.work} if basic else {},
        pages=lambda context: health.routes(context, services),
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
    ],
    persons=(waiting.PERSON_TABLE, *authorisations.PERSON_TABLES),
)
