"""The shipped definitions say what HL7 FHIR R4 says."""

from __future__ import annotations

import re

import pytest

from pater.fhir.definitions import (
    ANY,
    RESOURCE_TYPES,
    TYPE_NUMBER,
    Element,
    code_display,
    compartment,
    constraints,
    element_table,
    primitive,
    required_codes,
    required_codings,
    search_parameters,
    type_kind,
    value_set_systems,
)

VALUE_SET = "http://hl7.org/fhir/ValueSet/"


def element(path: str) -> Element:
    return next(each for each in element_table(path.split(".")[0]) if each.path == path)


def test_all_concrete_types_of_r4_and_their_numbers() -> None:
    assert len(RESOURCE_TYPES) == 146
    assert list(RESOURCE_TYPES) == sorted(RESOURCE_TYPES)
    assert {"Patient", "Bundle", "Binary", "Parameters"} <= set(RESOURCE_TYPES)
    # Abstract types, data types and what came after R4 are no resource types.
    assert not {"Resource", "DomainResource", "SubscriptionStatus", "Meta"} & set(RESOURCE_TYPES)
    assert [RESOURCE_TYPES[TYPE_NUMBER[name]] for name in RESOURCE_TYPES] == list(RESOURCE_TYPES)
    # The numbers are stored in databases: they may never move.
    assert (TYPE_NUMBER["Account"], TYPE_NUMBER["Patient"]) == (0, 102)
    assert TYPE_NUMBER["VisionPrescription"] == 145


def test_kinds_of_types() -> None:
    assert type_kind("Patient") == "resource"
    assert type_kind("HumanName") == "complex"
    assert type_kind("instant") == "primitive"
    assert type_kind("Nonsense") is None
    with pytest.raises(KeyError):
        element_table("Nonsense")


def test_element_tables() -> None:
    subject = element("Observation.subject")
    assert (subject.minimum, subject.maximum, subject.types) == (0, 1, ("Reference",))
    assert subject.targets == ("Device", "Group", "Location", "Patient")
    assert element("Observation.code").minimum == 1
    assert element("Patient.name").maximum == ANY
    assert "Quantity" in element("Observation.value[x]").types
    assert element("Bundle.entry.link").content == "Bundle.link"
    assert element("Provenance.target").targets == ()  # any type
    gender = element("Patient.gender")
    assert (gender.strength, gender.value_set) == ("required", VALUE_SET + "administrative-gender")
    assert gender.summary
    assert element("Patient.deceased[x]").modifier
    # The System types of FHIRPath are told as the FHIR types they carry.
    assert element("Patient.id").types == ("id",)
    assert element("Period.id").types == ("string",)
    assert element("Extension.url").types == ("uri",)


@pytest.mark.parametrize(
    ("name", "absent", "present"),
    [
        ("Meta", {"project", "author", "account", "compartment"}, {"versionId", "source"}),
        ("Binary", {"url"}, {"data"}),
        ("DeviceDefinition", {"classification", "bodySite"}, {"deviceName"}),
        ("ResearchStudy", {"recruitment", "region", "label"}, {"arm", "sponsor"}),
        (
            "EvidenceVariable",
            {"definitionByCombination", "linkId"},
            {"definition[x]", "groupMeasure", "usageContext"},
        ),
    ],
)
def test_additions_of_the_source_pack_are_not_taken_for_r4(
    name: str, absent: set[str], present: set[str]
) -> None:
    names = {each.path.rpartition(".")[2] for each in element_table(name)}
    assert not names & absent
    assert present <= names


def test_every_type_that_an_element_names_is_defined() -> None:
    for name in RESOURCE_TYPES:
        paths = {name} | {each.path for each in element_table(name)}
        for each in element_table(name):
            assert each.types or each.content in paths
            assert all(type_kind(kind) for kind in each.types), each
            assert set(each.targets) <= set(RESOURCE_TYPES), each


def test_primitives_carry_their_published_limits() -> None:
    assert primitive("string").max_length == 1024 * 1024
    pattern = primitive("id").regex
    assert pattern is not None
    assert re.fullmatch(pattern, "a-1.B")
    assert not re.fullmatch(pattern, "a_1")
    assert not re.fullmatch(pattern, "a" * 65)


def test_search_parameters_of_a_type_include_those_of_every_resource() -> None:
    found = search_parameters("Observation")
    assert {"_id", "_lastUpdated", "_tag", "_text", "code", "patient", "date"} <= set(found)
    assert found["patient"].type == "reference"
    assert found["patient"].targets  # Group, Patient
    assert "Observation.subject" in found["patient"].expression
    composite = found["code-value-quantity"]
    assert composite.type == "composite"
    # a component names its parameter by its address, here one of several types together
    assert composite.components[0].definition.endswith("/clinical-code")
    # Bundle is no DomainResource and so has no narrative to search.
    assert "_text" not in search_parameters("Bundle")


def test_compartments() -> None:
    patient = compartment("Patient")
    assert patient["Observation"] == ("subject", "performer")
    assert "Organization" not in patient
    assert "Encounter" in compartment("Encounter")
    with pytest.raises(KeyError):
        compartment("Planet")


def test_required_code_lists() -> None:
    assert required_codes(VALUE_SET + "administrative-gender|4.0.1") == {
        "male", "female", "other", "unknown",
    }  # fmt: skip
    # Listed codes, not the whole of their system.
    assert required_codes(VALUE_SET + "immunization-status") == {
        "completed", "entered-in-error", "not-done",
    }  # fmt: skip
    codings = required_codings(VALUE_SET + "condition-clinical")
    assert codings is not None
    assert "active" in codings["http://terminology.hl7.org/CodeSystem/condition-clinical"]
    # A hierarchy is taken whole: recurrence stands below active.
    assert "recurrence" in codings["http://terminology.hl7.org/CodeSystem/condition-clinical"]


def test_only_these_required_value_sets_cannot_be_checked() -> None:
    bound = {
        each.value_set
        for name in (*RESOURCE_TYPES, "Attachment", "Money", "Identifier", "Timing")
        for each in element_table(name)
        if each.strength == "required"
    }
    assert {each for each in bound if required_codes(each) is None} == {
        VALUE_SET + "mimetypes",
        VALUE_SET + "currencies",
        VALUE_SET + "ucum-units",
        "http://loinc.org/vs/LL379-9",
    }


def test_displays_systems_and_constraints() -> None:
    assert code_display("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB") == "ambulatory"
    assert code_display("http://hl7.org/fhir/administrative-gender", "male") == "Male"
    assert code_display("http://hl7.org/fhir/administrative-gender", "none") is None
    assert code_display("http://example.org", "x") is None
    assert "http://loinc.org" in value_set_systems(VALUE_SET + "observation-codes")
    assert value_set_systems("http://example.org") == ()
    assert {each.key for each in constraints("Bundle")} >= {"bdl-1", "bdl-7"}
    assert constraints("Nonsense") == ()
