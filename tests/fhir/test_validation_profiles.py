"""Profiles are held to: cardinalities, slices, types, references, values, codes, extensions."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.fhir.issues import Issue
from pater.fhir.validation.discriminators import Step, steps
from pater.fhir.validation.local_terms import LocalTerms
from pater.fhir.validation.profiles import Profiles
from pater.fhir.validation.run import Settings
from pater.fhir.validation.whole import validate_profiles, validate_whole
from tests.shared_data import load, r4_examples

Json = dict[str, Any]
BASE = "http://example.org/StructureDefinition/"


def profile(name: str, type: str, *elements: Json, base: str = "", **more: Any) -> Json:
    """A profile with a differential; elements are named by id, paths follow from it."""
    listed = []
    for each in elements:
        path = ".".join(part.partition(":")[0] for part in each["id"].split("."))
        last = each["id"].rpartition(".")[2]
        sliced = {"sliceName": last.partition(":")[2]} if ":" in last else {}
        listed.append({"path": path, **sliced, **each})
    return {
        "resourceType": "StructureDefinition",
        "url": BASE + name,
        "type": type,
        "kind": "complex-type" if type in ("Extension", "Identifier", "Coding") else "resource",
        "derivation": "constraint",
        "baseDefinition": BASE + base
        if base
        else f"http://hl7.org/fhir/StructureDefinition/{type}",
        "differential": {"element": listed},
        **more,
    }


def found(
    resource: Json, *definitions: Json, asked: str = "p", settings: Settings | None = None
) -> list[Issue]:
    """The issues of a resource against a profile, advice left out."""
    index = {each["url"]: each for each in definitions}
    issues = validate_whole(
        resource,
        Profiles(lambda url: index.get(url.partition("|")[0])),
        terms=LocalTerms(lambda url: index.get(url.partition("|")[0])),
        settings=settings,
        asked=[BASE + asked] if asked else [],
    )
    return [each for each in issues if not each.text.startswith("dom-6")]


def errors(resource: Json, *definitions: Json, asked: str = "p") -> list[tuple[str, str]]:
    """(code, path) of the errors."""
    listed = found(resource, *definitions, asked=asked)
    return [(each.code, each.path) for each in listed if each.severity == "error"]


PATIENT: Json = {"resourceType": "Patient", "name": [{"family": "A"}], "gender": "male"}
OBSERVATION: Json = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}


def test_cardinalities_fixed_values_and_limits_are_told_with_their_paths() -> None:
    definition = profile(
        "p", "Patient",
        {"id": "Patient.birthDate", "min": 1},
        {"id": "Patient.name", "max": "1"},
        {"id": "Patient.name.family", "maxLength": 3},
        {"id": "Patient.gender", "fixedCode": "female"},
        {"id": "Patient.photo", "max": "0"},
    )  # fmt: skip
    body = {**PATIENT, "name": [{"family": "Long"}, {"family": "B"}], "photo": [{"title": "x"}]}
    assert set(errors(body, definition)) == {
        ("required", "Patient.birthDate"),
        ("structure", "Patient.name"),
        ("too-long", "Patient.name[0].family"),
        ("value", "Patient.gender"),
        ("structure", "Patient.photo"),
    }
    good = {**PATIENT, "gender": "female", "birthDate": "1980-01-01"}
    assert errors(good, definition) == []


def test_a_profile_holds_to_the_profiles_it_is_derived_from() -> None:
    above = profile("above", "Patient", {"id": "Patient.birthDate", "min": 1})
    below = profile("p", "Patient", {"id": "Patient.active", "min": 1}, base="above")
    assert {path for _, path in errors(PATIENT, above, below)} == {
        "Patient.birthDate",
        "Patient.active",
    }


IDENTIFIERS = (
    {"id": "Patient.identifier", "slicing": {"discriminator": [{"type": "value", "path": "system"}],
                                             "rules": "closed"}},
    {"id": "Patient.identifier:a", "min": 1, "max": "1"},
    {"id": "Patient.identifier:a.system", "fixedUri": "urn:a"},
    {"id": "Patient.identifier:a.value", "min": 1},
    {"id": "Patient.identifier:b", "max": "1"},
    {"id": "Patient.identifier:b.system", "fixedUri": "urn:b"},
)  # fmt: skip


def _with(*systems: str) -> Json:
    return {**PATIENT, "identifier": [{"system": each, "value": "1"} for each in systems]}


@pytest.mark.parametrize(
    ("systems", "expected"),
    [
        (("urn:a",), []),
        (("urn:b", "urn:a"), []),
        (("urn:b",), [("required", "Patient.identifier")]),
        (("urn:a", "urn:a"), [("structure", "Patient.identifier")]),
        (("urn:a", "urn:c"), [("structure", "Patient.identifier[1]")]),
    ],
)
def test_closed_slices_by_value(systems: tuple[str, ...], expected: list[Any]) -> None:
    assert errors(_with(*systems), profile("p", "Patient", *IDENTIFIERS)) == expected


def test_what_a_slice_asks_is_asked_of_its_values_only() -> None:
    body = {**PATIENT, "identifier": [{"system": "urn:a"}, {"system": "urn:b"}]}
    definition = profile("p", "Patient", *IDENTIFIERS)
    assert errors(body, definition) == [("required", "Patient.identifier[0].value")]


def test_a_derived_profile_tightens_a_slice_of_its_base() -> None:
    above = profile("above", "Patient", *IDENTIFIERS)
    below = profile("p", "Patient", {"id": "Patient.identifier:b", "min": 1}, base="above")
    assert errors(_with("urn:a"), above, below) == [("required", "Patient.identifier")]
    assert errors(_with("urn:a", "urn:b"), above, below) == []


def test_slices_by_pattern_of_a_concept_and_ordered_slices() -> None:
    coding = {"system": "urn:s", "code": "1"}
    definition = profile(
        "p", "Observation",
        {"id": "Observation.component",
         "slicing": {"discriminator": [{"type": "pattern", "path": "code"}], "ordered": True,
                     "rules": "open"}},
        {"id": "Observation.component:one", "min": 1},
        {"id": "Observation.component:one.code", "patternCodeableConcept": {"coding": [coding]}},
        {"id": "Observation.component:two"},
        {"id": "Observation.component:two.code",
         "patternCodeableConcept": {"coding": [{"system": "urn:s", "code": "2"}]}},
    )  # fmt: skip
    one = {"code": {"coding": [{**coding, "display": "One"}, {"code": "x"}]}}
    two = {"code": {"coding": [{"system": "urn:s", "code": "2"}]}}
    assert errors({**OBSERVATION, "component": [one, two]}, definition) == []
    assert errors({**OBSERVATION, "component": [two, one]}, definition) == [
        ("structure", "Observation.component[1]")
    ]
    assert errors({**OBSERVATION, "component": [two]}, definition) == [
        ("required", "Observation.component")
    ]


def test_slices_of_a_choice_by_type() -> None:
    definition = profile(
        "p", "Observation",
        {"id": "Observation.value[x]",
         "slicing": {"discriminator": [{"type": "type", "path": "$this"}], "rules": "closed"}},
        {"id": "Observation.value[x]:valueQuantity", "type": [{"code": "Quantity"}]},
        {"id": "Observation.value[x]:valueQuantity.unit", "min": 1},
    )  # fmt: skip
    assert errors({**OBSERVATION, "valueQuantity": {"value": 1}}, definition) == [
        ("required", "Observation.valueQuantity.unit")
    ]
    assert errors({**OBSERVATION, "valueString": "x"}, definition) == [
        ("structure", "Observation.valueString")
    ]


def test_slices_by_existence_and_by_the_code_that_a_required_binding_allows() -> None:
    codes = {
        "resourceType": "ValueSet",
        "url": BASE + "codes",
        "compose": {"include": [{"system": "urn:s", "concept": [{"code": "1"}]}]},
    }
    definition = profile(
        "p", "Patient",
        {"id": "Patient.name",
         "slicing": {"discriminator": [{"type": "exists", "path": "period"}], "rules": "open"}},
        {"id": "Patient.name:old", "max": "1"},
        {"id": "Patient.name:old.period", "min": 1},
        {"id": "Patient.identifier",
         "slicing": {"discriminator": [{"type": "value", "path": "type"}], "rules": "open"}},
        {"id": "Patient.identifier:typed", "min": 1},
        {"id": "Patient.identifier:typed.type",
         "binding": {"strength": "required", "valueSet": BASE + "codes"}},
    )  # fmt: skip
    old = {"family": "O", "period": {"start": "2000"}}
    typed = {"type": {"coding": [{"system": "urn:s", "code": "1"}]}, "value": "1"}
    good = {**PATIENT, "name": [{"family": "N"}, old], "identifier": [typed]}
    assert errors(good, definition, codes) == []
    bad = {**good, "name": [old, old], "identifier": [{"value": "1"}]}
    assert errors(bad, definition, codes) == [
        ("structure", "Patient.name"),
        ("required", "Patient.identifier"),
    ]


def test_entries_of_a_bundle_are_sliced_by_the_profile_of_their_resource() -> None:
    definition = profile(
        "p", "Bundle",
        {"id": "Bundle.entry",
         "slicing": {"discriminator": [{"type": "profile", "path": "resource"}], "rules": "open"}},
        {"id": "Bundle.entry:patient", "min": 1, "max": "1"},
        {"id": "Bundle.entry:patient.resource",
         "type": [{"code": "Patient", "profile": [BASE + "named"]}]},
    )  # fmt: skip
    named = profile("named", "Patient", {"id": "Patient.name", "min": 1})
    bundle = {"resourceType": "Bundle", "type": "collection"}
    entry = {"fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0", "resource": PATIENT}
    bare = {"fullUrl": entry["fullUrl"], "resource": {"resourceType": "Patient"}}
    assert errors({**bundle, "entry": [entry]}, definition, named) == []
    assert errors({**bundle, "entry": [bare]}, definition, named) == [("required", "Bundle.entry")]


def test_references_lead_to_what_the_profile_says() -> None:
    definition = profile(
        "p", "Observation",
        {"id": "Observation.subject",
         "type": [{"code": "Reference", "targetProfile": [BASE + "named"]}]},
    )  # fmt: skip
    named = profile("named", "Patient", {"id": "Patient.name", "min": 1})
    for text, expected in (
        ("Patient/1", []),
        ("Group/1", [("structure", "Observation.subject")]),
        ("#in", [("structure", "Observation.subject")]),
    ):
        body = {**OBSERVATION, "subject": {"reference": text}}
        if text.startswith("#"):
            body["contained"] = [{"resourceType": "Patient", "id": "in"}]
        assert errors(body, definition, named) == expected


def test_references_are_contained_or_versioned_as_the_profile_says() -> None:
    row: Json = {"code": "Reference"}
    for extra, text, expected in (
        ({"aggregation": ["contained"]}, "#in", []),
        ({"aggregation": ["contained"]}, "Patient/1", [("value", "Observation.subject")]),
        ({"versioning": "specific"}, "Patient/1/_history/2", []),
        ({"versioning": "specific"}, "Patient/1", [("value", "Observation.subject")]),
        ({"versioning": "independent"}, "Patient/1/_history/2", [("value", "Observation.subject")]),
    ):
        definition = profile(
            "p", "Observation", {"id": "Observation.subject", "type": [{**row, **extra}]}
        )
        contained = [{"resourceType": "Patient", "id": "in"}] if text == "#in" else []
        body = {**OBSERVATION, "subject": {"reference": text}}
        body |= {"contained": contained} if contained else {}
        assert errors(body, definition) == expected


def test_profiles_may_go_round_in_circles() -> None:
    definition = profile(
        "p", "Patient",
        {"id": "Patient.gender", "fixedCode": "male"},
        {"id": "Patient.link.other",
         "type": [{"code": "Reference", "targetProfile": [BASE + "p"]}]},
    )  # fmt: skip
    link = [{"other": {"reference": "#"}, "type": "seealso"}]
    assert errors({**PATIENT, "link": link}, definition) == []


def test_rules_of_a_profile_are_evaluated_where_they_stand() -> None:
    rule = {"key": "r-1", "severity": "error", "human": "no X", "expression": "family != 'X'"}
    warning = {**rule, "key": "r-2", "severity": "warning", "expression": "given.exists()"}
    definition = profile("p", "Patient", {"id": "Patient.name", "constraint": [rule, warning]})
    body = {**PATIENT, "name": [{"family": "A"}, {"family": "X"}]}
    issues = [(each.severity, each.path, each.text) for each in found(body, definition)]
    assert ("error", "Patient.name[1]", "r-1: no X") in issues
    assert ("warning", "Patient.name[0]", "r-2: no X") in issues
    assert len(issues) == 3


@pytest.mark.parametrize(
    ("strength", "severity"),
    [("required", "error"), ("extensible", "warning"), ("preferred", "information")],
)
def test_bindings_weigh_as_their_strength(strength: str, severity: str) -> None:
    system = {
        "resourceType": "CodeSystem",
        "url": "urn:s",
        "content": "complete",
        "concept": [{"code": "a", "concept": [{"code": "b"}]}, {"code": "c"}],
    }
    codes = {
        "resourceType": "ValueSet",
        "url": BASE + "codes",
        "compose": {
            "include": [
                {
                    "system": "urn:s",
                    "filter": [{"property": "concept", "op": "is-a", "value": "a"}],
                }
            ]
        },
    }
    binding = {"strength": strength, "valueSet": BASE + "codes|1"}
    definition = profile("p", "Observation", {"id": "Observation.code", "binding": binding})
    for code, expected in (("b", []), ("c", [(severity, "Observation.code")])):
        body = {**OBSERVATION, "code": {"coding": [{"system": "urn:s", "code": code}]}}
        issues = found(body, definition, codes, system)
        assert [(each.severity, each.path) for each in issues] == expected
    unknown = {**OBSERVATION, "code": {"coding": [{"system": "urn:s", "code": "z"}]}}
    assert ("error", "Observation.code.coding[0].code") in [
        (each.severity, each.path) for each in found(unknown, definition, codes, system)
    ]


EXTENSION = profile(
    "ext", "Extension",
    {"id": "Extension.url", "fixedUri": BASE + "ext"},
    {"id": "Extension.value[x]", "min": 1, "type": [{"code": "boolean"}]},
    context=[{"type": "element", "expression": "Patient.name"}],
)  # fmt: skip


def _extended(where: str, extension: Json, key: str = "extension") -> Json:
    body = copy.deepcopy(PATIENT)
    (body["name"][0] if where == "name" else body)[key] = [extension]
    return body


def test_extensions_are_held_against_their_definition_and_its_context() -> None:
    good = {"url": BASE + "ext", "valueBoolean": True}
    assert errors(_extended("name", good), EXTENSION, asked="") == []
    wrong = {"url": BASE + "ext", "valueString": "x"}
    assert errors(_extended("name", wrong), EXTENSION, asked="") == [
        ("structure", "Patient.name[0].extension[0].valueString")
    ]
    assert errors(_extended("patient", good), EXTENSION, asked="") == [
        ("structure", "Patient.extension[0]")
    ]
    modifier = _extended("name", good)
    modifier["modifierExtension"] = [good]
    assert ("structure", "Patient.modifierExtension[0]") in errors(modifier, EXTENSION, asked="")


def test_unknown_extensions_weigh_as_the_settings_say_and_modifiers_are_errors() -> None:
    body = _extended("patient", {"url": "http://unknown.org/x", "valueBoolean": True})
    for severity in ("information", "warning", "error"):
        own = Settings(unknown_extensions=severity)
        assert [each.severity for each in found(body, asked="", settings=own)] == [severity]
    trusted = Settings(unknown_extensions="error", trusted_extensions=("http://unknown.org/",))
    assert found(body, asked="", settings=trusted) == []
    body["modifierExtension"] = body.pop("extension")
    assert errors(body, asked="") == [("extension", "Patient.modifierExtension[0]")]


def test_supported_elements_are_told_on_demand() -> None:
    definition = profile(
        "p", "Patient",
        {"id": "Patient.name", "mustSupport": True},
        {"id": "Patient.birthDate", "mustSupport": True},
    )  # fmt: skip
    assert found(PATIENT, definition) == []
    told = found(PATIENT, definition, settings=Settings(must_support=True))
    assert [(each.severity, each.path) for each in told] == [("information", "Patient.birthDate")]


def test_declared_profiles_count_and_unknown_ones_are_a_warning() -> None:
    definition = profile("p", "Patient", {"id": "Patient.birthDate", "min": 1})
    body = {**PATIENT, "meta": {"profile": [BASE + "p", BASE + "unknown"]}}
    index = {definition["url"]: definition}
    issues = validate_profiles(body, Profiles(index.get))
    assert [(each.severity, each.path) for each in issues] == [
        ("error", "Patient.birthDate"),
        ("warning", "Patient.meta.profile"),
    ]
    wrong = {**OBSERVATION, "meta": {"profile": [BASE + "p"]}}
    assert [each.code for each in validate_profiles(wrong, Profiles(index.get))] == ["value"]


def test_documents_lead_from_the_composition_to_their_entries() -> None:
    url = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    composition = {
        "resourceType": "Composition",
        "status": "final",
        "type": {"text": "t"},
        "date": "2026-01-01",
        "title": "T",
        "subject": {"reference": "Patient/1"},
        "author": [{"reference": url}],
    }
    bundle: Json = {
        "resourceType": "Bundle",
        "type": "document",
        "identifier": {"system": "urn:x", "value": "1"},
        "timestamp": "2026-01-01T00:00:00Z",
        "entry": [
            {"fullUrl": url.replace("0c", "1c"), "resource": composition},
            {"fullUrl": url, "resource": {"resourceType": "Practitioner"}},
        ],
    }
    assert errors(bundle, asked="") == [("not-found", "Bundle.entry[0].resource.subject.reference")]
    twice = copy.deepcopy(bundle)
    twice["entry"][1]["fullUrl"] = "Practitioner/1"
    assert ("value", "Bundle.entry[1].fullUrl") in errors(twice, asked="")


QUESTIONNAIRE: Json = {
    "resourceType": "Questionnaire",
    "url": BASE + "q",
    "status": "active",
    "item": [
        {"linkId": "smokes", "type": "boolean", "required": True},
        {
            "linkId": "many",
            "type": "integer",
            "enableWhen": [{"question": "smokes", "operator": "=", "answerBoolean": True}],
            "required": True,
        },
        {"linkId": "kind", "type": "choice", "answerOption": [{"valueCoding": {"code": "a"}}]},
    ],
}


@pytest.mark.parametrize(
    ("items", "codes"),
    [
        ([("smokes", {"valueBoolean": False})], []),
        ([("smokes", {"valueBoolean": True}), ("many", {"valueInteger": 3})], []),
        ([("smokes", {"valueBoolean": True})], ["required"]),
        ([("smokes", {"valueBoolean": False}), ("many", {"valueInteger": 3})], ["invalid"]),
        ([("smokes", {"valueString": "no"})], ["invariant"]),
        ([("smokes", {"valueBoolean": False}), ("other", {"valueInteger": 3})], ["not-found"]),
        ([("smokes", {"valueBoolean": False}), ("kind", {"valueCoding": {"code": "b"}})],
         ["code-invalid"]),
        ([("kind", {"valueCoding": {"code": "a"}}), ("smokes", {"valueBoolean": False})],
         ["structure"]),
    ],
)  # fmt: skip
def test_answers_go_with_their_questionnaire(
    items: list[tuple[str, Json]], codes: list[str]
) -> None:
    response = {
        "resourceType": "QuestionnaireResponse",
        "status": "completed",
        "questionnaire": BASE + "q",
        "item": [{"linkId": link, "answer": [answer]} for link, answer in items],
    }
    assert [code for code, _ in errors(response, QUESTIONNAIRE, asked="")] == codes


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("$this", ()),
        ("code.coding", (Step("child", "code"), Step("child", "coding"))),
        ("$this.resolve()", (Step("resolve", ""),)),
        ("value.ofType(Coding)", (Step("child", "value"), Step("type", "Coding"))),
        ("extension('urn:x').value", (Step("extension", "urn:x"), Step("child", "value"))),
        ("code.where(a = b)", None),
    ],
)
def test_paths_of_discriminators(text: str, expected: Any) -> None:
    assert steps(text) == expected


SMALL = [body for body in r4_examples().values() if len(body) < 5_000]
_BROKEN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.data())
def test_broken_resources_never_break_the_validator(data: st.DataObject) -> None:
    resource = load(data.draw(st.sampled_from(SMALL)))
    holder: Any = resource
    for _ in range(data.draw(st.integers(0, 5))):
        if isinstance(holder, dict) and holder:
            key: Any = data.draw(st.sampled_from(sorted(holder)))
        elif isinstance(holder, list) and holder:
            key = data.draw(st.integers(0, len(holder) - 1))
        else:
            break
        if data.draw(st.booleans()) and isinstance(holder[key], dict | list):
            holder = holder[key]
        else:
            holder[key] = data.draw(_BROKEN)
            break
    definition = profile("p", "Patient", *IDENTIFIERS)
    assert isinstance(found(resource, definition, EXTENSION, QUESTIONNAIRE), list)
