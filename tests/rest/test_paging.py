"""Turning pages while others write: what the first page began with is what the pages show."""

from __future__ import annotations

from urllib.parse import quote

import pytest

from tests.rest.world import BASE, World


@pytest.mark.parametrize(
    "sort", ["", "&_sort=family", "&_sort=-birthdate", "&_sort=_id", "&_sort=-_lastUpdated"]
)
async def test_pages_are_those_of_the_beginning_while_others_write(api: World, sort: str) -> None:
    tag = f"urn:pages{sort}"
    made = [
        await api.patient(
            meta={"tag": [{"system": tag, "code": "x"}]},
            name=[{"family": f"Stránka{n:02}"}],
            birthDate=f"19{50 + n}-01-01",
        )
        for n in range(12)
    ]
    seen: list[str] = []
    path = f"/Patient?_tag={quote(tag, safe='')}|x&_count=4{sort}"
    while path:
        api.clock.move(seconds=1)
        page = (await api.call("GET", path)).json()
        seen += [entry["resource"]["id"] for entry in page["entry"]]
        links = {link["relation"]: link["url"] for link in page["link"]}
        path = links.get("next", "").removeprefix(BASE)
        api.clock.move(seconds=1)
        for each in (made[0], made[6], made[11]):
            again = {**each, "gender": "other" if len(seen) % 8 else "unknown"}
            answer = await api.call("PUT", f"/Patient/{each['id']}", again)
            assert answer.status_code == 200, answer.text
        await api.patient(
            meta={"tag": [{"system": tag, "code": "x"}]},
            name=[{"family": "Stránka99"}],
            birthDate="1940-01-01",
        )
    assert sorted(seen) == sorted(each["id"] for each in made)
