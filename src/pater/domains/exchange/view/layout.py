"""Lays a document Bundle out for a reader: header, sections with tables, attached files."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from pater.domains.exchange.view.bundle import BundleIndex, Json, items, obj, text
from pater.domains.exchange.view.files import attachments
from pater.domains.exchange.view.model import (
    Code,
    DocumentView,
    Party,
    PatientView,
    Section,
    Stay,
)
from pater.domains.exchange.view.narrative import sanitise
from pater.domains.exchange.view.tables import tables
from pater.domains.exchange.view.values import Wording, age, stay_length
from pater.terminology.names import LOINC, Language, own_name

_T: Final = "http://terminology.hl7.org/CodeSystem/"
_F: Final = "http://hl7.org/fhir/"
_DEPTH: Final = 12
# Not medical content by themselves: who, where and from what. Listed among the further entries
# only when nothing in the document refers to them.
_SUPPORT: Final = frozenset(
    """Organization Practitioner PractitionerRole Location Medication Specimen Device RelatedPerson
    Provenance Binary Patient Substance Endpoint""".split()
)


def document_view(bundle: Json, lang: Language) -> DocumentView:
    """A document Bundle (FHIR R4 3.3) as plain data for pages and print, in the reader's language.

    Takes any Bundle, however poor, and never raises: what is missing is left empty, what no
    section shows is listed in a last section of further entries.
    """
    index = BundleIndex(bundle)
    head = index.composition
    document_lang = text(head.get("language")) or text(bundle.get("language"))
    wording = Wording(index, lang, document_lang)
    w = wording.w
    kind = wording.concept(head.get("type"))
    patient = _patient(index)
    stay = index.resolve(head.get("encounter"), head)
    seen = {index.position(one) for one in (head, patient, stay) if one}
    sections = [*_sections(wording, head, 1, "s", seen)]
    further = _further(wording, seen)
    if further:
        sections.append(
            Section("further", 1, w["further"], "", "", "", "", tables(wording, further, seen), ())
        )
    date = text(head.get("date")) or text(bundle.get("timestamp"))
    status = text(head.get("status"))
    identifier = obj(bundle.get("identifier")) or obj(head.get("identifier"))
    return DocumentView(
        lang=lang,
        document_lang=document_lang,
        title=text(head.get("title")) or kind.name or w["untitled"],
        type=Code(kind.name or w["untitled"], kind.code, kind.system, kind.original),
        category=wording.name(head.get("category")),
        status=wording.word(f"{_F}composition-status", status),
        status_code=status,
        confidentiality=_confidentiality(wording, head),
        date=wording.date(date),
        identifier=text(identifier.get("value")).removeprefix("urn:uuid:"),
        version=_version(head),
        replaces=tuple(_replaced(wording, head)),
        patient=_person(wording, patient, date),
        authors=_authors(wording, head),
        attesters=tuple(_attesters(wording, head)),
        custodian=_party(wording, head["custodian"], w["custodian"])
        if isinstance(head.get("custodian"), dict)
        else None,
        recipients=tuple(_recipients(wording, head)),
        stay=_stay(wording, stay) if stay.get("resourceType") == "Encounter" else None,
        sections=tuple(sections),
        attachments=attachments(wording),
        words=w,
    )


# -- header -------------------------------------------------------------------
def _patient(index: BundleIndex) -> Json:
    subject = index.resolve(index.composition.get("subject"), index.composition)
    if subject.get("resourceType") == "Patient":
        return subject
    return next((one for one in index.entries if one.get("resourceType") == "Patient"), {})


def _person(wording: Wording, patient: Json, at: str) -> PatientView:
    contacts = (
        text(one.get("value"))
        for one in items(patient.get("telecom"))
        if text(one.get("system")) in {"phone", "email"}
    )
    birth = text(patient.get("birthDate"))
    return PatientView(
        name=wording.human_name(patient.get("name")) or wording.w["unnamed"],
        birth_date=wording.date(birth) or wording.absent(patient.get("_birthDate")),
        age=age(birth, at, wording.lang),
        gender=wording.word(f"{_F}administrative-gender", patient.get("gender")),
        identifiers=wording.identifiers(patient.get("identifier")),
        address=wording.address(patient.get("address")),
        contacts=tuple(contact for contact in contacts if contact),
    )


def _party(wording: Wording, reference: Any, role: str, time: str = "") -> Party:
    index = wording.index
    who = index.resolve(reference, index.composition)
    organization, detail = "", ""
    if who.get("resourceType") == "PractitionerRole":
        organization = wording.reference(who.get("organization"), who)
        detail = wording.name(who.get("specialty")) or wording.name(who.get("code"))
        name = wording.reference(who.get("practitioner"), who)
        who = index.resolve(who.get("practitioner"), who) or who
        if not name:
            name, organization = organization, ""
    else:
        name = wording.reference(reference, index.composition)
    numbers = [
        f"{field.label} {field.value}" for field in wording.identifiers(who.get("identifier"))
    ]
    return Party(
        role,
        name or wording.w["unnamed"],
        organization,
        ", ".join(part for part in (detail, *numbers[:2]) if part),
        wording.date(time),
    )


def _authors(wording: Wording, head: Json) -> tuple[Party, ...]:
    """The authors; a person also named with the organisation is told once, with it."""
    found = [_party(wording, one, wording.w["author"]) for one in items(head.get("author"))]
    placed = {one.name for one in found if one.organization}
    return tuple(one for one in dict.fromkeys(found) if one.organization or one.name not in placed)


def _attesters(wording: Wording, head: Json) -> Iterator[Party]:
    for one in items(head.get("attester")):
        mode = text(one.get("mode"))
        role = wording.word(f"{_F}composition-attestation-mode", mode) or wording.w["attester"]
        yield _party(wording, one.get("party"), role, text(one.get("time")))


def _recipients(wording: Wording, head: Json) -> Iterator[Party]:
    for extension in items(head.get("extension")):
        if text(extension.get("url")).endswith("/information-recipient"):
            yield _party(wording, extension.get("valueReference"), wording.w["recipient"])


def _replaced(wording: Wording, head: Json) -> Iterator[str]:
    for one in items(head.get("relatesTo")):
        if one.get("code") == "replaces":
            target = text(obj(one.get("targetIdentifier")).get("value"))
            yield target.removeprefix("urn:uuid:") or wording.reference(one.get("targetReference"))


def _version(head: Json) -> str:
    for extension in items(head.get("extension")):
        if text(extension.get("url")).rsplit("/", 1)[-1] in {
            "composition-clinicaldocument-versionNumber",
            "composition-versionNumber",
            "artifact-version",
        }:
            return text(extension.get("valueString"))
    return ""


def _confidentiality(wording: Wording, head: Json) -> str:
    code = text(head.get("confidentiality"))
    # Ordinary confidentiality is not news.
    return "" if code in {"", "N"} else wording.word(f"{_T}v3-Confidentiality", code)


def _stay(wording: Wording, encounter: Json) -> Stay:
    hospitalization = obj(encounter.get("hospitalization"))
    period = obj(encounter.get("period"))
    places = []
    for one in items(encounter.get("location")):
        name = wording.reference(one.get("location"), encounter)
        when = wording.period(one.get("period"))
        places.append(f"{name} ({when})" if name and when else name)
    provider = wording.reference(encounter.get("serviceProvider"), encounter)
    department = wording.name(encounter.get("serviceType"))
    diagnoses = []
    for one in items(encounter.get("diagnosis")):
        condition = wording.index.resolve(one.get("condition"), encounter)
        code = wording.concept(condition.get("code"))
        if code.name and code not in diagnoses:
            diagnoses.append(code)
    numbers = wording.identifiers(encounter.get("identifier"))
    admission = (
        wording.name(hospitalization.get("admitSource")),
        wording.name(encounter.get("priority")),
    )
    return Stay(
        kind=wording.concept(encounter.get("class")).name,
        period=wording.period(period),
        length=stay_length(period, wording.lang),
        departments=tuple(place for place in dict.fromkeys([*places, department]) if place),
        admission=", ".join(part for part in admission if part),
        disposition=wording.name(hospitalization.get("dischargeDisposition")),
        identifier=numbers[0].value if numbers else "",
        provider=provider,
        diagnoses=tuple(diagnoses),
    )


# -- body ---------------------------------------------------------------------
def _sections(
    wording: Wording, holder: Json, level: int, anchor: str, seen: set[int]
) -> Iterator[Section]:
    if level > _DEPTH:
        return
    for number, section in enumerate(items(holder.get("section")), start=1):
        own = f"{anchor}{number}" if level == 1 else f"{anchor}-{number}"
        title, code = _title(wording, section)
        original = text(section.get("title"))
        entries: list[Json] = []
        for reference in items(section.get("entry")):
            resource = wording.index.resolve(reference, wording.index.composition)
            if resource and not any(resource is one for one in entries):
                entries.append(resource)
        yield Section(
            anchor=own,
            level=level,
            title=title,
            original_title="" if original.casefold() == title.casefold() else original,
            code=code,
            html=sanitise(obj(section.get("text")).get("div")),
            empty_reason=wording.name(section.get("emptyReason")),
            tables=tables(wording, entries, seen),
            sections=tuple(_sections(wording, section, level + 1, own, seen)),
        )


def _title(wording: Wording, section: Json) -> tuple[str, str]:
    """The title in the reader's language and the LOINC code of a section."""
    codings = items(obj(section.get("code")).get("coding"))
    code = next((text(one.get("code")) for one in codings if one.get("system") == LOINC), "")
    ours = own_name(LOINC, code, wording.lang) or ""
    written = text(section.get("title"))
    return ours or written or wording.name(section.get("code")) or wording.w[
        "untitled_section"
    ], code


def _further(wording: Wording, seen: set[int]) -> list[Json]:
    """The entries that no section has shown; supporting ones only when nothing refers to them."""
    index = wording.index
    referenced = index.referenced()
    return [
        resource
        for position, resource in enumerate(index.entries)
        if position not in seen
        and resource.get("resourceType") != "Composition"
        and not (text(resource.get("resourceType")) in _SUPPORT and position in referenced)
        and resource.get("resourceType") != "Binary"
    ]
