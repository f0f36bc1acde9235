"""Rules of codes, contained resources, references, answers and definitions beyond structure."""

from __future__ import annotations

import copy
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.validation.check_digits import impossible
from pater.fhir.validation.local_terms import LocalTerms
from pater.fhir.validation.profiles import Profiles
from pater.fhir.validation.whole import validate_whole
from tests.fhir.definitions_at_hand import REFERENCE, source_of

Json = dict[str, Any]
SNOMED, LOINC = "http://snomed.info/sct", "http://loinc.org"
EXT = "http://hl7.org/fhir/StructureDefinition/"
UUIDS = [f"urn:uuid:{place}1111111-1111-4111-8111-111111111111" for place in range(3)]


def errors(resource: Json, *definitions: Json) -> list[str]:
    """The paths of all errors, with the named definitions at hand."""
    index = {each["url"]: each for each in definitions}
    issues = validate_whole(resource, Profiles(index.get), terms=LocalTerms(index.get))
    return [each.path for each in issues if each.severity in ("error", "fatal")]


def observation(**more: Any) -> Json:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}


def coded(system: str, code: str) -> Json:
    return observation(code={"coding": [{"system": system, "code": code}]})


@pytest.mark.parametrize(
    ("system", "code", "wrong"),
    [
        (SNOMED, "276885007", False),
        (SNOMED, "276885007x", True),
        (SNOMED, "276885008", True),  # check digit
        (SNOMED, "12345", True),  # too short
        (SNOMED, "35901911000001104", False),  # of a national extension
        (SNOMED, "128045006:363698007=56459004", False),  # an expression
        (LOINC, "8310-5", False),
        (LOINC, "8310-6", True),
        (LOINC, "temperature", True),
        (LOINC, "LA6576-8", False),
        ("http://example.org/codes", "8310-6", False),
    ],
)
def test_codes_that_cannot_exist_are_errors(system: str, code: str, wrong: bool) -> None:
    assert errors(coded(system, code)) == (["Observation.code.coding[0].code"] if wrong else [])


@given(st.integers(10**6, 10**9), st.integers(0, 8), st.integers(0, 9))
def test_a_changed_digit_is_always_noticed(number: int, place: int, digit: int) -> None:
    """Of ten endings one is right, and no other digit may stand in its place."""
    good = [f"{number}{end}" for end in range(10) if not impossible(SNOMED, f"{number}{end}")]
    assert len(good) == 1
    place = min(place, len(good[0]) - 1)
    changed = good[0][:place] + str(digit) + good[0][place + 1 :]
    assert (changed == good[0]) or impossible(SNOMED, changed)


def test_contained_resources_have_ids_of_their_own() -> None:
    organization = {"resourceType": "Organization", "id": "o", "name": "N"}
    patient = {
        "resourceType": "Patient",
        "contained": [organization, organization],
        "managingOrganization": {"reference": "#o"},
    }
    assert errors(patient) == ["Patient.contained[1].id"]


def test_ids_of_elements_have_no_blanks() -> None:
    names = [{"id": "a b", "family": "N"}, {"id": "c", "family": "M"}]
    assert errors({"resourceType": "Patient", "name": names}) == ["Patient.name[0].id"]


def test_what_a_reference_leads_to_is_of_a_permitted_type() -> None:
    patient = {
        "resourceType": "Patient",
        "contained": [{"resourceType": "Location", "id": "o", "name": "N"}],
        "managingOrganization": {"reference": "#o"},
    }
    assert errors(patient) == ["Patient.managingOrganization.reference"]
    entries = [
        {"fullUrl": UUIDS[0], "resource": observation(subject={"reference": UUIDS[1]})},
        {"fullUrl": UUIDS[1], "resource": {"resourceType": "Practitioner"}},
    ]
    bundle = {"resourceType": "Bundle", "type": "collection", "entry": entries}
    assert errors(bundle) == ["Bundle.entry[0].resource.subject.reference"]
    entries[1]["resource"] = {"resourceType": "Patient"}
    assert errors(bundle) == []


@pytest.mark.parametrize(("code", "wrong"), [("cs-CZ", False), ("english", True), ("x", True)])
def test_languages_are_those_of_bcp_47(code: str, wrong: bool) -> None:
    expected = ["Patient.language"] if wrong else []
    assert errors({"resourceType": "Patient", "language": code}) == expected


def question(kind: str, **more: Any) -> Json:
    return {
        "resourceType": "Questionnaire",
        "url": "http://example.org/q",
        "status": "active",
        "item": [{"linkId": "1", "type": kind, **more}],
    }


def answers(*given: Json) -> Json:
    return {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": "http://example.org/q",
        "item": [{"linkId": "1", "answer": list(given)}],
    }


