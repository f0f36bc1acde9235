"""Who has a number that names a person wherever it is shown, and whose a Patient is."""

from __future__ import annotations

from pater.registers.identifiers import tidy
from pater.store.database import Database
from pater.store.read import claim_holders, leading
from pater.store.write import claim_key


async def holder(db: Database, system: str, value: str) -> int:
    """The person who has a national number, 0 = nobody."""
    key = claim_key("person", system, tidy(system, value))
    return (await claim_holders(db, [key])).get(key, (0, ""))[0]


async def person_of(db: Database, patient: str) -> int:
    """The person of a Patient, of a merged one the person it leads to; 0 = there is none."""
    return (await leading(db, [patient])).get(patient, (0, ""))[0]
