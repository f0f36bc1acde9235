"""A resource offers to search what the R4 search parameters say, in comparable form."""

from __future__ import annotations

import math
import unicodedata
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.definitions import RESOURCE_TYPES, search_parameters
from pater.fhir.search.dates import date_span
from pater.fhir.search.index import (
    MAIN_DATE,
    OPEN_HIGH,
    OPEN_LOW,
    IndexValues,
    NumberValue,
    RangeValue,
    ReferenceValue,
    StringValue,
    TokenValue,
    UriValue,
    index_values,
    normalise,
)
from pater.fhir.search.parameters import COMBINED
from pater.fhir.search.query import matches, parse_search
from tests.shared_data import documents, load, r4_examples

UCUM = "http://unitsofmeasure.org"
LOW, HIGH = datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 3, 31, 23, 59, 59, 999999, tzinfo=UTC)


def index(**resource: Any) -> IndexValues:
    return index_values(resource["resourceType"], resource)


def of(values: list[Any], param: str) -> list[Any]:
    return [tuple(value)[1:] for value in values if value.param == param]


def test_tokens_of_every_data_type() -> None:
    values = index(
        resourceType="Patient",
        meta={"tag": [{"system": "s", "code": "t"}], "security": [{"code": "R"}]},
        identifier=[{"system": "rid", "value": "123"}, {"type": {"text": "no value"}}],
        active=True,
        gender="female",
        telecom=[{"system": "phone", "value": "+420 1"}, {"system": "email", "value": "a@b.cz"}],
        communication=[{"language": {"coding": [{"system": "l", "code": "cs"}, {"system": "m"}]}}],
        deceasedDateTime="2026",
    )
    assert of(values.tokens, "_tag") == [("s", "t")]
    assert of(values.tokens, "_security") == [(None, "R")]
    assert of(values.tokens, "identifier") == [("rid", "123")]
    assert of(values.tokens, "active") == [(None, "true")]
    assert of(values.tokens, "gender") == [("http://hl7.org/fhir/administrative-gender", "female")]
    assert of(values.tokens, "telecom") == [(None, "+420 1"), (None, "a@b.cz")]
    assert of(values.tokens, "email") == [(None, "a@b.cz")]
    assert of(values.tokens, "language") == [("l", "cs"), ("m", None)]
    assert of(values.tokens, "deceased") == [(None, "true")]


def test_names_and_addresses_give_all_their_parts() -> None:
    values = index(
        resourceType="Patient",
        name=[{"family": "Nováková", "given": ["Jana", "Eva"], "text": "MUDr. Jana Nováková"}],
        address=[{"line": ["Hlavní 1"], "city": "Brno", "postalCode": "602 00", "country": "CZ"}],
    )
    # each part once: what has a parameter of its own is not kept under the whole again
    assert of(values.strings, "name") == [("MUDr. Jana Nováková",)]
    assert of(values.strings, "family") == [("Nováková",)]
    assert of(values.strings, "given") == [("Jana",), ("Eva",)]
    assert of(values.strings, "phonetic") == []
    assert of(values.strings, "address") == [("Hlavní 1",)]
    assert of(values.strings, "address-city") == [("Brno",)]
    assert of(values.strings, "address-postalcode") == [("602 00",)]
    assert of(values.strings, "address-country") == [("CZ",)]
    assert of(values.strings, "address-city") == [("Brno",)]


def test_references_of_every_kind() -> None:
    values = index(
        resourceType="Observation",
        meta={"profile": ["http://hl7.cz/p|1.0"], "source": "urn:hospital"},
        subject={
            "reference": "Patient/1/_history/2",
            "identifier": {"system": "rid", "value": "9"},
        },
        encounter={"identifier": {"value": "only"}},
        performer=[
            {"reference": "https://other.example/Practitioner/7"},
            {"reference": "#inside"},
            {"reference": "urn:uuid:1", "type": "Organization"},
        ],
    )
    here = ("Patient", "1", None)
    assert of(values.references, "subject") == of(values.references, "patient") == [here]
    assert of(values.tokens, "subject:identifier") == [("rid", "9")]
    assert of(values.references, "encounter") == []
    assert of(values.tokens, "encounter:identifier") == [(None, "only")]
    assert of(values.references, "performer") == [
        ("Practitioner", None, "https://other.example/Practitioner/7"),
        ("Organization", None, "urn:uuid:1"),
    ]
    assert of(values.uris, "_profile") == [("http://hl7.cz/p|1.0",)]
    assert of(values.uris, "_source") == [("urn:hospital",)]


