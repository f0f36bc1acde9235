"""The whole house at its edge: problem details for programs, pages for people, other origins."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from pater.app import DOMAINS, build, open_house, workers
from pater.settings import Settings
from pater.store.database import Database
from tests.system.test_house import LOADER, bearer, house_of
from tests.waiting import until

JSON = {"Accept": "application/json"}
HTML = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


@pytest.fixture
async def client(database: Database, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    settings = Settings(data=tmp_path, cors_origins="https://app.example")
    async with open_house(settings, database.dsn) as house:
        transport = httpx.ASGITransport(build(house), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as made:
            yield made


async def test_programs_get_problem_details_and_people_pages(client: httpx.AsyncClient) -> None:
    for method, path, status in (
        ("GET", "/nowhere", 404),
        ("DELETE", "/login", 405),
        ("POST", "/login", 400),
        ("DELETE", "/health/live", 404),
    ):
        answer = await client.request(method, path, headers=JSON)
        assert answer.status_code == status, path
        assert answer.headers["content-type"] == "application/problem+json", path
        said = answer.json()
        assert (said["status"], said["type"], bool(said["title"])) == (status, "about:blank", True)
        assert (status == 405) == ("allow" in answer.headers)
    page = await client.get("/nowhere", headers=HTML)
    assert page.status_code == 404
    assert page.headers["content-type"].startswith("text/html")


async def test_the_api_answers_in_its_own_way(client: httpx.AsyncClient) -> None:
    for method, path in (("GET", "/fhir/Patient"), ("PUT", "/fhir/metadata"), ("GET", "/fhir/x/y")):
        answer = await client.request(method, path, headers=JSON)
        assert answer.status_code in (401, 404, 405)
        assert answer.json()["resourceType"] == "OperationOutcome", path


async def test_other_origins_reach_api_and_tokens(client: httpx.AsyncClient) -> None:
    origin = {"Origin": "https://app.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    for path in ("/fhir/Patient", "/fhir", "/oauth/token", "/.well-known/smart-configuration"):
        answer = await client.options(path, headers=asked)
        assert answer.status_code == 204, path
        assert answer.headers["access-control-allow-origin"] == origin["Origin"]
    said = await client.get("/fhir/metadata", headers=origin)
    assert said.headers["access-control-allow-origin"] == origin["Origin"]
    assert said.json()["rest"][0]["security"]["cors"] is True
    page = await client.get("/login", headers=origin)
    assert "access-control-allow-origin" not in page.headers


async def test_a_worker_answers_what_another_process_was_asked(
    database: Database, tmp_path: Path
) -> None:
    async with house_of(database, tmp_path, DOMAINS) as (house, client):
        sent = {**bearer(house, LOADER), "Prefer": "respond-async"}
        asked = await client.get("/fhir/Patient?_count=1", headers=sent)
        assert asked.status_code == 202
        address = asked.headers["content-location"]
        # one that only does jobs, as `pater worker` does: it has built no application yet
        async with open_house(house.settings, database.dsn) as other, workers(other):

            async def answered() -> httpx.Response | None:
                said = await client.get(address, headers=bearer(house, LOADER))
                return None if said.status_code == 202 else said

            answer = await until(answered)
        assert answer.status_code == 200
        assert answer.json()["entry"][0]["response"]["status"] == "200"
