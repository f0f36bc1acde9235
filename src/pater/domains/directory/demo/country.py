"""A made-up register of a country, seeded: so many facilities and professionals, as resources.

Places lie around the towns as people do, offer what facilities offer, and open when they do.
Nobody and nothing in it exists; the numbers are well formed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import accumulate
from random import Random
from typing import Any, Final

from pater.domains.directory.model import (
    Address,
    Place,
    Professional,
    Qualification,
    places_resources,
    professionals_resources,
)
from pater.domains.directory.towns import TOWNS
from pater.registers.identifiers import ico_from
from pater.registers.providers.hours import read_hours

PLACES: Final = 35_000
PROFESSIONALS: Final = 400_000
_DAY: Final = date(2026, 1, 1)
# kind, its code, fields of care, how many of a thousand
_KINDS: Final = (
    ("Samostatná ordinace praktického lékaře", "320", ("všeobecné praktické lékařství",), 180),
    ("Samostatná ordinace praktického lékaře pro děti", "321",
     ("praktické lékařství pro děti a dorost",), 70),
    ("Samostatná ordinace zubního lékaře", "322", ("zubní lékařství",), 190),
    ("Samostatná ordinace gynekologa", "323", ("gynekologie a porodnictví",), 60),
    ("Samostatná ordinace specialisty", "330", ("kardiologie", "vnitřní lékařství"), 50),
    ("Samostatná ordinace specialisty", "330", ("dermatovenerologie",), 40),
    ("Samostatná ordinace specialisty", "330", ("oftalmologie",), 45),
    ("Samostatná ordinace specialisty", "330", ("neurologie",), 40),
    ("Samostatná ordinace specialisty", "330", ("psychiatrie",), 35),
    ("Samostatná ordinace specialisty", "330", ("ortopedie a traumatologie",), 40),
    ("Samostatné zařízení fyzioterapeuta", "340", ("fyzioterapie",), 80),
    ("Lékárna", "610", ("lékárenská péče",), 110),
    ("Odborná laboratoř", "361", ("klinická biochemie", "hematologie"), 30),
    ("Domácí zdravotní péče", "350", ("ošetřovatelství",), 22),
    ("Nemocnice", "102", ("vnitřní lékařství", "chirurgie", "kardiologie", "urgentní medicína",
                          "gynekologie a porodnictví", "neurologie", "dětské lékařství"), 6),
    ("Samostatná ordinace specialisty", "330", ("hyperbarická a letecká medicína",), 2),
)  # fmt: skip
_HOURS: Final = (
    "Po-Pá 7:00-13:00", "Po-Pá 7:30-12:00, 13:00-15:30", "Po,St 12:00-18:00; Út,Čt,Pá 7:00-13:00",
    "Po-Pá 8:00-18:00; So 8:00-12:00", "Po-Čt 8:00-16:00; Pá 8:00-13:00",
)  # fmt: skip
_NIGHT: Final = ("nonstop", "Po-Ne 18:00-6:00", "nonstop")
_WOMEN: Final = ("Jana", "Eva", "Anna", "Lucie", "Petra", "Alena", "Hana", "Věra", "Lenka")
_MEN: Final = ("Jan", "Petr", "Pavel", "Tomáš", "Jiří", "Martin", "Milan", "Karel", "David")
_SURNAMES: Final = (
    ("Novák", "Nováková"), ("Svoboda", "Svobodová"), ("Dvořák", "Dvořáková"), ("Černý", "Černá"),
    ("Procházka", "Procházková"), ("Kučera", "Kučerová"), ("Veselý", "Veselá"),
    ("Horák", "Horáková"), ("Němec", "Němcová"), ("Pokorný", "Pokorná"), ("Marek", "Marková"),
    ("Beneš", "Benešová"), ("Fiala", "Fialová"), ("Sedláček", "Sedláčková"),
    ("Doležal", "Doležalová"),
)  # fmt: skip

Json = dict[str, Any]


def places(seed: int, count: int = PLACES) -> Iterator[Place]:
    """So many facilities, the same for the same seed."""
    random = Random(seed)  # noqa: S311 nothing of it is secret
    kinds = list(accumulate(weight for *_, weight in _KINDS))
    people = list(accumulate(size for *_, size in TOWNS))
    for number in range(count):
        kind, code, fields, _ = random.choices(_KINDS, cum_weights=kinds)[0]
        town, lat, lon, size = random.choices(TOWNS, cum_weights=people)[0]
        spread = 0.04 if random.random() < 0.6 else 0.25
        ico = ico_from(f"{9_000_000 + number:07}")
        night = code == "102" or (code == "610" and random.random() < 0.03)
        hours = random.choice(_NIGHT if night else _HOURS)
        family = random.choice(_SURNAMES)[0]
        name = f"{kind} {family} {number}" if code != "102" else f"Nemocnice {town} {number}"
        yield Place(
            key=str(500_000 + number),
            ico=ico,
            name=name,
            provider=f"{family} {number} s.r.o.",
            kind_code=code,
            kind=kind,
            address=Address(f"Ulice {random.randrange(200)}", town, f"{100 + size % 800} 00"),
            lat=round(lat + random.gauss(0, spread * 0.65), 6),
            lon=round(lon + random.gauss(0, spread), 6),
            fields=fields,
            hours=tuple(read_hours(hours)),
            since=date(1993 + random.randrange(30), 1, 1),
            permit=f"KU/{number}",
            phones=(f"+420 5{number:08}",),
        )


def professionals(seed: int, count: int, of: int) -> Iterator[Professional]:
    """So many professionals, each employed at one of the `of` facilities of the same seed."""
    random = Random(seed + 1)  # noqa: S311
    for number in range(count):
        woman = random.random() < 0.8
        at = random.randrange(max(1, of))
        physician = random.random() < 0.15
        field = _KINDS[random.randrange(len(_KINDS))][2][0]
        yield Professional(
            krzp=str(100_000_000 + 11 * number),
            family=random.choice(_SURNAMES)[woman],
            given=random.choice(_WOMEN if woman else _MEN),
            prefix="MUDr." if physician else "",
            gender="female" if woman else "male",
            qualifications=(Qualification("specialised", field, "2010"),) if physician else (),
            profession_code="L1" if physician else "NL01",
            profession="lékař" if physician else "všeobecná sestra",
            specialty=field if physician else "",
            ico=ico_from(f"{9_000_000 + at:07}"),
            place=str(500_000 + at),
            since=date(2000 + random.randrange(25), 1 + random.randrange(12), 1),
        )


def resources(seed: int, facilities: int, people: int) -> Iterator[Json]:
    """The whole register as FHIR resources, each once."""
    for place in places(seed, facilities):
        yield from places_resources(place, _DAY)
    for person in professionals(seed, people, facilities):
        yield from professionals_resources(person, _DAY)
