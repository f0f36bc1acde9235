"""Walking a resource once finds what the expressions of its search parameters say, one by one."""

from __future__ import annotations

import struct
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir import ucum
from pater.fhir.definitions import RESOURCE_TYPES
from pater.fhir.search.extract import add_values, values_of
from pater.fhir.search.index import IndexValues, index_values
from pater.fhir.search.parameters import COMBINED, asked_as, indexed_parameters
from pater.store.tokens import resource_tokens
from pater.store.write import Put
from pater.store.write_rows import index
from tests.shared_data import documents, load, r4_examples

UCUM = "http://unitsofmeasure.org"
_FIELDS = ("tokens", "references", "strings", "dates", "numbers", "uris")


def one_by_one(kind: str, resource: dict[str, Any]) -> IndexValues:
    """The values as each expression gives them by itself, of a whole under all its parts."""
    out = IndexValues()
    for code, parameter in indexed_parameters(kind).items():
        if (kind, code) not in COMBINED:
            add_values(code, parameter, resource, out)
    return out


def told(values: IndexValues, kind: str, code: str) -> set[str]:
    """The texts under which a parameter finds a resource."""
    return {each.value for each in values.strings if each.param in asked_as(kind, code)}


def assert_same(kind: str, resource: dict[str, Any]) -> None:
    walked, evaluated = index_values(kind, resource), one_by_one(kind, resource)
    wholes = {code for type, code in COMBINED if type == kind}
    for code in wholes & {"name", "phonetic", "address"}:
        texts = values_of(code, indexed_parameters(kind)[code], resource).strings
        assert told(walked, kind, code) == {each.value for each in texts}, (kind, code)
    # a whole says beside its parts only what they do not
    walked.strings[:] = [each for each in walked.strings if each.param not in wholes]
    for name in _FIELDS:
        assert set(getattr(walked, name)) == set(getattr(evaluated, name)), (kind, name)


def test_examples_and_documents_give_the_same_values_either_way() -> None:
    resources = [load(body) for body in r4_examples().values()]
    for body in documents("cz-hdr", "eu-hdr").values():
        resources += [entry["resource"] for entry in load(body)["entry"]]
    seen = 0
    for resource in resources:
        if resource.get("resourceType") in RESOURCE_TYPES:
            assert_same(resource["resourceType"], resource)
            seen += 1
    assert seen > 700


LEAF = (
    st.none() | st.booleans() | st.integers(-3, 3) | st.sampled_from(
        ["", "Patient/1", "#p", "urn:uuid:1", "2024-02", "phone", "Group", "http://a.b/Patient/2"]
    )
)  # fmt: skip
KEYS = ["reference", "type", "identifier", "value", "system", "coding", "code", "start", "unit"]
JSON = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=4)
    ),
    max_leaves=10,
)


@given(
    st.sampled_from(["Observation", "Patient"]),
    st.dictionaries(
        st.sampled_from(
            ["subject", "effectiveDateTime", "valueQuantity", "code", "component", "identifier",
             "performer", "meta", "telecom", "name", "link", "deceasedBoolean", "active"]
        ),
        JSON,
    ),
)  # fmt: skip
def test_malformed_resources_give_the_same_values_either_way(
    kind: str, resource: dict[str, Any]
) -> None:
    assert_same(kind, resource)


@pytest.mark.parametrize("order", [(0.0, -0.0), (-0.0, 0.0)])
def test_what_was_seen_before_changes_no_value(order: tuple[float, float]) -> None:
    for value in order:
        resource = {"valueQuantity": {"value": value, "system": UCUM, "code": "mm[Hg]"}}
        scale = ucum.scale("mm[Hg]")
        assert scale is not None
        rows = index(Put("Observation", "x", 0, resource)).numbers
        assert {struct.pack("d", low) for _, _, low, _ in rows} == {
            struct.pack("d", value), struct.pack("d", scale.base_number(value)),
        }  # fmt: skip


@given(st.floats(allow_nan=False), st.sampled_from(["/min", "kg", "[degF]", "Cel", "mm[Hg]"]))
def test_a_number_in_base_units_is_rounded_once(value: float, code: str) -> None:
    scale = ucum.scale(code)
    assert scale is not None
    found = scale.base_number(value)
    if abs(value) < 1e300:
        exact = ucum.canonical(Decimal(repr(value)), code)[0]
        assert found == float(exact)


def test_the_numbers_of_tokens_never_change() -> None:
    resource = {
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": "Patient/p", "identifier": {"value": "1"}},
    }
    tokens = resource_tokens("Observation", index_values("Observation", resource))
    assert (len(tokens), sum(tokens)) == (12, -20879361647009732615)
