"""$translate: what a code is in another code system, by the concept maps that are here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from pater.terminology.compose import name_of
from pater.terminology.resource_system import dicts, text

Json = Mapping[str, Any]

# R4 ConceptMapEquivalence for each relationship of R5; the map may be written in either.
_EQUIVALENCE: Final[Mapping[str, str]] = {
    "equivalent": "equivalent",
    "source-is-narrower-than-target": "wider",
    "source-is-broader-than-target": "narrower",
    "related-to": "relatedto",
    "not-related-to": "disjoint",
}
_REVERSED: Final[Mapping[str, str]] = {
    "wider": "narrower",
    "narrower": "wider",
    "subsumes": "specializes",
    "specializes": "subsumes",
}
_NOTHING: Final = frozenset({"unmatched", "disjoint"})


@dataclass(frozen=True, slots=True)
class Question:
    """What is to be translated; "" = any. `source` and `target` name value sets."""

    code: str
    system: str
    version: str = ""
    target_system: str = ""
    source: str = ""
    target: str = ""
    reverse: bool = False


@dataclass(frozen=True, slots=True)
class Match:
    """One translation."""

    equivalence: str
    system: str
    version: str
    code: str
    display: str
    origin: str


def matches(maps: Sequence[Json], question: Question) -> list[Match]:
    """Every translation that the maps have, each once."""
    found: dict[Match, None] = {}
    for each in maps:
        if _applies(each, question):
            for match in _in_map(each, question):
                found.setdefault(match)
    return list(found)


def succeeded(found: Sequence[Match]) -> bool:
    """Whether any of them is a translation, and not the news that there is none."""
    return any(each.equivalence not in _NOTHING for each in found)


def _scopes(concept_map: Json) -> tuple[str, str]:
    return _scope(concept_map, "source"), _scope(concept_map, "target")


def _scope(concept_map: Json, end: str) -> str:
    """The value set at one end, however the map names it (R4 or R5)."""
    keys = [f"{end}{more}" for more in ("Uri", "Canonical", "ScopeUri", "ScopeCanonical")]
    return next((text(concept_map, key) for key in keys if text(concept_map, key)), "")


def _applies(concept_map: Json, question: Question) -> bool:
    source, target = _scopes(concept_map)
    if question.reverse:
        source, target = target, source
    return (not question.source or question.source == source) and (
        not question.target or question.target == target
    )


def _in_map(concept_map: Json, question: Question) -> Iterator[Match]:
    origin = name_of(concept_map)
    for group in dicts(concept_map, "group"):
        source, target = text(group, "source"), text(group, "target")
        if question.reverse:
            source, target = target, source
        if source != question.system:
            continue
        if question.target_system and target != question.target_system:
            continue
        if question.reverse:
            yield from _backwards(group, question, origin)
        else:
            yield from _forwards(group, question, origin)


def _forwards(group: Json, question: Question, origin: str) -> Iterator[Match]:
    system, version = text(group, "target"), text(group, "targetVersion")
    known = False
    for element in dicts(group, "element"):
        if text(element, "code") == question.code:
            known = True
            if element.get("noMap") is True:
                yield Match("unmatched", "", "", "", "", origin)
            for target in dicts(element, "target"):
                code, display = text(target, "code"), text(target, "display")
                yield Match(equivalence(target), system, version, code, display, origin)
    unmapped = group.get("unmapped")
    if known or not isinstance(unmapped, dict):
        return
    said = _EQUIVALENCE.get(text(unmapped, "relationship"), "relatedto")
    match unmapped.get("mode"):
        case "fixed":
            code, display = text(unmapped, "code"), text(unmapped, "display")
            yield Match(said, system, version, code, display, origin)
        case "provided" | "use-source-code":
            yield Match("equivalent", system, version, question.code, "", origin)


def _backwards(group: Json, question: Question, origin: str) -> Iterator[Match]:
    system, version = text(group, "source"), text(group, "sourceVersion")
    for element in dicts(group, "element"):
        for target in dicts(element, "target"):
            if text(target, "code") == question.code:
                said = equivalence(target)
                code, display = text(element, "code"), text(element, "display")
                yield Match(_REVERSED.get(said, said), system, version, code, display, origin)


def equivalence(target: Json) -> str:
    """The R4 equivalence of a target, however its map is written."""
    return text(target, "equivalence") or _EQUIVALENCE.get(
        text(target, "relationship"), "relatedto"
    )
