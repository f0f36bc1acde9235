"""Compares two persons attribute by attribute: at which level they agree.

Pure. A level is an index into the attribute's levels, from the same to different; NEUTRAL where one
side is not known. What a level weighs is the model's business.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final, NamedTuple

from rapidfuzz.distance import DamerauLevenshtein, JaroWinkler

from pater.registers.matching.features import Address, Features
from pater.registers.matching.names import familiar, heard
from pater.registers.matching.spelling import other_script, readings

NEUTRAL: Final = -1
_GIVEN_DIFFERENT: Final = 9
_GIVEN_VAGUE: Final = 6  # from here on an initial, or letters that differ
_BORN_DIFFERENT: Final = 6
_SPELLED: Final = 0.7  # two spellings of one name are at least so alike, and few others
_SURE: Final = 0.88  # of names that stand in each other's place
_MISSPELT: Final = 0.8
_alike = JaroWinkler.similarity
_edits = DamerauLevenshtein.distance

Compare = Callable[[Features, Features], int]


class Attribute(NamedTuple):
    """What is compared: its levels by name, the same first, different last, and how."""

    levels: tuple[str, ...]
    compare: Compare


def _families(a: Features, b: Features) -> int:
    mine, theirs = a.families, b.families
    if not mine or not theirs:
        return NEUTRAL
    if mine[0] == theirs[0]:
        return 0
    one, other = a.stems, b.stems
    if one[0] == other[0]:
        if a.families_plain[0] != b.families_plain[0]:
            return 3
        return 2 if _scripts_differ(mine[0], theirs[0]) else 1
    if len(one) + len(other) > 2 and not set(one).isdisjoint(other):
        return 3
    alike = _alike(one[0], other[0])
    if alike >= _SPELLED and not heard(mine[0]).isdisjoint(heard(theirs[0])):
        return 2
    if a.former or b.former:
        former = not {*one, *a.former}.isdisjoint(b.former) or not set(a.former).isdisjoint(other)
        if former:
            return 4
    if _swapped(a, b):
        return 5
    if _parts_meet(one[0], other[0]):
        return 6
    return 7 if alike >= 0.92 else 8 if alike >= 0.84 else 9


def _scripts_differ(one: str, other: str) -> bool:
    return other_script(one) != other_script(other)


def _swapped(a: Features, b: Features) -> bool:
    """Whether the family name of one is the given name of the other, and the other way round.

    One of the two surely, the other may be misspelt too.
    """
    if not (a.givens and b.givens):
        return False
    family, given = a.families_plain[0], a.givens_plain[0]
    other_family, other_given = b.families_plain[0], b.givens_plain[0]
    one, other = _alike(family, other_given), _alike(given, other_family)
    if max(one, other) < _SPELLED:
        return False
    sure = (
        one >= _SURE or not readings(a.families[0]).isdisjoint(readings(b.givens[0])),
        other >= _SURE or not readings(a.givens[0]).isdisjoint(readings(b.families[0])),
    )
    return any(sure) and all(
        said or alike >= _MISSPELT or _one_edit(*pair)
        for said, alike, pair in zip(
            sure, (one, other), ((family, other_given), (given, other_family)), strict=True
        )
    )


def _parts_meet(one: str, other: str) -> bool:
    if " " not in one and " " not in other:
        return False
    return not set(one.split()).isdisjoint(other.split())


def _givens(a: Features, b: Features) -> int:
    mine, theirs = a.givens, b.givens
    if not mine or not theirs:
        return NEUTRAL
    if mine[0] == theirs[0]:
        return 0
    one, other = a.givens_plain, b.givens_plain
    first, second = one[0], other[0]
    if first == second:
        return 2 if _scripts_differ(mine[0], theirs[0]) else 1
    alike = _alike(first, second)
    if alike >= _SPELLED and not readings(mine[0]).isdisjoint(readings(theirs[0])):
        return 2
    if len(one) + len(other) > 2 and not set(one).isdisjoint(other):
        return 3
    if familiar(first, second):
        return 4
    if a.families and b.families and _swapped(a, b):
        return 5
    if len(first) == 1 or len(second) == 1:
        return 6 if first[0] == second[0] else 9
    if alike >= 0.92:
        return 7
    return 8 if alike >= 0.8 or _edits(first, second, score_cutoff=1) <= 1 else 9


def _born(a: Features, b: Features) -> int:
    one, other = a.born, b.born
    if not one or not other:
        return NEUTRAL
    if one == other:
        return 0 if len(one) == 8 else 4
    if len(one) != 8 or len(other) != 8:
        return 4 if one.startswith(other) or other.startswith(one) else 6
    if one[:4] == other[:4] and one[4:6] == other[6:] and one[6:] == other[4:6]:
        return 1
    differ = sum(x != y for x, y in zip(one, other, strict=True))
    if differ == 1:
        return 2
    if differ == 2 and _edits(one, other) == 1:
        return 3
    if one[:4] == other[:4]:
        return 5 if one[4:6] == other[4:6] or one[6:] == other[6:] else 6
    return 5 if one[4:] == other[4:] else 6


def _sex(a: Features, b: Features) -> int:
    if not a.sex or not b.sex:
        return NEUTRAL
    return 0 if a.sex == b.sex else 1


def _numbers(one: str, other: str) -> int:
    if not one or not other:
        return NEUTRAL
    if one == other:
        return 0
    if len(one) == len(other):
        differ = sum(x != y for x, y in zip(one, other, strict=True))
        if differ == 1 or (differ == 2 and _edits(one, other) == 1):
            return 1
        return 2 if differ == 2 else 3
    return 1 if _edits(one, other, score_cutoff=1) == 1 else 3


def _birth_number(a: Features, b: Features) -> int:
    level = _numbers(a.birth_number, b.birth_number)
    if level > 0 and "b" in a.checked and "b" in b.checked and len(a.birth_number) == 10:
        return 3  # a mistake would not have passed the check digit: near numbers are twins'
    return level


def _insured_number(a: Features, b: Features) -> int:
    # the insured number of most is the birth number: said twice it counts once
    mine, theirs = a.insured_number, b.insured_number
    if a.birth_number and b.birth_number:
        if mine == a.birth_number or theirs == b.birth_number:
            return NEUTRAL
        return _numbers(mine, theirs)
    return _numbers(mine or a.birth_number, theirs or b.birth_number)


def _rid(a: Features, b: Features) -> int:
    if not a.rid or not b.rid:
        return NEUTRAL
    return 0 if a.rid == b.rid else 1


def _documents(a: Features, b: Features) -> int:
    mine, theirs = a.documents, b.documents
    if not mine or not theirs:
        return NEUTRAL
    if mine == theirs or not set(mine).isdisjoint(theirs):
        return 0
    best = NEUTRAL
    for one in mine:
        kind, _, number = one.partition("|")
        for other in theirs:
            other_kind, _, other_number = other.partition("|")
            if kind == other_kind:
                level = max(_numbers(number, other_number), 1)
                best = level if best == NEUTRAL else min(best, level)
    return best


def _mother(a: Features, b: Features) -> int:
    return _numbers(a.mother, b.mother)


def _order(a: Features, b: Features) -> int:
    if not a.order or not b.order:
        return NEUTRAL
    return 0 if a.order == b.order else 1


def _shared(mine: Sequence[str], theirs: Sequence[str], near: Callable[[str, str], bool]) -> int:
    if not mine or not theirs:
        return NEUTRAL
    if mine[0] == theirs[0] or not set(mine).isdisjoint(theirs):
        return 0
    return 1 if any(near(one, other) for one in mine for other in theirs) else 2


def _one_edit(one: str, other: str) -> bool:
    return _edits(one, other, score_cutoff=1) <= 1


def _relatives(a: Features, b: Features) -> bool:
    """Whether given names or birth dates say that these are two people.

    Who lives at one address may be family: then the address tells much less.
    """
    if a.born != b.born and _born(a, b) == _BORN_DIFFERENT:
        return True
    return bool(
        a.givens and b.givens and a.givens[0] != b.givens[0] and _givens(a, b) == _GIVEN_DIFFERENT
    )


def _phones(a: Features, b: Features) -> int:
    level = _shared(a.phones, b.phones, _one_edit)
    return 2 if level == 0 and _relatives(a, b) else level + (level > 1)


def _emails(a: Features, b: Features) -> int:
    level = _shared(a.emails, b.emails, _one_edit)
    return 2 if level == 0 and _relatives(a, b) else level + (level > 1)


def _addresses(a: Features, b: Features) -> int:
    mine, theirs = a.addresses, b.addresses
    if not mine or not theirs:
        return NEUTRAL
    level = _address(mine[0], theirs[0])
    if level and len(mine) + len(theirs) > 2:
        level = min(_address(one, other) for one in mine for other in theirs)
    if level > 2:
        return level + 1
    return 3 if _relatives(a, b) else level


def _address(a: Address, b: Address) -> int:
    if a == b:
        return 0
    if a.point and a.point == b.point:
        return 0
    house = _same_house(a.number, b.number)
    town = bool(a.postcode and a.postcode == b.postcode) or bool(a.city and a.city == b.city)
    if house and a.street == b.street and a.street:
        return 0 if town else 2
    if house and town:
        if a.street and b.street and _alike(a.street, b.street) >= 0.85:
            return 1
        return 2
    if town and a.street and a.street == b.street:
        return 3
    if town:
        return 4
    if a.postcode and b.postcode and _one_edit(a.postcode, b.postcode):
        return 4 if house else 5
    return 5


def _same_house(one: str, other: str) -> bool:
    """Whether house numbers mean one house: 123/4 is 123, and 4 where only one of them is said."""
    if not one or not other:
        return False
    return one == other or not set(one.split("/")).isdisjoint(other.split("/"))


def _part(name: str) -> Compare:
    """One field of the first address by itself, for sets whose columns come apart."""
    place = Address._fields.index(name)
    other_place = Address._fields.index("district" if name == "street" else "street")
    crossing = name in ("street", "district")

    def compare(a: Features, b: Features) -> int:
        if not a.addresses or not b.addresses:
            return NEUTRAL
        one, other = a.addresses[0][place], b.addresses[0][place]
        if not one or not other:
            return NEUTRAL
        if one == other:
            return 0
        if crossing and one == b.addresses[0][other_place]:
            return 1
        if place in (1, 2):
            return 1 if _one_edit(one, other) else 3
        alike = _alike(one, other)
        return 1 if alike >= 0.92 else 2 if alike >= 0.8 else 3

    return compare


_PART_LEVELS: Final = ("same", "near", "alike", "different")
_NUMBER_LEVELS: Final = ("same", "one-digit", "two-digits", "different")

ATTRIBUTES: Final[Mapping[str, Attribute]] = MappingProxyType(
    {
        "family": Attribute(
            ("same", "marks", "spelling", "gender-form", "former", "swapped", "part", "near",
             "alike", "different"),
            _families,
        ),
        "given": Attribute(
            ("same", "marks", "spelling", "second-name", "familiar", "swapped", "initial", "near",
             "alike", "different"),
            _givens,
        ),
        "born": Attribute(
            ("same", "day-month-swapped", "one-digit", "digits-swapped", "partial",
             "two-parts", "different"),
            _born,
        ),
        "sex": Attribute(("same", "different"), _sex),
        "birth-number": Attribute(_NUMBER_LEVELS, _birth_number),
        "insured-number": Attribute(_NUMBER_LEVELS, _insured_number),
        "rid": Attribute(("same", "different"), _rid),
        "document": Attribute(_NUMBER_LEVELS, _documents),
        "address": Attribute(
            ("same", "street-alike", "house-number", "relatives", "street", "town", "different"),
            _addresses,
        ),
        "phone": Attribute(("same", "one-digit", "relatives", "different"), _phones),
        "email": Attribute(("same", "one-letter", "relatives", "different"), _emails),
        "mother": Attribute(_NUMBER_LEVELS, _mother),
        "birth-order": Attribute(("same", "different"), _order),
        **{
            f"address-{name}": Attribute(_PART_LEVELS, _part(name))
            for name in ("street", "number", "postcode", "city", "district", "state")
        },
    }
)  # fmt: skip
"""All attributes that a model may weigh, by name."""


def contradictions(a: Features, b: Features) -> tuple[str, ...]:
    """Why these two may not be taken for one without a human being, whatever the weight says.

    Verified numbers that differ; what tells twins apart (given name, sex, order of birth); birth
    dates that are not the same, unless a verified number is (a father and a son of one name).
    """
    found = []
    same_number = _same_checked(a, b)
    if _checked_differ(a, b):
        found.append("number")
    if a.rid and b.rid and a.rid != b.rid:
        found.append("rid")
    if a.order and b.order and a.order != b.order:
        found.append("birth-order")
    if a.sex and b.sex and a.sex != b.sex and not same_number:
        found.append("sex")
    given = _givens(a, b)
    if given == _GIVEN_DIFFERENT or (given >= _GIVEN_VAGUE and not same_number):
        found.append("given")
    born = _born(a, b)
    if born == 6 or (born > 0 and not same_number):
        found.append("born")
    return tuple(found)


def told_apart(a: Features, b: Features) -> bool:
    """Whether enough is said of both to tell them from their relatives, who share all the rest:
    twins by the given name, a father and a son of one name by the birth date. A verified number
    that is the same is enough.
    """
    return bool(a.givens and b.givens and a.born and b.born) or _same_checked(a, b)


def _same_checked(a: Features, b: Features) -> bool:
    one = _checked(a)
    return (bool(one) and not one.isdisjoint(_checked(b))) or (bool(a.rid) and a.rid == b.rid)


def _checked(f: Features) -> frozenset[str]:
    numbers = []
    if "b" in f.checked:
        numbers.append(f.birth_number)
    if "i" in f.checked:
        numbers.append(f.insured_number)
    return frozenset(numbers)


def _checked_differ(a: Features, b: Features) -> bool:
    births = "b" in a.checked and "b" in b.checked and a.birth_number != b.birth_number
    insured = "i" in a.checked and "i" in b.checked and a.insured_number != b.insured_number
    return births or insured
