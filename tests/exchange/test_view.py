"""A document is laid out whole and in the reader's language, however poor it is."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.domains.exchange.demo import demo_region
from pater.domains.exchange.view import Section, Table, attachment_bytes, document_view
from tests.shared_data import documents

Json = dict[str, Any]


def bundle(*resources: Json, **composition: Any) -> Json:
    """A document of a Composition (over sensible defaults) and further entries `r1`, `r2`, …"""
    head = {
        "resourceType": "Composition",
        "language": "cs",
        "status": "final",
        "type": {"coding": [{"system": "http://loinc.org", "code": "34105-7"}]},
        "date": "2025-05-20T11:30:00+02:00",
        "title": "Zpráva",
        **composition,
    }
    entries = [{"fullUrl": "urn:uuid:head", "resource": head}]
    entries += [{"fullUrl": f"urn:uuid:r{n}", "resource": r} for n, r in enumerate(resources, 1)]
    return {"resourceType": "Bundle", "type": "document", "entry": entries}


def section(code: str, *entries: str, **more: Any) -> Json:
    return {
        "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
        "entry": [{"reference": f"urn:uuid:{entry}"} for entry in entries],
        **more,
    }


def observation(value: Any, low: Any = None, high: Any = None, **more: Any) -> Json:
    limits = {}
    if low is not None:
        limits["low"] = {"value": low, "unit": "mmol/l"}
    if high is not None:
        limits["high"] = {"value": high, "unit": "mmol/l"}
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "2823-3"}]},
        "valueQuantity": {"value": value, "unit": "mmol/l"},
        "referenceRange": [limits],
        **more,
    }


def only_table(document: Json, lang: Any = "cs") -> Table:
    (found,) = document_view(document, lang).sections[0].tables
    return found


def all_text(sections: tuple[Section, ...]) -> str:
    found: list[str] = []
    for one in sections:
        cells = [c for table in one.tables for row in table.rows for c in row.cells]
        found += [one.title, one.html, *(c.text + c.note + c.code for c in cells)]
        found.append(all_text(one.sections))
    return " ".join(found)


def test_header_of_a_document() -> None:
    view = document_view(
        bundle(
            {
                "resourceType": "Patient",
                "name": [{"use": "official", "family": "Nováková", "given": ["Jana"]}],
                "birthDate": "1993-05-21",
                "gender": "female",
                "identifier": [
                    {"system": "https://ncez.mzcr.cz/fhir/sid/rid", "value": "2066425387"}
                ],
            },
            {
                "resourceType": "Encounter",
                "class": {
                    "system": "http://terminology.hl7.org/CodeSystem/v3-ActCode",
                    "code": "IMP",
                },
                "period": {
                    "start": "2025-05-17T06:20:00+02:00",
                    "end": "2025-05-20T11:30:00+02:00",
                },
            },
            subject={"reference": "urn:uuid:r1"},
            encounter={"reference": "urn:uuid:r2"},
        ),
        "cs",
    )
    assert view.type.name == "Propouštěcí zpráva"
    assert (view.status, view.date) == ("Konečná", "20. 5. 2025 11:30")
    assert view.patient.name == "Jana Nováková"
    assert view.patient.age == "31 let"  # the day before the birthday
    assert view.patient.gender == "Žena"
    assert [(f.label, f.value) for f in view.patient.identifiers] == [("RID", "2066425387")]
    assert view.stay is not None
    assert (view.stay.kind, view.stay.length) == ("Hospitalizace", "3 dny")


@pytest.mark.parametrize(
    ("birth", "age"),
    [("2025-05-18", "2 dny"), ("2025-02-01", "3 měsíce"), ("2022-05-01", "3 roky"), ("2030", "")],
)
def test_small_children_are_aged_in_days_and_months(birth: str, age: str) -> None:
    document = bundle(
        {"resourceType": "Patient", "birthDate": birth}, subject={"reference": "urn:uuid:r1"}
    )
    assert document_view(document, "cs").patient.age == age


def test_titles_are_in_the_language_of_the_reader_with_the_original_beside() -> None:
    document = bundle(section=[section("11535-2", title="Diagnostický souhrn")])
    czech, english = (document_view(document, lang).sections[0] for lang in ("cs", "en"))
    assert czech.title == "Diagnózy při propuštění"
    assert english.title == "Discharge diagnoses"
    assert czech.original_title == english.original_title == "Diagnostický souhrn"


@pytest.mark.parametrize(
    ("value", "flag", "words"),
    [(3.1, "low", "pod mezí"), (3.5, "", ""), (5.1, "", ""), (5.6, "high", "nad mezí")],
)
def test_results_outside_the_range_are_said_in_words(value: float, flag: str, words: str) -> None:
    table = only_table(bundle(observation(value, 3.5, 5.1), section=[section("30954-2", "r1")]))
    cell = table.rows[0].cells[1]
    assert (cell.flag, cell.flag_text) == (flag, words)
    assert cell.text == f"{value} mmol/l".replace(".", ",")


def test_a_limit_in_another_unit_judges_nothing() -> None:
    result = observation(5.6, 3.5, 5.1)
    for limit in result["referenceRange"][0].values():
        limit["unit"] = "mg/dl"
    table = only_table(bundle(result, section=[section("30954-2", "r1")]))
    assert table.rows[0].cells[1].flag == ""


def test_the_laboratorys_own_word_outweighs_the_arithmetic() -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-ObservationInterpretation"
    said = {"interpretation": [{"coding": [{"system": system, "code": "N"}]}]}
    table = only_table(
        bundle(observation(9.9, 3.5, 5.1, **said), section=[section("30954-2", "r1")])
    )
    assert table.rows[0].cells[1].flag == ""


def test_digits_stay_as_the_laboratory_wrote_them() -> None:
    table = only_table(bundle(observation(Decimal("5.10")), section=[section("30954-2", "r1")]))
    assert table.rows[0].cells[1].text == "5,10 mmol/l"


def test_members_of_a_group_stand_under_it_once_and_circles_end() -> None:
    group = {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "Krevní obraz"},
        "hasMember": [{"reference": "urn:uuid:r2"}, {"reference": "urn:uuid:r1"}],
    }
    member = observation(4.2, hasMember=[{"reference": "urn:uuid:r1"}])
    document = bundle(group, member, section=[section("30954-2", "r1", "r2")])
    table = only_table(document)
    assert [(row.cells[0].text, row.level) for row in table.rows] == [
        ("Krevní obraz", 0),
        ("Draslík", 1),
    ]


def test_a_finding_about_somebody_else_says_whose_it_is() -> None:
    document = bundle(
        {"resourceType": "Patient", "name": [{"text": "Jana Nováková"}]},
        {"resourceType": "Patient", "name": [{"text": "Jan Novák"}]},
        observation(4.0, subject={"reference": "urn:uuid:r2"}),
        observation(4.1, subject={"reference": "urn:uuid:r1"}),
        subject={"reference": "urn:uuid:r1"},
        section=[section("57074-7", "r3", "r4")],
    )
    assert [row.cells[0].note for row in only_table(document).rows] == ["Jan Novák", ""]


def test_medication_says_dose_time_and_reason() -> None:
    statement = {
        "resourceType": "MedicationStatement",
        "status": "active",
        "medicationReference": {"reference": "#m"},
        "contained": [
            {"resourceType": "Medication", "id": "m", "code": {"text": "Metformin 500 mg"}}
        ],
        "reasonCode": [{"text": "diabetes"}],
        "dosage": [
            {
                "timing": {
                    "repeat": {"frequency": 2, "period": 1, "periodUnit": "d", "when": ["PC"]}
                },
                "doseAndRate": [{"doseQuantity": {"value": 1, "unit": "tableta"}}],
            }
        ],
    }
    document = bundle(statement, section=[section("10160-0", "r1")])
    czech, english = (only_table(document, lang).rows[0].cells for lang in ("cs", "en"))
    assert [cell.text for cell in czech] == [
        "Metformin 500 mg", "1 tableta, 2× denně, po jídle", "diabetes", "Užívá",
    ]  # fmt: skip
    assert english[1].text == "1 tableta, 2× a day, after meals"


def test_doubt_about_a_diagnosis_is_not_lost() -> None:
    system = "http://terminology.hl7.org/CodeSystem/condition-ver-status"
    condition = {
        "resourceType": "Condition",
        "code": {"coding": [{"system": "http://hl7.org/fhir/sid/icd-10", "code": "I10"}]},
        "verificationStatus": {"coding": [{"system": system, "code": "refuted"}]},
    }
    table = only_table(bundle(condition, section=[section("11450-4", "r1")]))
    assert table.rows[0].cells[0].text == "Esenciální (primární) hypertenze"
    assert table.rows[0].cells[0].code == "I10 MKN-10"
    assert "Vyvráceno" in table.rows[0].cells[1].text


def test_entries_no_section_shows_come_last() -> None:
    document = bundle(
        {"resourceType": "Flag", "status": "active", "code": {"text": "Riziko pádu"}},
        {"resourceType": "ServiceRequest", "code": {"text": "CT břicha"}},
        section=[section("8648-8", title="Průběh")],
    )
    last = document_view(document, "cs").sections[-1]
    assert last.title == "Další záznamy"
    assert {"Riziko pádu", "CT břicha"} <= {
        row.cells[0].text for t in last.tables for row in t.rows
    }


def test_files_are_listed_once_and_given_byte_by_byte() -> None:
    url = "https://hl7.cz/fhir/core/StructureDefinition/presentedForm"
    document = bundle(
        {
            "resourceType": "DocumentReference",
            "content": [{"attachment": {"url": "urn:uuid:r2", "title": "Snímek"}}],
        },
        {"resourceType": "Binary", "contentType": "image/png", "data": "iVBORw=="},
        extension=[
            {
                "url": url,
                "valueAttachment": {"contentType": "application/pdf", "data": "JVBERi0="},
            },
            {"url": url, "valueAttachment": {"contentType": "application/pdf", "data": "%%%"}},
        ],
    )
    files = document_view(document, "cs").attachments
    assert [(f.content_type, f.size, f.original) for f in files] == [
        ("application/pdf", 5, True),
        ("application/pdf", None, True),
        ("image/png", 4, False),
    ]
    assert attachment_bytes(document, 0) == ("application/pdf", b"%PDF-")
    assert attachment_bytes(document, 1) is None
    assert attachment_bytes(document, 2) == ("image/png", b"\x89PNG")
    assert attachment_bytes(document, 3) is None
    assert attachment_bytes(document, -1) is None


def test_every_published_document_is_laid_out_with_all_its_sections() -> None:
    for name, body in documents().items():
        document = json.loads(body)
        if document.get("type") != "document":
            continue
        for lang in ("cs", "en"):
            view = document_view(document, lang)
            written = document["entry"][0]["resource"].get("section", [])
            assert len(view.sections) >= len(written), name
            assert view.title and view.patient.name, name


def test_every_diagnosis_of_the_demonstration_is_readable() -> None:
    for body in demo_region().documents:
        document = json.loads(body)
        shown = all_text(document_view(document, "cs").sections)
        for entry in document["entry"]:
            if entry["resource"]["resourceType"] == "Condition":
                assert entry["resource"]["code"]["coding"][0]["code"] in shown


def _places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = []
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    for key, one in pairs:
        found.append((*path, key))
        if isinstance(one, (dict, list)):
            found += _places(one, (*path, key))
    return found


POOR = st.sampled_from(
    ["null", '""', '"x"', "0", "-1.5", "true", "[]", "{}", "[null]", "[[]]", '{"reference":"#"}']
)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_view_never_fails_on_a_poor_document(data: st.DataObject) -> None:
    found = documents("cz-hdr", "eu-hdr", "cz-ps", "cz-lab", "ips")
    document = json.loads(found[data.draw(st.sampled_from(sorted(found)))])
    for _ in range(data.draw(st.integers(1, 25))):
        places = _places(document)
        if not places:
            break
        *path, last = data.draw(st.sampled_from(places))
        holder: Any = document
        for key in path:
            holder = holder[key]
        if data.draw(st.booleans()):
            del holder[last]
        else:
            holder[last] = json.loads(data.draw(POOR))
    for lang in ("cs", "en"):
        view = document_view(document, lang)
        for one in view.attachments:
            attachment_bytes(document, one.index)
