"""The edge of HTTP: compression, caching, origins, forms, preferences."""

from __future__ import annotations

import gzip
from typing import Any

import httpx
import pytest
import zstandard

from pater.fhir import xml
from pater.fhir.validation import validate
from pater.rest.compression import accepted_encoding
from pater.rest.cors import with_origins
from tests.rest.world import BASE, World, issues, observation


async def raw(api: World, path: str, **headers: str) -> tuple[bytes, httpx.Headers]:
    """The bytes as they were sent, not decompressed."""
    sent = api.headers(_loader(), **headers)
    async with api.http.stream("GET", f"{BASE}{path}", headers=sent) as answer:
        found = b"".join([part async for part in answer.aiter_raw()])
        return found, answer.headers


def _loader() -> Any:
    from tests.rest.world import LOADER

    return LOADER


def unpacked(body: bytes, encoding: str | None) -> bytes:
    if encoding == "gzip":
        return gzip.decompress(body)
    return zstandard.ZstdDecompressor().decompress(body) if encoding == "zstd" else body


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
async def test_an_answer_is_compressed_for_who_takes_it(api: World, encoding: str) -> None:
    made = await api.patient(contact=[{"name": {"text": "x" * 2000}}])
    plain, headers = await raw(api, f"/Patient/{made['id']}", accept_encoding="identity")
    assert "content-encoding" not in headers
    small, headers = await raw(api, f"/Patient/{made['id']}", accept_encoding=encoding)
    assert headers["content-encoding"] == encoding
    assert int(headers["content-length"]) == len(small) < len(plain) / 4
    assert unpacked(small, encoding) == plain
    assert "Accept-Encoding" in headers["vary"]
    assert headers["etag"] == 'W/"1"'
    short = await api.patient()
    body, headers = await raw(api, f"/Patient/{short['id']}", accept_encoding=encoding)
    assert "content-encoding" not in headers
    assert body.startswith(b'{"resourceType"')


@pytest.mark.parametrize(
    ("header", "chosen"),
    [
        ("", ""),
        ("gzip", "gzip"),
        ("gzip, deflate, br, zstd", "zstd"),
        ("gzip;q=1.0, zstd;q=0.5", "gzip"),
        ("zstd;q=0, gzip;q=0", ""),
        ("*", "zstd"),
        ("*;q=0", ""),
        ("gzip;q=0.5, identity", ""),
        ("br", ""),
        ("gzip;q=x", ""),
        ("GZIP", "gzip"),
        ("gzip," * 100, ""),
    ],
)
def test_what_accept_encoding_means(header: str, chosen: str) -> None:
    assert accepted_encoding(header) == chosen


async def test_head_says_what_get_would(api: World) -> None:
    made = await api.patient(contact=[{"name": {"text": "x" * 2000}}])
    paths = [f"/Patient/{made['id']}", f"/Patient/{made['id']}/_history/1", "/metadata",
             f"/Patient/{made['id']}/_history", f"/Patient?_id={made['id']}",
             f"/Patient/{made['id']}/$everything", f"/Patient/{made['id']}/$meta"]  # fmt: skip
    for path in paths:
        for encoding in ("identity", "gzip"):
            got = await api.call("GET", path, accept_encoding=encoding)
            head = await api.call("HEAD", path, accept_encoding=encoding)
            assert (head.status_code, head.content) == (200, b""), path
            for name in ("content-length", "etag", "content-type", "content-encoding"):
                assert head.headers.get(name) == got.headers.get(name), (path, name)


