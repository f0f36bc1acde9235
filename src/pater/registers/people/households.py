"""Invented persons in their households: who lives with whom, who is whose child, who is a twin.

Persons are numbered; ten of a block are made together from the seed and the block's number, so any
of them can be made without the others. Birth numbers and RIDs are unique over all of them: the
block's number says the day and serial, and blocks that share those lie in different years or have
the sexes the other way round.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache
from random import Random
from typing import Final, NamedTuple

from pater.registers.identifiers import rid_from
from pater.registers.people import foreign
from pater.registers.people.foreign import Line
from pater.registers.people.names import Family, names
from pater.registers.people.places import Home, home

BLOCK: Final = 10
_SHIFTS: Final = 66  # 33 years, each with both sexes
_SERIALS: Final = 454
_ROOTS: Final = 365 * _SERIALS // BLOCK
MOST: Final = _ROOTS * _SHIFTS * BLOCK
"""So many persons there are."""
_SPREAD: Final = 6_151  # no common divisor with _ROOTS: neighbours get far places
_DAYS: Final = 139  # likewise with 365

_INSURERS: Final = ("111", "111", "111", "111", "201", "205", "205", "207", "211", "209", "213")


class Person(NamedTuple):
    """One invented person as they truly are."""

    number: int
    rid: str
    givens: tuple[str, ...]
    family: str
    maiden: str  # a married woman's name before
    spelled: tuple[str, str]  # given and family name as the Czech write a foreigner's, or empty
    own_script: tuple[str, str]  # likewise in the own script or with all marks, or empty
    sex: str  # m, f
    born: date
    birth_number: str  # a foreigner may have none
    insured_number: str
    insurer: str
    document: str  # of an identity card, or a foreigner's passport
    country: str  # ISO 3166 alpha-3
    home: Home
    phone: str
    email: str
    mother: int  # her number among the invented persons, or -1
    order: int  # of birth, for twins, else 0


class _Member(NamedTuple):
    """One place in a block, before it is somebody."""

    sex: str
    year: int
    role: str  # single, husband, wife, child, twin
    household: int


def people(seed: int, count: int, *, first: int = 0) -> Iterator[Person]:
    """`count` persons from number `first` on. ValueError beyond `MOST`."""
    if not 0 <= first <= first + count <= MOST:
        raise ValueError(f"there are {MOST} invented persons")
    number, end = first, first + count
    while number < end:
        block = number // BLOCK
        for person in _block(seed, block):
            if number <= person.number < end:
                yield person
        number = (block + 1) * BLOCK


@lru_cache(maxsize=4096)
def _structure(root: int) -> tuple[_Member, ...]:
    """Ten places: the same for all blocks of a root, so that they differ by year and sex only."""
    random = Random(root)  # noqa: S311 - invents people, no secrets
    members: list[_Member] = []
    household = 0
    while len(members) < BLOCK:
        kind = random.random()
        made: list[_Member] = []
        if kind < 0.3:
            year = random.randint(1925, 1974)
            made = [_Member(random.choice("mf"), year, "single", household)]
        else:
            father = random.randint(1944, 1966) if kind > 0.5 else random.randint(1925, 1950)
            made = [
                _Member("m", father, "husband", household),
                _Member("f", father + random.randint(-1, 3), "wife", household),
            ]
            if kind > 0.5:
                youngest = min(made[1].year + 32, 1993)
                for _ in range(random.choice((1, 1, 2, 2, 2, 3))):
                    year = random.randint(made[1].year + 20, youngest)
                    made.append(_Member(random.choice("mf"), year, "child", household))
                    if random.random() < 0.03:
                        twin = random.choice("mf")
                        made.append(_Member(twin, year, "twin", household))
        if len(members) + len(made) <= BLOCK:
            members += made
            household += 1
        elif BLOCK - len(members) < 3:
            members.append(_Member(random.choice("mf"), 1950, "single", household))
            household += 1
    return tuple(members)


def _block(seed: int, block: int) -> Iterator[Person]:
    root, shift = divmod(block, _SHIFTS)
    years, flipped = divmod(shift, 2)
    random = Random(seed << 32 | block)  # noqa: S311 - invents people, no secrets
    household, mates = -1, dict[str, Person]()
    own, place, abroad = names().family(random), home(random), ""
    line: Line | None = None
    for position, member in enumerate(_structure(root)):
        if member.household != household:
            household, mates = member.household, {}
            own, place = names().family(random), home(random)
            abroad = foreign.country(random)
            line = foreign.line(random, abroad) if abroad else None
        sex = member.sex if not flipped else "mf"[member.sex == "m"]
        twin = member.role == "twin"  # has the day of the one before and the serial after theirs
        code = root * _SPREAD % _ROOTS * BLOCK + position - twin
        serial = code // 365 * 2 + twin
        born = date(member.year + years, 1, 1) + timedelta(days=code * _DAYS % 365)
        person = _person(
            random, block * BLOCK + position, member, sex, born, serial, own, place,
            (abroad, line), mates,
        )  # fmt: skip
        mates[member.role] = person
        yield person


def _person(
    random: Random,
    number: int,
    member: _Member,
    sex: str,
    born: date,
    serial: int,
    own: Family,
    place: Home,
    abroad: tuple[str, Line | None],
    mates: dict[str, Person],
) -> Person:
    family, maiden = own.woman if sex == "f" else own.man, ""
    spelled = own_script = ("", "")
    country, line = abroad
    if line is not None:
        taken = [" ".join(mate.givens) for mate in mates.values()]
        given = foreign.given(random, country, sex, taken)
        name = line.woman if sex == "f" else line.man
        family, givens = name.passport, tuple(given.passport.split())
        spelled, own_script = (given.czech, name.czech), (given.own, name.own)
    else:
        givens = _given_names(random, member, sex, born.year, mates)
        if sex == "f" and member.role in ("wife", "husband") and random.random() < 0.93:
            maiden = names().family(random).woman
            if random.random() < 0.03:
                family = f"{family} {maiden}"
    # a foreigner has a passport and an insured number, few have a birth number
    has_number = not country or random.random() < 0.4
    unique = _birth_number(born, sex, serial, 0 if has_number else 50)
    mother = mates.get("wife") or mates.get("husband")
    if mother is not None and mother.sex != "f":
        mother = mates.get("husband")
    child = member.role in ("child", "twin")
    return Person(
        number=number,
        rid=rid_from(1_000_000_000 + number * 800),
        givens=givens,
        family=family,
        maiden=maiden,
        spelled=spelled,
        own_script=own_script,
        sex=sex,
        born=born,
        birth_number=unique if has_number else "",
        insured_number=unique,
        insurer=random.choice(_INSURERS),
        document=passport(number) if country else str(100_000_000 + number * 79 % 900_000_000),
        country=country or "CZE",
        home=place,
        phone=f"{random.choice('67')}{random.randrange(10**8):08}" if random.random() < 0.8 else "",
        email=_email(random, givens[0], family) if random.random() < 0.5 else "",
        mother=mother.number if child and mother is not None else -1,
        order=2 if member.role == "twin" else 0,
    )  # fmt: skip


def _given_names(
    random: Random, member: _Member, sex: str, year: int, mates: dict[str, Person]
) -> tuple[str, ...]:
    if member.role == "child" and random.random() < 0.08:
        parent = mates["husband"] if mates["husband"].sex == sex else mates["wife"]
        return parent.givens[:1]  # a son is called like his father
    taken = {mates[role].givens[0] for role in ("child", "twin") if role in mates}
    given = names().given(random, sex, year)
    while given in taken:
        given = names().given(random, sex, year)
    if random.random() < 0.04:
        return (given, names().given(random, sex, year))
    return (given,)


def _birth_number(born: date, sex: str, serial: int, shift: int = 0) -> str:
    """The birth number with the given place among the valid ones of that day (0 to 907).

    `shift` is added to the day: 50 in the insured numbers of foreigners.
    """
    stem = f"{born.year % 100:02}{born.month + (50 if sex == 'f' else 0):02}{born.day + shift:02}"
    if born.year < 1954:
        return f"{stem}{serial + 1:03}"
    return f"{stem}{-int(stem) * 10_000 % 11 + 11 * serial:04}"


def passport(number: int) -> str:
    """The number of a passport: two letters for every 900,000 persons, six digits for each."""
    series, place = divmod(number, 900_000)
    return f"{'FEGM'[series % 4]}{'ABCDX'[series // 4]}{100_000 + place * 7 % 900_000}"


def _email(random: Random, given: str, family: str) -> str:
    from_name = f"{given}.{family}".lower().replace(" ", "")
    return f"{from_name}{random.randrange(100)}@example.cz"
