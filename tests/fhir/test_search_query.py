"""Searches are understood as R4 defines them, or refused with every fault named."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.search.index import index_values
from pater.fhir.search.query import (
    Chain,
    Condition,
    DateTerm,
    Include,
    MissingTerm,
    NumberTerm,
    ReferenceTerm,
    SearchError,
    SearchRequest,
    Sort,
    StringTerm,
    TokenTerm,
    UriTerm,
    matches,
    parse_search,
)

UCUM = "http://unitsofmeasure.org"
OBSERVATION: dict[str, Any] = {
    "resourceType": "Observation",
    "id": "o1",
    "meta": {"lastUpdated": "2026-03-02T10:00:00.123Z", "profile": ["http://hl7.cz/p"]},
    "status": "final",
    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}, {"code": "local"}]},
    "subject": {"reference": "Patient/1", "identifier": {"system": "rid", "value": "9"}},
    "performer": [{"reference": "https://x.example/Practitioner/7"}],
    "effectiveDateTime": "2026-03-01",
    "valueQuantity": {"value": 5.4, "unit": "mmol per l", "system": UCUM, "code": "mmol/L"},
}
PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "name": [{"family": "Nováková", "given": ["Jana"]}],
    "birthDate": "1980-05-01",
}


def one(type_: str, name: str, value: str) -> Condition:
    (condition,) = parse_search(type_, [(name, value)], whole=True).conditions
    return condition


def met(resource: dict[str, Any], name: str, value: str) -> bool:
    kind = resource["resourceType"]
    return matches(one(kind, name, value), resource, index_values(kind, resource))


def refusal(type_: str, *params: tuple[str, str]) -> list[str]:
    with pytest.raises(SearchError) as caught:
        parse_search(type_, params, whole=True)
    assert all(issue.severity == "error" for issue in caught.value.issues)
    return [issue.text for issue in caught.value.issues]


def test_each_kind_of_parameter_has_its_terms() -> None:
    day = datetime(2026, 3, 1, tzinfo=UTC)
    end = datetime(2026, 3, 1, 23, 59, 59, 999999, tzinfo=UTC)
    expected: list[tuple[str, str, Condition]] = [
        ("code", "s|a,|b,c", Condition("code", "token", None, (
            TokenTerm("s", "a"), TokenTerm("", "b"), TokenTerm(None, "c")))),
        ("code", "s|", Condition("code", "token", None, (TokenTerm("s", None),))),
        ("status:not", "final", Condition("status", "token", "not", (TokenTerm(None, "final"),))),
        ("value-string:exact", r"a\,b", Condition(
            "value-string", "string", "exact", (StringTerm("a,b"),))),
        ("date", "ge2026-03-01", Condition("date", "date", None, (DateTerm("ge", day, end),))),
        ("subject", "Patient/1", Condition("subject", "reference", None, (
            ReferenceTerm(("Patient",), "1", None),))),
        ("patient", "1", Condition("patient", "reference", None, (
            ReferenceTerm(("Patient",), "1", None),))),
        ("subject:Group", "1", Condition("subject", "reference", "Group", (
            ReferenceTerm(("Group",), "1", None),))),
        ("subject:identifier", "rid|9", Condition("subject", "reference", "identifier", (
            TokenTerm("rid", "9"),))),
        ("value-quantity", "gt5.4|u|mg", Condition("value-quantity", "quantity", None, (
            NumberTerm("gt", 5.4, 5.35, 5.45, "u", "mg"),))),
        ("_profile", "http://hl7.cz/p", Condition("_profile", "uri", None, (
            UriTerm("http://hl7.cz/p"),))),
        ("_id", "a,b", Condition("_id", "id", None, (
            TokenTerm(None, "a"), TokenTerm(None, "b")))),
        ("_lastUpdated", "2026-03-01", Condition("_lastUpdated", "lastUpdated", None, (
            DateTerm("eq", day, end),))),
        ("date:missing", "true", Condition("date", "date", "missing", (MissingTerm(True),))),
    ]  # fmt: skip
    for name, value, condition in expected:
        assert one("Observation", name, value) == condition


def test_chains_reach_each_type_that_has_the_rest() -> None:
    family = Condition("family", "string", None, (StringTerm("Nov"),))
    assert one("Observation", "subject.family", "Nov") == Condition(
        "subject", "chain", None, chain=(Chain("Patient", family),)
    )
    typed = one("Observation", "subject:Patient.identifier", "rid|9")
    assert (typed.modifier, [link.type for link in typed.chain]) == ("Patient", ["Patient"])
    untyped = one("Observation", "subject.identifier", "rid|9")
    assert {link.type for link in untyped.chain} == {"Patient", "Group", "Device", "Location"}
    assert [link.type for link in one("Observation", "patient.identifier", "1").chain] == [
        "Patient"
    ]
    deep = one("Observation", "encounter.service-provider.name:exact", "Nemocnice")
    (link,) = deep.chain[0].condition.chain
    assert (link.type, link.condition.modifier) == ("Organization", "exact")


def test_reverse_chains_name_who_refers() -> None:
    condition = one("Patient", "_has:Observation:patient:code", "8867-4")
    code = Condition("code", "token", None, (TokenTerm(None, "8867-4"),))
    assert condition == Condition("patient", "has", chain=(Chain("Observation", code),))
    nested = one("Patient", "_has:Observation:patient:_has:AuditEvent:entity:agent", "Device/1")
    assert nested.chain[0].condition.kind == "has"


def test_how_the_result_is_shaped() -> None:
    request = parse_search(
        "Observation",
        [
            ("_sort", "-date,_id"), ("_count", "0"), ("_total", "accurate"), ("_cursor", "c"),
            ("_include", "Observation:subject:Patient"), ("_include", "*"),
            ("_include:iterate", "Patient:organization"), ("_revinclude", "Provenance:target"),
            ("_summary", "data"), ("_elements", "code,Observation.subject"),
            ("_format", "json"), ("_pretty", "true"),
        ],
    )  # fmt: skip
    assert request == SearchRequest(
        "Observation",
        sort=(Sort("date", True), Sort("_id", False)),
        count=0,
        total="accurate",
        cursor="c",
        summary="data",
        elements=("code", "subject"),
        includes=(
            Include("Observation", "subject", "Patient", False, False),
            Include("Observation", "*", None, False, False),
            Include("Patient", "organization", None, False, True),
            Include("Provenance", "target", None, True, False),
        ),
    )


def test_a_reference_by_this_servers_address_means_the_resource_here() -> None:
    here = parse_search(
        "Observation",
        [("subject", "https://me.example/fhir/Patient/1")],
        base_url="https://me.example/fhir/",
    )
    assert here.conditions[0].values == (ReferenceTerm(("Patient",), "1", None),)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("nonsense", "x"), ("", "x"), ("code", ""), ("code", "|"), ("code", "a|b|c"),
        ("code:text", "-"), ("code:exact", "x"), ("code:", "x"),
        ("date", "today"), ("date", "xx2026"), ("date", "2026-02-30"), ("date:exact", "2026"),
        ("date", "2026,,2027"), ("value-quantity", "5|mg"), ("value-quantity", "5|s|"),
        ("value-quantity", "1e999"), ("subject", "Organization/1"), ("subject", "a b"),
        ("encounter:below", "1"), ("subject:Nonsense", "1"), ("focus", "1"),
        ("subject:Patient", "Group/1"), ("subject.nonsense", "x"), ("code.text", "x"),
        ("subject:Medication.code", "x"), ("subject.birthdate", "x"), ("value-string", "́"),
        ("_id", "a/b"), ("_lastUpdated", "x"), ("_text", "-"), ("_content", "-x"),
        ("_filter", "x"), ("combo-code-value-quantity", "a"), ("_count", "-1"),
        ("_count", "x"), ("_total", "yes"), ("_summary", "yes"), ("_elements", "nonsense"),
        ("_sort", "nonsense"), ("_sort", ""), ("_sort", ",".join(["date"] * 21)),
        ("_include", "Observation"),
        ("_include", "Observation:code"), ("_include", "Patient:organization"),
        ("_include", "Observation:subject:Medication"), ("_revinclude", "*:*"),
        ("_revinclude", "Patient:organization"), ("_has:Observation:patient", "x"),
        ("_has:Nonsense:patient:code", "x"), ("_has:Observation:code:code", "x"),
        ("_has:Observation:patient:code", "x"), ("date:missing", "maybe"),
        ("encounter.subject.organization.partof.partof.name", "x"),
    ],
)  # fmt: skip
def test_what_cannot_be_answered_is_refused(name: str, value: str) -> None:
    assert len(refusal("Observation", (name, value))) == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [("_contained", "true"), ("_contained", "both"), ("_list", "$current-problems"),
     ("subject:below", "Location/1")],
)  # fmt: skip
def test_what_only_a_whole_search_takes(name: str, value: str) -> None:
    """A scope, a subscription, a filter of an export look at conditions alone."""
    with pytest.raises(SearchError):
        parse_search("Condition" if name == "_list" else "Observation", [(name, value)])


def test_all_faults_are_named_together_and_none_repeats_a_value() -> None:
    secret = "8001011234"
    texts = refusal("Patient", ("birthdate", secret + "x"), ("rc", secret), ("name", "ok"))
    assert len(texts) == 2
    assert not any(secret in text for text in texts)
    assert refusal("Observation", ("_count", "1"), ("_count", "2"))
    assert refusal("Nonsense")


@pytest.mark.parametrize(
    "params",
    [
        [("code", "a")] * 61,
        [("code", ",".join(map(str, range(1001))))],
        [("_include", "Observation:subject")] * 31,
        [("focus.subject.subject.subject.zzz", "a")],
    ],
)
def test_a_request_without_bounds_is_refused(params: list[tuple[str, str]]) -> None:
    assert refusal("Observation", *params)


@given(
    st.lists(
        st.tuples(
            st.sampled_from(
                ["code", "date", "subject", "_id", "_sort", "_include", "value-quantity", "_has:",
                 "subject:Patient.name", "_has:Observation:patient:code", "_count", "_elements"]
            )
            | st.text(max_size=20),
            st.text(max_size=30),
        ),
        max_size=4,
    )
)  # fmt: skip
def test_any_text_is_understood_or_refused(params: list[tuple[str, str]]) -> None:
    for type_ in ("Observation", "Patient"):
        try:
            parse_search(type_, params)
        except SearchError as error:
            assert error.issues


@given(st.lists(st.text(min_size=1, max_size=8), min_size=1, max_size=4))
def test_escaped_values_come_through_unchanged(codes: list[str]) -> None:
    escaped = [
        "".join(f"\\{c}" if c in "\\,|$" else c for c in code) for code in dict.fromkeys(codes)
    ]
    condition = one("Observation", "code", ",".join(escaped))
    assert condition.values == tuple(TokenTerm(None, code) for code in dict.fromkeys(codes))


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("code", "8867-4", True), ("code", "http://loinc.org|8867-4", True),
        ("code", "http://loinc.org|", True), ("code", "|8867-4", False), ("code", "|local", True),
        ("code", "other,local", True), ("code:not", "8867-4", False), ("code:not", "x", True),
        ("status", "http://hl7.org/fhir/observation-status|final", True),
        ("subject", "Patient/1", True), ("subject", "1", True), ("subject", "Group/1", False),
        ("patient", "1", True), ("patient", "2", False), ("subject:Group", "1", False),
        ("subject:identifier", "rid|9", True), ("subject:identifier", "9", True),
        ("subject:identifier", "other|9", False),
        ("performer", "https://x.example/Practitioner/7", True),
        ("performer", "Practitioner/7", False),
        ("_profile", "http://hl7.cz/p", True), ("_profile", "http://hl7.cz", False),
        ("_id", "o1", True), ("_id", "o2,o1", True), ("_id:not", "o1", False),
        ("_lastUpdated", "2026-03-02", True), ("_lastUpdated", "gt2026-03-02", False),
        ("encounter:missing", "true", True), ("encounter:missing", "false", False),
        ("code:missing", "true", False), ("value-quantity:missing", "false", True),
        ("value-quantity", "5.4", True), ("value-quantity", "5", True),
        ("value-quantity", "5.40", True), ("value-quantity", "5.5", False),
        ("value-quantity", f"5.4|{UCUM}|mmol/L", True), ("value-quantity", "5.4||mmol/L", True),
        ("value-quantity", "5.4||mmol per l", True), ("value-quantity", "5.4||mg", False),
        ("value-quantity", f"5.4|{UCUM}|mg", False), ("value-quantity", "gt5.4", False),
        ("value-quantity", "ge5.4", True), ("value-quantity", "lt5.4", False),
        ("value-quantity", "lt5.5", True), ("value-quantity", "ne5.4", False),
        ("value-quantity", "ap5.8", True), ("value-quantity", "ap8", False),
        ("value-quantity", "54e-1", True), ("value-quantity", "eb6", True),
        ("value-quantity", "sa5", True),
    ],
)  # fmt: skip
def test_matching(name: str, value: str, expected: bool) -> None:
    assert met(OBSERVATION, name, value) is expected


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        ("family", "novak", True), ("family", "NOVÁK", True), ("family", "akova", False),
        ("family:contains", "akova", True), ("family:exact", "Nováková", True),
        ("family:exact", "novakova", False), ("name", "jan", True), ("name", "petr,jan", True),
        ("birthdate", "1980", True), ("birthdate", "1980-05-02", False),
        ("given:missing", "false", True), ("address-city:missing", "true", True),
    ],
)  # fmt: skip
def test_matching_of_people(name: str, value: str, expected: bool) -> None:
    assert met(PATIENT, name, value) is expected


@pytest.mark.parametrize(
    ("value", "day", "march", "since_march"),
    [
        # an Observation of 2026-03-15, one of 2026-03, one from 2026-03-10 without an end
        ("2026-03-15", True, False, False), ("2026-03", True, True, False),
        ("2026", True, True, False), ("ne2026-03", False, False, True),
        ("gt2026-03-14", True, True, True), ("gt2026-03-15", False, True, True),
        ("gt2026-03", False, False, True), ("ge2026-03", True, True, True),
        ("ge2026-03-15", True, True, True), ("ge2026-04", False, False, True),
        ("lt2026-03-15", False, True, True), ("lt2026-03", False, False, False),
        ("le2026-03", True, True, False), ("le2026-03-15", True, True, True),
        ("sa2026-02", True, True, True), ("sa2026-03-14", True, False, False),
        ("eb2026-04", True, True, False), ("eb2026-03-16", True, False, False),
        ("ap2026-03-16", True, True, True), ("ap2026-03-01", False, True, False),
        ("ap2027-06", False, False, True), ("ge2026-03-15T12:00:00 01:00", True, True, True),
    ],
)  # fmt: skip
def test_date_prefixes(value: str, day: bool, march: bool, since_march: bool) -> None:
    elements: list[dict[str, Any]] = [
        {"effectiveDateTime": "2026-03-15"},
        {"effectiveDateTime": "2026-03"},
        {"effectivePeriod": {"start": "2026-03-10"}},
    ]
    got = [met({"resourceType": "Observation", **each}, "date", value) for each in elements]
    assert got == [day, march, since_march]


def test_precision_of_numbers_follows_their_digits() -> None:
    spans = {}
    for text in ("100", "100.00", "1e2", "ap100", "-5.4", "0"):
        (term,) = one("RiskAssessment", "probability", text).values
        assert isinstance(term, NumberTerm)
        spans[text] = (term.low, term.high)
    assert spans == {
        "100": (99.5, 100.5), "100.00": (99.995, 100.005), "1e2": (95.0, 105.0),
        "ap100": (90.0, 110.0), "-5.4": (-5.45, -5.35), "0": (-0.5, 0.5),
    }  # fmt: skip


def test_chained_conditions_cannot_be_rechecked_here() -> None:
    condition = one("Observation", "subject.family", "x")
    with pytest.raises(ValueError, match="other resources"):
        matches(condition, OBSERVATION, index_values("Observation", OBSERVATION))
