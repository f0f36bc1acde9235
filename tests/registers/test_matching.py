"""Matching as the register relies on it: what is compared, found, weighed and decided."""

from __future__ import annotations

from datetime import date
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.registers.identifiers import BIRTH_NUMBER, RID, birth_number_for
from pater.registers.matching import (
    MOTHER,
    Features,
    Model,
    blocking_keys,
    decide,
    features_of,
    pack,
    unpack,
)
from pater.registers.matching.comparing import ATTRIBUTES
from pater.registers.matching.keys import MOST
from pater.registers.matching.names import stem
from pater.registers.people import ERRORS, Person, mistaken, patient_of, people
from pater.registers.people import MOST as EVERYBODY
from pater.registers.people.households import passport

MODEL = Model.load()
NUMBER, NEXT = (birth_number_for(date(1971, 4, 12), "female", serial) for serial in (1, 2))
PERSONS = list(people(5, 400))


def patient(**changed: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "resourceType": "Patient",
        "name": [{"family": "Jelínková", "given": ["Ludmila"]}],
        "gender": "female",
        "birthDate": "1971-04-12",
        "address": [{"line": ["Zahradní 12/3"], "city": "Třebíč", "postalCode": "674 01"}],
    }
    return {k: v for k, v in (made | changed).items() if v is not None}


def level(attribute: str, one: dict[str, Any], other: dict[str, Any]) -> str:
    parts = MODEL.score(features_of(one), features_of(other)).parts
    return next((part.level for part in parts if part.attribute == attribute), "")


def number(value: str, system: str = BIRTH_NUMBER) -> list[dict[str, str]]:
    return [{"system": system, "value": value}]


def named(family: str, *givens: str, use: str = "official") -> dict[str, Any]:
    return {"use": use, "family": family, "given": list(givens)}


@pytest.mark.parametrize(
    ("man", "woman"),
    [
        ("novak", "novakova"), ("vesely", "vesela"), ("svoboda", "svobodova"),
        ("hajek", "hajkova"), ("nemec", "nemcova"), ("novotny", "novotna"), ("cerny", "cerna"),
        ("kopecky", "kopecka"), ("ivanov", "ivanova"), ("krejci", "krejci"),
        ("havel", "havlova"), ("svec", "svecova"),
    ],
)  # fmt: skip
def test_a_woman_and_a_man_of_one_family_share_the_stem(man: str, woman: str) -> None:
    assert stem(man) == stem(woman)


def test_stems_keep_families_apart() -> None:
    names = {"novak", "novacek", "novotny", "novosad", "nemec", "nemecek", "marek", "maly"}
    assert len({stem(name) for name in names}) == len(names)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([named("Jelínková", "Ludmila")], [named("JELÍNKOVÁ", "Ludmila")], "same"),
        ([named("Jelínková", "Ludmila")], [named("Jelinkova", "Ludmila")], "marks"),
        ([named("Jelínková", "Ludmila")], [named("Jelínek", "Ludmila")], "gender-form"),
        ([named("Malá", "Eva"), named("Horská", use="maiden")], [named("Horská", "Eva")], "former"),
        ([named("Jelínková", "Ludmila")], [named("Ludmila", "Jelínková")], "swapped"),
        ([named("Malá Horská", "Eva")], [named("Horská", "Eva")], "part"),
        ([named("Jelínková", "Ludmila")], [named("Jelímková", "Ludmila")], "near"),
        ([named("Jelínková", "Ludmila")], [named("Dvořák", "Ludmila")], "different"),
        ([named("Jelínková", "Ludmila")], [{"given": ["Ludmila"]}], ""),
    ],
)
def test_family_names(one: list[Any], other: list[Any], expected: str) -> None:
    assert level("family", patient(name=one), patient(name=other)) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("Kateřina", "Kateřina", "same"), ("Kateřina", "Katerina", "marks"),
        ("Kateřina", "Katka", "familiar"), ("Jan", "Honza", "familiar"),
        ("Jan Pavel", "Pavel", "second-name"), ("Jan", "J", "initial"),
        ("Kateřina", "Kateřinna", "near"), ("Jan", "Petr", "different"),
    ],
)  # fmt: skip
def test_given_names(one: str, other: str, expected: str) -> None:
    a = patient(name=[named("Malá", one)])
    b = patient(name=[named("Malá", other)])
    assert level("given", a, b) == expected


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("1971-04-12", "1971-04-12", "same"), ("1971-04-12", "1971-12-04", "day-month-swapped"),
        ("1971-04-12", "1971-04-13", "one-digit"), ("1971-04-12", "1971-04-21", "digits-swapped"),
        ("1971-04-12", "1971", "partial"), ("1971-04-12", "1971-04", "partial"),
        ("1971-04-12", "1971-04-30", "two-parts"), ("1971-04-12", "1985-11-30", "different"),
        ("1971-04-12", "1972", "different"), ("1971-04-12", None, ""),
    ],
)  # fmt: skip
def test_birth_dates(one: str, other: str | None, expected: str) -> None:
    assert level("born", patient(birthDate=one), patient(birthDate=other)) == expected


