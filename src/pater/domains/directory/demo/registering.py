"""Who registered an invented person: a practitioner, dentist and gynaecologist of their town."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from functools import lru_cache
from random import Random
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pater.domains.directory.demo.country import places
from pater.registers.identifiers import ICO
from pater.registers.people import Person
from pater.registers.surviving import REGISTERING

_SNOMED: Final = "http://snomed.info/sct"
_ADULTS, _CHILDREN, _TEETH, _WOMEN = "320", "321", "322", "323"
_CATEGORY: Final = {
    _ADULTS: "700232004", _CHILDREN: "700232004", _TEETH: "722176000", _WOMEN: "310061009",
}  # fmt: skip
"""Kind of facility → field of care in the national profile of Patient."""
_TODAY: Final = date(2026, 1, 1)
_OF_AGE: Final = 19 * 365
_WOMAN: Final = 15 * 365


class _Facility(NamedTuple):
    ico: str
    name: str


def registered(seed: int, facilities: int, person: Person) -> list[dict[str, Any]]:
    """The extensions of a Patient; the same for the same person and register of facilities.

    Nine of ten have a practitioner, three of four a dentist, four of five women a gynaecologist.
    """
    random = Random(person.number)  # noqa: S311 nothing of it is secret
    age = (_TODAY - person.born).days
    wanted = [(_ADULTS if age >= _OF_AGE else _CHILDREN, 0.9), (_TEETH, 0.75)]
    if person.sex == "f" and age >= _WOMAN:
        wanted.append((_WOMEN, 0.8))
    found = []
    for kind, share in wanted:
        has, turn = random.random() < share, random.random()
        there = _near(seed, facilities, kind, person.home.city)
        if has and there:
            found.append(_extension(kind, there[int(turn * len(there))]))
    return found


def _extension(kind: str, whom: _Facility) -> dict[str, Any]:
    coding = {"system": _SNOMED, "code": _CATEGORY[kind]}
    number = {"system": ICO, "value": whom.ico}
    return {
        "url": REGISTERING,
        "extension": [
            {"url": "value", "valueReference": {"display": whom.name, "identifier": number}},
            {"url": "category", "valueCodeableConcept": {"coding": [coding]}},
        ],
    }


def _near(seed: int, facilities: int, kind: str, town: str) -> Sequence[_Facility]:
    """Those of a town; where it has none, as in villages, those of the whole country."""
    known = _by_town(seed, facilities)
    return known.get((kind, town)) or known.get((kind, "")) or ()


@lru_cache(maxsize=1)
def _by_town(seed: int, facilities: int) -> Mapping[tuple[str, str], Sequence[_Facility]]:
    found: dict[tuple[str, str], list[_Facility]] = {}
    for place in places(seed, facilities):
        if place.kind_code in _CATEGORY:
            facility = _Facility(place.ico, place.name)
            found.setdefault((place.kind_code, place.address.city), []).append(facility)
            found.setdefault((place.kind_code, ""), []).append(facility)
    return MappingProxyType(found)
