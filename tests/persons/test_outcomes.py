"""What happens to records that are hard to tell, and what the registrar reads about each."""

from __future__ import annotations

from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import pater.domains.persons
from pater.domains.persons.pages import words
from pater.registers.identifiers import BIRTH_NUMBER, birth_number_for
from pater.registers.matching import MOTHER, Model, decide, features_of
from pater.web.i18n import Language, languages

MODEL = Model.load()
NUMBER, NEXT = (birth_number_for(date(1971, 4, 12), "female", serial) for serial in (1, 2))
HOME = [{"line": ["Zahradní 12/3"], "city": "Třebíč", "postalCode": "67401"}]
ELSEWHERE = [{"line": ["Polní 7"], "city": "Telč", "postalCode": "58856"}]


def patient(
    family: str = "Jelínková", given: str = "Ludmila", born: str = "1971-04-12", **more: Any
) -> dict[str, Any]:
    """Ludmila Jelínková at home; None leaves out."""
    name = {key: value for key, value in (("family", family), ("given", [given])) if value != [""]}
    said = {
        "name": [name] if family else [],
        "gender": "female",
        "birthDate": born,
        "address": HOME,
        **more,
    }
    return {key: value for key, value in said.items() if value}


def numbered(value: str) -> dict[str, Any]:
    return {"identifier": [{"system": BIRTH_NUMBER, "value": value}]}


MOTHERS = {"extension": [{"url": MOTHER, "valueIdentifier": {"value": NUMBER}}]}
NEWBORN = patient("Jelínková", "", "2026-03-02", **MOTHERS)
KAREL = {"gender": "male"}

CASES: dict[str, tuple[dict[str, Any], dict[str, Any], str, tuple[str, str, str], str]] = {
    # record, who is registered, outcome, (attribute, English, Czech), what contradicts
    "missing birth number": (
        patient(), patient(**numbered(NUMBER)), "match",
        ("address", "the same", "stejné"), "",
    ),
    "married name, same number": (
        patient("Malá", address=ELSEWHERE, **numbered(NUMBER)), patient(**numbered(NUMBER)),
        "match", ("family", "different", "jiné"), "",
    ),
    "maiden name": (
        {**patient("Malá"), "name": [{"family": "Malá", "given": ["Ludmila"]},
                                     {"use": "maiden", "family": "Jelínková"}]},
        patient(), "match",
        ("family", "one is the other's former name", "jedno je dřívější podobou druhého"), "",
    ),
    "swapped names": (
        patient("Ludmila", "Jelínková"), patient(), "match",
        ("family", "given and family name are swapped", "jméno a příjmení jsou prohozené"), "",
    ),
    "swapped day and month": (
        patient(born="1971-12-04"), patient(), "possible",
        ("born", "day and month are swapped", "den a měsíc jsou prohozené"), "born",
    ),
    "swapped day and month, same number": (
        patient(born="1971-12-04", **numbered(NUMBER)), patient(**numbered(NUMBER)), "match",
        ("born", "day and month are swapped", "den a měsíc jsou prohozené"), "",
    ),
    "twin": (
        patient(given="Anna", **numbered(NEXT)), patient(**numbered(NUMBER)), "new",
        ("given", "different", "jiné"), "number given",
    ),
    "twin without a number": (
        patient(given="Anna"), patient(), "new", ("given", "different", "jiné"), "given",
    ),
    "twins by their order alone": (
        patient(given="", multipleBirthInteger=2), patient(given="", multipleBirthInteger=1),
        "possible", ("birth-order", "different", "jiné"), "birth-order",
    ),
    "father and son": (
        patient("Jelínek", "Karel", "1995-04-12", **KAREL),
        patient("Jelínek", "Karel", "1965-04-12", **KAREL), "possible",
        ("born", "one digit differs", "liší se jedna číslice"), "born",
    ),
    "newborn again, now with a name": (
        patient("Jelínková", "Ema", "2026-03-02", **MOTHERS), NEWBORN, "possible",
        ("mother", "the same", "stejné"), "",
    ),
    "newborn and its mother": (
        NEWBORN, patient(**numbered(NUMBER)), "new",
        ("born", "different", "jiné"), "born",
    ),
    "unknown person": (
        {"name": [{"family": "Neznámá"}], "gender": "female"}, patient(), "new",
        ("family", "different", "jiné"), "",
    ),
    "another script": (
        patient("Шевченко", "Юлія"), patient("Shevchenko", "Yuliia"), "match",
        ("family", "the same in another script or spelling", "totéž jiným písmem"), "",
    ),
    "another spelling": (
        patient("Ševčenko", "Julija"), patient("Shevchenko", "Yuliia"), "match",
        ("given", "the same in another script or spelling", "totéž jiným písmem"), "",
    ),
}  # fmt: skip


@cache
def _languages() -> dict[str, Language]:
    package = pater.domains.persons.__file__
    assert package
    return languages([Path(package).parent / "locale"])


@pytest.mark.parametrize("case", CASES)
def test_the_outcome_and_what_the_registrar_reads(case: str) -> None:
    told, held, outcome, (attribute, english, czech), contradicts = CASES[case]
    asked, known = features_of(told), features_of(held)
    for one, other in ((asked, known), (known, asked)):
        assert decide(MODEL, one, [(1, other)]).outcome == outcome
    score = MODEL.score(asked, known)
    assert score.contradictions == tuple(contradicts.split())
    levels = {part.attribute: part.level for part in score.parts}
    shown = {
        code: language.gettext(words.LEVELS[levels[attribute]])
        for code, language in _languages().items()
    }
    assert shown["en"] == english
    assert shown["cs"].startswith(czech), shown
    # every step has its words in both languages, and so has what contradicts
    for part in score.parts:
        for text in (words.COMPARED[part.attribute], words.LEVELS[part.level]):
            assert _languages()["cs"].gettext(text) != text
    for each in score.contradictions:
        assert _languages()["cs"].gettext(words.CONTRADICTIONS[each]) != words.CONTRADICTIONS[each]


def test_two_unknown_persons_are_not_one() -> None:
    """Nothing is known but that they are not known: nobody is compared with them."""
    unknown = features_of({"gender": "male"})
    assert decide(MODEL, unknown, [(1, unknown)]).outcome == "new"


def test_of_twins_the_one_who_is_asked_for_is_meant() -> None:
    one = features_of(patient(**numbered(NUMBER)))
    other = features_of(patient(given="Anna", **numbered(NEXT)))
    decision = decide(MODEL, features_of(patient(given="Anna")), [(1, one), (2, other)])
    assert (decision.outcome, decision.ranked[0][0]) == ("match", 2)
    vague = decide(MODEL, features_of(patient(given="")), [(1, one), (2, other)])
    assert vague.outcome == "possible" and {person for person, _ in vague.ranked} == {1, 2}
