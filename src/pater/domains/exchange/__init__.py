"""Exchange of health documents: intake from providers, reading by professionals and patients.

What arrives is checked, tied to one person, stored byte by byte and split into resources; the
professional portal finds and shows it, the patient portal shows it with everybody who looked.
"""

from __future__ import annotations

from functools import partial
from pathlib import Path

from pater.domain import Domain, Listener, NavEntry, Parts, Services
from pater.domains.exchange.checking import document_issues
from pater.domains.exchange.expunging import expunged
from pater.domains.exchange.intake import Intake
from pater.domains.exchange.listeners import arrivals
from pater.domains.exchange.pages import routes
from pater.domains.exchange.seal_operation import seal_operation
from pater.domains.exchange.sealing import Seals
from pater.domains.exchange.tables import PERSONS
from pater.registers.patients import PatientRegister

HERE = Path(__file__).resolve().parent


def build(services: Services) -> Parts:
    """The working parts of this domain."""
    register = (
        services.registers.patients
        if services.registers
        else PatientRegister(
            services.db,
            next_person=services.next_person,
            random=services.random,
            clock=services.clock,
            new_id=services.new_id,
        )
    )
    intake = Intake(services, register, services.clock)
    services.gate.forget("Bundle", partial(expunged, services))
    seals = Seals(services, services.seals) if services.seals else None
    if seals:
        services.gate.guard("Bundle", seals.check)
    return Parts(
        creates={"Bundle": intake.create},
        checks={"Bundle": partial(document_issues, strict=services.strict_identifiers)},
        listeners=[
            Listener("exchange.arrivals", arrivals(services)),
            *([Listener("exchange.seals", seals.arrived)] if seals else []),
        ],
        operations=[seal_operation(services, services.seals)] if services.seals else [],
        tasks=[seals.renew] if seals else [],
        pages=lambda context: routes(context, services),
    )


domain = Domain(
    name="exchange",
    title={"cs": "Výměna dokumentace", "en": "Exchange of health documents"},
    build=build,
    migrations=HERE / "migrations",
    templates=HERE / "templates",
    locale=HERE / "locale",
    static=HERE / "static",
    persons=PERSONS,
    navigation=(
        NavEntry("patient", "/patient", {"cs": "Moje záznamy", "en": "My records"}),
        NavEntry("patient", "/patient/access", {"cs": "Kdo nahlížel", "en": "Who looked"}),
        NavEntry("proxy", "/patient", {"cs": "Záznamy", "en": "Records"}),
        NavEntry("privacy", "/privacy/disputes", {"cs": "Zpochybněné přístupy", "en": "Disputes"}),
        NavEntry("professional", "/professional", {"cs": "Najít pacienta", "en": "Find a patient"}),
        NavEntry(
            "professional",
            "/professional/arrivals",
            {"cs": "Odeslané dokumenty", "en": "Sent documents"},
        ),
    ),
)
