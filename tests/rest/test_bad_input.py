"""What clients get wrong: always a fitting 4xx with an OperationOutcome, and nothing is stored."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from pater.access.tokens import Tokens
from pater.trust.keys import Keys
from tests.rest.world import BASE, LOADER, World, issues, observation

DEEP = b'{"resourceType":"Patient","extension":' + b'[{"extension":' * 200 + b"1"

BODIES: list[tuple[str, bytes, int]] = [
    ("empty", b"", 400),
    ("blank", b"  \n", 400),
    ("truncated", b'{"resourceType":"Patient","name":[{"family":"No', 400),
    ("deep", DEEP, 400),
    ("deep and closed", b'{"a":' * 500 + b"1" + b"}" * 500, 400),
    ("very deep", b"[" * 100_000, 400),
    ("duplicate key", b'{"resourceType":"Patient","active":true,"active":false}', 400),
    ("not an object", b'[{"resourceType":"Patient"}]', 400),
    ("null", b"null", 400),
    ("no type", b'{"active":true}', 400),
    ("type of another kind", b'{"resourceType":5}', 400),
    ("another type", b'{"resourceType":"Observation"}', 400),
    ("latin-1", '{"resourceType":"Patient","name":[{"family":"Nováková"}]}'.encode("latin-1"), 400),
    ("utf-16", '{"resourceType":"Patient"}'.encode("utf-16"), 400),
    ("byte order mark", b"\xef\xbb\xbf" + b'{"resourceType":"Patient"}', 400),
    ("NaN", b'{"resourceType":"Patient","multipleBirthInteger":NaN}', 400),
    ("lone surrogate", b'{"resourceType":"Patient","name":[{"family":"\\ud800"}]}', 400),
    ("NUL", b'{"resourceType":"Patient","name":[{"family":"a\\u0000b"}]}', 400),
    ("trailing text", b'{"resourceType":"Patient"} {}', 400),
    ("xml", b'<Patient xmlns="http://hl7.org/fhir"/>', 400),
    ("unknown element", b'{"resourceType":"Patient","colour":"blue"}', 422),
    ("wrong type", b'{"resourceType":"Patient","active":"yes"}', 422),
    ("bad date", b'{"resourceType":"Patient","birthDate":"1.2.1980"}', 422),
    ("bad code", b'{"resourceType":"Patient","gender":"woman"}', 422),
    ("empty array", b'{"resourceType":"Patient","name":[]}', 422),
    ("two values",
     b'{"resourceType":"Patient","deceasedBoolean":true,"deceasedDateTime":"2020"}', 422),
    ("script in narrative",
     b'{"resourceType":"Patient","text":{"status":"generated","div":'
     b'"<div xmlns=\\"http://www.w3.org/1999/xhtml\\"><script>x()</script></div>"}}', 422),
    ("huge number", b'{"resourceType":"Patient","multipleBirthInteger":1' + b"0" * 400 + b"}", 422),
]  # fmt: skip


@pytest.mark.parametrize(("body", "status"), [b[1:] for b in BODIES], ids=[b[0] for b in BODIES])
async def test_a_bad_body_is_refused(api: World, body: bytes, status: int) -> None:
    before = await api.db.fetchval("select count(*) from resource")
    answer = await api.call("POST", "/Patient", body)
    assert answer.status_code in (status, 400 if status == 422 else status), answer.text
    assert any(issue["severity"] in ("error", "fatal") for issue in issues(answer))
    assert await api.db.fetchval("select count(*) from resource") == before
    put = await api.call("PUT", "/Patient/x", body)
    assert 400 <= put.status_code < 500


async def test_every_problem_is_named_with_its_path(api: World) -> None:
    body = {"resourceType": "Patient", "gender": "woman", "birthDate": "x", "colour": 1}
    answer = await api.call("POST", "/Patient", body)
    paths = {issue["expression"][0] for issue in issues(answer)}
    assert {"Patient.gender", "Patient.birthDate", "Patient.colour"} <= paths


async def test_the_place_of_a_broken_text_is_named(api: World) -> None:
    answer = await api.call("POST", "/Patient", b'{"resourceType":"Patient",\n"name":[{,')
    assert "line 2" in issues(answer)[0]["diagnostics"]


@pytest.mark.parametrize(
    "content_type",
    ["image/svg+xml", "text/turtle", "text/plain", "", "application/json-patch+json",
     "application/fhir+json; charset=iso-8859-2", "application/fhir+json; fhirVersion=3.0",
     "application/fhir+xml; charset=iso-8859-2", "application/fhir+xml; fhirVersion=3.0"],
)  # fmt: skip
async def test_other_media_types_are_415(api: World, content_type: str) -> None:
    headers = api.headers(LOADER, content_type=content_type)
    answer = await api.http.post(
        f"{BASE}/Patient", content=b'{"resourceType":"Patient"}', headers=headers
    )
    assert answer.status_code == 415
    assert issues(answer)


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/fhir+json; charset=UTF-8", 'application/json;charset="utf-8"',
     "application/fhir+json; fhirVersion=4.0"],
)  # fmt: skip
async def test_json_in_utf8_is_taken(api: World, content_type: str) -> None:
    answer = await api.call(
        "POST", "/Patient", {"resourceType": "Patient"}, content_type=content_type
    )
    assert answer.status_code == 201


async def test_what_the_client_accepts(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    for accept in ("text/turtle", "text/html", "application/fhir+json;q=0",
                   "application/fhir+json; fhirVersion=5.0"):  # fmt: skip
        assert (await api.call("GET", path, accept=accept)).status_code == 406, accept
    for accept in (
        "*/*",
        "application/json",
        "text/html, */*;q=0.1",
        "application/fhir+xml, application/*",
    ):
        assert (await api.call("GET", path, accept=accept)).status_code == 200, accept
    assert (await api.call("GET", f"{path}?_format=ttl")).status_code == 406
    for given in ("json", "application/fhir+json", "application/fhir%2Bjson"):
        answer = await api.call("GET", f"{path}?_format={given}", accept="text/html")
        assert answer.status_code == 200, given


async def test_a_body_over_the_limit_is_413(api: World) -> None:
    body = b'{"resourceType":"Patient","x":"' + b"a" * (17 * 1024 * 1024) + b'"}'
    assert (await api.call("POST", "/Patient", body)).status_code == 413

    async def stream() -> Any:
        for _ in range(20):
            yield b" " * 1024 * 1024

    headers = api.headers(LOADER, content_type="application/fhir+json")
    answer = await api.http.post(f"{BASE}/Patient", content=stream(), headers=headers)
    assert (answer.status_code, issues(answer)[0]["code"]) == (413, "too-long")


async def test_tokens(api: World) -> None:
    async def status(authorization: str | None) -> int:
        headers = {} if authorization is None else {"Authorization": authorization}
        answer = await api.http.get(f"{BASE}/Patient?_id=1", headers=headers)
        if answer.status_code == 401:
            assert answer.headers["www-authenticate"].startswith("Bearer")
            assert issues(answer)[0]["code"] == "login"
        return answer.status_code

    good = api.tokens.issue(LOADER)
    assert await status(f"Bearer {good}") == 200
    assert await status(None) == 401
    assert await status("Basic YTpi") == 401
    assert await status("Bearer ") == 401
    assert await status("Bearer nonsense") == 401
    assert await status(f"Bearer {good[:-4]}AAAA") == 401
    assert await status(f"Bearer {api.tokens.issue(LOADER, timedelta(minutes=-5))}") == 401
    stranger = Tokens(Keys.generate(), BASE.removesuffix("/fhir"), api.clock)
    assert await status(f"Bearer {stranger.issue(LOADER)}") == 401


async def test_metadata_needs_no_token(api: World) -> None:
    answer = await api.http.get(f"{BASE}/metadata")
    assert answer.status_code == 200


async def test_odd_names_are_data(api: World) -> None:
    for family in (
        "Robert'); DROP TABLE resource;--",
        "<script>alert(1)</script>",
        "%' OR 1=1",
        "\\",
        "\u202e",
    ):
        made = await api.patient(name=[{"family": family}])
        answer = await api.call("GET", f"/Patient/{made['id']}")
        assert answer.json()["name"][0]["family"] == family
    for query in ("name=%27%20OR%201=1--", "family=%25", "name=%3Cscript%3E"):
        answer = await api.call("GET", f"/Patient?{query}")
        assert answer.status_code == 200
        assert "<script>" not in answer.json()["link"][0]["url"]


async def test_a_patient_who_does_not_exist(api: World) -> None:
    answer = await api.call("POST", "/Observation", observation("nobody"))
    assert answer.status_code == 422
    (issue,) = issues(answer)
    assert (issue["code"], issue["expression"]) == ("not-found", ["Observation.subject.reference"])
    elsewhere = observation("x", subject={"reference": "https://other.example/fhir/Patient/x"})
    assert (await api.call("POST", "/Observation", elsewhere)).status_code == 422
    urn = observation("x", subject={"reference": "urn:uuid:53fefa32-fcbb-4ff8-8a92-55ee120877b7"})
    assert (await api.call("POST", "/Observation", urn)).status_code == 422


async def test_an_own_absolute_reference_is_a_reference_here(api: World) -> None:
    patient = await api.patient()
    body = observation("x", subject={"reference": f"{BASE}/Patient/{patient['id']}"})
    made = await api.create(body)
    assert await api.person_of(made["id"]) == await api.person_of(patient["id"])


async def test_an_update_with_another_id_or_type(api: World) -> None:
    made = await api.patient()
    answer = await api.call("PUT", f"/Patient/{made['id']}", {**made, "id": "other"})
    assert (answer.status_code, issues(answer)[0]["expression"]) == (400, ["Patient.id"])
    none = {k: v for k, v in made.items() if k != "id"}
    assert (await api.call("PUT", f"/Patient/{made['id']}", none)).status_code == 400
    long = "a" * 65
    assert (await api.call("PUT", f"/Patient/{long}", {**made, "id": long})).status_code == 400


async def test_a_record_stays_with_its_patient(api: World) -> None:
    one, other = await api.patient(), await api.patient()
    made = await api.create(observation(one["id"]))
    made["subject"] = {"reference": f"Patient/{other['id']}"}
    answer = await api.call("PUT", f"/Observation/{made['id']}", made)
    assert (answer.status_code, issues(answer)[0]["code"]) == (422, "business-rule")


@pytest.mark.parametrize(
    "query",
    ["unknown=1", "name:foo=1", "birthdate=yesterday", "birthdate=xx2020", "_count=-1", "_count=x",
     "_sort=colour", "_include=Patient:nothing", "organization.foo=1", "_has:Foo:bar:baz=1",
     "_cursor=forged", "birthdate=%00", "name=%ff", "_total=maybe", "_summary=x",
     "&".join(f"name={n}" for n in range(300))],
)  # fmt: skip
async def test_a_search_that_cannot_be_understood_is_400(api: World, query: str) -> None:
    answer = await api.call("GET", f"/Patient?{query}")
    assert answer.status_code == 400, answer.text
    assert issues(answer)


@pytest.mark.parametrize(
    "path", ["/Patient/1?x=1", "/Patient/1/_history?x=1", "/Patient/1/_history/1?x=1"]
)
async def test_unknown_parameters_of_reads_are_400(api: World, path: str) -> None:
    assert (await api.call("GET", path)).status_code == 400


async def test_a_condition_that_is_none_is_refused_clearly(api: World) -> None:
    patient = {"resourceType": "Patient"}
    answer = await api.call("POST", "/Patient", patient, if_none_exist="nonsense=1")
    assert (answer.status_code, issues(answer)[0]["code"]) == (400, "not-supported")
    assert (await api.call("PUT", "/Patient", patient)).status_code == 405


async def test_errors_carry_no_personal_data(api: World) -> None:
    secret = "Tajemníková"
    for body in (
        json.dumps({"resourceType": "Patient", "name": [{"family": secret}], "gender": "x"}),
        '{"resourceType":"Patient","name":[{"family":"' + secret,
    ):
        answer = await api.call("POST", "/Patient", body.encode())
        assert secret not in answer.text
