"""The nightly import by the jobs, and the command of an operator."""

from __future__ import annotations

import asyncio

from pater.cli.directory import said
from pater.domains.directory.importing import Report
from pater.domains.directory.work import KIND
from pater.registers.providers.nightly import nightly
from pater.store import jobs
from pater.store.workers import Workers
from tests.directory.conftest import PLACES, Desk, write
from tests.waiting import PATIENCE, until


async def test_a_named_file_is_imported_by_the_jobs(desk: Desk) -> None:
    await desk.db.execute("delete from job")
    path = write(desk.folder / "night.csv", PLACES)
    await nightly(desk.db, "providers", str(path))
    stop = asyncio.Event()
    handler = desk.house.parts["directory"].jobs[KIND]
    working = asyncio.create_task(Workers(desk.db, {KIND: handler}, pause=0.05).run(stop))

    async def ended() -> jobs.JobRow | None:
        found = await jobs.listing(desk.db, kind=KIND)
        return found[0] if found and not found[0].unfinished else None

    row = await until(ended)
    stop.set()
    await working
    assert row.state == "done" and row.result
    assert row.result["created"]["Location"] == 3
    assert (await desk.get("Location/place-1001"))["status"] == "active"
    await nightly(desk.db, "providers", "")
    assert await desk.db.fetchval("select count(*) from job_schedule where name like 'dir%'") == 0


async def test_a_file_that_is_gone_is_told_and_nothing_ends(desk: Desk) -> None:
    await desk.take(PLACES)
    await desk.db.execute("delete from job")
    number = await jobs.enqueue(desk.db, KIND, {"path": "/nowhere/x.csv", "form": "providers"})
    stop = asyncio.Event()
    handler = desk.house.parts["directory"].jobs[KIND]
    working = asyncio.create_task(Workers(desk.db, {KIND: handler}, pause=0.05).run(stop))
    await jobs.ended(desk.db, number, PATIENCE)
    stop.set()
    await working
    row = await jobs.look(desk.db, number)
    assert row is not None and row.result and "cannot be read" in row.result["problem"]
    assert (await desk.get("Location/place-1003"))["status"] == "active"


async def test_what_an_operator_reads(desk: Desk) -> None:
    await desk.take(PLACES)
    dry = await desk.take([{**PLACES[0], "poskytovatel_ICO": "27520537"}, PLACES[1]], dry=True)
    text = said(Report.of(dry.as_json()))
    assert "2 rows of file.csv" in text and "would be" in text
    assert "row 2: the check digit of the IČO fails" in text
    assert "33.33 %" in text and "--accept" in text
