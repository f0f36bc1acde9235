"""An invented country: its files, and what stands when they are loaded."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from datetime import date
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
import zstandard
from click.testing import CliRunner

from pater.cli import main
from pater.cli.bulk import import_files
from pater.domains.directory.demo.country import places
from pater.domains.directory.demo.registering import registered as registered_with
from pater.fhir.json import parse
from pater.fhir.validation.base import validate_base
from pater.registers.held import registerings
from pater.registers.identifiers import ICO, RID, check
from pater.registers.matching import Model
from pater.registers.matching.index import PersonIndex
from pater.registers.patients import number_of
from pater.registers.people import people
from pater.registers.people.writing import EACH, Part, parts, patient_id, patients, write_lines
from pater.settings import Settings
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.bulk_world import BulkWorld, bulk_world
from tests.rest.test_bulk_import import brought, counts, ndjson
from tests.rest.world import LOADER


@pytest.fixture
async def api(database: Database, clock: Clock, tmp_path: Path) -> AsyncIterator[BulkWorld]:
    async with bulk_world(database, clock, tmp_path) as made:
        yield made


def read(path: Path) -> list[dict[str, Any]]:
    packed = zstandard.ZstdDecompressor().stream_reader(path.read_bytes(), read_across_frames=True)
    return [json.loads(line) for line in packed.readall().splitlines()]


async def registered(db: Database) -> dict[str, dict[str, Any]]:
    """The rows of persons by Patient."""
    return {row["patient"]: dict(row) for row in await db.fetch("select * from person")}


def test_parts_hold_everybody_once() -> None:
    found = parts(1, 3 * EACH + 7)
    assert [part.size for part in found] == [EACH, EACH, EACH, 7]
    assert [part.first for part in found] == [0, EACH, 2 * EACH, 3 * EACH]
    assert len({part.name for part in [*found, *parts(2, EACH), *parts(1, 7)]}) == 6
    # any part can be made without the others
    whole = list(patients(Part(1, 0, 60)))
    assert whole[17:40] == list(patients(Part(1, 17, 23)))
    assert not set(whole) & set(patients(Part(2, 0, 60)))


def test_persons_are_good_patients_with_a_number_and_an_id_of_their_own() -> None:
    made = [parse(line) for line in patients(Part(5, 1_000, 400))]
    assert [each["id"] for each in made] == [patient_id(5, 1_000 + n) for n in range(400)]
    assert len({number_of(each) for each in made}) == len({each["id"] for each in made}) == 400
    for each in made:
        assert not [i for i in validate_base(each) if i.severity in ("error", "fatal")]
        assert all(check(i["system"], i["value"]).ok is not False for i in each["identifier"])


def test_facilities_of_the_country_have_registered_its_people() -> None:
    known = {place.ico: place for place in places(5, 300)}
    today, seen = date(2026, 1, 1), Counter[str]()
    # of all ages: blocks far from each other are of other years
    for person in chain.from_iterable(people(5, 20, first=n * 300_020) for n in range(30)):
        extensions = registered_with(5, 300, person)
        assert extensions == registered_with(5, 300, person)
        rows = registerings({"extension": extensions}, (), ())
        assert len({row.field for row in rows}) == len(rows)  # one of each field
        for row in rows:
            place = known[row.number]
            assert (row.system, row.name) == (ICO, place.name)
            seen[f"{place.kind_code} {person.sex}"] += 1
            if place.kind_code in ("320", "321"):
                assert (place.kind_code == "320") == ((today - person.born).days >= 19 * 365)
    assert not seen["323 m"] and min(seen["320 m"], seen["321 f"], seen["322 m"], seen["323 f"]) > 9
    [line] = patients(Part(5, 3, 1, 300), partial(registered_with, 5, 300))
    made = parse(line)
    assert made["extension"] and not validate_base(made)
    assert not registered_with(5, 0, next(people(5, 1)))


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "a.ndjson.zst"

    def broken() -> Any:
        yield b"{}"
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_lines(path, broken())
    assert not path.exists()
    write_lines(path, [b'{"a":1}', b'{"a":2}'])
    before = path.stat()
    write_lines(path, broken())  # it is there: nobody asks for the lines
    assert read(path) == [{"a": 1}, {"a": 2}]
    assert path.stat().st_mtime_ns == before.st_mtime_ns


async def test_the_command_makes_files_that_load_and_load_again(
    database: Database, tmp_path: Path
) -> None:
    """Persons, providers and professionals; again the same changes nothing."""
    folder = tmp_path / "files"
    asked = ["country", "--persons", "70", "--providers", "4", "--professionals", "6", "--seed",
             "9", "--files-only", "--folder", str(folder)]  # fmt: skip
    environment = {"PATER_DATA": str(tmp_path)}
    done = await asyncio.to_thread(CliRunner().invoke, main, asked, env=environment)
    assert done.exit_code == 0, done.output
    paths = sorted(folder.iterdir())
    assert [path.name for path in paths] == [
        "directory-9-4-6.ndjson.zst", "persons-9-00000000-70-4.ndjson.zst",
    ]  # fmt: skip
    settings = Settings(data=tmp_path, database_url=database.dsn)
    for turn in range(2):
        row = await import_files(settings, database.dsn, paths, trust=bool(turn))
        assert row.state == "done" and row.result is not None
        assert row.result["errors"] == 0
        found = row.result["counts"]
        assert found["Patient"] == ([0, 0, 70] if turn else [70, 0, 0])
        assert sum(found["Practitioner"]) == 6 and sum(found["Location"]) == 4
    persons = await registered(database)
    assert {id_: row["rid"] for id_, row in persons.items()} == {
        each["id"]: number_of(each) for each in read(paths[1])
    }
    # everybody is found by who they are, also as somebody else writes them
    index = PersonIndex(database, Model.load())
    for person in people(9, 30):
        wanted = persons[patient_id(9, person.number)]
        outcome = await index.match(parse(next(patients(Part(9, person.number, 1)))))
        assert outcome.outcome == "match" and outcome.ranked[0][0] == wanted["person"]


async def test_who_is_imported_with_a_number_is_a_person_of_the_register(api: BulkWorld) -> None:
    drid, wrong = {"system": RID, "value": "D123456789"}, {"system": RID, "value": "1234567890"}
    some = [parse(line) for line in patients(Part(3, 0, 30))]
    other = [
        {"resourceType": "Patient", "id": "for-a-time", "identifier": [drid]},
        {"resourceType": "Patient", "id": "nobodys", "identifier": [wrong]},
        {"resourceType": "Patient", "id": "without", "name": [{"family": "Nová"}]},
        {"resourceType": "Patient", "id": "former", "identifier": [
            {**some[0]["identifier"][0], "value": number_of(some[0]), "use": "old"}]},
    ]  # fmt: skip
    manifest, report = await brought(api, ndjson(*some, *other))
    # a number that was somebody's stays theirs
    assert counts(manifest)["Patient"] == (33, 0, 0) and len(report) == 1
    persons = await registered(api.db)
    assert {id_: row["rid"] for id_, row in persons.items()} == {
        **{each["id"]: number_of(each) for each in some}, "for-a-time": "D123456789",
    }  # fmt: skip
    assert persons["for-a-time"]["temporary"] and not persons[some[0]["id"]]["temporary"]
    for id_, row in persons.items():
        assert row["person"] == await api.person_of(id_)
    # the number leads to the Patient, and the same again changes no row
    asked = f"/Patient?identifier={RID}|{number_of(some[4])}"
    found = (await api.call("GET", asked, caller=LOADER)).json()["entry"]
    assert [each["resource"]["id"] for each in found] == [some[4]["id"]]
    await brought(api, ndjson(*some))
    assert await registered(api.db) == persons


async def test_who_loads_one_by_one_brings_persons_too(api: BulkWorld) -> None:
    """What the bulk path writes by COPY, the same caller's PUT writes."""
    first, second = (parse(line) for line in patients(Part(3, 40, 2)))
    made = await api.call("PUT", f"/Patient/{first['id']}", first, LOADER)
    assert made.status_code == 201, made.text
    persons = await registered(api.db)
    assert persons[first["id"]]["rid"] == number_of(first)
    assert persons[first["id"]]["person"] == await api.person_of(first["id"])
    without = {key: value for key, value in second.items() if key != "identifier"}
    await brought(api, ndjson(without))
    assert second["id"] not in await registered(api.db)
    # the numbers come later: the line is an update, which the gate writes
    manifest, _ = await brought(api, ndjson(second))
    assert counts(manifest)["Patient"] == (0, 1, 0)
    assert (await registered(api.db))[second["id"]]["rid"] == number_of(second)
