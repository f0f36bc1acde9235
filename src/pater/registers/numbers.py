"""Who has a number that names a person wherever it is shown, and whose a Patient is."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import Final

from babel.core import get_global

from pater.registers.identifiers import (
    BIRTH_NUMBER,
    ID_CARD,
    ID_CARD_OLD,
    INSURED_NUMBER,
    PASSPORT,
    RID,
    canonical,
    check,
    tidy,
)
from pater.store.database import Database
from pater.store.read import claim_holders, leading
from pater.store.write import claim_key

LONGEST: Final = 40
"""Characters of a number that people type."""


async def holder(db: Database, system: str, value: str) -> int:
    """The person who has a national number, 0 = nobody."""
    key = claim_key("person", canonical(system), tidy(system, value))
    return (await claim_holders(db, [key])).get(key, (0, ""))[0]


async def typed(db: Database, text: str) -> list[int]:
    """Whoever has a number as somebody types it: of the register, of birth, of insurance, or of an
    identity card or a passport of any country. One look-up; [] = nobody.
    """
    if len(text) > LONGEST:
        return []
    asked = [
        (system, value)
        for system in _systems()
        if (value := tidy(system, text)) and check(system, value).ok is not False
    ]
    keys = [claim_key("person", system, value) for system, value in asked]
    held = await claim_holders(db, keys) if keys else {}
    return list(dict.fromkeys(held[key][0] for key in keys if key in held))


@cache
def _systems() -> Sequence[str]:
    """The systems of numbers that people show, Czech ones first."""
    names = get_global("territory_aliases")
    countries = sorted(code for code in names if len(code) == 3 and code.isalpha())
    own = ["CZE", *(code for code in countries if code != "CZE")]
    documents = [prefix + country for country in own for prefix in (ID_CARD, PASSPORT)]
    return (RID, BIRTH_NUMBER, INSURED_NUMBER, ID_CARD_OLD, *documents)


async def person_of(db: Database, patient: str) -> int:
    """The person of a Patient, of a merged one the person it leads to; 0 = there is none."""
    return (await leading(db, [patient])).get(patient, (0, ""))[0]
