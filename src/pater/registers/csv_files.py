"""Reads CSV files of strangers: encoding, delimiter and columns found out, rows one by one.

A file is UTF-8, Windows-1250 or ISO 8859-2. What one row has wrong is said of that row, and reading
goes on behind it: every line of a file belongs to exactly one row, so nothing is lost. Memory is
bounded by the longest row that is taken, whatever the file.
"""

from __future__ import annotations

import codecs
import csv
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from pathlib import Path
from typing import BinaryIO, Final

from pater.fhir.search.text import normalise

LONGEST: Final = 64 * 1024
"""Bytes of a row."""
MOST_COLUMNS: Final = 500
ENCODINGS: Final = ("utf-8", "cp1250", "iso-8859-2")
_MOST_LINES: Final = 50
"""Lines of a row with line breaks in its cells."""
_DELIMITERS: Final = (";", ",", "\t", "|")
# š, ť, ž and their capitals, which alone stand elsewhere in the two; both have the other letters
# of Czech at the same places.
_CP1250: Final = bytes.fromhex("8a8d8e9a9d9e")
_LATIN2: Final = bytes.fromhex("a9abaeb9bbbe")
# How letters of Czech begin in UTF-8; as Windows-1250 these are no letters of Czech.
_LEADS: Final = frozenset(b"\xc3\xc4\xc5")
# The same with Cyrillic. Two capitals in Windows-1250 may be a letter in UTF-8, too (ÍŠ).
_SURELY: Final = frozenset(b"\xc3\xc4\xc5\xd0\xd1")
_SEPARATOR: Final = re.compile(r"sep=(.)", re.IGNORECASE)
_DAYS: Final = (
    (re.compile(r"(\d{4})-(\d{2})-(\d{2})(?:[T ].*)?", re.ASCII), (1, 2, 3)),
    (re.compile(r"(\d{1,2})\.\s?(\d{1,2})\.\s?(\d{4})", re.ASCII), (3, 2, 1)),
    (re.compile(r"(\d{2})/(\d{2})/(\d{4})", re.ASCII), (3, 2, 1)),
)


class FileError(Exception):
    """The file cannot be read as it is; the text says why and where."""


class RowError(Exception):
    """One row cannot be used; the text says why."""


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file is written. `begins` is where its first row does (byte and line before it),
    `lines` how many it has, `digest` (hex) which file it is.
    """

    encoding: str  # one of ENCODINGS, or utf-8-sig
    delimiter: str
    header: tuple[str, ...]
    begins: tuple[int, int] = (0, 0)
    lines: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the number of its first line, its cells, and a problem instead of sense.

    `at` is its first byte in the file, `end` (byte, line) where it ends; `raw` its bytes; of a
    row that is too long, one more than LONGEST.
    """

    line: int
    cells: tuple[str, ...]
    problem: str
    raw: bytes
    at: int
    end: tuple[int, int]


@dataclass(slots=True)
class _Evidence:
    """What the lines of a file say of its encoding."""

    utf8: int = 0
    other: int = 0
    cp1250: int = 0
    latin2: int = 0

    def see(self, line: bytes) -> None:
        if line.isascii():
            return
        try:
            line.decode()
        except UnicodeDecodeError:
            self.other += 1
            self.cp1250 += len(line) - len(line.translate(None, _CP1250))
            self.latin2 += len(line) - len(line.translate(None, _LATIN2))
        else:
            self.utf8 += any(each in _SURELY or each >= 0xE0 for each in line)

    def encoding(self) -> str:
        """Rows that are UTF-8 by chance are rare, and so are broken ones in a file of UTF-8."""
        if self.utf8 >= self.other:
            return "utf-8"
        return "iso-8859-2" if self.latin2 > self.cp1250 else "cp1250"


