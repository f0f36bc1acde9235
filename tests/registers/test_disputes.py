"""What somebody says is wrong in the register; and how somebody was known at a time."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import date, timedelta

import pytest

from pater.records.errors import Conflict, Forbidden, NotFound, Unprocessable
from pater.registers import sources
from pater.registers.as_of import as_of
from pater.registers.surviving import Source
from tests.registers.merging_world import HOSPITAL, REGISTRAR, Ward
from tests.rest.world import patient_caller


async def test_a_person_disputes_and_a_registrar_decides(ward: Ward) -> None:
    disputes = ward.merging.disputes
    _, patient = await ward.somebody("Sporná")
    me = patient_caller(await ward.person(patient), patient)
    opened = await disputes.open(me, patient, "birthDate", "I was born in June")
    assert opened.said == (await ward.get(f"Patient/{patient}"))["birthDate"]
    assert "disputed" in str((await ward.get(f"Patient/{patient}"))["_birthDate"])
    with pytest.raises(Unprocessable, match="disputed already"):
        await disputes.open(me, patient, "birthDate", "again")
    with pytest.raises(Unprocessable, match="what can be disputed"):
        await disputes.open(me, patient, "colour", "why")
    with pytest.raises(Unprocessable, match="say in up to"):
        await disputes.open(me, patient, "gender", "  ")
    _, other = await ward.somebody("Jiná")
    with pytest.raises(NotFound):
        await disputes.open(me, other, "gender", "not mine")

    assert opened.id in {each.id for each in await disputes.queue(REGISTRAR)}
    with pytest.raises(Forbidden):
        await disputes.queue(me)
    done = await asyncio.gather(
        disputes.decide(REGISTRAR, opened.id, 1, "kept", "The register agrees."),
        disputes.decide(replace(REGISTRAR, id="r-2"), opened.id, 1, "corrected", "Put right."),
        return_exceptions=True,
    )
    assert sum(isinstance(each, Conflict) for each in done) == 1
    found = await disputes.one(opened.id)
    assert found.version == 2 and found.state != "open" and found.decided is not None
    assert "disputed" not in str(await ward.get(f"Patient/{patient}"))
    assert opened.id not in {each.id for each in await disputes.queue(REGISTRAR)}
    [told] = await ward.found(f"Communication?subject=Patient/{patient}")
    notice = await ward.get(f"Communication/{told}")
    assert found.answer in notice["payload"][1]["contentString"]
    with pytest.raises(Conflict):
        await disputes.decide(REGISTRAR, opened.id, 2, "kept", "again")


async def test_disputes_go_with_the_person(ward: Ward) -> None:
    disputes = ward.merging.disputes
    (_, one), (_, other) = await ward.somebody("První"), await ward.somebody("Druhá")
    opened = await disputes.open(HOSPITAL, other, "name", "spelled otherwise on the card")
    assert opened.by_kind == "provider" and opened.organization == HOSPITAL.organization
    before = await ward.picture()
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    assert [each.id for each in await disputes.of(await ward.person(one))] == [opened.id]
    await ward.merging.undo(REGISTRAR, act.id)
    after = await ward.picture()
    assert before["dispute"] == after["dispute"]


async def test_as_it_was_known_and_as_it_was_valid(ward: Ward) -> None:
    _, patient = await ward.somebody("Dřívější")
    person = await ward.person(patient)
    gate = ward.house.gate
    source = Source("27520536", "https://hospital.example/mrn", f"as-of-{person}")
    start = gate.now()

    async def tell(family: str, at: timedelta, valid: timedelta) -> None:
        said = {"resourceType": "Patient", "name": [{"family": family, "given": ["Eva"]}]}
        statement = sources.said(person, source, said, start + at, start + valid)
        await gate.commit(REGISTRAR, [], statements=[statement], reason="test")

    def names(found: dict[str, list[dict[str, str]]] | None) -> set[str]:
        assert found is not None
        return {each["family"] for each in found["name"] if each.get("use") != "old"}

    await tell("Svobodná", timedelta(minutes=1), timedelta(days=-900))
    await tell("Vdaná", timedelta(minutes=9), timedelta(days=-30))
    today = date.fromordinal(start.date().toordinal())
    then = start + timedelta(minutes=5)
    assert "Svobodná" in names(await as_of(gate, ward.db, REGISTRAR, patient, today, then))
    assert "Vdaná" not in names(await as_of(gate, ward.db, REGISTRAR, patient, today, then))
    now = start + timedelta(minutes=10)
    assert "Vdaná" in names(await as_of(gate, ward.db, REGISTRAR, patient, today, now))
    before = today - timedelta(days=400)
    assert "Vdaná" not in names(await as_of(gate, ward.db, REGISTRAR, patient, before, now))
    assert await as_of(gate, ward.db, REGISTRAR, patient, today, start - timedelta(days=1)) is None
