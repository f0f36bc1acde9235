"""FHIRPath functions on whole collections that take no expression (FHIRPath N1, 5.1 to 5.4)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from pater.fhir.fhirpath.comparing import Seen, distinct
from pater.fhir.fhirpath.items import (
    EvaluationError,
    Items,
    boolean,
    children_of,
    integer_of,
    number,
    single,
    truth,
)

_MOST = 1_000_000


def _not(items: Items) -> Items:
    known = truth(items)
    return [] if known is None else boolean(not known)


def _has_value(items: Items) -> Items:
    simple = len(items) == 1 and items[0][1] is not None
    return boolean(simple and not isinstance(items[0][1], dict | list))


def _get_value(items: Items) -> Items:
    return items if _has_value(items)[0][1] else []


def _single(items: Items) -> Items:
    item = single(items, "single()")
    return [] if item is None else [item]


def _skip(items: Items, count: Items) -> Items:
    places = integer_of(count, "skip()")
    return [] if places is None else items[max(0, places) :]


def _take(items: Items, count: Items) -> Items:
    places = integer_of(count, "take()")
    return [] if places is None else items[: max(0, places)]


def union(items: Items, other: Items) -> Items:
    """Both collections without repetition."""
    return distinct(items + other)


def _intersect(items: Items, other: Items) -> Items:
    seen = Seen(other)
    return distinct([item for item in items if item in seen])


def _exclude(items: Items, other: Items) -> Items:
    seen = Seen(other)
    return [item for item in items if item not in seen]


def _subset(items: Items, other: Items) -> Items:
    seen = Seen(other)
    return boolean(all(item in seen for item in items))


def _each(wanted: bool, quantifier: Callable[..., bool]) -> Callable[[Items], Items]:
    def run(items: Items) -> Items:
        if any(not isinstance(item[1], bool) for item in items):
            raise EvaluationError("allTrue() and its kin want booleans")
        return boolean(quantifier(item[1] is wanted for item in items))

    return run


def children(items: Items) -> Items:
    """The children of all items."""
    return [child for item in items for child in children_of(item)]


def descendants(items: Items) -> Items:
    """Children, their children, and so on, level by level."""
    out: Items = []
    level = children(items)
    while level:
        out += level
        if len(out) > _MOST:
            raise EvaluationError("too many descendants")
        level = children(level)
    return out


def _is_distinct(items: Items) -> Items:
    return boolean(len(distinct(items)) == len(items))


KEEPING: frozenset[str] = frozenset(
    ("getValue", "single", "first", "last", "tail", "skip", "take", "distinct", "intersect",
     "exclude")
)  # fmt: skip
"""The functions whose result is some of the items they were given."""

TESTS: frozenset[str] = frozenset(
    ("exists", "empty", "not", "hasValue", "isDistinct", "allTrue", "anyTrue", "allFalse",
     "anyFalse", "subsetOf", "supersetOf")
)  # fmt: skip
"""The functions that answer with a boolean."""

FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Items]]] = MappingProxyType(
    {
        "exists": (0, 0, lambda items: boolean(bool(items))),
        "empty": (0, 0, lambda items: boolean(not items)),
        "not": (0, 0, _not),
        "hasValue": (0, 0, _has_value),
        "getValue": (0, 0, _get_value),
        "count": (0, 0, lambda items: number(len(items))),
        "single": (0, 0, _single),
        "first": (0, 0, lambda items: items[:1]),
        "last": (0, 0, lambda items: items[-1:]),
        "tail": (0, 0, lambda items: items[1:]),
        "skip": (1, 1, _skip),
        "take": (1, 1, _take),
        "distinct": (0, 0, distinct),
        "isDistinct": (0, 0, _is_distinct),
        "union": (1, 1, union),
        "combine": (1, 1, lambda items, other: items + other),
        "intersect": (1, 1, _intersect),
        "exclude": (1, 1, _exclude),
        "subsetOf": (1, 1, _subset),
        "supersetOf": (1, 1, lambda items, other: _subset(other, items)),
        "allTrue": (0, 0, _each(True, all)),
        "anyTrue": (0, 0, _each(True, any)),
        "allFalse": (0, 0, _each(False, all)),
        "anyFalse": (0, 0, _each(False, any)),
        "children": (0, 0, children),
        "descendants": (0, 0, descendants),
    }
)
"""Name → least and most arguments, function of the focus and the arguments."""
