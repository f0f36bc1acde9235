"""The API as it is served: mounted under /fhir in a Starlette application, behind uvicorn."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import Mount

from tests.rest.world import LOADER, World
from tests.waiting import PATIENCE


@pytest.fixture
async def served(api: World) -> AsyncIterator[str]:
    """The address of a real server on a free port."""
    config = uvicorn.Config(
        Starlette(routes=[Mount("/fhir", app=api.bare)]), port=0, log_level="warning"
    )
    server = uvicorn.Server(config)
    task = asyncio.create_task(server.serve())
    while not server.started:  # noqa: ASYNC110 (uvicorn offers no event)
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/fhir"
    server.should_exit = True
    await task


async def test_requests_over_a_socket(api: World, served: str) -> None:
    headers = api.headers(LOADER, content_type="application/fhir+json")
    async with httpx.AsyncClient(headers=headers, timeout=PATIENCE) as http:
        body = json.dumps({"resourceType": "Patient", "name": [{"family": "Žluťoučký"}]})
        made = await http.post(f"{served}/Patient", content=body)
        assert made.status_code == 201
        path = f"{served}/Patient/{made.json()['id']}"
        read = await http.get(path)
        assert read.json()["name"][0]["family"] == "Žluťoučký"
        head = await http.head(path)
        assert (head.content, head.headers["content-length"]) == (b"", str(len(read.content)))
        kept = await http.get(path, headers={"if-none-match": read.headers["etag"]})
        assert kept.status_code == 304
        found = await http.get(f"{served}/Patient", params={"family": "zlutoucky"})
        assert len(found.json()["entry"]) == 1
        empty = await http.post(f"{served}/", content='{"resourceType":"Bundle","type":"batch"}')
        assert empty.status_code == 200


async def test_a_client_that_goes_away_harms_nobody(api: World, served: str) -> None:
    address = httpx.URL(served)
    _, writer = await asyncio.open_connection(address.host, address.port)
    token = api.tokens.issue(LOADER)
    writer.write(
        b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
        b"Authorization: Bearer " + token.encode() + b"\r\nContent-Length: 1000\r\n\r\n{"
    )
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    async with httpx.AsyncClient(timeout=PATIENCE) as http:
        assert (await http.get(f"{served}/metadata")).status_code == 200


async def test_a_declared_giant_is_refused_before_it_is_sent(api: World, served: str) -> None:
    address = httpx.URL(served)
    reader, writer = await asyncio.open_connection(address.host, address.port)
    token = api.tokens.issue(LOADER)
    writer.write(
        b"POST /fhir/Patient HTTP/1.1\r\nHost: x\r\nContent-Type: application/fhir+json\r\n"
        b"Authorization: Bearer " + token.encode() + b"\r\nContent-Length: 99999999999\r\n\r\n"
    )
    status = await asyncio.wait_for(reader.readline(), PATIENCE)
    assert b" 413 " in status
    writer.close()
