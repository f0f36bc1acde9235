"""Rules of StructureDefinitions, SearchParameters and other resources with a canonical address."""

from __future__ import annotations

import re
from typing import Any

from pater.fhir.definitions import ANY, element_table, type_kind
from pater.fhir.fhirpath import FhirPathError, compile_expression
from pater.fhir.fhirpath.items import fields, fields_by_key
from pater.fhir.fhirpath.types import is_a
from pater.fhir.validation.content import uri_findings
from pater.fhir.validation.discriminators import steps
from pater.fhir.validation.layers import prefixed, profiles_of
from pater.fhir.validation.profiles import Profile
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.targets import type_code
from pater.fhir.validation.types import Finding, Findings

Json = dict[str, Any]

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:\S+")
_ABSTRACT = frozenset(("Element", "BackboneElement"))
_CORE = "http://hl7.org/fhir/StructureDefinition/"
_LONGEST = 8000  # of an expression


def _dicts(value: Any) -> list[Json]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def canonical_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """The canonical address of a resource is absolute; those in lists of libraries are too."""
    out: list[Finding] = []
    url = resource.get("url")
    if isinstance(url, str) and not _ABSOLUTE.fullmatch(url):
        out.append(Finding(".url", "value", "A canonical address is absolute."))
    out += [each._replace(path=".url") for each in uri_findings(url)]
    listed = resource.get("library")
    for place, each in enumerate(listed if isinstance(listed, list) else ()):
        if isinstance(each, str) and not each.startswith("#") and not _ABSOLUTE.fullmatch(each):
            text = "A canonical address is absolute, or # and the id of what is contained."
            out.append(Finding(f".library[{place}]", "value", text))
    return out or None


def search_parameter_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """The expression of a SearchParameter speaks of its base types."""
    expression = resource.get("expression")
    bases = [each for each in resource.get("base") or () if isinstance(each, str)]
    out: list[Finding] = []
    if isinstance(expression, str) and bases and len(expression) <= _LONGEST:
        problems = []
        for base in bases:
            try:
                compile_expression(expression, base)
            except FhirPathError as problem:
                problems.append(str(problem))
        named = re.findall(r"(?<![\w.'])([A-Z][A-Za-z]+)\.", expression)
        strange = [each for each in named if type_kind(each) == "resource" and each not in bases
                   and each not in ("Resource", "DomainResource")]  # fmt: skip
        general = {"Resource", "DomainResource"} & set(bases)
        if strange and not general:
            text = f"The expression starts at {strange[0]}, which is no base."
            out.append(Finding(".expression", "invalid", text))
        elif problems and len(problems) == len(bases):
            text = f"The expression cannot be read: {problems[0][:200]}"
            out.append(Finding(".expression", "invalid", text))
    if resource.get("type") == "composite" and len(_dicts(resource.get("component"))) < 2:
        text = "A composite parameter has two components or more."
        out.append(Finding(".component", "business-rule", text))
    derived = resource.get("derivedFrom")
    above = run.profiles.definition(derived) if isinstance(derived, str) else None
    if above is not None and above.get("resourceType") == "SearchParameter":
        missing = [each for each in bases if each not in (above.get("base") or ())]
        if missing and "Resource" not in (above.get("base") or ()):
            text = f"The parameter this is derived from is not defined on {missing[0]}."
            out.append(Finding(".base", "business-rule", text))
    return out or None


def structure_definition_rules(run: Run, resource: Json, frame: Frame) -> Findings:
    """What is wrong with a StructureDefinition: its type, the paths of its elements, their types
    and slicing."""
    kind, derivation = resource.get("type"), resource.get("derivation")
    if not isinstance(kind, str):
        return None
    out: list[Finding] = []
    known = type_kind(kind.removeprefix(_CORE)) is not None
    base = resource.get("baseDefinition")
    if resource.get("kind") == "logical" and derivation == "specialization":
        if not known and not _ABSOLUTE.fullmatch(kind):
            text = f"R4 has no type {kind[:64]}; other types are named by an address."
            out.append(Finding(".type", "value", text))
        above = run.profiles.definition(base) if isinstance(base, str) else None
        if above is not None and above.get("type") == kind:
            text = "A specialization has another type than its base."
            out.append(Finding(".type", "value", text))
    root = kind.rpartition("/")[2]
    for part in ("differential", "snapshot"):
        holder = resource.get(part)
        listed = _dicts(holder.get("element")) if isinstance(holder, dict) else []
        for place, element in enumerate(listed):
            found = _element(run, element, root, derivation == "constraint" and known)
            out += [
                one._replace(path=f".{part}.element[{place}]{one.path}") for one in found
            ]  # fmt: skip
            if len(out) > 200:
                return out
    out += _extension_address(run, resource)
    return out or None


