"""The words of the document's layout in Czech and English."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from pater.terminology.names import Language

_PAIRS: Final[dict[str, tuple[str, str]]] = {
    # header
    "patient": ("Pacient", "Patient"),
    "unnamed": ("Jméno neuvedeno", "Name not stated"),
    "born": ("Datum narození", "Date of birth"),
    "age": ("věk v době zprávy", "age at the time"),
    "gender": ("Pohlaví", "Sex"),
    "identifiers": ("Identifikátory", "Identifiers"),
    "identifier": ("Identifikátor", "Identifier"),
    "address": ("Adresa", "Address"),
    "contacts": ("Kontakty", "Contacts"),
    "author": ("Autor", "Author"),
    "custodian": ("Správce dokumentu", "Custodian"),
    "attester": ("Ověřil(a)", "Attester"),
    "recipient": ("Příjemce", "Recipient"),
    "stay": ("Pobyt", "Stay"),
    "kind": ("Druh péče", "Kind of care"),
    "period": ("Období", "Period"),
    "length": ("Délka pobytu", "Length of stay"),
    "department": ("Oddělení", "Department"),
    "admission": ("Přijetí", "Admission"),
    "disposition": ("Propuštění", "Discharge"),
    "provider": ("Poskytovatel", "Provider"),
    "case": ("Číslo případu", "Case number"),
    "diagnoses": ("Diagnózy", "Diagnoses"),
    "document": ("Dokument", "Document"),
    "untitled": ("Zdravotnický dokument", "Health document"),
    "status": ("Stav", "Status"),
    "date": ("Datum", "Date"),
    "issued": ("Vystaveno", "Issued"),
    "version": ("Verze", "Version"),
    "replaces": ("Nahrazuje", "Replaces"),
    "document_id": ("Identifikátor dokumentu", "Document identifier"),
    "contents": ("Obsah", "Contents"),
    "original_title": ("v originále", "in the original"),
    "original_words": ("v originále", "in the original"),
    "attachments": ("Přílohy", "Attachments"),
    "original": ("Originál podepsaný autorem", "The author's original"),
    "linked": ("mimo dokument", "outside the document"),
    "further": ("Další záznamy", "Further entries"),
    "untitled_section": ("Oddíl bez názvu", "Untitled section"),
    "no_content": ("Oddíl neobsahuje žádné údaje.", "The section holds no data."),
    "no_sections": ("Dokument nemá žádné oddíly.", "The document has no sections."),
    "printed": ("Vytištěno z Páteře", "Printed from Páteř"),
    "page": ("Strana", "Page"),
    "of": ("z", "of"),
    "translated_note": (
        "Názvy kódovaných údajů jsou v češtině; text zprávy zůstává v jazyce autora.",
        "Coded data are named in English; the text of the report stays in its author's language.",
    ),
    # columns
    "name": ("Název", "Name"),
    "diagnosis": ("Diagnóza", "Diagnosis"),
    "clinical_status": ("Klinický stav", "Clinical status"),
    "onset": ("Začátek", "Onset"),
    "abatement": ("Konec", "End"),
    "severity": ("Závažnost", "Severity"),
    "note": ("Poznámka", "Note"),
    "examination": ("Vyšetření", "Test"),
    "value": ("Hodnota", "Value"),
    "range": ("Referenční mez", "Reference range"),
    "medication": ("Lék", "Medication"),
    "dose": ("Dávkování", "Dosage"),
    "route": ("Způsob podání", "Route"),
    "reason": ("Důvod", "Reason"),
    "procedure": ("Výkon", "Procedure"),
    "body_site": ("Místo", "Body site"),
    "performer": ("Provedl(a)", "Performer"),
    "outcome": ("Výsledek", "Outcome"),
    "substance": ("Látka", "Substance"),
    "criticality": ("Riziko", "Criticality"),
    "reaction": ("Reakce", "Reaction"),
    "vaccine": ("Vakcína", "Vaccine"),
    "lot": ("Šarže", "Lot"),
    "device": ("Prostředek", "Device"),
    "device_id": ("Identifikace", "Identification"),
    "activity": ("Činnost", "Activity"),
    "goal": ("Cíl", "Goal"),
    "target": ("Cílová hodnota", "Target"),
    "relative": ("Příbuzný", "Relative"),
    "condition": ("Onemocnění", "Condition"),
    "category": ("Kategorie", "Category"),
    "alert": ("Varování", "Alert"),
    "consent": ("Souhlas nebo přání", "Consent or directive"),
    "report": ("Nález", "Report"),
    "conclusion": ("Závěr", "Conclusion"),
    "results": ("Výsledky", "Results"),
    "payer": ("Pojišťovna", "Payer"),
    "insured_id": ("Číslo pojištěnce", "Insurance number"),
    "composition": ("Složení", "Ingredients"),
    "form": ("Léková forma", "Form"),
    "code": ("Kód", "Code"),
    "quantity": ("Množství", "Quantity"),
    "entry": ("Záznam", "Entry"),
    "detail": ("Podrobnosti", "Details"),
    "specimen": ("Vzorek", "Specimen"),
    "link": ("Vztah", "Relation"),
    # values
    "above": ("nad mezí", "above range"),
    "below": ("pod mezí", "below range"),
    "not_given": ("nepodáno", "not given"),
    "as_needed": ("dle potřeby", "as needed"),
    "yes": ("ano", "yes"),
    "no": ("ne", "no"),
    "from": ("od", "from"),
    "to": ("do", "to"),
    "once": ("jednorázově", "once"),
    "max": ("nejvýše", "at most"),
    "for": ("po dobu", "for"),
    "outside": ("odkaz mimo dokument", "refers outside the document"),
    "deceased": ("zemřel(a)", "deceased"),
    "unknown_code": ("neuvedeno", "not stated"),
}

_CAPTIONS: Final[dict[str, tuple[str, str]]] = {
    "Condition": ("Diagnózy a zdravotní problémy", "Diagnoses and problems"),
    "Observation": ("Naměřené hodnoty a nálezy", "Observations"),
    "MedicationStatement": ("Užívané léky", "Medication"),
    "MedicationRequest": ("Předepsané léky", "Prescribed medication"),
    "MedicationAdministration": ("Podané léky", "Administered medication"),
    "MedicationDispense": ("Vydané léky", "Dispensed medication"),
    "Medication": ("Léčivé přípravky", "Medicinal products"),
    "Procedure": ("Výkony", "Procedures"),
    "AllergyIntolerance": ("Alergie a intolerance", "Allergies and intolerances"),
    "Immunization": ("Očkování", "Immunizations"),
    "Device": ("Zdravotnické prostředky", "Devices"),
    "DeviceUseStatement": ("Používané prostředky a implantáty", "Devices in use and implants"),
    "CarePlan": ("Plán péče", "Care plan"),
    "Goal": ("Cíle", "Goals"),
    "FamilyMemberHistory": ("Rodinná anamnéza", "Family history"),
    "Encounter": ("Návštěvy a pobyty", "Encounters"),
    "Flag": ("Varování", "Alerts"),
    "Consent": ("Souhlasy a přání", "Consents and directives"),
    "DiagnosticReport": ("Nálezy", "Reports"),
    "Coverage": ("Pojištění", "Coverage"),
    "DocumentReference": ("Dokumenty", "Documents"),
    "ServiceRequest": ("Žádanky", "Service requests"),
    "Appointment": ("Objednání", "Appointments"),
    "Specimen": ("Vzorky", "Specimens"),
    "ImagingStudy": ("Zobrazovací studie", "Imaging studies"),
    "Provenance": ("Původ údajů", "Provenance"),
    "Organization": ("Organizace", "Organizations"),
    "Practitioner": ("Zdravotníci", "Practitioners"),
    "PractitionerRole": ("Zdravotníci", "Practitioners"),
    "RelatedPerson": ("Blízké osoby", "Related persons"),
    "Patient": ("Další osoby", "Other persons"),
    "Location": ("Místa", "Locations"),
    "Binary": ("Soubory", "Files"),
    "ImmunizationRecommendation": ("Doporučená očkování", "Recommended immunizations"),
    "ClinicalImpression": ("Klinické zhodnocení", "Clinical impressions"),
    "QuestionnaireResponse": ("Dotazníky", "Questionnaires"),
    "Media": ("Obrazy a záznamy", "Media"),
    "List": ("Seznamy", "Lists"),
}


def _side(pairs: Mapping[str, tuple[str, str]], position: int) -> Mapping[str, str]:
    return MappingProxyType({key: pair[position] for key, pair in pairs.items()})


_WORDS: Final[Mapping[Language, Mapping[str, str]]] = MappingProxyType(
    {"cs": _side(_PAIRS, 0), "en": _side(_PAIRS, 1)}
)


def words(lang: Language) -> Mapping[str, str]:
    """All labels of the layout by key."""
    return _WORDS[lang]


def caption(kind: str, lang: Language) -> str:
    """The heading of a table of entries of one resource type; unknown types keep their name."""
    pair = _CAPTIONS.get(kind)
    return kind if pair is None else pair[1 if lang == "en" else 0]


def counted(number: int, unit: str, lang: Language) -> str:
    """A whole number with its unit in the right grammatical number: day, month, year."""
    if lang == "en":
        return f"{number} {unit}" if number == 1 else f"{number} {unit}s"
    one, few, many = {
        "day": ("den", "dny", "dní"),
        "month": ("měsíc", "měsíce", "měsíců"),
        "year": ("rok", "roky", "let"),
        "hour": ("hodina", "hodiny", "hodin"),
        "week": ("týden", "týdny", "týdnů"),
        "minute": ("minuta", "minuty", "minut"),
        "second": ("sekunda", "sekundy", "sekund"),
    }[unit]
    form = one if number == 1 else few if 2 <= number <= 4 else many
    return f"{number} {form}"
