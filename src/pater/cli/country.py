"""`pater country`: an invented country, made and loaded by the bulk path of a Páteř that runs."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Final

import click

from pater import log_lines
from pater.cli.bulk import import_files, said
from pater.cli.common import readable, settings_of
from pater.cli.indexes import make_waiting, put_off
from pater.domains.directory.demo.country import PLACES, PROFESSIONALS, resources
from pater.domains.directory.demo.registering import registered
from pater.fhir.json import dumps
from pater.registers.people import MOST
from pater.registers.people.writing import parts, write_lines, write_patients
from pater.running import running_dsn

PERSONS: Final = 10_900_000


@click.command()
@click.option("--persons", type=click.IntRange(0, MOST), default=PERSONS, show_default=True)
@click.option("--providers", type=click.IntRange(0), default=PLACES, show_default=True)
@click.option("--professionals", type=click.IntRange(0), default=PROFESSIONALS, show_default=True)
@click.option("--seed", type=click.IntRange(0), default=1, show_default=True)
@click.option("--folder", type=click.Path(file_okay=False, path_type=Path), help="For the files.")
@click.option("--files-only", is_flag=True, help="Make the files and load nothing.")
@click.option("--keep", is_flag=True, help="Leave the files when all is loaded.")
@click.option(
    "--indexes-later",
    is_flag=True,
    help="Make the largest indexes when all is loaded; searches are slow until then.",
)
@readable
def country(
    persons: int,
    providers: int,
    professionals: int,
    seed: int,
    folder: Path | None,
    files_only: bool,
    keep: bool,
    indexes_later: bool,
) -> None:
    """Load an invented country: persons, providers, professionals. Nobody in it lives.

    The same command again goes on where a stopped one was.
    """
    settings = settings_of()
    log_lines.configure("warning")
    dsn = "" if files_only else running_dsn(settings)
    place = (folder or settings.data / "country").resolve()
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    begun = time.monotonic()

    def tell(done: int, of: int) -> None:
        click.echo(f"{time.monotonic() - begun:6.0f} s  file {done} of {of} made", err=True)

    paths = make(place, seed, persons, providers, professionals, tell)
    if not paths:
        return
    if files_only:
        size = sum(path.stat().st_size for path in paths)
        click.echo(f"{len(paths)} files, {size / 1e6:.0f} MB: {place}")
        return
    if indexes_later:
        asyncio.run(put_off(dsn))
    row = asyncio.run(import_files(settings, dsn, paths, trust=True))
    click.echo(said(row))
    if indexes_later:
        asyncio.run(make_waiting(dsn))
    if row.state != "done" or (row.result or {}).get("errors"):
        click.echo(f"the files stay: {place}", err=True)
        sys.exit(1)
    if not keep:
        for path in paths:
            path.unlink()


def make(
    folder: Path,
    seed: int,
    persons: int,
    providers: int,
    professionals: int,
    tell: Callable[[int, int], None],
) -> list[Path]:
    """The files of a country in the order in which they are loaded; those that are there stay.

    They are made in as many processes as there are processors; none holds more than a line.
    """
    name = f"directory-{seed}-{providers}-{professionals}.ndjson.zst"
    wanted = [folder / name] if providers or professionals else []
    people = parts(seed, persons, providers)
    more = partial(registered, seed, providers) if providers else None
    wanted += [folder / part.name for part in people]
    with ProcessPoolExecutor(os.cpu_count(), get_context("spawn")) as pool:
        asked: list[Future[Path]] = []
        if providers or professionals:
            asked.append(pool.submit(_directory, wanted[0], seed, providers, professionals))
        asked += [pool.submit(write_patients, folder, part, more) for part in people]
        try:
            for done, each in enumerate(as_completed(asked), start=1):
                each.result()
                tell(done, len(asked))
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return wanted


def _directory(path: Path, seed: int, providers: int, professionals: int) -> Path:
    return write_lines(path, map(dumps, resources(seed, providers, professionals)))
