"""`path` in a TestScript: the plain part of XPath and JSONPath, over the JSON tree."""

from __future__ import annotations

import re
from typing import Any

_XPATH = re.compile(r"(?:fhir:)?([A-Za-z_][\w-]*|\*)(?:\[([0-9]{1,6})\])?\Z")
_JSONPATH = re.compile(r"([A-Za-z_][\w-]*|\*)((?:\[(?:[0-9]{1,6}|\*)\])*)\Z")
_INDEX = re.compile(r"\[([0-9]+|\*)\]")


class PathError(ValueError):
    """A path that is neither of the forms understood here."""


def find(path: str, resource: dict[str, Any]) -> list[Any]:
    """The values at a path, in order.

    `fhir:Patient/fhir:name[1]/fhir:family/@value` or `Patient/name/family` (XPath, from 1), or
    `$.name[0].family` or `name.family` (JSONPath, from 0). Raises PathError for anything else.
    """
    text = path.strip()
    if "/" in text or text.startswith("fhir:"):
        return _xpath(text, resource)
    steps = text.removeprefix("$").removeprefix(".").split(".")
    found: list[Any] = [resource]
    for number, step in enumerate(steps):
        match = _JSONPATH.match(step)
        if match is None:
            raise PathError(f"the path {path!r} is not understood")
        if number == 0 and match[1] == resource.get("resourceType") and len(steps) > 1:
            continue
        found = _children(found, match[1], flat=False)
        for index in _INDEX.findall(match[2]):
            if index == "*":
                found = [inner for each in found if isinstance(each, list) for inner in each]
            else:
                found = [each[int(index)] for each in found
                         if isinstance(each, list) and int(index) < len(each)]  # fmt: skip
    return [inner for each in found for inner in (each if isinstance(each, list) else [each])]


def _xpath(text: str, resource: dict[str, Any]) -> list[Any]:
    anywhere = text.startswith("//")
    steps = [step for step in text.split("/") if step]
    if steps and steps[-1] == "@value":
        steps.pop()
    elif steps and steps[-1].startswith("@"):
        steps[-1] = steps[-1][1:]
    found: list[Any] = [resource]
    for number, step in enumerate(steps):
        match = _XPATH.match(step)
        if match is None:
            raise PathError(f"the path {text!r} is not understood")
        if number == 0 and match[1] in (resource.get("resourceType"), "*") and not anywhere:
            continue
        if number == 0 and anywhere:
            if match[1] == resource.get("resourceType"):
                continue
            found = [each for each in _deep(resource) if isinstance(each, dict)]
        held = [
            one
            for each in found
            for one in _numbered(_children([each], match[1], flat=True), match[2])
        ]
        found = held
    return found


def _numbered(values: list[Any], number: str | None) -> list[Any]:
    if number is None:
        return values
    return values[int(number) - 1 : int(number)] if int(number) > 0 else []


def _children(values: list[Any], name: str, *, flat: bool) -> list[Any]:
    found: list[Any] = []
    for value in values:
        for each in value if isinstance(value, list) else [value]:
            if not isinstance(each, dict):
                continue
            if "resourceType" in each and name == each["resourceType"]:
                found.append(each)  # XML has the type as an element, JSON inside the resource
                continue
            named = list(each.values()) if name == "*" else [each[name]] if name in each else []
            for one in named:
                found += one if flat and isinstance(one, list) else [one]
    return found


def _deep(value: Any) -> list[Any]:
    found = [value]
    children = value.values() if isinstance(value, dict) else value
    for each in children if isinstance(value, dict | list) else ():
        found += _deep(each)
    return found
