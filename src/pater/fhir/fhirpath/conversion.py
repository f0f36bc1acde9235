"""FHIRPath conversions between types, and the boundaries of what a precision leaves open."""

from __future__ import annotations

import calendar
import re
from collections.abc import Callable, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal
from types import MappingProxyType
from typing import Any

from pater.fhir.fhirpath import quantities
from pater.fhir.fhirpath.items import (
    S_DATE,
    S_DATE_TIME,
    S_TIME,
    Item,
    Items,
    Quantity,
    boolean,
    category,
    exact,
    integer_of,
    moment,
    number,
    quantity,
    single,
    string,
)

_INTEGER = re.compile(r"[+-]?\d{1,18}", re.ASCII)
_DECIMAL = re.compile(r"[+-]?\d{1,40}(?:\.\d{1,40})?", re.ASCII)
_DATE = re.compile(r"\d{4}(?:-\d\d(?:-\d\d)?)?", re.ASCII)
_DATE_TIME = re.compile(
    r"(\d{4}(?:-\d\d(?:-\d\d)?)?)"
    r"(?:T(?:\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)?(?:Z|[+-]\d\d:\d\d)?)?",
    re.ASCII,
)
_TIME = re.compile(r"T?(\d\d(?::\d\d(?::\d\d(?:\.\d+)?)?)?)", re.ASCII)
_QUANTITY = re.compile(r"([+-]?\d+(?:\.\d+)?)\s*(?:'([^']+)'|([a-zA-Z]+))?", re.ASCII)
_TRUE = frozenset(("true", "t", "yes", "y", "1", "1.0"))
_FALSE = frozenset(("false", "f", "no", "n", "0", "0.0"))


def _integer(value: Any) -> Items:
    if isinstance(value, bool):
        return number(int(value))
    if isinstance(value, int):
        return number(value)
    return number(int(value)) if isinstance(value, str) and _INTEGER.fullmatch(value) else []


def _decimal(value: Any) -> Items:
    if isinstance(value, bool | int | Decimal):
        return number(Decimal(value))
    return number(Decimal(value)) if isinstance(value, str) and _DECIMAL.fullmatch(value) else []


def _boolean(value: Any) -> Items:
    if isinstance(value, bool):
        return boolean(value)
    if isinstance(value, int | Decimal):
        return boolean(bool(value)) if value in (0, 1) else []
    word = value.lower() if isinstance(value, str) else ""
    return boolean(word in _TRUE) if word in _TRUE or word in _FALSE else []


def _quantity(value: Any) -> Items:
    if isinstance(value, Quantity):
        return quantity(*value)
    if isinstance(value, dict):
        return []
    if isinstance(value, bool | int | Decimal):
        return quantity(Decimal(value), "1")
    match = _QUANTITY.fullmatch(value) if isinstance(value, str) else None
    if match is None or (match[3] and match[3] not in quantities.CALENDAR_UNITS):
        return []
    return quantity(Decimal(match[1]), match[2] or match[3] or "1")


def _string(value: Any) -> Items:
    if isinstance(value, dict | list):
        return []
    return string(shown(value))


