"""How good a linkage is: pairwise precision, recall and F1; B-cubed of the clusters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

Pair = tuple[int, int]


@dataclass(frozen=True)
class Quality:
    """Shares, 0 to 1; `threshold` in the linker's own unit."""

    precision: float
    recall: float
    f1: float
    threshold: float = 0.0


def pairwise(found: set[Pair], true: set[Pair], threshold: float = 0.0) -> Quality:
    """Of the pairs found, and of the true ones."""
    right = len(found & true)
    return _quality(right, len(found), len(true), threshold)


def _quality(right: int, found: int, true: int, threshold: float) -> Quality:
    precision, recall = right / found if found else 1.0, right / true if true else 1.0
    both = precision + recall
    return Quality(precision, recall, 2 * precision * recall / both if both else 0.0, threshold)


def best(scores: Mapping[Pair, float], true: set[Pair]) -> Quality:
    """The best F1 that any one threshold gives."""
    ordered = sorted(scores.items(), key=lambda each: -each[1])
    top, right = Quality(1.0, 0.0, 0.0), 0
    for count, (pair, score) in enumerate(ordered, 1):
        right += pair in true
        last = count == len(ordered) or ordered[count][1] < score
        if last:
            now = _quality(right, count, len(true), score)
            top = now if now.f1 > top.f1 else top
    return top


def clusters(pairs: Iterable[Pair], count: int) -> list[int]:
    """Connected components: the cluster of each of `count` records."""
    parent = list(range(count))

    def root(one: int) -> int:
        while parent[one] != one:
            parent[one] = parent[parent[one]]
            one = parent[one]
        return one

    for one, other in pairs:
        parent[root(one)] = root(other)
    return [root(one) for one in range(count)]


def b_cubed(found: list[int], who: list[str]) -> Quality:
    """B-cubed: for each record, how much of its cluster is its person, and the other way round."""
    sizes, persons = Counter(found), Counter(who)
    both = Counter(zip(found, who, strict=True))
    count = len(who)
    precision = sum(n * n / sizes[c] for (c, _), n in both.items()) / count
    recall = sum(n * n / persons[p] for (_, p), n in both.items()) / count
    return Quality(precision, recall, 2 * precision * recall / (precision + recall))
