"""Histories of a type and of the system: complete, paged, dated, and only for who may see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import quote

import pytest

from tests.rest.world import (
    BASE,
    CLINICIAN,
    HOSPITAL,
    INSURER,
    World,
    issues,
    pages,
    patient_caller,
)
from tests.rest.world import observation as seen


def versions(entries: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (each["fullUrl"].removeprefix(f"{BASE}/"), each["response"]["etag"]) for each in entries
    ]


async def organization(api: World, name: str) -> dict[str, Any]:
    return await api.create({"resourceType": "Organization", "name": name})


async def test_a_type_shows_every_version_newest_first(api: World) -> None:
    one = await organization(api, "one")
    api.clock.move(seconds=1)
    two = await organization(api, "two")
    api.clock.move(seconds=1)
    await api.call("PUT", f"/Organization/{one['id']}", {**one, "name": "one again"})
    api.clock.move(seconds=1)
    await api.call("DELETE", f"/Organization/{two['id']}")
    expected = [
        (f"Organization/{two['id']}", 'W/"2"'),
        (f"Organization/{one['id']}", 'W/"2"'),
        (f"Organization/{two['id']}", 'W/"1"'),
        (f"Organization/{one['id']}", 'W/"1"'),
    ]
    whole = await pages(api, "/Organization/_history")
    assert versions(whole)[:4] == expected
    assert [each["request"]["method"] for each in whole[:4]] == ["DELETE", "PUT", "POST", "POST"]
    assert "resource" not in whole[0]
    assert versions(await pages(api, "/Organization/_history?_count=1"))[:4] == expected
    assert versions(await pages(api, "/_history?_count=3"))[:4] == expected
    assert await api.journal(interaction="history-type", entity_type="Organization", person=0)


async def test_pages_stay_as_they_were_while_others_write(api: World) -> None:
    made = [await organization(api, f"page {n}") for n in range(6)]
    body = (await api.call("GET", "/Organization/_history?_count=3")).json()
    for each in made:
        await api.call("PUT", f"/Organization/{each['id']}", {**each, "name": "meanwhile"})
    following = next(each["url"] for each in body["link"] if each["relation"] == "next")
    rest = await pages(api, following.removeprefix(BASE))
    found = versions([*body["entry"], *rest])
    assert len(found) == len(set(found))
    assert {(f"Organization/{each['id']}", 'W/"1"') for each in made} <= set(found)
    assert not {(f"Organization/{each['id']}", 'W/"2"') for each in made} & set(found)


async def test_since_and_at_say_which_versions(api: World) -> None:
    api.clock.move(seconds=10)
    made = await organization(api, "dated")
    created = api.clock.now
    api.clock.move(seconds=10)
    await api.call("PUT", f"/Organization/{made['id']}", {**made, "name": "later"})
    for path in ("/_history", "/Organization/_history", f"/Organization/{made['id']}/_history"):
        for name, moment, etags in (
            ("_since", created + timedelta(seconds=5), ['W/"2"']),
            ("_since", created, ['W/"2"', 'W/"1"']),
            ("_at", created + timedelta(seconds=5), ['W/"1"']),
            ("_at", created + timedelta(seconds=15), ['W/"2"']),
        ):
            text = quote(moment.isoformat(timespec="milliseconds"))
            entries = await pages(api, f"{path}?{name}={text}&_count=2")
            own = [e for e in entries if e["fullUrl"].endswith(made["id"])]
            assert [each["response"]["etag"] for each in own] == etags, (path, name)


@pytest.mark.parametrize(
    "query", ["_since=x", "_since=ge2020", "_at=2020,2021", "_cursor=1", "_count=-1", "name=a",
              "_since=2020&_since=2021", "_cursor=99999999999999999999.1"],
)  # fmt: skip
async def test_other_parameters_are_refused(api: World, query: str) -> None:
    for path in ("/_history", "/Patient/_history"):
        answer = await api.call("GET", f"{path}?{query}")
        assert answer.status_code == 400, answer.text
        assert issues(answer)


async def test_a_patient_sees_the_versions_of_the_own_record_only(api: World) -> None:
    mine, other = await api.patient(), await api.patient()
    person = await api.person_of(mine["id"])
    kept = await api.create(seen(mine["id"]))
    gone = await api.create(seen(mine["id"]))
    await api.call("DELETE", f"/Observation/{gone['id']}")
    await api.call("PUT", f"/Observation/{kept['id']}", {**kept, "status": "amended"})
    await api.create(seen(other["id"]))
    me = patient_caller(person, mine["id"])
    found = await pages(api, "/Observation/_history?_count=1", caller=me)
    assert sorted(versions(found)) == sorted(
        (f"Observation/{each['id']}", etag) for each in (kept, gone) for etag in ('W/"1"', 'W/"2"')
    )
    whole = await pages(api, "/_history", caller=me)
    assert {f"Patient/{mine['id']}", f"Observation/{kept['id']}"} <= {p for p, _ in versions(whole)}
    assert other["id"] not in str(whole)
    assert await pages(api, "/Condition/_history", caller=me) == []
    rows = await api.journal(interaction="history-type", agent=me.id)
    assert rows and {row["person"] for row in rows} == {person}
    assert await api.journal(interaction="history-system", person=person)


async def test_who_has_to_name_the_patient_gets_no_history_of_many(api: World) -> None:
    made = await api.patient(name=[{"family": "Skrytá"}])
    for caller in (CLINICIAN, HOSPITAL, INSURER):
        for path in ("/_history", "/Patient/_history", "/CodeSystem/_history"):
            answer = await api.call("GET", path, caller=caller)
            assert answer.status_code == 403, (caller.id, path)
            assert made["id"] not in answer.text
    refused = await api.journal(interaction="history-type", outcome="4", agent=CLINICIAN.id)
    assert refused[0]["reason"] == "not-bound"
    assert (await api.call("GET", "/AuditEvent/_history")).status_code == 403


async def test_a_bundle_may_ask_for_a_history(api: World) -> None:
    made = await organization(api, "asked")
    bundle = {
        "resourceType": "Bundle",
        "type": "batch",
        "entry": [{"request": {"method": "GET", "url": "Organization/_history?_count=1"}}],
    }
    (entry,) = (await api.call("POST", "", bundle)).json()["entry"]
    assert made["id"] in str(entry["resource"])
