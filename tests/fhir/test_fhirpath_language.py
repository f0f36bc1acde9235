"""What FHIRPath may ask of the outside, and what the public suite says little about."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from pater.fhir.fhirpath import Environment, EvaluationError, Quantity, compile_expression

PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "birthDate": "1974-12-25",
    "_birthDate": {"id": "b", "extension": [{"url": "u", "valueString": "noon"}]},
    "gender": "male",
    "name": [
        {
            "given": ["Jan", None, "Petr"],
            "_given": [None, {"extension": [{"url": "x", "valueCode": "n"}]}, None],
        },
        {"family": "Novák", "given": ["Eva"]},
    ],
    "managingOrganization": {"reference": "#o"},
    "generalPractitioner": [{"reference": "Practitioner/7"}],
    "contained": [{"resourceType": "Organization", "id": "o", "name": "Hospital"}],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("birthDate.extension('u').value", ["noon"]),
        ("birthDate.id", ["b"]),
        ("name.given", ["Jan", "Petr", "Eva"]),
        ("name.given.count()", [4]),
        ("name.given.where(hasValue()).count()", [3]),
        ("name.given.extension.value", ["n"]),
        ("name.given[1].hasValue()", [False]),
        ("name.select($index)", [0, 1]),
        ("name.where($index = 1).family", ["Novák"]),
        ("name.all($index < 2)", [True]),
        ("(1 | 2 | 3).aggregate($total + $this, 0)", [6]),
        ("managingOrganization.resolve().name", ["Hospital"]),
        ("managingOrganization.resolve() is Organization", [True]),
        ("generalPractitioner.resolve()", []),
        ("name.descendants().ofType(string).count()", [5]),
        ("birthDate < @1975", [True]),
        ("birthDate < @1974", []),
        ("birthDate = @1974-12", []),
        ("birthDate + 1 month", ["1975-01-25"]),
        ("@2024-01-31 + 1 month", ["2024-02-29"]),
        ("@2024-02-29 + 1 year", ["2025-02-28"]),
        ("@2024 + 13 months", ["2025"]),
        ("@2024-03-01T00:30:00+01:00 - 45 minutes", ["2024-02-29T23:45:00+01:00"]),
        ("@T23:30:00 + 1 hour", ["T00:30:00"[1:]]),
        ("@9999-12-31 + 1 day", []),
        ("5 'mg' < 1 'g'", [True]),
        ("5 'mg' < 1 'cm'", []),
        ("1 'kg' + 500 'g' = 1.5 'kg'", [True]),
        ("1 'mmol/l' = 1000 'umol/L'", [True]),
        ("120 'mm[Hg]' > 12 'kPa'", [True]),
        ("1 'nonsense' = 1 'nonsense'", [True]),
        ("iif(gender = 'male', 'm', 1 / 0)", ["m"]),
        ("9223372036854775806 + 9", []),
        ("'a1b22'.replaceMatches('([0-9]+)', '<$1>')", ["a<1>b<22>"]),
        ("%ucum", ["http://unitsofmeasure.org"]),
        ("%context.gender", ["male"]),
    ],
)
def test_expressions(expression: str, expected: list[Any]) -> None:
    assert compile_expression(expression, "Patient").evaluate(PATIENT) == expected


@pytest.mark.parametrize(
    "expression",
    ["name.single()", "name.given + 'a'", "gender < 1", "name.given.upper()", "gender and name",
     "now()", "'('.matches('(')", "conformsTo('http://e.example')", "@2024-01-01 + 1 'a'"],
)  # fmt: skip
def test_what_has_no_meaning_on_these_values_is_an_error(expression: str) -> None:
    with pytest.raises(EvaluationError):
        compile_expression(expression, "Patient").evaluate(PATIENT)


def test_the_clock_is_the_callers_and_stands_still() -> None:
    times = iter((datetime(2026, 3, 1, 9, 30, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)))
    environment = Environment(PATIENT, clock=lambda: next(times))
    expression = compile_expression("now() | today() | timeOfDay() | now()", "Patient")
    assert expression.evaluate(PATIENT, environment) == [
        "2026-03-01T09:30:00.000+00:00", "2026-03-01", "09:30:00.000",
    ]  # fmt: skip


def test_references_are_resolved_by_the_caller_or_within_a_bundle() -> None:
    practitioner = {"resourceType": "Practitioner", "id": "7", "gender": "female"}
    expression = compile_expression("generalPractitioner.resolve().gender", "Patient")
    asked = Environment(PATIENT, resolver={"Practitioner/7": practitioner}.get)
    assert expression.evaluate(PATIENT, asked) == ["female"]
    bundle = {
        "resourceType": "Bundle",
        "entry": [
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Patient", "gender": "male"}},
            {"resource": {"resourceType": "Observation", "subject": {"reference": "urn:uuid:1"}}},
        ],
    }
    found = compile_expression("entry.resource.ofType(Observation).subject.resolve().gender",
                               "Bundle")  # fmt: skip
    assert found.evaluate(bundle) == ["male"]


def test_value_sets_and_variables_and_traces_are_the_callers() -> None:
    seen: list[tuple[str, list[Any]]] = []
    environment = Environment(
        PATIENT,
        variables={"wanted": ["male", "female"]},
        member_of=lambda value, address: address == "http://e.example" and value == "male",
        trace=lambda name, values: seen.append((name, values)),
    )
    given = compile_expression(
        "gender.trace('g') in %wanted and gender.memberOf('http://e.example')",
        "Patient",
        frozenset(("wanted",)),
    )
    assert given.holds(PATIENT, environment)
    assert seen == [("g", ["male"])]
    unknown = compile_expression("gender.memberOf('http://e.example')", "Patient")
    assert unknown.evaluate(PATIENT) == []


def test_system_values_come_as_plain_data() -> None:
    expression = compile_expression("3.5 'mg' * 2", "Patient")
    kind, value = expression.typed(PATIENT)[0]
    assert kind.name == "System.Quantity" and isinstance(value, Quantity)
    assert expression.evaluate(PATIENT) == [{"value": Decimal("7.0"), "unit": "mg"}]
