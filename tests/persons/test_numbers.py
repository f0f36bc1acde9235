"""Who has a number as people type it: any kind, with blanks and slashes, of any country."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pater.registers.identifiers import BIRTH_NUMBER, ID_CARD, ID_CARD_OLD, PASSPORT, canonical
from pater.registers.numbers import holder, typed
from tests.persons.faces import NUMBER, REGISTRAR, A, Faces, somebody

DESK = replace(REGISTRAR, purpose="HOPERAT")
CARD = ID_CARD + "CZE"


@pytest.mark.parametrize("said", [CARD, ID_CARD_OLD])
async def test_a_typed_number_finds_who_has_it(at: Faces, said: str) -> None:
    numbers = ((BIRTH_NUMBER, NUMBER), (said, "205 123 456"), (PASSPORT + "UKR", "fe123456"))
    made = await at.feed("1", somebody(*numbers))
    assert made.status_code == 201, made.text
    db = at.desk.api.db
    rid = made.json()["link"][0]["other"]["identifier"]["value"]
    for text in (rid, f" {rid} ", NUMBER, f"{NUMBER[:6]}/{NUMBER[6:]}", "205123456", "205 123 456",
                 "FE123456", "fe 123 456"):  # fmt: skip
        assert await typed(db, text) == [1], text
    for text in ("", "205123457", "1", "FE123456" * 9, "Procházková"):
        assert await typed(db, text) == [], text
    assert await holder(db, ID_CARD_OLD, "205123456") == await holder(db, CARD, "205123456") == 1
    assert canonical(ID_CARD_OLD) == CARD
    # one system whatever the sender calls it, for every way of asking
    for system in (CARD, ID_CARD_OLD):
        for who in (A, DESK):
            query = f"/Patient?identifier={system}|205 123 456"
            answer = await at.call("GET", query, by=who)
            assert len(answer.json().get("entry", ())) == 1, (system, answer.text)


async def test_two_who_have_one_number_in_different_systems_are_both_found(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER), (CARD, "205123456")))
    other = somebody((PASSPORT + "POL", "205123456"), birthDate="1950-01-01", gender="male",
                     name=[{"family": "Nowak", "given": ["Jan"]}], address=None,
                     telecom=None)  # fmt: skip
    await at.feed("2", other)
    assert await typed(at.desk.api.db, "205123456") == [1, 2]
