"""Bulk import: good lines are written as by the API, bad ones are reported, nothing twice."""

from __future__ import annotations

import asyncio
import gzip
import json
from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest
import zstandard

from pater.records import import_input
from pater.registers.identifiers import RID, new_rid
from pater.rest.bulk.imports import Imports
from pater.store import jobs
from pater.store.database import Database
from pater.store.workers import Workers
from pater.store.write import Put, WriteSet
from tests.conftest import Clock
from tests.rest.bulk_world import BulkWorld, Json, bulk_world
from tests.rest.world import BASE, HOSPITAL, LOADER, observation
from tests.shared_data import load, r4_examples
from tests.waiting import PATIENCE


@pytest.fixture
async def api(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[BulkWorld]:
    async with bulk_world(database, clock, tmp_path) as made:
        yield made


def ndjson(*resources: Json | bytes | str) -> bytes:
    lines = [
        each if isinstance(each, bytes) else each.encode() if isinstance(each, str)
        else json.dumps(each).encode()
        for each in resources
    ]  # fmt: skip
    return b"".join(line + b"\n" for line in lines)


async def brought(
    api: BulkWorld, body: bytes, mode: str = "validate", caller: Any = LOADER, **headers: str
) -> tuple[Json, list[Json]]:
    """The manifest of an upload and its report."""
    headers.setdefault("content_type", "application/fhir+ndjson")
    begun = await api.call("POST", f"/$import?mode={mode}", body, caller, **headers)
    assert begun.status_code == 202, begun.text
    answer = await api.finished(begun.headers["content-location"], caller)
    assert answer.status_code == 200, answer.text
    manifest: Json = answer.json()
    report = []
    for each in manifest["error"]:
        text = (await api.http.get(each["url"], headers=api.headers(caller))).text
        report += [json.loads(line) for line in text.splitlines()]
        assert len(report) == each["count"]
    return manifest, report


def counts(manifest: Json) -> dict[str, tuple[int, int, int]]:
    return {
        each["type"]: (each["created"], each["updated"], each["unchanged"])
        for each in manifest["output"]
    }


def person(id: str, **more: Any) -> Json:
    return {
        "resourceType": "Patient", "id": id, "name": [{"family": f"Čapek{id}"}],
        "birthDate": "1970-01-01", **more,
    }  # fmt: skip


def finding(id: str, patient: str, **more: Any) -> Json:
    return {**observation(patient), "id": id, **more}


async def test_what_is_imported_is_found(api: BulkWorld) -> None:
    lines = [person("a"), person("b"), finding("o1", "a"), finding("o2", "a"), finding("o3", "b")]
    manifest, report = await brought(api, ndjson(*lines))
    assert report == []
    assert counts(manifest) == {"Patient": (2, 0, 0), "Observation": (3, 0, 0)}
    for each in lines:
        stored = (await api.call("GET", f"/{each['resourceType']}/{each['id']}")).json()
        assert stored.pop("meta")["versionId"] == "1"
        assert stored == each
    for query, ids in (
        ("/Observation?patient=a&code=8867-4", {"o1", "o2"}),
        ("/Observation?patient.family=capekb", {"o3"}),
        ("/Observation?value-quantity=gt71", {"o1", "o2", "o3"}),
        ("/Observation?date=2026-03-01&subject=Patient/b", {"o3"}),
        ("/Patient?family=capeka&birthdate=1970", {"a"}),
        ("/Patient?_has:Observation:patient:code=8867-4", {"a", "b"}),
    ):
        bundle = (await api.call("GET", query)).json()
        assert {e["resource"]["id"] for e in bundle.get("entry", ())} == ids, query
    changes = await api.db.fetch("select changes from feed")
    assert {change[1] for row in changes for change in json.loads(row["changes"])} == {
        "a", "b", "o1", "o2", "o3"
    }  # fmt: skip
    told = await api.journal(query="$import")
    assert {row["patient"] for row in told} == {"", "a", "b"}


async def test_rows_are_those_of_the_api(api: BulkWorld) -> None:
    """COPY and the committer write the very same rows for examples of every type."""
    examples = [load(body) for body in r4_examples().values()]
    chosen: list[Json] = []
    for each in examples:
        kind = each.get("resourceType", "AuditEvent")
        if kind in ("Bundle", "AuditEvent", "Subscription", "Patient"):
            continue
        if "Patient/" in json.dumps(each) or sum(c["resourceType"] == kind for c in chosen) > 3:
            continue
        chosen.append(each)
    manifest, _ = await brought(api, ndjson(*chosen), "trust")
    written = {(type_, sum(n)) for type_, n in counts(manifest).items()}
    assert len(written) > 60
    skip = ("rid", "updated", "method", "dict", "body", "id")
    compared = 0
    for each in chosen:
        twin = str(uuid4())
        row = await api.db.fetchrow(
            "select * from resource r where id = $1 and person = 0"
            " and (select count(*) from resource where id = $1) = 1", each["id"],
        )  # fmt: skip
        if row is None:
            continue
        await api.committer.commit(
            WriteSet([Put(each["resourceType"], twin, 0, each, method="POST")])
        )
        other = await api.db.fetchrow("select * from resource where id = $1", twin)
        assert other is not None
        assert {k: v for k, v in row.items() if k not in skip} == {
            k: v for k, v in other.items() if k not in skip
        }, each["id"]
        for table in ("string_index", "date_index", "number_index", "code_index"):
            found = [
                sorted(
                    str([v for k, v in r.items() if k not in ("rid", "updated")])
                    for r in await api.db.fetch(f"select * from {table} where rid = $1", rid)
                )
                for rid in (row["rid"], other["rid"])
            ]
            assert found[0] == found[1], (table, each["id"])
        compared += 1
    assert compared > 60


async def test_the_same_again_changes_nothing(api: BulkWorld) -> None:
    lines = [person("a"), finding("o", "a"), {"resourceType": "Organization", "name": "N"}]
    await brought(api, ndjson(*lines))
    rows = await api.db.fetch("select type, id, version, updated from resource order by rid")
    api.clock.move(minutes=1)
    manifest, _ = await brought(api, ndjson(*lines))
    assert counts(manifest) == {
        "Patient": (0, 0, 1), "Observation": (0, 0, 1), "Organization": (0, 0, 1)
    }  # fmt: skip
    assert (
        await api.db.fetch("select type, id, version, updated from resource order by rid") == rows
    )
    changed = finding("o", "a", status="amended")
    manifest, _ = await brought(api, ndjson(changed, changed, finding("p", "a")))
    assert counts(manifest) == {"Observation": (1, 1, 1)}
    history = (await api.call("GET", "/Observation/o/_history")).json()
    assert [e["resource"]["status"] for e in history["entry"]] == ["amended", "final"]
    await api.call("DELETE", "/Observation/o")
    manifest, _ = await brought(api, ndjson(changed))
    assert (await api.call("GET", "/Observation/o")).json()["meta"]["versionId"] == "4"


async def test_bad_lines_lose_no_good_one(api: BulkWorld) -> None:
    body = ndjson(
        person("a"),
        b'{"resourceType": "Patient", ',
        finding("o", "a"),
        finding("wrong", "a", status="nonsense"),
        finding("lost", "nobody"),
        '["no resource"]',
        {"resourceType": "Nothing", "id": "x"},
        {"resourceType": "Observation", "id": "not an id"},
        {"resourceType": "AuditEvent", "id": "x"},
        '{"resourceType":"Organization","id":"nul","name":"a\\u0000b"}',
        b"\xff\xfe",
        "",
        {"resourceType": "Organization", "id": "last", "name": "Ž"},
    )
    manifest, report = await brought(api, body)
    assert counts(manifest) == {
        "Patient": (1, 0, 0), "Observation": (1, 0, 0), "Organization": (1, 0, 0)
    }  # fmt: skip
    where = {each["issue"][0]["details"]["text"].split(",")[1].strip() for each in report}
    assert where == {f"line {n}" for n in (2, 4, 5, 6, 7, 8, 9, 10, 11)}
    wrong = next(r for r in report if "Observation/wrong" in r["issue"][0]["details"]["text"])
    assert wrong["issue"][0]["expression"] == ["Observation.status"]
    manifest, report = await brought(api, ndjson(finding("wrong", "a", status="nonsense")), "trust")
    assert counts(manifest) == {"Observation": (1, 0, 0)} and report == []


async def test_order_does_not_matter(api: BulkWorld) -> None:
    organization = {
        "resourceType": "Organization", "id": "org", "name": "N",
        "identifier": [{"system": "urn:ico", "value": "1"}],
    }  # fmt: skip
    provenance = {
        "resourceType": "Provenance", "id": "prov", "recorded": "2026-01-01T00:00:00Z",
        "target": [{"reference": "Patient/a"}],
        "agent": [{"who": {"reference": "Organization?identifier=urn:ico|1"}}],
    }  # fmt: skip
    manager = {"reference": "Organization?identifier=urn:ico|1"}
    # a Binary has the access rules of what it belongs to
    binary = {
        "resourceType": "Binary", "id": "bin", "contentType": "text/plain", "data": "YQ==",
        "securityContext": {"reference": "Observation/o"},
    }  # fmt: skip
    lines = [
        binary,
        provenance,
        finding("o", "a"),
        person("a", managingOrganization=manager),
        organization,
    ]
    _, report = await brought(api, ndjson(*lines))
    assert report == []
    patient = (await api.call("GET", "/Patient/a")).json()
    assert patient["managingOrganization"] == {"reference": "Organization/org"}
    rows = await api.db.fetch("select id, person from resource")
    persons = {row["id"]: row["person"] for row in rows}
    assert persons["org"] == 0
    assert persons["a"] == persons["o"] == persons["prov"] == persons["bin"] > 0
    bad = {**provenance, "id": "x", "agent": [{"who": {"reference": "Organization?name=Q"}}]}
    _, report = await brought(api, ndjson(bad))
    assert [each["issue"][0]["code"] for each in report] == ["not-found"]


async def test_an_identifier_stays_with_its_patient(api: BulkWorld) -> None:
    rid = {"system": RID, "value": new_rid(Random(1))}
    lines = [person("a", identifier=[rid]), person("b", identifier=[rid]), finding("o", "b")]
    manifest, report = await brought(api, ndjson(*lines))
    assert counts(manifest) == {"Patient": (1, 0, 0)}
    assert [each["issue"][0]["code"] for each in report] == ["conflict", "not-found"]
    [claim] = await api.db.fetch("select target from claim")
    assert claim["target"] == "a"
    manifest, report = await brought(api, ndjson(person("c", identifier=[rid])))
    assert counts(manifest) == {} and len(report) == 1


async def test_packed_uploads_and_long_lines(
    api: BulkWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(import_input, "LONGEST_LINE", 5_000)
    long = person("long", name=[{"family": "x" * 10_000}])
    body = ndjson(person("a"), long, person("b")).removesuffix(b"\n")
    for packed in (body, gzip.compress(body), zstandard.ZstdCompressor().compress(body)):
        manifest, report = await brought(api, packed)
        assert [r["issue"][0]["code"] for r in report] == ["too-long"]
        assert sum(map(sum, counts(manifest).values())) == 2
    begun = await api.call(
        "POST", "/$import", gzip.compress(body)[:-20], content_type="application/fhir+ndjson"
    )
    failed = await api.finished(begun.headers["content-location"])
    assert failed.status_code == 500 and "input 1" in failed.text


async def test_only_who_may_load_may_import(api: BulkWorld) -> None:
    body = ndjson(person("a"))
    answer = await api.call(
        "POST", "/$import", body, HOSPITAL, content_type="application/fhir+ndjson"
    )
    assert answer.status_code == 403
    assert (await api.http.post(f"{BASE}/$import", content=body)).status_code == 401
    for kind in ("text/csv", "application/fhir+xml"):
        answer = await api.call("POST", "/$import", body, content_type=kind)
        assert answer.status_code == 415
    answer = await api.call("POST", "/$import?mode=x", body, content_type="application/ndjson")
    assert answer.status_code == 400
    assert api.files.folders() == []
    refused = await api.journal(agent="hospital-b", outcome="4")
    assert len(refused) == 1


async def test_inputs_are_fetched_from_allowed_origins_only(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    asked: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        asked.append(head.split(" ")[1])
        body = ndjson(person("far"))
        if asked[-1] == "/away":
            writer.write(b"HTTP/1.1 302 Found\r\nLocation: /good\r\nContent-Length: 0\r\n\r\n")
        else:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    origin = f"http://127.0.0.1:{port}"

    def manifest(url: str) -> Json:
        return {
            "inputFormat": "application/fhir+ndjson",
            "input": [{"type": "Patient", "url": url}],
        }

    async with server, bulk_world(database, clock, tmp_path, import_origins=(origin,)) as api:
        for url in (
            f"http://localhost:{port}/good", "http://127.0.0.1/good", "file:///etc/passwd",
            f"http://user@127.0.0.1:{port}/good", f"https://127.0.0.1:{port}/good", "x", "http://[",
        ):  # fmt: skip
            answer = await api.call("POST", "/$import", manifest(url))
            assert answer.status_code == 403, url
        assert asked == []
        part = [
            {"name": "type", "valueCode": "Patient"},
            {"name": "url", "valueUri": f"{origin}/good"},
        ]
        parameters = {"resourceType": "Parameters", "parameter": [{"name": "input", "part": part}]}
        begun = await api.call("POST", "/$import", parameters)
        done = await api.finished(begun.headers["content-location"])
        assert counts(done.json()) == {"Patient": (1, 0, 0)}
        begun = await api.call("POST", "/$import", manifest(f"{origin}/away"))
        failed = await api.finished(begun.headers["content-location"])
        assert failed.status_code == 500 and "302" in failed.text
        assert asked == ["/good", "/away"]
        for wrong in ({"input": []}, {"input": [{}]}, {"input": "x"}, {"inputFormat": "csv"}):
            assert (await api.call("POST", "/$import", wrong)).status_code == 400


async def test_a_killed_import_goes_on(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Stopped after every chunk in turn, the import ends as if it had never been stopped."""
    monkeypatch.setattr(import_input, "MOST_LINES", 3)
    people = [person(f"p{n}") for n in range(6)]
    lines: list[Json] = [finding("early", "p5"), *people]
    lines += [finding(f"o{n}", f"p{n % 6}") for n in range(8)]
    lines.insert(4, finding("bad", "p0", status="nonsense"))
    async with bulk_world(database, clock, tmp_path, working=False) as api:
        begun = await api.call(
            "POST", "/$import", ndjson(*lines), content_type="application/fhir+ndjson"
        )
        number = begun.headers["content-location"].rsplit("/", 1)[1]
        imports = Imports(api.services)
        for _ in range(40):
            row = await jobs.look(database, number)
            assert row is not None
            if not row.unfinished:
                break
            task = asyncio.create_task(
                Workers(database, {"import": imports.work}, pause=0.01).run(asyncio.Event())
            )
            before = row.checkpoint
            async with asyncio.timeout(PATIENCE):
                while True:
                    row = await jobs.look(database, number)
                    if row is None or row.checkpoint != before or not row.unfinished:
                        break
                    await asyncio.sleep(0.001)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            # nobody gave the job back: its lease has run out
            await database.execute(
                "update job set worker = $1, due = now() where state = 'running'", uuid4()
            )
        answer = await api.finished(begun.headers["content-location"])
        manifest = answer.json()
        assert counts(manifest) == {"Patient": (6, 0, 0), "Observation": (9, 0, 0)}
        assert [each["count"] for each in manifest["error"]] == [1]
        rows = await database.fetch("select id, version from resource")
        assert sorted(row["id"] for row in rows) == sorted(
            each["id"] for each in lines if each["id"] != "bad"
        )
        assert {row["version"] for row in rows} == {1}


async def test_processes_of_their_own_do_the_same(api: BulkWorld) -> None:
    """Large inputs are made ready by other processes."""
    lines: list[Json] = [person("a")]
    lines += [finding(f"o{n}", "a", note=[{"text": "x" * 900}]) for n in range(1_200)]
    manifest, report = await brought(api, ndjson(*lines), "trust")
    assert counts(manifest) == {"Patient": (1, 0, 0), "Observation": (1200, 0, 0)}
    assert report == []
    bundle = (await api.call("GET", "/Observation?patient=a&_summary=count")).json()
    assert bundle["total"] == 1200
