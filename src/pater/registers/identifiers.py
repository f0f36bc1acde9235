"""Checks and issues the identifiers of persons, providers and professionals.

Rules: HL7 Czech Republic core (identifiers), the Ministry of Health's rule for the resort
identifier (RID), the Czech Social Security Administration's standard check of the birth number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from functools import lru_cache
from random import Random
from typing import Final

SID: Final = "https://ncez.mzcr.cz/fhir/sid/"
RID: Final = SID + "rid"
BIRTH_NUMBER: Final = SID + "rcis"
INSURED_NUMBER: Final = SID + "cpoj"
PROVIDER: Final = SID + "krpzs"
ICO: Final = SID + "ico"
PROFESSIONAL: Final = SID + "krzp"
PASSPORT: Final = "http://hl7.org/fhir/sid/passport-"
ID_CARD: Final = "https://hl7.cz/fhir/sid/idcard-"
ID_CARD_OLD: Final = SID + "op"

_CENTURY: Final = 54  # a nine-digit number ends with 1953, so 54 and more means the century before
_EXTRA_SERIES_SINCE: Final = 2004  # month +20/+70 ("RC+") is issued for births since 2004
_EU_SERIAL: Final = 400  # serials of the EU's register begin here
_ZERO_REMAINDER_UNTIL: Final = 1985  # remainder 10 was written as the check digit 0 until then


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a check found: `ok` is None where no rule exists to tell."""

    kind: str
    ok: bool | None
    problem: str = ""


@dataclass(frozen=True, slots=True)
class BirthNumber:
    """What a birth number (rodné číslo) says of its holder."""

    birth_date: date
    gender: str  # FHIR administrative gender


@dataclass(frozen=True, slots=True)
class InsuredNumber:
    """What an insured person's number may say: (kind, birth date), and the gender.

    Kinds are `rcis` (a birth number), `ecp`, `rszp` (foreigners) and `ap-cmu` (insured elsewhere in
    the EU). Shifts overlap and old people have ten digits too, so there may be several readings.
    """

    readings: tuple[tuple[str, date], ...]
    gender: str


def check_rid(value: str) -> Verdict:
    """Resort identifier: ten digits, not 0 first, divisible by 13, not by 11; or a temporary one.

    A temporary identifier (DRID) is `D` and nine digits and carries no check digit.
    """
    if re.fullmatch(r"D[0-9]{9}", value):
        return Verdict("drid", True)
    if not re.fullmatch(r"[1-9][0-9]{9}", value):
        return Verdict("rid", False, "a RID has ten digits and does not begin with 0")
    if not _is_rid(int(value)):
        return Verdict("rid", False, "the check of the RID fails (divisible by 13 and not by 11)")
    return Verdict("rid", True)


def _is_rid(number: int) -> bool:
    return number % 13 == 0 and number % 11 != 0


