"""Imports of the register's files: what is written, what is left alone, what is refused, ended."""

from __future__ import annotations

import random
from datetime import date

import pytest

from pater.domains.directory.columns import FORMS
from pater.domains.directory.importing import Task, run
from pater.domains.directory.reading import FileError, layout_of, rows
from pater.fhir.validation import validate
from tests.directory.conftest import ICO_A, KRZP, LOADER, PEOPLE, PLACES, Desk, columns, write
from tests.shared_data import shared


async def test_a_file_becomes_a_register(desk: Desk) -> None:
    report = await desk.take(PLACES)
    assert report.state == "done" and not report.refused
    assert report.created == {
        "Location": 3, "Organization": 5, "HealthcareService": 4, "OrganizationAffiliation": 1,
        "Endpoint": 1,
    }  # fmt: skip
    place = await desk.get("Location/place-1001")
    assert validate(place) == []
    assert place["managingOrganization"]["reference"] == f"Organization/pzs-{ICO_A}"
    assert (place["position"]["latitude"], place["position"]["longitude"]) == (50.1, 14.4)
    assert place["address"]["postalCode"] == "999 01"
    permit = await desk.get("OrganizationAffiliation/permit-1001")
    assert permit["identifier"][0]["value"] == "KU/12/2012"
    assert permit["period"] == {"start": "2012-04-01"}
    assert len(permit["healthcareService"]) == 2
    assert await desk.ids(f"Organization?partof=Organization/pzs-{ICO_A}") == [
        "dept-1001-interna", "dept-1001-jip",
    ]  # fmt: skip
    people = await desk.take(PEOPLE)
    assert people.source == "professionals" and people.created["PractitionerRole"] == 3
    role = await desk.get(f"PractitionerRole?practitioner=Practitioner/krzp-{KRZP}&role=L1")
    assert role["entry"][0]["resource"]["period"] == {"start": "2010-09-01"}
    who = await desk.get(f"Practitioner/krzp-{KRZP}")
    assert "birthDate" not in who  # of a public register nobody reads a birth date


async def test_the_same_again_writes_nothing_and_a_change_writes_only_itself(desk: Desk) -> None:
    await desk.take(PLACES)
    again = await desk.take(PLACES)
    assert (again.written, sum(again.unchanged.values())) == (0, 14)
    moved = [{**PLACES[0], "ZZ_ulice": "Nová"}, *PLACES[1:]]
    report = await desk.take(moved)
    assert report.changed == {"Location": 1} and not report.created and report.written == 1
    versions = await desk.get("Location/place-1001/_history")
    assert [e["resource"]["address"]["line"] for e in versions["entry"]] == [
        ["Nová 1"],
        ["Lesní 1"],
    ]


async def test_columns_may_stand_in_any_order_and_encoding(desk: Desk) -> None:
    names = columns(PLACES)
    random.Random(7).shuffle(names)
    await desk.take(PLACES)
    for encoding, delimiter in (("cp1250", ";"), ("utf-8-sig", "\t")):
        path = write(desk.folder / "b.csv", PLACES, encoding=encoding, header=names,
                     delimiter=delimiter)  # fmt: skip
        report = await desk.file(Task(path))
        assert report.written == 0 and report.rows == 3, encoding


async def test_a_dry_run_tells_the_same_and_writes_nothing(desk: Desk) -> None:
    await desk.take(PLACES[:1])
    dry = await desk.take([{**PLACES[0], "ZZ_nazev": "Jiná"}, PLACES[2]], dry=True)
    assert dry.state == "dry" and dry.written == 0
    assert dry.created["Location"] == 1 and dry.changed["Location"] == 1
    assert await desk.ids("Location") == ["place-1001"]
    real = await desk.take([{**PLACES[0], "ZZ_nazev": "Jiná"}, PLACES[2]])
    assert (real.created, real.changed) == (dry.created, dry.changed)


async def test_what_vanished_is_ended_and_comes_back(desk: Desk) -> None:
    await desk.take(PLACES)
    stopped = await desk.take(PLACES[:2])
    assert stopped.state == "stopped" and "--accept" in stopped.stopped
    assert (await desk.get("Location/place-1003"))["status"] == "active"
    report = await desk.take(PLACES[:2], accept=True)
    assert report.state == "done" and report.ended["Location"] == 1
    gone = await desk.get("Location/place-1003")
    assert gone["status"] == "inactive" and gone["name"] == "Lékárna U Dubu"
    assert (await desk.get("Organization/pzs-00064203"))["active"] is False
    back = await desk.take(PLACES)
    assert back.changed["Location"] == 1
    assert (await desk.get("Location/place-1003"))["status"] == "active"


async def test_part_of_a_file_ends_nothing(desk: Desk) -> None:
    await desk.take(PLACES)
    report = await desk.take([{**PLACES[1], "ZZ_nazev": "Jinak"}], part=True)
    assert report.changed["Location"] == 1 and not report.ended
    assert (await desk.get("Location/place-1003"))["status"] == "active"


