"""Units of measure by UCUM: whether a code is one, and values in units that can be compared.

Exact: factors are fractions, so equal amounts in different units give equal numbers.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Context, Decimal
from fractions import Fraction
from functools import lru_cache
from types import MappingProxyType

from pater.fhir.ucum_units import (
    AFFINE,
    ARBITRARY,
    ARBITRARY_METRIC,
    BASE,
    METRIC,
    PLAIN,
    PREFIXES,
)

SYSTEM = "http://unitsofmeasure.org"
"""The code system of UCUM units in FHIR."""
_MAX_LENGTH = 200
_MAX_POWER = 60
_MAX_DEPTH = 20
_ANNOTATION = re.compile(r"\{[!-z|~]*\}")
_NUMBER = re.compile(r"[0-9]{1,30}")
_EXPONENT = re.compile(r"[+-]?[0-9]{1,4}")
_TEN = re.compile(r"10[*^]")


class UcumError(ValueError):
    """A text that is no UCUM code; says what is wrong and where (from 1)."""


@dataclass(frozen=True, slots=True)
class Unit:
    """A unit in base units: amount = number × `factor` + `offset`.

    `powers` are the base units (and units that compare only with themselves) with their powers,
    in alphabetical order. `offset` is other than 0 for temperatures with a zero of their own.
    """

    factor: Fraction
    powers: tuple[tuple[str, int], ...]
    offset: Fraction = Fraction(0)

    @property
    def dimension(self) -> str:
        """The powers as one text, itself a UCUM code: units with equal texts can be compared."""
        named = [f"{name}{power if power != 1 else ''}" for name, power in self.powers]
        return ".".join(named) or "1"


def is_valid(code: str) -> bool:
    """Whether the text is a UCUM code (case-sensitive)."""
    try:
        unit(code)
    except UcumError:
        return False
    return True


@lru_cache(maxsize=4096)
def unit(code: str) -> Unit:
    """What a UCUM code means. Raises UcumError."""
    if not code or len(code) > _MAX_LENGTH:
        raise UcumError("a unit has 1 to 200 characters")
    return _Parser(code).whole()


def canonical(value: Decimal | Fraction | int, code: str) -> tuple[Fraction, str]:
    """An amount in base units, and their dimension. Raises UcumError."""
    found = unit(code)
    return Fraction(value) * found.factor + found.offset, found.dimension


@dataclass(frozen=True, slots=True)
class Scale:
    """A unit made ready for many numbers; `decimal` is the factor where digits can say it."""

    unit: Unit
    dimension: str
    decimal: Decimal | None

    def base_number(self, value: float | Decimal | int) -> float:
        """The nearest float of an amount in base units (infinite as it came).

        Equal amounts give equal floats, whatever their units.
        """
        if value in (math.inf, -math.inf):
            return float(value)
        written = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        if self.decimal is not None:
            return float(_EXACT.multiply(written, self.decimal))
        top, bottom = written.as_integer_ratio()
        factor, offset = self.unit.factor, self.unit.offset
        top, bottom = top * factor.numerator, bottom * factor.denominator
        if offset:
            top = top * offset.denominator + offset.numerator * bottom
            bottom *= offset.denominator
        try:
            return top / bottom  # of integers: rounded once, as exactly as a fraction is
        except OverflowError:
            return math.inf if top > 0 else -math.inf


_EXACT = Context(prec=400, Emax=999_999, Emin=-999_999, traps=[])


@lru_cache(maxsize=4096)
def scale(code: str) -> Scale | None:
    """A unit for many numbers; None when the text is no UCUM code."""
    try:
        found = unit(code)
    except UcumError:
        return None
    decimal: Decimal | None = None
    numerator, denominator = found.factor.as_integer_ratio()
    rest = denominator
    for prime in (2, 5):
        while rest % prime == 0:
            rest //= prime
    if rest == 1 and not found.offset and max(numerator, denominator) < 10**100:
        decimal = _EXACT.divide(Decimal(numerator), Decimal(denominator))
    return Scale(found, found.dimension, decimal)


def converted(value: Decimal | Fraction | int, code: str, wanted: str) -> Fraction | None:
    """A number of one unit in another; None when they measure different things.

    Raises UcumError.
    """
    one, other = unit(code), unit(wanted)
    if one.powers != other.powers:
        return None
    return (Fraction(value) * one.factor + one.offset - other.offset) / other.factor


class _Parser:
    """The grammar of UCUM codes, read from left to right; `.` and `/` bind alike."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._place = 0
        self._depth = 0

    def whole(self) -> Unit:
        found = self._main()
        if self._place < len(self._text):
            raise self._problem("nothing can follow here")
        return found

    def _main(self) -> Unit:
        if self._next("/"):
            return self._rest(_power(self._component(), -1))
        return self._rest(self._component())

    def _rest(self, left: Unit) -> Unit:
        while True:
            if self._next("."):
                left = self._times(left, self._component())
            elif self._next("/"):
                left = self._times(left, _power(self._component(), -1))
            else:
                return left

    def _times(self, left: Unit, right: Unit) -> Unit:
        powers = dict(left.powers)
        for name, power in right.powers:
            powers[name] = powers.get(name, 0) + power
            if abs(powers[name]) > _MAX_POWER:
                raise self._problem("a power is out of all range")
        # A temperature inside a product is a difference of temperatures: its zero is gone.
        kept = tuple(sorted((name, power) for name, power in powers.items() if power))
        alone = right if left == _ONE else left if right == _ONE else None
        return Unit(left.factor * right.factor, kept, alone.offset if alone else Fraction(0))

    def _component(self) -> Unit:
        text = self._text
        if self._next("("):
            self._depth += 1
            if self._depth > _MAX_DEPTH:
                raise self._problem("too many parentheses")
            found = self._main()
            if not self._next(")"):
                raise self._problem("a closing parenthesis is missing")
            self._depth -= 1
            self._annotation()
            return found
        if text.startswith("{", self._place):
            self._annotation()
            return _ONE
        if not _TEN.match(text, self._place) and (number := _NUMBER.match(text, self._place)):
            self._place = number.end()
            if not int(number[0]):
                raise self._problem("a factor is not 0")
            self._annotation()
            return Unit(Fraction(int(number[0])), ())
        return self._simple()

    def _simple(self) -> Unit:
        """An atom with its prefix, exponent and annotation."""
        start = self._place
        name = self._name()
        exponent = _EXPONENT.match(self._text, self._place)
        found = _atom(name)
        if found is None:
            self._place = start
            raise self._problem("there is no such unit")
        if exponent:
            self._place = exponent.end()
            power = int(exponent[0])
            if not power or abs(power) > _MAX_POWER:
                raise self._problem("a power is out of all range")
            if power != 1:
                found = _power(found, power)
        self._annotation()
        return found

    def _name(self) -> str:
        """The text up to what cannot belong to an atom; digits only inside brackets."""
        text, place = self._text, self._place
        ten = _TEN.match(text, place)
        if ten:
            self._place = ten.end()
            return ten[0]
        inside = False
        while place < len(text):
            char = text[place]
            if inside:
                inside = char != "]"
            elif char == "[":
                inside = True
            elif char in "./(){}+-0123456789" or not "!" <= char <= "~":
                break
            place += 1
        if inside:
            raise self._problem("a closing bracket is missing")
        if place == self._place:
            raise self._problem("a unit is missing")
        name = text[self._place : place]
        self._place = place
        return name

    def _annotation(self) -> None:
        if self._text.startswith("{", self._place):
            found = _ANNOTATION.match(self._text, self._place)
            if not found:
                raise self._problem("an annotation has ASCII characters without blanks, and ends")
            self._place = found.end()

    def _next(self, char: str) -> bool:
        if self._text.startswith(char, self._place):
            self._place += 1
            return True
        return False

    def _problem(self, text: str) -> UcumError:
        return UcumError(f"{text} (character {self._place + 1})")


