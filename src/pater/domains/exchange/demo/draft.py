"""A demonstration document in the making: its entries, their names and its sections."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from html import escape
from typing import Final
from uuid import NAMESPACE_URL, uuid5
from zoneinfo import ZoneInfo

from pater.domains.exchange.demo.people import DOCTORS, HOSPITALS, PERSONS, Json
from pater.domains.exchange.demo.report import Report
from pater.terminology.names import LOINC

_PRAGUE: Final = ZoneInfo("Europe/Prague")
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


class Draft:
    """Collects the entries of one document and gives them their names."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.person = PERSONS[report.patient]
        self.hospital = HOSPITALS[report.hospital]
        self.entries: list[Json] = []
        self.urls: dict[str, str] = {}

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
