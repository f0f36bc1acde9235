"""Bulk export: everything that was there at one moment, once, and only for whom it is."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import httpx
import pytest

from pater.rest import bulk
from pater.store.database import Database
from pater.store.workers import Workers
from pater.store.write import Put, WriteSet
from tests.conftest import Clock
from tests.rest.bulk_world import BulkWorld, bulk_world
from tests.rest.world import (
    BASE,
    CLINICIAN,
    HOSPITAL,
    INSURER,
    LOADER,
    issues,
    observation,
    patient_caller,
)


@pytest.fixture(scope="module")
async def api(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[BulkWorld]:
    clock = Clock(datetime.now(UTC).replace(day=15, hour=9, minute=0, second=0, microsecond=0))
    async with bulk_world(module_database, clock, tmp_path_factory.mktemp("files")) as made:
        made.one = await made.patient()
        made.two = await made.patient(name=[{"family": "Dvořák"}], birthDate="1990-01-01")
        for patient, count in ((made.one, 3), (made.two, 2)):
            for number in range(count):
                await made.create(
                    observation(patient["id"], status="final" if number else "preliminary")
                )
        await made.create({"resourceType": "Organization", "name": "Nemocnice"})
        yield made


def found(rows: list[dict[str, Any]]) -> dict[str, int]:
    """How many of each type."""
    names = [row["resourceType"] for row in rows]
    return {name: names.count(name) for name in sorted(set(names))}


async def test_the_system_is_exported_as_it_is_read(api: BulkWorld) -> None:
    manifest = await api.export()
    rows = await api.lines(manifest)
    assert found(rows) == {"Observation": 5, "Organization": 1, "Patient": 2}
    assert len({(row["resourceType"], row["id"]) for row in rows}) == 8
    for row in rows:
        read = await api.call("GET", f"/{row['resourceType']}/{row['id']}")
        assert row == read.json()
    assert manifest["requiresAccessToken"] is True
    assert manifest["request"] == f"{BASE}/$export"
    assert manifest["error"] == manifest["deleted"] == []
    assert manifest["transactionTime"] == api.clock().isoformat(timespec="milliseconds").replace(
        "+00:00", "Z"
    )


async def test_types_filters_and_elements(api: BulkWorld) -> None:
    rows = await api.lines(await api.export("/$export?_type=Observation,Organization"))
    assert found(rows) == {"Observation": 5, "Organization": 1}
    asked = "/$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Dpreliminary"
    rows = await api.lines(await api.export(asked))
    assert [row["status"] for row in rows] == ["preliminary"] * 2
    two = f"{asked}&_typeFilter=Observation%3Fstatus%3Dfinal%26subject%3DPatient%2F{api.two['id']}"
    rows = await api.lines(await api.export(two))
    assert sorted(row["status"] for row in rows) == ["final", "preliminary", "preliminary"]
    rows = await api.lines(await api.export("/$export?_type=Patient&_elements=Patient.birthDate"))
    assert all(set(row) == {"resourceType", "id", "meta", "birthDate"} for row in rows)
    assert (await api.export("/$export?_type=Device"))["output"] == []


async def test_patients_and_groups(api: BulkWorld) -> None:
    rows = await api.lines(await api.export("/Patient/$export"))
    assert found(rows) == {"Observation": 5, "Patient": 2}
    group = await api.create(
        {
            "resourceType": "Group",
            "type": "person",
            "actual": True,
            "member": [
                {"entity": {"reference": f"Patient/{api.two['id']}"}},
                {"entity": {"reference": f"Patient/{api.one['id']}"}, "inactive": True},
                {"entity": {"reference": "Patient/left-long-ago"}},
            ],
        }
    )
    try:
        rows = await api.lines(await api.export(f"/Group/{group['id']}/$export"))
        assert found(rows) == {"Group": 1, "Observation": 2, "Patient": 1}
        parameter = [
            {"name": "patient", "valueReference": {"reference": f"Patient/{api.one['id']}"}}
        ]
        rows = await api.lines(
            await api.export(
                "/Patient/$export", {"resourceType": "Parameters", "parameter": parameter}
            )
        )
        assert found(rows) == {"Observation": 3, "Patient": 1}
    finally:
        await api.call("DELETE", f"/Group/{group['id']}")
        api.clock.move(seconds=1)


async def test_what_is_not_taken_is_said(api: BulkWorld) -> None:
    for query in (
        "_type=Nothing",
        "_since=yesterday",
        "includeAssociatedData=LatestProvenanceResources",
        "_outputFormat=text%2Fcsv",
        "_typeFilter=Observation%3Fnonsense%3D1",
        "_typeFilter=Observation%3Fsubject.name%3Da",
        "_typeFilter=Observation%3F_sort%3Ddate",
        "_typeFilter=nothing",
        "_elements=Patient.nothing",
        f"patient=Patient%2F{api.one['id']}",
        "_since=2020&_since=2021",
    ):
        answer = await api.call("GET", f"/Patient/$export?{query}")
        assert answer.status_code == 400, query
        assert issues(answer)
    lenient = "/$export?_type=Patient,Nothing&includeAssociatedData=x&_outputFormat=ndjson"
    manifest = await api.export(lenient, prefer="respond-async, handling=lenient")
    assert found(await api.lines(manifest)) == {"Patient": 2}


async def test_only_for_whom_it_is(api: BulkWorld) -> None:
    person = await api.person_of(api.one["id"])
    patient = patient_caller(person, api.one["id"])
    for caller in (HOSPITAL, CLINICIAN, INSURER):
        for path in ("/Patient/$export", "/$export?_type=Observation"):
            assert (await api.call("GET", path, caller=caller)).status_code == 403
    assert (await api.http.get(f"{BASE}/$export")).status_code == 401
    # one's own record, and of directories what belongs to nobody
    rows = await api.lines(await api.export("/Patient/$export", caller=patient), patient)
    assert found(rows) == {"Observation": 3, "Patient": 1}
    rows = await api.lines(
        await api.export("/$export?_type=Organization", caller=HOSPITAL), HOSPITAL
    )
    assert found(rows) == {"Organization": 1}
    other = {"name": "patient", "valueReference": {"reference": f"Patient/{api.two['id']}"}}
    body = {"resourceType": "Parameters", "parameter": [other]}
    assert (await api.call("POST", "/Patient/$export", body, patient)).status_code == 404
    # who treats somebody may export the one who is named
    rows = await api.lines(await api.export("/Patient/$export", body, HOSPITAL), HOSPITAL)
    assert found(rows) == {"Observation": 2, "Patient": 1}
    two = await api.person_of(api.two["id"])
    told = await api.journal(agent="hospital-b", person=two, interaction="operation")
    assert [row["outcome"] for row in told] == ["0"]


async def test_scopes_with_arguments_narrow_it(api: BulkWorld) -> None:
    scopes = ("system/Patient.rs?birthdate=1990", "system/Observation.rs?status=preliminary")
    narrow = replace(LOADER, id="narrow", scopes=scopes)
    rows = await api.lines(await api.export("/Patient/$export", caller=narrow), narrow)
    assert [(r["resourceType"], r.get("status"), r.get("birthDate")) for r in rows] == [
        ("Observation", "preliminary", None), ("Observation", "preliminary", None),
        ("Patient", None, "1990-01-01"),
    ]  # fmt: skip
    answer = await api.call("GET", "/$export?_type=Organization", caller=narrow)
    assert answer.status_code == 403


async def test_it_is_in_the_capability_statement(api: BulkWorld) -> None:
    rest = (await api.call("GET", "/metadata")).json()["rest"][0]
    assert {"export", "import"} <= {each["name"] for each in rest["operation"]}
    places = {each["type"]: each for each in rest["resource"]}
    for type_ in ("Patient", "Group"):
        assert "export" in {each["name"] for each in places[type_]["operation"]}


async def test_files_belong_to_who_asked(api: BulkWorld) -> None:
    begun = await api.call("GET", "/$export?_type=Patient")
    status = begun.headers["content-location"]
    manifest = (await api.finished(status)).json()
    assert manifest["request"] == f"{BASE}/$export?_type=Patient"
    [file] = [each["url"] for each in manifest["output"]]
    for url in (status, file):
        assert (await api.http.get(url)).status_code == 401
        for less in (HOSPITAL, replace(LOADER, strength=1), replace(LOADER, purpose="TREAT")):
            assert (await api.http.get(url, headers=api.headers(less))).status_code == 404
    assert (await api.http.delete(status, headers=api.headers(HOSPITAL))).status_code == 404
    plain = {**api.headers(LOADER), "accept-encoding": "identity"}
    answer = await api.http.get(file, headers=plain)
    assert int(answer.headers["content-length"]) == len(answer.content)
    async with api.http.stream(
        "GET", file, headers={**api.headers(LOADER), "accept-encoding": "gzip"}
    ) as packed:
        assert packed.headers["content-encoding"] == "gzip"
        raw = b"".join([block async for block in packed.aiter_raw()])
    assert gzip.decompress(raw) == answer.content
    assert (await api.http.get(f"{status}/../keys", headers=plain)).status_code == 404
    folder = status.rsplit("/", 1)[1]
    assert folder in api.files.folders()
    assert (await api.http.delete(status, headers=plain)).status_code == 202
    assert (await api.http.get(status, headers=plain)).status_code == 404
    assert (await api.http.get(file, headers=plain)).status_code == 404
    assert folder not in api.files.folders()


async def test_large_bodies_come_along(database: Database, clock: Clock, tmp_path: Path) -> None:
    async with bulk_world(database, clock, tmp_path) as api:
        random = Random(1)
        texts = [random.randbytes(300_000).hex() for _ in range(2)]
        sent = [{"resourceType": "Basic", "id": f"b{n}", "code": {"text": t}} for n, t in
                enumerate([*texts, "small"])]  # fmt: skip
        await api.committer.commit(WriteSet([Put("Basic", s["id"], 0, s) for s in sent]))
        rows = await api.lines(await api.export())
        assert {row["id"]: row["code"] for row in rows} == {s["id"]: s["code"] for s in sent}


async def test_since_gives_changes_and_deletions(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    async with bulk_world(database, clock, tmp_path) as api:
        old = await api.patient()
        gone = await api.create({"resourceType": "Organization", "name": "A"})
        first = await api.export()
        assert len(await api.lines(first)) == 2
        clock.move(minutes=1)
        new = await api.create(observation(old["id"]))
        await api.call("DELETE", f"/Organization/{gone['id']}")
        since = first["transactionTime"].replace("+", "%2B")
        second = await api.export(f"/$export?_since={since}")
        assert [row["id"] for row in await api.lines(second)] == [new["id"]]
        [bundle] = await api.lines(second, key="deleted")
        request = {"method": "DELETE", "url": f"Organization/{gone['id']}"}
        assert bundle["entry"] == [{"request": request}]
        # as it was before: the deleted one is there again
        back = await api.export(f"/$export?_until={since}")
        assert {row["id"] for row in await api.lines(back)} == {old["id"], gone["id"]}


async def test_the_moment_stands_still_while_others_write(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    async with bulk_world(database, clock, tmp_path, working=False) as api:
        patient = await api.patient()
        kept = [await api.create(observation(patient["id"])) for _ in range(3)]
        begun = await api.call("GET", "/$export")
        clock.move(seconds=5)
        # between the kick-off and the work: changed, deleted, made, changed and deleted
        changed = {**kept[0], "status": "amended"}
        await api.call("PUT", f"/Observation/{kept[0]['id']}", changed)
        await api.call("DELETE", f"/Observation/{kept[1]['id']}")
        await api.call("PUT", f"/Observation/{kept[2]['id']}", {**kept[2], "status": "amended"})
        await api.call("DELETE", f"/Observation/{kept[2]['id']}")
        await api.create(observation(patient["id"]))
        stop = asyncio.Event()
        parts = bulk.parts(api.services)
        working = asyncio.create_task(Workers(database, parts.jobs, pause=0.02).run(stop))
        manifest = (await api.finished(begun.headers["content-location"])).json()
        stop.set()
        await working
        rows = {row["id"]: row for row in await api.lines(manifest)}
        assert rows == {each["id"]: each for each in (patient, *kept)}


async def test_a_killed_export_goes_on_without_repeating(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    async with bulk_world(database, clock, tmp_path, working=False) as api:
        patient = await api.patient()
        for _ in range(4):
            await api.create(observation(patient["id"]))
        begun = await api.call("GET", "/$export")
        number = begun.headers["content-location"].rsplit("/", 1)[1]
        # a worker that died after its checkpoint had written further lines already
        rows = await database.fetch("select rid, type, id from resource order by rid")
        two = [row["id"] for row in rows[1:3]]
        line = b""
        for id in two:
            line += (await api.call("GET", f"/Observation/{id}")).content + b"\n"
        with api.files.append(number, "Observation.1.ndjson", 0) as file:
            file.write(line + b'{"resourceType":"Observ')
        state = {
            "files": [["Observation.1.ndjson", "Observation", len(line), 2]],
            "place": {"row": rows[2]["rid"], "end": rows[-1]["rid"]},
        }
        await database.execute(
            "update job set state = 'running', worker = $1, checkpoint = $2, due = now()",
            uuid4(),
            json.dumps(state),
        )
        stop = asyncio.Event()
        parts = bulk.parts(api.services)
        working = asyncio.create_task(Workers(database, parts.jobs, pause=0.02).run(stop))
        manifest = (await api.finished(begun.headers["content-location"])).json()
        stop.set()
        await working
        ids = [row["id"] for row in await api.lines(manifest)]
        assert sorted(ids) == sorted(row["id"] for row in rows[1:])


async def test_it_waits_for_what_was_being_written(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    """A write that began before the moment and is committed after the kick-off is in it."""
    async with bulk_world(database, clock, tmp_path) as api:
        patient = await api.patient()
        async with database.transaction() as connection:  # has no number yet, only a beginning
            begun = await api.call("GET", "/$export?_type=Patient")
            status = begun.headers["content-location"]
            for wait in ("wait=0", "respond-async, wait=1"):
                headers = {**api.headers(LOADER), "prefer": wait}
                assert (await api.http.get(status, headers=headers)).status_code == 202
            await connection.execute(
                "insert into resource (person, rid, type, id, version, updated, method, deleted,"
                " tokens, dict, body) select person, rid + 1000000, type, 'late', version, $1,"
                " method, deleted, tokens, dict, body from resource where id = $2",
                clock(),
                patient["id"],
            )
        manifest = (await api.finished(status)).json()
        assert [each["count"] for each in manifest["output"]] == [2]


async def test_searches_hold_up_no_export(database: Database, clock: Clock, tmp_path: Path) -> None:
    async with bulk_world(database, clock, tmp_path) as api:
        await api.patient()
        async with database.searching() as reading, reading.transaction():
            await reading.fetchval("select 1")
            assert (await api.export("/$export?_type=Patient"))["output"][0]["count"] == 1


async def test_files_in_parts_and_not_again(api: BulkWorld) -> None:
    manifest = await api.export("/$export?_type=Patient")
    [url] = [each["url"] for each in manifest["output"]]

    async def got(**more: str) -> httpx.Response:
        asked = {name.replace("_", "-"): value for name, value in more.items()}
        headers = {**api.headers(LOADER), "accept-encoding": "identity", **asked}
        return await api.http.get(url, headers=headers)

    whole = await got()
    body, tag = whole.content, whole.headers["etag"]
    assert whole.headers["accept-ranges"] == "bytes"
    for range_, first, last in (
        ("bytes=0-9", 0, 9),
        ("bytes=10-", 10, len(body) - 1),
        ("bytes=-7", len(body) - 7, len(body) - 1),
        (f"bytes=5-{10**17}", 5, len(body) - 1),
    ):
        part = await got(range=range_, if_range=tag)
        assert (part.status_code, part.content) == (206, body[first : last + 1])
        assert part.headers["content-range"] == f"bytes {first}-{last}/{len(body)}"
        assert int(part.headers["content-length"]) == len(part.content)
    # another state of the file, several ranges, no range at all: the whole
    for headers in (
        {"range": "bytes=0-9", "if_range": '"other"'},
        {"range": "bytes=0-1,3-4"},
        {"range": "bytes=9-1"},
        {"range": "lines=1-2"},
        {"range": "bytes=-"},
    ):
        answer = await got(**headers)
        assert (answer.status_code, answer.content) == (200, body)
    for range_ in (f"bytes={len(body)}-", "bytes=-0"):
        beyond = await got(range=range_)
        assert beyond.status_code == 416 and not beyond.content
        assert beyond.headers["content-range"] == f"bytes */{len(body)}"
    known = await got(if_none_match=f'"x", W/{tag}')
    assert known.status_code == 304 and not known.content
    packed = await got(accept_encoding="zstd, gzip")
    assert packed.headers["content-encoding"] == "zstd" and packed.content == body
    assert packed.headers["etag"] != tag and packed.headers["vary"] == "accept-encoding"
    head = await api.http.head(url, headers={**api.headers(LOADER), "accept-encoding": "identity"})
    assert head.headers["content-length"] == str(len(body))
