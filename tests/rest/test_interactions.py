"""Every interaction's status, headers and body, over HTTP."""

from __future__ import annotations

import asyncio
import gzip
import json

from pater.fhir.validation import validate
from tests.rest.world import BASE, LOADER, World, issues, observation


async def test_create_gives_the_address_and_the_version(api: World) -> None:
    answer = await api.call("POST", "/Patient", {"resourceType": "Patient", "active": True})
    body = answer.json()
    assert answer.status_code == 201
    assert answer.headers["location"] == f"{BASE}/Patient/{body['id']}/_history/1"
    assert answer.headers["etag"] == 'W/"1"'
    assert "last-modified" in answer.headers
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.headers["cache-control"] == "no-store"
    assert body["meta"]["versionId"] == "1"
    assert body["active"] is True


async def test_an_id_in_a_created_resource_is_not_taken_over(api: World) -> None:
    made = await api.create({"resourceType": "Patient", "id": "my-own"})
    assert made["id"] != "my-own"


async def test_prefer_says_what_a_create_returns(api: World) -> None:
    patient = {"resourceType": "Patient"}
    minimal = await api.call("POST", "/Patient", patient, prefer="return=minimal")
    assert (minimal.status_code, minimal.content) == (201, b"")
    outcome = await api.call("POST", "/Patient", patient, prefer="return=OperationOutcome")
    assert [issue["severity"] for issue in issues(outcome)] == ["information"]
    whole = await api.call("POST", "/Patient", patient, prefer="return=representation")
    assert whole.json()["resourceType"] == "Patient"


async def test_read_gives_what_was_stored(api: World) -> None:
    made = await api.patient()
    answer = await api.call("GET", f"/Patient/{made['id']}")
    assert answer.status_code == 200
    assert answer.json() == made
    assert answer.headers["etag"] == 'W/"1"'


async def test_decimals_keep_their_precision(api: World) -> None:
    patient = await api.patient()
    sent = json.dumps(observation(patient["id"])).replace('"value": 72', '"value": 72.50')
    answer = await api.call("POST", "/Observation", sent)
    read = await api.call("GET", f"/Observation/{answer.json()['id']}")
    assert '"value":72.50,' in read.text


async def test_a_client_that_has_the_version_gets_304_and_the_look_is_recorded(api: World) -> None:
    made = await api.patient()
    answer = await api.call("GET", f"/Patient/{made['id']}", if_none_match='W/"1"')
    assert (answer.status_code, answer.content) == (304, b"")
    assert answer.headers["etag"] == 'W/"1"'
    assert await api.journal(entity_id=made["id"], interaction="read", outcome="0")
    changed = await api.call("GET", f"/Patient/{made['id']}", if_none_match='W/"7", W/"8"')
    assert changed.status_code == 200


