"""Equality, equivalence and order of FHIRPath items (FHIRPath N1, sections 6.1 and 6.2)."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from decimal import Decimal
from typing import Any

from pater.fhir.fhirpath import quantities
from pater.fhir.fhirpath.items import EvaluationError, Item, Items, category, exact, single
from pater.fhir.fhirpath.moments import compare

_SCALARS = frozenset(("string", "boolean", "number"))


def _same(left: Any, right: Any) -> bool:
    if isinstance(left, bool) or isinstance(right, bool):
        return left is right
    if isinstance(left, dict) and isinstance(right, dict):
        return left.keys() == right.keys() and all(_same(left[key], right[key]) for key in left)
    if isinstance(left, list) and isinstance(right, list):
        return len(left) == len(right) and all(map(_same, left, right))
    return bool(exact(left) == exact(right))


def same_item(left: Item, right: Item) -> bool | None:
    """Whether two items are equal; None when precision or units leave it open."""
    one, two = category(left[0].name), category(right[0].name)
    if one == two == "moment":
        try:
            order = compare(left[1], right[1])
        except ValueError:
            return bool(left[1] == right[1]) if _kin(left, right) else False
        return None if order is None else order == 0
    if "quantity" in (one, two):
        first, second = quantities.read(left), quantities.read(right)
        if first is None or second is None:
            return _same(left[1], right[1])
        gap = quantities.difference(first, second)
        return None if gap is None else gap == 0
    if one != two and not (one == "complex" or two == "complex"):
        return False
    return _same(left[1], right[1]) and (left[2] == right[2] if left[1] is None else True)


def _kin(left: Item, right: Item) -> bool:
    return ("ime" in left[0].name) == ("ime" in right[0].name)


def equal(left: Items, right: Items) -> bool | None:
    """`=`: None when a side is empty or it cannot be told."""
    if not left or not right:
        return None
    if len(left) != len(right):
        return False
    unsure = False
    for one, two in zip(left, right, strict=True):
        answer = same_item(one, two)
        if answer is False:
            return False
        unsure = unsure or answer is None
    return None if unsure else True


def _alike(left: Item, right: Item) -> bool:
    one, two = category(left[0].name), category(right[0].name)
    if one == two == "string" and isinstance(left[1], str) and isinstance(right[1], str):
        return " ".join(left[1].casefold().split()) == " ".join(right[1].casefold().split())
    if one == two == "number":
        first, second = Decimal(exact(left[1])), Decimal(exact(right[1]))
        digits = min(quantities.digits_of(first), quantities.digits_of(second))
        return bool(round(first, digits) == round(second, digits))
    if "quantity" in (one, two):
        amount, other = quantities.read(left), quantities.read(right)
        if amount is not None and other is not None:
            return quantities.roughly(amount, other)
    return same_item(left, right) is True


def equivalent(left: Items, right: Items) -> bool:
    """`~`: the same items in any order, texts without regard to case and space."""
    rest = list(right)
    if len(left) != len(rest):
        return False
    for item in left:
        place = next((n for n, other in enumerate(rest) if _alike(item, other)), None)
        if place is None:
            return False
        del rest[place]
    return True


def order(left: Items, right: Items) -> int | None:
    """-1, 0 or 1; None when a side is empty or precision leaves it open; unlike types: an error."""
    first, second = single(left, "a comparison"), single(right, "a comparison")
    if first is None or second is None or first[1] is None or second[1] is None:
        return None
    return order_items(first, second)


def order_items(left: Item, right: Item) -> int | None:
    """As `order`, for two items that have values."""
    one, two = category(left[0].name), category(right[0].name)
    low, high = exact(left[1]), exact(right[1])
    if one == two == "moment":
        try:
            return compare(low, high)
        except ValueError as problem:
            raise EvaluationError("a date is not comparable with a time") from problem
    if "quantity" in (one, two):
        first, second = quantities.read(left), quantities.read(right)
        if first is None or second is None:
            return None
        gap = quantities.difference(first, second)
        return None if gap is None else (gap > 0) - (gap < 0)
    if one == two and one in ("string", "number"):
        return int(low > high) - int(low < high)
    raise EvaluationError(f"{left[0].name} and {right[0].name} are not comparable")


def key_of(item: Item) -> Hashable | None:
    """What items that are equal share, for those whose equality is always certain."""
    kind = category(item[0].name)
    value = item[1]
    if value is None or kind not in _SCALARS or isinstance(value, dict | list):
        return None
    return (kind, exact(value))


class Seen:
    """The items met so far; asks in constant time where it can."""

    def __init__(self, items: Iterable[Item] = ()) -> None:
        self._keys: set[Hashable] = set()
        self._others: Items = []
        for item in items:
            self.add(item)

    def add(self, item: Item) -> None:
        """Remember an item."""
        key = key_of(item)
        if key is None:
            self._others.append(item)
        else:
            self._keys.add(key)

    def __contains__(self, item: Item) -> bool:
        key = key_of(item)
        if key is not None and key in self._keys:
            return True
        return any(same_item(item, other) is True for other in self._others)


def distinct(items: Items) -> Items:
    """The items without repetition, in the order they first came."""
    if len(items) < 2:
        return items
    seen = Seen()
    out: Items = []
    for item in items:
        if item not in seen:
            seen.add(item)
            out.append(item)
    return out
