"""Checks that need more than one element: references to the right type, required codings."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pater.fhir.definitions import TYPE_NUMBER, required_codings
from pater.fhir.references import parse_reference
from pater.fhir.validation.types import Check, Finding, Findings, fault

_TYPE_PREFIX = "http://hl7.org/fhir/StructureDefinition/"


def reference_check(base: Check, targets: tuple[str, ...]) -> Check:
    """The check of a Reference whose target must be one of `targets` (empty = any)."""
    allowed = frozenset(targets)
    wanted = ", ".join(targets[:12]) + (", …" if len(targets) > 12 else "")

    def check(value: Any) -> Findings:
        found = base(value)
        if found is not None and type(value) is not dict:
            return found
        text, stated = value.get("reference"), value.get("type")
        kind: str | None = None
        if type(text) is str and text:
            ref = parse_reference(text)
            kind = ref.type
            if kind is None and ref.kind == "logical":
                found = [*(found or ()), Finding(".reference", "value", _NOT_A_REFERENCE)]
        if type(stated) is str:
            name = stated.removeprefix(_TYPE_PREFIX)
            if name not in TYPE_NUMBER:
                name = ""  # a logical model may be named by its address; codes are open here
            if kind is not None and name and name != kind:
                text = f"The type says {name} but the reference points to {kind}."
                found = [*(found or ()), Finding(".type", "value", text)]
            kind = kind or name or None
        if kind is not None and allowed and kind not in allowed:
            text = f"A reference to {kind} is not allowed here; expected {wanted}."
            found = [*(found or ()), Finding("", "structure", text)]
        return found

    return check


def may_point(text: str, allowed: frozenset[str]) -> bool:
    """Whether a text is a reference that may stand for one of the types (empty = any)."""
    return _may_point(text, allowed) if len(text) <= _SHORT else _points(text, allowed)


def _points(text: str, allowed: frozenset[str]) -> bool:
    ref = parse_reference(text)
    if ref.type is None:
        return ref.kind != "logical"
    return not allowed or ref.type in allowed


_SHORT = 200  # characters; longer ones are not remembered
# The references of one record are the same again and again.
_may_point = lru_cache(maxsize=8_192)(_points)

_NOT_A_REFERENCE = (
    "The text is not a reference; expected Type/id, an absolute address, urn:uuid:…, urn:oid:…"
    " or #id of a contained resource."
)


def coding_check(base: Check, value_set: str) -> Check:
    """The check of a Coding with a required binding."""
    codings = required_codings(value_set)
    if codings is None:
        return base

    def check(value: Any) -> Findings:
        found = base(value)
        if _is_wrong(found) or _has(value, codings):
            return found
        return [*(found or ()), *fault("code-invalid", _outside(value_set))]

    return check


def concept_check(base: Check, value_set: str) -> Check:
    """The check of a CodeableConcept with a required binding: one of its codings is in the set.

    A concept that only says by extension why it has no code is let through.
    """
    codings = required_codings(value_set)
    if codings is None:
        return base

    def check(value: Any) -> Findings:
        found = base(value)
        if _is_wrong(found):
            return found
        given = value.get("coding")
        if given is None and "text" not in value and "extension" in value:
            return found
        if given is not None and any(_has(each, codings) for each in given):
            return found
        return [*(found or ()), *fault("code-invalid", _outside(value_set))]

    return check


def _is_wrong(found: Findings) -> bool:
    """Whether the value is broken in itself, so that looking into it makes no sense."""
    return found is not None and any(each.severity == "error" for each in found)


def _has(coding: Mapping[str, Any], codings: Mapping[str, frozenset[str]]) -> bool:
    return coding.get("code") in codings.get(coding.get("system", ""), ())


def _outside(value_set: str) -> str:
    systems = ", ".join(required_codings(value_set) or ())
    return f"No coding is in the required value set {value_set} (code system {systems})."
