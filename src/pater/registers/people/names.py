"""Names of invented persons, as often as they are borne in the country."""

from __future__ import annotations

from bisect import bisect
from functools import lru_cache
from importlib.resources import files
from itertools import accumulate
from random import Random
from typing import Any, NamedTuple

import orjson
import zstandard


class Family(NamedTuple):
    """A family name as a man and as a woman bears it."""

    man: str
    woman: str


class _Weighted:
    """A choice by weights, by one random number."""

    def __init__(self, items: list[Any], weights: list[int]) -> None:
        self._items = items
        self._sums = list(accumulate(weights))

    def pick(self, random: Random) -> Any:
        return self._items[bisect(self._sums, random.random() * self._sums[-1])]


class Names:
    """Draws names by their frequency."""

    def __init__(self, data: dict[str, Any]) -> None:
        self._decades: list[int] = data["decades"]
        rows = data["family"]
        self._families = _Weighted([Family(man, woman) for man, woman, _ in rows],
                                   [count for _, _, count in rows])  # fmt: skip
        self._givens = {
            (sex, decade): _Weighted([row[0] for row in listed], [row[1 + place] for row in listed])
            for sex, listed in data["given"].items()
            for place, decade in enumerate(self._decades)
        }
        self.counts: dict[str, dict[str, int]] = {"family": {}, "given": {}}
        for man, woman, count in rows:
            self.counts["family"][man] = self.counts["family"].get(man, 0) + count
            self.counts["family"][woman] = self.counts["family"].get(woman, 0) + count
        for listed in data["given"].values():
            for row in listed:
                self.counts["given"][row[0]] = sum(row[1:])

    def family(self, random: Random) -> Family:
        """A Czech family name."""
        family: Family = self._families.pick(random)
        return family

    def given(self, random: Random, sex: str, year: int) -> str:
        """A given name that was given in that year."""
        decade = min(max(year // 10 * 10, self._decades[0]), self._decades[-1])
        name: str = self._givens[sex, decade].pick(random)
        return name


@lru_cache(maxsize=1)
def names() -> Names:
    """The frequencies that ship."""
    packed = (files("pater.registers.people") / "names.json.zst").read_bytes()
    return Names(orjson.loads(zstandard.decompress(packed)))
