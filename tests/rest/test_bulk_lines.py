"""Bulk import: profiles, conditional references, lost processes, and how lines are cut."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.records import import_input, import_processes
from pater.rest.bulk import imports
from pater.rest.profiles import StoredProfiles
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.bulk_world import BulkWorld, Json, bulk_world
from tests.rest.test_bulk_import import brought, counts, finding, ndjson, person
from tests.rest.test_validate_op import named_profile


@pytest.fixture
async def api(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[BulkWorld]:
    async with bulk_world(database, clock, tmp_path) as made:
        yield made


async def test_profiles_that_are_declared_hold(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    """In mode validate a line is held to what a write of it would be held to."""
    profiles = StoredProfiles(database, clock)
    async with bulk_world(database, clock, tmp_path, conforming=profiles.declared) as api:
        await api.create(named_profile("kept-in-bulk"))
        meta = {"profile": ["http://example.org/StructureDefinition/kept-in-bulk"]}
        good, bad = person("good", meta=meta), person("bad", meta=meta)
        del bad["birthDate"]
        plain = person("plain")
        del plain["birthDate"]
        body = ndjson(good, bad, plain)
        for _ in range(2):  # the second time the good ones are there already
            manifest, report = await brought(api, body)
            assert sum(map(sum, counts(manifest).values())) == 2
            [issue] = report[0]["issue"]
            assert (issue["code"], issue["expression"]) == ("required", ["Patient.birthDate"])
            assert issue["details"]["text"] == "input 1, line 2, Patient/bad"
        assert (await api.call("GET", "/Patient/bad")).status_code == 404
        manifest, report = await brought(api, body, "trust")
        assert counts(manifest) == {"Patient": (1, 0, 2)} and report == []


async def test_conditional_references_take_any_search(api: BulkWorld) -> None:
    twins = [person(id, name=[{"family": "Dvojče"}]) for id in ("t1", "t2")]
    only = person("only", name=[{"family": "Jediná"}], birthDate="1999-09-09")

    def of(id: str, query: str) -> Json:
        return {**finding(id, "x"), "subject": {"reference": f"Patient?{query}"}}

    lines = [
        of("by-name", "name=Jedin%C3%A1&birthdate=1999-09-09"),
        *twins,
        only,
        of("two", "name=Dvoj%C4%8De"),
        of("none", "name=Nikdo"),
        of("unread", "nonsense=1"),
        of("shaped", "name=Jedin%C3%A1&_sort=name"),
    ]
    manifest, report = await brought(api, ndjson(*lines))
    assert counts(manifest) == {"Observation": (1, 0, 0), "Patient": (3, 0, 0)}
    found = (await api.call("GET", "/Observation/by-name")).json()
    assert found["subject"]["reference"] == "Patient/only"
    said = {row["issue"][0]["details"]["text"].rpartition("/")[2]: row["issue"] for row in report}
    codes = {id: issue[0]["code"] for id, issue in said.items()}
    assert codes == {"two": "value", "none": "not-found", "unread": "value", "shaped": "value"}
    for row in report:
        if row["issue"][0]["code"] == "value":
            assert row["issue"][0]["expression"] == ["Observation.subject.reference"]


async def test_a_lost_process_costs_nothing(
    database: Database, clock: Clock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that is killed while it works: the job goes on from its checkpoint."""
    started: list[subprocess.Popen[bytes]] = []

    class Kept(subprocess.Popen[bytes]):
        def __init__(self, *args: Any, **kwargs: Any) -> None:
            super().__init__(*args, **kwargs)
            if not started:
                self.kill()
            started.append(self)

    monkeypatch.setattr(import_processes.subprocess, "Popen", Kept)
    monkeypatch.setattr(imports, "_PROCESSES_FROM", 1)
    async with bulk_world(database, clock, tmp_path) as api:
        lines = [person("a"), *(finding(f"o{n}", "a") for n in range(20))]
        manifest, report = await brought(api, ndjson(*lines))
        assert counts(manifest) == {"Patient": (1, 0, 0), "Observation": (20, 0, 0)}
        assert report == []
    assert len(started) > 2 and all(each.poll() is not None for each in started)


@given(
    lines=st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b"")), max_size=40),
    end=st.sampled_from((b"", b"\n")),
    most=st.integers(1, 6),
    size=st.integers(1, 50),
)
def test_every_line_is_in_one_chunk(
    tmp_path_factory: pytest.TempPathFactory, lines: list[bytes], end: bytes, most: int, size: int
) -> None:
    """Whatever the sizes are, chunks hold each line once, and each can be where one goes on."""
    path = tmp_path_factory.mktemp("lines") / "input"
    path.write_bytes(b"\n".join(lines) + end)
    longest = 20
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(import_input, "MOST_LINES", most)
        patch.setattr(import_input, "MOST_BYTES", size)
        patch.setattr(import_input, "LONGEST_LINE", longest)
        found = list(import_input.chunks(path, 1, 0, 0, spool=False))
        wanted = [
            (import_input.INPUT + number, None if len(line) > longest else line)
            for number, line in enumerate(lines, start=1)
            if len(line) > longest or line.strip()
        ]
        assert [line for chunk in found for line in chunk.lines()] == wanted
        assert all(chunk.line - chunk.first <= most + 1 for chunk in found)
        for place, chunk in enumerate(found):
            rest = list(import_input.chunks(path, 1, chunk.offset, chunk.line, spool=False))
            again = [line for each in rest for line in each.lines()]
            assert again == [line for each in found[place + 1 :] for line in each.lines()]


def test_empty_lines_are_no_work(tmp_path: Path) -> None:
    """A packed file of millions of empty lines is one chunk, and the line behind has its number."""
    path = tmp_path / "input"
    path.write_bytes(b"\n" * 3_000_000 + b"last\n" + b"\n" * 10)
    [chunk] = import_input.chunks(path, 1, 0, 0, spool=False)
    assert chunk.lines() == [(import_input.INPUT + 3_000_001, b"last")]
