"""Rules of CodeSystems, ValueSets and ConceptMaps that their invariants do not say."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from pater.fhir.fhirpath import FhirPathError, compile_expression
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Finding, Findings

Json = dict[str, Any]

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_PROPERTIES = "http://hl7.org/fhir/concept-properties#"
_RELATIONS = frozenset(_PROPERTIES + name for name in ("parent", "child", "partOf"))
_KINDS = {
    "notSelectable": "boolean", "inactive": "boolean", "status": "code", "deprecated": "dateTime",
    "retirementDate": "dateTime", "effectiveDate": "dateTime", "parent": "code", "child": "code",
    "partOf": "code", "synonym": "code", "comment": "string", "itemWeight": "decimal",
    "deprecationDate": "dateTime",
}  # fmt: skip


def _dicts(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _concepts(value: Any, path: str, depth: int = 0) -> Iterator[tuple[str, Json]]:
    for place, each in enumerate(_dicts(value)):
        where = f"{path}[{place}]"
        yield where, each
        if depth < 60:
            yield from _concepts(each.get("concept"), f"{where}.concept", depth + 1)


def code_system_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """What is wrong with a CodeSystem: content and count, properties and their values."""
    out: list[Finding] = []
    content, count = resource.get("content"), resource.get("count")
    number = sum(1 for _ in _concepts(resource.get("concept"), ""))
    if content == "complete" and isinstance(count, int) and number and count != number:
        text = f"The count says {count} concepts, there are {number}."
        out.append(Finding(".count", "value", text))
    if content == "not-present" and number:
        text = "A code system whose content is not present has no concepts."
        out.append(Finding(".concept", "value", text))
    if content == "supplement" and "supplements" not in resource:
        text = "A supplement names the code system it adds to."
        out.append(Finding(".supplements", "required", text))
    kinds: dict[str, str] = {}
    uris: set[str] = set()
    for place, each in enumerate(_dicts(resource.get("property"))):
        code, uri, kind = each.get("code"), each.get("uri"), each.get("type")
        where = f".property[{place}]"
        if isinstance(code, str):
            if code in kinds:
                text = f"There is a property {code[:64]} already."
                out.append(Finding(where, "business-rule", text))
            kinds.setdefault(code, str(kind))
        if isinstance(uri, str):
            if uri in uris:
                text = "There is a property with this uri already."
                out.append(Finding(where, "business-rule", text))
            uris.add(uri)
            wanted = _KINDS.get(uri.removeprefix(_PROPERTIES)) if _PROPERTIES in uri else None
            if wanted is not None and kind != wanted:
                text = f"The property {uri} is of the type {wanted}."
                out.append(Finding(f"{where}.type", "business-rule", text))
    for path, concept in _concepts(resource.get("concept"), ".concept"):
        for place, each in enumerate(_dicts(concept.get("property"))):
            declared = kinds.get(str(each.get("code")))
            given = next((key[5:] for key in each if key.startswith("value")), "")
            if declared and given and declared[:1].upper() + declared[1:] != given:
                text = f"The property is of the type {declared}."
                out.append(Finding(f"{path}.property[{place}]", "business-rule", text))
        if len(out) > 200:
            break
    return out or None


def value_set_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """What is wrong with the rules of a ValueSet: systems, values of filters."""
    compose = resource.get("compose")
    out: list[Finding] = []
    names = frozenset(_parameters(resource))
    for part in ("include", "exclude"):
        listed = compose.get(part) if isinstance(compose, dict) else None
        for place, each in enumerate(_dicts(listed)):
            where = f".compose.{part}[{place}]"
            system = each.get("system")
            if isinstance(system, str) and not _ABSOLUTE.fullmatch(system):
                text = "The address of a code system is absolute."
                out.append(Finding(f"{where}.system", "value", text))
                continue
            if (
                isinstance(system, str)
                and "/ValueSet/" in system
                and run.terms.is_value_set(system)
            ):
                text = f"{system} is a value set, not a code system."
                out.append(Finding(f"{where}.system", "value", text))
            for index, rule in enumerate(_dicts(each.get("filter"))):
                found = _filter(run, rule, system) + _computed(rule, names)
                out += [one._replace(path=f"{where}.filter[{index}]{one.path}") for one in found]
    return out or None


_EXPRESSION = "http://hl7.org/fhir/StructureDefinition/cqf-expression"


def _parameters(resource: Json) -> Iterator[str]:
    """The parameters a value set says to have."""
    for each in _dicts(resource.get("extension")):
        if str(each.get("url")).endswith("/StructureDefinition/valueset-parameter"):
            for part in _dicts(each.get("extension")):
                if part.get("url") == "name" and isinstance(part.get("valueCode"), str):
                    yield part["valueCode"]


def _computed(rule: Json, names: frozenset[str]) -> list[Finding]:
    """A filter whose value is an expression: in FHIRPath, over parameters the value set has."""
    beside = rule.get("_value")
    out: list[Finding] = []
    for each in _dicts(beside.get("extension") if isinstance(beside, dict) else None):
        found = each.get("valueExpression")
        if each.get("url") != _EXPRESSION or not isinstance(found, dict):
            continue
        if found.get("language") != "text/fhirpath":
            out.append(Finding(".value", "invalid", "The expression is in FHIRPath."))
            continue
        try:
            compile_expression(str(found.get("expression"))[:4000], "ValueSet", names)
        except FhirPathError as problem:
            out.append(Finding(".value", "invalid", f"The expression cannot be read: {problem}"))
    return out


def _filter(run: Run, rule: Json, system: Any) -> list[Finding]:
    """A filter whose value is a code, of a system that says so."""
    name, value, op = rule.get("property"), rule.get("value"), rule.get("op")
    if not isinstance(value, str) or not isinstance(system, str) or op not in ("=", "in", "not-in"):
        return []
    definition = run.profiles.definition(system)
    if definition is None or definition.get("resourceType") != "CodeSystem":
        return []
    declared = next(
        (each for each in _dicts(definition.get("property")) if each.get("code") == name), None
    )
    if declared is None:
        return []
    out: list[Finding] = []
    for text in (each.strip() for each in value.split(",")) if op != "=" else (value,):
        if declared.get("type") == "Coding":
            target, hash_, code = text.partition("#")
            if not hash_:
                said = "The value has the form system#code (or system|version#code)."
                out.append(Finding(".value", "value", said))
            elif run.terms.lookup(target.partition("|")[0], code).result is False:
                out.append(Finding(".value", "value", f"There is no code {text[:200]}."))
        elif (
            str(declared.get("uri")) in _RELATIONS
            and run.terms.lookup(system, text).result is False
        ):
            out.append(Finding(".value", "value", f"There is no code {text[:64]}."))
    return out


def concept_map_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """Codes of a ConceptMap that are not in the value sets it says to map."""
    out: list[Finding] = []
    sides = (
        _first(resource, "sourceUri", "sourceCanonical"),
        _first(resource, "targetUri", "targetCanonical"),
    )
    for place, group in enumerate(_dicts(resource.get("group"))):
        for index, element in enumerate(_dicts(group.get("element"))):
            where = f".group[{place}].element[{index}]"
            out += _mapped(run, sides[0], group.get("source"), element.get("code"), where)
            for at, target in enumerate(_dicts(element.get("target"))):
                below = f"{where}.target[{at}]"
                found = _mapped(run, sides[1], group.get("target"), target.get("code"), below)
                # Unlike the source, a target may lead to codes added to the set since.
                out += [each._replace(severity="warning") for each in found]
            if len(out) > 200:
                return out
    return out or None


def _first(resource: Json, *names: str) -> str | None:
    return next((resource[name] for name in names if isinstance(resource.get(name), str)), None)


def _mapped(run: Run, value_set: str | None, system: Any, code: Any, path: str) -> list[Finding]:
    if not isinstance(code, str) or not isinstance(system, str):
        return []
    if run.terms.lookup(system, code).result is False:
        text = f"The code system {system} has no code {code[:64]}."
        return [Finding(f"{path}.code", "code-invalid", text)]
    if value_set is None or run.terms.validate(value_set, system, code).result is not False:
        return []
    text = f"The code {code[:64]} is not in the value set {value_set}."
    return [Finding(f"{path}.code", "required", text)]