def _element(run: Run, element: Json, root: str, constraint: bool) -> list[Finding]:
    path = element.get("path")
    if not isinstance(path, str):
        return []
    head = path.partition(".")[0]
    if head != root:
        return [Finding(".path", "value", f"The path of an element starts with {root}.")]
    if not constraint:
        return []
    out: list[Finding] = []
    kinds = types_at(path)
    if kinds is not None and not kinds:
        return [Finding(".path", "value", f"{head} has no element {path[:120]}.")]
    out += _limits(element, path) + _constraints(element, kinds)
    for place, row in enumerate(_dicts(element.get("type"))):
        code = type_code(row)
        for url in profiles_of(row):
            profile = run.profiles.get(url)
            if profile is not None and not _suits(profile, code):
                text = f"The profile {url} is for {profile.type}, not for {code}."
                out.append(Finding(f".type[{place}].profile", "value", text))
    slicing = element.get("slicing")
    if isinstance(slicing, dict):
        if "." not in path:
            out.append(Finding(".slicing", "value", "The root of a profile is not sliced."))
        for place, each in enumerate(_dicts(slicing.get("discriminator"))):
            where = f".slicing.discriminator[{place}].path"
            out += [one._replace(path=where) for one in _discriminator(each, kinds)]
    return out


def _limits(element: Json, path: str) -> list[Finding]:
    """A profile asks for no less and allows no more than R4 does (section 5.1.0.5)."""
    try:
        row = next((r for r in element_table(path.partition(".")[0]) if r.path == path), None)
    except KeyError:
        return []
    if row is None or "sliceName" in element or "." not in path:
        return []
    out: list[Finding] = []
    low, high = element.get("min"), element.get("max")
    if isinstance(low, int) and low < row.minimum:
        out.append(Finding(".min", "value", f"R4 asks for {row.minimum} {path} at least."))
    most = int(high) if isinstance(high, str) and high.isdecimal() else None
    if row.maximum != ANY and isinstance(high, str) and (most is None or most > row.maximum):
        out.append(Finding(".max", "value", f"R4 allows {row.maximum} {path} at most."))
    return out


def _constraints(element: Json, kinds: list[str] | None) -> list[Finding]:
    """The expressions of constraints can be read, for one of the types of the element at least."""
    out: list[Finding] = []
    for place, each in enumerate(_dicts(element.get("constraint"))):
        text = each.get("expression")
        if not isinstance(text, str) or not kinds or len(text) > _LONGEST:
            continue
        problem = ""
        for kind in kinds:
            try:
                compile_expression(text, kind)
            except FhirPathError as error:
                problem = str(error)
            else:
                break
        else:
            said = f"The expression cannot be read: {problem[:200]}"
            out.append(Finding(f".constraint[{place}].expression", "invalid", said))
    return out


def _suits(profile: Profile, code: str) -> bool:
    """Whether a profile can stand beside the code of a type."""
    if profile.plain and type_kind(profile.type) == "complex":
        return profile.type == code or code in _ABSTRACT
    return not type_kind(code) or is_a(profile.type, code) or is_a(code, profile.type)


def _discriminator(row: Json, kinds: list[str] | None) -> list[Finding]:
    text = row.get("path")
    if not isinstance(text, str):
        return []
    path = steps(text)
    if path is None:
        return [Finding("", "value", "This is not the simple FHIRPath that discriminators use.")]
    here = kinds
    for step in path:
        if (
            step.kind != "child"
            or not here
            or any(
                type_kind(each) == "resource" or each in ("Resource", "Reference") for each in here
            )
        ):
            return []
        here = [kind for each in here for kind in _below(each, step.name)]
        if not here:
            return [Finding("", "value", f"The sliced element has no {step.name}.")]
    return []


def _below(kind: str, name: str) -> list[str]:
    found = fields(kind).get(name)
    if found is not None:
        return [each.type.name for each in found]
    one = fields_by_key(kind).get(name)
    return [] if one is None or name.startswith("_") else [one.type.name]


def types_at(path: str) -> list[str] | None:
    """The types the element of a path has in R4; [] when there is none, None when it leads into
    a resource, whose type is open."""
    head, *names = path.split(".")
    here = [head]
    for name in names:
        if any(each in ("Resource", "DomainResource") for each in here):
            return None
        here = [kind for each in here for kind in _below(each, name.removesuffix("[x]"))]
        if not here:
            return []
    return here


def _extension_address(run: Run, resource: Json) -> list[Finding]:
    """The url of an extension is fixed to its canonical address, once."""
    if resource.get("type") != "Extension" or resource.get("derivation") != "constraint":
        return []
    base = resource.get("baseDefinition")
    above = run.profiles.get(base) if isinstance(base, str) else None
    out: list[Finding] = []
    holder = resource.get("differential")
    for each in _dicts(holder.get("element") if isinstance(holder, dict) else None):
        found = prefixed(each, "fixed") if each.get("path") == "Extension.url" else None
        if found is None:
            continue
        for node in above.stack if above is not None else ():
            inner = node.children.get("url")
            fixed = prefixed(inner.row, "fixed") if inner is not None else None
            if fixed is not None and fixed[1] != found[1]:
                text = f"The address is fixed to {fixed[1]} by {base}."
                out.append(Finding(".differential", "value", text))
    return out
