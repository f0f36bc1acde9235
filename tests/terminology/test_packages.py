"""A package's definitions are stored through the gate once, and are of use at once."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import pater.cli
from pater.fhir.packages import resources
from pater.rest.terminology.packages import LOADER, load_package
from pater.store.database import Database
from pater.terminology.service import Terminology
from pater.terminology.stored import StoredDefinitions
from tests.conftest import Clock
from tests.rest.world import world
from tests.shared_data import shared

CS: dict[str, Any] = {
    "resourceType": "CodeSystem", "id": "cs", "url": "http://example.org/p/cs", "version": "1",
    "status": "active", "content": "complete", "concept": [{"code": "a", "display": "A"}],
}  # fmt: skip
VS: dict[str, Any] = {
    "resourceType": "ValueSet", "id": "vs", "url": "http://example.org/p/vs", "status": "active",
    "compose": {"include": [{"system": CS["url"]}]},
}  # fmt: skip
BAD: dict[str, Any] = {"resourceType": "ValueSet", "id": "bad", "url": "http://example.org/p/bad"}


def package(folder: Path, *found: dict[str, Any]) -> Path:
    path = folder / "some.tgz"
    with tarfile.open(path, "w:gz") as archive:
        for each in ({"name": "some", "version": "1"}, *found):
            body = json.dumps(each).encode()
            name = f"{each['resourceType']}-{each['id']}" if "id" in each else "package"
            info = tarfile.TarInfo(f"package/{name}.json")
            info.size = len(body)
            archive.addfile(info, io.BytesIO(body))
    return path


async def test_a_package_is_written_once_and_used_at_once(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    path = package(tmp_path, CS, VS, BAD, {"resourceType": "Patient", "id": "p"})
    async with world(database, clock) as made:
        stored = StoredDefinitions(database)
        dry = await load_package(made.gate, stored, resources(path), dry=True)
        assert (dry.written, dry.left_out) == (2, 1)
        assert await stored.by_url("CodeSystem", str(CS["url"])) == []
        first = await load_package(made.gate, stored, resources(path))
        assert (first.written, first.unchanged, first.left_out) == (2, 0, 1)
        assert len(first.refused) == 1
        assert "ValueSet.status" in first.refused[0]
        terms = Terminology(database)
        assert await terms.expand_codes(str(VS["url"])) == {(CS["url"], "a")}
        again = await load_package(made.gate, stored, resources(path))
        assert (again.written, again.unchanged) == (0, 2)
        changed = {**CS, "concept": [{"code": "b"}]}
        more = await load_package(made.gate, stored, resources(package(tmp_path, changed)))
        assert (more.written, more.unchanged) == (1, 0)
        assert await terms.expand_codes(str(VS["url"])) == {(CS["url"], "b")}
        assert len(await stored.by_url("CodeSystem", str(CS["url"]))) == 1
        (entry, *_) = await made.journal(agent=LOADER.id)
        assert entry["entity_type"] in ("CodeSystem", "ValueSet")


async def test_empty_texts_of_a_published_package_are_left_out_and_told(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    told = {**CS, "url": "http://example.org/p/told", "publisher": "", "contact": [{"name": ""}]}
    told["contact"].append({"name": "Somebody"})
    path = package(tmp_path, {**told, "contact": told["contact"][1:]}, {**told, "id": "hollow"})
    async with world(database, clock) as made:
        stored = StoredDefinitions(database)
        report = await load_package(made.gate, stored, resources(path))
        assert report.mended[0].endswith("empty text left out: CodeSystem.publisher")
        # what is nothing but empty text stays refused: nobody knows what was meant
        assert "CodeSystem.contact[0]" in report.refused[0]
        ((_, held),) = await stored.by_url("CodeSystem", "http://example.org/p/told")
        assert "publisher" not in held
        again = await load_package(made.gate, stored, resources(path))
        assert (again.written, again.unchanged) == (0, 1)


async def test_the_czech_terminology_is_of_use(database: Database, clock: Clock) -> None:
    data = shared("terminology/cz-terminology.tgz").read_bytes()
    found = []
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:gz") as archive:
        for member in archive.getmembers():
            name = member.name.rpartition("/")[2]
            file = archive.extractfile(member) if member.isfile() else None
            if file is not None and name.startswith(("CodeSystem-", "ValueSet-")):
                found.append(json.loads(file.read()))
    async with world(database, clock) as made:
        stored = StoredDefinitions(database)
        report = await load_package(made.gate, stored, found)
        assert not report.refused
        assert report.written == len(found)
        terms = Terminology(database)
        insurers = await terms.expand_codes("https://ncez.mzcr.cz/terminology/ValueSet/drzar")
        assert len(insurers) == 77
        verdict = await terms.known_code(
            "https://sukl.cz/terminology/CodeSystem/dlp-formy", "tbl nob"
        )
        assert verdict.ok is True  # the list says that case does not matter
        gender = await terms.validate_code(
            "http://hl7.org/fhir/ValueSet/administrative-gender",
            "http://hl7.org/fhir/administrative-gender",
            "male",
        )
        assert gender.ok is True


def test_the_command_checks_without_writing_and_says_what_is_wrong(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATER_DATA", str(tmp_path / "data"))
    good = tmp_path / "atc_2026.csv"
    good.write_text("ATC;NT;NAZEV;NAZEV_EN\nC;N;Srdce;HEART\n")
    runner = CliRunner()
    done = runner.invoke(pater.cli.main, ["load", "atc", str(good), "--dry-run"])
    assert done.exit_code == 0, done.output
    assert "1 concepts read" in done.output
    assert not (tmp_path / "data").exists()
    bad = tmp_path / "mkn_2026.csv"
    bad.write_text("kod;nazev\n;x\n")
    done = runner.invoke(pater.cli.main, ["load", "mkn10", str(bad), "--dry-run"])
    assert done.exit_code == 1
    assert "mkn_2026.csv:2: no code" in done.output
    done = runner.invoke(pater.cli.main, ["load", "csv", str(good), "--column", "x", "--dry-run"])
    assert "ROLE=NAME" in done.output


async def test_a_parameter_that_nobody_could_search_by_is_refused_alone(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    useless = {
        "resourceType": "SearchParameter", "id": "p", "url": "https://example.org/p",
        "name": "P", "status": "active", "description": "x", "code": "p", "base": ["Patient"],
        "type": "token",
    }  # fmt: skip
    draft = {**useless, "id": "q", "url": "https://example.org/q", "status": "draft"}
    path = package(tmp_path, useless, draft)
    async with world(database, clock) as made:
        stored = StoredDefinitions(database)
        report = await load_package(made.gate, stored, resources(path))
    assert report.written == 1
    assert ["SearchParameter.expression" in each for each in report.refused] == [True]
