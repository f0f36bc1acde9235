"""Whether somebody lives where an office has powers: by the region or the postcode of an address.

`regions.json` knows the fourteen Czech regions by code (NUTS 3), names and postcodes. Postcodes
follow post offices and not always borders of regions, so a region that stands in the address goes
first; what tells of no region is in no territory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any, Final

import orjson

from pater.access.actors import items
from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.fhir.labels import DOCUMENT_MASK
from pater.fhir.search.dates import date_span
from pater.fhir.search.text import normalise
from pater.store.database import Database
from pater.store.read import COLUMNS, to_stored

_FILE: Final = Path(__file__).parent / "regions.json"
_HERE: Final = frozenset({"", "cz", "cze", "ceska republika", "cesko", "czechia", "czech republic"})
_NOT_LIVING: Final = frozenset({"work", "old", "billing"})
_MOST: Final = 1_000
# Patients that came in documents say what a sender knew; the master says where somebody lives.
_MASTERS: Final = f"""
select {COLUMNS} from resource
where person = any($1::bigint[]) and type = $2 and not deleted and label & $3 = 0
limit {_MOST}
"""  # noqa: S608 constants


@dataclass(frozen=True, slots=True)
class Territory:
    """Regions by normalised names and codes; those that are Czech also by their code here."""

    names: frozenset[str]
    regions: frozenset[str]


@cache
def _by_name() -> Mapping[str, str]:
    """Normalised name or code of a Czech region -> its code."""
    return {
        normalise(name): code
        for code, region in orjson.loads(_FILE.read_bytes()).items()
        for name in (code, *region["names"])
    }


@cache
def _by_postcode() -> Mapping[str, str]:
    """Postcode, or its first three digits -> code of the region; the whole postcode goes first."""
    found: dict[str, str] = {}
    for code, region in orjson.loads(_FILE.read_bytes()).items():
        for span in region["ranges"]:
            first, _, last = span.partition("-")
            found |= {str(number): code for number in range(int(first), int(last) + 1)}
        found |= dict.fromkeys(region.get("postcodes", ()), code)
    return found


def region_of(postcode: str) -> str:
    """The code of the region of a Czech postcode; "" when it is none that is known."""
    digits = postcode.replace(" ", "").replace("\u00a0", "")
    if len(digits) != 5 or not (digits.isascii() and digits.isdigit()):
        return ""
    known = _by_postcode()
    return known.get(digits) or known.get(digits[:3], "")


def territory_of(named: Iterable[str]) -> Territory:
    """A territory as a policy names it: by codes of Czech regions, or by any names."""
    names = frozenset(normalise(each) for each in named)
    known = _by_name()
    regions = frozenset(known[each] for each in names if each in known)
    also = frozenset(name for name, code in known.items() if code in regions)
    return Territory(names | also, regions)


def lives_in(territory: Territory, patient: Mapping[str, Any], now: datetime) -> bool:
    """Whether one of a Patient's addresses where they live now is in a territory; total."""
    return patient.get("active") is not False and any(
        _is_in(territory, each) for each in items(patient.get("address")) if _holds(each, now)
    )


def _holds(address: Mapping[str, Any], now: datetime) -> bool:
    if str(address.get("use")) in _NOT_LIVING or address.get("type") == "postal":
        return False
    period = address.get("period")
    if not isinstance(period, dict):
        return True
    start, end = period.get("start"), period.get("end")
    try:
        begun = not isinstance(start, str) or date_span(start)[0] <= now
        return begun and (not isinstance(end, str) or now <= date_span(end)[1])
    except ValueError:
        return False


def _is_in(territory: Territory, address: Mapping[str, Any]) -> bool:
    state, country, postcode = (address.get(key) for key in ("state", "country", "postalCode"))
    if isinstance(state, str) and state.strip():
        return normalise(state) in territory.names
    if country is not None and (not isinstance(country, str) or normalise(country) not in _HERE):
        return False
    return isinstance(postcode, str) and region_of(postcode) in territory.regions


async def living_in(
    db: Database, territory: Territory, persons: Collection[int], now: datetime
) -> frozenset[int]:
    """Those of the persons who live there now: one statement, also for nobody."""
    rows = await db.look_up(_MASTERS, sorted(persons), TYPE_NUMBER["Patient"], DOCUMENT_MASK)
    return frozenset(
        each.person
        for each in await to_stored(db, rows)
        if lives_in(territory, parse(each.body), now)
    )
