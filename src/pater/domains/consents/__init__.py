"""The patient's will: what is shared with whom, advance directives, access in an emergency.

A declaration is a FHIR Consent that passes the gate like any other resource; what follows from it
for whoever asks is decided in `access`. Here are the pages on which people make and end theirs,
the emergency access that goes past it with a reason, the notice that tells the patient, and the
queue in which a privacy officer reviews each of them.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from pater.domain import Domain, NavEntry, Parts, Services
from pater.domains.consents import mailing, tables
from pater.domains.consents.emergency import Desk
from pater.domains.consents.operation import operation
from pater.domains.consents.pages import routes
from pater.domains.consents.pages.notices import attending
from pater.records.gate import Statement

HERE = Path(__file__).resolve().parent


def build(services: Services) -> Parts:
    """The working parts of this domain."""
    desk = Desk(services)
    services.gate.forget("Communication", _forgotten)
    if services.attended is not None:
        services.attended.tell(desk.hear)
    return Parts(
        operations=[operation(desk)],
        jobs={mailing.KIND: mailing.letter_job(services)},
        attention=attending(services),
        pages=lambda context: routes(context, services, desk),
    )


async def _forgotten(ids: Sequence[str]) -> Sequence[Statement]:
    """What goes out with Communications that are expunged."""
    return [Statement(tables.FORGET_NOTICES, (list(ids),))]


domain = Domain(
    name="consents",
    title={"cs": "Vůle pacienta", "en": "The patient's will"},
    build=build,
    migrations=HERE / "migrations",
    templates=HERE / "templates",
    locale=HERE / "locale",
    static=HERE / "static",
    persons=tables.PERSONS,
    navigation=(
        NavEntry("patient", "/patient/will", {"cs": "Co sdílím", "en": "What I share"}),
        NavEntry("patient", "/patient/proxies", {"cs": "Zástupci", "en": "Acting for"}),
        NavEntry("patient", "/patient/notices", {"cs": "Oznámení", "en": "Notices"}),
        NavEntry("privacy", "/privacy", {"cs": "Přístupy v nouzi", "en": "Emergency accesses"}),
    ),
)
