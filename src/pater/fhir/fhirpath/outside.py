"""FHIRPath functions and variables that ask the environment (FHIR R4, section 2.9)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from pater.fhir.definitions import type_kind
from pater.fhir.fhirpath.items import (
    S_BOOLEAN,
    S_DATE,
    S_DATE_TIME,
    S_DECIMAL,
    S_INTEGER,
    S_STRING,
    S_TIME,
    S_TYPE,
    Environment,
    EvaluationError,
    Items,
    boolean,
    moment,
    single,
    text_of,
)
from pater.fhir.fhirpath.types import TypeRef, is_a, resource_type

_CORE = "http://hl7.org/fhir/StructureDefinition/"
CONSTANTS: Mapping[str, str] = MappingProxyType(
    {
        "%ucum": "http://unitsofmeasure.org",
        "%loinc": "http://loinc.org",
        "%sct": "http://snomed.info/sct",
    }
)
"""The variables of R4 that are texts."""


def constant(name: str) -> str | None:
    """The address a variable stands for (`%ext-NAME`, `%vs-NAME` included); None = another."""
    if name.startswith("%vs-"):
        return f"http://hl7.org/fhir/ValueSet/{name[4:]}"
    return _CORE + name[5:] if name.startswith("%ext-") else CONSTANTS.get(name)


def items_of(value: Any) -> Items:
    """Items of what a variable was given: plain JSON, a resource, or a list of them."""
    if value is None:
        return []
    if isinstance(value, list):
        return [item for each in value for item in items_of(each)]
    if isinstance(value, dict):
        return [(resource_type(value), value, None)]
    kinds: tuple[tuple[type, TypeRef], ...] = (
        (bool, S_BOOLEAN), (int, S_INTEGER), (str, S_STRING), (Decimal, S_DECIMAL),
        (float, S_DECIMAL),
    )  # fmt: skip
    return [(kind, value, None) for known, kind in kinds if isinstance(value, known)][:1]


def _inside(environment: Environment, text: str) -> Any:
    """What a reference points to in the container or in the Bundle that is at hand."""
    root = environment.root
    if not isinstance(root, dict):
        return None
    if text.startswith("#"):
        if text == "#":
            return root
        return _with_id(root.get("contained"), text[1:])
    if root.get("resourceType") != "Bundle":
        return None
    entries = root.get("entry")
    for entry in entries if isinstance(entries, list) else ():
        inner = entry.get("resource") if isinstance(entry, dict) else None
        if isinstance(inner, dict) and (
            entry.get("fullUrl") == text or f"{inner.get('resourceType')}/{inner.get('id')}" == text
        ):
            return inner
    return None


def _with_id(resources: Any, wanted: str) -> Any:
    for each in resources if isinstance(resources, list) else ():
        if isinstance(each, dict) and each.get("id") == wanted:
            return each
    return None


def resolve(items: Items, environment: Environment) -> Items:
    """The resources that references point to; what cannot be found is left out."""
    out: Items = []
    for _, value, _ in items:
        text = value.get("reference") if isinstance(value, dict) else value
        if not isinstance(text, str):
            continue
        found = _inside(environment, text)
        if found is None and environment.resolver is not None:
            found = environment.resolver(text)
        if isinstance(found, dict):
            out.append((resource_type(found), found, None))
    return out


def _now(items: Items, environment: Environment) -> Items:
    return moment(environment.now(), S_DATE_TIME)


def _today(items: Items, environment: Environment) -> Items:
    return moment(environment.now()[:10], S_DATE)


def _time_of_day(items: Items, environment: Environment) -> Items:
    return moment(environment.now()[11:23], S_TIME)


def _member_of(items: Items, environment: Environment, value_set: Items) -> Items:
    item, address = single(items, "memberOf()"), text_of(value_set, "memberOf()")
    if item is None or address is None or environment.member_of is None:
        return []
    return boolean(environment.member_of(item[1], address))


def _conforms_to(items: Items, environment: Environment, profile: Items) -> Items:
    item, address = single(items, "conformsTo()"), text_of(profile, "conformsTo()")
    if item is None or address is None:
        return []
    name = address.removeprefix(_CORE)
    if name != address and type_kind(name) is not None:
        return boolean(is_a(item[0].name, name))
    answer = None if environment.conforms_to is None else environment.conforms_to(item[1], address)
    if answer is None:
        raise EvaluationError(f"the profile {address} is not known")
    return boolean(answer)


def _type(items: Items, environment: Environment) -> Items:
    out: Items = []
    for kind, _, _ in items:
        namespace, _, name = kind.name.rpartition(".")
        if namespace != "System":
            name = kind.name if type_kind(kind.name) is not None else "BackboneElement"
            namespace = "FHIR"
        out.append((S_TYPE, {"namespace": namespace, "name": name, "baseType": None}, None))
    return out


FUNCTIONS: Mapping[str, tuple[int, int, Callable[..., Items]]] = MappingProxyType(
    {
        "resolve": (0, 0, resolve),
        "now": (0, 0, _now),
        "today": (0, 0, _today),
        "timeOfDay": (0, 0, _time_of_day),
        "memberOf": (1, 1, _member_of),
        "conformsTo": (1, 1, _conforms_to),
        "type": (0, 0, _type),
        # The narrative is checked where the resource is validated; here it is taken as it is.
        "htmlChecks": (0, 0, lambda items, environment: boolean(True)),
    }
)
"""Name → least and most arguments, function of the focus, the environment and the arguments."""
