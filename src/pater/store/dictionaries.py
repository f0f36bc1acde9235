"""Trains compression dictionaries from what is stored; how they are used stands in body.py."""

from __future__ import annotations

import asyncio
from datetime import datetime

import zstandard

from pater.fhir.definitions import TYPE_NUMBER
from pater.store.database import Database

DICTIONARY_BYTES = 65_536
SAMPLES = 2_000
FEWEST_SAMPLES = 200
"""Below this a trained dictionary is no better than none."""


async def train(db: Database, type_name: str, now: datetime) -> int | None:
    """Trains a dictionary from stored bodies of a type; new bodies are written with it.

    Returns its id, or None when there are too few bodies to learn from. Older dictionaries stay.
    """
    type_number = TYPE_NUMBER[type_name]
    # The newest ones by the index of `updated`: what will be written next looks like them.
    rows = await db.fetch(
        "select dict, body from resource where type = $1 and not deleted"
        " order by updated desc, rid desc limit $2",
        type_number,
        SAMPLES,
    )
    if len(rows) < FEWEST_SAMPLES:
        return None
    await db.bodies.ensure(db, {row["dict"] for row in rows})
    samples: list[bytes | bytearray | memoryview] = [
        db.bodies.decompress(row["dict"], row["body"]) for row in rows
    ]
    data = await asyncio.to_thread(_train, samples)
    number: int = await db.fetchval(
        "insert into dictionary (type, created, data) values ($1, $2, $3) returning id",
        type_number,
        now,
        data,
    )
    await db.bodies.ensure(db, [number])
    return number


def _train(samples: list[bytes | bytearray | memoryview]) -> bytes:
    # A dictionary a tenth the size of its samples generalises; a larger one only remembers them.
    size = min(DICTIONARY_BYTES, max(4_096, sum(map(len, samples)) // 10))
    return zstandard.train_dictionary(size, samples).as_bytes()
