"""Exact under fire: two processes on one database, many clients, SIGKILL in between."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any
from unittest.mock import patch

import httpx
import pytest
from bench.consistency import Beside, Killable, Round, judge, one_round

from tests.ports import free_port
from tests.waiting import PATIENCE, until

HEADERS = {"Content-Type": "application/fhir+json"}
CLIENTS = 64
SYSTEM = "urn:test:exact"


class Pair:
    """Two processes over one database, and a token for both."""

    def __init__(self, first: Killable, second: Beside) -> None:
        self.first, self.second = first, second
        self.token = first.token("loader")

    def url(self, number: int) -> str:
        return f"http://127.0.0.1:{(self.first, self.second)[number % 2].port}/fhir"

    @asynccontextmanager
    async def clients(self) -> AsyncIterator[list[httpx.AsyncClient]]:
        """One client for each process, each with connections enough."""
        limits = httpx.Limits(max_connections=CLIENTS)
        headers = {"Authorization": f"Bearer {self.token}"}
        async with (
            httpx.AsyncClient(
                base_url=self.url(0), headers=headers, limits=limits, timeout=PATIENCE
            ) as a,
            httpx.AsyncClient(
                base_url=self.url(1), headers=headers, limits=limits, timeout=PATIENCE
            ) as b,
        ):
            yield [a, b]


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with (
        patch("bench.child.free_port", free_port),
        Killable() as first,
        Beside(first) as second,
    ):
        yield Pair(first, second)


def basic(value: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Basic",
        "code": {"text": "exact"},
        "identifier": [{"system": SYSTEM, "value": value}],
        **more,
    }


async def test_64_clients_of_two_processes_create_one(pair: Pair) -> None:
    async with pair.clients() as http:

        async def create(number: int) -> httpx.Response:
            more = {"If-None-Exist": f"identifier={SYSTEM}|one"}
            return await http[number % 2].post(
                "/Basic", json=basic("one"), headers={**HEADERS, **more}
            )

        answers = await asyncio.gather(*(create(n) for n in range(CLIENTS)))
        # who lost too often is told so (409, 412) and may ask again; nobody makes a second one
        assert {a.status_code for a in answers} <= {200, 201, 409, 412}
        assert [a.status_code for a in answers].count(201) == 1
        assert len({a.json()["id"] for a in answers if a.status_code < 300}) == 1
        found = (await http[0].get(f"/Basic?identifier={SYSTEM}|one")).json()
        assert len(found["entry"]) == 1
        assert (await create(0)).status_code == (await create(1)).status_code == 200


async def test_64_clients_of_two_processes_update_by_query(pair: Pair) -> None:
    async with pair.clients() as http:

        async def update(number: int) -> httpx.Response:
            body = basic("two", author={"display": f"client {number}"})
            return await http[number % 2].put(
                f"/Basic?identifier={SYSTEM}|two", json=body, headers=HEADERS
            )

        answers = await asyncio.gather(*(update(n) for n in range(CLIENTS)))
        assert {a.status_code for a in answers} <= {200, 201, 409, 412}
        done = [a for a in answers if a.status_code < 300]
        assert [a.status_code for a in done].count(201) == 1
        assert len({a.json()["id"] for a in done}) == 1
        versions = sorted(int(a.json()["meta"]["versionId"]) for a in done)
        assert versions == list(range(1, len(done) + 1))


async def test_64_clients_count_together_and_nothing_gets_stuck(pair: Pair) -> None:
    """Each adds one by If-Match, again and again until it may: the sum is right."""
    async with pair.clients() as http:
        made = (await http[0].post("/Basic", json=basic("0"), headers=HEADERS)).json()
        address = f"/Basic/{made['id']}"
        refused: set[int] = set()

        async def add(number: int) -> None:
            client = http[number % 2]
            while True:
                now = (await client.get(address)).json()
                count = int(now["identifier"][0]["value"]) + 1
                answer = await client.put(
                    address,
                    json={**basic(str(count)), "id": made["id"]},
                    headers={**HEADERS, "If-Match": f'W/"{now["meta"]["versionId"]}"'},
                )
                if answer.status_code == 200:
                    return
                refused.add(answer.status_code)

        async with asyncio.timeout(PATIENCE):
            await asyncio.gather(*(add(n) for n in range(16)))
        now = (await http[1].get(address)).json()
        assert now["identifier"][0]["value"] == "16"
        assert now["meta"]["versionId"] == "17"
        assert refused <= {409, 412}


@pytest.mark.parametrize("sort", ["", "&_sort=_lastUpdated", "&_sort=_id"])
async def test_pages_miss_and_repeat_nothing_while_others_write(pair: Pair, sort: str) -> None:
    """What is not written meanwhile stands on exactly one page.

    So does everything else, but where the pages are sorted by the time of writing: there a resource
    that was written again stands once more, later and in its new version.
    """
    code = f"paged{sort.replace('&_sort=', '-')}"
    async with pair.clients() as http:

        async def make(number: int, client: httpx.AsyncClient) -> str:
            body = basic(f"{code}-{number}", code={"coding": [{"code": code}]})
            return str((await client.post("/Basic", json=body, headers=HEADERS)).json()["id"])

        kept = [await make(n, http[n % 2]) for n in range(60)]
        moving = [await make(n, http[n % 2]) for n in range(60, 90)]
        stop = False

        async def disturb() -> None:
            for number in itertools.count(100):
                if stop:
                    return
                fresh = await make(number, http[0])
                other = moving[number % len(moving)]
                body = {**basic(f"{code}-x{number}", code={"coding": [{"code": code}]}),
                        "id": other}  # fmt: skip
                await http[1].put(f"/Basic/{other}", json=body, headers=HEADERS)
                if number % 2:
                    await http[1].delete(f"/Basic/{fresh}")

        writer = asyncio.create_task(disturb())
        for walk in range(2):
            seen: list[str] = []
            versions: list[tuple[str, str]] = []
            url: str | None = f"/Basic?code={code}&_count=7{sort}"
            while url is not None:
                bundle = (await http[walk % 2].get(url)).json()
                found = [e["resource"] for e in bundle.get("entry", ())]
                seen += [each["id"] for each in found]
                versions += [(each["id"], each["meta"]["versionId"]) for each in found]
                links = {link["relation"]: link["url"] for link in bundle["link"]}
                # the address is the first process's; the second reads its cursor as well
                url = links["next"].split("/fhir", 1)[1] if "next" in links else None
                assert len(seen) < 2000
            assert [each for each in kept if seen.count(each) != 1] == []
            assert len(set(versions)) == len(versions)
            if "_lastUpdated" not in sort:
                assert len(set(seen)) == len(seen)
        stop = True
        await writer


def test_one_register_before_and_after_a_kill(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """The short form of `python -m bench consistency`."""

    rounds: list[Round] = []

    def begun(*named: Any) -> Round:
        rounds.append(Round(*named))
        return rounds[-1]

    monkeypatch.setattr("bench.consistency.Round", begun)

    async def kill() -> None:
        await until(lambda: rounds[-1].count > 100)  # there is something to be lost
        pair.second.kill()
        pair.first.kill(database=True)
        await asyncio.to_thread(pair.first.again)

    done = one_round(pair.url(0), pair.token, kill, seconds=3, seed=7)
    round_, histories, stuck = asyncio.run(done)
    assert round_.count > 100
    assert judge(round_, histories, stuck) == []
