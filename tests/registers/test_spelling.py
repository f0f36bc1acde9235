"""Names in other scripts and spellings: one name to the register, whoever wrote it down."""

from __future__ import annotations

from itertools import combinations, pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.registers.matching import Model, blocking_keys, decide, features_of
from pater.registers.matching.keys import kinds
from pater.registers.matching.spelling import in_common, plain, readings
from pater.registers.people import mistaken, patient_of, people

MODEL = Model.load()
FOREIGN = [person for person in people(8, 9_000) if person.country != "CZE"]


def named(family: str, given: str, born: str = "1988-03-09") -> dict[str, object]:
    return {"name": [{"family": family, "given": given.split()}], "birthDate": born}


@pytest.mark.parametrize(
    ("spellings"),
    [
        ["Шевченко", "Shevchenko", "Ševčenko"], ["Хоменко", "Khomenko", "Chomenko"],
        ["Кравчук", "Kravchuk", "Kravčuk"], ["Щербак", "Shcherbak", "Ščerbak"],
        ["Гаврилюк", "Havryliuk", "Havryljuk"], ["Цимбал", "Tsymbal", "Cymbal"],
        ["Ющенко", "Yushchenko", "Iushchenko", "Juščenko"], ["Ковальська", "Kovalska"],
        ["Ковальський", "Kovalskyi", "Kovalskyj"], ["Жуков", "Zhukov", "Žukov"],
        ["Тарковская", "Tarkovskaia", "Tarkovskaja"], ["Голубев", "Golubev"],
        ["Първанов", "Parvanov"], ["Лукашэнка", "Lukashenka", "Lukašenka"],
        ["Παπαδόπουλος", "Papadopoulos"], ["Müller", "Mueller", "Muller"], ["Groß", "Gross"],
        ["Nguyễn", "Nguyen"], ["Đặng", "Dang"], ["Wałęsa", "Walesa"], ["Çelik", "Celik"],
        ["Yıldız", "Yildiz"], ["Kovács", "Kováč"], ["Szabó", "Sabo"], ["O'Brien", "OBrien"],
    ],
    ids=lambda each: each[-1],
)  # fmt: skip
def test_spellings_of_one_name_are_one_name(spellings: list[str]) -> None:
    for one, other in combinations(spellings, 2):
        assert in_common({one.casefold()}, {other.casefold()}), (one, other)
        a, b = (features_of(named(each, "Anna")) for each in (one, other))
        levels = {part.attribute: part.level for part in MODEL.score(a, b).parts}
        assert levels["family"] in {"same", "marks", "spelling", "gender-form"}, (one, other)
        # found by the name alone, whatever else is wrong
        assert set(blocking_keys(a)) & set(blocking_keys(b)), (one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Novák", "Nováček"), ("Kovalenko", "Kovalchuk"), ("Marchenko", "Savchenko"),
        ("Svoboda", "Slavoda"), ("Nguyen", "Tran"), ("Horák", "Korák"), ("Hana", "Jana"),
        ("Petrenko", "Pavlenko"), ("Dvořák", "Dvorský"), ("Schmidt", "Schneider"),
    ],
)  # fmt: skip
def test_names_that_are_two_stay_two(one: str, other: str) -> None:
    assert not in_common({one.casefold()}, {other.casefold()})


@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ("Сергій", "Serhii", "spelling"), ("Serhii", "Serhij", "spelling"),
        ("Serhii", "Sergej", "familiar"), ("Юлія", "Julija", "spelling"),
        ("Thi Hương", "Thi Huong", "marks"), ("Thi Huong", "Huong", "same"),
        ("Thi Huong", "Thi Hoa", "different"), ("Van Nam", "Van Minh", "different"),
        ("Jozef", "Josef", "familiar"), ("Hana", "Anna", "alike"),
    ],
)  # fmt: skip
def test_given_names_of_foreigners(one: str, other: str, level: str) -> None:
    a, b = (features_of(named("Nguyen", each)) for each in (one, other))
    for score in (MODEL.score(a, b), MODEL.score(b, a)):
        assert {part.attribute: part.level for part in score.parts}["given"] == level


@pytest.mark.parametrize(
    ("one", "other"),
    [("Anna", "Hana"), ("Matěj", "Matyáš"), ("Alžběta", "Eliška"), ("Anna", "Anežka"),
     ("Thi Lan", "Thi Hoa"), ("Olena", "Oksana"), ("Jan", "Ivan"), ("Dmytro", "Mykola")],
)  # fmt: skip
def test_twins_with_names_of_one_root_are_never_merged_by_themselves(one: str, other: str) -> None:
    home = {"address": [{"line": ["Lipová 3"], "postalCode": "37001", "city": "Písek"}]}
    a, b = (features_of(named("Nguyen", each) | home) for each in (one, other))
    assert decide(MODEL, a, [(1, b)]).outcome != "match"


def test_middle_words_of_vietnamese_names_say_nothing() -> None:
    split = features_of(named("Nguyen Thi", "Huong"))
    whole = features_of(named("Nguyễn", "Thị Hương"))
    assert split.stems == whole.stems and split.givens_plain == whole.givens_plain
    assert features_of(named("Nguyen", "Thi Van")).givens  # somebody may be called so
    assert features_of(named("Thi", "Lan")).families == ("thi",)


@given(st.text(max_size=30))
def test_whatever_is_written_has_few_readings(text: str) -> None:
    folded = text.casefold()
    assert plain(plain(text)) == plain(text)
    found = readings(folded)
    assert 1 <= len(found) <= 12
    assert in_common({folded}, {folded})


def test_foreigners_are_known_again_and_nobody_is_taken_for_another() -> None:
    random = Random(2)
    outcomes = {"match": 0, "possible": 0, "new": 0}
    for person, neighbour in pairwise(FOREIGN):
        for mistake in ("spelled", "own-script", "middle-word"):
            wrong, made = mistaken(person, random, only=mistake)
            if not made:
                continue
            bare = {k: v for k, v in wrong.items() if k not in ("identifier", "telecom")}
            asked, held = features_of(bare), features_of(patient_of(person))
            assert kinds(asked).keys() & kinds(held).keys()
            others = [(1, held), (2, features_of(patient_of(neighbour)))]
            decision = decide(MODEL, asked, others)
            assert decision.outcome != "match" or decision.ranked[0][0] == 1, person
            outcomes[decision.outcome] += 1
    assert outcomes["match"] > 0.95 * sum(outcomes.values()) and outcomes["new"] == 0
