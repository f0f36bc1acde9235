"""Checks of the primitive types of R4 (section 2.24.0.1): JSON type, lexical form, limits."""

from __future__ import annotations

import re
from calendar import monthrange
from decimal import Decimal
from functools import cache, lru_cache
from typing import Any

from pater.fhir.definitions import primitive, required_codes
from pater.fhir.validation.types import NULL, Check, Finding, Findings, fault, json_type
from pater.fhir.validation.xhtml import xhtml

_INTEGER_RANGES = {
    "integer": (-(2**31), 2**31 - 1),
    "unsignedInt": (0, 2**31 - 1),
    "positiveInt": (1, 2**31 - 1),
}
# The published expression of base64 backtracks without end on long wrong input; a text without
# blanks whose length is a multiple of four says the same.
_BASE64 = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
_FORMS = {
    "date": "a date (YYYY, YYYY-MM or YYYY-MM-DD)",
    "dateTime": "a dateTime (YYYY, YYYY-MM, YYYY-MM-DD or YYYY-MM-DDThh:mm:ss+zz:zz)",
    "instant": "an instant (YYYY-MM-DDThh:mm:ss.sss+zz:zz)",
    "time": "a time (hh:mm:ss)",
    "id": "an id (1 to 64 of A-Z, a-z, 0-9, - and .)",
    "code": "a code (no blanks at its ends, no two together)",
    "uri": "a URI (no blanks)",
    "url": "a URL (no blanks)",
    "canonical": "a canonical address (no blanks)",
    "oid": "an OID as a URI (urn:oid:1.2.3)",
    "uuid": "a UUID as a URI (urn:uuid: and lower case)",
}


@cache
def primitive_check(name: str) -> Check:
    """The check of a primitive type. Raises KeyError when R4 has none of that name."""
    if name == "boolean":
        return _boolean
    if name == "decimal":
        return _decimal
    if name in _INTEGER_RANGES:
        return _integer(name, *_INTEGER_RANGES[name])
    if name in ("string", "markdown"):
        return _string
    if name == "base64Binary":
        return _base64
    if name == "xhtml":
        return xhtml
    pattern = primitive(name).regex
    if pattern is None:
        raise KeyError(name)
    if name in ("uri", "url", "canonical"):
        pattern = r"\S+"  # as published, but JSON strings are never empty
    matches = re.compile(pattern).fullmatch
    form = _FORMS[name]
    if name in ("date", "dateTime", "instant"):
        return _calendar(matches, form)
    return _lexical(matches, form)


def code_check(value_set: str) -> Check:
    """The check of a code with a required binding."""
    codes = required_codes(value_set)
    lexical = primitive_check("code")
    if codes is None:
        return lexical
    few = sorted(codes)
    listed = ", ".join(few[:12]) + (", …" if len(few) > 12 else "")
    text = f"The code is not in the required value set {value_set}; expected one of {listed}."

    def check(value: Any) -> Findings:
        if type(value) is str and value in codes:
            return None
        return lexical(value) or fault("code-invalid", text)

    return check


def wrong_type(value: Any, expected: str) -> list[Finding]:
    """The finding for a value of another JSON type."""
    if value is None:
        return [NULL]
    return fault("structure", f"Expected {expected}, found {json_type(value)}.")


_EMPTY = "An empty string is not allowed; leave the element out instead."


def _lexical(matches: Any, form: str) -> Check:
    def check(value: Any) -> Findings:
        if type(value) is not str:
            return wrong_type(value, "a string")
        if matches(value):
            return None
        return fault("value", f"The value is not {form}." if value else _EMPTY)

    return check


def _calendar(matches: Any, form: str) -> Check:
    def wrong(value: str) -> str | None:
        if not matches(value):
            return f"The value is not {form}." if value else _EMPTY
        # The published form lets 31 April pass.
        if value[8:10] > "28" and int(value[8:10]) > monthrange(int(value[:4]), int(value[5:7]))[1]:
            return "The day does not exist in that month."
        return None

    # One record says the same times again and again. As long as any with microseconds.
    seen = lru_cache(maxsize=4_096)(wrong)

    def check(value: Any) -> Findings:
        if type(value) is not str:
            return wrong_type(value, "a string")
        text = seen(value) if len(value) <= 32 else wrong(value)
        return None if text is None else fault("value", text)

    return check


def _boolean(value: Any) -> Findings:
    return None if type(value) is bool else wrong_type(value, "true or false")


def _decimal(value: Any) -> Findings:
    if type(value) is float or type(value) is int or isinstance(value, Decimal):
        return None
    return wrong_type(value, "a number")


def _integer(name: str, low: int, high: int) -> Check:
    def check(value: Any) -> Findings:
        if type(value) is int:
            if low <= value <= high:
                return None
        elif not isinstance(value, float | Decimal):
            return wrong_type(value, "a whole number")
        return fault(
            "value", f"The value is not of type {name}: a whole number from {low} to {high}."
        )

    return check


_LONGEST = primitive("string").max_length or 1048576


def _string(value: Any) -> Findings:
    if type(value) is not str:
        return wrong_type(value, "a string")
    if not value:
        return fault("value", _EMPTY)
    if value.isspace():
        text = "A string of blanks only says nothing and may be lost; leave the element out."
        return [Finding("", "value", text, "warning")]
    if len(value) > _LONGEST:
        return fault("too-long", f"A string may have at most {_LONGEST} characters.")
    return None


def _base64(value: Any) -> Findings:
    if type(value) is not str:
        return wrong_type(value, "a string")
    if not value:
        return fault("value", _EMPTY)
    if _is_base64(value) or _is_base64("".join(value.split())):
        return None
    return fault("value", "The value is not base64.")


def _is_base64(text: str) -> bool:
    if len(text) % 4 or not text.isascii():
        return False
    rest = text.encode().translate(None, _BASE64).decode()
    return rest in ("", "=", "==") and text.endswith(rest)
