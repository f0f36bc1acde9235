"""Turns a written-down demonstration report into a FHIR R4 document Bundle."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from html import escape
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

import orjson

from pater.domains.exchange.demo import entries
from pater.domains.exchange.demo.catalogue import ALLERGIES, DIAGNOSES, TESTS, VITALS
from pater.domains.exchange.demo.letter import letter
from pater.domains.exchange.demo.people import DOCTORS, HOSPITALS, PERSONS, Json
from pater.domains.exchange.demo.report import Diagnosis, Medicine, Report
from pater.registers.identifiers import PROVIDER
from pater.terminology.names import LOINC

_PRAGUE: Final = ZoneInfo("Europe/Prague")
_PRESENTED: Final = "https://hl7.cz/fhir/core/StructureDefinition/presentedForm"
_VERSION: Final = (
    "http://hl7.org/fhir/StructureDefinition/composition-clinicaldocument-versionNumber"
)
_TITLES: Final[dict[str, tuple[str, str]]] = {
    "42348-3": ("Dříve vyslovená přání", "Advance healthcare directives"),
    "46239-0": ("Důvod přijetí", "Reason for visit + Chief complaint"),
    "67851-6": ("Stav při přijetí", "Admission evaluation note"),
    "35090-0": ("Anamnéza", "Patient history"),
    "48765-2": ("Alergie a intolerance", "Allergies and adverse reactions Document"),
    "11450-4": ("Zdravotní problémy", "Problem list - Reported"),
    "8648-8": ("Průběh hospitalizace", "Hospital course note"),
    "57074-7": ("Porod", "Labor and delivery process Narrative"),
    "11535-2": ("Diagnózy při propuštění", "Hospital discharge Dx Narrative"),
    "10185-7": ("Výkony", "Hospital discharge procedures Narrative"),
    "57080-4": ("Implantáty", "Implants"),
    "87232-5": ("Medikace během hospitalizace", "Medication administration.brief"),
    "30954-2": ("Výsledky vyšetření", "Relevant diagnostic tests/laboratory data note"),
    "8716-3": ("Vitální funkce", "Vital signs note"),
    "29545-1": ("Objektivní nález při propuštění", "Physical findings note"),
    "75311-1": ("Medikace při propuštění", "Discharge medications note"),
    "18776-5": ("Plán další péče", "Plan of care note"),
    "8653-8": ("Doporučení při propuštění", "Hospital Discharge instructions"),
    "48768-6": ("Zdravotní pojištění", "Payment sources Document"),
}


def moment(clock: str) -> str:
    """A Czech clock time as a FHIR dateTime with its zone; a mere date stays a date."""
    if "T" not in clock:
        return clock
    return datetime.fromisoformat(clock).replace(tzinfo=_PRAGUE).isoformat()


class _Builder:
    """Collects the entries of one document and gives them their names."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.person = PERSONS[report.patient]
        self.hospital = HOSPITALS[report.hospital]
        self.entries: list[Json] = []
        self.urls: dict[str, str] = {}
        self.sections: list[Json] = []

    def add(self, name: str, resource: Json) -> Json:
        """Puts a resource into the document once and returns the Reference to it."""
        if name not in self.urls:
            own = str(uuid5(NAMESPACE_URL, f"pater-demo/{self.report.key}/{name}"))
            self.urls[name] = f"urn:uuid:{own}"
            kind = resource["resourceType"]
            body = {"resourceType": kind, "id": own, **resource}
            self.entries.append({"fullUrl": self.urls[name], "resource": body})
        return {"reference": self.urls[name]}

    @property
    def subject(self) -> Json:
        """The Reference to the patient."""
        return {"reference": self.urls["patient"]}

    @property
    def encounter(self) -> Json:
        """The Reference to the stay."""
        return {"reference": self.urls["encounter"]}

    def doctor(self, key: str) -> Json:
        """The Reference to a physician."""
        return self.add(f"doctor-{key}", DOCTORS[key].resource())

    def section(
        self,
        code: str,
        body: Sequence[str],
        references: Sequence[Json] = (),
        *,
        table: tuple[Sequence[str], Sequence[Sequence[str]]] | None = None,
        children: Sequence[Json] = (),
        title: str = "",
    ) -> Json:
        """A section of the Composition with narrative, entries, subsections."""
        html = "".join(f"<p>{escape(line)}</p>" for line in body if line)
        if table is not None:
            head = "".join(f"<th>{escape(one)}</th>" for one in table[0])
            rows = "".join(
                "<tr>" + "".join(f"<td>{escape(one)}</td>" for one in row) + "</tr>"
                for row in table[1]
            )
            html += f"<table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
        name, display = _TITLES[code]
        out: Json = {
            "title": title or name,
            "code": {"coding": [{"system": LOINC, "code": code, "display": display}]},
            "text": {
                "status": "additional",
                "div": f'<div xmlns="http://www.w3.org/1999/xhtml" lang="cs">{html}</div>',
            },
        }
        if references:
            out["entry"] = list(references)
        if children:
            out["section"] = list(children)
        return out


