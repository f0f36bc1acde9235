"""The main job over real HTTP: a report goes in at one hospital and is read at another."""

from __future__ import annotations

import base64
import hashlib
import threading
import uuid
from typing import Any

import httpx
import pytest

from pater.registers.identifiers import RID
from tests.shared_data import discharge_reports, load
from tests.system.conftest import Clients
from tests.system.documents import changed, discharge, encoded, resource_of, rid_of

JSON = {"Content-Type": "application/fhir+json"}


def send(client: httpx.Client, body: bytes, **headers: str) -> httpx.Response:
    return client.post("/Bundle", content=body, headers={**JSON, **headers})


def issues(response: httpx.Response, severity: str) -> list[dict[str, Any]]:
    outcome = response.json()
    assert outcome["resourceType"] == "OperationOutcome"
    return [i for i in outcome["issue"] if i["severity"] == severity]


def references(client: httpx.Client, rid: str, **parameters: str) -> list[dict[str, Any]]:
    found = client.get(
        "/DocumentReference", params={"patient.identifier": f"{RID}|{rid}", **parameters}
    )
    assert found.status_code == 200, found.text
    return [e["resource"] for e in found.json().get("entry", ())]


@pytest.fixture(scope="module")
def examples() -> dict[str, bytes]:
    return discharge_reports()


def test_published_reports_go_in_unchanged_and_come_out_byte_by_byte(
    client: Clients, examples: dict[str, bytes]
) -> None:
    assert len(examples) == 17
    for name, body in examples.items():
        first = send(client("hospital-a"), body)
        assert first.status_code == 201, f"{name}: {first.text[:2000]}"
        assert not issues(first, "error")
        again = send(client("hospital-a"), body)
        assert again.status_code == 200, name
        assert again.headers["location"] == first.headers["location"]
        read = client("hospital-b").get(first.headers["location"].split("/_history")[0])
        assert read.content == body, name


def test_what_an_example_lacks_is_reported_with_its_place(
    client: Clients, examples: dict[str, bytes]
) -> None:
    body = examples["cz-hdr/Bundle-DischargeBundle-Novakova-Jana-NaturalBirth.json"]
    fresh = load(body)
    fresh["identifier"]["value"] = f"urn:uuid:{uuid.uuid4()}"
    resource_of(fresh, "Composition")["identifier"]["value"] = str(uuid.uuid4())
    warnings = issues(send(client("hospital-a"), encoded(fresh)), "warning")
    said = {(i["expression"][0], i["diagnostics"]) for i in warnings}
    assert any("birth number" in text for _, text in said)
    assert any(path.endswith("identifier[0].value") for path, _ in said)
    assert any("is not in the document" in text for _, text in said)


def test_another_hospital_finds_it_by_any_code_of_its_type_and_fetches_the_bytes(
    client: Clients,
) -> None:
    report = discharge()
    body, rid = encoded(report), rid_of(report)
    assert send(client("hospital-a"), body).status_code == 201
    for code in ("34105-7", "18842-5", "100719-4"):
        found = references(client("hospital-b"), rid, type=f"http://loinc.org|{code}")
        assert len(found) == 1, code
    assert references(client("hospital-b"), rid, type="http://loinc.org|11502-2") == []
    attachment = found[0]["content"][0]["attachment"]
    assert attachment["size"] == len(body)
    assert attachment["hash"] == base64.b64encode(hashlib.sha1(body).digest()).decode()
    fetched = client("hospital-b").get(f"/{attachment['url']}")
    assert fetched.content == body
    assert found[0]["masterIdentifier"] == report["identifier"]


def test_the_resources_inside_can_be_searched_under_the_person(client: Clients) -> None:
    report = discharge()
    assert send(client("hospital-a"), encoded(report)).status_code == 201
    person = f"{RID}|{rid_of(report)}"
    found = client("hospital-b").get(
        "/Observation", params={"patient.identifier": person, "code": "http://loinc.org|8867-4"}
    )
    entries = found.json()["entry"]
    assert [e["resource"]["valueQuantity"]["value"] for e in entries] == [72]
    patients = client("hospital-b").get("/Patient", params={"identifier": person}).json()["entry"]
    assert len(patients) == 1
    patient_id = patients[0]["resource"]["id"]
    assert entries[0]["resource"]["subject"]["reference"] == f"Patient/{patient_id}"


def test_sending_it_again_changes_nothing(client: Clients) -> None:
    report = discharge()
    first = send(client("hospital-a"), encoded(report))
    again = send(client("hospital-a"), encoded(report))
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.headers["location"] == first.headers["location"]
    assert "nothing was changed" in again.text
    assert len(references(client("hospital-b"), rid_of(report))) == 1


