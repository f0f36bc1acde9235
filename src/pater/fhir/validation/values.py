"""Fixed values, patterns, limits: plain comparisons of JSON values as profiles ask for them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any


def same(wanted: Any, value: Any) -> bool:
    """Whether a value is exactly the wanted one (fixed[x]); numbers by value."""
    if isinstance(wanted, dict):
        return (
            isinstance(value, dict)
            and wanted.keys() == value.keys()
            and all(same(each, value[key]) for key, each in wanted.items())
        )
    if isinstance(wanted, list):
        return (
            isinstance(value, list) and len(wanted) == len(value) and all(map(same, wanted, value))
        )
    return _equal(wanted, value)


def fits(pattern: Any, value: Any) -> bool:
    """Whether a value holds at least what a pattern holds (pattern[x])."""
    if isinstance(pattern, dict):
        return isinstance(value, dict) and all(
            key in value and fits(each, value[key]) for key, each in pattern.items()
        )
    if isinstance(pattern, list):
        return isinstance(value, list) and all(
            any(fits(each, one) for one in value) for each in pattern
        )
    return _equal(pattern, value)


def _equal(wanted: Any, value: Any) -> bool:
    if isinstance(wanted, bool) or isinstance(value, bool):
        return wanted is value
    if isinstance(wanted, int | float | Decimal) and isinstance(value, int | float | Decimal):
        return Decimal(str(wanted)) == Decimal(str(value))
    return bool(wanted == value)


def difference(wanted: Any, value: Any, path: str = "") -> str:
    """Where a value first differs from the wanted one, as a path below it ("" = the whole)."""
    if isinstance(wanted, dict) and isinstance(value, dict):
        for key, each in wanted.items():
            if key not in value:
                return f"{path}.{key}"
            if not fits(each, value[key]):
                return difference(each, value[key], f"{path}.{key}")
    return path


def shown(value: Any) -> str:
    """A definition's value in a message: short, one line."""
    text = value if isinstance(value, str) else _plain(value)
    return text if len(text) <= 120 else text[:117] + "…"


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key} {_plain(each)}" for key, each in value.items())
    if isinstance(value, list):
        return "[" + "; ".join(map(_plain, value)) + "]"
    return str(value)


def compare(low: Any, value: Any) -> int | None:
    """-1, 0 or 1 as `value` is less than, equal to or more than `low`; None: not comparable.

    Numbers by value; dates and times as far as both are precise.
    """
    if isinstance(low, bool) or isinstance(value, bool):
        return None
    if isinstance(low, int | float | Decimal) and isinstance(value, int | float | Decimal):
        left, right = Decimal(str(value)), Decimal(str(low))
        return (left > right) - (left < right)
    if isinstance(low, str) and isinstance(value, str):
        size = min(len(low), len(value))
        left_text, right_text = value[:size], low[:size]
        if left_text == right_text and len(low) != len(value):
            return None
        return (left_text > right_text) - (left_text < right_text)
    return None
