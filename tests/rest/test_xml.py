"""The API speaks XML with those who ask for it, and means the same by it."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.fhir import json as fhir_json
from pater.fhir import xml
from tests.rest.world import BASE, INSURER, LOADER, World, issues, observation

XML = "application/fhir+xml"
FHIR = "http://hl7.org/fhir"


def tree(answer: httpx.Response) -> dict[str, Any]:
    """The resource in an answer that is XML."""
    assert answer.headers["content-type"] == "application/fhir+xml; charset=utf-8", answer.text
    return xml.parse(answer.content, max_depth=100)


def problems(answer: httpx.Response) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome in XML."""
    found = tree(answer)
    assert found["resourceType"] == "OperationOutcome"
    listed: list[dict[str, Any]] = found["issue"]
    return listed


async def send(
    api: World, method: str, path: str, resource: dict[str, Any] | bytes, **headers: str
) -> httpx.Response:
    """A request with a body in XML."""
    body = resource if isinstance(resource, bytes) else xml.dumps(resource)
    headers.setdefault("content_type", XML)
    return await api.call(method, path, body, LOADER, **headers)


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("", XML),
        ("", "application/xml"),
        ("", "text/xml"),
        ("", "application/fhir+json;q=0.5, application/fhir+xml;q=0.9, */*;q=0.1"),
        ("", "*/*, application/fhir+xml"),
        ("", "application/fhir+xml, application/fhir+json"),
        ("?_format=xml", "application/fhir+json"),
        ("?_format=application/fhir%2Bxml", "text/html"),
        ("?_format=application/fhir+xml", "*/*"),
        ("?_format=text/xml", "*/*"),
    ],
)
async def test_a_read_in_xml(api: World, query: str, accept: str) -> None:
    made = await api.patient()
    answer = await api.call("GET", f"/Patient/{made['id']}{query}", accept=accept)
    assert answer.status_code == 200
    assert tree(answer) == made
    assert answer.headers["etag"] == 'W/"1"'
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize(
    ("query", "accept"),
    [
        ("", "*/*"),
        ("", "application/fhir+json, application/fhir+xml"),
        ("", "application/fhir+xml;q=0.5, application/*"),
        ("", "application/fhir+xml;q=0, application/fhir+json;q=0.1"),
        ("?_format=json", XML),
    ],
)
async def test_json_for_those_who_like_it_better(api: World, query: str, accept: str) -> None:
    made = await api.patient()
    answer = await api.call("GET", f"/Patient/{made['id']}{query}", accept=accept)
    assert answer.json() == made


async def test_every_answer_with_a_resource(api: World) -> None:
    made = await api.patient()
    here = f"/Patient/{made['id']}"
    search = tree(await api.call("GET", f"/Patient?_id={made['id']}&_total=accurate", accept=XML))
    assert (search["type"], search["total"]) == ("searchset", 1)
    assert search["entry"][0]["resource"] == made
    history = tree(await api.call("GET", f"{here}/_history", accept=XML))
    assert history["type"] == "history"
    assert history["entry"][0]["resource"] == made
    assert tree(await api.call("GET", f"{here}/_history/1", accept=XML)) == made
    some = tree(await api.call("GET", f"{here}?_elements=gender", accept=XML))
    assert set(some) == {"resourceType", "id", "meta"}
    form = await api.call(
        "POST",
        "/Patient/_search",
        f"_id={made['id']}&_format=xml",
        content_type="application/x-www-form-urlencoded",
    )
    assert tree(form)["entry"][0]["resource"] == made
    head = await api.call("HEAD", here, accept=XML)
    assert head.headers["content-type"].startswith(XML)
    assert head.content == b""
    unchanged = await api.call("GET", here, accept=XML, if_none_match='W/"1"')
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_the_capability_statement_says_it_and_comes_in_both(api: World) -> None:
    as_json = (await api.http.get(f"{BASE}/metadata")).json()
    as_xml = tree(await api.http.get(f"{BASE}/metadata?_format=xml"))
    assert as_xml == as_json
    assert {"json", "xml", "application/fhir+xml"} <= set(as_json["format"])


