"""Bulk data of the running program: commands beside it, and SIGKILL in the middle of its work."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx

from tests.folders import scratch
from tests.system.running import Running
from tests.waiting import PATIENCE

PATIENTS, EACH = 20, 80
NDJSON = {"Content-Type": "application/fhir+ndjson"}


def lines(prefix: str) -> bytes:
    """Patients with their observations."""
    made: list[dict[str, Any]] = []
    for patient in range(PATIENTS):
        me = f"{prefix}{patient}"
        made.append({"resourceType": "Patient", "id": me, "name": [{"family": "Hromada"}]})
        for number in range(EACH):
            made.append(
                {
                    "resourceType": "Observation",
                    "id": f"{me}-{number}",
                    "status": "final",
                    "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
                    "subject": {"reference": f"Patient/{me}"},
                    "valueQuantity": {"value": number, "unit": "/min"},
                    "note": [{"text": "x" * 200}],
                }
            )
    return b"".join(json.dumps(each).encode() + b"\n" for each in made)


def finished(client: httpx.Client, url: str) -> dict[str, Any]:
    """The manifest of a job."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        answer = client.get(url)
        if answer.status_code != 202:
            assert answer.status_code == 200, answer.text
            manifest: dict[str, Any] = answer.json()
            return manifest
        time.sleep(0.1)
    raise AssertionError("the job did not end")


def test_killed_while_importing_it_goes_on_and_everything_comes_out_again() -> None:
    with scratch() as folder:
        running = Running(folder / "data", "--empty").start()
        try:
            with running.client("loader") as client:
                begun = client.post("/$import", content=lines("a"), headers=NDJSON)
                assert begun.status_code == 202, begun.text
                status = begun.headers["content-location"]
                now = {"Prefer": "wait=0"}
                while " lines" not in client.get(status, headers=now).headers.get(
                    "x-progress", " lines"
                ):
                    time.sleep(0.02)
                running.kill()
                running.start()
                manifest = finished(client, status)
                counts = {each["type"]: each["count"] for each in manifest["output"]}
                assert counts == {"Patient": PATIENTS, "Observation": PATIENTS * EACH}
                assert {each["unchanged"] for each in manifest["output"]} == {0}
                begun = client.get("/Patient/$export")
                manifest = finished(client, begun.headers["content-location"])
                found = []
                for each in manifest["output"]:
                    found += [json.loads(x) for x in client.get(each["url"]).text.splitlines()]
                keys = {(each["resourceType"], each["id"]) for each in found}
                assert len(keys) == len(found) == PATIENTS * (EACH + 1)
                assert {each["meta"]["versionId"] for each in found} == {"1"}
                # the operator's command, beside the running server
                file = folder / "more.ndjson"
                file.write_bytes(lines("b"))
                said = running.command("import", str(file))
                assert f"{PATIENTS * (EACH + 1)} lines, 0 with problems" in said
                total = client.get("/Observation?patient=b7&_summary=count").json()["total"]
                assert total == EACH
        finally:
            running.stop()
