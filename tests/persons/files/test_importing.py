"""Lists of persons of hospitals and insurers: what becomes of each row, twice, stopped, refused."""

from __future__ import annotations

import asyncio
import csv
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.domains.persons.files import importing as importing_module
from pater.domains.persons.files import tables
from pater.domains.persons.files.columns import COLUMNS, CellError, Columns, number_of, patient_of
from pater.domains.persons.files.importing import Importing
from pater.domains.persons.files.report import Fate, Report, Task
from pater.domains.persons.files.work import KIND, ROWS, import_job, payload_of
from pater.fhir.json import parse
from pater.fhir.validation import validate
from pater.registers.csv_files import FileError
from pater.registers.identifiers import BIRTH_NUMBER, INSURED_NUMBER, RID, birth_number_for
from pater.store import jobs
from pater.store.jobs import LeaseLost
from pater.store.read import read
from pater.store.workers import Workers
from tests.persons.faces import NUMBERS_A, OID_A, A, B, Faces, somebody

Rows = Sequence[dict[str, str]]
LUDMILA = birth_number_for(date(1985, 6, 15), "female", 1)
PAVEL = birth_number_for(date(1970, 3, 4), "male", 3)


def person(number: str, **more: str) -> dict[str, str]:
    """A row of a list."""
    return {
        "cislo_pacienta": number, "prijmeni": "Procházková", "jmeno": "Ludmila",
        "datum_narozeni": "15.6.1985", "pohlavi": "Z", "rodne_cislo": LUDMILA,
        "ulice": "Květná", "cislo_popisne": "17", "obec": "Olomouc", "psc": "77900",
        "telefon": "+420 603 111 222", **more,
    }  # fmt: skip


def pavel(number: str, **more: str) -> dict[str, str]:
    """Somebody else."""
    about = {"prijmeni": "Říha", "jmeno": "Pavel", "datum_narozeni": "1970-03-04", "pohlavi": "M",
             "rodne_cislo": PAVEL, "ulice": "Dlouhá", "obec": "Brno", "psc": "60200",
             "telefon": "+420 777 000 111"}  # fmt: skip
    return person(number, **{**about, **more})


def crowd(count: int) -> list[dict[str, str]]:
    """Persons of whom none is like another."""
    letters = "bcdfghjklm"
    found = []
    for n in range(count):
        name = "".join(letters[int(each)] + "aeiou"[int(each) % 5] for each in f"{n * 7919:06d}")
        born = date(1930 + n % 70, 1 + n % 12, 1 + n % 28)
        found.append(
            pavel(
                str(n), prijmeni=name.title(), jmeno=name[::-1].title(), ulice=name, obec=name,
                datum_narozeni=born.isoformat(), rodne_cislo=birth_number_for(born, "male", n + 1),
                psc=f"{10000 + n}", telefon=f"+420 6{n:08d}",
            )
        )  # fmt: skip
    return found


class Hospital:
    """A hospital that brings files."""

    def __init__(self, at: Faces, folder: Path) -> None:
        self.at, self.folder = at, folder
        registers = at.services.registers
        assert registers is not None
        self.importing = Importing(at.services, registers)
        self.fates: list[Fate] = []

    def file(self, rows: Rows, encoding: str = "utf-8", delimiter: str = ";") -> Path:
        path = self.folder / "pacienti.csv"
        with path.open("w", encoding=encoding, newline="") as file:
            names = list(dict.fromkeys(name for row in rows for name in row))
            writer = csv.DictWriter(file, names, delimiter=delimiter)
            writer.writeheader()
            writer.writerows(rows)
        return path

    async def brings(self, rows: Rows | Path, **task: Any) -> Report:
        path = rows if isinstance(rows, Path) else self.file(rows)
        self.fates = []

        async def told(_: Report, __: object, ___: str, fates: Sequence[Fate]) -> None:
            self.fates += fates

        whole = replace(Task(path, A.organization, NUMBERS_A), **task)
        return await self.importing.run(whole, str(uuid4()), told)

    async def waiting(self) -> list[tables.Refused]:
        return await tables.waiting(self.at.services.db, "", 1_000)

    async def count(self) -> int:
        return await self.at.desk.count()

    async def master(self, number: str) -> dict[str, Any]:
        found = await self.at.desk.registration.find(NUMBERS_A, number, A.organization)
        assert found is not None
        stored = await read(self.at.services.db, "Patient", found[1])
        assert stored is not None
        return parse(stored.body)


