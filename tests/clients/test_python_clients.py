"""`fhirpy` and `fhirclient` talk to a running server as they talk to any other."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest
from fhirclient.client import FHIRClient
from fhirclient.models.bundle import Bundle, BundleEntry, BundleEntryRequest
from fhirclient.models.capabilitystatement import CapabilityStatement
from fhirclient.models.codeableconcept import CodeableConcept
from fhirclient.models.fhirreference import FHIRReference
from fhirclient.models.humanname import HumanName
from fhirclient.models.observation import Observation
from fhirclient.models.patient import Patient
from fhirclient.server import FHIRNotFoundException
from fhirpy import AsyncFHIRClient, SyncFHIRClient
from fhirpy.base.exceptions import ForbiddenError, OperationOutcome, ResourceNotFound

from tests.clients.tokens import assertion, token
from tests.system.running import Running


def reading(patient: str, value: float, **more: Any) -> dict[str, Any]:
    return {
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": patient},
        "valueQuantity": {"value": value, "unit": "/min"},
        **more,
    }


@pytest.fixture
def fhirpy(base: str, bearer: str) -> SyncFHIRClient:
    return SyncFHIRClient(base, authorization=f"Bearer {bearer}")


def test_fhirpy_reads_what_the_server_can(fhirpy: SyncFHIRClient) -> None:
    said = fhirpy.execute("metadata", "get")
    assert said["fhirVersion"] == "4.0.1"
    patient = next(each for each in said["rest"][0]["resource"] if each["type"] == "Patient")
    assert {"read", "create", "search-type"} <= {each["code"] for each in patient["interaction"]}


def test_fhirpy_creates_reads_updates_and_deletes(fhirpy: SyncFHIRClient, base: str,
                                                  bearer: str) -> None:  # fmt: skip
    name = f"Fhirpy-{uuid4().hex[:8]}"
    patient = fhirpy.resource("Patient", name=[{"family": name}], gender="female")
    patient.save()
    assert patient.id and patient["meta"]["versionId"] == "1"
    patient["birthDate"] = "1977-07-07"
    patient.save()
    again = fhirpy.reference("Patient", patient.id).to_resource()
    assert again["birthDate"] == "1977-07-07" and again["meta"]["versionId"] == "2"
    steps = SyncFHIRClient(
        base,
        authorization=f"Bearer {bearer}",
        extra_headers={"Content-Type": "application/json-patch+json"},
    )
    steps.execute(
        f"Patient/{patient.id}", "patch", [{"op": "replace", "path": "/gender", "value": "male"}]
    )
    found = fhirpy.resources("Patient").search(family=name).get()
    assert (found["gender"], found["meta"]["versionId"]) == ("male", "3")
    history = fhirpy.execute(f"Patient/{patient.id}/_history", "get")
    assert [e["resource"]["meta"]["versionId"] for e in history["entry"]] == ["3", "2", "1"]
    patient.delete()
    with pytest.raises(ResourceNotFound):
        fhirpy.reference("Patient", patient.id).to_resource()
    assert fhirpy.resources("Patient").search(family=name).fetch() == []


def test_fhirpy_walks_pages_and_includes(fhirpy: SyncFHIRClient, base: str, bearer: str) -> None:
    patient = fhirpy.resource("Patient", name=[{"family": f"Pages-{uuid4().hex[:8]}"}])
    patient.save()
    reference = patient.to_reference().reference
    fhirpy.resource(
        "Bundle",
        type="transaction",
        entry=[
            {
                "resource": {"resourceType": "Observation", **reading(reference, n)},
                "request": {"method": "POST", "url": "Observation"},
            }
            for n in range(7)
        ],
    ).save()
    query = fhirpy.resources("Observation").search(subject=reference).sort("-date").limit(3)
    values = sorted(each["valueQuantity"]["value"] for each in query.fetch_all())
    assert values == list(range(7))
    found = fhirpy.resources("Observation").search(subject=reference)
    with_patient = found.include("Observation", "subject").limit(1).fetch_raw()
    kinds = [each["resource"]["resourceType"] for each in with_patient["entry"]]
    assert kinds == ["Observation", "Patient"]
    counted = fhirpy.execute(
        "Observation", "get", params={"subject": reference, "_summary": "count"}
    )
    assert counted["total"] == 7
    # its own way of counting sends a parameter that R4 does not have
    lenient = SyncFHIRClient(
        base, authorization=f"Bearer {bearer}", extra_headers={"Prefer": "handling=lenient"}
    )
    assert lenient.resources("Observation").search(subject=reference).count() == 7


def test_fhirpy_sees_errors_as_outcomes(fhirpy: SyncFHIRClient) -> None:
    with pytest.raises(OperationOutcome) as wrong:
        fhirpy.resource("Patient", birthDate="1977-17-07").save()
    assert "Patient.birthDate" in str(wrong.value.resource)
    with pytest.raises(OperationOutcome):
        fhirpy.resources("Patient").search(nonsense="1").fetch()


def test_fhirpy_with_a_narrow_token_sees_only_what_it_was_granted(
    fhirpy: SyncFHIRClient, server: Running, base: str
) -> None:
    patient = fhirpy.resource("Patient", name=[{"family": "Narrow"}])
    patient.save()
    reference = patient.to_reference().reference
    made = fhirpy.resource("Observation", **reading(reference, 1))
    made.save()
    other = fhirpy.resource("Observation", **reading(reference, 2, code={"text": "other"}))
    other.save()
    scope = "system/Observation.rs?code=http://loinc.org|8867-4"
    narrow = token(base, server.folder, "loader", scope)
    client = SyncFHIRClient(base, authorization=f"Bearer {narrow}")
    found = client.resources("Observation").search(subject=reference).fetch_all()
    assert [each.id for each in found] == [made.id]
    assert client.reference("Observation", made.id).to_resource()["valueQuantity"]["value"] == 1
    with pytest.raises(ResourceNotFound):
        client.reference("Observation", other.id).to_resource()
    with pytest.raises(ForbiddenError):
        client.resources("Patient").fetch()


async def test_fhirpy_updates_by_a_query_without_waiting(base: str, bearer: str) -> None:
    client = AsyncFHIRClient(base, authorization=f"Bearer {bearer}")
    value = uuid4().hex
    patients = client.resources("Patient").search(identifier=f"urn:test|{value}")
    body = {"identifier": [{"system": "urn:test", "value": value}]}
    first, created = await patients.update(client.resource("Patient", **body))
    assert created
    again, created = await patients.update(client.resource("Patient", **body, active=True))
    assert not created and again.id == first.id and again["active"] is True
    assert [each.id async for each in patients] == [first.id]


@pytest.fixture
def fhirclient(server: Running, base: str) -> FHIRClient:
    """Finds the token endpoint in the CapabilityStatement and asks there with its key."""
    client = FHIRClient(
        {
            "app_id": "loader",
            "api_base": base,
            "scope": "system/*.cruds",
            "patient_id": "none",
            "jwt_token": assertion(server.folder, "loader", f"{server.url}/oauth/token"),
        }
    )
    client.prepare()
    client.authorize()
    assert client.ready
    return client


def test_fhirclient_writes_and_reads_typed_resources(fhirclient: FHIRClient) -> None:
    server = fhirclient.server
    assert isinstance(server.capabilityStatement, CapabilityStatement)
    family = f"Smart-{uuid4().hex[:8]}"
    patient = Patient()
    patient.name = [HumanName({"family": family, "given": ["Eva", "Žofie"]})]
    told = patient.create(server)
    read = Patient.read(told["id"], server)
    assert read.name[0].given == ["Eva", "Žofie"]
    read.gender = "female"
    assert read.update(server)["meta"]["versionId"] == "2"
    found = list(Patient.where({"family": family}).perform_resources_iter(server))
    assert [each.id for each in found] == [told["id"]]
    history = Bundle.read_from(f"Patient/{told['id']}/_history", server)
    assert [e.resource.meta.versionId for e in history.entry] == ["2", "1"]
    read.delete()
    with pytest.raises(Exception, match=r"410|404") as gone:
        Patient.read(told["id"], server)
    assert not isinstance(gone.value, FHIRNotFoundException) or gone.value.response is not None


def test_fhirclient_sends_a_transaction_and_walks_pages(fhirclient: FHIRClient) -> None:
    server = fhirclient.server
    patient, bundle = Patient(), Bundle()
    patient.name = [HumanName({"family": f"Trans-{uuid4().hex[:8]}"})]
    bundle.type = "transaction"
    entries = [_entry(patient, "urn:uuid:8d1e9d3e-6fd2-4d21-9d1c-6f2a0a0a7a11")]
    for _ in range(5):
        observation = Observation()
        observation.status = "final"
        observation.code = CodeableConcept({"text": "pulse"})
        observation.subject = FHIRReference(
            {"reference": "urn:uuid:8d1e9d3e-6fd2-4d21-9d1c-6f2a0a0a7a11"}
        )
        entries.append(_entry(observation))
    bundle.entry = entries
    answer = bundle.create(server)
    assert [e["response"]["status"][:3] for e in answer["entry"]] == ["201"] * 6
    id = answer["entry"][0]["response"]["location"].split("Patient/")[1].split("/")[0]
    search = Observation.where({"subject": f"Patient/{id}", "_count": "2"})
    found = list(search.perform_resources_iter(server))
    assert len(found) == 5 and {each.subject.reference for each in found} == {f"Patient/{id}"}
    included = Observation.where({"subject": f"Patient/{id}"}).include("subject")
    kinds = {each.resource_type for each in included.perform_resources_iter(server)}
    assert kinds == {"Observation", "Patient"}


def _entry(resource: Any, url: str | None = None) -> BundleEntry:
    entry, request = BundleEntry(), BundleEntryRequest()
    request.method, request.url = "POST", resource.resource_type
    entry.resource, entry.request, entry.fullUrl = resource, request, url
    return entry