async def test_bad_rows_are_refused_with_reasons_kept_and_tried_again(desk: Desk) -> None:
    await desk.take(PLACES)
    bad = [
        {**PLACES[0], "poskytovatel_ICO": "27520537"},
        {**PLACES[1], "ZZ_GPS": "POINT(10.0 14.4)"},
        PLACES[2],
        {**PLACES[2], "ZZ_nazev": "Dvakrát"},
        {**PLACES[2], "ZZ_ID": "1004", "oteviraci_doba": "stále"},
        {**PLACES[2], "ZZ_ID": "1005", "ZZ_datum_zahajeni_cinnosti": "31.2.2020"},
    ]
    kept = desk.folder / "refused.csv"
    report = await desk.take(bad, refused=kept)
    assert report.state == "done" and sum(report.refused.values()) == 5
    lines = {line for line, _ in report.examples}
    assert lines == {2, 3, 5, 6, 7}
    assert any("check digit" in reason for reason in report.refused)
    # a row that is refused keeps what it brought before
    assert not report.ended and (await desk.get("Location/place-1001"))["status"] == "active"
    quarantine = layout_of(kept)
    assert quarantine.header[:2] == ("refused_row", "refused_reason")
    found = list(rows(kept, quarantine))
    assert sorted(int(row.cells[0]) for row in found) == [2, 3, 5, 6, 7]
    again = await desk.file(Task(kept, part=True))
    assert sum(again.refused.values()) == 4  # the double one is alone now, and good


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "empty"),
        (b"a,b\n1,2\n", "ZZ_ID"),
        (b"ZZ_ID,ZZ_nazev,ZZ_obec,ZZ_ID\n", "twice"),
        (b"ZZ_ID,ZZ_nazev\n1,Nemocnice\n", "ZZ_obec"),
        ("ZZ_ID,ZZ_nazev,ZZ_obec\n1,Dům,Plzeň\n".encode() + b"2,D\xf9m,Plze\xf2\n", "row 3"),
        (b"ZZ_ID,ZZ_nazev,ZZ_obec\n" + b"1,D\x81m,Plze\x88\n", "row 2"),
        ("ZZ_ID,ZZ_nazev,ZZ_obec\n".encode("utf-16"), "UTF-16"),
        (b"ZZ_ID,ZZ_nazev,ZZ_obec\n1,a\0b,c\n", "NUL"),
    ],
)
async def test_a_broken_file_is_refused_whole(desk: Desk, content: bytes, said: str) -> None:
    await desk.take(PLACES)
    path = desk.folder / "broken.csv"
    path.write_bytes(content)
    with pytest.raises(FileError, match=said):
        await desk.file(Task(path))
    assert (await desk.get("Location/place-1001"))["status"] == "active"


async def test_an_import_that_was_stopped_goes_on(desk: Desk) -> None:
    many = [{**PLACES[2], "ZZ_ID": str(n), "ZZ_nazev": f"Lékárna {n}"} for n in range(300)]
    path = write(desk.folder / "many.csv", many)

    class Stop(Exception):  # noqa: N818
        pass

    async def told(report: object) -> None:
        if getattr(report, "written", 0) >= 200:
            raise Stop

    with pytest.raises(Stop):
        await run(desk.house.services, Task(path), told)
    written = await desk.db.fetchval("select count(*) from resource")
    assert 200 <= written < 601
    number = await desk.db.fetchval("select max(run) from directory_run")

    async def quiet(_: object) -> None:
        return None

    report = await run(desk.house.services, Task(path), quiet, number)
    assert report.state == "done"
    assert await desk.db.fetchval("select count(*) from resource") == 601
    assert await desk.db.fetchval("select max(version) from resource") == 1


async def test_published_hospitals_are_read_although_their_letters_are_twice_encoded(
    desk: Desk,
) -> None:
    report = await desk.file(Task(shared("hospitals-cz.csv")))
    assert report.created["Location"] == 248 and not report.refused
    found = await desk.get("Location?name:contains=Náchod&address-city=Broumov")
    assert found["entry"][0]["resource"]["name"].startswith("Oblastní nemocnice Náchod")


async def test_what_an_importer_writes_stands_in_the_journal(desk: Desk) -> None:
    await desk.take(PLACES[:1])
    told = await desk.db.fetch(
        "select entity_type, entity_id from journal_entry where agent = 'pater-directory'"
    )
    assert ("Location", "place-1001") in {(row["entity_type"], row["entity_id"]) for row in told}


def test_what_rows_say_is_valid_whatever_they_say() -> None:
    cells = {"key": "ž/1", "name": "X", "city": "Y", "ico": "27520536", "fields": "a, b (c, d), a",
             "equipment": "CT;;CT", "departments": "A (3)"}  # fmt: skip
    made = FORMS["providers"].made(cells, date(2026, 1, 1))
    assert [i for each in made for i in validate(each) if i.severity == "error"] == []
    services = [each["name"] for each in made if each["resourceType"] == "HealthcareService"]
    assert services == ["a", "b (c, d)"]


async def test_nobody_but_the_loader_writes_the_register(desk: Desk) -> None:
    await desk.take(PLACES)
    place = await desk.get("Location/place-1001")
    refused = await desk.call("PUT", "/fhir/Location/place-1001", json=place)
    assert refused.status_code == 403
    assert (await desk.call("PUT", "/fhir/Location/place-1001", LOADER, json=place)).is_success
