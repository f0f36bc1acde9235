"""Compiles element tables into checks: one closure an object type, filled when first used."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, NamedTuple

from pater.fhir.definitions import ANY, TYPE_NUMBER, Element, element_table, type_kind
from pater.fhir.validation.coded import coding_check, concept_check, reference_check
from pater.fhir.validation.primitives import code_check, primitive_check, wrong_type
from pater.fhir.validation.types import (
    LIMIT,
    NULL,
    Check,
    Finding,
    Findings,
    fault,
    name_path,
    under,
)


class Shape(NamedTuple):
    """What an object may hold.

    `fields`: name → check; `required`: names of mandatory elements; `required_choices`: mandatory
    choices (`value[x]`); `choice_of`: name → its choice; `siblings`: `_name` → whether the
    primitive `name` repeats; `each`: name of what repeats → the check of one of its values.
    """

    fields: Mapping[str, Check]
    required: frozenset[str]
    required_choices: frozenset[str]
    choice_of: Mapping[str, str]
    siblings: Mapping[str, bool]
    each: Mapping[str, Check]


@cache
def resource_check(name: str) -> Check:
    """The check of one resource type (a key of TYPE_NUMBER), contained resources included."""
    return _object_check(name)


def any_resource(value: Any) -> Findings:
    """The check of a resource of whatever type."""
    if type(value) is not dict:
        return wrong_type(value, "a resource (an object)")
    name = value.get("resourceType")
    if type(name) is not str:
        return [Finding("", "required", "The resource has no resourceType.")]
    if name not in TYPE_NUMBER:
        said = name if name_path(name) else "that name"
        text = f"R4 knows no resource type {said}."
        close = get_close_matches(name[:64], TYPE_NUMBER, 1)
        return fault("not-supported", text + (f" Did you mean {close[0]}?" if close else ""))
    return resource_check(name)(value)


def _contained(value: Any) -> Findings:
    found = any_resource(value)
    if type(value) is dict and "contained" in value:
        text = "A contained resource must not contain others (dom-2)."
        return [*(found or ()), Finding(".contained", "invariant", text)]
    return found


@cache
def type_check(name: str) -> Check:
    """The check of a data type or primitive of R4; of any resource for `Resource`."""
    if name == "Resource":
        return any_resource
    if type_kind(name) == "primitive":
        return primitive_check(name)
    if type_kind(name) == "resource":
        return resource_check(name)
    return _object_check(name)


@cache
def _part_check(path: str) -> Check:
    """The check of an inner element (`Patient.contact`) of a type."""
    return _object_check(path)


@cache
def _children(type_name: str) -> Mapping[str, tuple[Element, ...]]:
    """parent path → its child elements."""
    out: dict[str, list[Element]] = {}
    for element in element_table(type_name):
        out.setdefault(element.path.rpartition(".")[0], []).append(element)
    return {path: tuple(elements) for path, elements in out.items()}


@cache
def shape_of(path: str) -> Shape:
    """The shape of a resource, a data type, or an inner element (`Patient.contact`) of one."""
    type_name = path.partition(".")[0]
    fields: dict[str, Check] = {}
    each_of: dict[str, Check] = {}
    choice_of: dict[str, str] = {}
    siblings: dict[str, bool] = {}
    required: set[str] = set()
    required_choices: set[str] = set()
    if type_kind(path) == "resource":
        fields["resourceType"] = primitive_check("string")
    for element in _children(type_name)[path]:
        name = element.path.rpartition(".")[2]
        if element.maximum == 0:
            continue
        if name.endswith("[x]"):
            names = {name[:-3] + each[0].upper() + each[1:]: each for each in element.types}
            choice_of |= dict.fromkeys(names, name)
            if element.minimum:
                required_choices.add(name)
        else:
            names = {name: element.types[0] if element.types else ""}
            if element.minimum:
                required.add(name)
        for each, kind in names.items():
            check = _element_check(type_name, element, kind)
            repeats = element.maximum == ANY
            plain = name == "id" or element.path == "Extension.url" or kind == "xhtml"
            has_sibling = type_kind(kind) == "primitive" and not plain
            if has_sibling:
                siblings["_" + each] = repeats
            fields[each] = _many(check, one_null=has_sibling) if repeats else check
            if repeats:
                each_of[each] = check
    return Shape(
        fields, frozenset(required), frozenset(required_choices), choice_of, siblings, each_of
    )


def _element_check(type_name: str, element: Element, kind: str) -> Check:
    """The check of one value of an element of the type `kind` ("" = by content reference)."""
    if element.content:
        return _part_check(element.content)
    if element.path in _children(type_name):
        return _part_check(element.path)
    if kind == "Resource" and element.path.endswith(".contained"):
        return _contained
    if kind == "Reference":
        return _reference(element.targets)
    if element.strength == "required":
        if kind == "code":
            return code_check(element.value_set)
        if kind == "Coding":
            return coding_check(type_check(kind), element.value_set)
        if kind == "CodeableConcept":
            return concept_check(type_check(kind), element.value_set)
    return type_check(kind)


@cache
def _reference(targets: tuple[str, ...]) -> Check:
    return reference_check(type_check("Reference"), targets)


def _many(check: Check, *, one_null: bool) -> Check:
    """The check of an array. With `one_null` only the first null is told: nulls may stand for
    something in the sibling, and where they do not, the check of the sibling tells each."""

    def check_all(value: Any) -> Findings:
        if type(value) is not list:
            return wrong_type(value, "an array")
        if not value:
            return fault("structure", "An empty array is not allowed; leave the element out.")
        out: Findings = None
        nulls = 0
        for index, each in enumerate(value):
            found = check(each)
            if found is not None:
                if found[0] is NULL and one_null:
                    nulls += 1
                    if nulls > 1:
                        continue
                out = (out or []) + under(f"[{index}]", found)
                if len(out) > LIMIT:
                    break
        return out

    return check_all


def _object_check(label: str) -> Check:
    """The check of an object. The shape is built at first use: types contain each other."""
    shape: Shape | None = None

    def check(value: Any) -> Findings:
        nonlocal shape
        if type(value) is not dict:
            return wrong_type(value, "an object")
        if shape is None:
            shape = shape_of(label)
        fields, choice_of = shape.fields, shape.choice_of
        out: Findings = None
        usual = bool(value) and shape.required <= value.keys()
        for name, child in value.items():
            field = fields.get(name)
            if field is None:
                usual = False
                continue
            found = field(child)
            if found is not None:
                out = (out or []) + under(f".{name}", found)
                if len(out) > LIMIT:
                    return out
        if usual and choice_of:
            given = [choice_of[name] for name in value if name in choice_of]
            usual = len(set(given)) == len(given) and shape.required_choices.issubset(given)
        return out if usual else _whole(value, shape, label, out)

    return check


def _whole(value: dict[str, Any], shape: Shape, label: str, out: Findings) -> Findings:
    """What concerns the object as a whole: unknown and missing elements, choices, siblings."""
    more: list[Finding] = []
    if not value:
        more += fault("structure", "An empty object is not allowed; leave the element out.")
    for name in sorted(shape.required - value.keys()):
        if "_" + name not in value or "_" + name not in shape.siblings:
            more.append(Finding(f".{name}", "required", f"{label}.{name} is missing."))
    if shape.choice_of:
        more += _choices(value, shape, label)
    for name in value:
        if name in shape.fields:
            continue
        if name in shape.siblings:
            found = _sibling(value, name, shape)
            if found:
                more += found
        else:
            more.append(_unknown(name, shape, label))
        if len(more) > LIMIT:
            break
    if out is not None:
        out = [each for each in out if not _explained(each, value, shape)]
    return [*(out or ()), *more] or None


def _choices(value: dict[str, Any], shape: Shape, label: str) -> list[Finding]:
    given: dict[str, set[str]] = {}
    for name in value:
        bare = name[1:] if name in shape.siblings else name
        choice = shape.choice_of.get(bare)
        if choice is not None:
            given.setdefault(choice, set()).add(bare)
    out = [
        Finding(
            f".{choice[:-3]}",
            "structure",
            f"{label}.{choice} may be given once, found {' and '.join(sorted(names))}.",
        )
        for choice, names in given.items()
        if len(names) > 1
    ]
    for choice in sorted(shape.required_choices - given.keys()):
        out.append(Finding(f".{choice[:-3]}", "required", f"{label}.{choice} is missing."))
    return out


def _sibling(value: dict[str, Any], name: str, shape: Shape) -> Findings:
    """`_name`, which holds the id and extensions of the primitive `name` (R4 section 2.6.2)."""
    check, given, plain = type_check("Element"), value[name], value.get(name[1:])
    if not shape.siblings[name]:
        found = check(given)
        return under(f".{name}", found) if found else None
    if type(given) is not list:
        return under(f".{name}", wrong_type(given, "an array"))
    out: list[Finding] = []
    if not given:
        out += fault("structure", "An empty array is not allowed; leave the element out.")
    if type(plain) is list and len(plain) != len(given):
        text = f"{name} must be as long as {name[1:]}, with null where it has nothing to say."
        out += fault("structure", text)
    for index, each in enumerate(given):
        if each is not None:
            out += under(f"[{index}]", check(each) or [])
        elif type(plain) is not list or index >= len(plain) or plain[index] is None:
            out += under(f"[{index}]", [NULL])
        if len(out) > LIMIT:
            break
    return under(f".{name}", out)


def _explained(finding: Finding, value: dict[str, Any], shape: Shape) -> bool:
    """Whether a null in an array of primitives stands for something said in its sibling."""
    if finding.text is not NULL.text or not finding.path.endswith("]"):
        return False
    name, _, index = finding.path[1:-1].partition("[")
    if shape.siblings.get("_" + name) is not True or not index.isdigit():
        return False
    given = value.get("_" + name)
    at = int(index)
    # A null on both sides is told once, at the sibling.
    return type(given) is list and at < len(given)


def _unknown(name: str, shape: Shape, label: str) -> Finding:
    path = name_path(name)
    text = f"{label} has no element {name if path else 'of this name'}."
    typed = [each for each, choice in shape.choice_of.items() if choice == f"{name}[x]"]
    if typed:
        text += f" Its type must be in the name, as in {typed[0]}."
    elif close := get_close_matches(name[:64], shape.fields, 1):
        text += f" Did you mean {close[0]}?"
    return Finding(path, "structure", text)
