"""Estimates the weights of a model by expectation maximisation on the records to be linked.

No truth is needed (Fellegi and Sunter 1969, Winkler 1988): the pairs that share a blocking key are
a mixture of matches and others, each with its own probability of every level of every attribute.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence, Set
from math import log2
from typing import Any

from pater.registers.matching.comparing import ATTRIBUTES
from pater.registers.matching.features import Features

Levels = tuple[int, ...]
_ROUNDS = 60
_LEAST = 1e-5


def estimate(
    name: str,
    features: Sequence[Features],
    attributes: Sequence[str],
    pairs: Set[tuple[int, int]],
) -> dict[str, Any]:
    """The data of a model for these attributes; weights and prior fit the given pairs."""
    compares = [ATTRIBUTES[each].compare for each in attributes]
    patterns = Counter(
        tuple(compare(features[a], features[b]) for compare in compares) for a, b in pairs
    )
    counts = [len(ATTRIBUTES[each].levels) for each in attributes]
    m, u, share = _maximised(patterns, counts)
    return {
        "name": name,
        "prior": log2(share / (1 - share)),
        "automatic": 10.0,
        "possible": 0.0,
        "margin": 10.0,
        "attributes": {
            attribute: {
                level: log2(m[at][n] / u[at][n])
                for n, level in enumerate(ATTRIBUTES[attribute].levels)
            }
            for at, attribute in enumerate(attributes)
        },
        "names": {"rare": [0.0, 0.0], "family": {}, "given": {}},
    }


def _maximised(
    patterns: Mapping[Levels, int], counts: Sequence[int]
) -> tuple[list[list[float]], list[list[float]], float]:
    """m and u by attribute and level, and the share of matches among the pairs."""
    m = [[0.9 if n == 0 else 0.1 / (count - 1) for n in range(count)] for count in counts]
    u = _shares(patterns, counts)
    share, total = 0.2, sum(patterns.values())
    for _ in range(_ROUNDS):
        sums_m = [[_LEAST * total] * count for count in counts]
        sums_u = [[_LEAST * total] * count for count in counts]
        matches = 0.0
        for levels, number in patterns.items():
            yes, no = share, 1 - share
            for at, level in enumerate(levels):
                if level >= 0:
                    yes *= m[at][level]
                    no *= u[at][level]
            belief = yes / (yes + no) * number
            matches += belief
            for at, level in enumerate(levels):
                if level >= 0:
                    sums_m[at][level] += belief
                    sums_u[at][level] += number - belief
        m = [[each / sum(row) for each in row] for row in sums_m]
        u = [[each / sum(row) for each in row] for row in sums_u]
        share = min(max(matches / total, 1e-6), 1 - 1e-6)
    return m, u, share


def _shares(patterns: Mapping[Levels, int], counts: Sequence[int]) -> list[list[float]]:
    """How often each level comes among all pairs, most of which are no matches."""
    sums = [[1.0] * count for count in counts]
    for levels, number in patterns.items():
        for at, level in enumerate(levels):
            if level >= 0:
                sums[at][level] += number
    return [[each / sum(row) for each in row] for row in sums]
