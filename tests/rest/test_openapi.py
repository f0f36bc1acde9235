"""The OpenAPI description is valid, and says what the CapabilityStatement says."""

from __future__ import annotations

from typing import Any

from openapi_spec_validator import OpenAPIV31SpecValidator

from pater.fhir.definitions import RESOURCE_TYPES
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.world import BASE, World, world


async def description(api: World) -> dict[str, Any]:
    answer = await api.http.get(f"{BASE}/openapi.json")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


async def test_it_is_valid(api: World) -> None:
    found = await description(api)
    # every type is made alike: the whole of it would take a minute to check
    some = ("Patient", "Observation", "AuditEvent", "Composition", "Encounter")
    kept = {
        path: item
        for path, item in found["paths"].items()
        if path.split("/")[1] not in RESOURCE_TYPES or path.split("/")[1] in some
    }
    OpenAPIV31SpecValidator({**found, "paths": kept}).validate()
    used = [
        operation["operationId"]
        for item in found["paths"].values()
        for method, operation in item.items()
        if method not in ("parameters", "servers")
    ]
    assert len(used) == len(set(used)) > 1000


async def test_the_log_stands_beside_it(database: Database, clock: Clock) -> None:
    async with world(database, clock, log=True) as api:
        found = await description(api)
        kept = {path: item for path, item in found["paths"].items() if "servers" in item}
        OpenAPIV31SpecValidator({**found, "paths": kept}).validate()
    assert found["paths"]["/tsa"]["servers"] == [{"url": BASE.removesuffix("/fhir")}]
    assert "/audit/log/proof" in found["paths"]


async def test_it_says_what_the_statement_says(api: World) -> None:
    whole = await description(api)
    paths, named = whole["paths"], whole["components"]["parameters"]
    statement = (await api.http.get(f"{BASE}/metadata")).json()["rest"][0]
    for resource in statement["resource"]:
        type = resource["type"]
        codes = {each["code"] for each in resource["interaction"]}
        assert ("get" in paths[f"/{type}/{{id}}"]) == ("read" in codes)
        assert ("post" in paths[f"/{type}"]) == ("create" in codes)
        assert ("delete" in paths[f"/{type}/{{id}}"]) == ("delete" in codes)
        asked = {
            named[each["$ref"].rpartition("/")[2]]["name"]
            for each in paths[f"/{type}"]["get"]["parameters"]
        }
        assert {each["name"] for each in resource["searchParam"]} <= asked
        for operation in resource.get("operation", ()):
            name = operation["name"]
            assert f"/{type}/${name}" in paths or f"/{type}/{{id}}/${name}" in paths
    assert "get" in paths["/Patient/{id}/$everything"]
    assert "/AuditEvent/$expunge" not in paths
    assert "post" in paths["/$convert"]


async def test_what_it_describes_is_there(api: World) -> None:
    paths = (await description(api))["paths"]
    patient = (await api.patient())["id"]
    asked = 0
    for path, item in paths.items():
        if not path.startswith("/Patient"):
            continue
        real = path.replace("{id}", patient).replace("{version}", "1")
        for method in ("get", "put", "post", "patch", "delete"):
            if method in item:
                continue
            answer = await api.call(method.upper(), real)
            assert answer.status_code in (400, 404, 405), (method, path, answer.status_code)
            asked += 1
        if "get" in item and "$match" not in path:
            answer = await api.call("GET", real)
            assert answer.status_code in (200, 400), (path, answer.text)
    assert asked > 10


async def test_it_is_kept_by_clients(api: World) -> None:
    first = await api.http.get(f"{BASE}/openapi.json")
    again = await api.http.get(
        f"{BASE}/openapi.json", headers={"If-None-Match": first.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    assert (await api.http.post(f"{BASE}/openapi.json")).status_code == 405