@pytest.mark.parametrize(
    ("line", "postcode", "expected"),
    [
        ("Zahradní 12/3", "67401", "same"), ("zahradni 12", "674 01", "same"),
        ("Zahradní 3", "67401", "same"), ("Zahrdní 12/3", "67401", "street-alike"),
        ("Zahradní 99", "67401", "street"), ("Lipová 99", "67401", "town"),
        ("Lipová 99", "10000", "different"),
    ],
)  # fmt: skip
def test_addresses(line: str, postcode: str, expected: str) -> None:
    city = "Třebíč" if postcode.startswith("674") or "67401" in postcode else "Praha"
    other = patient(address=[{"line": [line], "city": city, "postalCode": postcode}])
    assert level("address", patient(), other) == expected


def test_the_address_of_a_relative_tells_less() -> None:
    husband = patient(name=[named("Jelínek", "Karel")], gender="male", birthDate="1969-01-30")
    assert level("address", patient(), husband) == "relatives"


def test_a_rare_name_says_more_than_a_common_one() -> None:
    def weight(family: str) -> float:
        one = features_of(patient(name=[named(family, "Ludmila")]))
        return MODEL.score(one, one).weight

    assert weight("Nováková") < weight("Zelenková") < weight("Ždychyncová")


def test_the_parts_are_the_weight() -> None:
    one, other = features_of(patient()), features_of(patient(birthDate="1971-12-04"))
    score = MODEL.score(one, other)
    assert score.parts[0].attribute == "prior"
    assert score.weight == pytest.approx(sum(part.weight for part in score.parts))
    assert 0 <= score.probability <= 1
    known = {a: set(found.levels) for a, found in ATTRIBUTES.items()}
    assert all(part.level in known[part.attribute] for part in score.parts[1:])


TEXT = st.text(max_size=12)
PATIENTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.lists(
            st.fixed_dictionaries(
                {},
                optional={
                    "family": TEXT,
                    "given": st.lists(TEXT, max_size=3),
                    "use": st.sampled_from(["official", "maiden", "old"]),
                },
            ),
            max_size=3,
        ),
        "birthDate": st.sampled_from(["1971-04-12", "1971-12-04", "1971", "1971-04", "nonsense"]),
        "gender": st.sampled_from(["male", "female", "other", "unknown"]),
        "identifier": st.lists(
            st.fixed_dictionaries(
                {"system": st.sampled_from([BIRTH_NUMBER, RID, "urn:x"]), "value": TEXT}
            ),
            max_size=3,
        ),
        "address": st.lists(
            st.fixed_dictionaries(
                {}, optional={"line": st.lists(TEXT, max_size=2), "city": TEXT, "postalCode": TEXT}
            ),
            max_size=2,
        ),
        "telecom": st.lists(
            st.fixed_dictionaries({"system": st.sampled_from(["phone", "email"]), "value": TEXT}),
            max_size=2,
        ),
        "multipleBirthInteger": st.integers(1, 4),
    },
)


@given(PATIENTS)
def test_packed_features_come_back(sent: dict[str, Any]) -> None:
    features = features_of(sent)
    assert unpack(pack(features)) == features
    keys = blocking_keys(features)
    assert len(keys) <= MOST
    assert list(keys) == sorted(set(keys))
    assert all(-(2**63) <= key < 2**63 for key in keys)


@given(PATIENTS, PATIENTS)
def test_whatever_is_compared_is_compared_both_ways(
    one: dict[str, Any], other: dict[str, Any]
) -> None:
    a, b = features_of(one), features_of(other)
    there, back = MODEL.score(a, b), MODEL.score(b, a)
    assert there == back


