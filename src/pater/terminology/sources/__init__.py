"""Readers of the files in which code systems are published, by kind.

Each takes the files and options and yields `(System, rows)`, ready for `loading.arranged`. They
read what the publishers document; where column names differ from year to year, options name them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Final

from pater.terminology.loading import Row, System
from pater.terminology.sources import loinc, orpha, snomed, tables
from pater.terminology.sources.files import Options

Reader = Callable[[Sequence[Path], Options], Iterator[tuple[System, Iterator[Row]]]]

READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "mkn10": tables.mkn10,
        "nclp": tables.nclp,
        "atc": tables.atc,
        "sukl": tables.sukl,
        "csv": tables.plain,
        "loinc": loinc.read,
        "snomed": snomed.read,
        "orpha": orpha.read,
    }
)
