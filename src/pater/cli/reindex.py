"""`pater reindex`: how far the search index is, and indexing anew."""

from __future__ import annotations

import asyncio

import click

from pater.cli.common import fail, readable, settings_of
from pater.fhir.definitions import RESOURCE_TYPES
from pater.running import running_database
from pater.settings import Settings
from pater.store.database import Database
from pater.store.parameters import ask_again
from pater.store.reindex import progress

_PAUSE = 1.0


@click.command()
@click.argument("types", nargs=-1, metavar="[TYPE]...")
@click.option("--all", "every", is_flag=True, help="Index every type anew.")
@click.option("--wait", is_flag=True, help="Show the progress until it is done.")
@readable
def reindex(types: tuple[str, ...], every: bool, wait: bool) -> None:
    """Show how far the search index is; with TYPEs (or --all) index these anew.

    The running server (or `pater worker`) does the work; it goes on after a stop.
    """
    unknown = [name for name in types if name not in RESOURCE_TYPES]
    if unknown:
        fail(f"{', '.join(unknown)}: no resource type of FHIR R4.", "Types are written as Patient.")
    asyncio.run(_run(settings_of(), list(RESOURCE_TYPES if every else types), wait))


async def _run(settings: Settings, types: list[str], wait: bool) -> None:
    async with running_database(settings) as db:
        if types:
            await ask_again(db, types)
        last = ""
        while True:
            text, finished = await _shown(db)
            if text != last:
                click.echo(text)
                last = text
            if finished or not wait:
                return
            await asyncio.sleep(_PAUSE)


async def _shown(db: Database) -> tuple[str, bool]:
    found = await progress(db)
    behind = [each for each in found if not each.finished]
    if not behind:
        return "The index is complete.", True
    lines = [
        f"{each.type:28} {f'{each.done} of {each.total}' if each.total else 'waits'}"
        for each in behind
    ]
    return "\n".join(lines), False