@pytest.fixture
def hospital(at: Faces, tmp_path: Path) -> Hospital:
    return Hospital(at, tmp_path)


def numbers(patient: dict[str, Any], system: str) -> list[str]:
    return [each["value"] for each in patient["identifier"] if each["system"] == system]


async def test_a_list_is_taken_and_the_same_again_changes_nothing(hospital: Hospital) -> None:
    rows = [
        person("1", cislo_pojistence=LUDMILA, pojistovna="111", titul_pred="Mgr.", rid_matky=""),
        pavel("2", ruian="41000001", cislo_op="123456789"),
    ]
    report = await hospital.brings(rows)
    assert dict(report.outcomes) == {"new": 2}
    assert (report.rows, report.encoding, report.delimiter) == (2, "utf-8", ";")
    patient = await hospital.master("1")
    assert not [each for each in validate(patient) if each.severity == "error"]
    assert patient["name"][0]["prefix"] == ["Mgr."]
    assert patient["birthDate"] == "1985-06-15"
    assert numbers(patient, BIRTH_NUMBER) == [LUDMILA]
    insured = next(e for e in patient["identifier"] if e["system"] == INSURED_NUMBER)
    assert insured["assigner"]["identifier"]["value"] == "111"
    assert not numbers(patient, NUMBERS_A)  # it would tell where somebody is treated
    journal = "select count(*) from journal where person > 0"
    versions = await hospital.at.services.db.fetchval(journal)
    again = await hospital.brings(rows)
    assert dict(again.outcomes) == {"unchanged": 2}
    assert await hospital.at.services.db.fetchval(journal) == versions
    assert await hospital.count() == 2


async def test_each_outcome_is_foreseen_and_then_comes_true(hospital: Hospital) -> None:
    await hospital.at.feed("b1", somebody((BIRTH_NUMBER, LUDMILA)), B)
    rows = [
        person("1"),
        pavel("2", cislo_op="123456789"),
        person("3", rodne_cislo="", datum_narozeni="1985", telefon=""),
        pavel(
            "4",
            rodne_cislo="",
            cislo_op="123456789",
            jmeno="Jiří",
            prijmeni="Kos",
            datum_narozeni="1999-09-09",
            obec="Cheb",
            psc="35002",
            ulice="",
            telefon="",
        ),
        pavel("5", rodne_cislo="7003040001"),
        pavel("6", datum_narozeni="30.2.1970"),
        pavel("7", datum_narozeni="2970-03-04"),
        pavel("8", datum_umrti="1960-01-01"),
        pavel("", jmeno="Karel"),
        person("10", pohlavi="?"),
    ]
    expected = {
        "1": ("matched", "", ""), "2": ("new", "", ""),
        "3": ("possible", "", "it may be somebody who is registered already"),
        "4": ("possible", "", "name or birth date differ from those of the identifier's holder"),
        "5": ("refused", "rodne_cislo",
              "the check digit of the birth number fails (divisible by 11)"),
        "6": ("refused", "datum_narozeni",
              "this is no day of the calendar, written YYYY-MM-DD or D. M. YYYY"),
        "7": ("refused", "datum_narozeni", "it is in the future"),
        "8": ("refused", "datum_umrti", "nobody dies before they are born"),
        "": ("refused", "cislo_pacienta", "the number of the person is missing"),
        "10": ("refused", "pohlavi", "one of M, Z, X, N"),
    }  # fmt: skip
    tables_of_persons = "select count(*) from person", "select count(*) from source_record"
    db = hospital.at.services.db
    before = [await db.fetchval(each) for each in tables_of_persons]
    dry = await hospital.brings(rows, dry=True)
    foreseen = {each.number: (each.outcome, each.place, each.reason) for each in hospital.fates}
    # of a person who is not here yet, only the row is known
    assert foreseen.pop("4") == (
        "possible", "", "an identifier of row 3, but another name or birth date",
    )  # fmt: skip
    assert foreseen == {number: each for number, each in expected.items() if number != "4"}
    assert [await db.fetchval(each) for each in tables_of_persons] == before
    assert not await hospital.waiting()
    assert await db.fetchval("select count(*) from person_file_seen") == 0
    told = await db.fetch("select query, organization from journal where query like '%persons%'")
    assert {row["organization"] for row in told} == {A.organization}
    assert dry.dry
    report = await hospital.brings(rows)
    assert {e.number: (e.outcome, e.place, e.reason) for e in hospital.fates} == expected
    assert report.outcomes["refused"] == 6
    assert await db.fetchval("select count(*) from match_case") == 2
    assert Report.of(report.as_json()) == report


