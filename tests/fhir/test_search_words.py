"""Words: what of a resource is text, and what a search for words means."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.search.words import resource_words, words_match, words_of, words_term

RESOURCE = {
    "resourceType": "Composition",
    "id": "secretid",
    "text": {"status": "generated", "div": "<div><p>Propouštěcí zpráva&nbsp;č. 7</p></div>"},
    "type": {"coding": [{"system": "http://loinc.org", "code": "18842-5", "display": "Zpráva"}]},
    "subject": {"reference": "Patient/hidden", "display": "Eva Nováková"},
    "date": "2026-03-01",
    "section": [
        {"title": "Závěr", "text": {"div": "<div>Bez <b>dušnosti</b></div>"},
         "section": [{"text": {"div": "<div>uvnitř</div>"}}]},
    ],
}  # fmt: skip


def test_the_words_of_a_resource_and_of_its_narrative() -> None:
    words, narrative = resource_words(RESOURCE)
    assert narrative == {"propousteci", "zprava", "c", "7", "bez", "dusnosti", "uvnitr"}
    assert words == narrative | {"18842", "5", "eva", "novakova", "zaver"}


@pytest.mark.parametrize(
    ("text", "there"),
    [
        ("zprava", True), ("ZPRÁV", True), ("prava", False), ("zprava duš", True),
        ("zprava nic", False), ("nic OR zprava", True), ("nic | zprava", True),
        ('"zprav"', False), ('"Propouštěcí zpráva"', True), ("zprava -dusnosti", False),
        ("zprava NOT nic", True), ("(zprava AND nic) OR eva", True), ("zprava & eva", True),
    ],
)  # fmt: skip
def test_what_is_found(text: str, there: bool) -> None:
    term = words_term(text)
    assert term is not None
    assert words_match(term, resource_words(RESOURCE)[0]) is there


@pytest.mark.parametrize("text", ["", "-", "OR", "-only", "NOT this", '""', "…", "-a OR -b"])
def test_without_a_word_to_be_found_there_is_no_search(text: str) -> None:
    assert words_term(text) is None


@given(st.text(max_size=60))
def test_a_text_is_found_by_its_own_words(text: str) -> None:
    words = words_of(text)
    assert all(word == word.casefold() and word.isalnum() for word in words)
    term = words_term(" ".join(f'"{word}"' for word in words))
    assert (term is not None) == bool(words)
    if term is not None:
        assert words_match(term, set(words))
    words_term(text)
