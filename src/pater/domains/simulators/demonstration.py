"""Whom of the demonstration the simulated basic registers know: its patients and providers.

They say the same as the demonstration does, but for one town, one name after a marriage, one name
of a business and one that is there no more: what the links are for can be seen.
"""
# ruff: noqa: E501  # tables read better one entry a line

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from pater.registers.identifiers import ico_from

FIRST_POINT: Final = 42_000_001


class Home(NamedTuple):
    """Street (or village), number of the house, number of orientation, town, postcode."""

    street: str
    house: str
    orientation: str
    city: str
    postcode: str


class Known(NamedTuple):
    """Somebody of the demonstration as the register of persons has them."""

    family: str
    given: str
    born: str
    sex: str
    home: Home
    document: str = ""


class Firm(NamedTuple):
    """A provider of the demonstration as the register of business has it."""

    ico: str
    name: str
    home: Home
    ended: str = ""


_J: Final = ("Javorné", "999 01")
_B: Final = ("Jílový Brod", "999 22")
_P: Final = ("Podlesí", "56301")
# fmt: off
PEOPLE: Final = (
    Known("Svobodová", "Jana", "1957-03-14", "f", Home("Zahradní", "318", "12", *_J)),
    Known("Dvořák", "Petr", "1968-11-02", "m", Home("Hradební", "9", "", *_B)),
    Known("Procházková", "Lucie", "1994-06-21", "f", Home("Na Výsluní", "45", "", *_J)),
    Known("Procházka", "Matěj", "2025-09-12", "m", Home("Na Výsluní", "45", "", *_J)),
    Known("Kovalenko", "Olena", "1989-01-30", "f", Home("Tovární", "1022", "3", *_B)),
    Known("Novotný", "František", "1948-08-07", "m", Home("Lesní", "6", "", "Podhájí", "999 14")),
    Known("Černá", "Marie", "1941-12-19", "f", Home("Náves", "14", "", "Horní Lhotka", "999 27")),
    Known("Kučera", "Václav", "1955-04-25", "m", Home("Hornická", "201", "", *_B)),
    Known("Veselý", "Tomáš", "2001-02-08", "m", Home("Školní", "88", "", *_B)),
    Known("Horáková", "Eva", "1979-10-03", "f", Home("Sadová", "5", "", *_J)),
    Known("Marek", "Jakub", "2009-07-16", "m", Home("K Rybníku", "31", "", *_J)),
    Known("Pokorná", "Alena", "1962-05-28", "f", Home("Krátká", "2", "", *_B)),
    # a hospital tells of her by her maiden name and her identity card
    Known("Doležalová", "Simona", "1991-09-30", "f", Home("Nová", "7", "", *_P), "109200311"),
)
DIFFERING: Final = Home("Mlýnská", "21", "", *_P)
"""The home of somebody whom the register of persons does not know; a hospital has the code of it,
and another town.
"""
FIRMS: Final = (
    Firm(ico_from("9990101"), "Krajská nemocnice Javorné, akciová společnost", Home("U Nemocnice", "1200", "4", *_J)),
    Firm(ico_from("9990202"), "Městská nemocnice Jílový Brod, příspěvková organizace", Home("Lipová", "77", "", *_B)),
    Firm(ico_from("9990000"), "Ordinace Na Návsi s.r.o.", Home("Náves", "3", "", "Horní Lhotka", "999 27")),
    Firm(ico_from("9990001"), "Stomatologie Jílový Brod s.r.o.", Home("Na Hrázi", "15", "", *_B)),
    Firm(ico_from("9990002"), "Lékárna U Dubu s.r.o.", Home("Dubová", "8", "", *_J), "2026-01-31"),
)
# fmt: on


def points() -> dict[Home, str]:
    """The code of each home; the same home has the same code."""
    of_people = (each.home for each in PEOPLE)
    homes = dict.fromkeys([DIFFERING, *of_people, *(each.home for each in FIRMS)])
    return {home: str(FIRST_POINT + number) for number, home in enumerate(homes)}


def addresses() -> Iterator[dict[str, Any]]:
    """As the register of addresses answers."""
    for home, code in points().items():
        yield {
            "code": code, "street": home.street, "houseNumber": home.house,
            "orientationNumber": home.orientation, "city": home.city, "postalCode": home.postcode,
            "valid": True,
        }  # fmt: skip


def persons() -> Iterator[dict[str, Any]]:
    """As the register of persons answers."""
    codes = points()
    for each in PEOPLE:
        seed = f"demonstration {each.family} {each.given} {each.born}"
        document = {"type": "idcard", "country": "CZE", "number": each.document}
        yield {
            "pseudonym": hashlib.sha256(seed.encode()).hexdigest()[:24], "family": each.family,
            "given": each.given, "birthDate": each.born,
            "gender": "female" if each.sex == "f" else "male", "address": codes[each.home],
            "documents": [document] if each.document else [],
        }  # fmt: skip


def businesses() -> Iterator[dict[str, Any]]:
    """As the register of business answers."""
    codes = points()
    for each in FIRMS:
        ended = {"ended": each.ended} if each.ended else {}
        yield {"ico": each.ico, "name": each.name, "address": codes[each.home], **ended}
