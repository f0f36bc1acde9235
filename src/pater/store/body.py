"""The compression of stored bodies: zstd with a dictionary trained per resource type."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol

import asyncpg
import zstandard


class Source(Protocol):
    """Whatever answers a query and has the codec of its database: `Database`, or one connection."""

    bodies: BodyCodec

    async def fetch(self, sql: str, *args: Any) -> list[asyncpg.Record]:
        """All rows of a query."""
        ...


LEVEL = 3
"""zstd's own default: higher levels measured slower and hardly smaller on bodies of some KB."""


class BodyCodec:
    """Compresses and decompresses bodies of one database.

    Dictionary 0 means none. A dictionary that another process trained is loaded on first sight
    (`ensure`), so decompressing itself never waits.
    """

    def __init__(self) -> None:
        self.guards: dict[int, Callable[[Sequence[Any]], Awaitable[None]]] = {}
        """By type number, who looks at all that was read of a type before anybody gets it."""
        self._plain_in = zstandard.ZstdCompressor(level=LEVEL)
        self._out: dict[int, zstandard.ZstdDecompressor] = {0: zstandard.ZstdDecompressor()}
        self._in: dict[int, tuple[int, zstandard.ZstdCompressor]] = {}

    def compress(self, type_number: int, body: bytes) -> tuple[int, bytes]:
        """The dictionary's id and the compressed body."""
        dictionary, compressor = self._in.get(type_number, (0, self._plain_in))
        return dictionary, compressor.compress(body)

    def decompress_many(self, dictionary: int, data: Sequence[bytes]) -> Any:
        """A sequence of buffers, a body each. Two threads must not share one codec."""
        return self._out[dictionary].multi_decompress_to_buffer(list(data))

    def decompress(self, dictionary: int, data: bytes) -> bytes:
        """The body as it was given to `compress`; KeyError for a dictionary never loaded."""
        return self._out[dictionary].decompress(data) if data else b""

    async def ensure(self, db: Source, dictionaries: Iterable[int]) -> None:
        """Loads those of the dictionaries that this process has not seen."""
        missing = {number for number in dictionaries if number not in self._out}
        if missing:
            sql = "select id, type, data from dictionary where id = any($1) order by id"
            for row in await db.fetch(sql, list(missing)):
                self.add(row["id"], row["type"], row["data"])

    async def load(self, db: Source) -> None:
        """Loads the newest dictionary of every type, to write with."""
        sql = "select distinct on (type) id, type, data from dictionary order by type, id desc"
        for row in await db.fetch(sql):
            self.add(row["id"], row["type"], row["data"])

    def add(self, number: int, type_number: int, data: bytes) -> None:
        """Takes a dictionary in; the newest of a type is the one to write with."""
        content = zstandard.ZstdCompressionDict(data)
        content.precompute_compress(level=LEVEL)
        self._out[number] = zstandard.ZstdDecompressor(dict_data=content)
        if number > self._in.get(type_number, (0, None))[0]:
            compressor = zstandard.ZstdCompressor(
                level=LEVEL, dict_data=content, write_dict_id=False
            )
            self._in[type_number] = (number, compressor)