def test_a_new_version_replaces_the_old_one_and_keeps_the_chain(client: Clients) -> None:
    report = discharge()
    rid = rid_of(report)
    first = send(client("hospital-a"), encoded(report))

    def correct(bundle: dict[str, Any]) -> None:
        bundle["identifier"]["value"] = f"urn:uuid:{uuid.uuid4()}"
        bundle["timestamp"] = "2026-01-06T10:00:00+01:00"
        resource_of(bundle, "Observation")["valueQuantity"]["value"] = 75
        bundle["entry"] = [
            e for e in bundle["entry"] if e["resource"]["resourceType"] != "Condition"
        ]
        composition = resource_of(bundle, "Composition")
        composition["section"][0]["entry"] = composition["section"][0]["entry"][1:]

    second = send(client("hospital-a"), encoded(changed(report, correct)))
    assert second.status_code == 201, second.text
    current = references(client("hospital-b"), rid, status="current")
    superseded = references(client("hospital-b"), rid, status="superseded")
    assert (len(current), len(superseded)) == (1, 1)
    assert current[0]["relatesTo"][0]["code"] == "replaces"
    old = f"DocumentReference/{superseded[0]['id']}"
    assert current[0]["relatesTo"][0]["target"]["reference"] == old
    # the old document is still there, byte by byte
    was = client("hospital-b").get(first.headers["location"].split("/_history")[0])
    assert was.content == encoded(report)
    # results are not doubled, what is gone is gone, and the history has both values
    person = {"patient.identifier": f"{RID}|{rid}"}
    seen = client("hospital-b").get("/Observation", params=person).json()["entry"]
    assert [e["resource"]["valueQuantity"]["value"] for e in seen] == [75]
    assert not client("hospital-b").get("/Condition", params=person).json().get("entry")
    history = client("hospital-b").get(f"/Observation/{seen[0]['resource']['id']}/_history")
    values = [e["resource"]["valueQuantity"]["value"] for e in history.json()["entry"]]
    assert values == [75, 72]


def test_relates_to_names_what_is_replaced(client: Clients) -> None:
    report = discharge()
    send(client("hospital-a"), encoded(report))
    successor = discharge(rid_of(report), stamp="2026-02-01T10:00:00+01:00")
    resource_of(successor, "Composition")["relatesTo"] = [
        {"code": "replaces", "targetIdentifier": report["identifier"]}
    ]
    assert send(client("hospital-a"), encoded(successor)).status_code == 201
    current = references(client("hospital-b"), rid_of(report), status="current")
    assert [c["masterIdentifier"] for c in current] == [successor["identifier"]]


def test_relates_to_may_name_the_composition_as_it_is_stored_here(client: Clients) -> None:
    report = discharge()
    send(client("hospital-a"), encoded(report))
    person = {"patient.identifier": f"{RID}|{rid_of(report)}"}
    (stored,) = client("hospital-b").get("/Composition", params=person).json()["entry"]
    for address in (stored["fullUrl"], f"Composition/{stored['resource']['id']}"):
        stamp = "2026-02-01T10:00:00+01:00"
        successor = discharge(rid_of(report), title=address, stamp=stamp)
        resource_of(successor, "Composition")["relatesTo"] = [
            {"code": "replaces", "targetReference": {"reference": address}}
        ]
        answer = send(client("hospital-a"), encoded(successor))
        assert answer.status_code == 201, answer.text
        current = references(client("hospital-b"), rid_of(report), status="current")
        assert [c["masterIdentifier"] for c in current] == [successor["identifier"]]


def test_what_is_to_be_replaced_and_is_not_here_is_said(client: Clients) -> None:
    report = discharge()
    resource_of(report, "Composition")["relatesTo"] = [
        {"code": "replaces", "targetIdentifier": {"value": str(uuid.uuid4())}},
        {"code": "appends", "targetReference": {"reference": "Composition/elsewhere"}},
    ]
    answer = send(client("hospital-a"), encoded(report))
    assert answer.status_code == 201, answer.text
    (warning,) = issues(answer, "warning")
    assert warning["expression"] == ["Bundle.entry[0].resource.relatesTo[0]"]


def test_a_version_sent_again_after_it_was_replaced_changes_nothing(client: Clients) -> None:
    report = discharge()
    first = send(client("hospital-a"), encoded(report))

    def correct(bundle: dict[str, Any]) -> None:
        resource_of(bundle, "Composition")["title"] = "Oprava"

    second = send(client("hospital-a"), encoded(changed(report, correct)))
    assert (first.status_code, second.status_code) == (201, 201)
    again = send(client("hospital-a"), encoded(report))
    assert again.status_code == 200
    assert again.headers["location"] == first.headers["location"]
    (current,) = references(client("hospital-b"), rid_of(report), status="current")
    assert current["description"] == "Oprava"


