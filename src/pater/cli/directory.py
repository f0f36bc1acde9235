"""`pater directory`: files into the register of providers and professionals, and disputes."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import click

from pater import log_lines
from pater.cli.common import fail, readable, settings_of
from pater.cli.job_here import done_here
from pater.domains.directory import IMPORT_HERE, tables
from pater.domains.directory.columns import FORMS
from pater.domains.directory.importing import LIMIT, Report, Task
from pater.domains.directory.work import import_job, payload_of
from pater.registers.providers.rebuilding import rebuild
from pater.running import running_database, running_dsn
from pater.settings import Settings
from pater.store import jobs
from pater.store.jobs import JobRow

_SHOWN = 20


@click.group()
def directory() -> None:
    """The register of providers and professionals of a running Páteř."""


@directory.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--as", "form", type=click.Choice(list(FORMS)), help="What the file is.")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would be done, and do nothing.")
@click.option("--accept", is_flag=True, help="End what vanished, however much it is.")
@click.option("--part", is_flag=True, help="Some rows only (such as refused ones): end nothing.")
@click.option("--limit", default=LIMIT, show_default=True, help="Per cent that may vanish.")
@click.option("--refused", type=click.Path(path_type=Path), help="Where refused rows are written.")
@readable
def import_command(
    file: Path, form: str | None, dry: bool, accept: bool, part: bool, limit: float,
    refused: Path | None,
) -> None:  # fmt: skip
    """Import a CSV file; what it has no more is ended. The same again changes nothing."""
    settings = settings_of()
    log_lines.configure("warning")
    kept = refused or file.with_name(f"{file.stem}.refused.csv")
    task = Task(file.resolve(), form or "", dry, accept, part, limit, kept.resolve())
    row = asyncio.run(_import(settings, running_dsn(settings), task))
    if row.state != "done" or row.result is None:
        fail(f"The import {row.state}: {row.error}", "The same command goes on where it stopped.")
    if "problem" in row.result:
        fail(f"{file.name}: {row.result['problem']}.")
    report = Report.of(row.result)
    click.echo(said(report))
    if report.refused:
        click.echo(f"refused rows with their reasons: {kept}")
        click.echo(f"mend them there, then: pater directory import --part {kept}")
    if report.stopped or report.refused:
        sys.exit(1)


async def _import(settings: Settings, dsn: str, task: Task) -> JobRow:
    from pater.app import open_house

    async with open_house(settings, dsn) as house:
        number = await jobs.enqueue(
            house.db, IMPORT_HERE, payload_of(task), dedupe=str(task.path), owner="pater directory"
        )
        handler = import_job(house.services)
        return await done_here(house.db, number, IMPORT_HERE, handler)


def said(report: Report) -> str:
    """What came of an import, for people."""
    verb = {"dry": "would be", "stopped": "would be"}.get(report.state, "")
    lines = [f"{report.source}: {report.rows} rows of {report.file} ({report.encoding})"]
    types = sorted({*report.created, *report.changed, *report.unchanged, *report.ended})
    for type_ in types:
        lines.append(
            f"  {type_:24} {verb} {report.created[type_]:>8} created"
            f" {report.changed[type_]:>8} changed {report.unchanged[type_]:>8} unchanged"
            f" {report.ended[type_]:>8} ended"
        )
    if report.differing:
        lines.append(f"  {report.differing} times a row says of its provider or professional what"
                     " an earlier row said otherwise: the first counts")  # fmt: skip
    lines += [f"  {count} rows refused: {why}" for why, count in report.refused.most_common()]
    lines += [f"    row {line}: {why}" for line, why in report.examples[:_SHOWN]]
    if report.nameless:
        lines.append(f"  nothing was ended: of {report.nameless} refused rows nobody knows what"
                     " they are about")  # fmt: skip
    if report.stopped:
        lines.append(f"✗ nothing was written: {report.stopped}")
    return "\n".join(lines)


@directory.command()
@readable
def reindex() -> None:
    """Make the tables anew from which the register is asked quickly."""
    settings = settings_of()

    async def run() -> None:
        async with running_database(settings) as db:
            await db.bodies.load(db)
            click.echo(f"{await rebuild(db)} resources")

    asyncio.run(run())


@directory.command()
@click.option("--accept", metavar="ID", help="It is right: the register will be corrected.")
@click.option("--refuse", metavar="ID", help="It is not.")
@click.option("--answer", default="", help="Why; the provider reads it.")
@readable
def disputes(accept: str | None, refuse: str | None, answer: str) -> None:
    """List what providers say is wrong, or decide one of them."""
    settings = settings_of()

    async def run() -> None:
        async with running_database(settings) as db:
            for id_, state in ((accept, "accepted"), (refuse, "refused")):
                if id_ is None:
                    continue
                done = await tables.decide_dispute(
                    db, UUID(id_), state, answer, "pater directory", datetime.now(UTC)
                )
                click.echo(state if done else "there is no such open dispute")
            if accept is None and refuse is None:
                for one in await tables.open_disputes(db, 200):
                    click.echo(f"{one.id}  {one.at:%Y-%m-%d}  {one.organization}"
                               f"  {one.type}/{one.target} {one.element}: {one.claim}")  # fmt: skip

    try:
        asyncio.run(run())
    except ValueError:
        fail("This is no id of a dispute.", "Ids stand in: pater directory disputes")
