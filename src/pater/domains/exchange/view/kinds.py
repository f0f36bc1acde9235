"""How one entry of each kind of resource becomes a line of a table."""

from __future__ import annotations

from typing import Any, Final

from pater.domains.exchange.view.bundle import Json, choice, items, obj, text, texts
from pater.domains.exchange.view.medication import ingredients
from pater.domains.exchange.view.model import Cell, Row
from pater.domains.exchange.view.values import Wording

_T: Final = "http://terminology.hl7.org/CodeSystem/"
_F: Final = "http://hl7.org/fhir/"


def coded(wording: Wording, concept: Any, note: str = "", *, fallback: str = "") -> Cell:
    """The cell of a CodeableConcept: name, small code with its system, the original words."""
    code = wording.concept(concept)
    small = " ".join(part for part in (code.code, code.system) if part)
    lines = "; ".join(part for part in (code.original, note) if part)
    return Cell(code.name or fallback or wording.w["unknown_code"], small, lines)


def joined(*parts: str, by: str = "; ") -> str:
    """The parts that say something, joined."""
    return by.join(part for part in dict.fromkeys(parts) if part)


def _status(wording: Wording, system: str, resource: Json) -> Cell:
    return Cell(wording.word(system, resource.get("status")))


def _references(wording: Wording, value: Any, holder: Json) -> str:
    return joined(*(wording.reference(one, holder) for one in items(value)), by=", ")


def condition(wording: Wording, r: Json) -> Row:
    """Condition: diagnosis, status (doubt said aloud), onset, end, severity, note."""
    verification = wording.concept(r.get("verificationStatus"))
    codes = {text(one.get("code")) for one in items(obj(r.get("verificationStatus")).get("coding"))}
    doubt = "" if codes <= {"confirmed"} else verification.name
    stage = joined(*(wording.name(one.get("summary")) for one in items(r.get("stage"))))
    return Row(
        (
            coded(wording, r.get("code"), wording.name(r.get("bodySite"))),
            Cell(joined(wording.name(r.get("clinicalStatus")), doubt, by=", ")),
            Cell(wording.when(r, "onset") or wording.day(r.get("recordedDate"))),
            Cell(wording.when(r, "abatement")),
            Cell(joined(wording.name(r.get("severity")), stage)),
            Cell(wording.notes(r)),
        )
    )


def procedure(wording: Wording, r: Json) -> Row:
    """Procedure: what, where on the body, when, by whom, why, with what outcome."""
    who = (wording.reference(one.get("actor"), r) for one in items(r.get("performer")))
    status = text(r.get("status"))
    said = "" if status in {"", "completed"} else wording.word(f"{_F}event-status", status)
    devices = [
        wording.reference(obj(one.get("manipulated")), r) for one in items(r.get("focalDevice"))
    ]
    return Row(
        (
            coded(wording, r.get("code"), joined(said, *devices)),
            Cell(wording.name(r.get("bodySite"))),
            Cell(wording.when(r, "performed")),
            Cell(joined(*who, by=", ")),
            Cell(
                joined(
                    wording.name(r.get("reasonCode")),
                    _references(wording, r.get("reasonReference"), r),
                )
            ),
            Cell(joined(wording.name(r.get("outcome")), wording.name(r.get("complication")))),
            Cell(wording.notes(r)),
        )
    )


def allergy(wording: Wording, r: Json) -> Row:
    """AllergyIntolerance: substance, risk, reactions with severity, status."""
    reactions = []
    for one in items(r.get("reaction")):
        severity = wording.word(f"{_F}reaction-event-severity", one.get("severity"))
        shown = wording.name(one.get("manifestation")) or text(one.get("description"))
        reactions.append(f"{shown} ({severity})" if shown and severity else shown or severity)
    codes = {text(one.get("code")) for one in items(obj(r.get("verificationStatus")).get("coding"))}
    doubt = "" if codes <= {"confirmed"} else wording.name(r.get("verificationStatus"))
    risk = text(r.get("criticality"))
    return Row(
        (
            coded(
                wording, r.get("code"), wording.word(f"{_F}allergy-intolerance-type", r.get("type"))
            ),
            Cell(
                wording.word(f"{_F}allergy-intolerance-criticality", risk),
                flag="abnormal" if risk == "high" else "",
            ),
            Cell(joined(*reactions)),
            Cell(joined(wording.name(r.get("clinicalStatus")), doubt, by=", ")),
            Cell(wording.when(r, "onset") or wording.day(r.get("recordedDate"))),
            Cell(wording.notes(r)),
        )
    )


