"""Functions on the whole collections of `compile`, the straight way: bare values, no types."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

from pater.fhir.fhirpath.operators import distinct, truth


class Function(NamedTuple):
    """`fn` takes its numbers, then the items. `keeps`: the result is some of the items."""

    fn: Callable[..., list[Any]]
    result: str = "boolean"
    keeps: bool = False


def _negation(items: list[Any]) -> list[Any]:
    known = truth(items)
    return [] if known is None else [not known]


def _has_value(items: list[Any]) -> list[Any]:
    return [len(items) == 1 and not isinstance(items[0], dict | list)]


FUNCTIONS: Mapping[tuple[str, int], Function] = MappingProxyType(
    {
        ("exists", 0): Function(lambda items: [bool(items)]),
        ("empty", 0): Function(lambda items: [not items]),
        ("not", 0): Function(_negation),
        ("hasValue", 0): Function(_has_value),
        ("count", 0): Function(lambda items: [len(items)], "integer"),
        ("first", 0): Function(lambda items: items[:1], keeps=True),
        ("last", 0): Function(lambda items: items[-1:], keeps=True),
        ("tail", 0): Function(lambda items: items[1:], keeps=True),
        ("skip", 1): Function(lambda number, items: items[max(0, number) :], keeps=True),
        ("take", 1): Function(lambda number, items: items[: max(0, number)], keeps=True),
        ("distinct", 0): Function(distinct, keeps=True),
    }
)
"""(name, number of arguments) → function."""
