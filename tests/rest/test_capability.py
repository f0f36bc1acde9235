"""The CapabilityStatement is valid and promises nothing that the API refuses."""

from __future__ import annotations

import random
from typing import Any

from pater.fhir.definitions import RESOURCE_TYPES, search_parameters
from pater.fhir.validation import validate
from tests.rest.world import BASE, World


async def statement(api: World) -> dict[str, Any]:
    answer = await api.http.get(f"{BASE}/metadata")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


async def test_it_is_valid_and_names_every_type(api: World) -> None:
    found = await statement(api)
    assert not validate(found)
    rest = found["rest"][0]
    assert [r["type"] for r in rest["resource"]] == list(RESOURCE_TYPES)
    assert rest["security"]["service"][0]["coding"][0]["code"] == "SMART-on-FHIR"
    assert {i["code"] for i in rest["interaction"]} == {
        "transaction",
        "batch",
        "history-system",
        "search-system",
    }
    assert found["fhirVersion"] == "4.0.1"


async def test_every_promised_parameter_is_accepted(api: World) -> None:
    resources = (await statement(api))["rest"][0]["resource"]
    probes = {"date": "2020", "number": "1", "quantity": "1", "string": "a", "token": "a",
              "uri": "http://example.org", "reference": "x", "composite": ""}  # fmt: skip
    promised = [
        (resource["type"], param["name"], param["type"])
        for resource in resources
        for param in resource["searchParam"]
    ]
    assert len(promised) > 1200
    assert {kind for _, _, kind in promised} >= {*probes}
    for type_, name, kind in random.Random(7).sample(promised, 80):
        value = probes[kind]
        if kind == "reference":
            target = next(r for r in resources if r["type"] == type_)
            assert any(i == f"{type_}:{name}" for i in target["searchInclude"])
            value = f"{(search_parameters(type_)[name].targets or ('Patient',))[0]}/1"
        if kind == "composite":
            tried = ("a$b", "a$1", "a$2020", "1$1", "Patient/1$a", "a$Patient/1", "Device/1$1")
            answers = [await api.call("GET", f"/{type_}?{name}={each}") for each in tried]
            assert 200 in {each.status_code for each in answers}, (type_, name)
            continue
        answer = await api.call("GET", f"/{type_}?{name}={value}")
        assert answer.status_code == 200, (type_, name, answer.text)


async def test_the_journal_can_only_be_read(api: World) -> None:
    resources = (await statement(api))["rest"][0]["resource"]
    audit = next(r for r in resources if r["type"] == "AuditEvent")
    assert {i["code"] for i in audit["interaction"]} == {
        "read",
        "vread",
        "history-instance",
        "search-type",
    }
    body = {"resourceType": "AuditEvent"}
    answer = await api.call("POST", "/AuditEvent", body)
    assert answer.status_code == 403


async def test_every_promised_reverse_include_is_accepted(api: World) -> None:
    resources = (await statement(api))["rest"][0]["resource"]
    promised = [(r["type"], each) for r in resources for each in r.get("searchRevInclude", ())]
    assert ("Patient", "Observation:patient") in promised
    assert ("Encounter", "Observation:encounter") in promised
    for type_, each in random.Random(7).sample(promised, 25):
        answer = await api.call("GET", f"/{type_}?_revinclude={each}")
        assert answer.status_code == 200, (type_, each, answer.text)
