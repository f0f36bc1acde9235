"""Lays out observations: value, reference range, flag in words, and groups with their parts."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Final

from pater.domains.exchange.view.bundle import Json, choice, items, obj, text
from pater.domains.exchange.view.model import Bar, Cell, Row
from pater.domains.exchange.view.values import Wording, decimal_of

COLUMNS: Final = ("examination", "value", "range", "date", "performer", "note")
_INTERPRETATION: Final = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
_HIGH: Final = frozenset({"H", "HH", "HU", ">", "HX"})
_LOW: Final = frozenset({"L", "LL", "LU", "<", "LX"})
_ABNORMAL: Final = frozenset({"A", "AA", "POS", "DET", "R", "W", "IND", "E"})
_DEPTH: Final = 6


def observation_rows(wording: Wording, resource: Json, level: int, seen: set[int]) -> Iterator[Row]:
    """An Observation, then its components, then its members, each a level deeper.

    `seen` collects the numbers of the entries shown, so that a member is not told twice and a
    circle of members ends.
    """
    members = []
    for reference in items(resource.get("hasMember")):
        member = wording.index.resolve(reference, resource)
        position = wording.index.position(member)
        if member and position not in seen and level < _DEPTH:
            if position >= 0:
                seen.add(position)
            members.append(member)
    components = items(resource.get("component"))
    value = _value(wording, resource)
    yield Row(
        (
            _name(wording, resource),
            value,
            *_range(wording, resource),
            Cell(wording.when(resource, "effective") or wording.date(resource.get("issued"))),
            Cell(", ".join(_performers(wording, resource))),
            Cell(_remarks(wording, resource)),
        ),
        level,
        group=bool(members or components) and not value,
    )
    for component in components:
        yield Row(
            (
                _name(wording, component),
                _value(wording, component),
                *_range(wording, component),
                Cell(),
                Cell(),
                Cell(),
            ),
            level + 1,
        )
    for member in members:
        if member.get("resourceType") == "Observation":
            yield from observation_rows(wording, member, level + 1, seen)


def _name(wording: Wording, resource: Json) -> Cell:
    code = wording.concept(resource.get("code"))
    small = " ".join(part for part in (code.code, code.system) if part)
    site = wording.name(resource.get("bodySite"))
    note = "; ".join(part for part in (_about(wording, resource), site, code.original) if part)
    return Cell(code.name or wording.w["unknown_code"], small, note)


def _about(wording: Wording, resource: Json) -> str:
    """Whom it is about, when not the patient of the document: a newborn, a foetus, a donor."""
    subject = wording.index.resolve(resource.get("subject"), resource)
    composition = wording.index.composition
    patient = wording.index.resolve(composition.get("subject"), composition)
    return wording.thing(subject) if subject is not patient and subject and patient else ""


def _performers(wording: Wording, resource: Json) -> list[str]:
    # The author and custodian perform most of it; only somebody else is worth a column.
    head = wording.index.composition
    authors = {
        text(one.get("reference"))
        for one in [*items(head.get("author")), *items(head.get("custodian"))]
    }
    found = []
    for one in items(resource.get("performer")):
        if text(one.get("reference")) not in authors:
            kind = wording.index.resolve(one, resource).get("resourceType")
            if kind != "Patient":
                found.append(wording.reference(one, resource))
    return [name for name in dict.fromkeys(found) if name]


def _remarks(wording: Wording, resource: Json) -> str:
    method = wording.name(resource.get("method"))
    specimen = wording.index.resolve(resource.get("specimen"), resource)
    status = text(resource.get("status"))
    said = ""
    if status in {"preliminary", "amended", "corrected", "cancelled", "entered-in-error"}:
        said = wording.word("http://hl7.org/fhir/observation-status", status)
    material = wording.name(specimen.get("type"))
    return "; ".join(p for p in (said, wording.notes(resource), method, material) if p)


def _value(wording: Wording, resource: Json) -> Cell:
    kind, value = choice(resource, "value")
    shown, small, note = "", "", ""
    if kind == "CodeableConcept":
        code = wording.concept(value)
        shown, note = code.name, code.original
        small = " ".join(part for part in (code.code, code.system) if part)
    elif kind == "SampledData":
        shown = text(obj(value).get("data"))[:200]
    elif kind:
        shown = wording.value(kind, value)
    if not shown and resource.get("dataAbsentReason"):
        shown = wording.name(resource.get("dataAbsentReason"))
    flag, words = _flag(wording, resource, kind, value)
    if words.casefold() == shown.casefold():
        words = ""
    return Cell(shown, small, note, flag, words)


def _flag(wording: Wording, resource: Json, kind: str, value: Any) -> tuple[str, str]:
    """The look and the words of an abnormal result: as the laboratory said, else by the range."""
    said = items(resource.get("interpretation"))
    for concept in said:
        for coding in items(concept.get("coding")) or [{}]:
            code = text(coding.get("code"))
            flag = (
                "high"
                if code in _HIGH
                else "low"
                if code in _LOW
                else "abnormal"
                if code in _ABNORMAL
                else ""
            )
            if flag:
                return flag, wording.name(concept) or wording.word(_INTERPRETATION, code)
    if said:
        name = wording.name(said)
        normal = any(
            text(coding.get("code")) == "N"
            for concept in said
            for coding in items(concept.get("coding"))
        )
        return "", "" if normal else name
    number = decimal_of(obj(value).get("value")) if kind == "Quantity" else None
    low, high = _limits(resource, obj(value))
    if number is None or obj(value).get("comparator"):
        return "", ""
    if high is not None and number > high:
        return "high", wording.w["above"]
    if low is not None and number < low:
        return "low", wording.w["below"]
    return "", ""


def _limits(resource: Json, quantity: Json) -> tuple[Decimal | None, Decimal | None]:
    """The limits of the only, normal range in the unit of the value; else none to judge by."""
    ranges = [one for one in items(resource.get("referenceRange")) if not one.get("appliesTo")]
    if len(ranges) != 1:
        return None, None
    kinds = items(obj(ranges[0].get("type")).get("coding"))
    if kinds and not any(text(one.get("code")) == "normal" for one in kinds):
        return None, None
    sides = []
    for side in ("low", "high"):
        limit = obj(ranges[0].get(side))
        unit = text(limit.get("code")) or text(limit.get("unit"))
        # A limit in another unit must never judge a value.
        same = not unit or unit in {text(quantity.get("code")), text(quantity.get("unit"))}
        sides.append(decimal_of(limit.get("value")) if same else None)
    return sides[0], sides[1]


def _range(wording: Wording, resource: Json) -> tuple[Cell]:
    shown = []
    for one in items(resource.get("referenceRange")):
        written = wording.span(one.get("low"), one.get("high")) or text(one.get("text"))
        about = wording.name(one.get("appliesTo")) or _kind(wording, one)
        shown.append(f"{written} ({about})" if written and about else written)
    plain = "; ".join(one for one in shown if one)
    return (Cell(plain, bar=_bar(resource)),)


def _kind(wording: Wording, reference_range: Json) -> str:
    codings = items(obj(reference_range.get("type")).get("coding"))
    normal = any(text(one.get("code")) == "normal" for one in codings)
    return "" if normal else wording.name(reference_range.get("type"))


def _bar(resource: Json) -> Bar | None:
    """The place of the value on a line on which the range takes the middle half."""
    quantity = obj(resource.get("valueQuantity"))
    number = decimal_of(quantity.get("value"))
    low, high = _limits(resource, quantity)
    if number is None or low is None or high is None or high <= low:
        return None
    width = high - low
    place = 25 + 50 * float((number - low) / width)
    return Bar(25.0, 75.0, round(min(98.0, max(2.0, place)), 1))
