"""Indexes that a load of millions puts off: dropped before it, made after it, with progress."""

from __future__ import annotations

import time

import click

from pater.store import indexes_later
from pater.store.database import Database
from pater.store.migrate import migrate


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