def build(report: Report, replaced: Report | None) -> bytes:
    """The document Bundle of a report as JSON; `replaced` is the report that it corrects."""
    b = _Builder(report)
    b.add("patient", b.person.resource())
    custodian = b.add("hospital", b.hospital.resource())
    author = b.add(
        "author",
        {
            "resourceType": "PractitionerRole",
            "practitioner": b.doctor(report.author),
            "organization": custodian,
            "specialty": [{"text": DOCTORS[report.author].specialty}],
        },
    )
    attester = b.doctor(report.attester)
    diagnoses = [
        (name, entries.condition(one, b.subject, index == 0, moment(report.start)[:10]))
        for index, one in enumerate(report.diagnoses)
        for name in [f"diagnosis-{index}"]
    ]
    stay = entries.encounter(report, b.subject, custodian, moment)
    stay["diagnosis"] = [
        {
            "condition": b.add(name, resource),
            "use": entries.coding("http://terminology.hl7.org/CodeSystem/diagnosis-role", "DD"),
            "rank": rank,
        }
        for rank, (name, resource) in enumerate(diagnoses, start=1)
    ]
    b.add("encounter", stay)
    sections = _sections(b)
    issued = moment(report.issued or report.end)
    composition: Json = {
        "resourceType": "Composition",
        "language": "cs",
        "extension": [{"url": _VERSION, "valueString": report.version}],
        "identifier": _identifier(report),
        "status": "amended" if replaced else "final",
        "type": {
            "coding": [
                {"system": LOINC, "code": "34105-7", "display": "Hospital Discharge summary"}
            ],
            "text": "Propouštěcí zpráva",
        },
        "category": [
            {"coding": [{"system": LOINC, "code": "11503-0", "display": "Medical records"}]}
        ],
        "subject": b.subject,
        "encounter": b.encounter,
        "date": issued,
        "author": [author],
        "title": report.title,
        "confidentiality": "N",
        "attester": [{"mode": "legal", "time": issued, "party": attester}],
        "custodian": custodian,
    }
    if replaced:
        composition["relatesTo"] = [{"code": "replaces", "targetIdentifier": _identifier(replaced)}]
    composition["section"] = sections
    if report.original:
        composition["extension"].append(
            {
                "url": _PRESENTED,
                "valueAttachment": {
                    "contentType": "application/pdf",
                    "language": "cs",
                    "data": base64.b64encode(
                        letter(report, datetime.fromisoformat(issued))
                    ).decode(),
                    "title": f"Propouštěcí zpráva {report.number}",
                    "creation": issued,
                },
            }
        )
    own = str(uuid5(NAMESPACE_URL, f"pater-demo/{report.key}/composition"))
    bundle: Json = {
        "resourceType": "Bundle",
        "language": "cs",
        "identifier": {
            "system": "urn:ietf:rfc:3986",
            "value": f"urn:uuid:{uuid5(NAMESPACE_URL, f'pater-demo/{report.key}/bundle')}",
        },
        "type": "document",
        "timestamp": issued,
        "entry": [
            {
                "fullUrl": f"urn:uuid:{own}",
                "resource": {"resourceType": "Composition", "id": own, **composition},
            },
            *b.entries,
        ],
    }
    return orjson.dumps(bundle, default=_decimal)


