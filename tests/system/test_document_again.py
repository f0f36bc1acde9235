"""A document that was taken out for good is not known any more: the same bytes are new again."""

from __future__ import annotations

import uuid
from typing import Any

import httpx

from tests.system.conftest import Clients
from tests.system.documents import changed, discharge, encoded, resource_of

JSON = {"Content-Type": "application/fhir+json"}


def send(client: httpx.Client, document: dict[str, Any]) -> httpx.Response:
    return client.post("/Bundle", content=encoded(document), headers=JSON)


def bundle_of(answer: httpx.Response) -> str:
    found: str = answer.headers["location"].split("/_history")[0].rpartition("/")[2]
    return found


def take_out(client: Clients, bundle: str) -> None:
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "expungeEverything", "valueBoolean": True},
            {"name": "confirm", "valueString": f"Bundle/{bundle}"},
        ],
    }
    answer = client("loader").post(f"/Bundle/{bundle}/$expunge", json=body, headers=JSON)
    assert answer.status_code == 200, answer.text


def test_the_same_document_can_be_sent_again(client: Clients) -> None:
    report = discharge()
    first = send(client("hospital-a"), report)
    assert first.status_code == 201
    take_out(client, bundle_of(first))
    assert client("hospital-b").get(f"/Bundle/{bundle_of(first)}").status_code == 404
    again = send(client("hospital-a"), report)
    assert again.status_code == 201, again.text
    assert bundle_of(again) != bundle_of(first)
    assert send(client("hospital-a"), report).status_code == 200
    read = client("hospital-b").get(f"/Bundle/{bundle_of(again)}")
    assert read.content == encoded(report)


def test_an_older_version_goes_on_being_known(client: Clients) -> None:
    report = discharge()
    first = send(client("hospital-a"), report)

    def correct(bundle: dict[str, Any]) -> None:
        bundle["identifier"]["value"] = f"urn:uuid:{uuid.uuid4()}"
        bundle["timestamp"] = "2026-01-06T10:00:00+01:00"
        resource_of(bundle, "Observation")["valueQuantity"]["value"] = 75

    newer = changed(report, correct)
    second = send(client("hospital-a"), newer)
    assert (first.status_code, second.status_code) == (201, 201)
    take_out(client, bundle_of(second))
    same = send(client("hospital-a"), report)
    assert (same.status_code, bundle_of(same)) == (200, bundle_of(first))
    again = send(client("hospital-a"), newer)
    assert again.status_code == 201, again.text
    assert "version 2" in again.text
    take_out(client, bundle_of(first))
    assert send(client("hospital-a"), newer).status_code == 200
