"""Rules of single data types that their structure and invariants do not say."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

from pater.fhir import ucum
from pater.fhir.definitions import Element, required_codes
from pater.fhir.fhirpath.items import Item
from pater.fhir.references import parse_reference
from pater.fhir.validation.bindings import bound_findings
from pater.fhir.validation.check_digits import impossible
from pater.fhir.validation.layers import Json
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Finding, Findings

TypeCheck = Callable[[Run, Item, Frame, Element | None], Findings]

_ABSOLUTE = re.compile(r"[A-Za-z][A-Za-z0-9+.\-]*:")
_UUID = re.compile(r"urn:uuid:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_OID = re.compile(r"urn:oid:[0-2](\.(0|[1-9][0-9]*))+")
_EXAMPLE = re.compile(r"https?://(?:[^/]*\.)?example\.(?:org|com)(?:[/:]|\Z)")


def _bound(run: Run, item: Item, row: Element | None) -> list[Finding]:
    """The binding of R4 itself, as far as the base check has not answered it."""
    if row is None or row.strength not in ("required", "extensible", "preferred"):
        return []
    if row.strength == "required" and required_codes(row.value_set) is not None:
        return []
    severity = {"required": "error", "extensible": "warning", "preferred": "information"}
    found = bound_findings(run, item, row.value_set, severity[row.strength], row.path)  # type: ignore[arg-type]  # the three are severities
    return [each for each in found if each.code != "not-found"]


_LANGUAGES = "http://hl7.org/fhir/ValueSet/languages"


def _code(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    # The binding of a language has a maximum: all languages there are (BCP 47).
    if row is not None and row.value_set.partition("|")[0] == _LANGUAGES:
        code = item[1]
        if isinstance(code, str) and run.terms.lookup("urn:ietf:bcp:47", code).result is False:
            return [Finding("", "code-invalid", f"{code[:64]} is no code of a language (BCP 47).")]
    return _bound(run, item, row) or None


def _coding(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    value = item[1]
    if not isinstance(value, dict):
        return None
    return [*coding_findings(run, value), *_bound(run, item, row)] or None


def coding_findings(run: Run, value: Json) -> list[Finding]:
    """What is wrong with a Coding by itself: its system, its code in the system, its name."""
    system, code = value.get("system"), value.get("code")
    out: list[Finding] = []
    if not isinstance(system, str):
        return out
    if not _ABSOLUTE.match(system):
        return [Finding(".system", "value", "The address of a code system is absolute.")]
    if "/ValueSet/" in system and run.terms.is_value_set(system):
        return [Finding(".system", "value", f"{system} is a value set, not a code system.")]
    if not isinstance(code, str):
        return out
    if impossible(system, code):
        text = f"{code[:64]} is no code of {system}: its form or check digit is wrong."
        return [Finding(".code", "code-invalid", text)]
    display = value.get("display")
    named = display if isinstance(display, str) else None
    verdict = run.terms.lookup(system, code, named)
    if verdict.result is False:
        text = f"The code system {system} has no code {code[:64]}."
        return [Finding(".code", "code-invalid", text)]
    if verdict.misnamed:
        text = f"The name of {code} is {' or '.join(verdict.displays[:3])}."
        out.append(Finding(".display", "value", text, run.settings.displays))
    return out


def _concept(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    return _bound(run, item, row) or None


def _quantity(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    value = item[1]
    if not isinstance(value, dict) or not isinstance(value.get("code"), str):
        return None
    if value.get("system") != ucum.SYSTEM or ucum.is_valid(value["code"]):
        return None
    return [Finding(".code", "code-invalid", f"{value['code'][:64]} is no UCUM unit.")]


def _attachment(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    value = item[1]
    if not isinstance(value, dict):
        return None
    out: list[Finding] = []
    data, size = value.get("data"), value.get("size")
    if isinstance(data, str) and type(size) is int:
        try:
            actual = len(b64decode("".join(data.split()), validate=True))
        except (binascii.Error, ValueError):
            return None
        if actual != size:
            text = f"The size says {size} bytes, the data are {actual}."
            out.append(Finding(".size", "value", text))
    url = value.get("url")
    if isinstance(url, str) and not run.settings.examples and _EXAMPLE.match(url):
        out.append(Finding(".url", "value", "Example addresses are not allowed here."))
    return out or None


def _identifier(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    value = item[1]
    if not isinstance(value, dict) or value.get("system") != "urn:ietf:rfc:3986":
        return None
    text = value.get("value")
    if isinstance(text, str) and not _ABSOLUTE.match(text):
        said = "With the system urn:ietf:rfc:3986 the value is a URI (urn:uuid:, urn:oid:, http…)."
        return [Finding(".value", "value", said)]
    return None


def _reference(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    value = item[1]
    text = value.get("reference") if isinstance(value, dict) else None
    if not isinstance(text, str):
        return None
    if text.startswith("#") and len(text) > 1 and run.resolve(frame, text) is None:
        return [Finding(".reference", "not-found", f"Nothing contained has the id {text[1:65]}.")]
    if text.startswith("urn:") and frame.bundle is not None and run.resolve(frame, text) is None:
        # R4 section 2.36.4.1: such an identity means something only within its Bundle.
        said = f"The Bundle has no entry {text[:200]}."
        return [Finding(".reference", "not-found", said, "warning")]
    if row is not None and row.targets and (found := run.resolve(frame, text)) is not None:
        kind = str(found.resource.get("resourceType"))
        if found.how != "referenced" and kind not in row.targets:
            said = f"{text[:200]} is of the type {kind}; expected {', '.join(row.targets)}."
            return [Finding(".reference", "structure", said)]
    if run.settings.references == "no" or text.startswith(("#", "urn:")):
        return None
    if parse_reference(text).id is None:
        return None  # no address of a FHIR server: what is there need not be a resource
    if run.resolve(frame, text) is None:
        return [Finding(".reference", "not-found", f"{text[:200]} cannot be found.")]
    return None


def uri_findings(text: Any) -> list[Finding]:
    """What is wrong with a URI that is a UUID or OID."""
    if not isinstance(text, str):
        return []
    if text.startswith("urn:uuid:") and not _UUID.fullmatch(text.partition("|")[0]):
        return [Finding("", "value", "A UUID is 32 lower-case hexadecimal digits in five groups.")]
    if text.startswith("urn:oid:") and not _OID.fullmatch(text.partition("|")[0]):
        return [Finding("", "value", "An OID is numbers without leading zeros with dots between.")]
    return []


_TAG = re.compile(r"<(?:/?[A-Za-z][A-Za-z0-9]*[\s>/]|[A-Za-z]+$|!--)")


def _markdown(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    if run.settings.html_in_markdown or not isinstance(item[1], str):
        return None
    if _TAG.search(item[1]) is None:
        return None
    return [Finding("", "value", "The markdown holds HTML, which is not shown as such.")]


def _uri(run: Run, item: Item, frame: Frame, row: Element | None) -> Findings:
    return uri_findings(item[1]) or None


TYPE_CHECKS: Mapping[str, TypeCheck] = MappingProxyType(
    {
        "code": _code, "Coding": _coding, "CodeableConcept": _concept, "Quantity": _quantity,
        "Age": _quantity, "Count": _quantity, "Distance": _quantity, "Duration": _quantity,
        "SimpleQuantity": _quantity, "Attachment": _attachment, "Identifier": _identifier,
        "Reference": _reference, "uri": _uri, "markdown": _markdown, "canonical": _uri, "url": _uri,
    }
)  # fmt: skip
"""Data type → its check."""
