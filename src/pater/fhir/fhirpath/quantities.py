"""Quantities of FHIRPath: units by UCUM (R4 section 4.3.13 uses it), compared and multiplied."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from types import MappingProxyType
from typing import Any, NamedTuple

from pater.fhir.fhirpath.items import Item, Quantity, exact

_D = Decimal
_PREFIX = MappingProxyType(
    {
        "Y": _D("1e24"), "Z": _D("1e21"), "E": _D("1e18"), "P": _D("1e15"), "T": _D("1e12"),
        "G": _D("1e9"), "M": _D("1e6"), "k": _D("1e3"), "h": _D("1e2"), "da": _D("1e1"),
        "d": _D("1e-1"), "c": _D("1e-2"), "m": _D("1e-3"), "u": _D("1e-6"), "n": _D("1e-9"),
        "p": _D("1e-12"), "f": _D("1e-15"), "a": _D("1e-18"), "z": _D("1e-21"), "y": _D("1e-24"),
    }
)  # fmt: skip
# Atoms that take a metric prefix, in units of m, s, g, rad, K, C, cd (UCUM tables 1 to 9).
_METRIC = MappingProxyType(
    {
        "m": "1 m", "s": "1 s", "g": "1 g", "rad": "1 rad", "K": "1 K", "C": "1 C", "cd": "1 cd",
        "mol": "6.0221367e23", "sr": "1 rad2", "Hz": "1 s-1", "N": "1000 g.m.s-2",
        "Pa": "1000 g.m-1.s-2", "J": "1000 g.m2.s-2", "W": "1000 g.m2.s-3", "A": "1 C.s-1",
        "V": "1000 g.m2.s-2.C-1", "F": "0.001 C2.g-1.m-2.s2", "Ohm": "1000 g.m2.s-1.C-2",
        "S": "0.001 g-1.m-2.s.C2", "Bq": "1 s-1", "Gy": "1 m2.s-2", "Sv": "1 m2.s-2",
        "l": "0.001 m3", "L": "0.001 m3", "t": "1000000 g", "bar": "100000000 g.m-1.s-2",
        "eq": "6.0221367e23", "osm": "6.0221367e23", "kat": "6.0221367e23 s-1",
        "U": "10036894500000000 s-1", "cal": "4184 g.m2.s-2", "m[Hg]": "133322000 g.m-1.s-2",
        "m[H2O]": "9806650 g.m-1.s-2", "[iU]": "1 iU", "[IU]": "1 iU",
    }
)  # fmt: skip
_PLAIN = MappingProxyType(
    {
        "min": "60 s", "h": "3600 s", "d": "86400 s", "wk": "604800 s", "a": "31557600 s",
        "mo": "2629800 s", "%": "0.01", "[ppth]": "0.001", "[ppm]": "1e-6", "10*": "10",
        "10^": "10", "[pi]": "3.1415926535897932384626433", "deg": "0.017453292519943295 rad",
        "[in_i]": "0.0254 m", "[ft_i]": "0.3048 m", "[yd_i]": "0.9144 m", "[mi_i]": "1609.344 m",
        "[lb_av]": "453.59237 g", "[oz_av]": "28.349523125 g", "[stone_av]": "6350.29318 g",
        "[gr]": "0.06479891 g", "[gal_us]": "0.003785411784 m3", "[pt_us]": "0.000473176473 m3",
        "[foz_us]": "0.0000295735295625 m3", "[degRe]": "1.25 K", "[drp]": "5e-8 m3",
    }
)  # fmt: skip
_CALENDAR = MappingProxyType(
    {
        "year": "a", "month": "mo", "week": "wk", "day": "d", "hour": "h", "minute": "min",
        "second": "s", "millisecond": "ms",
    }
)  # fmt: skip
CALENDAR_UNITS = frozenset((*_CALENDAR, *(f"{word}s" for word in _CALENDAR)))
"""The words of calendar durations, in both numbers."""
_FACTOR = re.compile(r"(10[*^]|\D+?)([+-]?\d+)?", re.ASCII)


class Unit(NamedTuple):
    """A unit as a factor and the powers of base units, in alphabetical order."""

    factor: Decimal
    powers: tuple[tuple[str, int], ...]


def calendar_code(unit: str) -> str:
    """The UCUM code of a calendar word (`days` → `d`); any other unit as it is."""
    return _CALENDAR.get(unit.removesuffix("s") if unit in CALENDAR_UNITS else unit, unit)


@lru_cache(maxsize=1024)
def unit(code: str) -> Unit | None:
    """What a UCUM code means; None when it is not known here."""
    factor, powers = _D(1), dict[str, int]()
    sign = 1
    for part in re.split(r"([./])", re.sub(r"\{[^}]*\}", "", calendar_code(code))):
        if part == "/":
            sign = -1
        elif part == ".":
            sign = 1
        elif part and part != "1":
            found = _component(part)
            if found is None:
                return None
            factor *= found.factor**sign
            for name, power in found.powers:
                powers[name] = powers.get(name, 0) + sign * power
    return Unit(factor, tuple(sorted((name, power) for name, power in powers.items() if power)))


def _component(text: str) -> Unit | None:
    if text.isdecimal():
        return Unit(_D(text), ())
    match = _FACTOR.fullmatch(text)
    if match is None:
        return None
    power = int(match[2] or 1)
    atom = _atom(match[1]) if abs(power) < 30 else None
    if atom is None:
        return None
    return Unit(atom.factor**power, tuple((name, each * power) for name, each in atom.powers))


def _atom(name: str) -> Unit | None:
    text = _PLAIN.get(name) or _METRIC.get(name)
    if text is not None:
        return _defined(text)
    for length in (1, 2):
        scale, rest = _PREFIX.get(name[:length]), _METRIC.get(name[length:])
        if scale is not None and rest is not None:
            base = _defined(rest)
            return Unit(base.factor * scale, base.powers)
    return None


def _defined(text: str) -> Unit:
    factor, _, rest = text.partition(" ")
    powers = []
    for part in rest.split(".") if rest else ():
        match = re.fullmatch(r"([A-Za-z]+)(-?\d+)?", part)
        if match is not None:
            powers.append((match[1], int(match[2] or 1)))
    return Unit(_D(factor), tuple(powers))


def read(item: Item) -> Quantity | None:
    """A System.Quantity of a FHIR or System quantity or a plain number; None without a value."""
    value: Any = item[1]
    if isinstance(value, Quantity):
        return value
    if isinstance(value, dict):
        amount = exact(value.get("value"))
        if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
            return None
        return Quantity(_D(amount), str(value.get("code") or value.get("unit") or "1"))
    amount = exact(value)
    if isinstance(amount, bool) or not isinstance(amount, int | Decimal):
        return None
    return Quantity(_D(amount), "1")


def comparable(left: Quantity, right: Quantity) -> bool:
    """Whether the units of both measure the same."""
    if calendar_code(left.unit) == calendar_code(right.unit):
        return True
    one, two = unit(left.unit), unit(right.unit)
    return one is not None and two is not None and one.powers == two.powers


def difference(left: Quantity, right: Quantity) -> Decimal | None:
    """left - right in the base unit; None when the units do not compare."""
    if calendar_code(left.unit) == calendar_code(right.unit):
        return left.value - right.value
    one, two = unit(left.unit), unit(right.unit)
    if one is None or two is None or one.powers != two.powers:
        return None
    return left.value * one.factor - right.value * two.factor


def converted(value: Quantity, code: str) -> Decimal | None:
    """The number of a quantity in another unit; None when the units do not compare."""
    one, two = unit(value.unit), unit(code)
    if one is None or two is None or one.powers != two.powers:
        return None
    return value.value * one.factor / two.factor


def roughly(left: Quantity, right: Quantity) -> bool:
    """Equivalence: equal when rounded to the precision of the less precise (FHIRPath 6.1.2)."""
    one, two = unit(left.unit), unit(right.unit)
    if one is None or two is None:
        return left.unit == right.unit and left.value == right.value
    if one.powers != two.powers:
        return False
    converted = right.value * two.factor / one.factor
    digits = min(digits_of(left.value), digits_of(right.value))
    return bool(round(left.value, digits) == round(converted, digits))


def digits_of(value: Decimal) -> int:
    """How many digits stand after the point."""
    power = value.as_tuple().exponent
    return max(0, -power) if isinstance(power, int) else 0


def product(left: Quantity, right: Quantity, sign: int) -> Quantity | None:
    """left times right (`sign` 1) or left by right (-1); None for units not known."""
    one, two = unit(left.unit), unit(right.unit)
    if one is None or two is None or (sign < 0 and right.value == 0):
        return None
    if right.unit == "1" or (left.unit == "1" and sign > 0):
        kept = left.unit if right.unit == "1" else right.unit
        return Quantity(left.value * right.value**sign, kept)
    powers = dict(one.powers)
    for name, power in two.powers:
        powers[name] = powers.get(name, 0) + sign * power
    value = left.value * one.factor * (right.value * two.factor) ** sign
    code = ".".join(
        f"{name}{power if power != 1 else ''}" for name, power in powers.items() if power
    )
    return Quantity(value, code or "1")
