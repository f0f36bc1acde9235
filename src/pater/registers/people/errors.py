"""The mistakes of those who write down persons, one function each, and sets of records with them.

How often each happens follows what is reported of registries: most records of a person differ by
one mistake, some by two or three, and about half leave out the birth number.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterator, Mapping
from random import Random
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from pater.registers.people.households import MOST, Person, people
from pater.registers.people.names import names
from pater.registers.people.patients import patient_of
from pater.registers.people.places import home

_BESIDE: Final = ("qwertzuiop", "asdfghjkl", "yxcvbnm")
_FAMILIAR: Final = {
    "Jan": "Honza", "Josef": "Pepa", "Jiří": "Jirka", "František": "Franta", "Karel": "Kája",
    "Jakub": "Kuba", "Tomáš": "Tom", "Jaroslav": "Jarda", "Miroslav": "Mirek", "Zdeněk": "Zdena",
    "Kateřina": "Katka", "Tereza": "Terka", "Barbora": "Bára", "Alžběta": "Běta", "Lucie": "Lucka",
    "Zuzana": "Zuzka", "Jana": "Janička", "Marie": "Maruška", "Hana": "Hanka", "Lenka": "Lena",
    "Petra": "Petruška", "Veronika": "Verča", "Ludmila": "Lída", "Eva": "Evka", "Michaela": "Míša",
    "Daniel": "Dan", "Vladimír": "Vláďa", "Stanislav": "Standa", "Magdaléna": "Magda",
}  # fmt: skip


class Record(NamedTuple):
    """One record of a set: whose it is, what was written, and the mistakes in it."""

    person: int
    patient: dict[str, Any]
    mistakes: tuple[str, ...]
    country: str = "CZE"


Mistake = Callable[[Person, Random], Person | None]
"""A person as mistaken; None where the mistake cannot be made."""


def _typo(text: str, random: Random) -> str:
    """One letter left out, doubled, swapped with the next, or replaced by one beside it."""
    at = random.randrange(1, len(text)) if random.random() < 0.9 else 0
    kind = random.randrange(4)
    if kind == 0:
        return text[:at] + text[at + 1 :]
    if kind == 1:
        return text[: at + 1] + text[at] + text[at + 1 :]
    if kind == 2 and at + 1 < len(text):
        return text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    row = next((row for row in _BESIDE if _unmarked(text[at]).lower() in row), _BESIDE[1])
    place = max(row.find(_unmarked(text[at]).lower()), 0)
    letter = row[place + 1] if place + 1 < len(row) else row[place - 1]
    return text[:at] + (letter.upper() if text[at].isupper() else letter) + text[at + 1 :]


def _unmarked(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text)
    return "".join(c for c in plain if not unicodedata.combining(c))


def _changed(old: Person, new: Person) -> Person | None:
    return None if old == new else new


def _family_typo(p: Person, random: Random) -> Person | None:
    return p._replace(family=_typo(p.family, random)) if len(p.family) > 3 else None


def _given_typo(p: Person, random: Random) -> Person | None:
    first = p.givens[0]
    return p._replace(givens=(_typo(first, random), *p.givens[1:])) if len(first) > 2 else None


def _no_marks(p: Person, random: Random) -> Person | None:
    return _changed(
        p,
        p._replace(
            family=_unmarked(p.family),
            maiden=_unmarked(p.maiden),
            givens=tuple(map(_unmarked, p.givens)),
            home=p.home._replace(street=_unmarked(p.home.street), city=_unmarked(p.home.city)),
        ),
    )


def _names_swapped(p: Person, random: Random) -> Person | None:
    return p._replace(family=p.givens[0], givens=(p.family,), maiden="")


def _familiar_name(p: Person, random: Random) -> Person | None:
    form = _FAMILIAR.get(p.givens[0])
    return p._replace(givens=(form, *p.givens[1:])) if form else None


def _second_name(p: Person, random: Random) -> Person | None:
    if len(p.givens) > 1:
        return p._replace(givens=p.givens[random.randrange(2) :][:1])
    return p._replace(givens=(*p.givens, names().given(random, p.sex, p.born.year)))


def _day_month(p: Person, random: Random) -> Person | None:
    if p.born.day > 12 or p.born.day == p.born.month:
        return None
    return p._replace(born=p.born.replace(month=p.born.day, day=p.born.month))


def _date_digit(p: Person, random: Random) -> Person | None:
    text = p.born.isoformat()
    at = random.choice((3, 2, 6, 9, 8, 9, 3))
    changed = text[:at] + str(random.randrange(10)) + text[at + 1 :]
    try:
        return _changed(p, p._replace(born=type(p.born).fromisoformat(changed)))
    except ValueError:
        return None


def _without_number(p: Person, random: Random) -> Person | None:
    return p._replace(birth_number="", insured_number="") if p.insured_number else None


def _number_digit(p: Person, random: Random) -> Person | None:
    number = p.birth_number
    if not number:
        return None
    at = random.randrange(len(number))
    if random.random() < 0.4 and at + 1 < len(number):
        wrong = number[:at] + number[at + 1] + number[at] + number[at + 2 :]
    else:
        wrong = f"{number[:at]}{random.randrange(10)}{number[at + 1 :]}"
    return _changed(p, p._replace(birth_number=wrong, insured_number=wrong))


def _married(p: Person, random: Random) -> Person | None:
    """The record is from before the wedding: her name was another, and mostly her address."""
    if not p.maiden:
        return None
    before = p._replace(family=p.maiden, maiden="")
    return before._replace(home=home(random)) if random.random() < 0.6 else before


def _no_maiden(p: Person, random: Random) -> Person | None:
    return _changed(p, p._replace(maiden=""))


def _half_name(p: Person, random: Random) -> Person | None:
    parts = p.family.split(" ")
    return p._replace(family=random.choice(parts)) if len(parts) > 1 else None


def _spelled(p: Person, random: Random) -> Person | None:
    """Somebody wrote a foreign name as they heard it: Ševčenko, not Shevchenko."""
    return _as(p, p.spelled)


def _own_script(p: Person, random: Random) -> Person | None:
    """The source has the name in its own script, or with all its marks."""
    return _as(p, p.own_script)


def _as(p: Person, names: tuple[str, str]) -> Person | None:
    given, family = names
    return _changed(p, p._replace(givens=tuple(given.split()), family=family)) if given else None


def _middle_word(p: Person, random: Random) -> Person | None:
    """The middle word of a Vietnamese name went with the family name, to the end, or nowhere."""
    if p.country != "VNM" or len(p.givens) < 2:
        return None
    middle, *rest = p.givens
    wrong = random.choice(("with the family", "last", "left out"))
    if wrong == "with the family":
        return p._replace(family=f"{p.family} {middle}", givens=tuple(rest))
    return p._replace(givens=(*rest, middle) if wrong == "last" else tuple(rest))


def _moved(p: Person, random: Random) -> Person | None:
    return p._replace(home=home(random))


def _home_typo(p: Person, random: Random) -> Person | None:
    place = p.home
    if place.street and random.random() < 0.5:
        place = place._replace(street=_typo(place.street, random))
    elif "/" in place.number:
        place = place._replace(number=random.choice(place.number.split("/")))
    else:
        at = random.randrange(5)
        digits = place.postcode
        place = place._replace(postcode=f"{digits[:at]}{random.randrange(10)}{digits[at + 1 :]}")
    return _changed(p, p._replace(home=place))


def _other_phone(p: Person, random: Random) -> Person | None:
    return p._replace(phone=f"7{random.randrange(10**8):08}") if p.phone else None


ERRORS: Final[Mapping[str, tuple[Mistake, int]]] = MappingProxyType(
    {
        "family-typo": (_family_typo, 14),
        "given-typo": (_given_typo, 8),
        "no-marks": (_no_marks, 12),
        "names-swapped": (_names_swapped, 4),
        "familiar-name": (_familiar_name, 4),
        "second-name": (_second_name, 4),
        "day-month-swapped": (_day_month, 5),
        "date-digit": (_date_digit, 9),
        "number-digit": (_number_digit, 8),
        "married": (_married, 12),
        "half-name": (_half_name, 2),
        "spelled": (_spelled, 20),
        "own-script": (_own_script, 8),
        "middle-word": (_middle_word, 10),
        "moved": (_moved, 14),
        "home-typo": (_home_typo, 8),
        "other-phone": (_other_phone, 6),
    }
)
"""Mistakes by name, with how often each is made among a hundred or so."""
_OMISSIONS: Final = (
    # what another source does not know or does not send
    ("without-number", _without_number, 0.5),
    ("no-maiden", _no_maiden, 0.7),
)


def mistaken(
    person: Person, random: Random, *, only: str = ""
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """A second record of the person, as another source would write it, and its mistakes.

    One to three mistakes; with `only` just that one. What another source leaves out (RID, document,
    point of the address, telecoms, sometimes the sex or the whole address) it leaves out here.
    """
    made: list[str] = []
    wrong = person
    if only:
        changed = ERRORS[only][0](person, random)
        if changed is None:
            return patient_of(person, rid=False), ()
        return patient_of(changed, rid=False), (only,)
    wanted = random.choices((0, 1, 2, 3), (20, 50, 22, 8))[0]
    kinds = list(ERRORS)
    weights = [weight for _, weight in ERRORS.values()]
    for _ in range(wanted * 5):
        kind = random.choices(kinds, weights)[0]
        changed = None if kind in made else ERRORS[kind][0](wrong, random)
        if changed is not None:
            wrong = changed
            made.append(kind)
            wanted -= 1
        if wanted == 0:
            break
    for name, omit, share in _OMISSIONS:
        if random.random() < share:
            changed = omit(wrong, random)
            if changed is not None:
                wrong = changed
                made.append(name)
    patient = patient_of(wrong, rid=False)
    _leave_out(patient, random)
    return patient, tuple(made)


def _leave_out(patient: dict[str, Any], random: Random) -> None:
    if random.random() < 0.7:
        patient["identifier"] = [
            i for i in patient["identifier"] if i["system"].endswith(("rcis", "cpoj"))
        ]
    for address in patient["address"]:
        if random.random() < 0.8:
            del address["extension"]
    if random.random() < 0.15:
        del patient["address"]
    if random.random() < 0.4:
        patient.pop("telecom", None)
    if random.random() < 0.03:
        del patient["gender"]
    if random.random() < 0.03:
        patient["birthDate"] = patient["birthDate"][:4]
    if random.random() < 0.5:
        patient.pop("multipleBirthInteger", None)
    if not patient["identifier"]:
        del patient["identifier"]


def dataset(
    seed: int, count: int, *, share: float = 0.2, foreigners: bool = False
) -> Iterator[Record]:
    """`count` records of which about `share` are second and third records of a person before.

    The first record of each person is as it is, with everything but the RID. With `foreigners` they
    are of nobody else.
    """
    random = Random(seed)  # noqa: S311 - invents people, no secrets
    made = 0
    for person in people(seed, MOST if foreigners else count):
        if foreigners and person.country == "CZE":
            continue
        yield Record(person.number, patient_of(person, rid=False), (), person.country)
        made += 1
        while made < count and random.random() < share:
            patient, mistakes = mistaken(person, random)
            yield Record(person.number, patient, mistakes, person.country)
            made += 1
        if made >= count:
            return
