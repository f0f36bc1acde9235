"""Codes of large code systems that cannot exist, because their form or check digit is wrong."""

from __future__ import annotations

import re
from typing import Final

_SNOMED: Final = "http://snomed.info/sct"
_LOINC: Final = "http://loinc.org"
_SCTID = re.compile(r"[1-9][0-9]{5,17}")
_WORD = re.compile(r"[0-9A-Za-z]+")  # anything else may be an expression
_LOINC_FORM = re.compile(r"([A-Z]{0,4})([0-9]{1,9})-([0-9])")

# Verhoeff: the multiplication table of the dihedral group D5, and its permutation.
_TIMES: Final = (
    "0123456789", "1234067895", "2340178956", "3401289567", "4012395678",
    "5987604321", "6598710432", "7659821043", "8765932104", "9876543210",
)  # fmt: skip
_PERMUTED: Final = (
    "0123456789", "1576283094", "5803796142", "8916043527",
    "9453126870", "4286573901", "2793806415", "7046913258",
)  # fmt: skip


def impossible(system: str, code: str) -> bool:
    """Whether a code system cannot have the code, whatever its version says.

    SNOMED CT: identifiers end with a Verhoeff digit (Technical Implementation Guide, 6.3); codes
    may also be expressions, about which nothing is said. LOINC: the digit after the dash of a
    term is the one of Luhn (LOINC Users' Guide, check digits); parts and answers (LP…, LA…) count
    theirs otherwise. Of other systems nothing is known.
    """
    if system == _SNOMED:
        if not _WORD.fullmatch(code):
            return False
        return not (_SCTID.fullmatch(code) and _verhoeff(code))
    if system == _LOINC:
        form = _LOINC_FORM.fullmatch(code)
        return form is None or (not form[1] and _luhn(form[2]) != int(form[3]))
    return False


def _verhoeff(digits: str) -> bool:
    check = 0
    for place, digit in enumerate(reversed(digits)):
        check = int(_TIMES[check][int(_PERMUTED[place % 8][int(digit)])])
    return check == 0


def _luhn(digits: str) -> int:
    """The check digit of some digits."""
    total = 0
    for place, digit in enumerate(reversed(digits)):
        one = int(digit) * (2 if place % 2 == 0 else 1)
        total += one - 9 if one > 9 else one
    return -total % 10