async def test_columns_in_any_order_and_language(hospital: Hospital) -> None:
    rows = [
        {"Sex": "F", "Postcode": "77900", "FIRST NAME": "Ludmila", "note": "x",
         "Date of Birth": "15/06/1985", "MRN": "1", "Last_Name": "Procházková",
         "Birth number": f"{LUDMILA[:6]}/{LUDMILA[6:]}"},
    ]  # fmt: skip
    for encoding, delimiter in (("cp1250", ";"), ("iso-8859-2", "\t"), ("utf-8-sig", ",")):
        rows[0]["Last_Name"] = "Procházková Žižková"
        path = hospital.file(rows, encoding, delimiter)
        report = await hospital.brings(path)
        assert (report.encoding, report.delimiter) == (encoding, delimiter)
        assert report.ignored == ["note"]
        assert report.outcomes["refused"] == 0
    patient = await hospital.master("1")
    assert patient["name"][0]["family"] == "Procházková Žižková"
    assert (patient["gender"], patient["birthDate"]) == ("female", "1985-06-15")
    assert await hospital.count() == 1


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda text: text.replace("prijmeni;", ""), "these columns are missing: prijmeni or"),
        (lambda text: text.replace("jmeno", "Příjmení"), "the column Příjmení stands twice"),
        (lambda text: "", "the file is empty"),
        (lambda text: text.replace("\n", "\r"), "CR alone"),
    ],
)
async def test_a_file_that_is_no_list_is_refused_whole(
    hospital: Hospital, change: Callable[[str], str], text: str
) -> None:
    path = hospital.file([person("1")])
    path.write_text(change(path.read_text("utf-8").replace("\r\n", "\n")), "utf-8", newline="")
    with pytest.raises(FileError, match=text):
        await hospital.brings(path)
    assert await hospital.count() == 0


async def test_who_gives_the_numbers_decides_whose_list_it_may_be(hospital: Hospital) -> None:
    rows = [person("1")]
    for wrong, text in (
        ({"source": B.organization}, "does not give numbers"),
        ({"source": "123"}, "is an IČO"),
        ({"system": "https://nobody.example"}, "no NamingSystem"),
        ({"system": BIRTH_NUMBER}, "does not give numbers"),
    ):
        with pytest.raises(FileError, match=text):
            await hospital.brings(rows, **wrong)
    assert dict((await hospital.brings(rows, system=f"urn:oid:{OID_A}")).outcomes) == {"new": 1}
    assert await hospital.at.desk.registration.find(NUMBERS_A, "1", A.organization)


async def test_nothing_is_lost_of_a_list_that_is_broken_here_and_there(hospital: Hospital) -> None:
    rows = [person("99"), *crowd(3)]
    path = hospital.file(rows)
    lines = path.read_bytes().split(b"\r\n")
    wrong = [
        b"2;only;three", b"\0" + lines[1], lines[2].replace(b";M;", b';"M;'),
        "9;Žižka\x9e".encode("cp1250", "replace") + b"\xff;" * 10, b"10;" + b"x" * 10_000_000,
    ]  # fmt: skip
    path.write_bytes(b"\r\n".join([*lines[:2], *wrong, *lines[2:]]))
    report = await hospital.brings(path)
    assert report.outcomes["refused"] == len(wrong)
    assert report.outcomes["new"] == 4, [e for e in hospital.fates if e.outcome != "new"]
    kept = await hospital.waiting()
    assert {each.line for each in kept} == {3, 4, 5, 6, 7}
    assert b"2;only;three\r\n" in {each.body for each in kept}
    again = await hospital.brings(path)
    assert (again.outcomes["unchanged"], again.outcomes["refused"]) == (4, 5)
    assert {each.tries for each in await hospital.waiting()} == {2}
    for each in kept:  # what cannot be read is no better the second time
        assert await hospital.importing.retry(each)


