"""What a history says and takes beyond its pages: revivals, totals, lists, conditions on reads."""

from __future__ import annotations

import pytest

from tests.rest.world import BASE, World, issues, observation, patient_caller


async def versions(api: World, path: str) -> list[tuple[str, str]]:
    """Address and ETag of each version on the page."""
    answer = await api.call("GET", path)
    assert answer.status_code == 200, answer.text
    return [
        (each["fullUrl"].removeprefix(f"{BASE}/"), each["response"]["etag"])
        for each in answer.json().get("entry", ())
    ]


@pytest.mark.parametrize("query", ["", "?_count=1", "?_since=2020"])
async def test_what_was_deleted_and_put_again_was_created(api: World, query: str) -> None:
    made = await api.create({"resourceType": "Organization", "name": "again"})
    address = f"/Organization/{made['id']}"
    for _ in range(2):
        api.clock.move(seconds=1)
        await api.call("DELETE", address)
        api.clock.move(seconds=1)
        assert (await api.call("PUT", address, made)).status_code == 201
    api.clock.move(seconds=1)
    assert (await api.call("PUT", address, {**made, "name": "still"})).status_code == 200
    for path in (f"{address}/_history", "/Organization/_history", "/_history"):
        found: list[str] = []
        following = f"{path}{query}"
        while following and len(found) < 6:
            page = (await api.call("GET", following)).json()
            found += [each["response"]["status"] for each in page["entry"]]
            links = {each["relation"]: each["url"] for each in page["link"]}
            following = links.get("next", "").removeprefix(BASE)
        assert found[:6] == ["200", "201", "204", "201", "204", "201"], path


async def test_a_count_of_nothing_gives_the_number(api: World) -> None:
    mine = await api.patient()
    seen = await api.create(observation(mine["id"]))
    address = f"/Observation/{seen['id']}"
    await api.call("PUT", address, {**seen, "status": "amended"})
    await api.call("DELETE", address)
    page = (await api.call("GET", f"{address}/_history?_count=0")).json()
    assert (page["type"], page["total"], page.get("entry")) == ("history", 3, None)
    whole = (await api.call("GET", f"{address}/_history")).json()
    assert (whole["total"], len(whole["entry"])) == (3, 3)
    me = patient_caller(await api.person_of(mine["id"]), mine["id"])
    for path, total in (("/Observation/_history", 3), ("/_history", 4)):
        own = (await api.call("GET", f"{path}?_count=0", caller=me)).json()
        assert (own["total"], own.get("entry")) == (total, None)
        every = (await api.call("GET", f"{path}?_count=0")).json()
        assert every["total"] >= total
        none = (await api.call("GET", f"{path}?_count=0&_since=2999")).json()
        assert none["total"] == 0
    rows = await api.journal(interaction="history-type", agent=me.id)
    assert rows[-1]["person"] == await api.person_of(mine["id"])


