"""How a file is handed out: whole, a part of it, packed, or not again (RFC 9110 8, 13, 14)."""

from __future__ import annotations

import asyncio
import re
import zlib
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

import zstandard

from pater.rest.compression import Encoding, accepted_encoding

_RANGE: Final = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_LEVEL: Final = 1


@dataclass(frozen=True, slots=True)
class Part:
    """An answer with `count` bytes of a file behind the `first`, in an encoding."""

    status: int
    headers: dict[str, str]
    first: int = 0
    count: int | None = None
    encoding: Encoding = ""

    def packed(self, blocks: Iterator[bytes]) -> Iterator[bytes]:
        """The blocks in the encoding: quickly rather than small."""
        if self.encoding == "gzip":
            return _gzipped(blocks)
        return _zstd(blocks) if self.encoding == "zstd" else blocks


def wanted(headers: Mapping[str, str], size: int) -> Part:
    """What a request asks of a file that never changes: 200, 206, 304 or 416 with its headers.

    One range is taken, of the file as it is; of several the whole file is the answer.
    """
    encoding = accepted_encoding(headers.get("accept-encoding"))
    plain = f'"{size:x}"'
    common = {"accept-ranges": "bytes", "vary": "accept-encoding"}
    known = {tag.strip().removeprefix("W/") for tag in headers.get("if-none-match", "").split(",")}
    if known & {"*", plain, f'"{size:x}-gzip"', f'"{size:x}-zstd"'}:
        return Part(304, {**common, "etag": plain})
    span = _span(headers.get("range", ""), size)
    if span is not None and headers.get("if-range", plain) == plain:
        first, last = span
        if first > last:
            return Part(416, {**common, "content-range": f"bytes */{size}"})
        count = last + 1 - first
        more = {"content-range": f"bytes {first}-{last}/{size}", "content-length": str(count)}
        return Part(206, {**common, **more, "etag": plain}, first, count)
    if encoding:
        tag = f'"{size:x}-{encoding}"'
        return Part(
            200, {**common, "etag": tag, "content-encoding": encoding}, encoding=encoding
        )  # fmt: skip
    return Part(200, {**common, "etag": plain, "content-length": str(size)})


def _span(text: str, size: int) -> tuple[int, int] | None:
    """First and last byte of one range; the first behind the last when there is none to give.

    None for what is no range, or several.
    """
    found = _RANGE.fullmatch(text.strip().lower())
    begin, end = found.groups() if found else ("", "")
    if begin and not (end and int(end) < int(begin)):
        return int(begin), min(int(end), size - 1) if end else size - 1
    if end and not begin:
        return max(0, size - int(end)), size - 1
    return None


async def flowing(blocks: Iterator[bytes]) -> AsyncIterator[bytes]:
    """Blocks read (and packed) beside the event loop, the next one while one is being sent."""
    ahead = asyncio.create_task(asyncio.to_thread(next, blocks, None))
    try:
        while (block := await ahead) is not None:
            ahead = asyncio.create_task(asyncio.to_thread(next, blocks, None))
            yield block
    finally:
        ahead.cancel()


def _gzipped(blocks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zlib.compressobj(_LEVEL, wbits=31)
    for block in blocks:
        if data := packer.compress(block):
            yield data
    yield packer.flush()


def _zstd(blocks: Iterator[bytes]) -> Iterator[bytes]:
    packer = zstandard.ZstdCompressor(level=_LEVEL).compressobj()
    for block in blocks:
        if data := packer.compress(block):
            yield data
    yield packer.flush()
