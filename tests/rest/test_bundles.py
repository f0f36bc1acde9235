"""Transactions are all or nothing; the entries of a batch stand each for itself."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any
from uuid import uuid4

import pytest

from pater.fhir.validation import validate
from pater.rest import bundles
from tests.rest.world import BASE, CLINICIAN, World, issues, observation
from tests.shared_data import shared


def bundle(kind: str, *entries: dict[str, Any]) -> dict[str, Any]:
    return {"resourceType": "Bundle", "type": kind, "entry": list(entries)}


def entry(
    method: str,
    url: str,
    resource: dict[str, Any] | None = None,
    full_url: str | None = None,
    **request: str,
) -> dict[str, Any]:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **request}}
    if resource is not None:
        made["resource"] = resource
    if full_url is not None:
        made["fullUrl"] = full_url
    return made


def urn() -> str:
    return f"urn:uuid:{uuid4()}"


async def test_a_bundle_inside_a_transaction_keeps_its_own_names(api: World) -> None:
    name = urn()
    inner = bundle("collection")
    inner["entry"] = [
        {"fullUrl": name, "resource": {"resourceType": "Patient", "active": True}},
        {"fullUrl": urn(), "resource": observation("", subject={"reference": name})},
    ]
    whole = bundle(
        "transaction",
        entry("POST", "Bundle", inner),
        entry("POST", "Patient", {"resourceType": "Patient"}, name),
    )
    answer = await api.call("POST", "/", whole)
    assert answer.status_code == 200, answer.text
    place = answer.json()["entry"][0]["response"]["location"].split("/_history")[0]
    assert (await api.call("GET", f"/{place}")).json()["entry"] == inner["entry"]


async def rows(api: World) -> int:
    count = await api.db.fetchval("select count(*) from resource")
    assert isinstance(count, int)
    return count


async def test_references_between_new_entries_become_addresses(api: World) -> None:
    patient, seen = urn(), urn()
    report = {
        "resourceType": "DiagnosticReport",
        "status": "final",
        "code": {"text": "ECG"},
        "subject": {"reference": patient},
        "result": [{"reference": seen}],
    }
    observed = observation("", subject={"reference": patient})
    # the entries that are referred to come last: order must not matter
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "DiagnosticReport", report, urn()),
            entry("POST", "Observation", observed, seen),
            entry("POST", "Patient", {"resourceType": "Patient", "id": "theirs"}, patient),
        ),
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["type"] == "transaction-response"
    assert not validate(body)
    places = [e["response"]["location"] for e in body["entry"]]
    assert [e["response"]["status"] for e in body["entry"]] == ["201 Created"] * 3
    assert [place.split("/")[0] for place in places] == [
        "DiagnosticReport",
        "Observation",
        "Patient",
    ]
    stored = (await api.call("GET", "/" + places[0])).json()
    assert stored["subject"]["reference"] == places[2].split("/_history")[0]
    assert stored["result"][0]["reference"] == places[1].split("/_history")[0]
    persons = {await api.person_of(place.split("/")[1]) for place in places}
    assert len(persons) == 1 and 0 not in persons


async def test_a_restful_full_url_is_known_by_its_relative_form_too(api: World) -> None:
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry(
                "POST",
                "Patient",
                {"resourceType": "Patient", "id": "p1"},
                "http://sender.example/fhir/Patient/p1",
            ),
            entry(
                "POST",
                "Observation",
                observation("p1"),
                "http://sender.example/fhir/Observation/o1",
            ),
        ),
        prefer="return=representation",
    )
    patient, seen = (e["resource"] for e in answer.json()["entry"])
    assert seen["subject"]["reference"] == f"Patient/{patient['id']}" != "Patient/p1"


async def test_one_wrong_entry_writes_nothing_and_all_are_named(api: World) -> None:
    before = await rows(api)
    missing = urn()
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "Patient", {"resourceType": "Patient"}, urn()),
            entry("POST", "Patient", {"resourceType": "Patient", "gender": "x"}, urn()),
            entry("POST", "Observation", observation("", subject={"reference": missing})),
            entry("PUT", "Patient", {"resourceType": "Patient", "id": "a"}),
            entry("POST", "Nothing", {"resourceType": "Patient"}),
            entry("PATCH", "Patient/1", {"resourceType": "Patient"}),
            entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist="nonsense=1"),
            entry("POST", "Patient"),
        ),
    )
    assert answer.status_code in (400, 422)
    paths = {path for issue in issues(answer) for path in issue.get("expression", ())}
    assert {
        "Bundle.entry[1].resource.gender",
        "Bundle.entry[2].resource.subject.reference",
        "Bundle.entry[3].request.url",
        "Bundle.entry[4].request.url",
        "Bundle.entry[5].resource",
        "Bundle.entry[6].request.ifNoneExist",
        "Bundle.entry[7].resource",
    } <= paths
    assert await rows(api) == before


async def test_an_unresolved_urn_is_400_with_its_path(api: World) -> None:
    body = observation("", subject={"reference": urn()})
    answer = await api.call("POST", "/", bundle("transaction", entry("POST", "Observation", body)))
    assert answer.status_code == 400
    assert issues(answer)[0]["expression"] == ["Bundle.entry[0].resource.subject.reference"]


async def test_an_unknown_patient_fails_the_whole_transaction(api: World) -> None:
    before = await rows(api)
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "Patient", {"resourceType": "Patient"}),
            entry("POST", "Observation", observation("nobody-here")),
        ),
    )
    assert answer.status_code == 422
    assert issues(answer)[0]["expression"] == ["Bundle.entry[1].resource.subject.reference"]
    assert await rows(api) == before


async def test_a_stale_version_in_one_entry_undoes_the_others(api: World) -> None:
    made = await api.patient()
    await api.call("PUT", f"/Patient/{made['id']}", made)
    before = await rows(api)
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "Patient", {"resourceType": "Patient"}),
            entry("PUT", f"Patient/{made['id']}", made, ifMatch='W/"1"'),
        ),
    )
    assert answer.status_code == 412
    assert await rows(api) == before


async def test_deletes_come_first_and_gets_last(api: World) -> None:
    old = await api.patient()
    seen = await api.create(observation(old["id"]))
    new = {"resourceType": "Patient", "id": "put-in-tx"}
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("GET", f"Observation/{seen['id']}"),
            entry("GET", "Patient/put-in-tx"),
            entry("PUT", "Patient/put-in-tx", new),
            entry("DELETE", f"Observation/{seen['id']}"),
        ),
    )
    body = answer.json()
    assert [e["response"]["status"][:3] for e in body["entry"]] == ["410", "200", "201", "204"]
    assert body["entry"][1]["resource"]["id"] == "put-in-tx"
    assert body["entry"][0]["response"]["outcome"]["issue"][0]["code"] == "deleted"
    assert not validate(body)


async def test_the_same_resource_twice_is_refused(api: World) -> None:
    body = {"resourceType": "Patient", "id": "twice"}
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction", entry("PUT", "Patient/twice", body), entry("DELETE", "Patient/twice")
        ),
    )
    assert 400 <= answer.status_code < 500
    name = urn()
    patient = {"resourceType": "Patient"}
    doubled = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "Patient", patient, name),
            entry("POST", "Patient", patient, name),
        ),
    )
    assert 400 <= doubled.status_code < 500
    assert "Bundle.entry[1].fullUrl" in {i.get("expression", [""])[0] for i in issues(doubled)}


async def test_a_batch_loses_no_good_entry_to_a_bad_one(api: World) -> None:
    made = await api.patient()
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "batch",
            entry("POST", "Patient", {"resourceType": "Patient"}),
            entry("POST", "Patient", {"resourceType": "Patient", "gender": "x"}),
            entry("GET", f"Patient/{made['id']}"),
            entry("GET", "Patient/not-there"),
            entry("GET", f"Patient?_id={made['id']}"),
            entry("GET", "Patient?nothing=1"),
            entry("DELETE", "Patient/never-was"),
            entry("POST", "Observation", observation("nobody")),
            {"resource": {"resourceType": "Patient"}},
            entry("GET", f"{BASE}/Patient/{made['id']}/_history"),
            entry("GET", f"Patient/{made['id']}/_history/1"),
        ),
    )
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["type"] == "batch-response"
    assert [e["response"]["status"][:3] for e in body["entry"]] == [
        "201", "422", "200", "404", "200", "400", "204", "422", "400", "200", "200",
    ]  # fmt: skip
    assert body["entry"][1]["response"]["outcome"]["issue"][0]["expression"] == ["Patient.gender"]
    assert body["entry"][4]["resource"]["type"] == "searchset"
    assert not validate(body)


async def test_the_rights_hold_inside_bundles(api: World) -> None:
    before = await rows(api)
    one = entry("POST", "Patient", {"resourceType": "Patient"})
    whole = await api.call("POST", "/", bundle("transaction", one), CLINICIAN)
    assert whole.status_code == 403
    each = await api.call("POST", "/", bundle("batch", one), CLINICIAN)
    assert each.json()["entry"][0]["response"]["status"] == "403"
    assert await rows(api) == before


async def test_other_bundles_and_bodies(api: World) -> None:
    for body in (
        bundle("searchset"),
        bundle("document"),
        {"resourceType": "Patient"},
        {"resourceType": "Bundle"},
    ):
        answer = await api.call("POST", "/", body)
        assert 400 <= answer.status_code < 500, body
        assert issues(answer)
    for kind in ("transaction", "batch"):
        empty = await api.call("POST", "/", {"resourceType": "Bundle", "type": kind})
        assert (empty.status_code, "entry" in empty.json()) == (200, False)
    for entries in ([5], [None], [{}], ["x"], {"a": 1}, "x", [[]]):
        for kind in ("transaction", "batch"):
            odd = {"resourceType": "Bundle", "type": kind, "entry": entries}
            answer = await api.call("POST", "/", odd)
            assert answer.status_code in (200, 400, 422), (kind, entries)


async def test_each_entry_of_a_transaction_is_in_the_journal(api: World) -> None:
    patient = urn()
    observed = observation("", subject={"reference": patient})
    await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "Patient", {"resourceType": "Patient"}, patient),
            entry("POST", "Observation", observed),
        ),
        x_request_id="tx-journal",
    )
    found = await api.journal(request_id="tx-journal")
    assert {(r["action"], r["entity_type"], r["entity_version"]) for r in found} == {
        ("C", "Patient", 1),
        ("C", "Observation", 1),
    }
    assert len({r["person"] for r in found}) == 1
    assert len({r["patient"] for r in found}) == 1


async def test_a_published_transaction_of_a_synthetic_patient_is_taken(api: World) -> None:
    packed = io.BytesIO(shared("synthea.tgz").read_bytes())
    with tarfile.open(fileobj=packed, mode="r:gz") as archive:
        members = [m for m in archive if m.isfile() and "nformation" not in m.name]
        file = archive.extractfile(min(members, key=lambda member: member.size))
        assert file is not None
        sent = json.loads(file.read())
    answer = await api.call("POST", "/", sent)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert [e["response"]["location"].split("/")[0] for e in body["entry"]] == [
        e["request"]["url"] for e in sent["entry"]
    ]
    patient = next(e for e in body["entry"] if e["response"]["location"].startswith("Patient/"))
    person = await api.person_of(patient["response"]["location"].split("/")[1])
    held = await api.db.fetchval("select count(*) from resource where person = $1", person)
    assert held > len(sent["entry"]) // 2


async def test_what_one_answer_holds_is_bounded(
    api: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = await api.patient()
    get = {"request": {"method": "GET", "url": f"Patient/{patient['id']}"}}
    monkeypatch.setattr(bundles, "MOST_BYTES", 10)
    for kind in ("batch", "transaction"):
        sent = {"resourceType": "Bundle", "type": kind, "entry": [get] * 40}
        answer = await api.call("POST", "/", sent)
        statuses = [e["response"]["status"] for e in answer.json()["entry"]]
        assert statuses[0] == "200" and statuses[-1] == "413"
    monkeypatch.setattr(bundles, "MOST_ENTRIES", 2)
    sent = {"resourceType": "Bundle", "type": "batch", "entry": [get] * 3}
    assert (await api.call("POST", "/", sent)).status_code == 413
