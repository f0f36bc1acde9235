"""`pater load`: code systems, value sets and FHIR packages from files."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

import click

from pater.cli.common import fail, readable, settings_of
from pater.fhir.packages import PackageError, resources
from pater.running import ServingError, running_dsn
from pater.settings import Settings
from pater.store.database import Database
from pater.store.migrate import migrate
from pater.terminology.loading import Loaded, LoadError, arranged, load
from pater.terminology.sources import READERS
from pater.terminology.sources.files import Options, parts
from pater.terminology.stored import StoredDefinitions

_KINDS = ("package", *sorted(READERS))
_SHOWN = 20


@click.command(name="load")
@click.argument("kind", type=click.Choice(_KINDS))
@click.argument("files", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("--url", default="", help="The code system's address, when it is another.")
@click.option("--version", "version", default="", help="The version that these files are.")
@click.option("--encoding", default="", help="Of the tables (default: UTF-8 or Windows-1250).")
@click.option("--delimiter", default="", help="Between columns (default: found in the heading).")
@click.option("--column", "columns", multiple=True, metavar="ROLE=NAME",
              help="Which column is code, display, parent, definition or english.")  # fmt: skip
@click.option("--dry-run", is_flag=True, help="Read and check everything, write nothing.")
@readable
def load_command(
    kind: str,
    files: tuple[Path, ...],
    url: str,
    version: str,
    encoding: str,
    delimiter: str,
    columns: tuple[str, ...],
    dry_run: bool,
) -> None:
    """Load terminology from files that you have a licence for.

    KIND is package (FHIR packages), mkn10, nclp, atc, sukl, loinc, snomed, orpha or csv. A version
    that is there already is replaced as a whole; the same files twice change nothing.
    """
    named = {}
    for each in columns:
        role, equals, name = each.partition("=")
        if not equals:
            fail(f"--column {each}: write ROLE=NAME", "For example: --column code=KOD")
        named[role] = name
    options = Options(url, version, encoding, delimiter.replace("\\t", "\t"), named)
    settings = settings_of()
    try:
        if kind == "package":
            asyncio.run(_packages(settings, files, dry_run))
        else:
            asyncio.run(_systems(settings, kind, files, options, dry_run))
    except (LoadError, PackageError) as error:
        fail(f"{error}.", "Nothing was changed by this file.")


def _dsn(settings: Settings, stack: ExitStack) -> str:
    """The database that runs, else ours for as long as it takes."""
    try:
        return running_dsn(settings)
    except ServingError:
        from pater import serving

        return stack.enter_context(serving.database(settings))


async def _packages(settings: Settings, files: Sequence[Path], dry: bool) -> None:
    from pater.app import open_house
    from pater.rest.terminology.packages import load_package

    with ExitStack() as stack:
        async with open_house(settings, _dsn(settings, stack)) as house:
            stored = StoredDefinitions(house.db)
            for path in files:
                report = await load_package(house.gate, stored, resources(path), dry=dry)
                would = "would be " if dry else ""
                click.echo(
                    f"{path.name}: {report.written} {would}written, {report.unchanged} unchanged,"
                    f" {report.left_out} of other types, {len(report.refused)} refused,"
                    f" {len(report.mended)} mended"
                )
                _some("refused", report.refused)
                _some("mended", report.mended)


def _some(what: str, lines: Sequence[str]) -> None:
    for each in lines[:_SHOWN]:
        click.echo(f"  {what}: {each}")
    if len(lines) > _SHOWN:
        click.echo(f"  … and {len(lines) - _SHOWN} more {what}")


async def _systems(
    settings: Settings, kind: str, files: Sequence[Path], options: Options, dry: bool
) -> None:
    from pater.app import rooms

    digest = _digest(files, options)
    with ExitStack() as stack:
        db = None
        if not dry:
            db = await Database.open(_dsn(settings, stack), min_size=1, max_size=2)
        try:
            if db is not None:
                await migrate(db, rooms())
            for system, rows in READERS[kind](files, options):
                found = arranged(rows)
                click.echo(f"{system.title} {system.version}: {len(found)} concepts read")
                if db is None:
                    continue
                done = await load(
                    db, system, found, digest=digest, now=datetime.now(UTC), progress=_progress
                )
                click.echo(_said(done))
        finally:
            if db is not None:
                await db.close()


def _progress(what: str, count: int) -> None:
    click.echo(f"  {what} {count}" if count else f"  {what} …")


def _said(done: Loaded) -> str:
    if not done.changed:
        return "  these very files are loaded already"
    return f"  {done.concepts} concepts of {done.system.url}|{done.system.version} are in use"


def _digest(files: Sequence[Path], options: Options) -> str:
    """Of the contents and the options, so that the same load is known again."""
    seen = hashlib.sha256(repr((options.url, options.encoding, sorted(options.columns.items())))
                          .encode())  # fmt: skip
    for part in parts(files):
        seen.update(part.name.encode())
        with part.opened() as file:
            while chunk := file.read(1 << 20):
                seen.update(chunk)
    return seen.hexdigest()
