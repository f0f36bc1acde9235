"""The register of providers and professionals: its imports, questions, pages and disputes.

The register is FHIR resources of nobody, as IHE mCSD has them; `registers.providers` keeps the
tables that make questions quick.
"""

from __future__ import annotations

from pathlib import Path

from pater.domain import Domain, Listener, NavEntry, Parts, Services
from pater.domains.directory import disputes, native, pages
from pater.domains.directory.operation import operation
from pater.domains.directory.work import HERE as IMPORT_HERE
from pater.domains.directory.work import KIND, import_job
from pater.registers.providers import index

FOLDER = Path(__file__).resolve().parent
PROFILES = "https://profiles.ihe.net/ITI/mCSD/StructureDefinition/IHE.mCSD."
PROFILED = (
    "Endpoint", "HealthcareService", "Location", "Organization", "Practitioner", "PractitionerRole",
)  # fmt: skip
"""What meets its profile of mCSD; a permit need not say who gave it, which OrganizationAffiliation
has to there.
"""


def build(services: Services) -> Parts:
    """The working parts of this domain."""
    follow = index.Index(services.db)
    if services.basic is not None:
        for type_ in ("Organization", "Location"):
            services.basic.checks.keep(type_, disputes.by_register(services))
    return Parts(
        listeners=[Listener(index.NAME, follow.handle)],
        operations=[operation(services)],
        routes=native.routes(services),
        described={type_: {"supportedProfile": [PROFILES + type_]} for type_ in PROFILED},
        jobs={KIND: import_job(services)},
        pages=lambda context: pages.routes(context, services),
    )


__all__ = ["IMPORT_HERE", "domain"]

domain = Domain(
    name="directory",
    title={"cs": "Registr poskytovatelů", "en": "Register of providers"},
    build=build,
    migrations=FOLDER / "migrations",
    templates=FOLDER / "templates",
    locale=FOLDER / "locale",
    static=FOLDER / "static",
    navigation=[
        NavEntry(portal, "/directory", {"cs": "Zařízení", "en": "Facilities"})
        for portal in ("directory", "patient", "professional")
    ]
    + [
        NavEntry(
            "administration", "/directory/own", {"cs": "Údaje v registru", "en": "Register data"}
        ),
        NavEntry("registry", "/registry/providers", {"cs": "Poskytovatelé", "en": "Providers"}),
    ],
)