def survey(path: Path, encoding: str = "") -> Layout:
    """Looks through a whole file; `encoding` is one of ENCODINGS that is known to be right, "" =
    to be found out. Raises FileError.
    """
    digest, evidence = sha256(), _Evidence()
    lines = 0
    head: list[tuple[bytes, int, int]] = []  # the first lines that are not empty, with their ends
    size = 0
    within = False  # a line too long for a row
    try:
        with path.open("rb") as file:
            while line := file.readline(LONGEST):
                digest.update(line)
                size += len(line)
                whole = line.endswith(b"\n")
                if not within:
                    lines += 1
                    if whole or len(line) < LONGEST:
                        evidence.see(line)
                    if len(head) < 2 and (line.strip() or lines == 1):
                        head.append((line, size, lines))
                within = not whole and len(line) == LONGEST
    except OSError as error:
        raise FileError(f"the file cannot be read: {error.strerror}") from error
    encoding = encoding or evidence.encoding()
    return _layout(head, encoding, lines, digest.hexdigest())


def _layout(
    head: Sequence[tuple[bytes, int, int]], encoding: str, lines: int, digest: str
) -> Layout:
    if head and head[0][0].startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise FileError("the file is UTF-16: save it as UTF-8")
    if encoding == "utf-8" and head and head[0][0].startswith(codecs.BOM_UTF8):
        encoding = "utf-8-sig"
        head = [(head[0][0].removeprefix(codecs.BOM_UTF8), *head[0][1:]), *head[1:]]
    delimiter = ""
    for line, end, number in head:
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError as error:
            raise FileError(f"the row of columns is not {encoding}") from error
        said = _SEPARATOR.fullmatch(text.strip("\r\n"))
        if said is not None:  # as Excel writes it
            delimiter = said[1]
        elif text.strip():
            header = _header(text, delimiter)
            return Layout(encoding, header[0], header[1], (end, number), lines, digest)
    raise FileError("the file is empty: its first row must name the columns")


def _header(text: str, delimiter: str) -> tuple[str, tuple[str, ...]]:
    if "\0" in text:
        raise FileError("the row of columns holds a NUL: this is no text file")
    if not text.endswith("\n") and len(text.encode()) >= LONGEST:
        raise FileError(f"the row of columns is longer than {LONGEST} bytes")
    if "\r" in text.rstrip("\r\n"):
        raise FileError("lines end with CR alone: save the file with CR LF or LF")
    delimiter = delimiter or max(_DELIMITERS, key=text.count)
    if _ends_in(text, delimiter) == _QUOTED:
        raise FileError("the row of columns opens a quotation mark and does not close it")
    cells = tuple(each.strip() for each in next(csv.reader([text], delimiter=delimiter), []))
    while cells and not cells[-1]:
        cells = cells[:-1]
    if len(cells) > MOST_COLUMNS:
        raise FileError(f"the file has more than {MOST_COLUMNS} columns")
    return delimiter, cells


def rows(path: Path, layout: Layout, begin: tuple[int, int] | None = None) -> Iterator[Row]:
    """The rows of a file in order, from `begin` (the `end` of a row) or all. Raises FileError.

    Empty lines are left out.
    """
    at, number = layout.begins if begin is None else begin
    try:
        with path.open("rb") as file:
            file.seek(at)
            while row := _next(file, layout, at, number):
                at, number = row.end
                file.seek(at)
                if row.problem or any(row.cells):
                    yield row
    except OSError as error:
        raise FileError(f"the file cannot be read: {error.strerror}") from error


def row_of(raw: bytes, layout: Layout, line: int = 1) -> Row:
    """The row that was read from these bytes."""
    cells, problem = _cells(raw, layout)
    return Row(line, cells, problem, raw, 0, (len(raw), line))


def _next(file: BinaryIO, layout: Layout, at: int, number: int) -> Row | None:
    first = file.readline(LONGEST + 1)
    if not first:
        return None
    size = len(first)
    if size > LONGEST:
        piece = first
        while piece and not piece.endswith(b"\n"):
            piece = file.readline(LONGEST)
            size += len(piece)
        problem = f"the row is longer than {LONGEST} bytes"
        return Row(number + 1, (), problem, first, at, (at + size, number + 1))
    alone = (at + size, number + 1)
    if b'"' in first and (more := _continued(file, first, layout)) is not None:
        # a row over several lines is one only when it makes sense; else its first line is wrong
        raw, lines = more
        cells, problem = _cells(raw, layout)
        if not problem:
            return Row(number + 1, cells, "", raw, at, (at + len(raw), number + lines))
        problem = "a quotation mark is opened and not closed"
        return Row(number + 1, (), problem, first, at, alone)
    cells, problem = _cells(first, layout)
    return Row(number + 1, cells, problem, first, at, alone)


