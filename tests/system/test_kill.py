"""SIGKILL in the middle of a load: no acknowledged document is lost, none is there in part."""

from __future__ import annotations

import json
import threading
from typing import Any

import httpx

from pater.registers.identifiers import RID
from tests.folders import scratch
from tests.system.documents import discharge, encoded, rid_of
from tests.system.running import Running
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/fhir+json"}
DOCUMENTS = 200
KILL_AFTER = 90
INSIDE = ("Composition", "Encounter", "Condition", "Observation")


def test_killed_during_a_load_of_200_documents() -> None:
    with scratch() as folder:
        running = Running(folder / "data", "--empty").start()
        try:
            reports = [discharge() for _ in range(DOCUMENTS)]
            acknowledged = load(running, reports)
            assert KILL_AFTER <= len(acknowledged) < DOCUMENTS
            running.start()
            with running.client("loader") as loader:
                whole = [n for n in range(DOCUMENTS) if check(loader, reports[n])]
            assert set(acknowledged) <= set(whole)
            # and the rest can be sent: nothing is stuck
            with running.client("hospital-a") as sender:
                for number in range(DOCUMENTS):
                    sent = sender.post("/Bundle", content=encoded(reports[number]), headers=JSON)
                    assert sent.status_code == (200 if number in whole else 201)
        finally:
            running.stop()


def load(running: Running, reports: list[dict[str, Any]]) -> list[int]:
    """Sends with four clients and kills in the middle; gives the numbers that were acknowledged."""
    acknowledged: list[int] = []
    refused: list[str] = []
    numbers = iter(range(len(reports)))
    lock = threading.Lock()
    enough = threading.Event()

    def send() -> None:
        with running.client("hospital-a") as client:
            while True:
                with lock:
                    number = next(numbers, None)
                if number is None:
                    return
                try:
                    answer = client.post("/Bundle", content=encoded(reports[number]), headers=JSON)
                    while answer.status_code == 409:  # the person is being written: asks us to wait
                        answer = client.post(
                            "/Bundle", content=encoded(reports[number]), headers=JSON
                        )
                except httpx.TransportError:
                    return
                with lock:
                    refused.extend([answer.text] * (answer.status_code != 201))
                    acknowledged.append(number)
                    if len(acknowledged) >= KILL_AFTER:
                        enough.set()

    running.token("hospital-a")  # once for all, and not while it is being killed
    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    assert enough.wait(PATIENCE)
    running.kill()
    for thread in threads:
        thread.join(PATIENCE)
    assert not refused
    return acknowledged


def check(loader: httpx.Client, report: dict[str, Any]) -> bool:
    """Whether a document is there, with everything that belongs to it; in part is a failure."""
    person = {"patient.identifier": f"{RID}|{rid_of(report)}"}
    found = {
        kind: len(loader.get(f"/{kind}", params=person).json().get("entry", ()))
        for kind in ("DocumentReference", *INSIDE)
    }
    patients = loader.get("/Patient", params={"identifier": f"{RID}|{rid_of(report)}"}).json()
    found["Patient"] = len(patients.get("entry", ()))
    assert len(set(found.values())) == 1, f"in part: {json.dumps(found)}"
    if not found["Patient"]:
        return False
    reference = loader.get("/DocumentReference", params=person).json()["entry"][0]["resource"]
    origin = loader.get("/Provenance", params={"target": f"DocumentReference/{reference['id']}"})
    assert len(origin.json()["entry"]) == 1
    url = reference["content"][0]["attachment"]["url"]
    assert loader.get(f"/{url}").content == encoded(report)
    return True
