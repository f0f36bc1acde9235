"""$lookup and $subsumes: what is known of a code, and how two codes stand to each other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from pater.terminology.issues import TxError, TxIssue, unknown_system
from pater.terminology.languages import PREFERRED, Wish, choose
from pater.terminology.model import CodeSystem, Concept, Designation
from pater.terminology.session import Session

Parameter = dict[str, Any]
_MOST_CHILDREN: Final = 200


async def system_or_error(session: Session, url: str, version: str) -> CodeSystem:
    """A code system; TxError 404 with a sentence about the code when it is not here."""
    known = await session.versions(url)
    if not known:
        sentence = unknown_system(url, "", known, "so the code cannot be validated")
        raise TxError(404, TxIssue("error", "not-found", "not-found", sentence))
    return await session.system(url, session.wanted_version(url, version))


async def _concepts(system: CodeSystem, *codes: str) -> list[Concept]:
    located = await system.locate(codes)
    for code in codes:
        if code in located:
            continue
        info = system.info
        version = f" version '{info.version}'" if info.version else ""
        sentence = f"Unknown code '{code}' in the CodeSystem '{info.url}'{version}"
        raise TxError(404, TxIssue("error", "not-found", "invalid-code", sentence))
    return [located[code] for code in codes]


async def lookup(
    system: CodeSystem, code: str, wish: Wish, properties: Sequence[str]
) -> list[Parameter]:
    """The parameters of the answer (R4 CodeSystem-lookup). Raises TxError for an unknown code."""
    [concept], info = await _concepts(system, code), system.info
    chosen = choose(concept, info, wish)
    out: list[Parameter] = [
        {"name": "name", "valueString": info.name or info.title or info.url},
        {"name": "system", "valueUri": info.url},
        {"name": "code", "valueCode": concept.code},
    ]
    if info.version:
        out.append({"name": "version", "valueString": info.version})
    display = chosen.value if chosen is not None else concept.display
    out.append({"name": "display", "valueString": display or concept.code})
    if concept.definition:
        out.append({"name": "definition", "valueString": concept.definition})
    out.append({"name": "abstract", "valueBoolean": concept.abstract})
    wanted = set(properties)
    every = not wanted or "*" in wanted
    if every or "designation" in wanted or any(each.startswith("lang.") for each in wanted):
        out += [_designation(each) for each in _names(concept, info.language)]
    if every or "inactive" in wanted:
        out.append(_property("inactive", "valueBoolean", concept.inactive))
    held = [
        _property(each.code, each.kind, each.value)
        for each in concept.properties
        if (every or each.code in wanted) and each.code not in ("inactive", "parent")
    ]
    out += held
    if every or "parent" in wanted:
        out += await _related(system, "parent", concept.parents)
    if every or "child" in wanted:
        children = await system.children(concept.code, _MOST_CHILDREN)
        out += [_code_property("child", each) for each in children]
    out += [{"name": "used-supplement", "valueCanonical": each} for each in info.supplements]
    return out


def _names(concept: Concept, language: str) -> list[Designation]:
    own = [Designation(concept.display, language, PREFERRED)] if concept.display else []
    return own + list(concept.designations)


def _designation(designation: Designation) -> Parameter:
    parts: list[Parameter] = []
    if designation.language:
        parts.append({"name": "language", "valueCode": designation.language})
    if designation.use:
        parts.append({"name": "use", "valueCoding": dict(designation.use)})
    if designation.source:
        parts.append({"name": "source", "valueCanonical": designation.source})
    parts.append({"name": "value", "valueString": designation.value})
    return {"name": "designation", "part": parts}


def _property(code: str, kind: str, value: Any) -> Parameter:
    parts = [{"name": "code", "valueCode": code}, {"name": "value", kind: value}]
    return {"name": "property", "part": parts}


def _code_property(code: str, concept: Concept) -> Parameter:
    made = _property(code, "valueCode", concept.code)
    if concept.display:
        made["part"].append({"name": "description", "valueString": concept.display})
    return made


async def _related(system: CodeSystem, code: str, codes: Sequence[str]) -> list[Parameter]:
    located = await system.locate(codes)
    return [_code_property(code, located[each]) for each in codes if each in located]


async def subsumes(system: CodeSystem, first: str, second: str) -> str:
    """`equivalent`, `subsumes`, `subsumed-by` or `not-subsumed` (R4 CodeSystem-subsumes)."""
    a, b = await _concepts(system, first, second)
    if a.code == b.code:
        return "equivalent"
    if a.code in await system.ancestors(b.code):
        return "subsumes"
    if b.code in await system.ancestors(a.code):
        return "subsumed-by"
    return "not-subsumed"
