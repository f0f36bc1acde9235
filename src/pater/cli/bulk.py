"""`pater import`: NDJSON files of this machine into a Páteř that runs."""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import sys
import time
from pathlib import Path

import click

from pater import log_lines
from pater.access.caller import KEY, Caller
from pater.cli.common import readable, settings_of
from pater.cli.indexes import make_waiting, put_off
from pater.running import running_dsn
from pater.settings import Settings
from pater.store import jobs
from pater.store.database import Database
from pater.store.jobs import JobRow
from pater.store.workers import Workers

KIND = "import-files"
_CALLER = Caller(
    kind="system",
    id="pater-import",
    name="pater import",
    role="loader",
    purpose="SYSADMIN",
    strength=KEY,
    scopes=("system/*.cruds",),
)


@click.command(name="import")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option("--trust", is_flag=True, help="Do not validate the resources.")
@click.option("--report", type=click.Path(path_type=Path), help="Where problems are written.")
@click.option(
    "--indexes-later",
    is_flag=True,
    help="For millions: make the largest indexes when all is loaded; searches are slow until then.",
)
@readable
def import_command(
    files: tuple[Path, ...], trust: bool, report: Path | None, indexes_later: bool
) -> None:
    """Import NDJSON files (plain, gzip, zstd) beside a running Páteř.

    The same command again goes on where a stopped one was.
    """
    settings = settings_of()
    log_lines.configure("warning")
    paths = [path.resolve() for path in files]
    dsn = running_dsn(settings)
    if indexes_later:
        asyncio.run(put_off(dsn))
    row = asyncio.run(import_files(settings, dsn, paths, trust, report))
    click.echo(said(row))
    if indexes_later:
        asyncio.run(make_waiting(dsn))
    if row.state != "done" or (row.result or {}).get("errors"):
        sys.exit(1)


async def import_files(
    settings: Settings, dsn: str, paths: list[Path], trust: bool, report: Path | None = None
) -> JobRow:
    """Imports files as a job of the running Páteř, done here, and says how far it is."""
    from pater.app import open_house
    from pater.rest.bulk.imports import Imports
    from pater.rest.bulk.owners import caller_json

    async with open_house(settings, dsn) as house:
        mode = "trust" if trust else "validate"
        await house.gate.require_import(_CALLER, "$import")
        number = await jobs.enqueue(
            house.db,
            KIND,
            {
                "caller": caller_json(_CALLER),
                "mode": mode,
                "paths": [str(path) for path in paths],
                "asked_at": house.services.clock().isoformat(),
            },
            dedupe=_name(paths, mode),
        )
        stop = asyncio.Event()
        imports = Imports(house.services)
        workers = Workers(house.db, {KIND: imports.work_on_files}, pause=0.2)
        working = asyncio.create_task(workers.run(stop))
        try:
            row = await _watch(house.db, number)
        finally:
            stop.set()
            await working
        name = (row.result or {}).get("report")
        if report is not None and name:
            source = house.services.files.path(number, name)
            await asyncio.to_thread(shutil.copyfile, source, report)
        return row


async def _watch(db: Database, number: str) -> JobRow:
    begun, told = time.monotonic(), 0.0
    while True:
        row = await jobs.look(db, number)
        if row is None:
            raise click.ClickException("the import was removed")
        if not row.unfinished:
            return row
        now = time.monotonic()
        if now - told > 5:
            told = now
            click.echo(f"{now - begun:6.0f} s  {row.note}", err=True)
        await asyncio.sleep(0.3)


def _name(paths: list[Path], mode: str) -> str:
    """One import of these very files at a time; a file that changed is another."""
    text = mode
    for path in paths:
        about = path.stat()
        text += f"|{path}|{about.st_size}|{about.st_mtime_ns}"
    return hashlib.sha256(text.encode()).hexdigest()


def said(row: JobRow) -> str:
    """What came of an import, for people."""
    if row.state != "done" or row.result is None:
        return f"✗ the import {row.state}: {row.error}"
    lines = [
        f"{type_:26} {created:>9} created {updated:>9} updated {unchanged:>9} unchanged"
        for type_, (created, updated, unchanged) in sorted(row.result["counts"].items())
    ]
    errors = row.result["errors"]
    lines.append(f"{row.result['lines']} lines, {errors} with problems")
    return "\n".join(lines)