def _decimal(value: Any) -> Any:
    if isinstance(value, Decimal):
        return orjson.Fragment(str(value))
    raise TypeError(type(value).__name__)


def _identifier(report: Report) -> Json:
    return {
        "system": f"{HOSPITALS[report.hospital].site}/dokumenty",
        "value": report.number,
        "assigner": {"identifier": {"system": PROVIDER, "value": HOSPITALS[report.hospital].ico}},
    }


def _sections(b: _Builder) -> list[Json]:
    r = b.report
    out = [
        b.section("46239-0", [r.reason]),
        b.section("67851-6", [r.admission]),
        _allergies(b),
        _history(b),
        _course(b),
        b.section(
            "11535-2",
            [
                f"{'Hlavní' if not n else 'Další'}: {d.name} ({d.code})"
                for n, d in enumerate(r.diagnoses)
            ],
            [{"reference": b.urls[f"diagnosis-{n}"]} for n in range(len(r.diagnoses))],
        ),
    ]
    if r.done:
        out.append(_procedures(b))
    if r.implants:
        out.append(_implants(b))
    if r.given:
        out.append(_medicines(b, "87232-5", r.given, "given"))
    if r.labs or r.findings:
        out.append(_results(b))
    if r.vitals:
        out.append(_vitals(b))
    out.append(b.section("29545-1", [r.condition]))
    if r.discharge_medicines:
        out.append(_medicines(b, "75311-1", r.discharge_medicines, "discharge"))
    out.append(_plan(b))
    out.append(b.section("8653-8", r.instructions))
    out.append(_insurance(b))
    return out


def _allergies(b: _Builder) -> Json:
    keys = b.person.allergies
    if not keys:
        none = b.add("allergy-none", entries.no_allergy(b.subject))
        return b.section("48765-2", ["Bez známých alergií."], [none])
    found = [b.add(f"allergy-{key}", entries.allergy(ALLERGIES[key], b.subject)) for key in keys]
    lines = [
        f"{one.substance} – {one.reaction[1].lower()} (od {one.since[:4]})"
        for one in (ALLERGIES[key] for key in keys)
    ]
    return b.section("48765-2", lines, found)


def _history(b: _Builder) -> Json:
    # A chronic illness that is also a diagnosis of this stay is not told twice.
    told = {one.code[:3] for one in b.report.diagnoses}
    chronic = [
        one for one in b.person.chronic if one[0][:3] not in told and one[1] < b.report.start
    ]
    found = [
        b.add(
            f"problem-{code}",
            entries.condition(Diagnosis(code, DIAGNOSES[code], since), b.subject, None, ""),
        )
        for code, since in chronic
    ]
    lines = [f"{DIAGNOSES[code]} ({code}), od roku {since[:4]}" for code, since in chronic]
    children = [b.section("11450-4", lines, found)] if chronic else []
    return b.section("35090-0", [b.report.history], children=children)


def _course(b: _Builder) -> Json:
    children = []
    if b.report.birth:
        story, findings = b.report.birth
        found = []
        for number, one in enumerate(findings):
            if one.about:
                b.add(f"person-{one.about}", PERSONS[one.about].resource())
            about = {"reference": b.urls[f"person-{one.about}"]} if one.about else b.subject
            found.append(b.add(f"birth-{number}", entries.finding(one, about, b.encounter, moment)))
        children = [b.section("57074-7", [story], found)]
    return b.section("8648-8", b.report.course, children=children)