def test_a_new_version_about_another_person_leaves_the_first_ones_record(client: Clients) -> None:
    report = discharge()
    right = discharge(family="Opravdová", given="Ilona", born="1981-04-03")
    first = send(client("hospital-a"), encoded(report))

    def correct(bundle: dict[str, Any]) -> None:
        resource_of(bundle, "Patient").update(resource_of(right, "Patient"))

    second = send(client("hospital-a"), encoded(changed(report, correct)))
    assert (first.status_code, second.status_code) == (201, 201), second.text
    for rid, count in ((rid_of(report), 0), (rid_of(right), 1)):
        for kind in ("Observation", "Condition", "Encounter"):
            person = {"patient.identifier": f"{RID}|{rid}"}
            found = client("hospital-b").get(f"/{kind}", params=person).json()
            assert len(found.get("entry", ())) == count, (kind, rid)
        assert len(references(client("hospital-b"), rid, status="current")) == count


def test_an_older_version_and_another_hospitals_identifier_are_conflicts(client: Clients) -> None:
    report = discharge()
    assert send(client("hospital-a"), encoded(report)).status_code == 201

    def older(bundle: dict[str, Any]) -> None:
        bundle["timestamp"] = "2020-01-01T00:00:00Z"

    late = send(client("hospital-a"), encoded(changed(report, older)))
    assert late.status_code == 409
    assert "newer version" in late.text

    def other(bundle: dict[str, Any]) -> None:
        resource_of(bundle, "Composition")["title"] = "Jiná"

    foreign = send(client("hospital-b"), encoded(changed(report, other)))
    assert foreign.status_code == 409
    assert "another organisation" in foreign.text
    assert len(references(client("hospital-b"), rid_of(report))) == 1


def test_a_bundle_with_bad_entries_is_refused_whole_with_every_path(client: Clients) -> None:
    report = discharge()

    def spoil(bundle: dict[str, Any]) -> None:
        resource_of(bundle, "Observation")["status"] = "done"
        del resource_of(bundle, "Encounter")["class"]
        resource_of(bundle, "Condition")["colour"] = "blue"

    answer = send(client("hospital-a"), encoded(changed(report, spoil)))
    assert answer.status_code == 422
    paths = " ".join(i["expression"][0] for i in issues(answer, "error"))
    assert "Bundle.entry[5].resource.status" in paths
    assert "Bundle.entry[2].resource" in paths
    assert "Bundle.entry[4].resource.colour" in paths
    assert references(client("hospital-b"), rid_of(report)) == []
    person = {"identifier": f"{RID}|{rid_of(report)}"}
    assert not client("hospital-b").get("/Patient", params=person).json().get("entry")


@pytest.mark.parametrize("kind", ["Composition", "Observation"])
def test_references_that_lead_nowhere_are_refused(client: Clients, kind: str) -> None:
    def break_it(bundle: dict[str, Any]) -> None:
        resource_of(bundle, kind)["subject"] = {"reference": f"urn:uuid:{uuid.uuid4()}"}

    answer = send(client("hospital-a"), encoded(changed(discharge(), break_it)))
    assert answer.status_code == 422
    assert any("subject" in i["expression"][0] for i in issues(answer, "error"))


def test_one_person_from_two_hospitals(client: Clients) -> None:
    one = discharge()
    two = discharge(rid_of(one), title="Druhá zpráva")
    assert send(client("hospital-a"), encoded(one)).status_code == 201
    assert send(client("hospital-b"), encoded(two)).status_code == 201
    assert len(references(client("hospital-b"), rid_of(one))) == 2


def test_an_identifier_of_somebody_else_never_leads_into_their_record(client: Clients) -> None:
    one = discharge()
    stranger = discharge(rid_of(one), family="Zcelajiná", given="Marta", born="1991-01-01")
    assert send(client("hospital-a"), encoded(one)).status_code == 201
    answer = send(client("hospital-b"), encoded(stranger))
    assert answer.status_code == 201
    assert "temporary identifier" in answer.text
    found = client("hospital-b").get(
        "/Patient", params={"family": "Zcelajiná", "birthdate": "1991-01-01"}
    )
    rids = [i["value"] for i in found.json()["entry"][0]["resource"]["identifier"]]
    assert rids[0].startswith("D")
    assert rids[0] in answer.text
    # who looks for the number finds its holder alone
    held = references(client("hospital-b"), rid_of(one))
    assert [d["masterIdentifier"] for d in held] == [one["identifier"]]


def test_eight_clients_with_the_same_bundle_make_one_document_and_one_person(
    client: Clients,
) -> None:
    report = discharge()
    body = encoded(report)
    sender = client("hospital-a")
    answers: list[httpx.Response] = []

    def go() -> None:
        answers.append(send(sender, body))

    threads = [threading.Thread(target=go) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(a.status_code for a in answers) == [200] * 7 + [201]
    assert len({a.headers["location"] for a in answers}) == 1
    assert len(references(client("hospital-b"), rid_of(report))) == 1
    person = {"identifier": f"{RID}|{rid_of(report)}"}
    assert len(client("hospital-b").get("/Patient", params=person).json()["entry"]) == 1


def test_prefer_decides_what_comes_back(client: Clients) -> None:
    minimal = send(client("hospital-a"), encoded(discharge()), Prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (201, b"")
    body = encoded(discharge())
    assert send(client("hospital-a"), body, Prefer="return=representation").content == body
