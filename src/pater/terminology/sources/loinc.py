"""LOINC as Regenstrief publishes it: the table, the multiaxial hierarchy, the Czech variant."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from pater.terminology.loading import LoadError, Row, System
from pater.terminology.sources.files import Options, Part, parts, rows

URL: Final = "http://loinc.org"
_PROPERTIES: Final = (
    "COMPONENT", "PROPERTY", "TIME_ASPCT", "SYSTEM", "SCALE_TYP", "METHOD_TYP", "CLASS",
    "STATUS", "CLASSTYPE", "ORDER_OBS", "EXAMPLE_UCUM_UNITS",
)  # fmt: skip
_NAMES: Final = ("shortname", "displayname", "consumer_name")
_VARIANT: Final = re.compile(r"([a-z]{2})([a-z]{2})\d*linguisticvariant\.csv")
_VERSION: Final = re.compile(r"(\d+\.\d+)")


def read(paths: Sequence[Path], options: Options) -> Iterator[tuple[System, Iterator[Row]]]:
    """The release zip, its folder, or `Loinc.csv` alone (with --version)."""
    found = parts(paths)
    table = next((each for each in found if each.last == "loinc.csv"), None)
    if table is None:
        raise LoadError("there is no Loinc.csv in the files")
    version = options.version
    if not version:
        match = _VERSION.search(table.path.name)
        if match is None:
            raise LoadError("say which release this is: --version 2.80")
        version = match[1]
    system = System(
        URL, version, "LOINC", "LOINC", "en", case_sensitive=False,
        properties=tuple((each, "", "string") for each in _PROPERTIES),
    )  # fmt: skip
    yield system, _rows(found, table, options)


def _rows(found: Sequence[Part], table: Part, options: Options) -> Iterator[Row]:
    made: dict[str, Row] = {}
    for line, values in rows(table, encoding=options.encoding):
        code = values.get("loinc_num", "")
        if not code:
            raise LoadError(f"{table.name}:{line}: no LOINC_NUM")
        status = values.get("status", "").lower()
        display = values.get("long_common_name") or values.get("shortname", "")
        made[code] = Row(
            code=code,
            display=display,
            definition=values.get("definitiondescription", ""),
            status=status,
            inactive=status == "deprecated",
            names=[("en", "", values[each]) for each in _NAMES if values.get(each)],
            properties=[
                (each, "valueString", values[each.lower()])
                for each in _PROPERTIES
                if values.get(each.lower())
            ],
        )
    for part in found:
        if part.last == "componenthierarchybysystem.csv":
            _hierarchy(part, made)
        match = _VARIANT.fullmatch(part.last)
        if match is not None and match[1] == "cs":
            _variant(part, f"{match[1]}-{match[2].upper()}", made)
    yield from made.values()


def _hierarchy(part: Part, made: dict[str, Row]) -> None:
    above: dict[str, list[str]] = {}
    for _, values in rows(part):
        code, parent = values.get("code", ""), values.get("immediate_parent", "")
        if not code:
            continue
        if code not in made:
            made[code] = Row(code, values.get("code_text", "") or code, abstract=True)
        above.setdefault(code, []).append(parent)
    for code, parents in above.items():
        made[code].parents += [each for each in parents if each in made]


def _variant(part: Part, language: str, made: dict[str, Row]) -> None:
    for _, values in rows(part):
        row = made.get(values.get("loinc_num", ""))
        if row is None:
            continue
        long = values.get("long_common_name") or values.get("linguisticvariantdisplayname", "")
        axes = (values.get(each, "") for each in ("component", "property", "time_aspct", "system"))
        name = long or ":".join(filter(None, axes))
        if name:
            row.names.append((language, "", name))
