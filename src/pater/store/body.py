"""The compression of stored bodies: zstd with a dictionary trained per resource type."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import asyncpg
import zstandard

from pater.fhir.definitions import TYPE_NUMBER

if TYPE_CHECKING:
    from pater.store.database import Database


class Source(Protocol):
    """Whatever answers a query and has the codec of its database: `Database`, or one connection."""

    bodies: BodyCodec

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a query."""
        ...


LEVEL = 3
"""zstd's own default: higher levels measured slower and hardly smaller on bodies of some KB."""
DICTIONARY_BYTES = 65_536
SAMPLES = 2_000
FEWEST_SAMPLES = 200
"""Below this a trained dictionary is no better than none."""


class BodyCodec:
    """Compresses and decompresses bodies of one database.

    Dictionary 0 means none. A dictionary that another process trained is loaded on first sight
    (`ensure`), so decompressing itself never waits.
    """

    def __init__(self) -> None:
        self._plain_in = zstandard.ZstdCompressor(level=LEVEL)
        self._out: dict[int, zstandard.ZstdDecompressor] = {0: zstandard.ZstdDecompressor()}
        self._in: dict[int, tuple[int, zstandard.ZstdCompressor]] = {}

    def compress(self, type_number: int, body: bytes) -> tuple[int, bytes]:
        """The dictionary's id and the compressed body."""
        dictionary, compressor = self._in.get(type_number, (0, self._plain_in))
        return dictionary, compressor.compress(body)

    def decompress(self, dictionary: int, data: bytes) -> bytes:
        """The body as it was given to `compress`; KeyError for a dictionary never loaded."""
        return self._out[dictionary].decompress(data) if data else b""

    async def ensure(self, db: Source, dictionaries: Iterable[int]) -> None:
        """Loads those of the dictionaries that this process has not seen."""
        missing = {number for number in dictionaries if number not in self._out}
        if missing:
            sql = "select id, type, data from dictionary where id = any($1) order by id"
            for row in await db.fetch(sql, list(missing)):
                self._add(row["id"], row["type"], row["data"])

    async def load(self, db: Database) -> None:
        """Loads the newest dictionary of every type, to write with."""
        sql = "select distinct on (type) id, type, data from dictionary order by type, id desc"
        for row in await db.fetch(sql):
            self._add(row["id"], row["type"], row["data"])

    def _add(self, number: int, type_number: int, data: bytes) -> None:
        content = zstandard.ZstdCompressionDict(data)
        content.precompute_compress(level=LEVEL)
        self._out[number] = zstandard.ZstdDecompressor(dict_data=content)
        if number > self._in.get(type_number, (0, None))[0]:
            compressor = zstandard.ZstdCompressor(
                level=LEVEL, dict_data=content, write_dict_id=False
            )
            self._in[type_number] = (number, compressor)


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
