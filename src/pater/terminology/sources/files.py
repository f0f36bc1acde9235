"""Opens published files: plain or inside a zip, in the encoding they turn out to have."""

from __future__ import annotations

import csv
import io
import re
import sys
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Final

from pater.terminology.loading import LoadError

_SAMPLE: Final = 65_536
_DATED: Final = re.compile(r"(?<!\d)20\d\d(?:-?\d\d(?:-?\d\d)?)?(?!\d)")
_LONGEST_FIELD: Final = 10_000_000


@dataclass(frozen=True, slots=True)
class Options:
    """What an operator may say about the files; "" = as the kind has it.

    `columns` names columns by their role: code, display, parent, definition, status.
    """

    url: str = ""
    version: str = ""
    encoding: str = ""
    delimiter: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Part:
    """One file, or one inside a zip; `name` is how messages call it."""

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        return f"{self.path.name}/{self.member}" if self.member else self.path.name

    @property
    def last(self) -> str:
        """The file's own name in small letters."""
        return (self.member or self.path.name).rpartition("/")[2].lower()

    @contextmanager
    def opened(self) -> Iterator[IO[bytes]]:
        """Its bytes."""
        try:
            if not self.member:
                with self.path.open("rb") as file:
                    yield file
            else:
                with zipfile.ZipFile(self.path) as archive, archive.open(self.member) as inner:
                    yield inner
        except (OSError, zipfile.BadZipFile) as error:
            raise LoadError(f"{self.name}: {error}") from error


def parts(paths: Sequence[Path]) -> list[Part]:
    """The files, those in folders and zips one by one. Raises LoadError."""
    found: list[Part] = []
    for path in paths:
        if path.is_dir():
            found += parts(sorted(each for each in path.rglob("*") if each.is_file()))
        elif zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                names = archive.namelist()
            found += [Part(path, name) for name in sorted(names) if not name.endswith("/")]
        elif path.exists():
            found.append(Part(path))
        else:
            raise LoadError(f"there is no file {path}")
    return found


def encoding_of(part: Part) -> str:
    """UTF-8 where the beginning is that, else Windows-1250, in which Czech files come."""
    with part.opened() as file:
        sample = file.read(_SAMPLE)
    for cut in range(4):  # the sample may end inside a character
        try:
            sample[: len(sample) - cut].decode("utf-8-sig")
        except UnicodeDecodeError:
            continue
        return "utf-8-sig"
    return "cp1250"


def rows(
    part: Part, *, encoding: str = "", delimiter: str = "", quoted: bool = True
) -> Iterator[tuple[int, dict[str, str]]]:
    """(line, column → value) of a table with a heading; column names in small letters.

    Raises LoadError with the line of what cannot be read.
    """
    csv.field_size_limit(min(_LONGEST_FIELD, sys.maxsize))
    encoding = encoding or encoding_of(part)
    with part.opened() as file, io.TextIOWrapper(file, encoding, newline="") as text:
        try:
            head = text.readline()
            split = delimiter or max(";\t,|", key=head.count)
            names = [each.strip().lower() for each in next(csv.reader([head], delimiter=split))]
            if quoted:
                reader = csv.reader(text, delimiter=split)
            else:
                reader = csv.reader(text, delimiter=split, quoting=csv.QUOTE_NONE)
            for row in reader:
                if not row:
                    continue
                line = reader.line_num + 1
                if len(row) > len(names):
                    text_ = f"{len(names)} columns expected, {len(row)} found"
                    raise LoadError(f"{part.name}:{line}: {text_}")
                values = [each.strip().replace("\x00", "") for each in row]
                yield line, dict(zip(names, values, strict=False))
        except UnicodeDecodeError as error:
            raise LoadError(f"{part.name}: not {encoding}: {error.reason}") from error
        except (csv.Error, StopIteration) as error:
            raise LoadError(f"{part.name}: no table: {error}") from error


def edition(path: Path, given: str) -> str:
    """The version: as given, else the date or year in the file's name. Raises LoadError."""
    if given:
        return given
    match = _DATED.search(path.name)
    if match is None:
        raise LoadError(f"say which edition {path.name} is: --version 2026-01")
    return match[0]


def column(names: Mapping[str, str], wanted: Sequence[str], part: Part, role: str) -> str:
    """The first of the wanted columns that a table has. Raises LoadError."""
    found = next((each for each in wanted if each and each in names), None)
    if found is None:
        have = ", ".join(sorted(names))
        raise LoadError(
            f"{part.name}: no column for the {role} ({' or '.join(filter(None, wanted))});"
            f" there are: {have}. Name it with --column {role}=…"
        )
    return found