def test_a_canonical_is_found_with_and_without_its_version() -> None:
    values = index(resourceType="QuestionnaireResponse", questionnaire="http://hl7.cz/q|2.0#a")
    assert of(values.references, "questionnaire") == [
        (None, None, "http://hl7.cz/q"),
        (None, None, "http://hl7.cz/q|2.0"),
    ]


@pytest.mark.parametrize(
    ("element", "low", "high"),
    [
        ({"effectiveDateTime": "2026-03"}, LOW, HIGH),
        ({"effectivePeriod": {"start": "2026-03"}}, LOW, OPEN_HIGH),
        ({"effectivePeriod": {"end": "2026-03"}}, OPEN_LOW, HIGH),
        ({"effectiveInstant": "2026-03-01T01:00:00+01:00"}, LOW, LOW.replace(microsecond=999999)),
        ({"effectiveTiming": {"event": ["2026-03-31", "2026-03-01", "2026-03-07"]}}, LOW, HIGH),
        (
            {"effectiveTiming": {"repeat": {"boundsPeriod": {"start": "2026-03-01"}}}},
            LOW,
            OPEN_HIGH,
        ),
    ],
)
def test_dates_are_spans(element: dict[str, Any], low: datetime, high: datetime) -> None:
    values = index(resourceType="Observation", **element)
    assert values.dates == [RangeValue("date", low, high)]


@pytest.mark.parametrize("wrong", ["2026-02-30", "2026-13", "soon", "0000", "2026-01-01T25:00Z"])
def test_an_impossible_date_is_left_out(wrong: str) -> None:
    assert index(resourceType="Observation", effectiveDateTime=wrong).dates == []
    with pytest.raises(ValueError, match=r"."):
        date_span(wrong)


@pytest.mark.parametrize(
    ("element", "low", "high"),
    [
        ({"valueQuantity": {"value": Decimal("5.40")}}, 5.4, 5.4),
        ({"valueQuantity": {"value": 5, "comparator": "<"}}, -math.inf, 5.0),
        ({"valueQuantity": {"value": 5, "comparator": ">="}}, 5.0, math.inf),
        (
            {"valueSampledData": {"origin": {"value": 10}, "factor": 2, "data": "1 E -3 U 4"}},
            4.0,
            18.0,
        ),
    ],
)
def test_quantities_are_spans(element: dict[str, Any], low: float, high: float) -> None:
    values = index(resourceType="Observation", **element)
    assert of(values.numbers, "value-quantity") == [(low, high, "", "")]


def test_a_quantity_is_found_by_code_and_by_unit() -> None:
    quantity = {"value": 5.4, "unit": "mmol per l", "system": UCUM, "code": "mmol/L"}
    values = index(resourceType="Observation", valueQuantity=quantity)
    assert {value[2:] for value in of(values.numbers, "value-quantity")} == {
        ("", ""), (UCUM, "m-3"), ("", "mmol/L"), ("", "mmol per l"),
    }  # fmt: skip


def test_money_range_and_plain_numbers() -> None:
    invoice = index(resourceType="Invoice", totalNet={"value": 99.5, "currency": "CZK"})
    assert ("totalnet", 99.5, 99.5, "urn:iso:std:iso:4217", "CZK") in map(tuple, invoice.numbers)
    risk = index(
        resourceType="RiskAssessment",
        prediction=[
            {"probabilityDecimal": Decimal("0.25")},
            {"probabilityRange": {"low": {"value": 1}, "high": {"value": 2}}},
        ],
    )
    assert NumberValue("probability", 0.25, 0.25, "", "") in risk.numbers
    assert NumberValue("probability", 1.0, 2.0, "", "") in risk.numbers


def test_inner_resources_and_extra_types() -> None:
    bundle = index(
        resourceType="Bundle",
        timestamp="2026-03",
        entry=[{"resource": {"resourceType": "Composition", "id": "c"}}],
    )
    assert ReferenceValue("composition", "Composition", "c", None) in bundle.references
    assert RangeValue("timestamp", LOW, HIGH) in bundle.dates
    value_set = index(resourceType="ValueSet", url="http://hl7.cz/vs", status="active")
    assert UriValue("url", "http://hl7.cz/vs") in value_set.uris


def test_a_string_parameter_over_a_concept_takes_its_text() -> None:
    values = index(resourceType="Observation", valueCodeableConcept={"text": "Žlutá"})
    assert values.strings == [StringValue("value-string", "Žlutá")]


