"""Reads the lines of an import: NDJSON as it is or packed by gzip or zstd, in bounded pieces."""

from __future__ import annotations

import gzip
import io
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Final, cast

import zstandard

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_BLOCK: Final = 1024 * 1024
MOST_LINES: Final = 1_000
MOST_BYTES: Final = 1024 * 1024
LONGEST_LINE: Final = 16 * 1024 * 1024
"""Bytes of one line; a longer one is reported and passed over."""
INPUT: Final = 10**12
"""Line n of input i has the number i * INPUT + n; both count from 1."""


class InputError(Exception):
    """The input cannot be read (any further)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Some whole lines, `data`, behind line `first` of input `number`.

    With `skipped` one line before them was too long. `offset` and `line` (unpacked bytes, lines)
    are where the next ones begin.
    """

    data: bytes
    number: int
    first: int
    offset: int
    line: int
    spool: bool = False
    skipped: bool = False

    def lines(self) -> list[tuple[int, bytes | None]]:
        """The lines that are not empty, with their numbers; one that is too long is None."""
        found: list[tuple[int, bytes | None]] = []
        first = self.number * INPUT + self.first + 1
        if self.skipped:
            found.append((first, None))
            first += 1
        for code, text in enumerate(self.data.split(b"\n"), start=first):
            if self.spool and text:
                own, _, rest = text.partition(b"\t")
                found.append((int(own), rest))
            elif len(text) > LONGEST_LINE:
                found.append((code, None))
            elif text.strip():
                found.append((code, text))
        return found


class Lines:
    """The bytes of a chunk's lines by number, cut when the first one is asked for."""

    def __init__(self, chunk: Chunk) -> None:
        self._chunk = chunk
        self._lines: dict[int, bytes] = {}

    def __getitem__(self, number: int) -> bytes:
        if not self._lines:
            self._lines = {code: data for code, data in self._chunk.lines() if data is not None}
        return self._lines[number]


def chunks(path: Path, number: int, offset: int, line: int, *, spool: bool) -> Iterator[Chunk]:
    """The lines behind `offset` (where line `line` + 1 begins). Raises InputError.

    In a `spool` each line begins with its own number and a tab.
    """
    try:
        with path.open("rb") as raw, _unpacked(raw) as file:
            _skip(file, offset)
            yield from _chunks(file, number, offset, line, spool)
    except (OSError, EOFError, zlib.error, zstandard.ZstdError) as error:
        raise InputError(f"input {number} cannot be read: {type(error).__name__}") from error


def _unpacked(raw: io.BufferedReader) -> IO[bytes]:
    magic = raw.peek(4)[:4]
    if magic.startswith(_GZIP):
        return cast("IO[bytes]", gzip.open(raw, "rb"))
    if magic == _ZSTD:
        reader = zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True)
        return io.BufferedReader(reader, _BLOCK)
    return raw


def _skip(file: IO[bytes], offset: int) -> None:
    while offset:
        block = file.read(min(offset, _BLOCK))
        if not block:
            raise EOFError
        offset -= len(block)


def _chunks(file: IO[bytes], number: int, offset: int, line: int, spool: bool) -> Iterator[Chunk]:
    held = b""
    ended = False
    while held or not ended:
        if len(held) < MOST_BYTES and not ended:
            block = file.read(MOST_BYTES)
            ended = not block
            held += block
            continue
        if not spool and held.startswith(b"\n"):  # any number of empty lines cost nothing
            kept = held.lstrip(b"\n")
            line += len(held) - len(kept)
            offset += len(held) - len(kept)
            held = kept
            continue
        size = _whole(held) or (len(held) if ended else 0)
        skipped = 0
        if not size and len(held) > LONGEST_LINE:
            skipped, held = _skip_line(file, held)
            size = _whole(held)
        elif not size:  # a long line goes on
            block = file.read(MOST_BYTES)
            ended = not block
            held += block
            continue
        data, held = held[:size], held[size:]
        first = line
        line += data.count(b"\n") + bool(skipped) + bool(data and not data.endswith(b"\n"))
        offset += size + skipped
        yield Chunk(data, number, first, offset, line, spool, bool(skipped))


def _whole(held: bytes) -> int:
    """Bytes of the whole lines that come next, as many as one chunk takes."""
    if held.count(b"\n") <= MOST_LINES:
        return held.rfind(b"\n") + 1
    return len(held) - len(held.split(b"\n", MOST_LINES)[-1])


def _skip_line(file: IO[bytes], held: bytes) -> tuple[int, bytes]:
    """Passes over a line that has begun: how long it was, and what was read behind it."""
    size = len(held)
    while block := file.read(MOST_BYTES):
        end = block.find(b"\n") + 1
        if end:
            return size + end, block[end:]
        size += len(block)
    return size, b""


def place(code: int) -> str:
    """A line's number for people."""
    number, line = divmod(code, INPUT)
    return f"input {number}, line {line}"