async def test_the_statement_is_kept_by_clients(api: World) -> None:
    first = await api.http.get(f"{BASE}/metadata")
    assert (first.status_code, first.headers["cache-control"]) == (200, "public, max-age=60")
    tag = first.headers["etag"]
    again = await api.http.get(f"{BASE}/metadata", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    other = await api.http.get(f"{BASE}/metadata", headers={"Accept": "application/fhir+xml"})
    assert xml.parse(other.content)["resourceType"] == "CapabilityStatement"
    assert other.headers["etag"] != tag
    for encoding in ("gzip", "zstd"):
        packed, headers = await raw(api, "/metadata", accept_encoding=encoding)
        assert headers["content-encoding"] == encoding
        assert unpacked(packed, encoding) == first.content
    for mode in ("full", "normative"):
        assert (await api.http.get(f"{BASE}/metadata?mode={mode}")).json() == first.json()
    wrong = await api.http.get(f"{BASE}/metadata?mode=hat")
    assert wrong.status_code == 400
    short = (await api.http.get(f"{BASE}/metadata?_summary=true")).json()
    assert not validate(short)
    assert short["meta"]["tag"][0]["code"] == "SUBSETTED"
    some = (await api.http.get(f"{BASE}/metadata?_elements=software")).json()
    assert "software" in some and "implementation" not in some
    unknown = await api.http.get(f"{BASE}/metadata?colour=red")
    assert unknown.json() == first.json()


async def test_lines_for_people(api: World) -> None:
    made = await api.create(observation((await api.patient())["id"], valueQuantity={"value": 1}))
    path = f"/Observation/{made['id']}"
    body, _ = await raw(api, f"{path}?_pretty=true", accept_encoding="identity")
    assert body.startswith(b'{\n  "resourceType": "Observation"')
    assert (await api.call("GET", f"{path}?_pretty=false")).json() == made
    assert (await api.call("GET", f"{path}?_pretty=true")).json() == made
    searched = await api.call("GET", f"/Observation?_id={made['id']}&_pretty=true&_format=xml")
    assert xml.parse(searched.content)["type"] == "searchset"


async def test_a_form_may_be_empty(api: World) -> None:
    await api.patient()
    sent = api.headers(_loader())
    answer = await api.http.post(f"{BASE}/Patient/_search?_count=1", headers=sent)
    assert (answer.status_code, len(answer.json()["entry"])) == (200, 1)
    wrong = await api.call("POST", "/Patient/_search", "{}")
    assert wrong.status_code == 415


async def test_if_match_may_be_any_version(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    answer = await api.call("PUT", path, {**made, "birthDate": "1981-01-01"}, if_match="*")
    assert (answer.status_code, answer.headers["etag"]) == (200, 'W/"2"')
    absent = {**made, "id": "not-there-yet"}
    refused = await api.call("PUT", "/Patient/not-there-yet", absent, if_match="*")
    assert refused.status_code == 412
    assert (await api.call("DELETE", path, if_match="*")).status_code == 204
    assert (await api.call("DELETE", path, if_match="*")).status_code == 412
    again = await api.call("PUT", path, made, if_match="*")
    assert again.status_code == 412
    assert (await api.call("PUT", path, made)).status_code == 201


PREFLIGHT = {
    "Origin": "https://app.example",
    "Access-Control-Request-Method": "PUT",
    "Access-Control-Request-Headers": "authorization",
}


def browser(api: World, *origins: str) -> httpx.AsyncClient:
    app = with_origins(api.app, frozenset(origins))
    return httpx.AsyncClient(transport=httpx.ASGITransport(app=app))


async def test_named_origins_may_call(api: World) -> None:
    made = await api.patient()
    async with browser(api, "https://app.example") as http:
        asked = await http.options(f"{BASE}/Patient/{made['id']}", headers=PREFLIGHT)
        assert asked.status_code == 204
        assert asked.headers["access-control-allow-origin"] == "https://app.example"
        assert "PUT" in asked.headers["access-control-allow-methods"]
        assert "If-Match" in asked.headers["access-control-allow-headers"]
        sent = {**api.headers(_loader()), "Origin": "https://app.example"}
        answer = await http.get(f"{BASE}/Patient/{made['id']}", headers=sent)
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        for name in ("ETag", "Location", "Content-Location", "X-Request-Id", "Link"):
            assert name in answer.headers["access-control-expose-headers"]
        assert "Origin" in answer.headers["vary"]
        assert "access-control-allow-credentials" not in answer.headers
        without = await http.get(f"{BASE}/Patient/{made['id']}", headers={"Origin": sent["Origin"]})
        assert without.status_code == 401
        assert without.headers["access-control-allow-origin"] == "https://app.example"


async def test_other_origins_may_not(api: World) -> None:
    async with browser(api, "https://app.example") as http:
        for origin in ("https://other.example", "null", "https://app.example.org"):
            asked = await http.options(f"{BASE}/Patient", headers={**PREFLIGHT, "Origin": origin})
            assert "access-control-allow-origin" not in asked.headers
            sent = {**api.headers(_loader()), "Origin": origin}
            answer = await http.get(f"{BASE}/Patient?_count=1", headers=sent)
            assert "access-control-allow-origin" not in answer.headers
    async with browser(api) as http:
        refused = await http.options(f"{BASE}/Patient", headers=PREFLIGHT)
        assert refused.status_code in (401, 405)
        assert "access-control-allow-origin" not in refused.headers
        assert issues(refused)
    async with browser(api, "*") as http:
        asked = await http.options(f"{BASE}/Patient", headers=PREFLIGHT)
        assert asked.headers["access-control-allow-origin"] == "https://app.example"