def immunization(wording: Wording, r: Json) -> Row:
    """Immunization: vaccine, date, dose number, lot, reasons for not giving."""
    doses = []
    for one in items(r.get("protocolApplied")):
        kind, value = choice(one, "doseNumber")
        doses.append(
            joined(wording.name(one.get("targetDisease")), wording.value(kind, value), by=" ")
        )
    refused = wording.w["not_given"] if r.get("status") == "not-done" else ""
    return Row(
        (
            coded(
                wording, r.get("vaccineCode"), joined(refused, wording.name(r.get("statusReason")))
            ),
            Cell(wording.when(r, "occurrence")),
            Cell(joined(*doses)),
            Cell(text(r.get("lotNumber"))),
            Cell(
                joined(
                    *(wording.reference(one.get("actor"), r) for one in items(r.get("performer")))
                )
            ),
            Cell(wording.notes(r)),
        )
    )


def device(wording: Wording, r: Json) -> Row:
    """Device: name, identification (UDI, serial, lot), status."""
    udi = next((text(one.get("deviceIdentifier")) for one in items(r.get("udiCarrier"))), "")
    number = joined(
        udi,
        text(r.get("serialNumber")),
        text(r.get("lotNumber")),
        text(r.get("modelNumber")),
        by=", ",
    )
    name = wording.thing(r)
    return Row(
        (
            coded(wording, r.get("type"), name)
            if r.get("type")
            else Cell(name or wording.w["unknown_code"]),
            Cell(number),
            Cell(text(r.get("manufacturer"))),
            Cell(wording.day(r.get("manufactureDate"))),
            Cell(wording.notes(r)),
        )
    )


def device_use(wording: Wording, r: Json) -> Row:
    """DeviceUseStatement: the device, where, since when."""
    what = wording.index.resolve(r.get("device"), r)
    cell = device(wording, what).cells if what else ()
    name = (
        cell[0]
        if cell
        else Cell(wording.reference(r.get("device"), r) or wording.w["unknown_code"])
    )
    return Row(
        (
            name,
            Cell(wording.name(r.get("bodySite"))),
            cell[1] if cell else Cell(),
            Cell(wording.when(r, "timing") or wording.day(r.get("recordedOn"))),
            _status(wording, f"{_F}device-statement-status", r),
            Cell(joined(wording.name(r.get("reasonCode")), wording.notes(r))),
        )
    )


def care_plan(wording: Wording, r: Json) -> Row:
    """CarePlan: its title and activities in words."""
    steps = []
    for one in items(r.get("activity")):
        detail = obj(one.get("detail"))
        when = wording.when(detail, "scheduled")
        what = joined(wording.name(detail.get("code")), text(detail.get("description")), by=": ")
        shown = what or wording.reference(one.get("reference"), r)
        steps.append(joined(shown, when, by=", "))
    title = text(r.get("title")) or wording.name(r.get("category"))
    return Row(
        (
            Cell(
                title or text(r.get("description")) or wording.w["unknown_code"],
                note=text(r.get("description")) if title else "",
            ),
            Cell(joined(*steps)),
            Cell(wording.period(r.get("period"))),
            _status(wording, f"{_F}request-status", r),
            Cell(joined(_references(wording, r.get("goal"), r), wording.notes(r))),
        )
    )


def goal(wording: Wording, r: Json) -> Row:
    """Goal: what is to be reached, by when."""
    targets = []
    for one in items(r.get("target")):
        kind, value = choice(one, "detail")
        due = wording.when(one, "due")
        targets.append(
            joined(wording.name(one.get("measure")), wording.value(kind, value), due, by=" ")
        )
    return Row(
        (
            coded(wording, r.get("description")),
            Cell(joined(*targets)),
            Cell(wording.when(r, "start")),
            Cell(wording.word(f"{_F}goal-status", r.get("lifecycleStatus"))),
            Cell(wording.notes(r)),
        )
    )


def family(wording: Wording, r: Json) -> Row:
    """FamilyMemberHistory: the relative and their illnesses with age at onset."""
    ills = []
    for one in items(r.get("condition")):
        since = wording.when(one, "onset")
        name = wording.name(one.get("code"))
        ills.append(f"{name} ({since})" if name and since else name)
    kind, value = choice(r, "deceased")
    died = (
        wording.w["deceased"]
        if value is True
        else wording.value(kind, value)
        if kind and value is not False
        else ""
    )
    return Row(
        (
            Cell(
                wording.name(r.get("relationship"))
                or text(r.get("name"))
                or wording.w["unknown_code"]
            ),
            Cell(joined(*ills)),
            Cell(joined(died, wording.notes(r))),
        )
    )


