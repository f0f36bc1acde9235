"""FHIRPath Patch over HTTP: in both formats, by address and by query, in transactions."""

from __future__ import annotations

from typing import Any

import pytest

from pater.fhir import xml
from tests.rest.test_conditional import entry, transaction
from tests.rest.world import CLINICIAN, World, issues


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """Parameters of operations given by their parts."""

    def part(name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, int):
            return {"name": name, "valueInteger": value}
        return {"name": name, "valueCode" if name == "type" else "valueString": value}

    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "operation", "part": [part(*each) for each in operation.items()]}
            for operation in operations
        ],
    }


RENAME = patch({"type": "replace", "path": "Patient.name[0].family", "value": "Malá"})


async def test_a_patch_changes_what_its_path_means(api: World) -> None:
    made = await api.patient()
    answer = await api.call("PATCH", f"/Patient/{made['id']}", RENAME)
    assert answer.status_code == 200, answer.text
    assert answer.json()["name"] == [{"family": "Malá", "given": ["Eva"]}]
    assert answer.headers["etag"] == 'W/"2"'
    assert await api.journal(entity_id=made["id"], interaction="patch", outcome="0")
    stale = await api.call("PATCH", f"/Patient/{made['id']}", RENAME, if_match='W/"1"')
    assert stale.status_code == 412


async def test_xml_comes_in_and_goes_out(api: World) -> None:
    made = await api.patient()
    sent = xml.dumps(RENAME)
    both = {"content_type": "application/fhir+xml", "accept": "application/fhir+xml"}
    answer = await api.call("PATCH", f"/Patient/{made['id']}", sent, **both)
    assert answer.status_code == 200, answer.text
    assert xml.parse(answer.content)["name"][0]["family"] == "Malá"


async def test_a_patch_by_query(api: World) -> None:
    identifier = [{"system": "http://example.org/p", "value": "by-query"}]
    made = await api.patient(identifier=identifier)
    query = "/Patient?identifier=http://example.org/p|by-query"
    answer = await api.call("PATCH", query, RENAME)
    assert (answer.status_code, answer.json()["id"]) == (200, made["id"])
    missing = await api.call("PATCH", "/Patient?identifier=http://example.org/p|none", RENAME)
    assert missing.status_code == 404


@pytest.mark.parametrize("kind", ["transaction", "batch"])
async def test_a_bundle_patches(api: World, kind: str) -> None:
    made = await api.patient()
    url = f"Patient/{made['id']}"
    answer = await api.call("POST", "", transaction(entry("PATCH", url, RENAME), kind=kind))
    assert answer.status_code == 200, answer.text
    assert (await api.call("GET", f"/{url}")).json()["name"][0]["family"] == "Malá"
    wrong = transaction(entry("PATCH", url, patch({"type": "delete", "path": "Patient.("})))
    refused = await api.call("POST", "", wrong)
    assert refused.status_code == 400
    assert issues(refused)[0]["expression"][0].startswith(
        "Bundle.entry[0].resource.parameter[0].part[1]"
    )
    impossible = transaction(
        entry("PUT", url, {**made, "birthDate": "1981-01-01"}),
        entry("PATCH", f"Patient/{(await api.patient())['id']}",
              patch({"type": "replace", "path": "Patient.gender", "value": "male"})),
    )  # fmt: skip
    assert (await api.call("POST", "", impossible)).status_code == 422
    assert (await api.call("GET", f"/{url}")).json()["birthDate"] == "1980-02-01"


@pytest.mark.parametrize(
    ("sent", "status", "path"),
    [
        (RENAME | {"resourceType": "Bundle"}, 400, "resourceType"),
        (patch({"type": "copy", "path": "Patient"}), 400, "Parameters.parameter[0].part[0]"),
        (patch({"type": "delete"}), 400, "Parameters.parameter[0]"),
        (patch({"type": "replace", "path": "Patient.gender", "value": "male"}), 422,
         "Parameters.parameter[0]"),
        (patch({"type": "replace", "path": "Patient.birthDate", "value": "never"}), 422,
         "Patient.birthDate"),
        (patch({"type": "replace", "path": "Patient.id", "value": "other"}), 422, None),
    ],
)  # fmt: skip
async def test_what_cannot_be_done_is_said(
    api: World, sent: dict[str, Any], status: int, path: str | None
) -> None:
    made = await api.patient()
    answer = await api.call("PATCH", f"/Patient/{made['id']}", sent)
    assert answer.status_code == status, answer.text
    if path is not None:
        assert issues(answer)[0]["expression"] == [path]
    assert (await api.call("GET", f"/Patient/{made['id']}")).json()["meta"]["versionId"] == "1"


async def test_who_may_not_write_learns_nothing(api: World) -> None:
    made = await api.patient()
    for id in (made["id"], "absent"):
        answer = await api.call("PATCH", f"/Patient/{id}", RENAME, CLINICIAN)
        assert answer.status_code == 403
