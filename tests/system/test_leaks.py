"""What a crafted document or request tries: nobody's record is reached, and the try is recorded."""

from __future__ import annotations

import re
import uuid
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from pater.registers.identifiers import RID
from tests.system.conftest import Clients
from tests.system.documents import Resource, changed, discharge, encoded, resource_of, rid_of
from tests.system.running import Running
from tests.system.test_rights import JSON, journal, patient_of
from tests.waiting import PATIENCE


def send(client: Clients, document: Resource, sender: str = "hospital-a") -> httpx.Response:
    return client(sender).post("/Bundle", content=encoded(document), headers=JSON)


def parts_of(client: Clients, answer: httpx.Response) -> list[str]:
    """The references of what was stored with an accepted document."""
    assert answer.status_code == 201, answer.text
    bundle = answer.headers["location"].split("/_history")[0].rsplit("/", 1)[1]
    found = client("loader").get("/Provenance", params={"target": f"Bundle/{bundle}"}).json()
    return [t["reference"] for t in found["entry"][0]["resource"]["target"]]


def own(client: Clients, name: str = "patient") -> Resource:
    found = client(name).get("/Patient").json()
    resource: Resource = found["entry"][0]["resource"]
    return resource


def entry(kind: str, **elements: Any) -> Resource:
    return {
        "fullUrl": f"urn:uuid:{uuid.uuid4()}",
        "resource": {"resourceType": kind, **elements},
    }


FORMS: list[Callable[[str], str]] = [
    lambda other: f"Patient/{other}",
    lambda other: f"Patient/{other}/_history/1",
    lambda other: f"http://127.0.0.1/fhir/Patient/{other}",
]


@pytest.mark.parametrize("form", FORMS, ids=["relative", "version", "absolute"])
@pytest.mark.parametrize("element", ["subject", "focus", "performer"])
def test_a_document_does_not_refer_to_a_patient_it_does_not_hold(
    client: Clients, form: Callable[[str], str], element: str
) -> None:
    reference = {"reference": form(str(own(client)["id"]))}

    def point_elsewhere(bundle: Resource) -> None:
        many = element != "subject"
        resource_of(bundle, "Observation")[element] = [reference] if many else reference

    answer = send(client, changed(discharge(), point_elsewhere))
    assert answer.status_code == 422, answer.text
    places = [p for i in answer.json()["issue"] for p in i.get("expression", ())]
    assert any(element in place for place in places)


def test_no_other_record_shows_what_a_crafted_document_brought(client: Clients) -> None:
    other = own(client)["id"]
    link = {"reference": f"Patient/{other}/_history/1"}
    for added in (
        entry("Account", status="active", subject=[link]),
        entry("Group", type="person", actual=True, member=[{"entity": link}]),
        entry("Binary", contentType="text/plain", data="aGVq", securityContext=link),
        entry("AuditEvent", type={"code": "rest"}, recorded="2026-01-01T00:00:00Z",
              agent=[{"requestor": True}], source={"observer": {"display": "x"}}),
    ):  # fmt: skip
        document = changed(discharge(), lambda bundle: bundle["entry"].append(added))  # noqa: B023
        assert send(client, document).status_code == 422, added


def test_parts_that_name_nobody_belong_to_the_patient_of_the_document(client: Clients) -> None:
    def strip(bundle: Resource) -> None:
        del resource_of(bundle, "Observation")["subject"]
        resource_of(bundle, "Condition")["subject"] = {"reference": "#p"}
        resource_of(bundle, "Condition")["contained"] = [{"resourceType": "Patient", "id": "p"}]
        bundle["entry"].append(entry("Device", serialNumber="1"))

    document = changed(discharge(), strip)
    stored = parts_of(client, send(client, document))
    patient = patient_of(client, rid_of(document))
    for kind in ("Observation", "Condition", "Device"):
        part = next(p for p in stored if p.startswith(kind))
        assert client("hospital-b").get(f"/{part}").status_code == 200
        # it is in the journal at the patient, so it is in the patient's compartment
        seen = [e for e in journal(client, patient) if part in str(e.get("entity"))]
        assert seen, part
        assert client("patient").get(f"/{part}").status_code == 404


