"""Lays out medication: what, how much, when, by which way, for how long and why."""

from __future__ import annotations

from typing import Any, Final

from pater.domains.exchange.view.bundle import Json, choice, items, obj, text, texts
from pater.domains.exchange.view.model import Cell, Row
from pater.domains.exchange.view.values import Wording, decimal_of
from pater.domains.exchange.view.words import counted

_UNITS: Final = {
    "s": "second",
    "min": "minute",
    "h": "hour",
    "d": "day",
    "wk": "week",
    "mo": "month",
    "a": "year",
}
_STATUS: Final = {
    "MedicationStatement": "http://hl7.org/fhir/CodeSystem/medication-statement-status",
    "MedicationRequest": "http://hl7.org/fhir/request-status",
}
COLUMNS: Final = ("medication", "dose", "route", "period", "reason", "status", "note")


def medication_row(wording: Wording, resource: Json, level: int) -> Row:
    """One MedicationStatement, -Request, -Administration or -Dispense."""
    kind = text(resource.get("resourceType"))
    dosages = [
        *items(resource.get("dosage")),
        *items(resource.get("dosageInstruction")),
    ]
    routes = (wording.name(dosage.get("route")) for dosage in dosages)
    period = wording.when(resource, "effective") or wording.date(
        resource.get("authoredOn") or resource.get("whenHandedOver") or resource.get("whenPrepared")
    )
    bounds = (_bounds(wording, obj(obj(d.get("timing")).get("repeat"))) for d in dosages)
    status = wording.word(
        _STATUS.get(kind, "http://hl7.org/fhir/event-status"), resource.get("status")
    )
    reasons = [
        wording.name(resource.get("reasonCode")),
        *(wording.reference(one, resource) for one in items(resource.get("reasonReference"))),
    ]
    quantity = wording.quantity(resource.get("quantity")) if resource.get("quantity") else ""
    return Row(
        (
            drug(wording, resource),
            Cell(
                "; ".join(t for d in dosages if (t := dosage_text(wording, d))) or quantity,
                note=" ".join(t for d in dosages if (t := text(d.get("patientInstruction")))),
            ),
            Cell(", ".join(dict.fromkeys(route for route in routes if route))),
            Cell(period or "; ".join(b for b in bounds if b)),
            Cell(", ".join(reason for reason in reasons if reason)),
            Cell(status),
            Cell(wording.notes(resource)),
        ),
        level,
    )


def drug(wording: Wording, resource: Json) -> Cell:
    """The product: its name and code, the ingredients with their strength as a second line."""
    concept = resource.get("medicationCodeableConcept")
    product: Json = {}
    if not concept:
        product = wording.index.resolve(resource.get("medicationReference"), resource)
        concept = product.get("code")
    code = wording.concept(concept)
    name = code.name or wording.reference(resource.get("medicationReference"), resource)
    name = name or wording.thing(product) or ingredients(wording, product)
    shown = " ".join(part for part in (code.code, code.system) if part)
    note = "; ".join(p for p in (ingredients(wording, product), code.original) if p and p != name)
    if not name and not product and resource.get("medicationReference"):
        note = wording.w["outside"]
    return Cell(name or wording.w["unknown_code"], shown, note)


def ingredients(wording: Wording, product: Json) -> str:
    """The active substances of a Medication with their strengths."""
    found = []
    for one in items(product.get("ingredient")):
        name = wording.name(one.get("itemCodeableConcept")) or wording.reference(
            one.get("itemReference"), product
        )
        strength = _strength(wording, obj(one.get("strength")))
        found.append(" ".join(part for part in (name, strength) if part))
    return ", ".join(one for one in found if one)


def _strength(wording: Wording, ratio: Json) -> str:
    amount, per = obj(ratio.get("numerator")), obj(ratio.get("denominator"))
    top = wording.quantity(amount) if amount else ""
    if not per or (decimal_of(per.get("value")) == 1 and not wording.unit(per)):
        return top
    one = decimal_of(per.get("value")) == 1
    bottom = wording.unit(per) if one else wording.quantity(per)
    return f"{top} / {bottom}" if top and bottom else top


def dosage_text(wording: Wording, dosage: Json) -> str:
    """A Dosage in words: the author's own when there are any, else made of its parts."""
    written = text(dosage.get("text"))
    if written:
        return written
    doses = []
    for rate in items(dosage.get("doseAndRate")):
        kind, value = choice(rate, "dose")
        doses.append(wording.value(kind, value) if kind else "")
        kind, value = choice(rate, "rate")
        doses.append(wording.value(kind, value) if kind else "")
    kind, value = choice(dosage, "dose")  # MedicationAdministration keeps it directly
    doses.append(wording.value(kind, value) if kind else "")
    timing = obj(dosage.get("timing"))
    repeat = obj(timing.get("repeat"))
    when = [
        wording.word("http://terminology.hl7.org/CodeSystem/v3-TimingEvent", one)
        for one in texts(repeat.get("when"))
    ]
    parts = [
        " ".join(dose for dose in doses if dose),
        _frequency(wording, repeat) or wording.name(timing.get("code")),
        ", ".join([*when, *texts(repeat.get("timeOfDay"))]),
        ", ".join(wording.date(one) for one in texts(timing.get("event"))),
        _needed(wording, dosage),
        _maximum(wording, dosage),
    ]
    return ", ".join(part for part in parts if part)


def _frequency(wording: Wording, repeat: Json) -> str:
    frequency = wording.number(repeat.get("frequency"))
    highest = wording.number(repeat.get("frequencyMax"))
    period = decimal_of(repeat.get("period"))
    unit = _UNITS.get(text(repeat.get("periodUnit")), "")
    if not unit or (period is None and not frequency):
        return ""
    times = f"{frequency or 1}–{highest}×" if highest else f"{frequency or 1}×"
    if period in {None, 1}:
        single = {
            "cs": {"day": "denně", "week": "týdně", "hour": "za hodinu", "month": "měsíčně"},
            "en": {"day": "a day", "week": "a week", "hour": "an hour", "month": "a month"},
        }[wording.lang].get(unit)
        if single:
            return f"{times} {single}"
    per = {"cs": "za", "en": "every"}[wording.lang]
    span = period if period is not None else decimal_of(1)
    if span is not None and span == span.to_integral_value():
        return f"{times} {per} {counted(int(span), unit, wording.lang)}"
    return f"{times} {per} {wording.number(span)} {text(repeat.get('periodUnit'))}"


def _bounds(wording: Wording, repeat: Json) -> str:
    kind, value = choice(repeat, "bounds")
    if kind == "Duration":
        number = decimal_of(obj(value).get("value"))
        unit = _UNITS.get(text(obj(value).get("code")), "")
        if number is not None and unit and number == number.to_integral_value():
            return f"{wording.w['for']} {counted(int(number), unit, wording.lang)}"
        return wording.quantity(value)
    return wording.value(kind, value) if kind else ""


def _needed(wording: Wording, dosage: Json) -> str:
    if dosage.get("asNeededBoolean") is True:
        return wording.w["as_needed"]
    reason = wording.name(dosage.get("asNeededCodeableConcept"))
    return f"{wording.w['as_needed']}: {reason}" if reason else ""


def _maximum(wording: Wording, dosage: Json) -> str:
    most: Any = dosage.get("maxDosePerPeriod")
    shown = wording.value("Ratio", most) if most else ""
    return f"{wording.w['max']} {shown}" if shown else ""