async def test_two_rows_of_one_number(hospital: Hospital) -> None:
    report = await hospital.brings([person("1"), person("1"), pavel("1"), pavel("2")])
    assert dict(report.outcomes) == {"new": 2, "repeated": 1, "refused": 1}
    [kept] = await hospital.waiting()
    assert (kept.line, kept.place) == (4, "cislo_pacienta")
    assert kept.reason == "another row of the file has this number (row 2)"
    assert "mend the file" in await hospital.importing.retry(kept)
    assert numbers(await hospital.master("1"), BIRTH_NUMBER) == [LUDMILA]


async def test_a_number_of_another_person_is_refused_and_waits(hospital: Hospital) -> None:
    await hospital.brings([person("1")])
    report = await hospital.brings([pavel("1")])
    assert report.outcomes["refused"] == 1
    assert "somebody of another name" in next(iter(report.refused))
    [kept] = await hospital.waiting()
    assert "somebody of another name" in await hospital.importing.retry(kept)
    # told of rightly, it waits no longer
    await hospital.brings([person("1", telefon="+420 603 999 999")])
    assert not await hospital.waiting()


async def test_a_refused_row_is_taken_once_its_cause_is_mended(hospital: Hospital) -> None:
    await hospital.brings([person("1")])
    about = pavel("1")
    await hospital.brings([about])
    [kept] = await hospital.waiting()
    # the person of the number is parted from it, as a registrar or the hospital would
    answer = await hospital.at.call("DELETE", f"/Patient?identifier={NUMBERS_A}|1", by=A)
    assert answer.status_code == 204
    assert await hospital.importing.retry(kept) == ""
    assert not await hospital.waiting()
    assert numbers(await hospital.master("1"), BIRTH_NUMBER) == [PAVEL]


async def test_an_old_row_does_not_undo_what_was_told_since(hospital: Hospital, clock: Any) -> None:
    await hospital.brings([person("1")])
    await hospital.brings([person("1", psc="77900", rodne_cislo="1")])
    [kept] = await hospital.waiting()
    clock.move(minutes=5)
    told = somebody((BIRTH_NUMBER, LUDMILA), name=[{"family": "Nová", "given": ["Ludmila"]}])
    assert (await hospital.at.feed("1", told)).status_code == 200
    layout = {**kept.layout}
    body = kept.body.replace(b";1;", b";" + LUDMILA.encode() + b";", 1)
    mended = replace(kept, body=body, layout=layout)
    assert await hospital.importing.retry(mended) == "the source has said more of this person since"


async def test_what_a_file_has_no_column_for_stays(hospital: Hospital) -> None:
    told = somebody((BIRTH_NUMBER, LUDMILA), (NUMBERS_A, "1"))
    assert (await hospital.at.feed("1", told)).status_code == 201
    names = ("cislo_pacienta", "prijmeni", "jmeno", "datum_narozeni")
    row = {name: person("1", prijmeni="Nová")[name] for name in names}
    assert dict((await hospital.brings([row])).outcomes) == {"matched": 1}
    patient = await hospital.master("1")
    assert patient["name"][0]["family"] == "Nová"
    assert patient["address"][0]["city"] == "Olomouc"
    assert numbers(patient, BIRTH_NUMBER) == [LUDMILA]
    assert dict((await hospital.brings([{**row, "obec": ""}])).outcomes) == {"matched": 1}
    former = (await hospital.master("1"))["address"][0]
    assert former["period"]["end"]  # the source knows of none any more
    assert dict((await hospital.brings([{**row, "obec": ""}])).outcomes) == {"unchanged": 1}


async def test_rows_of_one_person_side_by_side_make_one_person(hospital: Hospital) -> None:
    rows = [person(str(n), telefon=f"+420 603 111 {n:03d}") for n in range(12)]
    like = person("20", rodne_cislo="", jmeno="Ludmilla", datum_narozeni="1985")
    report = await hospital.brings([*rows, like])
    assert report.outcomes["new"] == 1
    assert report.outcomes["matched"] == 11
    assert report.outcomes["possible"] == 1  # not new, as if nobody were here yet
    dry = await hospital.brings([pavel("30"), pavel("31", telefon="")], dry=True)
    assert dict(dry.outcomes) == {"new": 1, "matched": 1}


