"""The register of persons seen from outside: its operations, interfaces and registrars' pages.

Who is who is decided in `pater.registers`; here are the ways in which systems and registrars ask
and tell it.
"""

from __future__ import annotations

from pathlib import Path

from pater.domain import Domain, NavEntry, Parts, Services
from pater.domains.persons import files, hl7, maiden, match
from pater.domains.persons.authorities import Authorities
from pater.domains.persons.feed import Feed, alone
from pater.domains.persons.krp import many, native
from pater.domains.persons.krp.bulk import KIND as BULK
from pater.domains.persons.krp.bulk import Bulk
from pater.domains.persons.krp.operations import operations
from pater.domains.persons.krp.questions import Questions
from pater.domains.persons.looking import PatientSearch
from pater.domains.persons.pages import routes
from pater.domains.persons.pix import CrossReference
from pater.registers.renumbering import Renumbering
from pater.rest.native import under

PIXM_PATIENT = "https://profiles.ihe.net/ITI/PIXm/StructureDefinition/IHE.PIXm.Patient"
PDQM_PATIENT = "https://profiles.ihe.net/ITI/PDQm/StructureDefinition/IHE.PDQm.Patient"
HERE = Path(__file__).resolve().parent


def build(services: Services) -> Parts:
    """The working parts of this domain."""
    registers = services.registers
    if registers is None:
        return Parts()
    gate, db, url = services.gate, services.db, services.base_url
    authorities = Authorities(db)
    gate.keep("NamingSystem", authorities.keep, after=True)
    renumbering = Renumbering(gate, db, registers.index, registers.merging)
    feed = Feed(gate, db, url, registers.registration, renumbering, authorities)
    crossing = CrossReference(gate, db, url, registers.registration, authorities)
    looking = PatientSearch(db, registers.registration, authorities, services.clock)
    questions = Questions(services, registers, feed)
    bulk = Bulk(services, registers)
    messages = hl7.parts(services, registers)
    return Parts(
        operations=[
            match.operation(services, registers),
            crossing.operation(),
            *operations(services, questions),
            *many.operations(services, bulk),
        ],
        routes=under("/krp", [*bulk.routes(), *native.routes(services, questions)]),
        jobs={BULK: bulk.work},
        creates={"Patient": feed.create},
        queried={"Patient": feed.queried},
        looking={"Patient": looking.look},
        alone={"Patient": alone},
        pages=lambda context: routes(context, services, registers),
        ports=messages.ports,
        tasks=[*messages.tasks, *files.parts(services).tasks, maiden.task(services)],
        described={"Patient": {"supportedProfile": [PIXM_PATIENT, PDQM_PATIENT]}},
    )


domain = Domain(
    name="persons",
    title={"cs": "Registr pacientů", "en": "Register of patients"},
    build=build,
    migrations=HERE / "migrations",
    templates=HERE / "templates",
    locale=HERE / "locale",
    static=HERE / "static",
    navigation=(
        NavEntry("registry", "/registry", {"cs": "Najít osobu", "en": "Find a person"}),
        NavEntry("registry", "/registry/cases", {"cs": "Případy", "en": "Cases"}),
        NavEntry("registry", "/registry/disputes", {"cs": "Zpochybněné", "en": "Disputed"}),
        NavEntry("registry", "/registry/statistics", {"cs": "Kvalita", "en": "Quality"}),
        NavEntry("patient", "/patient/register", {"cs": "Registr", "en": "Register"}),
    ),
)
