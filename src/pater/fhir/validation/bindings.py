"""Checks a coded value against the value set an element is bound to, by the binding's strength."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pater.fhir.fhirpath.items import Item
from pater.fhir.issues import Severity
from pater.fhir.validation.layers import Json
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.terms import Verdict
from pater.fhir.validation.types import Finding, Findings

ItemCheck = Callable[[Run, Item, Frame], Findings]

_MAX = "http://hl7.org/fhir/StructureDefinition/elementdefinition-maxValueSet"
_ADDITIONAL = (
    "http://hl7.org/fhir/tools/StructureDefinition/additional-binding",
    "http://hl7.org/fhir/StructureDefinition/additional-binding",
)
_SEVERITY: dict[str, Severity] = {
    "required": "error", "extensible": "warning", "preferred": "information",
}  # fmt: skip
# Published as required; what HL7 means is extensible, as its later corrections say.
_MEANT_EXTENSIBLE = "http://hl7.org/fhir/ValueSet/ucum-vitals-common"
_BY_PURPOSE = {"maximum": "required", "required": "required", "extensible": "extensible"}


def binding_check(row: Json, label: str) -> ItemCheck:
    """The check of an ElementDefinition.binding (R4 section 4.1.5), extensions of it included."""
    wanted: list[tuple[str, str]] = []
    if isinstance(row.get("valueSet"), str):
        url = row["valueSet"]
        lenient = url.partition("|")[0] == _MEANT_EXTENSIBLE
        wanted.append(("extensible" if lenient else str(row.get("strength")), url))
    for each in row.get("extension") or ():
        if not isinstance(each, dict):
            continue
        if each.get("url") == _MAX:
            wanted.append(("required", str(each.get("valueCanonical") or each.get("valueUri"))))
        elif each.get("url") in _ADDITIONAL:
            wanted += _additional(each)
    bound = [(_SEVERITY[how], url) for how, url in wanted if how in _SEVERITY]

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        out: list[Finding] = []
        for severity, url in bound:
            out += bound_findings(run, item, url, severity, label)
        return out or None

    return check


def _additional(extension: Json) -> list[tuple[str, str]]:
    parts = {
        part.get("url"): next((v for k, v in part.items() if k.startswith("value")), None)
        for part in extension.get("extension") or ()
        if isinstance(part, dict)
    }
    how = _BY_PURPOSE.get(str(parts.get("purpose")))
    if how is None or "usage" in parts or not isinstance(parts.get("valueSet"), str):
        return []
    return [(how, str(parts["valueSet"]))]


def bound_findings(
    run: Run, item: Item, value_set: str, severity: Severity, label: str
) -> list[Finding]:
    """What a binding finds wrong with a code, Coding, CodeableConcept, Quantity or string."""
    verdict = judge(run, item[1], value_set)
    if verdict is None or verdict.result is True:
        return []
    if verdict.result is None:
        text = f"Whether {label} is in {value_set} could not be checked. {verdict.reason}".strip()
        return [Finding("", "not-found", text, "information")]
    if severity == "warning" and _only_text(item[1]):
        return []
    how = {"error": "required", "warning": "extensible", "information": "preferred"}
    text = f"{label} is not in the {how.get(severity, '')} value set {value_set}."
    return [Finding("", "code-invalid", text, severity)]


def _only_text(value: Any) -> bool:
    return isinstance(value, dict) and "coding" not in value and "text" in value


def judge(run: Run, value: Any, value_set: str) -> Verdict | None:
    """Whether the value set has a value; None when the value holds nothing to be coded."""
    terms = run.terms
    if isinstance(value, str):
        return terms.validate(value_set, None, value)
    if not isinstance(value, dict):
        return None
    if "coding" in value or ("text" in value and "system" not in value):
        codings = value.get("coding")
        if not isinstance(codings, list):
            return Verdict(False)
        best = Verdict(False)
        for each in codings:
            if not isinstance(each, dict) or not isinstance(each.get("code"), str):
                continue
            found = terms.validate(value_set, _text(each.get("system")), each["code"])
            if found.result is True:
                return found
            if found.result is None:
                best = found
        return best
    if isinstance(value.get("code"), str):
        return terms.validate(value_set, _text(value.get("system")) or "", value["code"])
    return None


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
