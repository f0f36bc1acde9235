"""Compares quantities whose units UCUM can convert into each other."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from pater.fhir.ucum import SYSTEM, UcumError, canonical
from pater.fhir.validation.values import compare


def compare_quantities(limit: dict[str, Any], value: dict[str, Any]) -> int | None:
    """-1, 0 or 1 as `value` is less than, equal to or more than the limit; None: not comparable.

    Quantities with the same code (or none on both sides and the same unit) compare by number,
    those with UCUM codes of one dimension after conversion.
    """
    left, right = limit.get("value"), value.get("value")
    if isinstance(left, bool) or isinstance(right, bool):
        return None
    if not isinstance(left, int | float | Decimal) or not isinstance(right, int | float | Decimal):
        return None
    alike = limit.get("system") == value.get("system") and limit.get("code") == value.get("code")
    if alike and (limit.get("code") or limit.get("unit") == value.get("unit")):
        return compare(left, right)
    if limit.get("system") != SYSTEM or value.get("system") != SYSTEM:
        return None
    if left == 0 and limit.get("code") is None:
        return compare(left, right)
    try:
        low, low_unit = canonical(Decimal(str(left)), str(limit.get("code", "1")))
        high, high_unit = canonical(Decimal(str(right)), str(value.get("code", "1")))
    except UcumError:
        return None
    if low_unit != high_unit:
        return None
    return (high > low) - (high < low)
