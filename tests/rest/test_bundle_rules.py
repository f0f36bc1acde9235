"""What R4 asks of a transaction beside references, and every address that a batch may read."""

from __future__ import annotations

from uuid import uuid4

from tests.rest.test_bundles import bundle, entry, urn
from tests.rest.world import World, issues, observation


async def test_uris_and_links_of_narratives_become_addresses(api: World) -> None:
    binary, other = urn(), urn()
    div = (
        f'<div xmlns="http://www.w3.org/1999/xhtml">{binary} '
        f'<a href="{binary}">scan</a> <img alt="" src="{binary}"/> <a href="{other}">x</a></div>'
    )
    document = {
        "resourceType": "DocumentReference",
        "status": "current",
        "text": {"status": "generated", "div": div},
        # a plain string keeps what it says
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": binary}],
        "content": [{"attachment": {"contentType": "text/plain", "url": binary}}],
        "extension": [{"url": "http://example.org/scan", "valueUri": binary}],
    }
    made = {"resourceType": "Binary", "contentType": "text/plain", "data": "YQ=="}
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "DocumentReference", document, urn()),
            entry("POST", "Binary", made, binary),
        ),
    )
    assert answer.status_code == 200, answer.text
    there, place = (
        each["response"]["location"].split("/_history")[0] for each in answer.json()["entry"]
    )
    found = (await api.call("GET", f"/{there}")).json()
    assert found["content"][0]["attachment"]["url"] == place
    assert found["extension"][0]["valueUri"] == place
    assert found["identifier"][0]["value"] == binary
    assert found["text"]["div"] == (
        f'<div xmlns="http://www.w3.org/1999/xhtml">{binary} '
        f'<a href="{place}">scan</a> <img alt="" src="{place}"/> <a href="{other}">x</a></div>'
    )


async def test_what_a_transaction_deletes_is_not_what_it_finds(api: World) -> None:
    value = uuid4().hex
    patient = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": value}]}
    query = f"identifier=urn:x|{value}"
    made = (await api.call("POST", "/Patient", patient)).json()
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "Patient", patient, ifNoneExist=query),
            entry("DELETE", f"Patient/{made['id']}"),
        ),
    )
    assert answer.status_code == 400
    assert issues(answer)[0]["expression"] == ["Bundle.entry[0].request.ifNoneExist"]
    assert (await api.call("GET", f"/Patient/{made['id']}")).status_code == 200


async def test_a_batch_reads_the_system_and_compartments_too(api: World) -> None:
    made = (await api.call("POST", "/Patient", {"resourceType": "Patient"})).json()
    seen = observation("", subject={"reference": f"Patient/{made['id']}"})
    seen = (await api.call("POST", "/Observation", {**seen, "id": "x"})).json()
    reads = (
        f"?_type=Patient,Observation&_id={made['id']}",
        "_history?_count=1",
        f"Patient/{made['id']}/Observation?code:missing=false",
        f"Patient/{made['id']}/*",
    )
    answer = await api.call("POST", "/", bundle("batch", *(entry("GET", url) for url in reads)))
    entries = answer.json()["entry"]
    assert [each["response"]["status"] for each in entries] == ["200"] * 4
    found = [{part["resource"]["id"] for part in each["resource"]["entry"]} for each in entries]
    assert found == [{made["id"]}, {seen["id"]}, {seen["id"]}, {made["id"], seen["id"]}]
    wrong = await api.call("POST", "/", bundle("batch", entry("GET", "Patient/x/Foo")))
    assert wrong.json()["entry"][0]["response"]["status"] == "400"


async def test_a_reference_that_means_nothing_is_named_where_it_stands(api: World) -> None:
    query = f"identifier=urn:x|{uuid4().hex}"
    answer = await api.call(
        "POST",
        "/",
        bundle(
            "transaction",
            entry("POST", "Patient", {"resourceType": "Patient"}, ifNoneExist=query),
            entry(
                "POST",
                "Observation",
                observation("", subject={"reference": f"Patient?{query}"}),
            ),
        ),
    )
    assert answer.status_code == 412
    assert issues(answer)[0]["expression"] == ["Bundle.entry[1].resource.subject.reference"]
