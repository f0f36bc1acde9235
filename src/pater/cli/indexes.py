"""Indexes for people at a terminal: those that a load of millions puts off, made with progress
after it, and those that finding persons needs, read into memory."""

from __future__ import annotations

import time

import click

from pater.store import indexes_later, warming
from pater.store.database import Database
from pater.store.migrate import migrate

_SAID = 2.0  # seconds between two lines


async def names_waiting(dsn: str) -> list[str]:
    """The names of the indexes that are not there now."""
    db = await Database.open(dsn, min_size=1, max_size=2)
    try:
        return await indexes_later.waiting(db)
    finally:
        await db.close()


async def put_off(dsn: str) -> None:
    """Drops the largest indexes until `make_waiting`; those that are gone already stay so."""
    from pater.app import rooms  # loads the whole program

    db = await Database.open(dsn, min_size=1, max_size=2)
    try:
        await migrate(db, rooms())
        for name in await indexes_later.put_off(db):
            click.echo(f"{name} is put off until all is loaded", err=True)
    finally:
        await db.close()


async def make_waiting(dsn: str) -> None:
    """Makes what was put off, and says how far it is."""
    begun = time.monotonic()

    def tell(name: str, phase: str, percent: float) -> None:
        click.echo(f"{time.monotonic() - begun:6.0f} s  {name}: {phase}, {percent:.0f} %", err=True)

    db = await Database.open(dsn, min_size=1, max_size=2)
    try:
        for name in await indexes_later.make(db, tell):
            click.echo(f"{time.monotonic() - begun:6.0f} s  {name} is there", err=True)
    finally:
        await db.close()


async def warm_up(dsn: str) -> bool:
    """Reads into memory what finding persons touches, and says how far it is; False: it cannot."""
    db = await Database.open(dsn, min_size=1, max_size=2)
    begun = said = time.monotonic()
    try:
        if not await warming.available(db):
            return False
        progress = warming.Progress(0, 0)
        async for progress in warming.warm(db, gently=False):
            if time.monotonic() - said > _SAID:
                said = time.monotonic()
                _tell(begun, progress)
        _tell(begun, progress)
    finally:
        await db.close()
    return True


def _tell(begun: float, progress: warming.Progress) -> None:
    done, whole = progress.done / 2**20, progress.whole / 2**20
    click.echo(f"{time.monotonic() - begun:6.0f} s  {done:,.1f} of {whole:,.1f} MB are in memory")
