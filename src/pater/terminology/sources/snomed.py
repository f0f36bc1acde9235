"""SNOMED CT from a snapshot in Release Format 2: concepts, descriptions, is-a, attributes."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import orjson

from pater.terminology.loading import LoadError, Row, System
from pater.terminology.sources.files import Options, Part, parts, rows

URL: Final = "http://snomed.info/sct"
_IS_A: Final = "116680003"
_FSN: Final = "900000000000003001"
_PREFERRED: Final = "900000000000548007"
_DEFINED: Final = "900000000000073002"
_CORE: Final = "900000000000207008"
_DATE: Final = re.compile(r"_(\d{8})\.txt")
_PROPERTIES: Final = (
    ("inactive", "http://hl7.org/fhir/concept-properties#inactive", "boolean"),
    ("moduleId", "http://snomed.info/field/moduleId", "code"),
    ("sufficientlyDefined", "http://snomed.info/field/sufficientlyDefined", "boolean"),
)


def read(paths: Sequence[Path], options: Options) -> Iterator[tuple[System, Iterator[Row]]]:
    """The zip of a release, or its folder. --version gives the whole version URI when the edition
    is not the international one (`http://snomed.info/sct/11000279109/version/20250301`)."""
    found = [each for each in parts(paths) if "snapshot" in each.name.lower()]
    concepts = [each for each in found if each.last.startswith("sct2_concept_")]
    if not concepts:
        raise LoadError("there is no sct2_Concept_Snapshot file: is this a snapshot in RF2?")
    version = options.version
    if not version:
        match = _DATE.search(concepts[-1].last)
        if match is None:
            raise LoadError("say which release this is: --version http://snomed.info/sct/…")
        version = f"{URL}/{_CORE}/version/{match[1]}"
    attributes: dict[str, None] = {}
    made = _concepts(concepts)
    _relationships(found, made, attributes)
    _descriptions(found, made)
    properties = (*_PROPERTIES, *((each, f"{URL}#{each}", "code") for each in attributes))
    system = System(URL, version, "SNOMED_CT", "SNOMED CT", "en", properties=properties)
    yield system, iter(made.values())


def _table(part: Part) -> Iterator[tuple[int, dict[str, str]]]:
    return rows(part, encoding="utf-8-sig", delimiter="\t", quoted=False)


def _concepts(files: Sequence[Part]) -> dict[str, Row]:
    made: dict[str, Row] = {}
    for part in files:
        for line, values in _table(part):
            code = values.get("id", "")
            if not code.isdigit():
                raise LoadError(f"{part.name}:{line}: no concept id")
            inactive = values.get("active") != "1"
            defined = values.get("definitionstatusid") == _DEFINED
            made[code] = Row(
                code=code,
                display="",
                status="inactive" if inactive else "",
                inactive=inactive,
                properties=[
                    ("moduleId", "valueCode", values.get("moduleid", "")),
                    ("sufficientlyDefined", "valueBoolean", "true" if defined else "false"),
                ],
            )
    return made


def _relationships(
    found: Sequence[Part], made: dict[str, Row], attributes: dict[str, None]
) -> None:
    for part in found:
        if not part.last.startswith("sct2_relationship_"):
            continue
        for line, values in _table(part):
            if values.get("active") != "1":
                continue
            row, target = made.get(values.get("sourceid", "")), values.get("destinationid", "")
            if row is None or target not in made:
                raise LoadError(f"{part.name}:{line}: a relationship of an unknown concept")
            kind = values.get("typeid", "")
            if kind == _IS_A:
                row.parents.append(target)
            else:
                attributes.setdefault(kind)
                row.properties.append((kind, "valueCode", target))


def _descriptions(found: Sequence[Part], made: dict[str, Row]) -> None:
    preferred: set[str] = set()
    for part in found:
        if "_crefset_language" in part.last:
            preferred |= {
                values["referencedcomponentid"]
                for _, values in _table(part)
                if values.get("active") == "1" and values.get("acceptabilityid") == _PREFERRED
            }
    full: dict[str, str] = {}
    first: dict[str, str] = {}
    for part in found:
        if not part.last.startswith("sct2_description_"):
            continue
        for line, values in _table(part):
            if values.get("active") != "1":
                continue
            code = values.get("conceptid", "")
            row = made.get(code)
            if row is None:
                raise LoadError(f"{part.name}:{line}: a description of an unknown concept")
            language, kind = values.get("languagecode", ""), values.get("typeid", "")
            term = values.get("term", "")
            best = values.get("id", "") in preferred
            if kind == _FSN:
                full.setdefault(code, term) if language == "en" else None
            elif language == "en" and best and not row.display:
                row.display = term
                continue
            elif language == "en":
                first.setdefault(code, term)
            use = {"system": URL, "code": kind}
            at = 0 if best and kind != _FSN else len(row.names)
            row.names.insert(at, (language, orjson.dumps(use).decode(), term))
    for code, row in made.items():
        row.display = row.display or first.get(code) or full.get(code) or code
