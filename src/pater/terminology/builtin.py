"""The code systems and value sets that are there from the start: those of FHIR R4, v3 and v2."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from importlib import resources
from typing import Any, Final, NamedTuple

import orjson
import zstandard
from babel import Locale
from babel.core import get_global

from pater.terminology.resource_system import dicts, text

# Systems outside FHIR whose codes the Unicode CLDR knows with their names.
_LISTED: Final[Mapping[str, str]] = {
    "urn:iso:std:iso:3166": "ISO3166",
    "urn:iso:std:iso:4217": "ISO4217",
}
VALUE_SETS: Final = "http://hl7.org/fhir/ValueSet/"


class _Pack(NamedTuple):
    data: bytes
    places: Mapping[tuple[str, str], tuple[str, int, int]]  # -> version, frame, position
    frames: tuple[tuple[int, int], ...]  # start and length


@lru_cache(maxsize=1)
def _pack() -> _Pack:
    data = resources.files(__package__).joinpath("r4.zst").read_bytes()
    unpacker = zstandard.ZstdDecompressor().decompressobj()
    head = orjson.loads(unpacker.decompress(data))
    start = len(data) - len(unpacker.unused_data)
    frames = []
    for length in head["frames"]:
        frames.append((start, length))
        start += length
    places = {(row[0], row[1]): (row[2], row[3], row[4]) for row in head["index"]}
    return _Pack(data, places, tuple(frames))


@lru_cache(maxsize=4)
def _frame(number: int) -> tuple[dict[str, Any], ...]:
    pack = _pack()
    start, length = pack.frames[number]
    raw = zstandard.ZstdDecompressor().decompress(pack.data[start : start + length])
    return tuple(orjson.loads(raw))


@lru_cache(maxsize=512)
def definition(kind: str, url: str) -> Mapping[str, Any] | None:
    """The CodeSystem or ValueSet of this address, or None. Not to be changed by the caller."""
    place = _pack().places.get((kind, url))
    if place is not None:
        return _frame(place[1])[place[2]]
    return _listed(url) if kind == "CodeSystem" else None


def addresses(kind: str) -> list[tuple[str, str]]:
    """(url, version) of all that are shipped."""
    found = [(url, place[0]) for (each, url), place in _pack().places.items() if each == kind]
    return sorted(found + [(url, "") for url in _LISTED]) if kind == "CodeSystem" else sorted(found)


def _listed(url: str) -> dict[str, Any] | None:
    if url not in _LISTED:
        return None
    return {
        "resourceType": "CodeSystem",
        "url": url,
        "name": _LISTED[url],
        "status": "active",
        "language": "en",
        "caseSensitive": True,
        "content": "complete",
        "concept": _countries() if url.endswith("3166") else _currencies(),
    }


def _countries() -> list[dict[str, Any]]:
    """The codes of two letters, which the value set of R4 lists, and the longer ones of CLDR."""
    value_set = definition("ValueSet", VALUE_SETS + "iso3166-1-2") or {}
    two = {
        text(concept, "code"): text(concept, "display")
        for include in dicts(value_set.get("compose") or {}, "include")
        for concept in dicts(include, "concept")
    }
    czech = Locale("cs").territories
    meant = {code: code for code in two}
    for code, names in sorted(get_global("territory_aliases").items()):
        if len(code) == 3 and len(names) == 1 and names[0] in two:
            meant.setdefault(code, names[0])
    return [_named(code, two[short], czech.get(short, "")) for code, short in meant.items()]


def _currencies() -> list[dict[str, Any]]:
    """Every currency that is or was one; those of the past are inactive."""
    current = {
        row[0]
        for rows in get_global("territory_currencies").values()
        for row in rows
        if row[2] is None and row[3]
    }
    czech = Locale("cs").currencies
    found = []
    for code, name in sorted(Locale("en").currencies.items()):
        concept = _named(code, name, czech.get(code, ""))
        if code not in current:
            concept["property"] = [{"code": "inactive", "valueBoolean": True}]
        found.append(concept)
    return found


def _named(code: str, name: str, czech: str) -> dict[str, Any]:
    concept: dict[str, Any] = {"code": code, "display": name or code}
    if czech:
        concept["designation"] = [{"language": "cs", "value": czech}]
    return concept
