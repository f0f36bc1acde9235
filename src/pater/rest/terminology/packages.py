"""Loads the definitions of a FHIR package through the gate, each canonical and version once."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from uuid import UUID, uuid5

from pater.access.caller import Caller
from pater.fhir.issues import has_errors
from pater.fhir.search.custom import problems
from pater.fhir.validation import validate
from pater.records.changes import Change
from pater.records.gate import Gate
from pater.terminology.resource_system import text
from pater.terminology.stored import StoredDefinitions
from pater.terminology.versions import joined

LOADER: Final = Caller(
    kind="system",
    id="loader",
    name="Loader",
    role="loader",
    purpose="SYSADMIN",
    strength=3,
    scopes=("system/*.cruds",),
)
TYPES: Final = frozenset(
    {"CodeSystem", "ValueSet", "ConceptMap", "NamingSystem", "StructureDefinition",
     "SearchParameter", "OperationDefinition", "Questionnaire"}
)  # fmt: skip
_TOGETHER: Final = 50
_IDS: Final = UUID("6f1b7a52-3d1c-4c0e-9a50-2f6a3b6f7e10")


@dataclass(slots=True)
class Report:
    """What became of the resources of a package."""

    written: int = 0
    unchanged: int = 0
    left_out: int = 0
    refused: list[str] = field(default_factory=list)
    mended: list[str] = field(default_factory=list)


async def load_package(
    gate: Gate,
    stored: StoredDefinitions,
    resources: Iterable[Mapping[str, Any]],
    *,
    caller: Caller = LOADER,
    dry: bool = False,
) -> Report:
    """Writes what is new or different; what is not valid base R4 is refused and told.

    Published packages hold empty strings, mostly comments of a snapshot, which say nothing and
    which R4 forbids: they are left out and told.
    """
    report = Report()
    waiting: list[Change] = []
    for published in resources:
        empty: list[str] = []
        resource = _without_empty(published, "", empty)
        type_, url = text(resource, "resourceType"), text(resource, "url")
        name = joined(url, text(resource, "version")) or text(resource, "id")
        if type_ not in TYPES:
            report.left_out += 1
            continue
        if empty:
            more = f" and {len(empty) - 1} more" if len(empty) > 1 else ""
            report.mended.append(f"{type_} {name}: empty text left out: {type_}{empty[0]}{more}")
        bad = [each for each in validate(dict(resource)) if each.severity in ("error", "fatal")]
        if type_ == "SearchParameter" and not bad:
            bad = problems(dict(resource), gate.custom)
        if has_errors(bad):
            report.refused.append(f"{type_} {name}: {bad[0].path}: {bad[0].text}")
            continue
        change = await _change(stored, type_, url, dict(resource))
        if change is None:
            report.unchanged += 1
            continue
        report.written += 1
        waiting.append(change)
        if len(waiting) == _TOGETHER and not dry:
            await gate.commit(caller, waiting, interaction="transaction")
            waiting = []
    if waiting and not dry:
        await gate.commit(caller, waiting, interaction="transaction")
    return report


async def _change(
    stored: StoredDefinitions, type_: str, url: str, resource: dict[str, Any]
) -> Change | None:
    """The write that a resource needs; None when it is here as it is."""
    version = text(resource, "version")
    if url:
        for key, each in await stored.by_url(type_, url):
            if text(each, "version") == version:
                if _same(each, resource):
                    return None
                return Change("update", type_, key[1], {**resource, "id": key[1]})
    name = joined(url, version) if url else f"{type_}/{text(resource, 'id')}"
    id_ = str(uuid5(_IDS, f"{type_} {name}"))
    found = await stored.by_id(type_, id_)
    if found is not None and _same(found[1], resource):
        return None
    return Change("update", type_, id_, {**resource, "id": id_})


def _without_empty(value: Any, path: str, found: list[str]) -> Any:
    """The value without its empty strings, whose paths are added to `found`."""
    if isinstance(value, Mapping):
        kept: dict[str, Any] = {}
        for name, part in value.items():
            if part == "" and isinstance(part, str):
                found.append(f"{path}.{name}")
            else:
                kept[name] = _without_empty(part, f"{path}.{name}", found)
        return kept
    if isinstance(value, list):
        return [_without_empty(part, f"{path}[{n}]", found) for n, part in enumerate(value)]
    return value


def _same(held: Mapping[str, Any], sent: Mapping[str, Any]) -> bool:
    drop = ("id", "meta")
    return {k: v for k, v in held.items() if k not in drop} == {
        k: v for k, v in sent.items() if k not in drop
    }
