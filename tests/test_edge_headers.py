"""Whatever answers, browsers are told not to run it, frame it, guess at it, or leave https."""

from __future__ import annotations

import httpx
import pytest

from pater.app import build, open_house
from pater.settings import Settings
from pater.store.database import Database

_PATHS = (
    "/", "/login", "/nowhere", "/fhir/metadata", "/fhir/Patient", "/fhir/nowhere", "/health/live",
    "/oauth/token", "/.well-known/smart-configuration", "/pki/chain.pem", "/audit/log/head",
    "/tsa/certificate", "/opravneni/over", "/seal/create", "/fhir/openapi.json", "/acme/directory",
    "/static/nothing.css",
)  # fmt: skip


async def _answers(database: Database, folder: str, url: str) -> dict[str, httpx.Response]:
    settings = Settings(data=folder, public_url=url)  # type: ignore[arg-type]
    async with open_house(settings, database.dsn) as house:
        transport = httpx.ASGITransport(build(house), raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url=url) as http:
            return {path: await http.get(path) for path in _PATHS}


@pytest.fixture
def folder(tmp_path_factory: pytest.TempPathFactory):  # type: ignore[no-untyped-def]
    return tmp_path_factory.mktemp("data")


async def test_every_entrance_has_them(database: Database, folder: str) -> None:
    for path, answer in (await _answers(database, folder, "http://pater.test")).items():
        headers = answer.headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy and "frame-ancestors 'none'" in policy, path
        assert "unsafe" not in policy, path
        assert headers["x-content-type-options"] == "nosniff", path
        assert headers["referrer-policy"] == "no-referrer", path
        assert "server" not in headers, path
        assert "strict-transport-security" not in headers, path
        assert headers.get_list("content-security-policy") == [policy], path
        if answer.content:
            assert headers["content-type"], path


async def test_over_https_browsers_are_told_to_stay_there(database: Database, folder: str) -> None:
    for path, answer in (await _answers(database, folder, "https://pater.test")).items():
        assert answer.headers["strict-transport-security"] == "max-age=31536000", path
