"""Who has no right gets nothing that betrays what exists, and the attempt is in the journal."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from pater.registers.identifiers import RID
from tests.system.conftest import Clients
from tests.system.documents import discharge, encoded, rid_of
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/fhir+json"}


def store(client: Clients) -> tuple[str, str]:
    """(RID, path of the document) of a fresh report."""
    report = discharge()
    answer = client("hospital-a").post("/Bundle", content=encoded(report), headers=JSON)
    assert answer.status_code == 201
    path = httpx.URL(answer.headers["location"]).path.removeprefix("/fhir")
    return rid_of(report), path.split("/_history")[0]


def journal(client: Clients, patient: str) -> list[dict[str, Any]]:
    found = client("loader").get("/AuditEvent", params={"patient": f"Patient/{patient}"})
    assert found.status_code == 200, found.text
    return [e["resource"] for e in found.json().get("entry", ())]


def patient_of(client: Clients, rid: str) -> str:
    found = client("loader").get("/Patient", params={"identifier": f"{RID}|{rid}"}).json()
    return str(found["entry"][0]["resource"]["id"])


def test_a_system_without_a_right_gets_403_and_stands_in_the_journal(client: Clients) -> None:
    rid, path = store(client)
    for answer in (
        client("insurer").get(path),
        client("insurer").get("/DocumentReference", params={"patient.identifier": f"{RID}|{rid}"}),
        client("insurer").post("/Bundle", content=encoded(discharge()), headers=JSON),
    ):
        assert answer.status_code == 403
        assert answer.json()["resourceType"] == "OperationOutcome"
        assert rid not in answer.text
    entries = journal(client, patient_of(client, rid))
    refused = [e for e in entries if e["outcome"] != "0"]
    assert any("insurer" in str(e["agent"]) for e in refused)


def test_a_patient_cannot_tell_anothers_record_from_none(client: Clients) -> None:
    rid, path = store(client)
    missing = client("patient").get(f"/Bundle/{uuid.uuid4()}")
    withheld = client("patient").get(path)
    assert (missing.status_code, withheld.status_code) == (404, 404)
    shape = [
        (i["severity"], i["code"], i["diagnostics"].split("/")[0])
        for answer in (missing, withheld)
        for i in answer.json()["issue"]
    ]
    assert shape[0] == shape[1]
    found = client("patient").get(
        "/DocumentReference",
        params={"patient.identifier": f"{RID}|{rid}", "_total": "accurate"},
    )
    assert found.json().get("entry", []) == []
    assert found.json().get("total", 0) == 0
    assert any(e["outcome"] != "0" for e in journal(client, patient_of(client, rid)))


def test_nobody_lists_people(client: Clients) -> None:
    for name in ("hospital-b", "clinician-b"):
        for query in ("", "?family=Novák", "?gender=female", "?birthdate=ge1900"):
            assert client(name).get(f"/Patient{query}").status_code == 403


def test_no_token_and_a_forged_token(client: Clients) -> None:
    _, path = store(client)
    url = str(client("hospital-b").base_url) + path.removeprefix("/")
    nobody = httpx.get(url, timeout=PATIENCE)
    assert nobody.status_code == 401
    assert nobody.headers["www-authenticate"].startswith("Bearer")
    token = client("hospital-b").headers["authorization"].split()[1]
    head, body, _ = token.split(".")
    for forged in (f"{head}.{body}.{'A' * 86}", "x.y.z", "Bearer", token[:-4] + "AAAA"):
        headers = {"Authorization": f"Bearer {forged}"}
        answer = httpx.get(url, headers=headers, timeout=PATIENCE)
        assert answer.status_code == 401, forged
        assert answer.json()["resourceType"] == "OperationOutcome"


def test_the_patient_sees_who_looked_and_why(client: Clients) -> None:
    found = client("patient").get("/DocumentReference").json()
    attachment = found["entry"][0]["resource"]["content"][0]["attachment"]["url"]
    assert client("hospital-b").get(f"/{attachment}").status_code == 200
    events = client("patient").get("/AuditEvent", params={"_count": "20"}).json()["entry"]
    seen = [
        e["resource"]
        for e in events
        if "hospital-b" in str(e["resource"]["agent"]) and e["resource"]["action"] == "R"
    ]
    assert seen, events
    event = seen[0]
    assert event["outcome"] == "0"
    assert event["recorded"]
    assert any(c["code"] == "TREAT" for p in event["purposeOfEvent"] for c in p["coding"])
    assert any(
        entity.get("what", {}).get("reference", "").startswith(attachment)
        for entity in event["entity"]
    )
