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
    """Some lines with their numbers, and where the next ones begin (unpacked bytes, lines).

    A line that is too long is None.
    """

    lines: list[tuple[int, bytes | None]]
    offset: int
    line: int


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
    lines: list[tuple[int, bytes | None]] = []
    size = 0
    while text := file.readline(LONGEST_LINE + 1):
        line += 1
        offset += len(text)
        if len(text) > LONGEST_LINE and not text.endswith(b"\n"):
            lines.append((number * INPUT + line, None))
            while (more := file.readline(_BLOCK)) and not more.endswith(b"\n"):
                offset += len(more)
            offset += len(more)
        elif text.strip():
            lines.append(_numbered(text, number, line, spool))
            size += len(text)
        if len(lines) == MOST_LINES or size >= MOST_BYTES:
            yield Chunk(lines, offset, line)
            lines, size = [], 0
    if lines:
        yield Chunk(lines, offset, line)


def _numbered(text: bytes, number: int, line: int, spool: bool) -> tuple[int, bytes]:
    if not spool:
        return number * INPUT + line, text
    code, _, rest = text.partition(b"\t")
    return int(code), rest


def place(code: int) -> str:
    """A line's number for people."""
    number, line = divmod(code, INPUT)
    return f"input {number}, line {line}"
