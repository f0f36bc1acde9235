"""The register of patients: who is matched, who is new, who is unsure; never the wrong person."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from random import Random
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.registers.identifiers import BIRTH_NUMBER, RID, check_rid, new_rid
from pater.registers.patients import Identity, PatientRegister, demographics_agree, names
from pater.store.database import Database
from pater.store.write import ClaimTaken, Committer, Put, WriteSet
from tests.conftest import Clock

Resource = dict[str, Any]
MRN = "https://hospital.example/mrn"


def patient(
    *identifiers: tuple[str, str],
    family: str = "Nováková",
    given: str = "Jana",
    born: str | None = "1985-06-15",
    **more: Any,
) -> Resource:
    made: Resource = {
        "resourceType": "Patient",
        "identifier": [{"system": s, "value": v} for s, v in identifiers],
        "name": [{"family": family, "given": [given]}],
        **more,
    }
    return made | ({"birthDate": born} if born else {})


class Register:
    """The register with a way to write what it asks for."""

    def __init__(self, db: Database, committer: Committer, clock: Clock) -> None:
        self.committer = committer
        self.register = PatientRegister(
            db,
            next_person=committer.next_person,
            random=Random(7),
            clock=clock,
            new_id=lambda: str(uuid4()),
        )

    async def write(self, identity: Identity) -> Identity:
        puts = []
        if identity.master is not None:
            puts.append(
                Put(
                    "Patient",
                    identity.patient,
                    identity.person,
                    identity.master,
                    expected=identity.master_version,
                )
            )
        await self.committer.commit(
            WriteSet(puts=puts, claims=list(identity.claims), statements=list(identity.statements))
        )
        return identity

    async def take(self, resource: Resource) -> Identity:
        return await self.write(await self.register.resolve(resource))


@pytest.fixture
async def register(database: Database, clock: Clock) -> AsyncIterator[Register]:
    committer = Committer(database, clock)
    await committer.start()
    yield Register(database, committer, clock)
    await committer.stop()


async def test_a_known_rid_is_kept_and_found_again(register: Register) -> None:
    rid = new_rid(Random(1))
    first = await register.take(patient((RID, rid)))
    again = await register.take(patient((RID, rid), family="NOVAKOVA"))
    assert (first.state, first.rid) == ("new", rid)
    assert (again.state, again.person, again.patient) == ("matched", first.person, first.patient)
    assert again.master is None


async def test_a_birth_number_gets_a_rid_by_the_rule(register: Register) -> None:
    made = await register.take(patient((BIRTH_NUMBER, "8506150015"), given="Petr"))
    assert made.state == "new"
    assert check_rid(made.rid).ok
    assert made.master is not None
    assert made.master["identifier"][0] == {
        "use": "official",
        "system": RID,
        "value": made.rid,
    }


async def test_a_matched_person_learns_a_further_identifier(register: Register) -> None:
    rid = new_rid(Random(2))
    first = await register.take(patient((RID, rid)))
    both = await register.take(patient((RID, rid), (BIRTH_NUMBER, "8506150015")))
    assert both.master is not None
    found = await register.take(patient((BIRTH_NUMBER, "8506150015")))
    assert (found.state, found.person) == ("matched", first.person)


async def test_an_invented_number_is_not_added_to_somebodys_record(register: Register) -> None:
    rid = new_rid(Random(9))
    await register.take(patient((RID, rid)))
    foreign = {
        "type": {
            "coding": [{"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "PPN"}]
        },
        "system": "https://invented.example/passport",
        "value": "1",
    }
    claiming = patient((RID, rid))
    claiming["identifier"].append(foreign)
    assert (await register.take(claiming)).master is None
    owner = patient(family="Doe", given="John", born="1970-01-01")
    owner["identifier"] = [foreign]
    assert (await register.take(owner)).state == "new"


@pytest.mark.parametrize(
    "other",
    [
        {"family": "Zcelajiná", "given": "Eva"},
        {"born": "1999-01-01"},
        {"given": "Kateřina"},
    ],
)
async def test_an_identifier_with_other_demographics_is_unsure(
    register: Register, other: dict[str, str]
) -> None:
    rid = new_rid(Random(3))
    first = await register.take(patient((RID, rid)))
    second = await register.take(patient((RID, rid), **other))
    assert second.state == "unsure"
    assert second.person != first.person
    assert second.rid.startswith("D")
    # the number in question leads to its holder alone
    assert second.master is not None
    assert [i["value"] for i in second.master["identifier"]] == [second.rid]
    # and the same unsure person again is that person, not a third one
    third = await register.take(patient((RID, rid), **other))
    assert third.person == second.person


async def test_a_married_name_with_the_same_birth_date_is_the_same_person(
    register: Register,
) -> None:
    rid = new_rid(Random(4))
    first = await register.take(patient((RID, rid), family="Svobodová"))
    second = await register.take(patient((RID, rid), family="Dvořáková"))
    assert (second.state, second.person) == ("matched", first.person)


async def test_identifiers_of_two_persons_tie_to_neither(register: Register) -> None:
    rid = new_rid(Random(5))
    one = await register.take(patient((RID, rid)))
    two = await register.take(patient((BIRTH_NUMBER, "8506150015")))
    mixed = await register.take(patient((RID, rid), (BIRTH_NUMBER, "8506150015")))
    assert mixed.state == "unsure"
    assert mixed.person not in (one.person, two.person)


@pytest.mark.parametrize(
    "resource",
    [
        patient((RID, "7706128004")),
        patient((BIRTH_NUMBER, "9355181234")),
        patient((BIRTH_NUMBER, "8506150015"), born="1985-06-16"),
        patient((MRN, "123")),
        patient(),
        patient((BIRTH_NUMBER, "8506150015"), born=None),
    ],
    ids=["bad RID", "bad birth number", "other birth date", "hospital number", "none", "no date"],
)
async def test_who_cannot_be_verified_gets_a_temporary_identifier(
    register: Register, resource: Resource
) -> None:
    made = await register.take(resource)
    assert made.state == "unsure"
    assert made.rid.startswith("D")


async def test_a_hospital_number_with_the_same_demographics_is_the_same_temporary_person(
    register: Register,
) -> None:
    first = await register.take(patient((MRN, "123")))
    again = await register.take(patient((MRN, "123")))
    other = await register.take(patient((MRN, "123"), given="Marie"))
    assert again.person == first.person
    assert other.person != first.person


async def test_a_foreign_national_number_verifies_a_foreigner(register: Register) -> None:
    foreigner = patient(born="1966-09-30", family="De Luca", given="Luigi")
    foreigner["identifier"] = [
        {
            "type": {
                "coding": [
                    {"system": "http://terminology.hl7.org/CodeSystem/v2-0203", "code": "NI"}
                ]
            },
            "system": "https://state.example/id",
            "value": "3332-386800-1",
        }
    ]
    first = await register.take(foreigner)
    assert first.state == "new"
    assert check_rid(first.rid).kind == "rid"
    assert (await register.take(foreigner)).person == first.person


async def test_sixteen_at_once_make_one_person(register: Register) -> None:
    rid = new_rid(Random(6))

    async def one() -> Identity:
        while True:
            try:
                return await register.take(patient((RID, rid)))
            except ClaimTaken:
                continue

    made = await asyncio.gather(*(one() for _ in range(16)))
    assert len({identity.person for identity in made}) == 1


async def test_the_masters_data_are_the_persons_without_references(register: Register) -> None:
    made = await register.take(
        patient(
            (RID, new_rid(Random(8))),
            generalPractitioner=[{"reference": "Practitioner/1"}],
            telecom=[{"system": "phone", "value": "1"}],
        )
    )
    assert made.master is not None
    assert "generalPractitioner" not in made.master
    assert made.master["telecom"] == [{"system": "phone", "value": "1"}]


word = st.text("abcdeé ", min_size=1, max_size=6)
person = st.builds(
    lambda f, g, b: {"name": [{"family": f, "given": [g]}]} | ({"birthDate": b} if b else {}),
    word,
    word,
    st.sampled_from(["1985-06-15", "1985-06", "1985", "1990-01-01", None]),
)


@given(person, person)
def test_agreement_does_not_depend_on_the_order(one: Resource, other: Resource) -> None:
    assert demographics_agree(one, other) == demographics_agree(other, one)


@given(person)
def test_everybody_agrees_with_themselves_when_there_is_something_to_compare(
    one: Resource,
) -> None:
    families, givens = names(one)
    if any(families) and any(givens):
        assert demographics_agree(one, one)
