"""`pater persons`: lists of persons of hospitals and insurers, and rows that could not be taken."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
from pathlib import Path

import click

from pater import log_lines
from pater.cli.common import check_ids, fail, readable, settings_of
from pater.cli.job_here import done_here
from pater.domains.persons.files import tables
from pater.domains.persons.files.importing import Importing
from pater.domains.persons.files.report import OUTCOMES, Report, Task
from pater.domains.persons.files.work import KIND, import_job, payload_of
from pater.registers.csv_files import ENCODINGS
from pater.running import running_database, running_dsn
from pater.settings import Settings
from pater.store import jobs
from pater.store.jobs import JobRow

_SHOWN = 20
_LISTED = 200


@click.group()
def persons() -> None:
    """The register of persons of a running Páteř: files of hospitals and insurers."""


@persons.command(name="import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--source", required=True, metavar="IČO", help="Whose file it is.")
@click.option("--system", required=True, help="System of the numbers in it (a NamingSystem).")
@click.option("--dry-run", "dry", is_flag=True, help="Say what would become of each row.")
@click.option("--encoding", type=click.Choice(ENCODINGS), help="When it is found out wrongly.")
@click.option("--report", type=click.Path(path_type=Path), help="Where to list all rows.")
@readable
def import_command(
    file: Path, source: str, system: str, dry: bool, encoding: str | None, report: Path | None
) -> None:
    """Import a CSV file of persons.

    The same file again does nothing, and a stopped import goes on. Rows that cannot be taken go to
    the quarantine.
    """
    settings = settings_of()
    log_lines.configure("warning")
    task = Task(file.resolve(), source, system, dry, encoding or "")
    listed = report or (file.with_name(f"{file.stem}.report.csv") if dry else None)
    row = asyncio.run(_import(settings, running_dsn(settings), task, listed))
    if row.state != "done" or row.result is None:
        fail(f"The import {row.state}: {row.error}", "The same command goes on where it stopped.")
    if "problem" in row.result:
        fail(f"{file.name}: {row.result['problem']}.")
    name = row.result.pop("listed")
    made = Report.of(row.result)
    click.echo(said(made))
    if listed is not None and name:
        click.echo(f"all rows: {listed}")
    if made.outcomes["refused"] and not dry:
        click.echo("refused rows wait in: pater persons quarantine")
    if made.stopped or made.outcomes["refused"]:
        sys.exit(1)


async def _import(settings: Settings, dsn: str, task: Task, listed: Path | None) -> JobRow:
    from pater.app import open_house

    async with open_house(settings, dsn) as house:
        registers, files = house.services.registers, house.services.files
        assert registers is not None  # a house has them
        number = await jobs.enqueue(
            house.db, KIND, payload_of(task), dedupe=_name(task), owner="pater persons"
        )
        row = await done_here(house.db, number, KIND, import_job(house.services, registers))
        name = (row.result or {}).get("listed")
        if listed is not None and name:
            await asyncio.to_thread(shutil.copyfile, files.path(number, name), listed)
        await asyncio.to_thread(files.remove, number)  # it names persons
        return row


def _name(task: Task) -> str:
    """One import of this very file at a time; a file that changed is another."""
    about = task.path.stat()
    text = f"{task}|{about.st_size}|{about.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()


def said(report: Report) -> str:
    """What came of an import, for people."""
    delimiter = {"\t": "tab"}.get(report.delimiter, report.delimiter)
    head = f"{report.file}: {report.rows} rows ({report.encoding}, delimiter {delimiter})"
    lines = [f"{head}, nothing was written" if report.dry else head]
    if report.ignored:
        lines.append(f"  columns that are not read: {', '.join(report.ignored)}")
    verb = "would be " if report.dry else ""
    lines += [
        f"  {report.outcomes[each]:>9} {verb}{_MEANINGS[each]}"
        for each in OUTCOMES
        if report.outcomes[each]
    ]
    for counted, what in (
        (report.possible, "for registrars"), (report.refused, "refused"),
        (report.remarks, "taken, but"),
    ):  # fmt: skip
        lines += [f"  {count} {what}: {why}" for why, count in counted.most_common()]
    lines += [
        f"    row {line}: {f'{place}: ' if place else ''}{why}"
        for line, place, why in report.examples[:_SHOWN]
    ]
    if report.stopped:
        lines.append(f"✗ stopped: {report.stopped}")
    return "\n".join(lines)


_MEANINGS = {
    "new": "new persons",
    "matched": "persons who are known",
    "possible": "new for the time being: they may be somebody who is known",
    "unchanged": "as the source said before",
    "repeated": "the same as an earlier row",
    "refused": "refused",
}


@persons.command()
@click.option("--source", default="", metavar="IČO", help="Of this source only.")
@click.option("--show", metavar="ID", help="Print one row. It is about a person.")
@click.option("--retry", metavar="ID", help="Take one again; `all` = each of them.")
@click.option("--drop", metavar="ID", help="Take one out undone.")
@readable
def quarantine(source: str, show: str | None, retry: str | None, drop: str | None) -> None:
    """List rows of files that could not be taken, with the reasons, or settle them."""
    check_ids("row", "pater persons quarantine", retry, show, drop)
    if retry is not None:
        sys.exit(0 if asyncio.run(_retry(source, retry)) else 1)

    async def run() -> None:
        async with running_database(settings_of()) as db:
            if drop is not None:
                done = await tables.drop(db, drop)
                click.echo("dropped" if done else "there is no such row")
                return
            if show is not None:
                found = await tables.one(db, show)
                click.echo(_row(found) if found is not None else "there is no such row")
                return
            waiting = await tables.waiting(db, source, _LISTED)
            for one in waiting:
                place = f"{one.place}: " if one.place else ""
                click.echo(
                    f"{one.id}  {one.at:%Y-%m-%d %H:%M}  {one.source}  {one.file}:{one.line}"
                    f"  {place}{one.reason}"
                )
            if not waiting:
                click.echo("nothing waits")
            if len(waiting) == _LISTED:
                click.echo(f"only the oldest {_LISTED} are listed", err=True)

    asyncio.run(run())


def _row(refused: tables.Refused) -> str:
    delimiter, encoding = str(refused.layout["delimiter"]), str(refused.layout["encoding"])
    header = delimiter.join(refused.layout["header"])
    return f"{header}\n{refused.body.decode(encoding, 'replace').rstrip()}"


async def _retry(source: str, wanted: str) -> bool:
    """Takes rows again, the oldest first; whether all of them are taken now."""
    from pater.app import open_house

    settings = settings_of()
    log_lines.configure("warning")
    done = True
    async with open_house(settings, running_dsn(settings)) as house:
        registers = house.services.registers
        assert registers is not None  # a house has them
        importing = Importing(house.services, registers)
        if wanted != "all":
            one = await tables.one(house.db, wanted)
            some = [one] if one is not None else []
        else:
            some = await tables.waiting(house.db, source, _LISTED)
        if not some:
            click.echo("nothing waits" if wanted == "all" else "there is no such row")
        while some:
            for each in some:
                why = await importing.retry(each)
                done = done and not why
                click.echo(f"{each.id}  {why or 'done'}")
            more = wanted == "all"
            some = await tables.waiting(house.db, source, _LISTED, some[-1]) if more else []
    return done
