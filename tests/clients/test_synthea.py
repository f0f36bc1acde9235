"""Sixty synthetic records load whole, and everything in them is found again."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import httpx

from tests.shared_data import load, synthea
from tests.system.running import Running
from tests.waiting import PATIENCE

COMPARTMENT_LESS = {"Organization", "Practitioner"}


def address(location: str) -> tuple[str, str]:
    """(type, id) out of a response's location."""
    type_, id_ = location.partition("/_history/")[0].split("/")[-2:]
    return type_, id_


def found(http: httpx.Client, url: str) -> dict[tuple[str, str], dict[str, Any]]:
    """Everything that a search or an operation gives, over all its pages."""
    held: dict[tuple[str, str], dict[str, Any]] = {}
    while url:
        answer = http.get(url)
        assert answer.status_code == 200, answer.text
        bundle = answer.json()
        for entry in bundle.get("entry", ()):
            resource = entry["resource"]
            held[resource["resourceType"], resource["id"]] = resource
        url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
    return held


def plain(resource: dict[str, Any]) -> dict[str, Any]:
    """What must come back as it was sent: all but what the server gives and resolves."""
    return {
        name: value
        for name, value in resource.items()
        if name not in ("id", "meta") and "reference" not in str(value)
    }


def test_synthea_records_load_whole_and_are_found(server: Running, base: str) -> None:
    bundles = [load(body) for body in synthea()]
    assert len(bundles) == 62
    headers = {"accept": "application/fhir+json"}
    with httpx.Client(base_url=f"{base}/", headers=headers, timeout=PATIENCE) as http:
        # as long as it may take: those that a system gets are good for five minutes
        http.headers["authorization"] = f"Bearer {server.token('loader')}"
        sent: dict[tuple[str, str], dict[str, Any]] = {}
        records: dict[str, set[tuple[str, str]]] = defaultdict(set)
        for bundle in bundles:
            answer = http.post("", json=bundle)
            assert answer.status_code == 200, answer.text[:2000]
            places = [address(e["response"]["location"]) for e in answer.json()["entry"]]
            assert len(places) == len(bundle["entry"])
            for entry, place in zip(bundle["entry"], places, strict=True):
                assert entry["resource"]["resourceType"] == place[0]
                sent[place] = entry["resource"]
            patients = [id for type_, id in places if type_ == "Patient"]
            assert len(patients) <= 1
            if patients:
                records[patients[0]] = {p for p in places if p[0] not in COMPARTMENT_LESS}
        assert len(records) == 60

        for patient, places in records.items():
            everything = found(http, f"Patient/{patient}/$everything")
            own = {key for key in everything if key[0] not in COMPARTMENT_LESS}
            assert own == places
            beside = everything.keys() - own
            assert beside and beside <= sent.keys()  # its hospitals and physicians
            for place in places:
                resource = everything[place]
                assert plain(resource) == plain(sent[place])

        for patient, places in list(records.items())[::10]:
            searched = set()
            for type_ in sorted({type_ for type_, _ in places} - {"Patient"}):
                searched |= found(http, f"{type_}?patient=Patient/{patient}&_count=1000").keys()
            assert searched == places - {("Patient", patient)}
        for type_ in sorted({type_ for type_, _ in sent}):
            kept = {place for place in sent if place[0] == type_}
            assert kept <= found(http, f"{type_}?_count=1000").keys()
        one = sent["Patient", next(iter(records))]
        ssn = next(i for i in one["identifier"] if i["system"].endswith("us-ssn"))
        token = f"{ssn['system']}|{ssn['value']}"
        assert len(found(http, f"Patient?identifier={token}")) == 1
        assert found(http, f"Encounter?patient.identifier={token}")
