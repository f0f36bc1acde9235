"""Blocking keys: what two records of one person have in common whatever one mistake was made.

Pure. Each key is specific (a name with a whole date, a name with a postcode, a number), so that
among ten million persons few share one.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from types import MappingProxyType
from typing import Final

from pater.registers.matching.features import Features
from pater.registers.matching.names import sound

MOST: Final = 14
"""So many keys a person has at most; numbers come first, then the more telling names."""


KINDS: Final = MappingProxyType(
    {
        "n": "a number: birth number, insured number",
        "o": "a document or another identifier",
        "m": "the mother's number and the year of birth",
        "d": "a name and the date of birth",
        "y": "both names and the year of birth",
        "t": "both names, day and month of birth either way round",
        "p": "both names and the postcode",
        "a": "the date of birth and the postcode",
        "g": "the given name, the year of birth and the postcode",
        "f": "the telephone",
        "e": "the e-mail address",
    }
)
"""What a key is made of, by its kind."""


def hashed(parts: tuple[str, ...]) -> int:
    """The key of its kind and parts: the last 32 bits of a hash of 64, as the database keeps it."""
    text = "\x1f".join(parts).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest()[4:], "big", signed=True)


def kinds(features: Features) -> dict[int, str]:
    """The keys of a person, each with its kind; at most `MOST`."""
    found: dict[int, str] = {}
    for parts in _keys(features):
        found.setdefault(hashed(parts), parts[0])
        if len(found) == MOST:
            break
    return found


def blocking_keys(features: Features) -> tuple[int, ...]:
    """The keys of a person: signed 32-bit numbers, sorted, distinct, at most `MOST`."""
    return tuple(sorted(kinds(features)))


def _keys(f: Features) -> Iterator[tuple[str, ...]]:
    """Kind and parts of each key, the more telling first."""
    # a RID is not among them: who bears one is found by its claim, and nobody else bears it
    for number in dict.fromkeys((f.birth_number, f.insured_number)):
        if number:
            yield ("n", number)
    for document in f.documents[:2]:
        yield ("o", document)
    if f.mother and f.born:
        yield ("m", f.mother, f.born[:4])
    families = list(dict.fromkeys(sound(s) for s in (*f.stems[:1], *f.former[:1], *f.stems[1:2])))
    given = sound(f.givens_plain[0]) if f.givens_plain else ""
    whole, year = len(f.born) == 8, f.born[:4]
    place = f.addresses[0].postcode if f.addresses else ""
    if whole:
        for name in dict.fromkeys((*families[:2], given)):
            if name:
                yield ("d", name, f.born)
    for family in families[:1]:
        # the two names together whichever way round they came
        names = "|".join(sorted((family, given))) if given else ""
        if names and year:
            yield ("y", names, year)
        if names and whole:
            yield ("t", names, "".join(sorted((f.born[4:6], f.born[6:]))))
        if names and place:
            yield ("p", names, place)
    if whole and place:
        yield ("a", f.born, place)
    if place and year and given:
        yield ("g", given, place, year)
    for phone in f.phones[:1]:
        yield ("f", phone)
    for email in f.emails[:1]:
        yield ("e", email)