def new_rid(random: Random) -> str:
    """A well-formed RID without meaning; uniqueness is for the register to claim."""
    while True:
        number = random.randrange(1_000_000_000 // 13 + 1, 10_000_000_000 // 13) * 13
        if _is_rid(number):
            return str(number)


def rid_from(start: int) -> str:
    """The first well-formed RID from a ten-digit number on (for generated persons)."""
    number = start
    while not _is_rid(number):
        number += 1
    return str(number)


def new_drid(random: Random) -> str:
    """A temporary identifier: `D` and nine digits."""
    return f"D{random.randrange(1_000_000_000):09d}"


@lru_cache(maxsize=256)  # the same number is read for each of its uses
def read_birth_number(value: str) -> BirthNumber | str:
    """The birth date and gender inside a birth number, or what is wrong with it."""
    if not re.fullmatch(r"[0-9]{9,10}", value):
        return "a birth number has nine or ten digits and no slash"
    year, month, day = int(value[:2]), int(value[2:4]), int(value[4:6])
    if len(value) == 9:
        if value.endswith("000"):
            return "a nine-digit birth number does not end with 000"
        full_year = (1800 if year >= _CENTURY else 1900) + year
    else:
        full_year = (1900 if year >= _CENTURY else 2000) + year
    gender = "female" if month > 50 else "male"
    month -= 50 if month > 50 else 0
    if month > 20:
        if full_year < _EXTRA_SERIES_SINCE or len(value) == 9:
            return "the month of the birth number is not possible for the year of birth"
        month -= 20
    try:
        born = date(full_year, month, day)
    except ValueError:
        return "the date in the birth number does not exist"
    if len(value) == 10 and int(value) % 11:
        historic = full_year <= _ZERO_REMAINDER_UNTIL and int(value[:9]) % 11 == 10
        if not (historic and value[9] == "0"):
            return "the check digit of the birth number fails (divisible by 11)"
    return BirthNumber(born, gender)


def check_birth_number(value: str) -> Verdict:
    """Birth number (rodné číslo): shape, existing date, check digit with its historic exception."""
    found = read_birth_number(value)
    return Verdict("rcis", False, found) if isinstance(found, str) else Verdict("rcis", True)


def read_insured_number(value: str) -> InsuredNumber | str:
    """What an insured person's number may say, or what is wrong with it.

    It is a birth number, or one given by an insurer: the ECP (day + 40), a foreigner's number
    (day + 50), or one of the EU's register (month + 20, day + 50, serial from 400 on). Women have
    month + 50 as well. Ten digits are divisible by 11.
    """
    own = read_birth_number(value)
    if isinstance(own, BirthNumber):
        return InsuredNumber((("rcis", own.birth_date),), own.gender)
    if not re.fullmatch(r"[0-9]{9,10}", value):
        return "an insured person's number has nine or ten digits"
    year, month, day = int(value[:2]), int(value[2:4]), int(value[4:6])
    if day <= 40:
        return own.replace("birth number", "insured person's number")
    gender = "female" if month > 50 else "male"
    month -= 50 if month > 50 else 0
    kinds: tuple[tuple[str, int], ...] = (("ecp", 40), ("rszp", 50))
    if month > 20:
        if len(value) == 9 or int(value[6:9]) < _EU_SERIAL:
            return "the month of the insured person's number is not possible with this serial"
        month -= 20
        kinds = (("ap-cmu", 50),)
    read = [
        (kind, born)
        for kind, shift in kinds
        for century in _centuries(year, len(value))
        if (born := _date(century + year, month, day - shift)) is not None
    ]
    if not read:
        return "the date in the insured person's number does not exist"
    if len(value) == 10 and int(value) % 11:
        return "the check digit of the insured person's number fails (divisible by 11)"
    return InsuredNumber(tuple(read), gender)


def _centuries(year: int, digits: int) -> tuple[int, ...]:
    """Centuries that two digits of a year may mean: insurers give ten digits to the old as well."""
    if digits == 9:
        return (1800 if year >= _CENTURY else 1900,)
    return (1900,) if year >= _CENTURY else (2000, 1900)


def _date(year: int, month: int, day: int) -> date | None:
    try:
        return date(year, month, day)
    except ValueError:
        return None


def check_insured_number(value: str) -> Verdict:
    """Insured person's number: see `read_insured_number`."""
    found = read_insured_number(value)
    return Verdict("cpoj", False, found) if isinstance(found, str) else Verdict("cpoj", True)


def births(system: str, value: str) -> frozenset[date]:
    """The birth dates that a number may say; none where it says nothing or is wrong."""
    if system == BIRTH_NUMBER:
        own = read_birth_number(value)
        return frozenset() if isinstance(own, str) else frozenset({own.birth_date})
    if system == INSURED_NUMBER:
        found = read_insured_number(value)
        return frozenset() if isinstance(found, str) else frozenset(d for _, d in found.readings)
    return frozenset()


def tidy(system: str, value: str) -> str:
    """A number as the rules want it, from what people write: no blanks, slash or small letters."""
    if system in (BIRTH_NUMBER, INSURED_NUMBER):
        return re.sub(r"[\s/]", "", value)
    if system in (RID, ID_CARD_OLD) or system.startswith((PASSPORT, ID_CARD)):
        return re.sub(r"\s", "", value).upper()
    return value.strip()


def canonical(system: str) -> str:
    """The system under which numbers are kept: Czech identity cards have a second name."""
    return ID_CARD + "CZE" if system == ID_CARD_OLD else system


def check_ico(value: str) -> Verdict:
    """Organisation's number (IČO): eight digits with a weighted check digit."""
    if not re.fullmatch(r"[0-9]{8}", value):
        return Verdict("ico", False, "an IČO has eight digits")
    if ico_from(value[:7]) != value:
        return Verdict("ico", False, "the check digit of the IČO fails")
    return Verdict("ico", True)


def ico_from(stem: str) -> str:
    """Seven digits completed by the check digit of an IČO."""
    rest = sum(int(digit) * weight for digit, weight in zip(stem, range(8, 1, -1), strict=True))
    return f"{stem}{(11 - rest % 11) % 10}"


def check_professional(value: str) -> Verdict:
    """Professional's number (KRZP): nine digits, first not 0. No published check digit."""
    if not re.fullmatch(r"[1-9][0-9]{8}", value):
        return Verdict("krzp", False, "a KRZP number has nine digits and does not begin with 0")
    return Verdict("krzp", None)


def _shape(kind: str, pattern: str, problem: str) -> Callable[[str], Verdict]:
    compiled = re.compile(pattern)

    def check_shape(value: str) -> Verdict:
        return Verdict(kind, None) if compiled.fullmatch(value) else Verdict(kind, False, problem)

    return check_shape


_CHECKS: Final[Mapping[str, Callable[[str], Verdict]]] = {
    RID: check_rid,
    BIRTH_NUMBER: check_birth_number,
    INSURED_NUMBER: check_insured_number,
    ICO: check_ico,
    PROVIDER: check_ico,
    PROFESSIONAL: check_professional,
    SID + "icz": _shape("icz", r"[0-9]{8}", "an IČZ has eight digits"),
    SID + "icp": _shape("icp", r"[0-9]{8}", "an IČP has eight digits"),
    SID + "kp": _shape("kp", r"[0-9]{3}", "an insurer's code has three digits"),
}
_COUNTRY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_NO_COUNTRY: Final = "the system of a document ends with the country of issue, three letters"
_passport = _shape("passport", r"[0-9A-Z]{6,9}", "a passport number has 6 to 9 capitals or digits")
_id_card = _shape("idcard", r"[0-9A-Z]{5,12}", "an identity card number has capitals and digits")


def check(system: str, value: str) -> Verdict:
    """The verdict on one identifier by its system; unknown systems are kind `other`, ok None."""
    rule = _CHECKS.get(system)
    if rule is not None:
        return rule(value)
    if system == ID_CARD_OLD:
        return _id_card(value)
    for prefix, kind, shape in ((PASSPORT, "passport", _passport), (ID_CARD, "idcard", _id_card)):
        if system.startswith(prefix):
            country = _COUNTRY.fullmatch(system[len(prefix) :])
            return shape(value) if country else Verdict(kind, False, _NO_COUNTRY)
    return Verdict("other", None)


def birth_number_for(born: date, gender: str, serial: int) -> str:
    """A valid birth number (for generated persons): nine digits until 1953, ten since.

    `serial` is the three digits after the date, not 000 for nine digits; since 1954 a serial
    without a check digit moves on.
    """
    month = born.month + (50 if gender == "female" else 0)
    while True:
        stem = f"{born.year % 100:02d}{month:02d}{born.day:02d}{serial % 1000:03d}"
        if born.year < 1900 + _CENTURY:
            return stem
        rest = int(stem) % 11
        if rest != 10:
            return f"{stem}{rest}"
        serial += 1