def test_invented_persons_and_their_mistakes_are_compared_both_ways() -> None:
    random = Random(3)
    for person, next_one in pairwise(PERSONS):
        a = features_of(mistaken(person, random)[0])
        for b in (features_of(patient_of(person)), features_of(patient_of(next_one))):
            assert MODEL.score(a, b) == MODEL.score(b, a)


ADDED: list[dict[str, Any]] = [
    {"gender": "female"},
    {"birthDate": "1971-04-12"},
    {"telecom": [{"system": "phone", "value": "+420 601 234 567"}]},
    {"telecom": [{"system": "email", "value": "a@example.cz"}]},
    {"address": [{"line": ["Polní 7"], "city": "Telč", "postalCode": "58856"}]},
    {"identifier": number(NUMBER)},
    {"identifier": number("AB123456", "http://hl7.org/fhir/sid/passport-SVK")},
    {"identifier": number("1000000065", RID)},
    {"multipleBirthInteger": 2},
    {"extension": [{"url": MOTHER, "valueIdentifier": {"value": "5551010001"}}]},
]


@pytest.mark.parametrize("added", ADDED, ids=lambda each: next(iter(each)))
@pytest.mark.parametrize("family", ["Nováková", "Jelínek", "Ždychyncová", "Kovář"])
def test_what_is_equal_on_both_sides_never_speaks_against(
    added: dict[str, Any], family: str
) -> None:
    bare = {"name": [named("Jelínková", "Ludmila")]}
    other = {"name": [named(family, "Ludmila")]}
    less = MODEL.score(features_of(bare), features_of(other))
    more = MODEL.score(features_of(bare | added), features_of(other | added))
    assert more.weight >= less.weight


@pytest.mark.parametrize("mistake", sorted(ERRORS))
def test_one_mistake_leaves_a_key_in_common(mistake: str) -> None:
    random, made = Random(11), 0
    for person in PERSONS:
        wrong, done = mistaken(person, random, only=mistake)
        if not done:
            continue
        made += 1
        for without in ((), ("identifier", "telecom")):
            true = {k: v for k, v in patient_of(person).items() if k not in without}
            seen = {k: v for k, v in wrong.items() if k not in without}
            shared = set(blocking_keys(features_of(true))) & set(blocking_keys(features_of(seen)))
            assert shared, (person, seen)
    assert made


def _decided(asked: dict[str, Any], *held: dict[str, Any]) -> tuple[str, list[int]]:
    numbered = [(number, features_of(each)) for number, each in enumerate(held)]
    decision = decide(MODEL, features_of(asked), numbered)
    return decision.outcome, [person for person, _ in decision.ranked]


def test_the_same_person_is_matched_and_a_stranger_is_new() -> None:
    stranger = patient(
        name=[named("Dvořák", "Karel")], gender="male", birthDate="1950-01-02", address=None
    )
    assert _decided(patient(), patient(), stranger) == ("match", [0])
    assert _decided(patient(), stranger) == ("new", [])


def test_twins_are_never_taken_for_each_other() -> None:
    ludmila = patient(identifier=number(NUMBER))
    twin = patient(name=[named("Jelínková", "Anna")])
    assert _decided(twin, ludmila)[0] != "match"
    assert _decided(patient(name=[named("Jelínková", "Ludmila")]), ludmila, twin) == ("match", [0])
    assert _decided(patient(name=[{"family": "Jelínková"}]), ludmila, twin)[0] == "possible"
    one, two = patient(multipleBirthInteger=1), patient(multipleBirthInteger=2)
    assert _decided(one, two)[0] == "possible"


def test_who_might_be_a_relative_is_for_a_human_being() -> None:
    """Twins share all but the given name, a father and a son of one name all but the birth date."""
    phone = [{"system": "phone", "value": "+420 603 111 222"}]
    known = patient(telecom=phone)
    assert _decided(patient(telecom=phone), known) == ("match", [0])
    for said in (
        {"name": [{"family": "Jelínková"}]},
        {"name": None},
        {"name": None, "gender": None},
        {"birthDate": None},
    ):
        asked = {key: value for key, value in (known | said).items() if value is not None}
        assert _decided(asked, known) == ("possible", [0]), said
        assert _decided(known, asked) == ("possible", [0]), said


def test_father_and_son_of_one_name_are_two() -> None:
    father = patient(name=[named("Jelínek", "Karel")], gender="male", birthDate="1965-03-12")
    for born in ("1995-03-12", "1985-03-12", "1993-11-02"):
        son = father | {"birthDate": born}
        assert _decided(son, father)[0] != "match"