def test_a_document_brings_nothing_into_the_shared_directories(client: Clients) -> None:
    mark = f"Podvržená nemocnice {uuid.uuid4()}"

    def forge(bundle: Resource) -> None:
        resource_of(bundle, "Organization")["name"] = mark
        bundle["entry"].append(entry("Location", name=mark))

    document = changed(discharge(), forge)
    stored = parts_of(client, send(client, document))
    rid = rid_of(document)
    for kind in ("Organization", "Location"):
        part = next(p for p in stored if p.startswith(kind))
        for name in ("hospital-b", "clinician-b", "patient"):
            found = client(name).get(f"/{kind}", params={"name": mark, "_total": "accurate"}).json()
            assert found["total"] == 0 and "entry" not in found, (kind, name)
        assert client("patient").get(f"/{part}").status_code == 404
        assert client("hospital-b").get(f"/{part}").status_code == 200
        assert any(part in str(e["entity"]) for e in journal(client, patient_of(client, rid)))
    # and beside the document it is found
    beside = {"patient.identifier": f"{RID}|{rid}", "_include": "DocumentReference:custodian"}
    found = client("hospital-b").get("/DocumentReference", params=beside).json()
    assert mark in [e["resource"].get("name") for e in found["entry"]]
    by_name = {"patient.identifier": f"{RID}|{rid}", "custodian.name": mark}
    found = client("hospital-b").get("/DocumentReference", params=by_name).json()
    assert len(found["entry"]) == 1


def test_another_hospitals_document_stays_and_the_try_is_recorded(client: Clients) -> None:
    document = discharge()
    assert send(client, document).status_code == 201
    name = str(uuid.uuid4())

    def forge(bundle: Resource) -> None:
        resource_of(bundle, "Composition")["title"] = "Podvrh"

    answer = client("hospital-b").post(
        "/Bundle",
        content=encoded(changed(document, forge)),
        headers={**JSON, "X-Request-Id": name},
    )
    assert answer.status_code == 409
    refused = {"outcome": "4", "action": "C", "_count": "20"}
    events = client("loader").get("/AuditEvent", params=refused).json()["entry"]
    assert any(name in str(e["resource"]) for e in events)


def test_a_second_patient_of_a_document_is_told(client: Clients) -> None:
    child = discharge(given="Dítě", born="2026-01-01")
    mother = resource_of(discharge(), "Patient")
    name = f"urn:uuid:{uuid.uuid4()}"

    def of_both(bundle: Resource) -> None:
        bundle["entry"].append({"fullUrl": name, "resource": mother})
        resource_of(bundle, "Observation")["subject"] = {"reference": name}

    document = changed(child, of_both)
    assert send(client, document).status_code == 201
    for rid in (rid_of(document), mother["identifier"][0]["value"]):
        created = [e for e in journal(client, patient_of(client, rid)) if e["action"] == "C"]
        assert len(created) == 1, rid


def test_nobody_lists_people_by_many_days_or_marks(client: Clients) -> None:
    days = ",".join(f"{year}-03-14" for year in range(1930, 2020))
    for name in ("hospital-b", "clinician-b"):
        for form in (
            {"family": "Svobodová", "birthdate": days},
            {"family": "sv,no,dv,ho,be", "birthdate": "1957-03-14"},
            {"family": "\u0301\u0301", "birthdate": "1957-03-14"},
            {"identifier": ",".join(f"{RID}|{n}" for n in range(500))},
        ):
            answer = client(name).post("/Patient/_search", data=form)
            assert answer.status_code in (400, 403), form
            assert "entry" not in answer.text


def test_asking_only_how_many_is_in_the_journal(client: Clients) -> None:
    patient = own(client)
    rid = next(i["value"] for i in patient["identifier"] if i["system"] == RID)
    name = str(uuid.uuid4())
    answer = client("hospital-b").get(
        "/Patient",
        params={"identifier": f"{RID}|{rid}", "_summary": "count"},
        headers={"X-Request-Id": name},
    )
    assert answer.json()["total"] == 1
    assert any(
        "hospital-b" in str(e["agent"]) and e["action"] == "E"
        for e in journal(client, str(patient["id"]))
    )


class Visitor:
    """Somebody logged in without a browser."""

    def __init__(self, running: Running, login: str) -> None:
        self.http = httpx.Client(base_url=running.url, timeout=PATIENCE)
        for path, fields in (
            ("/login", {"login": login, "password": f"demo-{login}-heslo"}),
            ("/login/code", {"code": running.command("totp", login)}),
        ):
            answer = self.post(path, path, fields)
            assert answer.status_code == 303, answer.text

    def post(self, page: str, path: str, fields: dict[str, str]) -> httpx.Response:
        """Sends a form of a page with the page's proof."""
        proof = re.search(r'name="csrf" value="([^"]+)"', self.http.get(page).text)
        assert proof
        return self.http.post(path, data={"csrf": proof[1], **fields})


def test_odd_values_are_no_errors_of_ours(running: Running) -> None:
    patient = Visitor(running, "patient")
    for path in (
        "/patient/access?until=9999-12-31",
        "/patient/access?since=0001-01-01",
        "/patient/access?before=0001-01-01T00:00:00%2B23:00~1",
        "/patient/documents/%00",
        "/patient/documents/%C5%99",
    ):
        assert patient.http.get(path).status_code in (200, 400, 404), path
    doctor = Visitor(running, "clinician-b")
    blank = dict.fromkeys(("value", "given", "family", "born"), "")
    for fields in (
        {"by": "name", "family": "Svobodová", "born": "19570314"},
        {"by": "name", "family": "Svobodová", "born": "1957-W11-4"},
        {"by": "name", "family": "a\\", "born": "1957-03-14"},
        {"by": "identifier", "value": "3087110247,3087110248"},
        {"by": "identifier", "kind": "cpoj", "value": "a\\"},
    ):
        sent = {**blank, "kind": "rid", "purpose": "TREAT", **fields}
        answer = doctor.post("/professional", "/professional", sent)
        assert answer.status_code in (200, 403, 422), (fields, answer.status_code)