async def test_refusals_are_in_xml_too(api: World) -> None:
    for answer, status in (
        (await api.http.get(f"{BASE}/Patient/1", headers={"accept": XML}), 401),
        (await api.call("GET", "/Patient/none", accept=XML), 404),
        (await api.call("GET", "/Planet", accept=XML), 404),
        (await api.call("GET", "/Patient?colour=blue&_format=xml"), 400),
        (await api.call("DELETE", "/Patient", accept=XML), 405),
        (await api.call("POST", "/Patient", b"{", accept=XML), 400),
        (await api.call("POST", "/Patient", {"resourceType": "Patient"}, INSURER, accept=XML), 403),
    ):
        assert answer.status_code == status, answer.text
        assert problems(answer)[0]["severity"] in ("error", "fatal")
    neither = await api.call("GET", "/Patient/none?_format=ttl", accept=XML)
    assert (neither.status_code, issues(neither)[0]["code"]) == (406, "not-supported")


@pytest.mark.parametrize("content_type", [XML, "application/xml; charset=UTF-8", "text/xml"])
async def test_what_is_created_in_xml_is_the_same_in_json(api: World, content_type: str) -> None:
    patient = await api.patient()
    sent = fhir_json.parse(
        json.dumps(observation(patient["id"])).replace('"value": 72', '"value": 72.50').encode()
    )
    answer = await send(api, "POST", "/Observation", sent, content_type=content_type)
    assert answer.status_code == 201, answer.text
    read = await api.call("GET", f"/Observation/{answer.json()['id']}")
    assert '"value":72.50,' in read.text
    stored = read.json()
    assert {k: v for k, v in stored.items() if k not in ("id", "meta")} == json.loads(
        fhir_json.dumps(sent)
    )


async def test_update_and_what_it_returns(api: World) -> None:
    made = await api.patient()
    changed = {**made, "gender": "female"}
    answer = await send(api, "PUT", f"/Patient/{made['id']}", changed, accept=XML, if_match='W/"1"')
    assert (answer.status_code, tree(answer)["gender"]) == (200, "female")
    minimal = await send(
        api, "PUT", f"/Patient/{made['id']}", made, accept=XML, prefer="return=minimal"
    )
    assert (minimal.status_code, minimal.content) == (200, b"")


async def test_a_transaction_in_xml(api: World) -> None:
    bundle = {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0",
                "resource": {"resourceType": "Patient", "name": [{"family": "Xmlová"}]},
                "request": {"method": "POST", "url": "Patient"},
            },
            {
                "resource": {
                    "resourceType": "Flag",
                    "status": "active",
                    "code": {"text": "x"},
                    "subject": {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"},
                },
                "request": {"method": "POST", "url": "Flag"},
            },
        ],
    }
    answer = await send(api, "POST", "", bundle, accept=XML, prefer="return=representation")
    assert answer.status_code == 200, answer.text
    patient, flag = (entry["resource"] for entry in tree(answer)["entry"])
    assert flag["subject"]["reference"] == f"Patient/{patient['id']}"


async def test_validate_in_xml_tells_everything(api: World) -> None:
    body = f'<Patient xmlns="{FHIR}"><gender value="x"/><birthDate value="y"/></Patient>'.encode()
    answer = await send(api, "POST", "/Patient/$validate", body, accept=XML)
    assert answer.status_code == 200
    assert {i["expression"][0] for i in problems(answer)} == {"Patient.gender", "Patient.birthDate"}
    unknown = f'<Patient xmlns="{FHIR}"><a/><b/></Patient>'.encode()
    found = issues(await send(api, "POST", "/Patient/$validate", unknown))
    assert [i["expression"] for i in found] == [["Patient.a"], ["Patient.b"]]
    made = await api.patient()
    there = await send(api, "POST", f"/Patient/{made['id']}/$validate", made)
    assert [i["severity"] for i in issues(there)] == ["information"]
    stranger = await api.call("POST", "/Patient/$validate", body, INSURER, content_type=XML)
    assert stranger.status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b'{"resourceType":"Patient"}',
        b"<Patient/>",
        b'<!DOCTYPE a [<!ENTITY x "y">]><Patient xmlns="http://hl7.org/fhir"/>',
        b'<Patient xmlns="http://hl7.org/fhir"><colour value="blue"/></Patient>',
        b'<Group xmlns="http://hl7.org/fhir"/>',
        b'<Patient xmlns="http://hl7.org/fhir">' + b'<extension url="x">' * 100_000,
    ],
)
async def test_bad_xml_is_400_and_nothing_is_written(api: World, body: bytes) -> None:
    before = await api.db.fetchval("select count(*) from resource")
    answer = await send(api, "POST", "/Patient", body)
    assert answer.status_code == 400, answer.text
    assert issues(answer)[0]["diagnostics"]
    assert await api.db.fetchval("select count(*) from resource") == before


