"""Makes the tables of the register of providers anew from all its resources, type by type."""

from __future__ import annotations

from typing import Final

from pater.fhir.definitions import TYPE_NUMBER
from pater.registers.providers.index import Index
from pater.store.database import Database

_STEP: Final = 500
_NEXT: Final = """
select id from resource
where type = $1 and person = 0 and not deleted and id > $2 order by id limit $3
"""


async def rebuild(db: Database) -> int:
    """Gives how many resources were read. What is written meanwhile the listener brings."""
    index = Index(db)
    done = 0
    for type_ in ("Organization", "Location", "HealthcareService", "PractitionerRole"):
        last = ""
        while ids := [row["id"] for row in await db.fetch(_NEXT, TYPE_NUMBER[type_], last, _STEP)]:
            await index.follow((type_, id_) for id_ in ids)
            last = ids[-1]
            done += len(ids)
    return done
