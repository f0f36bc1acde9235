"""The single FHIR R4 resources of a demonstration report."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Final

from pater.domains.exchange.demo.catalogue import DRUGS, ROUTES, Allergy, LabTest
from pater.domains.exchange.demo.people import Json, Person
from pater.domains.exchange.demo.report import (
    Diagnosis,
    Done,
    Finding,
    Implant,
    Medicine,
    Report,
)
from pater.registers.identifiers import SID
from pater.terminology.names import LOINC, own_name

Moment = Callable[[str], str]

_T: Final = "http://terminology.hl7.org/CodeSystem/"
SNOMED: Final = "http://snomed.info/sct"
MKN: Final = "https://uzis.cz/terminology/CodeSystem/mkn-10"
UCUM: Final = "http://unitsofmeasure.org"
SUKL: Final = "https://sukl.cz/terminology/CodeSystem/dlp-lecivepripravky"
ATC: Final = "http://www.whocc.no/atc"
INSURERS: Final = "https://ncez.mzcr.cz/terminology/CodeSystem/healthInsuranceCompanyCode"


def coding(system: str, code: str, display: str = "", text: str = "") -> Json:
    """A CodeableConcept of one coding."""
    one = {"system": system, "code": code}
    if display:
        one["display"] = display
    return {"coding": [one], "text": text} if text else {"coding": [one]}


def encounter(report: Report, subject: Json, provider: Json, moment: Moment) -> Json:
    """The stay."""
    return {
        "resourceType": "Encounter",
        "identifier": [
            {"system": f"urn:oid:2.999.{ord(report.hospital)}.1", "value": f"H{report.number[3:]}"}
        ],
        "status": "finished",
        "class": {"system": f"{_T}v3-ActCode", "code": "IMP", "display": "inpatient encounter"},
        "serviceType": {"text": report.department},
        "priority": coding(f"{_T}v3-ActPriority", report.priority),
        "subject": subject,
        "period": {"start": moment(report.start), "end": moment(report.end)},
        "hospitalization": {
            "admitSource": coding(f"{_T}admit-source", report.admitted_from),
            "dischargeDisposition": coding(f"{_T}discharge-disposition", report.discharged_to),
        },
        "serviceProvider": provider,
    }


def condition(one: Diagnosis, subject: Json, main: bool | None, recorded: str) -> Json:
    """A diagnosis of the stay, or (`main` None) a problem of long standing."""
    category = "problem-list-item" if main is None else "encounter-diagnosis"
    out: Json = {
        "resourceType": "Condition",
        "clinicalStatus": coding(
            f"{_T}condition-clinical", "resolved" if one.resolved else "active"
        ),
        "verificationStatus": coding(f"{_T}condition-ver-status", "confirmed"),
        "category": [coding(f"{_T}condition-category", category)],
        "code": coding(MKN, one.code, one.name),
        "subject": subject,
    }
    if one.onset:
        out["onsetDateTime"] = one.onset
    if recorded:
        out["recordedDate"] = recorded
    if one.note:
        out["note"] = [{"text": one.note}]
    return out


def allergy(one: Allergy, subject: Json) -> Json:
    """A known allergy or intolerance."""
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": coding(f"{_T}allergyintolerance-clinical", "active"),
        "verificationStatus": coding(f"{_T}allergyintolerance-verification", "confirmed"),
        "type": one.kind,
        "category": [one.category],
        "criticality": one.criticality,
        "code": coding(SNOMED, one.snomed, text=one.substance),
        "patient": subject,
        "onsetDateTime": one.since,
        "reaction": [
            {
                "manifestation": [coding(SNOMED, one.reaction[0], text=one.reaction[1])],
                "severity": one.severity,
            }
        ],
    }


def no_allergy(subject: Json) -> Json:
    """The statement that no allergy is known."""
    return {
        "resourceType": "AllergyIntolerance",
        "clinicalStatus": coding(f"{_T}allergyintolerance-clinical", "active"),
        "verificationStatus": coding(f"{_T}allergyintolerance-verification", "confirmed"),
        "code": coding(SNOMED, "716186003", "No known allergy", "Bez známé alergie"),
        "patient": subject,
    }


def procedure(one: Done, subject: Json, stay: Json, doctor: Json, moment: Moment) -> Json:
    """A procedure of the stay."""
    out: Json = {
        "resourceType": "Procedure",
        "status": "completed",
        "code": coding(SNOMED, one.code, one.display, one.name),
        "subject": subject,
        "encounter": stay,
        "performedDateTime": moment(one.at),
        "performer": [{"actor": doctor}],
    }
    if one.site:
        out["bodySite"] = [{"text": one.site}]
    if one.note:
        out["note"] = [{"text": one.note}]
    return out


def device(one: Implant, subject: Json) -> Json:
    """An implant."""
    return {
        "resourceType": "Device",
        "udiCarrier": [{"deviceIdentifier": one.udi}],
        "status": "active",
        "serialNumber": one.serial,
        "deviceName": [{"name": one.make, "type": "user-friendly-name"}],
        "type": coding(SNOMED, one.snomed, text=one.kind),
        "patient": subject,
    }


def device_use(one: Implant, subject: Json, what: Json, moment: Moment) -> Json:
    """That the patient carries the implant."""
    return {
        "resourceType": "DeviceUseStatement",
        "status": "active",
        "subject": subject,
        "timingDateTime": moment(one.at),
        "device": what,
        "bodySite": {"text": one.site},
    }


def drug_name(one: Medicine) -> str:
    """The name of the product as people write it."""
    return DRUGS[one.drug].name


def medication(
    one: Medicine, subject: Json, stay: Json, report: Report, moment: Moment, *, given: bool
) -> Json:
    """A medicine given during the stay, or taken from the discharge on."""
    drug = DRUGS[one.drug]
    product = {
        "coding": [
            {"system": SUKL, "code": drug.code, "display": drug.name},
            {"system": ATC, "code": drug.atc, "display": drug.substance},
        ],
        "text": drug.name,
    }
    route = coding(SNOMED, drug.route, text=ROUTES[drug.route])
    amount, unit = one.dose
    dose = {"value": Decimal(amount), "unit": unit}
    since, until = one.since or (report.start if given else report.end), one.until
    reason = {"reasonCode": [{"text": one.why}]} if one.why else {}
    if given:
        return {
            "resourceType": "MedicationAdministration",
            "status": "completed",
            "medicationCodeableConcept": product,
            "subject": subject,
            "context": stay,
            "effectivePeriod": {"start": moment(since), "end": moment(until or report.end)},
            **reason,
            "dosage": {"text": one.how, "route": route, "dose": dose},
        }
    dosage: Json = {"text": one.how, "route": route, "doseAndRate": [{"doseQuantity": dose}]}
    if one.times:
        count, per = one.times
        dosage["timing"] = {"repeat": {"frequency": count, "period": 1, "periodUnit": per}}
    period = {"start": since[:10]}
    if until:
        period["end"] = until[:10]
    out: Json = {
        "resourceType": "MedicationStatement",
        "status": "active",
        "medicationCodeableConcept": product,
        "subject": subject,
        "effectivePeriod": period,
        **reason,
        "dosage": [dosage],
    }
    if one.note:
        out["note"] = [{"text": one.note}]
    return out


def _observation(
    category: str, code: Json, clock: str, subject: Json, stay: Json, moment: Moment
) -> Json:
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [coding(f"{_T}observation-category", category)],
        "code": code,
        "subject": subject,
        "encounter": stay,
        "effectiveDateTime": moment(clock),
    }


def _quantity(value: str, unit: str, ucum: str) -> Json:
    out: Json = {"value": Decimal(value)}
    if unit:
        out["unit"] = unit
    return {**out, "system": UCUM, "code": ucum}


def laboratory(
    test: LabTest,
    clock: str,
    value: str,
    subject: Json,
    stay: Json,
    hospital: str,
    moment: Moment,
    *,
    female: bool,
) -> Json:
    """A laboratory result with its reference range and, when outside it, the flag."""
    out = _observation(
        "laboratory",
        coding(LOINC, test.loinc, test.display, test.name),
        clock,
        subject,
        stay,
        moment,
    )
    out["performer"] = [{"reference": hospital}]
    out["valueQuantity"] = _quantity(value, test.unit, test.ucum)
    low, high = test.low, test.high
    if not female and test.loinc == "718-7":
        low, high = Decimal("135"), Decimal("175")
    if not female and test.loinc == "14682-9":
        low, high = Decimal("64"), Decimal("104")
    number = Decimal(value)
    flag = (
        "H"
        if high is not None and number > high
        else "L"
        if low is not None and number < low
        else "N"
    )
    out["interpretation"] = [coding(f"{_T}v3-ObservationInterpretation", flag)]
    limits: Json = {}
    if low is not None:
        limits["low"] = _quantity(str(low), test.unit, test.ucum)
    if high is not None:
        limits["high"] = _quantity(str(high), test.unit, test.ucum)
    out["referenceRange"] = [limits]
    return out


def vital(
    what: tuple[str, str, str, str, str],
    clock: str,
    value: str,
    subject: Json,
    stay: Json,
    moment: Moment,
) -> Json:
    """A vital sign."""
    code, name, display, unit, ucum = what
    out = _observation(
        "vital-signs", coding(LOINC, code, display, name), clock, subject, stay, moment
    )
    out["valueQuantity"] = _quantity(value, unit, ucum)
    return out


def blood_pressure(clock: str, value: str, subject: Json, stay: Json, moment: Moment) -> Json:
    """Blood pressure written as systolic/diastolic in mmHg."""
    systolic, diastolic = value.split("/")
    code = coding(
        LOINC, "85354-9", "Blood pressure panel with all children optional", "Krevní tlak"
    )
    out = _observation("vital-signs", code, clock, subject, stay, moment)
    out["component"] = [
        {
            "code": coding(LOINC, part, display, name),
            "valueQuantity": _quantity(number, "mmHg", "mm[Hg]"),
        }
        for part, display, name, number in (
            ("8480-6", "Systolic blood pressure", "Systolický tlak", systolic),
            ("8462-4", "Diastolic blood pressure", "Diastolický tlak", diastolic),
        )
    ]
    return out


def finding(one: Finding, subject: Json, stay: Json, moment: Moment) -> Json:
    """Any other measured or described finding."""
    out = _observation(
        "exam", coding(LOINC, one.code, one.display, one.name), one.at, subject, stay, moment
    )
    if one.unit:
        unit = "{score}" if one.unit == "bodů" else one.unit
        out["valueQuantity"] = _quantity(one.value, one.unit, unit)
    else:
        out["valueString"] = one.value
    return out


def care_plan(report: Report, subject: Json, stay: Json) -> Json:
    """What is to happen after the discharge."""
    activities = []
    for what, when in report.plan:
        detail: Json = {"status": "scheduled", "description": what}
        if when:
            detail["scheduledPeriod"] = {"start": when}
        activities.append({"detail": detail})
    return {
        "resourceType": "CarePlan",
        "status": "active",
        "intent": "plan",
        "title": "Plán péče po propuštění",
        "subject": subject,
        "encounter": stay,
        "period": {"start": report.end[:10]},
        "activity": activities,
    }


def insurer(person: Person) -> Json:
    """The health insurance company."""
    name = own_name(INSURERS, person.insurer, "cs") or person.insurer
    return {
        "resourceType": "Organization",
        "identifier": [{"system": f"{SID}kp", "value": person.insurer}],
        "name": name,
    }


def coverage(person: Person, subject: Json, payor: Json) -> Json:
    """The public health insurance of the patient."""
    out: Json = {
        "resourceType": "Coverage",
        "status": "active",
        "type": coding(f"{_T}v3-ActCode", "HIP", "health insurance plan policy"),
        "beneficiary": subject,
        "payor": [payor],
    }
    if person.birth_number:
        out["subscriberId"] = person.birth_number
    return out
