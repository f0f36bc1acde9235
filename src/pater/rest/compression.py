"""Answers made smaller for clients that ask for it: zstd or gzip, at levels that cost little."""

from __future__ import annotations

import asyncio
import zlib
from functools import lru_cache
from typing import Final, Literal

import zstandard

Encoding = Literal["", "gzip", "zstd"]

LEAST: Final = 1024
"""Bytes from which an answer is compressed: below it hardly a packet is saved."""
_LARGE: Final = 256 * 1024
"""Bytes from which compressing leaves the event loop to the others."""
_LEVEL: Final = 1
_LONGEST: Final = 200


def accepted_encoding(header: str | None) -> Encoding:
    """What Accept-Encoding wants most of what there is (RFC 9110 12.5.3); "" = as it is."""
    if not header or len(header) > _LONGEST:
        return ""
    return _chosen(header)


@lru_cache(maxsize=256)
def _chosen(header: str) -> Encoding:
    wanted: dict[str, float] = {}
    for part in header.lower().split(","):
        name, _, parameter = part.partition(";")
        key, _, text = parameter.strip().partition("=")
        try:
            quality = float(text) if key.strip() == "q" else 1.0
        except ValueError:
            quality = 0.0
        wanted[name.strip()] = quality
    rest = wanted.get("*", 0.0)
    best: Encoding = ""
    highest = 0.0
    names: tuple[Encoding, ...] = ("zstd", "gzip")
    for name in names:  # zstd is the smaller and the cheaper one
        quality = wanted.get(name, rest)
        if quality > highest:
            best, highest = name, quality
    return best if highest >= wanted.get("identity", 0.0) else ""


def compressed(body: bytes, encoding: Encoding, level: int = _LEVEL) -> bytes:
    """The body in an encoding."""
    if encoding == "zstd":
        return zstandard.ZstdCompressor(level=level).compress(body)
    if encoding == "gzip":
        return zlib.compress(body, level, wbits=31)
    return body


async def packed(body: bytes, encoding: Encoding) -> bytes:
    """The same without keeping others waiting."""
    if len(body) > _LARGE:
        return await asyncio.to_thread(compressed, body, encoding)
    return compressed(body, encoding)
