"""Reads CSV files of the registers: encoding and columns found out, rows one by one, with numbers.

A file is UTF-8 or Windows-1250; one that was Windows-1250, read as Latin-1 and written as UTF-8
(such are published) is mended. What is broken is refused with the numbers of its rows, and nothing
is guessed.
"""

from __future__ import annotations

import codecs
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pater.registers.csv_files import FileError, RowError

__all__ = ["FileError", "Layout", "Row", "RowError", "layout_of", "rows"]

_LONGEST_LINE: Final = 1_000_000  # bytes
_SHOWN: Final = 20
_TWICE: Final = frozenset("èìøùòïÈØ¹¾")
_ONCE: Final = frozenset("čěřůňďČŘšž")
_SNIFFED: Final = (";", ",", "\t", "|")


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written: `encoding` utf-8 or cp1250, `twice` = has to be mended."""

    encoding: str
    twice: bool
    delimiter: str
    header: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number of the line where it ends, its cells, and a problem instead of sense."""

    line: int
    cells: tuple[str, ...]
    problem: str = ""


def layout_of(path: Path) -> Layout:
    """Looks through a whole file. Raises FileError."""
    good = bad = twice = once = 0
    wrong: list[int] = []
    unknown: list[int] = []
    first = b""
    try:
        with path.open("rb") as file:
            number = 0
            while line := file.readline(_LONGEST_LINE):
                number += 1
                if number == 1:
                    first = line
                    if line.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
                        raise FileError("the file is UTF-16: save it as UTF-8")
                if not line.endswith(b"\n") and len(line) == _LONGEST_LINE:
                    raise FileError(f"row {number} is longer than {_LONGEST_LINE} bytes")
                if b"\0" in line:
                    raise FileError(f"row {number} holds a NUL byte: this is no text file")
                if line.isascii():
                    continue
                try:
                    text = line.decode()
                except UnicodeDecodeError:
                    bad += 1
                    wrong.append(number)
                    try:
                        line.decode("cp1250")
                    except UnicodeDecodeError:
                        unknown.append(number)
                    wrong, unknown = wrong[:_SHOWN], unknown[:_SHOWN]
                else:
                    good += 1
                    twice += sum(map(_TWICE.__contains__, text))
                    once += sum(map(_ONCE.__contains__, text))
    except OSError as error:
        raise FileError(f"the file cannot be read: {error.strerror}") from error
    if bad and good * 10 > bad:  # of a file in Windows-1250 hardly a row with accents is UTF-8
        raise FileError(f"the file is UTF-8, but broken in {_rows(wrong)}")
    if unknown:
        raise FileError(f"the file is neither UTF-8 nor Windows-1250: {_rows(unknown)}")
    encoding = "cp1250" if bad else "utf-8"
    mended = not bad and twice > once
    header_text = _mended(first.decode("cp1250" if bad else "utf-8-sig"), mended)
    if not header_text.strip():
        raise FileError("the file is empty: its first row must name the columns")
    delimiter = max(_SNIFFED, key=header_text.count)
    header = next(csv.reader([header_text], delimiter=delimiter), [])
    return Layout(encoding, mended, delimiter, tuple(each.strip() for each in header))


def rows(path: Path, layout: Layout) -> Iterator[Row]:
    """The rows below the header, in order. Raises FileError."""
    encoding = "utf-8-sig" if layout.encoding == "utf-8" else layout.encoding
    width = len(layout.header)
    try:
        with path.open("r", encoding=encoding, newline="") as file:
            reader = csv.reader(file, delimiter=layout.delimiter)
            next(reader, None)
            while True:
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    yield Row(reader.line_num, (), f"the row is no CSV: {error}")
                    continue
                if cells is None:
                    return
                if not any(cells):
                    continue
                mended = tuple(_mended(each, layout.twice).strip() for each in cells)
                problem = ""
                if len(cells) != width:
                    problem = f"the row has {len(cells)} columns, the header has {width}"
                yield Row(reader.line_num, mended, problem)
    except (OSError, UnicodeDecodeError) as error:
        raise FileError(f"the file cannot be read: {type(error).__name__}") from error


def _mended(text: str, twice: bool) -> str:
    if not twice or text.isascii():
        return text
    raw = bytearray()
    for each in text:
        for encoding in ("cp1252", "latin-1"):
            try:
                raw += each.encode(encoding)
                break
            except UnicodeEncodeError:
                continue
        else:
            return text
    return raw.decode("cp1250", "replace")


def _rows(numbers: Sequence[int]) -> str:
    more = " and perhaps more" if len(numbers) == _SHOWN else ""
    return f"row{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}{more}"
