"""Whether an address or a business says the same as its register: by content, not by letters. Pure.

Abbreviated streets, districts after the name of a town and ways of writing a legal form are the
same; another town, postcode, number, street or name is not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any, Final

from pater.fhir.search.text import normalise
from pater.registers.basic.told import Address, Business
from pater.registers.matching.features import ADDRESS_POINT

_WORD: Final = re.compile(r"[^\W\d_]+\.?")
_NUMBER: Final = re.compile(r"\d+")
_IDLE: Final = frozenset({"ul", "ulice", "c", "cp", "p", "ev", "ce"})
"""Words of a line that name nothing."""
_FORMS: Final = (
    ("akciova spolecnost", "as"),
    ("spol s r o", "sro"),
    ("spolecnost s rucenim omezenym", "sro"),
    ("s r o", "sro"),
    ("a s", "as"),
    ("z s", "zs"),
    ("z u", "zu"),
    ("o p s", "ops"),
    ("p o", "po"),
    ("prispevkova organizace", "po"),
    ("v o s", "vos"),
    ("k s", "ks"),
)


def code_of(address: Mapping[str, Any]) -> str:
    """The code of the address point that a FHIR Address names, "" = none."""
    listed = address.get("extension")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("url") == ADDRESS_POINT:
            point = each.get("valueIdentifier")
            if isinstance(point, dict):
                return str(point.get("value", "")).strip().lstrip("0")
    return ""


def coded(resource: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The addresses of a Patient, Organization or Location that are in use and have a code."""
    held = resource.get("address")
    for address in held if isinstance(held, list) else [held]:
        if isinstance(address, dict) and address.get("use") != "old" and (code := code_of(address)):
            yield code, address


def of_address(said: Mapping[str, Any], register: Address | None) -> tuple[str, ...]:
    """What of a FHIR Address differs from the address point of its code: `code` (there is none, or
    no longer), `city`, `postalCode`, `line`. What is not said does not differ.
    """
    if register is None or not register.valid:
        return ("code",)
    found = []
    city = normalise(str(said.get("city") or ""))
    if city and not _same_town(city, register):
        found.append("city")
    postcode = re.sub(r"\s", "", str(said.get("postalCode") or ""))
    if postcode and postcode != re.sub(r"\s", "", register.postal_code):
        found.append("postalCode")
    lines = said.get("line")
    line = " ".join(map(str, lines)) if isinstance(lines, list) else ""
    if line and not _same_line(line, register):
        found.append("line")
    return tuple(found)


def of_business(
    said: Mapping[str, Any], register: Business | None, seat: Address | None, today: date
) -> tuple[str, ...]:
    """What of an Organization differs from the business of its IČO: `ico` (there is none), `name`,
    `address` (the seat is none of its addresses), `ended` (it is over and said to be active).
    """
    if register is None:
        return ("ico",)
    found = []
    aliases = said.get("alias")
    names = [said.get("name"), *(aliases if isinstance(aliases, list) else ())]
    wanted = _firm(register.name)
    if not any(_same_firm(_firm(str(each)), wanted) for each in names if each):
        found.append("name")
    held = said.get("address")
    addresses = [each for each in held if isinstance(each, dict)] if isinstance(held, list) else []
    if seat is not None and addresses and not any(_is_seat(each, seat) for each in addresses):
        found.append("address")
    if register.ended is not None and register.ended <= today and said.get("active") is not False:
        found.append("ended")
    return tuple(found)


def _is_seat(address: Mapping[str, Any], seat: Address) -> bool:
    code = code_of(address)
    return code == seat.code if code else not of_address(address, seat)


def _same_town(city: str, register: Address) -> bool:
    town = normalise(register.city)
    if city in (town, normalise(register.part)):
        return True
    beyond = city.removeprefix(town).lstrip()
    return beyond != city and bool(re.match(r"\d|[-–,]", beyond))


def _same_line(line: str, register: Address) -> bool:
    said = normalise(line)
    own = normalise(register.street) or normalise(register.part) or normalise(register.city)
    # a number in the name of a street (5. května) is no number of a house
    numbers = _left(_NUMBER.findall(said), _NUMBER.findall(own))
    kept = set(_NUMBER.findall(f"{register.house_number} {register.orientation_number}"))
    if not numbers or not set(numbers) <= kept:
        return False
    words = [each for each in _WORD.findall(said) if each.rstrip(".") not in _IDLE]
    words = [each for each in words if len(each.rstrip(".")) > 1]
    if not words:
        return not register.street  # in a village without streets the number says it all
    parts = [each for each in _WORD.findall(own) if len(each.rstrip(".")) > 1]
    if len(words) != len(parts) and not register.street:
        return True
    return len(words) == len(parts) and all(map(_same_word, words, parts))


def _left(found: list[str], taken: list[str]) -> list[str]:
    left = list(found)
    for each in taken:
        if each in left:
            left.remove(each)
    return left


def _same_word(said: str, own: str) -> bool:
    if said.rstrip(".") == own.rstrip("."):
        return True
    return said.endswith(".") and own.startswith(said[:-1])


def _firm(name: str) -> tuple[str, str]:
    """A name of a business without its legal form, and the form."""
    plain = " ".join(re.findall(r"\w+", normalise(name)))
    for written, form in _FORMS:
        for ending in (written, form):
            if plain.endswith(f" {ending}"):
                return plain.removesuffix(ending).strip(), form
    return plain, ""


def _same_firm(said: tuple[str, str], own: tuple[str, str]) -> bool:
    return said[0] == own[0] and (said[1] == own[1] or "" in (said[1], own[1]))
