"""Does a job in the process of a command, and says how far it is."""

from __future__ import annotations

import asyncio
import time

import click

from pater.store import jobs
from pater.store.database import Database
from pater.store.jobs import Handler, JobRow
from pater.store.workers import Workers

_PAUSE = 0.2
_TELL = 5.0


async def done_here(db: Database, number: str, kind: str, handler: Handler) -> JobRow:
    """Works on jobs of a kind until the one with this number has ended."""
    stop = asyncio.Event()
    working = asyncio.create_task(Workers(db, {kind: handler}, pause=_PAUSE).run(stop))
    try:
        return await _watched(db, number)
    finally:
        stop.set()
        await working


async def _watched(db: Database, number: str) -> JobRow:
    told = time.monotonic()
    while True:
        row = await jobs.look(db, number)
        if row is None:
            raise click.ClickException("the import was removed")
        if not row.unfinished:
            return row
        if time.monotonic() - told > _TELL:
            told = time.monotonic()
            click.echo(row.note, err=True)
        await asyncio.sleep(_PAUSE)
