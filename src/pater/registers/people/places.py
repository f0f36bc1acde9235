"""Where invented persons live: towns with streets, and villages whose houses are only numbered."""

from __future__ import annotations

from bisect import bisect
from itertools import accumulate
from random import Random
from typing import Final, NamedTuple

_TOWNS: Final = (
    ("Praha", 1_300, 10000, 19900), ("Brno", 400, 60200, 64400), ("Ostrava", 285, 70030, 72529),
    ("Plzeň", 180, 30100, 32600), ("Liberec", 107, 46001, 46014), ("Olomouc", 102, 77900, 78301),
    ("České Budějovice", 97, 37001, 37010), ("Hradec Králové", 93, 50002, 50012),
    ("Ústí nad Labem", 91, 40001, 40011), ("Pardubice", 92, 53002, 53009),
    ("Zlín", 74, 76001, 76005), ("Havířov", 69, 73601, 73601), ("Kladno", 69, 27201, 27204),
    ("Most", 63, 43401, 43401), ("Opava", 55, 74601, 74707), ("Frýdek-Místek", 54, 73801, 73802),
    ("Jihlava", 51, 58601, 58601), ("Karviná", 49, 73301, 73506), ("Teplice", 50, 41501, 41501),
    ("Chomutov", 47, 43001, 43004), ("Karlovy Vary", 49, 36001, 36020),
    ("Děčín", 47, 40501, 40505), ("Jablonec nad Nisou", 46, 46601, 46606),
    ("Mladá Boleslav", 46, 29301, 29301), ("Prostějov", 43, 79601, 79604),
    ("Přerov", 41, 75002, 75002), ("Česká Lípa", 37, 47001, 47006), ("Třebíč", 35, 67401, 67401),
    ("Třinec", 34, 73961, 73961), ("Tábor", 34, 39001, 39005), ("Znojmo", 34, 66902, 67181),
    ("Kolín", 33, 28002, 28002), ("Příbram", 32, 26101, 26101), ("Cheb", 33, 35002, 35002),
    ("Písek", 30, 39701, 39701), ("Trutnov", 29, 54101, 54103), ("Kroměříž", 28, 76701, 76701),
    ("Orlová", 28, 73511, 73514), ("Vsetín", 25, 75501, 75501), ("Šumperk", 25, 78701, 78701),
    ("Uherské Hradiště", 25, 68601, 68606), ("Břeclav", 24, 69002, 69141),
    ("Hodonín", 24, 69501, 69501), ("Litoměřice", 23, 41201, 41201), ("Klatovy", 23, 33901, 33901),
    ("Strakonice", 22, 38601, 38601), ("Kopřivnice", 21, 74221, 74221),
    ("Jindřichův Hradec", 21, 37701, 37701), ("Žďár nad Sázavou", 20, 59101, 59102),
    ("Vyškov", 20, 68201, 68201),
)  # fmt: skip
_VILLAGES: Final = 5_800  # thousands of people: the rest of the country
_STREETS: Final = (
    "Nádražní Školní Zahradní Husova Hlavní Komenského Polní Krátká Dlouhá Palackého Jiráskova"
    " Nerudova Havlíčkova Sokolská Tyršova Masarykova Lidická Lipová Luční Sadová Smetanova"
    " Dvořákova Zámecká Pražská Brněnská Okružní Dukelská Riegrova Žižkova Fügnerova Erbenova"
    " Čapkova Wolkerova Mánesova Alšova Kollárova Jungmannova Vrchlického Tylova Boženy Němcové"
    " Na Vyhlídce Na Kopci Pod Lesem Za Humny U Hřiště U Školy Na Výsluní Slunečná Lesní Jarní"
    " Tichá Mlýnská Kovářská Hřbitovní Kostelní Bezručova Švermova Fibichova Hálkova Májová"
    " Družstevní Průmyslová Sídliště Vodní Severní Jižní Východní Západní"
)  # fmt: skip
_TWO_WORDS: Final = ("Boženy Němcové", "Na Vyhlídce", "Na Kopci", "Pod Lesem", "Za Humny",
                     "U Hřiště", "U Školy", "Na Výsluní")  # fmt: skip
_FIRST: Final = ("Nová", "Stará", "Dolní", "Horní", "Malá", "Velká", "Česká", "Německá", "Dlouhá",
                 "Kamenná", "Suchá", "Bílá", "Červená", "Černá", "Zadní", "Přední")  # fmt: skip
_SECOND: Final = ("Ves", "Lhota", "Hora", "Voda", "Studnice", "Bystřice", "Olešnice", "Lípa",
                  "Rokytnice", "Dobrá", "Břízka", "Skalice", "Třešňovka", "Libava", "Morava",
                  "Kamenice", "Radouň", "Sázava", "Bukovina", "Javorná")  # fmt: skip


class Home(NamedTuple):
    """An address: `street` is empty in a village, whose houses have numbers only."""

    street: str
    number: str
    postcode: str
    city: str
    point: str  # code of the address point (invented)


def _streets() -> tuple[str, ...]:
    text = _STREETS
    for name in _TWO_WORDS:
        text = text.replace(name, "")
    return (*text.split(), *_TWO_WORDS)


_ALL_STREETS: Final = _streets()
_SUMS: Final = list(accumulate([*(town[1] for town in _TOWNS), _VILLAGES]))


def home(random: Random) -> Home:
    """An address, towns as likely as they are large."""
    place = bisect(_SUMS, random.random() * _SUMS[-1])
    if place < len(_TOWNS):
        city, people, low, high = _TOWNS[place]
        streets = min(max(people // 2, 12), len(_ALL_STREETS))
        house = random.randint(1, 2_500)
        number = f"{house}/{random.randint(1, 60)}" if random.random() < 0.6 else str(house)
        street = _ALL_STREETS[random.randrange(streets)]
        code = random.randint(low, high)
        # offices for every place of a town: round numbers in the large ones
        postcode = code - code % 100 if high - low > 1_000 else code
    else:
        village = random.randrange(6_000)
        city = f"{_FIRST[village % 16]} {_SECOND[village // 16 % 20]}"
        postcode = 25_001 + village * 9 % 54_000
        street, number = "", str(random.randint(1, 320))
    point = str(random.randrange(10_000_000, 90_000_000))
    return Home(street, number, f"{postcode:05}", city, point)