def test_verified_numbers_that_differ_are_for_a_human_being() -> None:
    one = patient(identifier=number(NUMBER))
    other = patient(identifier=number(NEXT))
    assert _decided(one, other)[0] == "possible"
    score = MODEL.score(features_of(one), features_of(other))
    assert "number" in score.contradictions
    rids = [patient(identifier=number(rid, RID)) for rid in ("1000000065", "2066425387")]
    assert _decided(rids[0], rids[1])[0] == "possible"


def test_a_number_of_somebody_else_matches_nobody() -> None:
    holder = patient(identifier=number(NUMBER))
    other = patient(
        name=[named("Dvořáková", "Tereza")], birthDate="1999-09-09", address=None,
        identifier=number(NUMBER),
    )  # fmt: skip
    assert _decided(other, holder)[0] != "match"


def test_two_who_are_equally_likely_are_for_a_human_being() -> None:
    outcome, ranked = _decided(patient(), patient(), patient())
    assert (outcome, sorted(ranked)) == ("possible", [0, 1])


def test_a_changed_name_is_known_by_the_number() -> None:
    before = patient(identifier=number(NUMBER))
    after = patient(
        name=[named("Malá", "Ludmila")], identifier=number(NUMBER),
        address=[{"line": ["Polní 7"], "city": "Telč", "postalCode": "58856"}],
    )  # fmt: skip
    assert _decided(after, before) == ("match", [0])


def test_little_said_is_never_enough() -> None:
    assert _decided({"name": [named("Jelínková", "Ludmila")]}, patient())[0] != "match"
    assert _decided({}, patient())[0] == "new"


@pytest.mark.parametrize("data", [b"", b"\x1e", b"nothing of ours"])
def test_bytes_that_are_no_features_are_refused(data: bytes) -> None:
    with pytest.raises(ValueError):
        unpack(data)


def test_persons_are_the_same_for_a_seed_and_their_numbers_unique() -> None:
    assert list(people(5, 90, first=33)) == list(people(5, 400))[33:123]
    assert list(people(6, 400)) != PERSONS
    many = list(people(5, 30_000))
    for read in (_rid, _insured):
        assert len({read(person) for person in many}) == len(many)


def test_passports_are_unique_over_the_whole_country() -> None:
    series = 900_000  # after so many persons the letters change
    firsts = range(0, EVERYBODY - series, series)
    found = [p for first in firsts for p in people(5, 300, first=first) if p.country != "CZE"]
    assert {person.number // series for person in found} == set(range(len(firsts)))
    assert len({person.document for person in found}) == len(found)
    every = [passport(n + start) for n in range(0, series, 997) for start in firsts]
    assert len(set(every)) == len(every)


def _rid(person: Person) -> str:
    return person.rid


def _insured(person: Person) -> str:
    return person.insured_number


def test_features_say_nothing_of_what_is_not_known() -> None:
    assert features_of({}) == features_of({"name": [{}], "address": [{}], "gender": "unknown"})
    assert isinstance(features_of({}), Features)
    assert blocking_keys(features_of({})) == ()


def test_features_of_the_rule_before_are_read_as_those_of_today() -> None:
    """The last field says by which rule they were made; the first rule had none."""
    said = patient(
        name=[named("Nguyễn Thị", "Thị Hương"), named("Đặng", use="maiden")],
        identifier=number(NUMBER),
    )
    today = features_of(said)
    old = today._replace(
        families=("nguyễn thị",), families_plain=("nguyen thi",), stems=("nguyen thi",),
        givens=("thị", "hương"), givens_plain=("thi", "huong"),
    )  # fmt: skip
    assert unpack(pack(old).rpartition(b"\x1e")[0]) == today


def test_weights_of_the_first_file_are_still_read() -> None:
    first = Model.load("cz-1")
    assert first.name == "cz-1" and MODEL.name == "cz-2"
    one, other = features_of(patient()), features_of(patient(name=[named("Jelinkova", "Ludmila")]))
    assert first.score(one, other).weight > first.automatic
    # a level it has not weighs like the next one it has
    spelled = [features_of(patient(name=[named(each, "Eva")])) for each in ("Žukova", "Zhukova")]
    [part] = [p for p in first.score(*spelled).parts if p.attribute == "family"]
    assert part.level == "spelling" and part.weight > 0