async def test_an_import_that_is_killed_goes_on_and_makes_nobody_twice(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing_module, "_ROWS", 5)
    rows = [*crowd(12), pavel("x", psc="", rodne_cislo="1")]
    path = hospital.file(rows)
    services, db = hospital.at.services, hospital.at.services.db
    assert services.registers is not None
    handler = import_job(services, services.registers)
    task = Task(path, A.organization, NUMBERS_A)
    number = await jobs.enqueue(db, KIND, payload_of(task), dedupe="one")
    noted = 0

    async def checkpoint(self: jobs.Job, *arguments: Any, **named: Any) -> None:
        """Ends between the second batch and the note that it is done, as a killed process does."""
        nonlocal noted
        noted += 1
        if noted == 2:
            raise LeaseLost
        await _CHECKPOINT(self, *arguments, **named)

    async def work(until: Callable[[], Awaitable[bool]]) -> None:
        stop = asyncio.Event()
        running = asyncio.create_task(Workers(db, {KIND: handler}, pause=0.02).run(stop))
        while not await until():  # noqa: ASYNC110 the end is in the database
            await asyncio.sleep(0.01)
        stop.set()
        await running

    async def killed() -> bool:
        return noted == 2

    async def ended() -> bool:
        row = await jobs.look(db, number)
        return row is not None and not row.unfinished

    monkeypatch.setattr(jobs.Job, "checkpoint", checkpoint)
    await work(killed)
    assert await hospital.count() == 10  # of the second batch nobody knows that it was taken
    row = await jobs.look(db, number)
    assert row is not None and row.unfinished
    assert row.checkpoint["report"]["rows"] == 5
    assert await jobs.enqueue(db, KIND, payload_of(task), dedupe="one") == number
    await db.execute("update job set due = now()")  # its lease has run out
    await work(ended)
    row = await jobs.look(db, number)
    assert row is not None and row.result is not None, row
    assert row.result["rows"] == 13
    assert row.result["outcomes"] == {"new": 7, "unchanged": 5, "refused": 1}
    assert await hospital.count() == 12
    assert len(await hospital.waiting()) == 1
    assert await db.fetchval("select count(*) from person_file_seen") == 0
    listed = services.files.path(number, ROWS).read_text("utf-8").splitlines()
    assert len(listed) == 14
    assert listed[-1].startswith("14,x,refused,rodne_cislo,")


_CHECKPOINT = jobs.Job.checkpoint


async def test_a_file_that_changes_meanwhile_is_told(hospital: Hospital) -> None:
    path = hospital.file(crowd(3))
    task = Task(path, A.organization, NUMBERS_A)

    async def told(*_: Any) -> None:
        return None

    begun = (Report(), (10, 1), "another")
    with pytest.raises(FileError, match="changed while it was read"):
        await hospital.importing.run(task, str(uuid4()), told, begun)


async def test_a_file_that_fills_the_quarantine_is_stopped(
    hospital: Hospital, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing_module, "_ROWS", 2)
    monkeypatch.setattr(importing_module, "MOST_KEPT", 3)
    rows = [pavel(str(n), rodne_cislo="1") for n in range(8)]
    for _ in range(2):
        report = await hospital.brings(rows)
        assert "wait in quarantine" in report.stopped
    assert len(await hospital.waiting()) == 4
    # two of them are told of rightly
    assert (await hospital.brings([*crowd(2)])).stopped == ""
    assert len(await hospital.waiting()) == 2


FIELDS = st.sampled_from([names[0] for names in COLUMNS.values()])


@given(
    header=st.lists(FIELDS, unique=True, max_size=12),
    cells=st.lists(st.text(max_size=12), min_size=30, max_size=30),
)
def test_any_row_makes_a_valid_patient_or_says_why_not(header: list[str], cells: list[str]) -> None:
    names = list(dict.fromkeys(["id", "prijmeni", "jmeno", "datum_narozeni", *header]))
    columns = Columns.of(names)
    try:
        found = columns.cells([each.strip() for each in cells[: len(names)]])
        number_of(found)
        patient = patient_of(found)
    except CellError as error:
        assert str(error)
        assert error.field in columns.places
        return
    assert not [each for each in validate(patient) if each.severity == "error"]


async def test_the_number_of_the_register_may_stand_in_a_list(hospital: Hospital) -> None:
    await hospital.brings([person("1")])
    [rid] = numbers(await hospital.master("1"), RID)
    report = await hospital.brings(
        [person("2", rid=rid, rodne_cislo="", telefon="", ulice="", cislo_popisne="")]
    )
    assert dict(report.outcomes) == {"matched": 1}
    assert await hospital.count() == 1
