"""Forward-only migrations of the rooms' tables, and the monthly partitions made ahead."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

from pater.store.database import Connection, Database
from pater.store.wall import build_wall

KERNEL = Path(__file__).parent / "migrations"
_NAME = re.compile(r"(\d{4})_([a-z0-9_]+)\.sql")
# One program at a time migrates a database; the others wait and then find nothing to do.
_LOCK = 0x70617465725F6D67
_TABLE = """
create table if not exists migration (
    room   text not null,
    number int not null,
    name   text not null,
    digest text not null,
    at     timestamptz not null default now(),
    primary key (room, number)
)
"""
MONTHS_AHEAD = 3
_PATIENCE = 24 * 3600.0
"""Seconds that one step, or the wait for another program's migration, may take."""


class MigrationError(Exception):
    """The migrations of the program and those recorded in the database do not agree."""


@dataclass(frozen=True, slots=True)
class Migrations:
    """The migrations of one room: files `NNNN_name.sql` of a folder, numbered from 0001."""

    room: str
    folder: Path


@dataclass(frozen=True, slots=True)
class _Step:
    number: int
    name: str
    sql: str
    digest: str


STORE = Migrations("store", KERNEL)


async def migrate(db: Database, rooms: Sequence[Migrations]) -> list[str]:
    """Brings the database to the program's schema and returns the steps taken (`room/NNNN_name`).

    The kernel's own steps come first. Every step is one transaction. Raises MigrationError, before
    any step, when a recorded step was changed or is unknown to this program.
    """
    ordered = [STORE, *(room for room in rooms if room != STORE)]
    steps = {room.room: _steps(room) for room in ordered}
    done: list[str] = []
    async with db.connection() as connection:
        await connection.execute("select pg_advisory_lock($1)", _LOCK, timeout=_PATIENCE)
        try:
            await connection.execute(_TABLE)
            applied = await _check(connection, steps)
            for room, own in steps.items():
                for step in own:
                    if (room, step.number) not in applied:
                        await _apply(connection, room, step)
                        done.append(f"{room}/{step.number:04}_{step.name}")
            await ensure_partitions(connection)
            await build_wall(connection)
        finally:
            await connection.execute("select pg_advisory_unlock($1)", _LOCK)
    return done


async def ensure_partitions(connection: Connection | Database) -> None:
    """Creates the monthly partitions of journal and history for this and the coming months."""
    await connection.execute("select create_month_partitions('journal', 'at', $1)", MONTHS_AHEAD)
    await connection.execute(
        "select create_month_partitions('history', 'updated', $1)", MONTHS_AHEAD
    )


def _steps(room: Migrations) -> list[_Step]:
    found: list[_Step] = []
    for path in sorted(room.folder.glob("*.sql")):
        match = _NAME.fullmatch(path.name)
        if match is None:
            raise MigrationError(f"{room.room}: {path.name} is not named NNNN_name.sql")
        data = path.read_bytes()
        digest = sha256(data.replace(b"\r\n", b"\n")).hexdigest()
        found.append(_Step(int(match[1]), match[2], data.decode(), digest))
    numbers = [step.number for step in found]
    # Gaps are fine: steps that do not touch each other are written side by side, and one may be
    # given up. Two of one number would be applied in an order that nobody chose.
    if len(set(numbers)) != len(numbers):
        raise MigrationError(f"{room.room}: two migrations have the same number")
    return found


async def _check(connection: Connection, steps: dict[str, list[_Step]]) -> set[tuple[str, int]]:
    applied: set[tuple[str, int]] = set()
    for row in await connection.fetch("select room, number, name, digest from migration"):
        room, number = row["room"], row["number"]
        applied.add((room, number))
        if room not in steps:
            continue  # a room that this program runs without: its tables stay as they are
        label = f"{room}/{number:04}_{row['name']}"
        step = next((each for each in steps[room] if each.number == number), None)
        if step is None:
            raise MigrationError(f"{label} is recorded but unknown: an older program?")
        if step.digest != row["digest"]:
            raise MigrationError(f"{label} was changed after it had been applied")
    return applied


async def _apply(connection: Connection, room: str, step: _Step) -> None:
    async with connection.transaction():
        await connection.execute(step.sql, timeout=_PATIENCE)
        await connection.execute(
            "insert into migration (room, number, name, digest) values ($1, $2, $3, $4)",
            room,
            step.number,
            step.name,
            step.digest,
        )
