"""How a demonstration report is written down before it becomes a FHIR document."""

from __future__ import annotations

from dataclasses import dataclass

# (clock, value as a laboratory writes it) in order of time; a clock is `YYYY-MM-DDTHH:MM`
Series = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A diagnosis of the stay: MKN-10 code, its Czech name, since when, is it over."""

    code: str
    name: str
    onset: str = ""
    resolved: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class Done:
    """A procedure: SNOMED code, Czech and English name, when, by whom, where, result."""

    code: str
    name: str
    display: str
    at: str
    doctor: str = ""
    site: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Medicine:
    """A line of medication: key of the catalogue, how it is taken, why, since, until."""

    drug: str
    how: str
    times: tuple[int, str] | None = None  # (times, per unit: d, wk, h8 …)
    dose: tuple[str, str] = ("1", "tableta")
    why: str = ""
    since: str = ""
    until: str = ""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A further observation: LOINC code, names, value with unit ("" = text), clock."""

    code: str
    name: str
    display: str
    value: str
    unit: str
    at: str
    about: str = ""  # key of another person, e.g. the newborn


@dataclass(frozen=True, slots=True)
class Implant:
    """A device left in the patient: kind, the make, its identification, when put in."""

    kind: str
    snomed: str
    make: str
    udi: str
    serial: str
    at: str
    site: str


@dataclass(frozen=True, slots=True)
class Report:
    """One discharge report; times are Czech clock times, texts Czech paragraphs."""

    key: str
    number: str  # of the document within its hospital
    patient: str
    hospital: str
    author: str
    attester: str
    title: str
    department: str
    start: str
    end: str
    admitted_from: str
    priority: str
    discharged_to: str
    reason: str
    admission: str
    history: str
    course: tuple[str, ...]
    condition: str  # the state at discharge
    instructions: tuple[str, ...]
    plan: tuple[tuple[str, str], ...]  # (what, date or month)
    diagnoses: tuple[Diagnosis, ...]
    discharge_medicines: tuple[Medicine, ...] = ()
    given: tuple[Medicine, ...] = ()
    done: tuple[Done, ...] = ()
    labs: tuple[tuple[str, Series], ...] = ()
    vitals: tuple[tuple[str, dict[str, str]], ...] = ()  # (clock, values by key; bp = "120/80")
    findings: tuple[Finding, ...] = ()
    implants: tuple[Implant, ...] = ()
    birth: tuple[str, tuple[Finding, ...]] | None = None  # narrative and findings of a delivery
    original: bool = False  # with the hospital's own letter as PDF
    replaces: str = ""  # key of the report that this one corrects
    issued: str = ""  # when not at the end of the stay
    version: str = "1"
