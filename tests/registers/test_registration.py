"""Registration: who is new, who is known, who may be somebody; once, however many tell at once."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.validation import validate
from pater.records.errors import Forbidden, Unprocessable
from pater.registers.accepting import TAKEN, accepted
from pater.registers.identifiers import BIRTH_NUMBER, RID, birth_number_for, check_rid
from pater.registers.matching import MOTHER
from pater.registers.matching.index import entry_of
from pater.registers.surviving import Source
from pater.store.database import Database
from tests.conftest import Clock
from tests.registers.registering import MRN, TELLING, Desk, desk, hospital, somebody

NUMBER = birth_number_for(date(1985, 6, 15), "female", 1)
CHILD = birth_number_for(date(2024, 3, 1), "female", 7)


@pytest.fixture
async def at(database: Database, clock: Clock) -> AsyncIterator[Desk]:
    async with desk(database, clock) as made:
        yield made


def numbers(master: dict[str, Any], system: str) -> list[str]:
    return [i["value"] for i in master["identifier"] if i["system"] == system]


async def test_a_verified_identity_gets_a_rid_and_its_number_leads_back(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER), (MRN, "17")), "17")
    assert (made.outcome, made.created) == ("new", True)
    assert check_rid(made.rid).ok
    assert not made.rid.startswith("D")
    again = await at.tell(somebody((BIRTH_NUMBER, NUMBER), (MRN, "17")), "17")
    assert (again.outcome, again.person, again.created) == ("matched", made.person, False)
    master = await at.master(made)
    # whoever reads it must not learn where the person is treated
    assert numbers(master, MRN) == []
    assert numbers(master, RID) == [made.rid]
    assert master["meta"]["versionId"] == "1"
    assert await at.registration.find(MRN, "17", TELLING.organization) == (
        made.person,
        made.patient,
    )
    rows = await at.api.journal(person=made.person)
    assert [row["action"] for row in rows] == ["C", "E"]


async def test_another_hospital_is_known_by_identifier_or_by_comparison(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    by_number = await at.tell(
        somebody((BIRTH_NUMBER, NUMBER), address=None, telecom=None), "a", hospital(1)
    )
    assert (by_number.outcome, by_number.person) == ("matched", made.person)
    compared = await at.tell(somebody(), "b", hospital(2))
    assert (compared.outcome, compared.person) == ("matched", made.person)
    assert await at.count() == 1


async def test_who_may_be_somebody_is_new_for_the_time_being_and_a_case(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    like = somebody(telecom=None, birthDate="1985")
    maybe = await at.tell(like, "9", hospital(1))
    assert (maybe.outcome, maybe.created) == ("possible", True)
    assert maybe.rid.startswith("D")
    assert maybe.case is not None
    rows = await at.api.db.fetch("select * from match_candidate where case_id = $1", maybe.case)
    assert [row["person"] for row in rows] == [made.person]


async def test_an_identifier_of_somebody_else_takes_nothing_from_them(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    other = somebody(
        (BIRTH_NUMBER, NUMBER), name=[{"family": "Kolář", "given": ["Emil"]}], gender="male"
    )
    wrong = await at.tell(other, "18")
    assert (wrong.outcome, wrong.person != made.person) == ("possible", True)
    assert numbers(await at.master(wrong), BIRTH_NUMBER) == []
    # a known number that says somebody else's identifier stays with its person
    await at.tell(somebody(name=[{"family": "Malá", "given": ["Iva"]}], birthDate="1999-01-01",
                           address=None, telecom=None), "19")  # fmt: skip
    swapped = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "19")
    assert swapped.outcome == "possible"
    assert swapped.person not in (made.person, wrong.person)
    assert numbers(await at.master(made), BIRTH_NUMBER) == [NUMBER]
    assert numbers(await at.master(swapped), BIRTH_NUMBER) == []


async def test_what_a_source_corrects_is_corrected_and_former_names_stay(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    at.api.clock.move(days=30)
    married = somebody((BIRTH_NUMBER, NUMBER), name=[{"family": "Bílá", "given": ["Ludmila"]}])
    again = await at.tell(married, "17")
    assert again.person == made.person
    master = await at.master(made)
    assert [(n["family"], n.get("use")) for n in master["name"]] == [
        ("Bílá", None),
        ("Procházková", "old"),
    ]
    by_old = await at.index.match(somebody(telecom=None))
    assert [who for who, _ in by_old.ranked] == [made.person]


async def test_a_number_typed_over_with_somebody_else_is_refused(at: Desk) -> None:
    made = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    before = await at.master(made)
    other = somebody(
        name=[{"family": "Malá", "given": ["Iva"]}], birthDate="1999-01-01", address=None
    )
    with pytest.raises(Unprocessable) as refused:
        await at.tell(other, "17")
    assert "under a number of their own" in refused.value.issues[0].text
    assert await at.master(made) == before
    # what one person may become is taken: another name, or another birth date
    renamed = somebody(name=[{"family": "Malá", "given": ["Iva"]}])
    for said in (renamed, somebody(birthDate="1985-06-16")):
        assert (await at.tell(said, "17")).person == made.person
    # who is registered for the time being may be told to be somebody
    unknown = await at.tell(
        {"resourceType": "Patient", "name": [{"family": "Neznámý"}], "birthDate": "1970"}, "18"
    )
    assert (await at.tell(other, "18")).person == unknown.person


async def test_newborns_unknown_persons_and_foreigners_are_registered(at: Desk) -> None:
    mother = await at.tell(somebody((BIRTH_NUMBER, NUMBER)), "17")
    under = [{"url": MOTHER, "valueIdentifier": {"system": RID, "value": mother.rid}}]
    twins = [
        await at.tell(
            {
                "resourceType": "Patient",
                "extension": under,
                "name": [{"family": "Procházková"}],
                "birthDate": "2026-01-02",
                "multipleBirthInteger": order,
            },
            f"newborn-{order}",
        )
        for order in (1, 2)
    ]
    assert len({twin.person for twin in twins}) == 2
    assert all(twin.rid.startswith("D") for twin in twins)
    nobody = [await at.tell({"resourceType": "Patient"}, f"unknown-{n}") for n in (1, 2)]
    assert len({each.person for each in nobody}) == 2
    abroad: dict[str, Any] = {"birthDate": "1990-11-30", "address": None, "telecom": [
        {"system": "phone", "value": "+380 44 123 45 67"}]}  # fmt: skip
    foreigner = somebody(
        ("http://hl7.org/fhir/sid/passport-UKR", "FE123456"),
        name=[
            {"family": "Шевченко", "given": ["Олена"]},
            {"family": "Shevchenko", "given": ["Olena"]},
        ],
        **abroad,
    )
    guest = await at.tell(foreigner, "guest")
    assert not guest.rid.startswith("D")
    latin = somebody(name=[{"family": "Shevchenko", "given": ["Olena"]}], **abroad)
    assert (await at.tell(latin, "guest-2", hospital(3))).person == guest.person


async def test_a_newborn_gets_its_rid_when_it_has_a_number(at: Desk) -> None:
    child = {"resourceType": "Patient", "name": [{"family": "Krátká"}], "birthDate": "2024-03-01"}
    made = await at.tell(child, "child")
    named = {**child, "name": [{"family": "Krátká", "given": ["Běla"]}],
             "identifier": [{"system": BIRTH_NUMBER, "value": CHILD}]}  # fmt: skip
    known = await at.tell(named, "child")
    assert known.person == made.person
    assert not known.rid.startswith("D")
    rids = [(i["value"], i.get("use")) for i in (await at.master(made))["identifier"]
            if i["system"] == RID]  # fmt: skip
    assert rids == [(known.rid, "official"), (made.rid, "old")]


@pytest.mark.parametrize("identified", [True, False])
async def test_sixteen_who_tell_of_one_new_person_make_one(at: Desk, identified: bool) -> None:
    said = somebody(*([(BIRTH_NUMBER, NUMBER)] if identified else []))
    made = await asyncio.gather(*(at.tell(said, "1", hospital(n)) for n in range(1, 17)))
    assert len({each.person for each in made}) == 1
    assert len({each.rid for each in made}) == 1
    assert sum(each.created for each in made) == 1
    assert await at.count() == 1
    assert await at.api.db.fetchval("select count(*) from source_record") == 16


async def test_the_same_number_told_at_once_is_one_unknown_person(at: Desk) -> None:
    made = await asyncio.gather(*(at.tell({"resourceType": "Patient"}, "1") for _ in range(16)))
    assert len({each.person for each in made}) == 1
    assert await at.count() == 1


async def test_what_cannot_be_is_refused_with_its_place(at: Desk) -> None:
    wrong = somebody(
        (BIRTH_NUMBER, NUMBER[:-1] + "x"), birthDate="2999-01-01", deceasedDateTime="1980-01-01"
    )
    with pytest.raises(Unprocessable) as refused:
        await at.tell(wrong, "17")
    paths = {issue.path for issue in refused.value.issues}
    assert paths == {
        "Patient.identifier[0].value",
        "Patient.birthDate",
        "Patient.deceasedDateTime",
    }
    assert await at.count() == 0


async def test_a_provider_tells_of_its_own_numbers_only(at: Desk) -> None:
    with pytest.raises(Forbidden):
        await at.registration.register(TELLING, somebody(), Source("00000019", MRN, "1"))
    with pytest.raises(Unprocessable):
        await at.tell(somebody(), "x" * 1000)
    answer = await at.api.call("POST", "/Patient", somebody(), caller=TELLING)
    assert answer.status_code == 422, answer.text


async def test_no_number_is_given_twice_though_two_draw_the_same(
    database: Database, clock: Clock
) -> None:
    """Two processes whose numbers come in the same order still never give one to two persons."""
    async with desk(database, clock) as one, desk(database, clock) as other:
        said = [
            somebody(
                (BIRTH_NUMBER, birth_number_for(date(1950 + n, 3, 1), "male", n + 1)),
                name=[{"family": f"Rod{chr(97 + n)}{n}", "given": [f"Jm{chr(110 - n)}no"]}],
                gender="male", birthDate=f"{1950 + n}-03-01", address=None, telecom=None,
            )
            for n in range(10)
        ]  # fmt: skip
        made = await asyncio.gather(
            *(
                at.tell(each, f"{n}")
                for n, each in enumerate(said)
                for at in (one, other)[n % 2 :][:1]
            )
        )
        assert len({each.rid for each in made}) == len({each.person for each in made}) == 10
        assert all(check_rid(each.rid).ok for each in made)
        # a number stays taken when its Patient is gone
        for each in made:
            await one.api.call("DELETE", f"/Patient/{each.patient}")
    async with desk(database, clock) as third:
        new = await third.tell(somebody((BIRTH_NUMBER, NUMBER)), "new")
        assert new.rid not in {each.rid for each in made}


json_values: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=6)
    | st.sampled_from(["1985-06-15", "old", BIRTH_NUMBER, RID, NUMBER, "phone"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(
        st.sampled_from(["system", "value", "use", "family", "given", "period", "end", "url",
                         "extension", "valueIdentifier", "line", "reference", "type"]),
        inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from([*TAKEN, "link", "photo", "active"]), json_values))
def test_whatever_is_said_is_taken_or_refused_with_a_reason(said: dict[str, Any]) -> None:
    now = datetime(2026, 5, 1, tzinfo=UTC)
    try:
        made, _ = accepted({"resourceType": "Patient", **said}, now, strict=False)
    except Unprocessable as error:
        assert error.issues
        return
    assert not {"link", "photo", "active"} & made.keys()
    assert not [i for i in validate(made) if i.severity == "error"]
    assert entry_of(made) is not None
    # and it is taken the same again
    assert accepted(made, now, strict=False)[0] == made


def test_references_of_the_sender_do_not_come_in() -> None:
    said = somebody(
        generalPractitioner=[{"reference": "Practitioner/7"},
                             {"reference": "Practitioner/8", "display": "MUDr. Malá"}],
        contact=[{"organization": {"reference": "Organization/1"}}],
        extension=[{"url": "urn:x", "valueReference": {"reference": "Patient/1"}}],
    )  # fmt: skip
    made, _ = accepted(said, datetime(2026, 5, 1, tzinfo=UTC))
    assert made["generalPractitioner"] == [{"display": "MUDr. Malá"}]
    assert "contact" not in made
    assert "extension" not in made
