"""FHIRPath expressions mean what the specification says, or are refused when compiled."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.definitions import RESOURCE_TYPES, search_parameters, type_kind
from pater.fhir.fhirpath import FhirPathError, compile_expression
from pater.fhir.fhirpath.parser import parse
from pater.fhir.search.parameters import INDEXED, indexed_parameters

OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "status": "final",
    "contained": [{"resourceType": "Patient", "id": "p"}],
    "code": {"coding": [{"system": "http://loinc.org", "code": "a"}, {"code": "b"}], "text": "t"},
    "subject": {"reference": "Patient/1"},
    "performer": [
        {"reference": "Practitioner/1"},
        {"reference": "#p"},
        {"reference": "urn:uuid:1", "type": "Organization"},
    ],
    "effectiveDateTime": "2026-03",
    "valueQuantity": {"value": Decimal("5.40"), "unit": "mmol/l"},
    "component": [
        {"code": {"text": "c1"}, "valueString": "x"},
        {"code": {"text": "c2"}, "valueQuantity": {"value": 7}},
    ],
    "_issued": {"extension": [{"url": "http://e.example", "valueString": "e"}]},
    "extension": [{"url": "http://e.example", "valueCode": "z"}],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("Observation.code.coding.code", ["a", "b"]),
        ("code.coding[1].code", ["b"]),
        ("Observation.code.coding.where(system = 'http://loinc.org').code", ["a"]),
        ("(Observation.value as Quantity).unit", ["mmol/l"]),
        ("Observation.value.as(Quantity).value", [Decimal("5.40")]),
        ("Observation.value.ofType(string)", []),
        ("Observation.component.value.ofType(string)", ["x"]),
        ("Observation.component[0].value.is(string)", [True]),
        ("Observation.component.value", ["x", {"value": 7}]),
        ("Observation.value is Quantity", [True]),
        ("Observation.value.value = 5.4", [True]),
        ("Observation.value.value > 5 and status = 'final'", [True]),
        ("Observation.status | Observation.code.text", ["final", "t"]),
        ("Observation.status | Observation.status", ["final"]),
        ("Observation.subject.where(resolve() is Patient).reference", ["Patient/1"]),
        ("Observation.performer.where(resolve() is Patient).reference", ["#p"]),
        ("Observation.performer.where(resolve() is Organization).type", ["Organization"]),
        ("Observation.contained.ofType(Patient).id", ["p"]),
        ("Observation.contained.id", ["p"]),
        ("Observation.extension('http://e.example').value", ["z"]),
        ("Observation.issued.extension('http://e.example').value.ofType(string)", ["e"]),
        ("Observation.component.where(code.text = 'c2').value.value", [7]),
        ("Observation.component.exists(code.text = 'c3')", [False]),
        ("Observation.component.all(code.exists())", [True]),
        ("Observation.component.count()", [2]),
        ("Observation.component.code.text.last()", ["c2"]),
        ("Observation.bodySite.exists()", [False]),
        ("Observation.bodySite.empty()", [True]),
        ("Observation.bodySite.exists().not()", [True]),
        ("Observation.bodySite.text = 'x'", []),
        ("Observation.effective < @2026-04-01", [True]),
        ("Observation.effective = @2026-03-05", []),
        ("'a' in Observation.code.coding.code", [True]),
        ("false or {}", []),
        ("true or {}", [True]),
        ("false implies {}", [True]),
        ("'It\\'s \\u0159' ~ 'it\\'s Ř'", [True]),
        ("%resource.status", ["final"]),
        ("Observation.status.select($this = 'final')", [True]),
    ],
)
def test_expressions(expression: str, expected: list[Any]) -> None:
    assert compile_expression(expression, "Observation").evaluate(OBSERVATION) == expected


def test_deceased_is_true_for_a_date_and_false_without_anything() -> None:
    expression = compile_expression(
        "Patient.deceased.exists() and Patient.deceased != false", "Patient"
    )
    assert expression.holds({"resourceType": "Patient", "deceasedDateTime": "2020"})
    assert expression.holds({"resourceType": "Patient", "deceasedBoolean": True})
    assert not expression.holds({"resourceType": "Patient", "deceasedBoolean": False})
    assert expression.evaluate({"resourceType": "Patient"}) == [False]


@pytest.mark.parametrize(
    "expression",
    [
        "", "Observation.", "Observation.code[", "Observation.(code)", "'open", "a ==", "@",
        "Observation.nothing", "Patient.name", "Observation.value.where(nothing)", "code.upper(1)",
        "Observation.code.where()", "%unknown", "Observation.code +", "nothing()", "code.iif(true)",
        "Observation.value as Nonsense", "(value as Period).unit", "@T14Z", "@201",
        "(" * 500, "a" * 30_000, "not " * 500,
    ],
)  # fmt: skip
def test_what_is_wrong_or_not_supported_is_refused_when_compiled(expression: str) -> None:
    with pytest.raises(FhirPathError):
        compile_expression(expression, "Observation")


@given(st.text(alphabet="ab.()[]'|=<>! {}@$%1-T:andoris\\`/*,", max_size=60))
def test_any_text_parses_or_is_refused(text: str) -> None:
    try:
        parse(text)
    except FhirPathError:
        pass


def test_all_search_parameters_of_all_types_compile() -> None:
    refused = set()
    for name in RESOURCE_TYPES:
        for code, parameter in search_parameters(name).items():
            wanted = parameter.type in INDEXED and code not in ("_id", "_lastUpdated")
            if wanted and code not in indexed_parameters(name):
                refused.add(f"{name}.{code}" if parameter.expression else code)
    # R4 gives no expression for _text, _content and _query; DeviceDefinition has no element
    # `classification`, although R4 publishes a parameter for it.
    assert refused == {"_text", "_content", "_query", "DeviceDefinition.classification"}


def test_types_are_known() -> None:
    typed = compile_expression("Observation.component.value", "Observation").typed(OBSERVATION)
    assert [kind.name for kind, _ in typed] == ["string", "Quantity"]
    assert all(type_kind(kind.name) for kind, _ in typed)