def test_answers_keep_to_decimal_places_and_types_of_targets() -> None:
    places = question("decimal", extension=[{"url": EXT + "maxDecimalPlaces", "valueInteger": 1}])
    answer = "QuestionnaireResponse.item[0].answer[0]"
    assert errors(answers({"valueDecimal": 1.5}), places) == []
    assert errors(answers({"valueDecimal": 1.25}), places) == [f"{answer}.valueDecimal"]
    of_type = {"url": EXT + "questionnaire-referenceResource", "valueCode": "Patient"}
    target = question("reference", extension=[of_type])
    good, wrong = ({"valueReference": {"reference": f"{t}/1"}} for t in ("Patient", "Group"))
    assert errors(answers(good), target) == []
    assert errors(answers(wrong), target) == [f"{answer}.valueReference"]


def test_an_option_may_exclude_all_others() -> None:
    alone = {"url": EXT + "questionnaire-optionExclusive", "valueBoolean": True}
    options = [{"valueString": "none", "extension": [alone]}, *({"valueString": v} for v in "ab")]
    choice = question("choice", repeats=True, answerOption=options)
    a, b, none = ({"valueString": v} for v in ("a", "b", "none"))
    assert errors(answers(a, b), choice) == []
    assert errors(answers(none), choice) == []
    assert errors(answers(a, none), choice) == ["QuestionnaireResponse.item[0]"]


def structure(*elements: Json) -> Json:
    listed = [{"id": each["path"], **each} for each in elements]
    return {
        "resourceType": "StructureDefinition",
        "url": "http://example.org/StructureDefinition/p",
        "name": "P",
        "status": "active",
        "kind": "resource",
        "abstract": False,
        "type": "Observation",
        "baseDefinition": EXT + "Observation",
        "derivation": "constraint",
        "differential": {"element": listed},
    }


@pytest.mark.parametrize(
    ("element", "place"),
    [
        ({"path": "Observation.status", "min": 0}, ".min"),
        ({"path": "Observation.subject", "max": "*"}, ".max"),
        ({"path": "Observation.subject", "max": "2"}, ".max"),
        ({"path": "Observation.subject", "min": 1, "max": "1"}, None),
        ({"path": "Observation.note", "max": "3"}, None),
    ],
)
def test_a_profile_is_no_looser_than_r4(element: Json, place: str | None) -> None:
    wanted = [f"StructureDefinition.differential.element[0]{place}"] if place else []
    assert errors(structure(element)) == wanted


@pytest.mark.parametrize(
    ("expression", "wrong"),
    [("value.exists()", False), ("valueQuantity.exists()", True), ("value.exists((", True)],
)
def test_expressions_of_constraints_can_be_read(expression: str, wrong: bool) -> None:
    rule = {"key": "a-1", "severity": "error", "human": "h", "expression": expression}
    definition = structure({"path": "Observation", "constraint": [rule]})
    place = "StructureDefinition.differential.element[0].constraint[0].expression"
    assert errors(definition) == ([place] if wrong else [])


def test_supplements_and_value_sets_name_code_systems() -> None:
    system = {
        "resourceType": "CodeSystem",
        "url": "http://example.org/s",
        "status": "active",
        "content": "supplement",
    }
    assert errors(system) == ["CodeSystem.supplements"]
    assert errors({**system, "supplements": "http://example.org/other"}) == []
    meant: Json = {
        "resourceType": "ValueSet",
        "url": "http://example.org/ValueSet/v",
        "status": "active",
        "compose": {"include": [{"system": "http://example.org/s"}]},
    }
    wrong = copy.deepcopy(meant)
    wrong["compose"]["include"][0]["system"] = meant["url"]
    assert errors(meant, meant) == []
    assert errors(wrong, meant) == ["ValueSet.compose.include[0].system"]


def test_threads_may_share_compiled_profiles() -> None:
    """Each of many threads gets the same answer from definitions that nobody has compiled yet."""
    source = source_of(*REFERENCE)
    vital = {
        "resourceType": "Observation",
        "meta": {"profile": [EXT + "bp"]},
        "status": "final",
        "code": {"coding": [{"system": LOINC, "code": "85354-9"}]},
    }
    several = [{**vital, "meta": {"profile": [EXT + name]}} for name in ("bp", "bmi", "heartrate")]

    def check(profiles: Profiles, resource: Json) -> list[str]:
        return [each.text for each in validate_whole(resource, profiles)]

    alone = [check(Profiles(source), each) for each in several]
    assert all(any("required" in text for text in texts) for texts in alone)
    for shared in (Profiles(source), Profiles(source), Profiles(source)):
        with ThreadPoolExecutor(8) as pool:
            found = list(pool.map(check, [shared] * 24, several * 8))
        assert found == alone * 8
