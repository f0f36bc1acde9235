"""Blocking keys: what two records of one person have in common whatever one mistake was made.

Pure. Each key is specific (a name with a whole date, a name with a postcode, a number), so that
among ten million persons few share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from typing import Final

from pater.registers.matching.features import Features
from pater.registers.matching.names import sound

MOST: Final = 14
"""So many keys a person has at most; numbers come first, then the more telling names."""


def _key(kind: str, *parts: str) -> int:
    text = "\x1f".join((kind, *parts)).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


def blocking_keys(features: Features) -> tuple[int, ...]:
    """The keys of a person: signed 64-bit numbers, sorted, distinct, at most `MOST`."""
    found: dict[int, None] = {}
    for key in _keys(features):
        found[key] = None
        if len(found) == MOST:
            break
    return tuple(sorted(found))


def _keys(f: Features) -> Iterator[int]:
    for number in dict.fromkeys((f.birth_number, f.insured_number, f.rid)):
        if number:
            yield _key("n", number)
    for document in f.documents[:2]:
        yield _key("o", document)
    if f.mother and f.born:
        yield _key("m", f.mother, f.born[:4])
    families = list(dict.fromkeys(sound(s) for s in (*f.stems[:1], *f.former[:1], *f.stems[1:2])))
    given = sound(f.givens_plain[0]) if f.givens_plain else ""
    whole, year = len(f.born) == 8, f.born[:4]
    place = f.addresses[0].postcode if f.addresses else ""
    if whole:
        for name in dict.fromkeys((*families[:2], given)):
            if name:
                yield _key("d", name, f.born)
    for family in families[:1]:
        # the two names together whichever way round they came
        names = "|".join(sorted((family, given))) if given else ""
        if names and year:
            yield _key("y", names, year)
        if names and whole:
            yield _key("t", names, "".join(sorted((f.born[4:6], f.born[6:]))))
        if names and place:
            yield _key("p", names, place)
    if whole and place:
        yield _key("a", f.born, place)
    if place and year and given:
        yield _key("g", given, place, year)
    for phone in f.phones[:1]:
        yield _key("f", phone)
    for email in f.emails[:1]:
        yield _key("e", email)