def encounter(wording: Wording, r: Json) -> Row:
    """Encounter: kind, time, place, why."""
    places = (wording.reference(one.get("location"), r) for one in items(r.get("location")))
    kind = wording.name(r.get("type")) or wording.name(r.get("class"))
    return Row(
        (
            Cell(kind or wording.w["unknown_code"]),
            Cell(wording.period(r.get("period"))),
            Cell(joined(wording.reference(r.get("serviceProvider"), r), *places, by=", ")),
            Cell(
                joined(
                    wording.name(r.get("reasonCode")),
                    _references(wording, r.get("reasonReference"), r),
                )
            ),
            _status(wording, f"{_F}encounter-status", r),
        )
    )


def flag(wording: Wording, r: Json) -> Row:
    """Flag: the warning itself, its kind and validity."""
    return Row(
        (
            coded(wording, r.get("code")),
            Cell(wording.name(r.get("category"))),
            Cell(wording.period(r.get("period"))),
            _status(wording, f"{_F}flag-status", r),
        )
    )


def consent(wording: Wording, r: Json) -> Row:
    """Consent or advance directive: its kind, date, status."""
    return Row(
        (
            Cell(
                wording.name(r.get("category"))
                or wording.name(r.get("scope"))
                or wording.w["unknown_code"]
            ),
            Cell(wording.date(r.get("dateTime"))),
            _status(wording, f"{_F}consent-state-codes", r),
            Cell(text(obj(r.get("sourceAttachment")).get("title"))),
        )
    )


def report(wording: Wording, r: Json) -> Row:
    """DiagnosticReport: what was examined, when, the conclusion."""
    return Row(
        (
            coded(wording, r.get("code")),
            Cell(wording.when(r, "effective") or wording.date(r.get("issued"))),
            Cell(joined(text(r.get("conclusion")), wording.name(r.get("conclusionCode")))),
            Cell(_references(wording, r.get("performer"), r)),
            Cell(_references(wording, r.get("result"), r)),
            _status(wording, f"{_F}observation-status", r),
        )
    )


def coverage(wording: Wording, r: Json) -> Row:
    """Coverage: the insurer, the insured person's number, validity."""
    insurers = []
    for one in items(r.get("payor")):
        who = wording.index.resolve(one, r)
        number = joined(
            *(field.value for field in wording.identifiers(who.get("identifier"))), by=", "
        )
        name = wording.reference(one, r)
        insurers.append(
            f"{name} ({number})" if name and number and number != name else name or number
        )
    return Row(
        (
            Cell(joined(*insurers) or wording.w["unknown_code"]),
            Cell(text(r.get("subscriberId"))),
            Cell(wording.name(r.get("type"))),
            Cell(wording.period(r.get("period"))),
        )
    )


def product(wording: Wording, r: Json) -> Row:
    """Medication: the product, its substances, its form."""
    return Row(
        (
            coded(wording, r.get("code"), fallback=ingredients(wording, r)),
            Cell(ingredients(wording, r)),
            Cell(wording.name(r.get("form"))),
        )
    )


def generic(wording: Wording, r: Json) -> Row:
    """Any other resource: what it calls itself, when, its status, its identifiers."""
    when = ""
    for key in (
        "date",
        "dateTime",
        "authoredOn",
        "recorded",
        "issued",
        "start",
        "created",
        "started",
    ):
        when = when or wording.date(r.get(key))
    for name in ("occurrence", "occurred", "effective", "performed"):
        when = when or wording.when(r, name)
    numbers = joined(
        *(f"{f.label} {f.value}" for f in wording.identifiers(r.get("identifier"))), by=", "
    )
    said = joined(
        *texts([r.get("description"), r.get("conclusion"), r.get("summary"), r.get("comment")])
    )
    name = wording.thing(r)
    relation = wording.name(r.get("relationship"))
    return Row(
        (
            Cell(name or numbers or wording.w["unknown_code"]),
            Cell(when or wording.period(r.get("period"))),
            Cell(joined(relation, said if said != name else "", wording.notes(r))),
            Cell(numbers if name else ""),
            Cell(wording.word(f"{_F}request-status", r.get("status"))),
        )
    )