def shown(value: Any) -> str:
    """A System value as text (FHIRPath N1, toString)."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Quantity):
        quote = "" if value.unit in quantities.CALENDAR_UNITS else "'"
        return f"{shown(value.value)} {quote}{value.unit}{quote}"
    if isinstance(value, Decimal):
        return f"{value:f}"
    return str(value)


def _date(value: Any) -> Items:
    match = _DATE_TIME.fullmatch(value) if isinstance(value, str) else None
    return [] if match is None else moment(match[1], S_DATE)


def _date_time(value: Any) -> Items:
    if isinstance(value, str) and _DATE_TIME.fullmatch(value):
        return moment(value, S_DATE_TIME)
    return []


def _time(value: Any) -> Items:
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    return [] if match is None else moment(match[1], S_TIME)


def _to(work: Callable[[Any], Items]) -> Callable[..., Items]:
    def run(items: Items, _unit: Items | None = None) -> Items:
        item = single(items, "a conversion")
        return [] if item is None or item[1] is None else _converted(work, item)

    return run


def _converted(work: Callable[[Any], Items], item: Item) -> Items:
    if work is _quantity and isinstance(item[1], dict):
        found = quantities.read(item) if category(item[0].name) == "quantity" else None
        return [] if found is None else quantity(*found)
    return work(exact(item[1]))


def _converts(work: Callable[[Any], Items]) -> Callable[..., Items]:
    convert = _to(work)

    def run(items: Items, _unit: Items | None = None) -> Items:
        return boolean(bool(convert(items))) if items else []

    return run


# --- boundaries and precision -------------------------------------------------------------------

_MOST_DIGITS = 31
_WIDTHS = MappingProxyType({4: 4, 6: 7, 8: 10, 10: 13, 12: 16, 14: 19, 17: 23})
_TIME_WIDTHS = MappingProxyType({2: 2, 4: 5, 6: 8, 9: 12})


def _boundary(high: bool) -> Callable[..., Items]:
    def run(items: Items, precision: Items | None = None) -> Items:
        item = single(items, "a boundary")
        if item is None or item[1] is None:
            return []
        digits = None if precision is None else integer_of(precision, "a boundary")
        kind = category(item[0].name)
        if kind == "number":
            found = _edge(Decimal(exact(item[1])), digits, high)
            return [] if found is None else number(found)
        if kind == "quantity":
            measured = quantities.read(item)
            found = None if measured is None else _edge(measured.value, digits, high)
            return [] if found is None or measured is None else quantity(found, measured.unit)
        if kind == "moment":
            return _edge_of_time(item, digits, high)
        return []

    return run


def _edge(value: Decimal, digits: int | None, high: bool) -> Decimal | None:
    places = 8 if digits is None else digits
    power = value.as_tuple().exponent
    if not 0 <= places <= _MOST_DIGITS or not isinstance(power, int):
        return None
    half = Decimal(5).scaleb(min(power, 0) - 1)
    moved = value + half if high else value - half
    mode = ROUND_CEILING if high else ROUND_FLOOR
    try:
        return moved.quantize(Decimal(1).scaleb(-places), rounding=mode)
    except ArithmeticError:
        return None


def _edge_of_time(item: Item, digits: int | None, high: bool) -> Items:
    text: str = item[1]
    if item[0].name in ("time", "System.Time"):
        width = _TIME_WIDTHS.get(9 if digits is None else digits)
        full = text + ("23:59:59.999" if high else "00:00:00.000")[len(text) :]
        return [] if width is None else moment(full[:width], S_TIME)
    dated = item[0].name in ("date", "System.Date")
    width = _WIDTHS.get((8 if dated else 17) if digits is None else digits)
    match = re.fullmatch(r"([0-9T:.\-]*?)(Z|[+-]\d\d:\d\d)?", text) if width else None
    if match is None or width is None:
        return []
    head = match[1].removesuffix("T")
    if "T" not in head:
        head, zone = text.removesuffix("T"), ""
    else:
        zone = match[2] or ""
    if len(head) < 7:
        head = head[:4] + ("-12" if high else "-01")
    if len(head) < 10:
        try:
            last = calendar.monthrange(int(head[:4]), int(head[5:7]))[1]
        except ValueError:
            return []
        head += f"-{last}" if high else "-01"
    head += ("T23:59:59.999" if high else "T00:00:00.000")[len(head) - 10 :]
    if width <= 10:
        return moment(head[:width], S_DATE if dated else S_DATE_TIME)
    return moment(head[:width] + (zone or ("-12:00" if high else "+14:00")), S_DATE_TIME)


def _precision(items: Items) -> Items:
    item = single(items, "precision()")
    if item is None or item[1] is None:
        return []
    if category(item[0].name) == "moment":
        head = re.sub(r"(T.*)(Z|[+-]\d\d:\d\d)$", r"\1", item[1])
        return number(sum(each.isdigit() for each in head))
    value = exact(item[1])
    if isinstance(value, bool) or not isinstance(value, int | Decimal):
        return []
    power = Decimal(value).as_tuple().exponent
    return number(max(0, -power) if isinstance(power, int) else 0)


def _comparable(items: Items, other: Items) -> Items:
    left, right = single(items, "comparable()"), single(other, "comparable()")
    if left is None or right is None:
        return []
    one, two = quantities.read(left), quantities.read(right)
    return boolean(one is not None and two is not None and quantities.comparable(one, two))


_CONVERSIONS: Mapping[str, Callable[[Any], Items]] = MappingProxyType(
    {
        "Boolean": _boolean, "Integer": _integer, "Decimal": _decimal, "String": _string,
        "Date": _date, "DateTime": _date_time, "Time": _time, "Quantity": _quantity,
    }
)  # fmt: skip
FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Items]]] = MappingProxyType(
    {
        **{f"to{name}": (0, 1, _to(work)) for name, work in _CONVERSIONS.items()},
        **{f"convertsTo{name}": (0, 1, _converts(work)) for name, work in _CONVERSIONS.items()},
        "lowBoundary": (0, 1, _boundary(False)),
        "highBoundary": (0, 1, _boundary(True)),
        "precision": (0, 0, _precision),
        "comparable": (1, 1, _comparable),
    }
)
"""Name → least and most arguments, function of the focus and the arguments."""