def test_every_example_and_document_entry_can_be_indexed() -> None:
    resources = [load(body) for body in r4_examples().values()]
    for body in documents("cz-hdr", "eu-hdr").values():
        resources += [entry["resource"] for entry in load(body)["entry"]]
    seen = 0
    for resource in resources:
        if resource.get("resourceType") in RESOURCE_TYPES:
            values = index_values(resource["resourceType"], resource)
            seen += 1
            assert all(low <= high for _, low, high in values.dates)
            assert all(value.low <= value.high for value in values.numbers)
            assert all(each.id or each.url for each in values.references)
            assert all(each.system or each.code for each in values.tokens)
            assert all(each.value for each in (*values.strings, *values.uris))
    assert seen > 700


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(
        st.sampled_from(
            ["subject", "effectiveTiming", "valueQuantity", "code", "component", "identifier",
             "valueSampledData", "effectivePeriod", "meta", "contained"]
        ),
        JSON,
    )
)  # fmt: skip
def test_whatever_stands_in_a_resource_indexing_does_not_raise(resource: dict[str, Any]) -> None:
    index_values("Observation", resource)


def test_the_main_date_is_a_date_parameter_of_its_type() -> None:
    for name, code in MAIN_DATE.items():
        assert search_parameters(name)[code].type == "date"
    expected = {
        "Observation": "date", "Condition": "recorded-date", "MedicationRequest": "authoredon",
        "Patient": "birthdate", "DocumentReference": "date", "Encounter": "date",
    }  # fmt: skip
    assert {name: MAIN_DATE[name] for name in expected} == expected
    assert "Organization" not in MAIN_DATE


def test_texts_are_compared_without_marks_case_and_surplus_blanks() -> None:
    assert normalise("  Příliš\tŽLUŤOUČKÝ  kůň ") == "prilis zlutoucky kun"
    assert normalise("Straße") == normalise("STRASSE")
    assert normalise("ﬁ") == "fi"


@given(st.text(max_size=40))
def test_normalising_is_stable_and_leaves_no_marks(text: str) -> None:
    plain = normalise(text)
    assert normalise(plain) == plain
    assert not any(unicodedata.combining(character) for character in plain)


@given(st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 12, 30)))  # noqa: DTZ001
def test_a_moment_lies_in_the_span_of_its_every_precision(moment: datetime) -> None:
    at = moment.replace(tzinfo=UTC)
    whole = f"{at:%Y-%m-%dT%H:%M:%S}".rjust(19, "0")
    texts = [whole[:4], whole[:7], whole[:10], whole[:16] + "Z", whole, f"{whole}.{at:%f}Z"]
    before: tuple[datetime, datetime] | None = None
    for text in texts:
        low, high = date_span(text)
        assert low <= at <= high
        assert before is None or (before[0] <= low and high <= before[1])
        before = low, high
    assert before == (at, at)


def test_no_value_is_offered_twice() -> None:
    coding = {"system": "s", "code": "c"}
    values = index(resourceType="Observation", code={"coding": [coding, coding]})
    assert values.tokens.count(TokenValue("code", "s", "c")) == 1


def test_parameters_that_are_others_together_are_asked_as_those() -> None:
    def alternatives_of(type_: str, code: str) -> set[str]:
        definition = search_parameters(type_)[code].expression
        return {each.strip() for each in (definition or "").split("|") if f"{type_}." in each}

    for (type_, code), parts in COMBINED.items():
        if type_ == "Observation":
            assert alternatives_of(type_, code) == set().union(
                *(alternatives_of(type_, part) for part in parts)
            )
        assert {search_parameters(type_)[part].type for part in (code, *parts)} == {
            search_parameters(type_)[code].type
        }
    kilo = {"value": 80, "unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}
    resource = {
        "resourceType": "Observation",
        "code": {"coding": [{"code": "whole"}]},
        "component": [{"code": {"coding": [{"code": "part"}]}, "valueQuantity": kilo}],
    }
    index = index_values("Observation", resource)
    assert not [value for value in index.tokens if value.param.startswith("combo")]
    for query, expected in {
        "combo-code=whole": True, "combo-code=part": True, "combo-code=other": False,
        "combo-code:not=part": False, "combo-code:missing=false": True,
        "combo-value-quantity=80||kg": True, "combo-value-quantity=81": False,
        "combo-value-concept:missing=true": True, "code=part": False,
    }.items():  # fmt: skip
        name, _, value = query.partition("=")
        [condition] = parse_search("Observation", [(name, value)]).conditions
        assert matches(condition, resource, index) is expected, query
