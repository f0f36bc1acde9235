"""Fixed values, patterns and limits of an element, as checks of its value."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from pater.fhir.fhirpath.items import Item
from pater.fhir.validation.layers import Json, prefixed
from pater.fhir.validation.run import Frame, Run
from pater.fhir.validation.types import Finding, Findings
from pater.fhir.validation.units import compare_quantities
from pater.fhir.validation.values import compare, difference, fits, same, shown

ItemCheck = Callable[[Run, Item, Frame], Findings]

_R5 = "http://hl7.org/fhir/5.0/StructureDefinition/extension-ElementDefinition."
_LANGUAGES = "http://hl7.org/fhir/StructureDefinition/narrative-language-control"
_MIN_LENGTH = "http://hl7.org/fhir/StructureDefinition/minLength"


def facet_checks(row: Json, label: str, url: str) -> list[ItemCheck]:
    """The checks of fixed[x], pattern[x], minValue[x], maxValue[x], maxLength and minLength."""
    out: list[ItemCheck] = []
    if found := prefixed(row, "fixed"):
        out.append(_value(found[1], same, "is fixed to", label, url))
    if found := prefixed(row, "pattern"):
        out.append(_value(found[1], fits, "follows the pattern", label, url))
    for stem, sign in (("minValue", -1), ("maxValue", 1)):
        if found := prefixed(row, stem):
            out.append(_limit(found[1], sign, label))
    if isinstance(row.get("maxLength"), int):
        out.append(_length(row["maxLength"], at_most=True, label=label))
    told = [each for each in row.get("extension") or () if isinstance(each, dict)]
    alternatives: list[str] = []
    for each in told:
        value = (prefixed(each, "value") or ("", None))[1]
        match each.get("url"):
            case url_ if url_ == _MIN_LENGTH and isinstance(value, int):
                out.append(_length(value, at_most=False, label=label))
            case url_ if url_ == _R5 + "mustHaveValue" and value is True:
                out.append(_present(label, ()))
            case url_ if url_ == _R5 + "valueAlternatives":
                alternatives.append(str(value))
            case url_ if url_ == _LANGUAGES:
                out.append(_languages(str(value), label))
    if alternatives:
        out.append(_present(label, tuple(alternatives)))
    return out


def _present(label: str, alternatives: tuple[str, ...]) -> ItemCheck:
    """A value is there, or one of the extensions that may stand for it (R5 mustHaveValue and
    valueAlternatives)."""

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        if item[1] is not None:
            return None
        given = item[2].get("extension") if isinstance(item[2], dict) else None
        urls = {each.get("url") for each in given or () if isinstance(each, dict)}
        if urls & set(alternatives):
            return None
        return [Finding("", "required", f"{label} has a value.")]

    return check


_SECTION = re.compile(r"""<div[^>]*?\s(?:xml:)?lang=["']([^"']*)["']""")


def _languages(rule: str, label: str) -> ItemCheck:
    """Whether a narrative may or must have sections by language."""

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        div = item[1].get("div") if isinstance(item[1], dict) else None
        if not isinstance(div, str):
            return None
        found = set(_SECTION.findall(div[div.find(">") :]))
        if rule == "_no" and found:
            return [Finding("", "business-rule", f"{label} has no sections by language.")]
        if rule == "_yes" and not found:
            return [Finding("", "business-rule", f"{label} has sections by language.")]
        own = frame.resource.get("language")
        if rule == "_resource" and found and own not in found:
            text = f"{label} has a section in the language of the resource."
            return [Finding("", "business-rule", text)]
        return None

    return check


def _value(
    wanted: Any, test: Callable[[Any, Any], bool], said: str, label: str, url: str
) -> ItemCheck:
    text = f"{label} {said} {shown(wanted)} ({url})."

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        value = item[1]
        if test(wanted, value):
            return None
        where = difference(wanted, value)
        return [Finding(where, "value", text)]

    return check


def _limit(limit: Any, sign: int, label: str) -> ItemCheck:
    word = "at least" if sign < 0 else "at most"
    text = f"{label} is {word} {shown(limit)}."

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        value = item[1]
        if isinstance(limit, dict):
            order = compare_quantities(limit, value) if isinstance(value, dict) else None
        else:
            order = compare(limit, value)
        return [Finding("", "value", text)] if order == sign else None

    return check


def _length(limit: int, *, at_most: bool, label: str) -> ItemCheck:
    text = f"{label} has {'at most' if at_most else 'at least'} {limit} characters."

    def check(run: Run, item: Item, frame: Frame) -> Findings:
        value = item[1]
        if not isinstance(value, str):
            return None
        wrong = len(value) > limit if at_most else len(value) < limit
        return [Finding("", "too-long" if at_most else "value", text)] if wrong else None

    return check
