"""The weighing of a comparison (Fellegi and Sunter 1969), and what is to be done after it.

Pure. A model is a versioned file: for each attribute and level the weight log2(m/u), how common
names are, and the thresholds. `Model.score` is called for each candidate of each question.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib.resources import files
from math import log2
from typing import Any, Final, Literal, NamedTuple

from pater.registers.matching.comparing import ATTRIBUTES, Compare, contradictions, told_apart
from pater.registers.matching.features import Features

Outcome = Literal["match", "possible", "new"]
DEFAULT: Final = "cz-2"
PRIOR: Final = "prior"
"""Name of the first part of a score: how rarely two records that are compared are one person."""


class Part(NamedTuple):
    """One step of the explanation: what an attribute adds to the weight, in bits."""

    attribute: str
    level: str
    weight: float


class Score(NamedTuple):
    """How likely two records are one person.

    `weight` is the sum of the parts (log2 of the odds), `contradictions` what forbids to take them
    for one without a human being (names of `comparing.contradictions`).
    """

    weight: float
    probability: float
    parts: tuple[Part, ...]
    contradictions: tuple[str, ...]


class Decision(NamedTuple):
    """What to do with a record, and the persons it may be, the likeliest first."""

    outcome: Outcome
    ranked: tuple[tuple[int, Score], ...]


class _Weighed(NamedTuple):
    compare: Compare
    parts: tuple[Part, ...]  # by level
    named: int  # 1: family names, 2: given names, 0: neither has a frequency


class Model:
    """The weights of one file, ready to compare."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        """`data` as in the files: name, prior, automatic, possible, margin, attributes, names."""
        self.name: str = data["name"]
        self.automatic: float = data["automatic"]
        self.possible: float = data["possible"]
        self.margin: float = data["margin"]
        self._prior = Part(PRIOR, "", data["prior"])
        self._families: Mapping[str, float] = data["names"]["family"]
        self._givens: Mapping[str, float] = data["names"]["given"]
        self._rare: tuple[float, float] = tuple(data["names"]["rare"])
        self._weighed = tuple(
            _Weighed(
                ATTRIBUTES[attribute].compare,
                _parts(attribute, weights),
                {"family": 1, "given": 2}.get(attribute, 0),
            )
            for attribute, weights in data["attributes"].items()
        )

    @staticmethod
    def load(name: str = DEFAULT) -> Model:
        """The model of a file that ships. FileNotFoundError when there is none of that name."""
        return _loaded(name)

    def score(self, a: Features, b: Features) -> Score:
        """How likely `a` and `b` are one person, and why. The same for (b, a)."""
        parts = [self._prior]
        weight = self._prior.weight
        for compare, levels, named in self._weighed:
            level = compare(a, b)
            if level < 0:
                continue
            part = levels[level]
            if named and level < 4:
                part = self._by_name(part, named, a, b)
            parts.append(part)
            weight += part.weight
        odds = 2.0 ** max(min(weight, 300.0), -300.0)
        return Score(weight, odds / (1 + odds), tuple(parts), contradictions(a, b))

    def _by_name(self, part: Part, named: int, a: Features, b: Features) -> Part:
        """Agreement on a rare name says more than on a common one; it never speaks against."""
        if named == 1:
            found, rare = self._families, self._rare[0]
            more = min(found.get(a.stems[0], rare), found.get(b.stems[0], rare))
        else:
            found, rare = self._givens, self._rare[1]
            more = min(found.get(a.givens_plain[0], rare), found.get(b.givens_plain[0], rare))
        return Part(part.attribute, part.level, max(part.weight + more, 0.0))


def _parts(attribute: str, weights: Mapping[str, float]) -> tuple[Part, ...]:
    """The levels of an attribute; one that an older file has not weighs like the next it has."""
    made: list[Part] = []
    weight = 0.0
    for level in reversed(ATTRIBUTES[attribute].levels):
        weight = float(weights.get(level, weight))
        made.append(Part(attribute, level, weight))
    return tuple(reversed(made))


@lru_cache(maxsize=8)
def _loaded(name: str) -> Model:
    path = files("pater.registers.matching") / "weights" / f"{name}.json"
    return Model(json.loads(path.read_text(encoding="utf-8")))


def decide(model: Model, asked: Features, candidates: Sequence[tuple[int, Features]]) -> Decision:
    """Which of the candidates (person, features) is asked for, if any.

    `match` only when one alone is above the automatic threshold, nothing contradicts it, the two
    are told from their relatives, and nobody else comes near; `possible` when somebody has to
    look; else `new`.
    """
    scored = [(person, model.score(asked, features)) for person, features in candidates]
    ranked = sorted(scored, key=lambda each: (-each[1].weight, each[0]))
    kept = tuple(each for each in ranked if each[1].weight >= model.possible)
    if not kept:
        return Decision("new", ())
    best = kept[0][1]
    second = kept[1][1].weight if len(kept) > 1 else float("-inf")
    certain = (
        best.weight >= model.automatic
        and not best.contradictions
        and told_apart(asked, dict(candidates)[kept[0][0]])
        and second < min(model.automatic, best.weight - model.margin)
    )
    return Decision("match" if certain else "possible", kept)


def bits(share: float) -> float:
    """What agreement on something that this share of all has is worth."""
    return -log2(share)
