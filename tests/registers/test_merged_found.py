"""Patients who are one are found through either id, also from outside of their record."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest

from pater.access import clients, grants
from pater.access.caller import TWO_FACTORS, Caller
from pater.clock import now
from pater.registers.identifiers import RID
from pater.rest.bulk.imports import Imports
from pater.store import jobs
from pater.store.workers import Workers
from tests.registers.merging_world import HOSPITAL, LOADER, REGISTRAR, Ward, observation, same
from tests.registers.test_merging import pair
from tests.rest.subscription_world import client_of, until
from tests.waiting import PATIENCE

HOLDER = Caller(
    kind="person", id="nobody", name="P", role="patient", purpose="PATRQT", strength=TWO_FACTORS,
    scopes=("patient/*.rs",),
)  # fmt: skip


async def test_what_refers_to_either_comes_with_either(ward: Ward) -> None:
    (rid, one), (other_rid, other) = await pair(ward)
    mine, theirs = await ward.create(observation(one)), await ward.create(observation(other))
    both = set(await ward.found(f"Observation?patient={one}")) | set(
        await ward.found(f"Observation?patient={other}")
    )
    before = await ward.picture()
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    for caller in (LOADER, replace(HOSPITAL, organization="27520536")):
        wanted = set(await ward.found(f"Observation?patient={one}&_count=50", caller))
        for named in (f"_id={one}", f"_id={other}", f"identifier={RID}|{other_rid}"):
            for parameter in ("patient", "subject"):
                path = f"Patient?{named}&_revinclude=Observation:{parameter}"
                assert wanted <= set(await ward.found(path, caller)), (path, caller.role)
                path += "&_total=accurate"
                assert wanted <= set(await ward.found(path, caller)), (path, caller.role)
    assert {mine, theirs} <= both
    for patient in (one, other):
        path = f"Patient?_id={patient}&_revinclude=*"
        assert both <= set(await ward.found(path)), path
        assert await ward.found(f"Patient?_filter=_id eq {patient}&_revinclude=Observation:patient")
        has = f"Patient?_id={patient}&_has:Observation:patient:_id="
        assert await ward.found(has + theirs) == await ward.found(has + mine) == [patient]
        assert set(await ward.found(f"Patient?_id={patient}&_include=Patient:link")) == {one, other}
        bodies = (await ward.get(f"Patient/{patient}/_history"))["entry"]
        assert {each["resource"]["id"] for each in bodies} == {patient}
    # who is one with whom is said by the link itself
    assert await ward.found(f"Patient?link={other}") == [one]
    assert await ward.found(f"Patient?link={one}") == [other]
    await ward.merging.undo(REGISTRAR, act.id)
    assert same(before, await ward.picture()) == []
    found = await ward.found(f"Patient?_id={one}&_revinclude=Observation:patient")
    assert mine in found and theirs not in found
    assert rid != other_rid


async def test_groups_and_lists_that_name_either_are_found_by_either(ward: Ward) -> None:
    (rid, one), (other_rid, other) = await pair(ward)
    (_, third) = await ward.somebody("Třetí")
    named = [
        await ward.create(
            {
                "resourceType": "Group", "type": "person", "actual": True,
                "member": [{"entity": {"reference": f"Patient/{patient}"}}],
            }
        )
        for patient in (one, other, third)
    ]  # fmt: skip
    groups = sorted(named[:2])
    entry = {"item": {"reference": f"Patient/{other}"}}  # a list of nobody's: it stays as it is
    listed = await ward.create(
        {"resourceType": "List", "status": "current", "mode": "working", "entry": [entry]}
    )
    before = await ward.picture()
    first = await ward.merging.merge(REGISTRAR, one, other, "one person")
    for patient, number in ((one, rid), (other, other_rid)):
        for path in (
            f"Group?member={patient}",
            f"Group?member=Patient/{patient}&_total=accurate",
            f"Group?member:Patient._id={patient}",
            f"Group?member:Patient.identifier={RID}|{number}",
            f"Group?_filter=member eq Patient/{patient}",
        ):
            assert await ward.found(path) == groups, path
        for path in (
            f"List?item=Patient/{patient}",
            f"List?item:Patient._id={patient}",
            f"List?item:Patient.identifier={RID}|{number}",
        ):
            assert await ward.found(path) == [listed], path
        assert await ward.found(f"Patient?_id={patient}&_has:List:item:_id={listed}") == [patient]
        assert listed in await ward.found(f"Patient?_id={patient}&_revinclude=List:item")
        for group in groups:
            path = f"Patient?_id={patient}&_has:Group:member:_id={group}"
            assert await ward.found(path) == [patient], path
        assert set(groups) <= set(
            await ward.found(f"Patient?_id={patient}&_revinclude=Group:member")
        )
    second = await ward.merging.merge(REGISTRAR, third, one, "all are one")
    for patient in (one, other, third):
        assert await ward.found(f"Group?member={patient}") == sorted(named)
    await ward.merging.undo(REGISTRAR, second.id)
    await ward.merging.undo(REGISTRAR, first.id)
    assert same(before, await ward.picture()) == []
    for patient, group in zip((one, other, third), named, strict=True):
        assert await ward.found(f"Group?member={patient}") == [group]
        assert await ward.found(f"List?item=Patient/{patient}") == [listed] * (patient == other)


async def test_a_query_means_the_survivor(ward: Ward) -> None:
    """Conditional references and writes by the number of a merged Patient."""
    (_, one), (other_rid, other) = await pair(ward)
    await ward.merging.merge(REGISTRAR, one, other, "one person")
    entry = {
        "resource": {
            **observation(one),
            "subject": {"reference": f"Patient?identifier={RID}|{other_rid}"},
        },
        "request": {"method": "POST", "url": "Observation"},
    }
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry]}
    answer = await ward.call("POST", "", json=bundle)
    assert answer.status_code == 200, answer.text
    made = answer.json()["entry"][0]["response"]["location"].split("/_history")[0]
    body = await ward.get(made.split("/fhir/")[-1])
    assert body["subject"]["reference"] == f"Patient/{one}"
    await ward.call("DELETE", made.split("/fhir/")[-1])
    assert other


@asynccontextmanager
async def following(ward: Ward) -> AsyncIterator[None]:
    """Subscriptions are served meanwhile."""
    await clients.register(ward.db, client_of(LOADER), now)
    stop = asyncio.Event()
    async with asyncio.TaskGroup() as group:
        for task in ward.house.parts["subscriptions"].tasks:
            group.create_task(task(stop))  # type: ignore[arg-type]
        try:
            yield
        finally:
            stop.set()


async def watch(ward: Ward, criteria: str) -> str:
    """Somebody subscribes."""
    made = await ward.create(
        {
            "resourceType": "Subscription", "status": "requested", "reason": "care",
            "criteria": criteria, "channel": {"type": "websocket"},
        }
    )  # fmt: skip

    async def active() -> bool:
        return bool((await ward.get(f"Subscription/{made}"))["status"] == "active")

    await until(active)
    return made


async def told(ward: Ward, subscription: str) -> set[str]:
    """The ids of what a subscription was told of."""
    rows = await ward.db.fetch(
        "select distinct id from subscription_event where subscription = $1", subscription
    )
    return {row["id"] for row in rows}


async def test_who_watches_a_merged_patient_goes_on_being_told(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)

    async def all_told(patient: str, key: str) -> bool:
        return key in await told(ward, by_id[patient])

    async def master_told(patient: str) -> bool:
        return one in await told(ward, masters[patient])

    async with following(ward):
        by_id = {p: await watch(ward, f"Observation?patient=Patient/{p}") for p in (one, other)}
        masters = {p: await watch(ward, f"Patient?_id={p}") for p in (one, other)}
        act = await ward.merging.merge(REGISTRAR, one, other, "one person")
        after = await ward.create(observation(one))
        assert (await ward.call("PUT", f"Patient/{one}", json=await changed(ward, one))).is_success

        for patient in (one, other):
            await until(lambda patient=patient: all_told(patient, after))
            await until(lambda patient=patient: master_told(patient))

        await ward.merging.undo(REGISTRAR, act.id)
        apart = await ward.create(observation(one))
        theirs = await ward.create(observation(other))
        await until(lambda: all_told(one, apart))
        await until(lambda: all_told(other, theirs))
        assert apart not in await told(ward, by_id[other])
        assert theirs not in await told(ward, by_id[one])


async def test_lines_of_an_import_that_name_a_merged_patient_go_to_the_survivor(
    ward: Ward, tmp_path: Path
) -> None:
    (_, one), (other_rid, other) = await pair(ward)
    before = await ward.picture()
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    by_number = {"reference": f"Patient?identifier={RID}|{other_rid}"}
    lines = [
        {**observation(other), "id": f"by-id-{other[:8]}"},
        {**observation(one), "id": f"own-{other[:8]}"},
        {**observation(other), "id": f"by-rid-{other[:8]}", "subject": by_number},
    ]
    file = tmp_path / "lines.ndjson"
    file.write_text("".join(json.dumps(each) + "\n" for each in lines))
    services = ward.house.services
    number = await jobs.enqueue(
        ward.db, "import-files",
        {"caller": asdict(LOADER), "mode": "validate", "paths": [str(file)],
         "asked_at": now().isoformat()},
    )  # fmt: skip
    stop = asyncio.Event()
    workers = Workers(ward.db, {"import-files": Imports(services).work_on_files}, pause=0.05)
    working = asyncio.create_task(workers.run(stop))
    await jobs.ended(ward.db, number, PATIENCE)
    stop.set()
    await working
    row = await jobs.look(ward.db, number)
    assert row is not None and row.result is not None, row
    assert (row.state, row.result["errors"]) == ("done", 0), row
    ids = {each["id"] for each in lines}
    for patient in (one, other):
        assert ids <= set(await ward.found(f"Observation?patient={patient}&_count=50"))
    for each in ids:
        body = await ward.get(f"Observation/{each}")
        assert body["subject"]["reference"] == f"Patient/{one}"
    # who knew only the merged one meant it: that goes with it when they part
    await ward.merging.undo(REGISTRAR, act.id)
    assert await ward.found(f"Observation?patient={other}&_id={','.join(sorted(ids))}") == [
        f"by-id-{other[:8]}"
    ]
    for each in ids:
        assert (await ward.call("DELETE", f"Observation/{each}")).is_success
    assert {t for t in same(before, await ward.picture()) if t.startswith(("claim", "alias"))} == (
        set()
    )


async def changed(ward: Ward, patient: str) -> dict[str, Any]:
    """A Patient with something new."""
    body: dict[str, Any] = await ward.get(f"Patient/{patient}")
    return {**body, "maritalStatus": {"text": "married"}}


async def test_a_token_means_whose_the_record_is_now(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    mine, theirs = await ward.create(observation(one)), await ward.create(observation(other))
    login = f"login-{other[:8]}"
    await ward.account(login, other)
    old = replace(HOLDER, id=login, person=await ward.person(other), patient=other)

    async def seen(caller: Caller) -> set[str]:
        return set(await ward.found("Observation?_count=50", caller))

    assert theirs in await seen(old) and mine not in await seen(old)
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    assert {mine, theirs} <= await seen(old)
    await ward.get(f"Patient/{one}", old)
    new = replace(old, person=await ward.person(one), patient=one)
    assert {mine, theirs} <= await seen(new)
    await ward.merging.undo(REGISTRAR, act.id)
    for token in (old, new):
        found = await seen(token)
        assert theirs in found and mine not in found
        await ward.get(f"Observation/{mine}", token, 404)


async def test_the_other_processes_hear_of_it(ward: Ward) -> None:
    """What another process merged is known from the database, what nobody heard of is asked."""
    (_, one), (_, other) = await pair(ward)
    former = await ward.person(other)
    registers = ward.house.services.registers
    assert registers is not None
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    token = replace(HOLDER, id="no-account", person=former, patient=other)
    kept = registers.bearers._changed
    try:
        for heard in (True, False):
            registers.bearers._changed = {}
            registers.bearers._heard = None
            if heard:
                await registers.bearers.refresh()
                assert former in registers.bearers._changed
            present = await registers.bearers.present(token)
            assert (present.person, present.patient) == (await ward.person(one), one)
    finally:
        registers.bearers._changed = kept
        await registers.bearers.refresh()
    await ward.merging.undo(REGISTRAR, act.id)
    assert await registers.bearers.present(token) == token


@pytest.mark.parametrize("kind", ["person", "nothing"])
async def test_nobody_else_is_looked_up(
    ward: Ward, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    registers = ward.house.services.registers
    assert registers is not None

    async def never(*_: object) -> None:
        raise AssertionError("asked")

    monkeypatch.setattr(grants, "find", never)
    monkeypatch.setattr("pater.registers.bearers.accounts.find", never)
    monkeypatch.setattr("pater.registers.bearers.leading", never)
    caller = replace(HOLDER, person=1 << 40, patient="p") if kind == "person" else LOADER
    assert await registers.bearers.present(caller) == caller
