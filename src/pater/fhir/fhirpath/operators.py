"""The operators of `compile`, the straight way: functions over plain lists of bare values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from pater.fhir.fhirpath.moments import compare

Values = list[Any]
Operator = Callable[[Values, Values, bool], Values]
"""Left, right, whether the values are dates → the result collection."""


def truth(values: Values) -> bool | None:
    """A collection as a condition: None when empty; one non-boolean item counts as true."""
    if not values:
        return None
    return values[0] if isinstance(values[0], bool) else True


def _exact(value: Any) -> Any:
    # A float is what its shortest text says, so that 1.1 equals the literal 1.1.
    return Decimal(repr(value)) if isinstance(value, float) else value


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(_exact(left) == _exact(right))


def _equal(left: Values, right: Values, dates: bool) -> Values:
    if not left or not right:
        return []
    if len(left) != len(right):
        return [False]
    if dates and len(left) == 1:
        return _equal_dates(left[0], right[0])
    return [all(map(_same, left, right))]


def _equal_dates(left: Any, right: Any) -> Values:
    try:
        order = compare(left, right)
    except ValueError:
        return [left == right]
    return [] if order is None else [order == 0]


def _unequal(left: Values, right: Values, dates: bool) -> Values:
    return [not each for each in _equal(left, right, dates)]


def _equivalent(left: Values, right: Values, dates: bool) -> Values:
    def loose(value: Any) -> Any:
        return " ".join(value.casefold().split()) if isinstance(value, str) else value

    if dates and len(left) == len(right) == 1:
        return [_equal_dates(left[0], right[0]) == [True]]
    rest = [loose(value) for value in right]
    for value in map(loose, left):
        match = next((n for n, other in enumerate(rest) if _same(value, other)), None)
        if match is None:
            return [False]
        del rest[match]
    return [not rest]


def _ordering(accept: Callable[[Any, Any], bool]) -> Operator:
    def ordered(left: Values, right: Values, dates: bool) -> Values:
        if len(left) != 1 or len(right) != 1:
            return []
        one, two = _exact(left[0]), _exact(right[0])
        if dates:
            try:
                order = compare(one, two)
            except ValueError:
                return []
            return [] if order is None else [accept(order, 0)]
        if isinstance(one, bool) or isinstance(two, bool):
            return []
        numbers = isinstance(one, int | Decimal) and isinstance(two, int | Decimal)
        if numbers or (isinstance(one, str) and isinstance(two, str)):
            return [accept(one, two)]
        return []

    return ordered


def _and(left: Values, right: Values, _: bool) -> Values:
    one, two = truth(left), truth(right)
    if one is False or two is False:
        return [False]
    return [True] if one and two else []


def _or(left: Values, right: Values, _: bool) -> Values:
    one, two = truth(left), truth(right)
    if one or two:
        return [True]
    return [False] if one is False and two is False else []


def _xor(left: Values, right: Values, _: bool) -> Values:
    one, two = truth(left), truth(right)
    return [] if one is None or two is None else [one != two]


def _implies(left: Values, right: Values, _: bool) -> Values:
    one, two = truth(left), truth(right)
    if one is False or two:
        return [True]
    return [False] if one and two is False else []


def _in(left: Values, right: Values, _: bool) -> Values:
    return [any(_same(left[0], each) for each in right)] if len(left) == 1 else []


def _contains(left: Values, right: Values, dates: bool) -> Values:
    return _in(right, left, dates)


OPERATORS: Mapping[str, Operator] = MappingProxyType(
    {
        "=": _equal,
        "!=": _unequal,
        "~": _equivalent,
        "!~": lambda left, right, dates: [not e for e in _equivalent(left, right, dates)],
        "<": _ordering(lambda one, two: bool(one < two)),
        "<=": _ordering(lambda one, two: bool(one <= two)),
        ">": _ordering(lambda one, two: bool(one > two)),
        ">=": _ordering(lambda one, two: bool(one >= two)),
        "and": _and,
        "or": _or,
        "xor": _xor,
        "implies": _implies,
        "in": _in,
        "contains": _contains,
    }
)


def distinct(values: Values) -> Values:
    """The values without repetition, in the order they first came."""
    if len(values) < 2:
        return values
    out: Values = []
    for value in values:
        if not any(_same(value, other) for other in out):
            out.append(value)
    return out
