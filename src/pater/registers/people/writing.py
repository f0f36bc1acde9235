"""A country of invented persons as files for the bulk import, in parts that are made once each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any, Final, NamedTuple
from uuid import UUID

import zstandard

from pater.fhir.json import dumps
from pater.registers.people.households import Person, people
from pater.registers.people.patients import patient_of

EACH: Final = 100_000
"""Persons of one file."""
_LEVEL: Final = 1  # the file is read once


class Part(NamedTuple):
    """Persons of one file: of a seed, `size` from number `first` on.

    `facilities` is how many there are that may have registered them.
    """

    seed: int
    first: int
    size: int
    facilities: int = 0

    @property
    def name(self) -> str:
        """What its file is called; another part has another name."""
        among = f"-{self.facilities}" if self.facilities else ""
        return f"persons-{self.seed}-{self.first:08}-{self.size}{among}.ndjson.zst"


More = Callable[[Person], list[dict[str, Any]]]
"""The extensions of a person's Patient beyond what the person is."""


def parts(seed: int, persons: int, facilities: int = 0) -> list[Part]:
    """The files of so many persons."""
    return [
        Part(seed, first, min(EACH, persons - first), facilities)
        for first in range(0, persons, EACH)
    ]


def patient_id(seed: int, number: int) -> str:
    """The id of an invented person's Patient: again the same for the same person."""
    digest = blake2b(f"pater country {seed} {number}".encode(), digest_size=16).digest()
    return str(UUID(bytes=digest, version=4))


def patients(part: Part, more: More | None = None) -> Iterator[bytes]:
    """The lines of a part: Patients with their RID, as the register keeps them."""
    for person in people(part.seed, part.size, first=part.first):
        patient = patient_of(person)
        extensions = more(person) if more is not None else []
        if extensions:
            patient["extension"] = [*patient.get("extension", ()), *extensions]
        id_ = patient_id(part.seed, person.number)
        yield dumps({"resourceType": "Patient", "id": id_, **patient})


def write_patients(folder: Path, part: Part, more: More | None = None) -> Path:
    """Writes the file of a part, unless it is there."""
    return write_lines(folder / part.name, patients(part, more))


def write_lines(path: Path, lines: Iterable[bytes]) -> Path:
    """Writes lines packed, whole or not at all; a file that is there stays as it is."""
    if path.exists():
        return path
    unfinished = path.with_name(f"{path.name}.part")
    with unfinished.open("wb") as raw:
        with zstandard.ZstdCompressor(_LEVEL).stream_writer(raw, closefd=False) as packed:
            for line in lines:
                packed.write(line + b"\n")
        raw.flush()
        os.fsync(raw.fileno())
    unfinished.replace(path)
    return path