def _procedures(b: _Builder) -> Json:
    found = [
        b.add(
            f"procedure-{number}",
            entries.procedure(
                one, b.subject, b.encounter, b.doctor(one.doctor or b.report.author), moment
            ),
        )
        for number, one in enumerate(b.report.done)
    ]
    lines = [
        f"{_day(one.at)} {one.name}{f' – {one.note}' if one.note else ''}" for one in b.report.done
    ]
    return b.section("10185-7", lines, found)


def _implants(b: _Builder) -> Json:
    found = []
    for number, one in enumerate(b.report.implants):
        device = b.add(f"device-{number}", entries.device(one, b.subject))
        found.append(
            b.add(f"device-use-{number}", entries.device_use(one, b.subject, device, moment))
        )
    return b.section(
        "57080-4", [f"{one.kind}: {one.make}, {one.site}" for one in b.report.implants], found
    )


def _medicines(b: _Builder, code: str, lines: Sequence[Medicine], what: str) -> Json:
    found = [
        b.add(
            f"{what}-{number}",
            entries.medication(
                one, b.subject, b.encounter, b.report, moment, given=what == "given"
            ),
        )
        for number, one in enumerate(lines)
    ]
    rows = [[entries.drug_name(one), one.how, one.why] for one in lines]
    table = (["Lék", "Dávkování", "Důvod"], rows)
    return b.section(code, [], found, table=table)


def _results(b: _Builder) -> Json:
    found: list[Json] = []
    rows: list[list[str]] = []
    for key, series in b.report.labs:
        test = TESTS[key]
        for number, (clock, value) in enumerate(series):
            found.append(
                b.add(
                    f"lab-{key}-{number}",
                    entries.laboratory(
                        test,
                        clock,
                        value,
                        b.subject,
                        b.encounter,
                        b.urls["hospital"],
                        moment,
                        female=b.person.gender == "female",
                    ),
                )
            )
        shown = ", ".join(f"{value.replace('.', ',')} ({_day(clock)})" for clock, value in series)
        rows.append([test.name, shown, test.unit])
    for number, one in enumerate(b.report.findings):
        found.append(
            b.add(f"finding-{number}", entries.finding(one, b.subject, b.encounter, moment))
        )
    texts = [
        f"{one.name}: {one.value.replace('.', ',')} {one.unit}".strip() for one in b.report.findings
    ]
    table = (["Vyšetření", "Hodnoty", "Jednotka"], rows) if rows else None
    return b.section("30954-2", texts, found, table=table)


def _vitals(b: _Builder) -> Json:
    found, lines = [], []
    for number, (clock, values) in enumerate(b.report.vitals):
        said = []
        for key, value in values.items():
            name = f"vital-{number}-{key}"
            if key == "bp":
                resource = entries.blood_pressure(clock, value, b.subject, b.encounter, moment)
                said.append(f"TK {value} mmHg")
            else:
                code, label, display, unit, ucum = VITALS[key]
                resource = entries.vital(
                    (code, label, display, unit, ucum), clock, value, b.subject, b.encounter, moment
                )
                said.append(f"{label[0].lower()}{label[1:]} {value.replace('.', ',')} {unit}")
            found.append(b.add(name, resource))
        lines.append(f"{_day(clock)}: {', '.join(said)}")
    return b.section("8716-3", lines, found)


def _plan(b: _Builder) -> Json:
    plan = b.add("plan", entries.care_plan(b.report, b.subject, b.encounter))
    return b.section(
        "18776-5",
        [f"{what}{f' – {_day(when)}' if when else ''}" for what, when in b.report.plan],
        [plan],
    )


def _insurance(b: _Builder) -> Json:
    insurer = b.add("insurer", entries.insurer(b.person))
    coverage = b.add("coverage", entries.coverage(b.person, b.subject, insurer))
    return b.section("48768-6", [f"Zdravotní pojišťovna {b.person.insurer}"], [coverage])


def _day(clock: str) -> str:
    parts = clock[:10].split("-")
    return ". ".join([*(str(int(part)) for part in reversed(parts[1:])), parts[0]])
