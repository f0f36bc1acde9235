"""The values of search parameters: one text of a request to one term, or a plain refusal.

Refusals name what was expected and never repeat the value: it may identify a person.
"""

from __future__ import annotations

import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import cast

from pater.fhir import ucum
from pater.fhir.references import parse_reference
from pater.fhir.search.dates import date_span
from pater.fhir.search.places import DEFAULT_METRES
from pater.fhir.search.request import (
    DateTerm,
    NearTerm,
    NumberTerm,
    Prefix,
    ReferenceTerm,
    StringTerm,
    TokenTerm,
    UriTerm,
    WordsTerm,
)
from pater.fhir.search.text import normalise
from pater.fhir.search.values import OPEN_HIGH, OPEN_LOW
from pater.fhir.search.words import words_of, words_term

# An id alone is looked up under each type it may mean; beyond this the type has to be named.
_MAX_TARGETS = 30
_PREFIX = re.compile(r"(eq|ne|gt|ge|lt|le|sa|eb|ap)(?=[0-9+\-.])")
_OTHER_PREFIX = re.compile(r"[a-z]{2}(?=[0-9+\-.])")
_NUMBER = re.compile(r"[+-]?[0-9]{1,40}(\.[0-9]{1,40})?([eE][+-]?[0-9]{1,3})?\Z")
_PLAIN_NUMBER = re.compile(r"[+-]?[0-9]{1,12}(\.[0-9]{1,20})?\Z")
_BLANK_OFFSET = re.compile(r" (?=[0-9]{2}:[0-9]{2}\Z)")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}\Z")
_APART = re.compile(r"((?:[^\\,]++|\\.|\\\Z)*+)(?:,|\Z)", re.DOTALL)
_FIELD = re.compile(r"((?:[^\\|]++|\\.|\\\Z)*+)(?:\||\Z)", re.DOTALL)
_COMPONENT = re.compile(r"((?:[^\\$]++|\\.|\\\Z)*+)(?:\$|\Z)", re.DOTALL)
_ESCAPED = re.compile(r"\\([\\,|$])")
_DAY = timedelta(days=1)
SPECIAL_VALUES = "http://terminology.hl7.org/CodeSystem/special-values"
"""The system of `true` and `false`, which no resource states."""


class BadValueError(ValueError):
    """A value that cannot be read; the text says what was expected."""


def split_values(text: str) -> list[str]:
    """The alternatives of a value, at commas that are not escaped (R4 search, "Escaping")."""
    return _split(_APART, text)


def _split(pattern: re.Pattern[str], text: str) -> list[str]:
    parts: list[str] = []
    place = 0
    while True:
        match = pattern.match(text, place)
        if match is None:  # cannot be: the pattern takes anything
            raise BadValueError("the value cannot be read")
        parts.append(match[1])
        if match.end() == match.end(1):
            return parts
        place = match.end()


def unescape(text: str) -> str:
    """The text without the backslashes before `,`, `|`, `$` and `\\`."""
    return _ESCAPED.sub(r"\1", text)


def token_term(text: str) -> TokenTerm:
    """`code`, `system|code`, `|code` or `system|`."""
    fields = [unescape(each) for each in _split(_FIELD, text)]
    if len(fields) == 1 and fields[0]:
        return TokenTerm(None, fields[0])
    if len(fields) != 2 or not any(fields):
        raise BadValueError("expected code, system|code, |code or system|")
    return TokenTerm(fields[0], fields[1] or None)


def boolean_term(text: str) -> TokenTerm:
    """A truth value: its implied system (R4 search, "token") says nothing more than the code."""
    term = token_term(text)
    if term.system == SPECIAL_VALUES and term.code:
        return TokenTerm(None, term.code)
    return term


def near_term(text: str) -> NearTerm:
    """`latitude|longitude|distance|units`; without a distance DEFAULT_METRES, without units km."""
    fields = [unescape(each).strip() for each in _split(_FIELD, text)]
    numbers = fields[:3] if len(fields) > 2 and fields[2] else fields[:2]
    if not 2 <= len(fields) <= 4 or not all(map(_PLAIN_NUMBER.match, numbers)):
        raise BadValueError("expected latitude|longitude|distance|units")
    latitude, longitude, *distance = map(float, numbers)
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise BadValueError("expected a latitude from -90 to 90, a longitude from -180 to 180")
    if not distance:
        return NearTerm(latitude, longitude, DEFAULT_METRES)
    scale = ucum.scale(fields[3] if len(fields) == 4 and fields[3] else "km")
    if scale is None or scale.dimension != "m" or distance[0] < 0:
        raise BadValueError("expected a distance in a UCUM unit of length: km, m, [mi_i]")
    return NearTerm(latitude, longitude, scale.base_number(distance[0]))


def of_type_term(text: str) -> TokenTerm:
    """`system|code|value`: an identifier by the type it has and its value."""
    fields = [unescape(each) for each in _split(_FIELD, text)]
    if len(fields) != 3 or not all(fields):
        raise BadValueError("expected system|code|value")
    return TokenTerm(fields[0], f"{fields[1]}|{fields[2]}")


def shown_term(text: str) -> StringTerm:
    """The beginnings of words of a text shown to people."""
    plain = unescape(text)
    if not words_of(plain):
        raise BadValueError("expected words")
    return StringTerm(plain)


def search_words(text: str) -> WordsTerm:
    """Words to look for in a whole text."""
    found = words_term(unescape(text))
    if found is None:
        raise BadValueError('expected words, "whole words", OR, -without')
    return found


