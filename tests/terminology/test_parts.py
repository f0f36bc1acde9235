"""Versions, languages and words: the small rules that the operations stand on."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.terminology.filters import regex
from pater.terminology.grammar import language_concept, media_type_concept
from pater.terminology.languages import BadLanguageError, choose, wish
from pater.terminology.model import BadFilterError, Concept, Designation, SystemInfo
from pater.terminology.versions import matches, newest, split_canonical
from pater.terminology.words import asked, holds, words


@pytest.mark.parametrize(
    ("versions", "last"),
    [
        (["1.9.0", "1.10.0"], "1.10.0"),
        (["2.0.0-beta", "2.0.0"], "2.0.0"),
        (["2024-11", "2025-01"], "2025-01"),
        (["", "4.0.1"], "4.0.1"),
        (["http://x/version/20240101", "http://x/version/20250101"], "http://x/version/20250101"),
    ],
)
def test_the_newest_version(versions: list[str], last: str) -> None:
    assert newest(versions) == last
    assert newest(reversed(versions)) == last


def test_patterns_of_versions() -> None:
    assert matches("1.x", "1.2.0")
    assert matches("1.0.x", "1.0.7")
    assert matches("1.x.3", "1.9.3")
    assert not matches("1.0.x", "1.2.0")
    assert not matches("1", "1.0.0")
    assert not matches("1.x", "2.0.0")
    assert split_canonical("http://x|1|2") == ("http://x", "1|2")


def test_wishes_by_weight() -> None:
    assert wish("de;q=0.5, cs, *;q=0").tags == ("cs", "de")
    assert wish("de, *;q=0").hard
    assert not wish("de, *").hard
    for bad in ("-", "de;x=1", "d e", "de;q=2"):
        with pytest.raises(BadLanguageError):
            wish(bad)


def test_the_name_for_a_reader() -> None:
    info = SystemInfo("urn:x", language="en")
    dog = Concept("dog", "Dog", designations=(Designation("Hund", "de-CH"),
                                              Designation("Pes", "cs")))  # fmt: skip

    def name(text: str) -> str | None:
        found = choose(dog, info, wish(text))
        return found.value if found else None

    assert (name("cs"), name("de"), name("en-GB")) == ("Pes", "Hund", "Dog")
    assert name("fr") == "Dog"
    assert name("fr, *;q=0") is None
    assert name("fr, cs;q=0.1") == "Pes"


@given(st.text(max_size=60))
def test_a_name_is_found_by_beginnings_of_its_own_words(name: str) -> None:
    parts = words([name])
    assert holds(asked(name), [name])
    for part in parts:
        assert holds(asked(part[:3]), [name]) or not asked(part[:3])


def test_accents_and_case_do_not_matter() -> None:
    assert holds(asked("ZLUTOUCKY kun"), ["Příliš žluťoučký kůň"])
    assert not holds(asked("kobyla"), ["Příliš žluťoučký kůň"])


def test_a_pattern_takes_no_longer_than_its_text() -> None:
    assert regex("((a+)+)+").fullmatch("a" * 5_000)
    assert not regex("((a+)+)+").fullmatch("a" * 5_000 + "!")
    with pytest.raises(BadFilterError):
        regex(r"(a)\1")


@given(st.text(max_size=30))
def test_any_text_is_a_tag_or_not(text: str) -> None:
    assert language_concept(text) is None or language_concept(text).code == text  # type: ignore[union-attr]  # asked twice
    assert media_type_concept(text) is None or "/" in text
