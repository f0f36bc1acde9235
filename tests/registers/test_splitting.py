"""One person who is two, by the sources and records that belong to somebody else."""

from __future__ import annotations

from typing import Any

import pytest

from pater.records.errors import NotFound, Unprocessable
from pater.registers import sources
from pater.registers.surviving import Source
from tests.registers.merging_world import HOSPITAL, REGISTRAR, Ward, large, observation, same

MRN = "https://hospital.example/mrn"
CLINIC = "12345679"


async def two_in_one(ward: Ward) -> tuple[str, list[Source]]:
    """A person whom two hospitals know, one of them by mistake; the Patient and the sources."""
    registers = ward.house.services.registers
    assert registers is not None
    _, patient = await ward.somebody("Dvojitá")
    number = str(ward.random.randrange(10**9))
    told = []
    for ico, name, identifier in (
        ("27520536", "Dvojitá", None),
        (CLINIC, "Jinačí", f"A{number}"),
    ):
        said: dict[str, Any] = {
            "resourceType": "Patient",
            "name": [{"family": name, "given": ["Eva"]}],
            "birthDate": "1970-05-06" if ico == CLINIC else "1971-05-06",
        }
        if identifier:
            said["identifier"] = [{"system": "https://hl7.cz/fhir/sid/idcard-CZE",
                                   "value": identifier}]  # fmt: skip
        source = Source(ico, MRN, number, title=f"Hospital {ico}")
        person = await ward.person(patient)
        await ward.house.gate.commit(
            REGISTRAR, [], reason="test",
            claims=[sources.claim(source, person, patient)],
            statements=[sources.said(person, source, said, ward.house.gate.now())],
        )  # fmt: skip
        told.append(source)
    return patient, told


@pytest.mark.parametrize("much", [False, True], ids=["at-once", "by-a-job"])
async def test_what_belongs_to_somebody_else_becomes_a_person(ward: Ward, much: bool) -> None:
    patient, told = await two_in_one(ward)
    mine = await ward.create(observation(patient, 60))
    theirs = await ward.create(observation(patient, 90))
    before = await ward.picture()
    wrong = told[1]
    act = await ward.merging.split(
        REGISTRAR, patient, "two persons",
        sources=[(wrong.name, wrong.system, wrong.value)],
        resources=[("Observation", theirs)],
    )  # fmt: skip
    new = await ward.get(f"Patient/{act.merged}")
    assert [each["family"] for each in new["name"]] == ["Jinačí"]
    assert new["birthDate"] == "1970-05-06"
    assert await ward.found(f"Observation?patient={act.merged}") == [theirs]
    found = await ward.found(f"Observation?patient={patient}")
    assert mine in found and theirs not in found
    left = await ward.get(f"Patient/{patient}")
    assert "Jinačí" not in {each["family"] for each in left["name"]}
    number = await ward.person(act.merged)
    assert [each.source.name for each in await sources.of(ward.db, number)] == [CLINIC]
    assert (
        await ward.db.fetchval("select person from claim where key = $1", sources.key(wrong))
        == number
    )

    with large(much):
        undone = await ward.merging.undo(REGISTRAR, act.id)
        assert bool(undone.job) is much
        assert (await ward.done(undone)).undone
    # the new Patient stays, as one that leads to the first; nothing else is different
    rows = await ward.db.fetch(
        "select rid from resource where id = any($1::text[])", [patient, act.merged]
    )
    rid = await ward.db.fetchval("select rid from person where patient = $1", act.merged)
    numbers = {act.person, act.former}
    own = [patient, act.merged, rid]
    own += [f"({number}, {row['rid']}, " for row in rows for number in numbers]
    told_apart = [
        each
        for each in same(before, await ward.picture())
        if not any(name in each for name in own) and not each.startswith("claim new")
    ]
    assert told_apart == []
    assert theirs in await ward.found(f"Observation?patient={patient}")
    again = await ward.get(f"Patient/{patient}")
    assert again["link"][0]["type"] == "replaces"


async def test_a_document_goes_whole(ward: Ward) -> None:
    rid, patient = await ward.somebody("Celá")
    await ward.document(rid)
    [one, *_] = await ward.found(f"Observation?patient={patient}")
    act = await ward.merging.split(REGISTRAR, patient, "not hers", resources=[("Observation", one)])
    for kind in ("Bundle", "DocumentReference", "Composition", "Condition", "Encounter"):
        rows = await ward.db.fetch(
            "select person, count(*) from resource where person = any($1::bigint[])"
            " and type = $2 and not deleted group by person",
            [act.person, act.former], _number(kind),
        )  # fmt: skip
        assert {row["person"]: row["count"] for row in rows} == {act.person: 1, act.former: 1}, kind
    assert len(await ward.found(f"DocumentReference?patient={act.merged}", HOSPITAL)) == 1
    assert len(await ward.found(f"DocumentReference?patient={patient}", HOSPITAL)) == 1


def _number(kind: str) -> int:
    from pater.fhir.definitions import TYPE_NUMBER

    return TYPE_NUMBER[kind]


async def test_what_cannot_be_split_is_refused(ward: Ward) -> None:
    _, patient = await ward.somebody("Nedělitelná")
    _, other = await ward.somebody("Cizí")
    theirs = await ward.create(observation(other))
    split = ward.merging.split
    with pytest.raises(Unprocessable, match="nothing was chosen"):
        await split(REGISTRAR, patient, "why")
    with pytest.raises(Unprocessable, match="not of this person"):
        await split(REGISTRAR, patient, "why", resources=[("Observation", theirs)])
    with pytest.raises(Unprocessable, match="not of this person"):
        await split(REGISTRAR, patient, "why", resources=[("Observation", "nothing")])
    with pytest.raises(Unprocessable, match="split by its sources"):
        await split(REGISTRAR, patient, "why", resources=[("Patient", patient)])
    with pytest.raises(Unprocessable, match="says nothing"):
        await split(REGISTRAR, patient, "why", sources=[("1", "2", "3")])
    with pytest.raises(NotFound):
        await split(REGISTRAR, "nobody", "why", sources=[("1", "2", "3")])
