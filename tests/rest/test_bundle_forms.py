"""Forms of entries: what a batch may read, what `Prefer` returns, conditions, overlaps, patches."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from pater.fhir.validation import validate
from tests.rest.world import World, issues, observation


def entry(method: str, url: str, resource: Any = None, **request: str) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    return made


async def sent(api: World, kind: str, *entries: dict[str, Any], **headers: str) -> Any:
    body = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return await api.call("POST", "", body, **headers)


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_a_bundle_reads_whatever_the_server_knows(api: World, kind: str) -> None:
    patient = (await api.patient())["id"]
    seen = (await api.create(observation(patient)))["id"]
    urls = [
        "metadata", "metadata?mode=full&_elements=fhirVersion", f"Patient/{patient}/$everything",
        f"Observation/{seen}/$validate", f"Observation/{seen}/$meta", f"Patient/{patient}/*",
        f"Observation/_search?patient={patient}", f"Patient/{patient}/Observation/_search",
        f"Patient/{patient}/Observation?code=8867-4", f"Observation/{seen}/_history",
        f"Observation/{seen}/_history/1", f"Observation/{seen}/_history?_count=0", "_history",
        "Observation/_history", f"_search?_type=Patient&_id={patient}",
        f"?_type=Patient&_id={patient}",
        f"Observation/$lastn?patient={patient}", "$versions", f"$diff?from=Observation/{seen}"
        f"&to=Observation/{seen}", f"Patient/{patient}?_summary=true",
    ]  # fmt: skip
    answer = await sent(api, kind, *(entry("GET", url) for url in urls))
    assert answer.status_code == 200, answer.text
    body = answer.json()
    for url, found in zip(urls, body["entry"], strict=True):
        assert found["response"]["status"] == "200", (url, found)
    types = [each["resource"]["resourceType"] for each in body["entry"][:3]]
    assert types == ["CapabilityStatement", "CapabilityStatement", "Bundle"]
    assert not validate(body)


@pytest.mark.parametrize(
    ("url", "status"),
    [("$graphql?query={PatientList{id}}", "400"), ("$nothing", "404"), ("Patient/x/_search", "400"),
     ("metadata?mode=odd", "400"), ("openapi.json", "400"), ("async/1", "400")],
)  # fmt: skip
async def test_what_a_batch_does_not_read_it_says(api: World, url: str, status: str) -> None:
    body = (await sent(api, "batch", entry("GET", url))).json()
    (found,) = body["entry"]
    assert found["response"]["status"] == status
    assert found["response"]["outcome"]["issue"][0]["diagnostics"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
@pytest.mark.parametrize("wish", ["minimal", "representation", "OperationOutcome"])
async def test_prefer_says_what_each_entry_returns(api: World, kind: str, wish: str) -> None:
    made = await api.patient()
    answer = await sent(
        api, kind,
        entry("POST", "Patient", {"resourceType": "Patient", "active": True}),
        entry("PUT", f"Patient/{made['id']}", {**made, "active": False}),
        prefer=f"return={wish}",
    )  # fmt: skip
    body = answer.json()
    assert [e["response"]["status"][:3] for e in body["entry"]] == ["201", "200"]
    for each in body["entry"]:
        assert each["response"]["etag"] and each["response"]["location"]
        assert ("resource" in each) == (wish == "representation")
        outcome = each["response"].get("outcome", {})
        said = [issue["severity"] for issue in outcome.get("issue", ())]
        assert ("information" in said) == (wish == "OperationOutcome")
    assert not validate(body)


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_conditions_of_reads_inside_entries(api: World, kind: str) -> None:
    made = await api.patient()
    address = f"Patient/{made['id']}"
    body = (
        await sent(
            api, kind,
            entry("GET", address, ifNoneMatch='W/"1"'),
            entry("GET", address, ifNoneMatch='W/"7"'),
            entry("GET", address, ifModifiedSince="2999-01-01T00:00:00Z"),
            entry("GET", address, ifModifiedSince="2000-01-01T00:00:00Z"),
        )
    ).json()  # fmt: skip
    statuses = [each["response"]["status"][:3] for each in body["entry"]]
    assert statuses == ["304", "200", "304", "200"]


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_conditions_of_writes_inside_entries(api: World, kind: str) -> None:
    made = await api.patient()
    address = f"Patient/{made['id']}"
    stale = await sent(api, kind, entry("PUT", address, made, ifMatch='W/"7"'))
    there = await sent(api, kind, entry("PUT", address, made, ifNoneMatch="*"))
    gone = await sent(api, kind, entry("DELETE", address, ifMatch='W/"7"'))
    if kind == "transaction":
        assert [each.status_code for each in (stale, there, gone)] == [412] * 3
    else:
        found = [each.json()["entry"][0]["response"]["status"] for each in (stale, there, gone)]
        assert found == ["412"] * 3
    assert (await api.call("GET", f"/{address}")).json() == made


async def test_two_entries_on_one_identity_are_both_named(api: World) -> None:
    value = "overlap-1"
    made = await api.patient(active=True, name=[{"family": value.title()}])
    query = f"Patient?name={value.title()}"
    address = f"Patient/{made['id']}"
    patch = {
        "resourceType": "Binary", "contentType": "application/json-patch+json",
        "data": base64.b64encode(
            json.dumps([{"op": "replace", "path": "/active", "value": False}]).encode()
        ).decode(),
    }  # fmt: skip
    body = {"resourceType": "Patient", "active": True}
    pairs = [
        (entry("PUT", address, made), entry("DELETE", address)),
        (entry("PUT", address, made), entry("PATCH", address, patch)),
        (entry("PUT", query, body), entry("PUT", address, made)),
        (entry("DELETE", query), entry("PATCH", address, patch)),
        (entry("PUT", address, made), entry("PUT", address, made)),
    ]
    for pair in pairs:
        answer = await sent(api, "transaction", entry("POST", "Patient", body), *pair)
        assert answer.status_code == 400, answer.text
        found = {issue["expression"][0] for issue in issues(answer)}
        assert found == {"Bundle.entry[1].request", "Bundle.entry[2].request"}
    assert (await api.call("GET", f"/{address}")).json() == made


async def test_a_reference_to_what_is_deleted_beside_it_is_refused(api: World) -> None:
    patient = (await api.patient())["id"]
    before = await api.db.fetchval("select count(*) from resource")
    answer = await sent(
        api, "transaction",
        entry("POST", "Observation", observation(patient)),
        entry("DELETE", f"Patient/{patient}"),
    )  # fmt: skip
    assert answer.status_code == 400, answer.text
    (issue,) = issues(answer)
    assert issue["expression"] == ["Bundle.entry[0].resource.subject.reference"]
    assert await api.db.fetchval("select count(*) from resource") == before
    assert (await api.call("GET", f"/Patient/{patient}")).status_code == 200
    device = await api.create({"resourceType": "Device", "deviceName": [
        {"name": "unique-device-x", "type": "other"}]})  # fmt: skip
    by_query = await sent(
        api, "transaction",
        entry("POST", "Observation",
              observation(patient, device={"reference": "Device?device-name=unique-device-x"})),
        entry("DELETE", f"Device/{device['id']}"),
    )  # fmt: skip
    assert by_query.status_code == 400, by_query.text
    assert issues(by_query)[0]["expression"] == ["Bundle.entry[0].resource.device.reference"]


async def test_methods_are_done_in_their_order(api: World) -> None:
    made = await api.patient()
    old = (await api.create(observation(made["id"])))["id"]
    patch = {"resourceType": "Parameters", "parameter": [{"name": "operation", "part": [
        {"name": "type", "valueCode": "replace"},
        {"name": "path", "valueString": "Patient.birthDate"},
        {"name": "value", "valueDate": "1990-01-01"}]}]}  # fmt: skip
    answer = await sent(
        api, "transaction",
        entry("GET", f"Observation?patient={made['id']}&_summary=count"),
        entry("GET", f"Patient/{made['id']}"),
        entry("PATCH", f"Patient/{made['id']}", patch),
        entry("POST", "Observation", observation(made["id"])),
        entry("POST", "Observation", observation(made["id"])),
        entry("DELETE", f"Observation/{old}"),
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    found = answer.json()["entry"]
    statuses = [each["response"]["status"][:3] for each in found]
    assert statuses == ["200", "200", "200", "201", "201", "204"]
    assert found[0]["resource"]["total"] == 2
    assert found[1]["resource"]["birthDate"] == "1990-01-01"


@pytest.mark.parametrize("kind", ["batch", "transaction"])
async def test_head_is_a_get_without_its_resource(api: World, kind: str) -> None:
    made = await api.patient()
    body = (
        await sent(
            api, kind, entry("HEAD", f"Patient/{made['id']}"), entry("HEAD", "Patient/absent"),
            entry("HEAD", f"Patient?_id={made['id']}"),
        )
    ).json()  # fmt: skip
    first, second, third = body["entry"]
    assert (first["response"]["status"], first["response"]["etag"]) == ("200", 'W/"1"')
    assert "resource" not in first and "resource" not in third
    assert second["response"]["status"] == "404"
    assert not validate(body)


@pytest.mark.parametrize("kind", ["batch", "transaction", ""])
async def test_who_asks_is_told_what_a_delete_did(api: World, kind: str) -> None:
    wish = {"prefer": "return=OperationOutcome"}
    made = [await api.patient(name=[{"family": f"Gone{kind}{n}"}]) for n in range(2)]
    urls = [f"Patient/{made[0]['id']}", f"Patient?name=Gone{kind}1", f"Patient?name=Never{kind}"]
    if kind:
        body = (await sent(api, kind, *(entry("DELETE", url) for url in urls), **wish)).json()
        statuses = [each["response"]["status"][:3] for each in body["entry"]]
        outcomes = [each["response"]["outcome"] for each in body["entry"]]
        assert not validate(body)
    else:
        answers = [await api.call("DELETE", f"/{url}", **wish) for url in urls]
        statuses = [str(each.status_code) for each in answers]
        outcomes = [each.json() for each in answers]
    assert statuses == ["200"] * 3
    assert [each["issue"][0]["diagnostics"] for each in outcomes] == [
        f"Patient/{made[0]['id']} was deleted",
        f"Patient/{made[1]['id']} was deleted",
        "there was no Patient to delete",
    ]
    assert all(each["issue"][0]["severity"] == "information" for each in outcomes)
    for each in made:
        assert (await api.call("GET", f"/Patient/{each['id']}")).status_code == 410


async def test_a_version_can_be_reduced_too(api: World) -> None:
    made = await api.patient()
    answer = await api.call("GET", f"/Patient/{made['id']}/_history/1?_elements=birthDate")
    found = answer.json()
    assert (found["birthDate"], "name" in found) == ("1980-02-01", False)
    assert found["meta"]["tag"][0]["code"] == "SUBSETTED"
    assert (await api.call("GET", f"/Patient/{made['id']}/_history/1?x=1")).status_code == 400
