"""The keys of the rule before this one, asked as well until all entries are made anew.

Pure. Only what has changed is here: names by their sound. All other keys are what they were.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final

from pater.fhir.search.text import normalise
from pater.registers.matching.features import Features
from pater.registers.matching.keys import hashed
from pater.registers.matching.names import stem

_SOUNDS: Final = tuple(
    (re.compile(pattern), sound)
    for pattern, sound in (
        ("shch|schtsch", "s"), ("tsch|tch", "c"), ("sch", "s"), ("[kc]h", "h"), ("ph", "f"),
        ("zh", "z"), ("sh|sz", "s"), ("cz|tz|ts", "c"), ("th", "t"), ("ck", "k"), ("qu", "kv"),
        ("q", "k"), ("x", "ks"), ("w", "v"), ("[yj]", "i"), ("g", "k"), ("d", "t"), ("b", "p"),
        ("z", "s"), ("v", "f"), (r"(.)\1+", r"\1"),
    )
)  # fmt: skip


@lru_cache(maxsize=256)
def _sound(name: str) -> str:
    name = re.sub(r"[^a-z0-9]", "", name) if name.isascii() else name.replace(" ", "")
    for pattern, code in _SOUNDS:
        name = pattern.sub(code, name)
    return name[:1] + "".join(c for c in name[1:] if c not in "aeiouh")[:4]


def former_keys(features: Features) -> tuple[int, ...]:
    """Keys by which entries of rule 1 hold a name of this person, beside those of today."""
    return tuple(sorted({hashed(parts) for parts in _keys(features)}))


def _keys(f: Features) -> Iterator[tuple[str, ...]]:
    stems = [stem(normalise(each)) for each in f.families]
    families = dict.fromkeys(_sound(each) for each in (*stems[:1], *f.former[:1], *stems[1:2]))
    given = _sound(normalise(f.givens[0])) if f.givens else ""
    place = f.addresses[0].postcode if f.addresses else ""
    whole, year = len(f.born) == 8, f.born[:4]
    if whole:
        for name in dict.fromkeys((*list(families)[:2], given)):
            if name:
                yield "d", name, f.born
    for family in list(families)[:1]:
        names = "|".join(sorted((family, given))) if given else ""
        if names and year:
            yield "y", names, year
        if names and whole:
            yield "t", names, "".join(sorted((f.born[4:6], f.born[6:])))
        if names and place:
            yield "p", names, place
    if place and year and given:
        yield "g", given, place, year
