"""Whatever is asked for in a search, the answer is a searchset or says what is wrong."""

from __future__ import annotations

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.rest.world import BASE, LOADER, World, observation

TYPES = [
    "Patient", "Observation", "Condition", "AuditEvent", "ValueSet", "DocumentReference", "Bundle",
    "List", "MolecularSequence", "Group", "SearchParameter", "Location",
]  # fmt: skip
NAMES = [
    "_id", "_lastUpdated", "_text", "_content", "_list", "_filter", "_profile", "_tag", "_source",
    "_has:Observation:patient:code", "_has:Observation:subject:_has:Provenance:target:agent",
    "identifier", "name", "family", "birthdate", "code", "value-quantity", "combo-value-quantity",
    "code-value-quantity", "component-code-value-quantity", "combo-code-value-concept", "url",
    "subject", "patient", "patient.name", "subject.identifier", "relationship", "date", "status",
    "characteristic-value", "referenceseqid-window-coordinate", "context-type-value", "near",
    "_sort", "_include", "_revinclude", "_elements", "_summary", "_total", "_count", "_type",
    "_contained", "_query", "_security", "composition", "item", "length", "probability", "entity",
]  # fmt: skip
MODIFIERS = [
    "", "", "", ":missing", ":exact", ":contains", ":text", ":not", ":in", ":not-in", ":above",
    ":below", ":of-type", ":identifier", ":code-text", ":Patient", ":iterate", ":x",
]  # fmt: skip
VALUES = [
    "a", "true", "false", "2026", "ge2026-01-01", "5.4|http://unitsofmeasure.org|mmol/L", "1||g",
    "lt1e300", "-1e-300|http://unitsofmeasure.org|Cel", "http://loinc.org|8867-4", "|x", "x|",
    "*", "a$b", "8867-4$gt5", "a$b$c", "Patient/1", "http://a.example/b/", "urn:x", "a|b|c",
    "_id eq 1", 'name eq "x" or not(birthdate pr true)', "code in http://a", "code ss http://a|b",
    "Observation:*", "Observation:subject", "-date,_id", "count", "accurate", "0", "\\", "\\,",
    "$", "|", "ž OR -b", "subject.name co a",
    "code sb http://hl7.org/fhir/observation-status|final", "Patient,List",
    "http://hl7.org/fhir/ValueSet/observation-status", "9" * 60, "x" * 300, "1e400", "é", "%",
]  # fmt: skip

pairs = st.tuples(
    st.sampled_from(NAMES),
    st.sampled_from(MODIFIERS),
    st.sampled_from(VALUES) | st.text(max_size=8),
).map(lambda each: (each[0] + each[1], each[2]))


@pytest.fixture(scope="module")
async def filled(api: World) -> World:
    """Some of everything, so that hits are compared too."""
    identifier = {"type": {"coding": [{"system": "a", "code": "b"}]}, "system": "a", "value": "c"}
    patient = (await api.patient(identifier=[identifier]))["id"]
    component = {"code": {"coding": [{"code": "8867-4"}]}, "valueQuantity": {"value": 7}}
    await api.create(observation(patient, component=[component]))
    whole = {"reference": f"Patient/{patient}", "display": "a b"}
    await api.create({"resourceType": "Condition", "subject": whole, "code": {"text": "a"}})
    await api.create(
        {"resourceType": "ValueSet", "status": "active", "url": "http://a.example/b/c"}
    )
    await api.create(
        {"resourceType": "List", "status": "current", "mode": "working", "entry": [{"item": whole}]}
    )
    return api


@given(
    type_=st.sampled_from(["", *TYPES]),
    asked=st.lists(pairs, min_size=1, max_size=3),
    lenient=st.booleans(),
)
@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
async def test_any_search_is_answered(
    filled: World, type_: str, asked: list[tuple[str, str]], lenient: bool
) -> None:
    api = filled
    headers = api.headers(LOADER, prefer="handling=lenient" if lenient else "handling=strict")
    answer = await api.http.get(f"{BASE}/{type_}", params=httpx.QueryParams(asked), headers=headers)
    assert answer.status_code in (200, 400), answer.text
    wanted = "Bundle" if answer.status_code == 200 else "OperationOutcome"
    assert answer.json()["resourceType"] == wanted
