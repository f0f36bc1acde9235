"""The hospital's own discharge letter as PDF: the original that a report carries inside."""

from __future__ import annotations

from datetime import datetime

from pater.domains.exchange.demo.catalogue import ALLERGIES, DRUGS, TESTS
from pater.domains.exchange.demo.people import DOCTORS, HOSPITALS, PERSONS
from pater.domains.exchange.demo.report import Report
from pater.domains.exchange.pdf import compile_pdf


def letter(report: Report, issued: datetime) -> bytes:
    """The letter as PDF/A; the same report gives the same bytes."""
    hospital, person = HOSPITALS[report.hospital], PERSONS[report.patient]
    number = person.birth_number or " ".join(person.passport or (person.rid,))
    data = {
        "number": report.number,
        "title": report.title,
        "issued": _day(issued.isoformat()),
        "department": report.department,
        "hospital": {
            "name": hospital.name,
            "address": f"{hospital.street}, {hospital.postal_code} {hospital.city}",
            "ico": hospital.ico,
            "phone": hospital.phone,
        },
        "patient": {
            "name": f"{person.prefix} {person.name}".strip(),
            "number": number,
            "born": _day(person.born.isoformat()),
            "address": f"{person.street}, {person.postal_code} {person.city}",
            "insurer": person.insurer,
        },
        "from": _day(report.start),
        "to": _day(report.end),
        "diagnoses": [[one.code, one.name] for one in report.diagnoses],
        "allergies": ", ".join(ALLERGIES[key].substance for key in person.allergies)
        or "nejsou známy",
        "reason": report.reason,
        "history": report.history,
        "admission": report.admission,
        "course": report.course,
        "done": [[_day(one.at), one.name] for one in report.done],
        "labs": [
            [
                TESTS[key].name,
                " → ".join(value.replace(".", ",") for _, value in series),
                TESTS[key].unit,
            ]
            for key, series in report.labs
        ],
        "condition": report.condition,
        "medicines": [[DRUGS[one.drug].name, one.how] for one in report.discharge_medicines],
        "instructions": report.instructions,
        "plan": [f"{what}{f' – {_day(when)}' if when else ''}" for what, when in report.plan],
        "author": DOCTORS[report.author].name,
        "attester": DOCTORS[report.attester].name,
    }
    return compile_pdf("document_letter.typ", data, issued)


def _day(clock: str) -> str:
    parts = clock[:10].split("-")
    return ". ".join([*(str(int(part)) for part in reversed(parts[1:])), parts[0]])