async def test_a_valid_form_with_wrong_content_is_422_with_the_path(api: World) -> None:
    body = f'<Patient xmlns="{FHIR}"><gender value="x"/></Patient>'.encode()
    answer = await send(api, "POST", "/Patient", body)
    assert (answer.status_code, issues(answer)[0]["expression"]) == (422, ["Patient.gender"])


@pytest.mark.parametrize("wrapped", [False, True])
async def test_documents_are_taken_in_json_only(api: World, wrapped: bool) -> None:
    document: dict[str, Any] = {"resourceType": "Bundle", "type": "document"}
    if wrapped:
        request = {"method": "POST", "url": "Bundle"}
        entries = [{"resource": document, "request": request}]
        document = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = await send(api, "POST", "" if wrapped else "/Bundle", document)
    assert answer.status_code == 415
    assert "application/fhir+json" in issues(answer)[0]["diagnostics"]


async def test_what_xml_cannot_say_is_an_answer(api: World) -> None:
    patient = {"resourceType": "Patient", "name": [{"family": "a\x01b"}]}
    written = await api.call("POST", "/Patient", patient, accept=XML)
    assert written.status_code == 201
    assert problems(written)[0]["severity"] == "warning"
    there = written.headers["location"].removeprefix(BASE)
    read = await api.call("GET", there, accept=XML)
    assert read.status_code == 406
    assert problems(read)[0]["expression"] == ["Patient.name[0].family"]
    as_json = await api.call("GET", there)
    assert as_json.json()["name"] == patient["name"]


async def test_stored_bytes_are_the_same_whoever_asks_for_xml(api: World) -> None:
    made = await api.patient(gender="female")
    path = f"/Patient/{made['id']}"
    before = (await api.call("GET", path)).content
    assert tree(await api.call("GET", path, accept=XML)) == made
    assert (await api.call("GET", path)).content == before


async def test_an_answer_that_is_too_large_says_so(
    api: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await api.patient()
    monkeypatch.setattr("pater.rest.formats.MOST_BYTES", 50)
    read = await api.call("GET", f"/Patient/{made['id']}", accept=XML)
    assert (read.status_code, problems(read)[0]["severity"]) == (413, "error")
    written = await api.call("POST", "/Patient", {"resourceType": "Patient"}, accept=XML)
    assert (written.status_code, problems(written)[0]["severity"]) == (201, "warning")


PIECES = st.sampled_from(
    ["<Patient xmlns='http://hl7.org/fhir'>", "</Patient>", "<Bundle xmlns='http://hl7.org/fhir'>",
     "</Bundle>", "<entry>", "</entry>", "<resource>", "</resource>", "<type value='batch'/>",
     "<type value='document'/>", "<active value='true'/>", "<active/>", "<name><family value='a'/>",
     "</name>", "<text><status value='empty'/><div xmlns='http://www.w3.org/1999/xhtml'>", "</div>",
     "</text>", "<!--", "-->", "<![CDATA[", "]]>", "<?a", "?>", "&amp;", "&#0;", "č", "\x00"]
)  # fmt: skip


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None)
@given(
    path=st.sampled_from(["", "/Patient", "/Bundle", "/Patient/$validate", "/Patient/1"]),
    body=st.lists(PIECES, max_size=10).map("".join).map(str.encode),
    accept=st.sampled_from([XML, "*/*"]),
)
async def test_no_body_is_an_error_of_the_server(
    api: World, path: str, body: bytes, accept: str
) -> None:
    answer = await send(api, "PUT" if path.endswith("1") else "POST", path, body, accept=accept)
    assert answer.status_code < 500, (body, answer.text)