def _continued(file: BinaryIO, first: bytes, layout: Layout) -> tuple[bytes, int] | None:
    """The lines of a row whose first one ends within quotation marks; None when it does not."""
    delimiter = layout.delimiter
    # an encoding of one byte would do as well: what is asked for is ASCII in all of them
    state = _ends_in(first.decode("latin-1"), delimiter)
    if state != _QUOTED:
        return None
    raw, lines = first, 1
    while state == _QUOTED and lines < _MOST_LINES:
        line = file.readline(LONGEST + 1 - len(raw))
        raw += line
        lines += 1
        if not line or len(raw) > LONGEST:
            break
        state = _ends_in(line.decode("latin-1"), delimiter, state)
    return raw, lines


_START, _PLAIN, _QUOTED, _QUOTE = range(4)


def _ends_in(text: str, delimiter: str, state: int = _START) -> int:
    """How a text ends: at the start of a cell, within one, within quotation marks, behind one."""
    for each in text:
        if state == _QUOTED:
            state = _QUOTE if each == '"' else _QUOTED
        elif each in (delimiter, "\n"):
            state = _START
        elif each == '"' and state in (_START, _QUOTE):
            state = _QUOTED
        else:
            state = _PLAIN
    return state


def _cells(raw: bytes, layout: Layout) -> tuple[tuple[str, ...], str]:
    """The cells of a row, or what is wrong with it."""
    if len(raw) > LONGEST:
        return (), f"the row is longer than {LONGEST} bytes"
    if b"\0" in raw:
        return (), "the row holds a NUL"
    encoding = layout.encoding.removesuffix("-sig")
    if encoding != "utf-8" and _is_utf8(raw):
        return (), f"the row is UTF-8, the others are {encoding}"
    try:
        text = raw.decode(encoding)
    except UnicodeDecodeError:
        return (), f"the row is not {encoding}, as the others are"
    try:
        found = list(csv.reader([text], delimiter=layout.delimiter, strict=True))
    except csv.Error as error:
        return (), f"the row is no CSV: {error}"
    if not found:
        return (), ""
    cells, width = found[0], len(layout.header)
    while len(cells) > width and not cells[-1].strip():  # a delimiter at the end
        cells.pop()
    if len(found) > 1 or (len(cells) != width and any(cells)):
        return (), f"the row has {len(cells)} columns, the header has {width}"
    return tuple(each.strip() for each in cells), ""


def _is_utf8(raw: bytes) -> bool:
    """Whether a row is UTF-8 and, with the letters it has, hardly anything else."""
    if raw.isascii():
        return False
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return all(each in _LEADS for each in raw if each >= 0xC0)


def fold(name: str) -> str:
    """A column's name without case, accents and punctuation."""
    return "".join(each for each in normalise(name) if each.isalnum())


def columns_of(header: Sequence[str], accepted: Mapping[str, Sequence[str]]) -> dict[str, int]:
    """Where each field stands, by its names of columns; the first name that is there wins.

    Raises FileError for a column that stands twice.
    """
    places: dict[str, int] = {}
    for at, name in enumerate(map(fold, header)):
        if name and name in places:
            raise FileError(f"the column {header[at]} stands twice")
        places[name] = at
    found = {}
    for field, names in accepted.items():
        at = next((places[name] for name in map(fold, names) if name in places), -1)
        if at >= 0:
            found[field] = at
    return found


def day_of(text: str) -> date:
    """A date as people write it: 1990-12-31, 31.12.1990, 31/12/1990. Raises RowError."""
    for pattern, (year, month, day) in _DAYS:
        found = pattern.fullmatch(text)
        if found:
            try:
                return date(int(found[year]), int(found[month]), int(found[day]))
            except ValueError as error:
                raise RowError(f"there is no day {text[:20]}") from error
    raise RowError(f"this is no date: {text[:20]}")