WAYS = ("$everything", "*", "Observation", "Observation?_summary=count", "_history")


def test_a_compartment_opens_to_nobody_else(client: Clients) -> None:
    document = discharge()
    assert send(client, document).status_code == 201
    rid = rid_of(document)
    patient = patient_of(client, rid)
    shown = client("hospital-b").get(f"/Patient/{patient}/$everything")
    assert shown.status_code == 200
    assert {"Observation", "Patient"} <= {
        e["resource"]["resourceType"] for e in shown.json()["entry"]
    }
    assert "Bundle" not in {e["resource"]["resourceType"] for e in shown.json()["entry"]}
    for way in WAYS:
        name = str(uuid.uuid4())
        withheld = client("patient").get(
            f"/Patient/{patient}/{way}", headers={"X-Request-Id": name}
        )
        missing = client("patient").get(f"/Patient/{uuid.uuid4()}/{way}")
        assert (withheld.status_code, missing.status_code) == (404, 404), way
        assert client("insurer").get(f"/Patient/{patient}/{way}").status_code == 403, way
        tried = [e for e in journal(client, patient) if name in str(e)]
        assert tried and tried[0]["outcome"] != "0", way


def test_histories_of_many_open_to_nobody_who_has_to_name_the_patient(client: Clients) -> None:
    document = discharge()
    stored = parts_of(client, send(client, document))
    patient = patient_of(client, rid_of(document))
    parties = {each.split("/")[1] for each in stored if each.startswith(("Prac", "Organ"))}
    assert parties
    for path in (
        "/_history",
        "/Patient/_history",
        "/Observation/_history",
        "/Practitioner/_history",
        "/Organization/_history",
    ):
        for name in ("hospital-a", "hospital-b", "clinician-b", "insurer"):
            answer = client(name).get(path, params={"_count": "1000"})
            # of physicians and hospitals, those of the register are told, and none of a document
            allowed = path[:6] in ("/Pract", "/Organ") and name != "insurer"
            assert answer.status_code == (200 if allowed else 403), (path, name)
            assert patient not in answer.text, (path, name)
            assert not parties & set(re.findall(r'"id":"([^"]+)"', answer.text)), (path, name)
        mine = client("patient").get(path, params={"_count": "1000"})
        assert mine.status_code == 200 and patient not in mine.text, path
    assert patient in client("loader").get("/Patient/_history").text


def test_a_condition_is_no_way_to_ask_without_a_right(client: Clients) -> None:
    patient = own(client)
    rid = next(i["value"] for i in patient["identifier"] if i["system"] == RID)
    query = f"identifier={RID}|{rid}"
    sent = {"resourceType": "Patient"}
    steps = [{"op": "test", "path": "/birthDate", "value": "1900-01-01"}]
    as_patch = {"Content-Type": "application/json-patch+json"}
    for name in ("clinician-b", "patient", "insurer"):
        http = client(name)
        answers = [
            http.post("/Patient", json=sent, headers={**JSON, "If-None-Exist": query}),
            http.put(f"/Patient?{query}", json=sent, headers=JSON),
            http.delete(f"/Patient?{query}"),
            http.request("PATCH", f"/Patient?{query}", json=steps, headers=as_patch),
            http.request("PATCH", f"/Patient/{patient['id']}", json=steps, headers=as_patch),
        ]
        assert {answer.status_code for answer in answers} == {403}, name
        assert all(rid not in answer.text for answer in answers)


def test_a_hospital_learns_nothing_by_trying_to_change_a_patient(client: Clients) -> None:
    patient = own(client)
    rid = next(i["value"] for i in patient["identifier"] if i["system"] == RID)
    http, as_patch = client("hospital-b"), {"Content-Type": "application/json-patch+json"}

    def tried(number: str, value: str) -> list[tuple[int, str]]:
        steps = [{"op": "test", "path": "/birthDate", "value": value}]
        query = f"/Patient?identifier={RID}|{number}"
        answers = [
            http.put(query, json={"resourceType": "Patient"}, headers=JSON),
            http.delete(query),
            http.request("PATCH", f"/Patient/{patient['id']}", json=steps, headers=as_patch),
        ]
        return [(answer.status_code, answer.text) for answer in answers]

    known = tried(rid, str(patient["birthDate"]))
    assert known == tried(rid, "1900-01-01") == tried("2066425387", "1900-01-01")
    assert {status for status, _ in known} == {422}
