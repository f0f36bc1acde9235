"""Codes are named in the reader's language, and kinds of documents are known under all codes."""

import json
from importlib import resources

import pytest

from pater.terminology.names import LOINC, display, document_types, own_name, system_name

# The sections of the discharge report, laboratory report and patient summary (HL7 Czech Republic).
SECTIONS = """8648-8 67851-6 29545-1 8716-3 47420-5 48765-2 104605-1 11535-2 10185-7 46264-8 57080-4
87232-5 30954-2 67781-5 8650-4 42346-7 46239-0 11329-0 35090-0 11450-4 11369-6 46240-8 18776-5
75311-1 8653-8 42348-3 77599-9 48768-6 57074-7 60591-5 11502-2 34108-1 10160-0 47519-4""".split()


@pytest.mark.parametrize("code", SECTIONS)
def test_sections_and_documents_have_a_czech_and_an_english_name(code: str) -> None:
    czech, english = display(LOINC, code, "cs"), display(LOINC, code, "en")
    assert czech and english
    assert czech != english


def test_the_discharge_report_is_one_kind_under_three_codes() -> None:
    assert document_types("34105-7") == {"34105-7", "18842-5", "100719-4"}
    assert document_types("18842-5") == document_types("100719-4") == document_types("34105-7")


def test_an_unknown_document_type_stands_for_itself() -> None:
    assert document_types("99999-9") == {"99999-9"}


def test_what_is_not_ours_falls_back_to_the_names_of_fhir() -> None:
    system = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
    assert own_name(system, "M", "cs") is None
    assert display(system, "M", "cs") == "Married"


def test_an_unknown_code_has_no_name() -> None:
    assert display("https://example.org/codes", "x", "cs") is None
    assert display(None, "x", "en") is None


def test_diagnoses_are_found_with_and_without_the_dot_and_under_the_oid() -> None:
    mkn = "https://uzis.cz/terminology/CodeSystem/mkn-10"
    assert own_name(mkn, "I21.1", "cs") == own_name(mkn, "I211", "cs")
    assert own_name("urn:oid:1.2.203.24341.11.2.1", "I10", "cs") == own_name(mkn, "I10", "cs")


def test_systems_are_called_as_people_say_them() -> None:
    assert system_name("https://ncez.mzcr.cz/fhir/sid/rcis", "cs") == "Rodné číslo"
    assert system_name("https://example.org", "cs") == ""


def test_every_shipped_name_is_said_in_both_languages() -> None:
    raw = json.loads(resources.files("pater.terminology").joinpath("names.json").read_bytes())
    for system, codes in raw["codes"].items():
        for code, pair in codes.items():
            assert len(pair) == 2 and all(pair), (system, code)