_ONE = Unit(Fraction(1), ())


def _power(base: Unit, power: int) -> Unit:
    return Unit(base.factor**power, tuple((name, each * power) for name, each in base.powers))


def _table(text: str) -> Mapping[str, tuple[Fraction, str]]:
    found = {}
    for entry in text.split():
        # `10*=10*1`: the code may hold a star, a number never does.
        code, _, rest = entry.partition("=")
        number, _, definition = rest.partition("*")
        found[code] = (Fraction(number), definition)
    return MappingProxyType(found)


_METRIC = _table(METRIC)
_PLAIN = _table(PLAIN)
_ALONE = frozenset((*BASE, *ARBITRARY_METRIC))


@lru_cache(maxsize=1024)
def _atom(name: str) -> Unit | None:
    """A unit by its name, with or without a prefix."""
    found = _metric(name)
    if found is not None:
        return found
    if name in _PLAIN:
        return _defined(*_PLAIN[name])
    if name in ARBITRARY:
        return Unit(Fraction(1), ((name, 1),))
    if name in AFFINE:
        factor, offset = AFFINE[name]
        return Unit(factor, (("K", 1),), offset)
    for length in (1, 2):
        scale = PREFIXES.get(name[:length])
        base = _metric(name[length:]) if scale is not None else None
        if scale is not None and base is not None:
            return Unit(base.factor * scale, base.powers, base.offset)
    return None


def _metric(name: str) -> Unit | None:
    if name in _ALONE:
        return Unit(Fraction(1), ((name, 1),))
    if name == "Cel":
        factor, offset = AFFINE[name]
        return Unit(factor, (("K", 1),), offset)
    return _defined(*_METRIC[name]) if name in _METRIC else None


def _defined(number: Fraction, definition: str) -> Unit:
    base = _ONE if definition == "1" else unit(definition)
    return Unit(base.factor * number, base.powers)