async def test_a_resource_that_was_not_written_since_is_not_sent_again(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    written = (await api.call("GET", path)).headers["last-modified"]
    same = await api.call("GET", path, if_modified_since=written)
    assert (same.status_code, same.content) == (304, b"")
    before = await api.call("GET", path, if_modified_since="Sat, 01 Jan 2000 00:00:00 GMT")
    assert before.status_code == 200
    # the version decides where both are given, and what is no date is left aside (RFC 9110 13.1.3)
    both = await api.call("GET", path, if_modified_since=written, if_none_match='W/"9"')
    assert both.status_code == 200
    for odd in ("yesterday", "Sat, 99 Jan 2000 00:00:00 GMT", ""):
        assert (await api.call("GET", path, if_modified_since=odd)).status_code == 200


async def test_head_is_a_get_without_its_body(api: World) -> None:
    made = await api.patient()
    got = await api.call("GET", f"/Patient/{made['id']}")
    head = await api.call("HEAD", f"/Patient/{made['id']}")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == got.headers["content-length"]


async def test_reads_can_be_reduced(api: World) -> None:
    made = await api.patient(gender="female", telecom=[{"system": "phone", "value": "1"}])
    some = (await api.call("GET", f"/Patient/{made['id']}?_elements=gender")).json()
    assert set(some) == {"resourceType", "id", "meta", "gender"}
    assert some["meta"]["tag"][-1]["code"] == "SUBSETTED"
    seen = await api.create(observation(made["id"], note=[{"text": "x"}]))
    summary = (await api.call("GET", f"/Observation/{seen['id']}?_summary=true")).json()
    assert "note" not in summary
    assert summary["valueQuantity"] == seen["valueQuantity"]


async def test_update_makes_a_new_version(api: World) -> None:
    made = await api.patient()
    made["gender"] = "female"
    answer = await api.call("PUT", f"/Patient/{made['id']}", made)
    assert answer.status_code == 200
    assert answer.headers["etag"] == 'W/"2"'
    assert answer.headers["location"].endswith("/_history/2")
    assert answer.json()["gender"] == "female"
    old = await api.call("GET", f"/Patient/{made['id']}/_history/1")
    assert (old.status_code, "gender" in old.json()) == (200, False)


async def test_the_loader_may_choose_an_address(api: World) -> None:
    answer = await api.call(
        "PUT", "/Patient/chosen-1", {"resourceType": "Patient", "id": "chosen-1"}
    )
    assert (answer.status_code, answer.headers["etag"]) == (201, 'W/"1"')
    assert (await api.call("GET", "/Patient/chosen-1")).status_code == 200


async def test_if_match_keeps_one_of_two_writers_out(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    first = await api.call("PUT", path, {**made, "gender": "female"}, if_match='W/"1"')
    second = await api.call("PUT", path, {**made, "gender": "male"}, if_match='W/"1"')
    assert (first.status_code, second.status_code) == (200, 412)
    assert second.headers["etag"] == 'W/"2"'
    assert issues(second)[0]["code"] == "conflict"
    assert (await api.call("GET", path)).json()["gender"] == "female"
    odd = await api.call("PUT", path, made, if_match='W/"abc"')
    assert odd.status_code == 412
    broken = await api.call("PUT", path, made, if_match="1")
    assert broken.status_code == 400


async def test_of_many_simultaneous_conditional_updates_one_wins(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    answers = await asyncio.gather(
        *(
            api.call("PUT", path, {**made, "birthDate": f"19{n}-01-01"}, if_match='W/"1"')
            for n in range(50, 58)
        )
    )
    assert sorted(a.status_code for a in answers) == [200] + [412] * 7
    history = (await api.call("GET", f"{path}/_history")).json()
    assert len(history["entry"]) == 2


async def test_unconditional_updates_at_once_all_become_versions(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    answers = await asyncio.gather(*(api.call("PUT", path, made) for _ in range(6)))
    assert [a.status_code for a in answers] == [200] * 6
    assert sorted(a.headers["etag"] for a in answers) == [f'W/"{n}"' for n in range(2, 8)]


async def test_only_one_of_two_creates_one_address_with_if_none_match(api: World) -> None:
    body = {"resourceType": "Patient", "id": "once-only"}
    answers = await asyncio.gather(
        *(api.call("PUT", "/Patient/once-only", body, if_none_match="*") for _ in range(4))
    )
    assert sorted(a.status_code for a in answers) == [201, 412, 412, 412]


async def test_delete_and_what_follows(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    gone = await api.call("DELETE", path)
    assert (gone.status_code, gone.headers["etag"]) == (204, 'W/"2"')
    again = await api.call("DELETE", path)
    assert again.status_code == 204
    read = await api.call("GET", path)
    assert (read.status_code, issues(read)[0]["code"]) == (410, "deleted")
    assert (await api.call("GET", f"{path}/_history/1")).status_code == 200
    assert (await api.call("GET", f"{path}/_history/2")).status_code == 410
    back = await api.call("PUT", path, made)
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')


async def test_deleting_what_never_was_is_no_error(api: World) -> None:
    assert (await api.call("DELETE", "/Patient/never-was")).status_code == 204


async def test_delete_with_a_stale_version_is_refused(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    await api.call("PUT", path, made)
    stale = await api.call("DELETE", path, if_match='W/"1"')
    assert stale.status_code == 412
    assert (await api.call("DELETE", path, if_match='W/"2"')).status_code == 204


async def test_history_is_newest_first_in_pages(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    await api.call("PUT", path, made)
    await api.call("DELETE", path)
    whole = (await api.call("GET", f"{path}/_history")).json()
    assert not validate(whole)
    assert [e["request"]["method"] for e in whole["entry"]] == ["DELETE", "PUT", "POST"]
    assert [e["response"]["status"] for e in whole["entry"]] == ["204", "200", "201"]
    assert "resource" not in whole["entry"][0]
    first = (await api.call("GET", f"{path}/_history?_count=2")).json()
    links = {link["relation"]: link["url"] for link in first["link"]}
    rest = (await api.call("GET", links["next"].removeprefix(BASE))).json()
    assert [e["response"]["etag"] for e in first["entry"] + rest["entry"]] == [
        'W/"3"',
        'W/"2"',
        'W/"1"',
    ]
    assert "next" not in {link["relation"] for link in rest["link"]}


async def test_a_gzip_body_is_unpacked_within_its_bound(api: World) -> None:
    packed = gzip.compress(json.dumps({"resourceType": "Patient", "active": True}).encode())
    made = await api.call("POST", "/Patient", packed, content_encoding="gzip")
    assert (made.status_code, made.json()["active"]) == (201, True)
    bomb = gzip.compress(b'{"resourceType":"Patient","x":"' + b" " * 40_000_000)
    big = await api.call("POST", "/Patient", bomb, content_encoding="gzip")
    assert big.status_code == 413
    cut = await api.call("POST", "/Patient", packed[:-9], content_encoding="gzip")
    assert cut.status_code == 400


async def test_the_request_id_goes_round(api: World) -> None:
    made = await api.patient()
    answer = await api.call("GET", f"/Patient/{made['id']}", x_request_id="abc-1")
    assert answer.headers["x-request-id"] == "abc-1"
    assert (await api.journal(request_id="abc-1"))[0]["entity_id"] == made["id"]
    odd = await api.call("GET", f"/Patient/{made['id']}", x_request_id="a b<script>")
    assert odd.headers["x-request-id"] != "a b<script>"
    assert odd.headers["x-correlation-id"] == "a b<script>"
    assert "x-correlation-id" not in answer.headers


async def test_addresses_that_are_not_there(api: World) -> None:
    for path in (
        "/Nothing",
        "/Nothing/1",
        "/patient/1",
        "/Patient/1/2/3/4/5",
        "/Patient/1/Organization",
        "/Observation/1/Patient",
        "/$nothing",
        "/Patient/$nothing",
        "/Patient//",
    ):
        answer = await api.call("GET", path)
        assert answer.status_code == 404, path
        assert issues(answer)[0]["severity"] == "error"
    for path in (
        "/Patient/unknown",
        "/Patient/a_b",
        "/Patient/1/_history/1",
        "/Patient/1/_history/x",
    ):
        assert (await api.call("GET", path)).status_code == 404, path


async def test_methods_that_an_address_does_not_take(api: World) -> None:
    for method, path, allow in (
        ("PUT", "/Patient", "GET, HEAD, POST"),
        ("DELETE", "/Patient", "GET, HEAD, POST"),
        ("PATCH", "/Patient", "GET, HEAD, POST"),
        ("POST", "/Patient/1", "GET, HEAD, PUT, PATCH, DELETE"),
        ("DELETE", "/", "GET, HEAD, POST"),
        ("POST", "/metadata", "GET, HEAD"),
        ("PUT", "/Patient/1/_history/1", "GET, HEAD"),
    ):
        answer = await api.call(method, path)
        assert (answer.status_code, answer.headers.get("allow")) == (405, allow), (method, path)
        assert issues(answer)[0]["code"] == "not-supported"


async def test_the_caller_stays_anonymous_to_nobody(api: World) -> None:
    made = await api.patient()
    await api.call("GET", f"/Patient/{made['id']}", x_request_id="who")
    (row,) = await api.journal(request_id="who")
    assert (row["agent"], row["role"], row["source"]) == (LOADER.id, "loader", "127.0.0.1")
    assert row["person"] == await api.person_of(made["id"])
    assert row["patient"] == made["id"]