async def test_too_many_are_not_counted(api: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pater.records.histories.MOST_COUNTED", 1)
    for name in ("a", "b"):
        await api.create({"resourceType": "Location", "name": name})
    answer = await api.call("GET", "/Location/_history?_count=0")
    assert (answer.status_code, issues(answer)[0]["code"]) == (422, "too-costly")


async def test_a_list_says_which_versions(api: World) -> None:
    one, two, other = [
        await api.create({"resourceType": "Organization", "name": name}) for name in "abc"
    ]
    for each in (one, two, other):
        api.clock.move(seconds=1)
        await api.call("PUT", f"/Organization/{each['id']}", {**each, "name": "later"})
    made = await api.create({
        "resourceType": "List", "status": "current", "mode": "working",
        "entry": [
            {"item": {"reference": f"Organization/{one['id']}"}},
            {"item": {"reference": f"{BASE}/Organization/{two['id']}/_history/1"}},
            {"item": {"reference": "Organization/absent"}},
            {"item": {"display": "no reference"}},
        ],
    })  # fmt: skip
    expected = [
        (f"Organization/{one['id']}", 'W/"2"'),
        (f"Organization/{two['id']}", 'W/"1"'),
        (f"Organization/{one['id']}", 'W/"1"'),
    ]
    for path in ("/Organization/_history", "/_history"):
        found = await versions(api, f"{path}?_list={made['id']}")
        assert sorted(found) == sorted(expected), path
        first = (await api.call("GET", f"{path}?_list={made['id']}&_count=2")).json()
        assert len(first["entry"]) == 2
        following = next(e["url"] for e in first["link"] if e["relation"] == "next")
        rest = await versions(api, following.removeprefix(BASE))
        assert len(rest) == 1
        counted = (await api.call("GET", f"{path}?_list={made['id']}&_count=0")).json()
        assert counted["total"] == 3
    assert await versions(api, f"/Organization/{two['id']}/_history?_list={made['id']}") == [
        (f"Organization/{two['id']}", 'W/"1"')
    ]
    assert await versions(api, f"/Organization/{other['id']}/_history?_list={made['id']}") == []
    assert await versions(api, f"/Patient/_history?_list={made['id']}") == []
    assert (await api.call("GET", "/Organization/_history?_list=absent")).status_code == 404


async def test_a_list_shows_no_record_of_others(api: World) -> None:
    mine, other = await api.patient(), await api.patient()
    made = await api.create({
        "resourceType": "List", "status": "current", "mode": "working",
        "subject": {"reference": f"Patient/{mine['id']}"},
        "entry": [{"item": {"reference": f"Patient/{each['id']}"}} for each in (mine, other)],
    })  # fmt: skip
    me = patient_caller(await api.person_of(mine["id"]), mine["id"])
    answer = await api.call("GET", f"/Patient/_history?_list={made['id']}", caller=me)
    assert [each["resource"]["id"] for each in answer.json()["entry"]] == [mine["id"]]
    foreign = await api.call(
        "GET", f"/Patient/{other['id']}/_history?_list={made['id']}", caller=me
    )
    assert foreign.status_code == 404


async def test_the_order_may_be_named(api: World) -> None:
    made = await api.create({"resourceType": "Organization", "name": "ordered"})
    path = f"/Organization/{made['id']}/_history"
    assert (await api.call("GET", f"{path}?_sort=-_lastUpdated")).status_code == 200
    refused = await api.call("GET", f"{path}?_sort=_lastUpdated")
    assert (refused.status_code, issues(refused)[0]["code"]) == (400, "not-supported")


async def test_any_version_is_current_for_who_names_none(api: World) -> None:
    made = await api.create({"resourceType": "Organization", "name": "there"})
    address = f"/Organization/{made['id']}"
    for path in (address, f"{address}/_history/1"):
        assert (await api.call("GET", path, if_none_match="*")).status_code == 304
    gone = await api.call("GET", "/Organization/absent", if_none_match="*")
    assert gone.status_code == 404


async def test_head_stands_wherever_get_does(api: World) -> None:
    patient = (await api.patient())["id"]
    await api.create(observation(patient))
    for path in (
        "/metadata", "/openapi.json", f"/Patient/{patient}", f"/Patient/{patient}/_history",
        f"/Patient/{patient}/_history/1", "/Patient/_history", "/_history", "/Patient?_count=1",
        f"/Observation/_search?patient={patient}", "/?_type=Patient", f"/Patient/{patient}/*",
        f"/Patient/{patient}/Observation", f"/Patient/{patient}/$everything",
        f"/Patient/{patient}/$meta", f"/Patient/{patient}/$validate", "/$versions",
        f"/Observation/$lastn?patient={patient}",
    ):  # fmt: skip
        get = await api.call("GET", path)
        head = await api.call("HEAD", path)
        assert (head.status_code, head.content) == (get.status_code, b""), path
        if "everything" not in path:
            assert head.headers["content-length"] == get.headers["content-length"], path