def components(text: str) -> list[str]:
    """The parts of the value of a composite parameter, at `$` that are not escaped."""
    return _split(_COMPONENT, text)


def string_term(text: str, modifier: str | None) -> StringTerm:
    """A text with something to compare in it."""
    plain = unescape(text)
    if not plain or (modifier != "exact" and not normalise(plain)):
        raise BadValueError("expected a text")
    return StringTerm(plain)


def uri_term(text: str) -> UriTerm:
    """A URI or URN, without blanks."""
    plain = unescape(text)
    if not plain or any(c.isspace() for c in plain):
        raise BadValueError("expected a URI")
    return UriTerm(plain)


def id_term(text: str) -> TokenTerm:
    """The id of a resource."""
    if not _ID.match(text):
        raise BadValueError("expected an id: up to 64 letters, digits, '-' and '.'")
    return TokenTerm(None, text)


def _prefixed(text: str) -> tuple[Prefix, str]:
    match = _PREFIX.match(text)
    if match:
        return cast(Prefix, match[1]), text[2:]
    if _OTHER_PREFIX.match(text):
        raise BadValueError("unknown prefix; known are eq, ne, gt, ge, lt, le, sa, eb and ap")
    return "eq", text


def date_term(text: str) -> DateTerm:
    """A prefix and a date of any precision.

    `ap` widens by the stated precision on both sides, at least by a day (the standard leaves the
    measure to the server). A blank before the offset is taken for the `+` it was before decoding.
    """
    prefix, rest = _prefixed(unescape(text))
    try:
        low, high = date_span(_BLANK_OFFSET.sub("+", rest))
    except ValueError as problem:
        raise BadValueError("expected a date such as 2026, 2026-11, 2026-11-22 or "
                       "2026-11-22T10:00:00+01:00") from problem  # fmt: skip
    if prefix == "ap":
        margin = max(high - low, _DAY)
        low, high = _earlier(low, margin), _later(high, margin)
    return DateTerm(prefix, low, high)


def _earlier(moment: datetime, by: timedelta) -> datetime:
    return moment - by if moment - OPEN_LOW > by else OPEN_LOW


def _later(moment: datetime, by: timedelta) -> datetime:
    return moment + by if OPEN_HIGH - moment > by else OPEN_HIGH


def number_term(text: str) -> NumberTerm:
    """A prefix and a number; its digits tell its precision (100 is 99.5 to 100.5)."""
    prefix, value, half = _number(text)
    return NumberTerm(prefix, float(value), float(value - half), float(value + half))


def _number(text: str) -> tuple[Prefix, Decimal, Decimal]:
    """Prefix, value and half the width of what is meant."""
    prefix, rest = _prefixed(unescape(text))
    if not _NUMBER.match(rest):
        raise BadValueError("expected a number")
    value = Decimal(rest)
    if value and value.adjusted() > 300:
        raise BadValueError("expected a number below 1e300")
    exponent = value.as_tuple().exponent
    half = Decimal(5).scaleb(int(exponent) - 1)
    if "e" in rest.lower():
        half /= 10  # the standard's own example: 1e2 is 95 to 105
    if prefix == "ap":
        half = max(abs(value) / 10, half)
    return prefix, value, half


def quantity_term(text: str) -> NumberTerm:
    """`number`, `number|system|code` or `number||code`; UCUM units as their base units."""
    fields = [unescape(each) for each in _split(_FIELD, text)]
    if len(fields) not in (1, 3) or (len(fields) == 3 and not fields[2]):
        raise BadValueError("expected number, number|system|code or number||code")
    prefix, value, half = _number(fields[0])
    numbers = (value, value - half, value + half)
    system, code = fields[1:] if len(fields) == 3 else ("", "")
    scale = ucum.scale(code) if system == ucum.SYSTEM else None
    if scale is not None:
        exact, low, high = map(scale.base_number, numbers)
        return NumberTerm(prefix, exact, low, high, system, scale.dimension, f"{value}|{code}")
    exact, low, high = map(float, numbers)
    return NumberTerm(prefix, exact, low, high, system, code)


def reference_term(
    text: str, modifier: str | None, targets: tuple[str, ...], base_url: str
) -> ReferenceTerm:
    """`Type/id`, `id`, a URL or a canonical; a URL below `base_url` is a resource here.

    `modifier` is the type of `subject:Patient=23`; `targets` all that the parameter can refer to.
    """
    plain = unescape(text)
    if base_url and plain.startswith(f"{base_url.rstrip('/')}/"):
        plain = plain[len(base_url.rstrip("/")) + 1 :]
    ref = parse_reference(plain)
    if ref.kind == "relative" and ref.type is not None:
        if ref.type not in targets or modifier not in (None, ref.type):
            raise BadValueError(f"this parameter does not refer to {ref.type}")
        return ReferenceTerm((ref.type,), ref.id, None, ref.version)
    if ref.kind in ("absolute", "urn"):
        if any(c.isspace() for c in plain):
            raise BadValueError("expected a URL without blanks")
        return ReferenceTerm((modifier,) if modifier else targets, None, plain)
    if not _ID.match(plain):
        raise BadValueError("expected Type/id, id or a URL")
    if modifier is None and len(targets) > _MAX_TARGETS:
        raise BadValueError("expected Type/id: this parameter can refer to too many types")
    return ReferenceTerm((modifier,) if modifier else targets, plain, None)
