"""Who asks too often is told when to come again; everybody else notices nothing."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse, Response

from pater.access import rates
from pater.access.caller import Caller
from pater.access.rates import (
    RATES,
    Clients,
    Limit,
    Rate,
    Rates,
    cost_of,
    network_of,
    read_rates,
)

SYSTEM = Caller(kind="system", id="hospital", name="H", role="provider-system", strength=3)
LOADER = Caller(kind="system", id="loader", name="L", role="loader", strength=3)
DOCTOR = Caller(kind="person", id="doctor", name="D", role="clinician", strength=2)


class Timer:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_a_steady_stream() -> None:
    timer = Timer()
    limit = Limit(Rate(each_minute=60, burst=5), timer)
    assert [limit.wait("a") for _ in range(6)] == [0, 0, 0, 0, 0, 1]
    assert limit.wait("b") == 0
    timer.now += 2
    assert [limit.wait("a") for _ in range(3)] == [0, 0, 1]
    timer.now += 3600
    assert [limit.wait("a") for _ in range(6)].count(0) == 5


@given(st.lists(st.floats(0, 30), min_size=1, max_size=200))
def test_never_more_than_the_burst_and_the_rate(pauses: list[float]) -> None:
    timer, rate = Timer(), Rate(each_minute=30, burst=4)
    limit = Limit(rate, timer)
    let_in = 0
    for pause in pauses:
        timer.now += pause
        let_in += limit.wait("a") == 0
        assert let_in <= rate.burst + timer.now * rate.each_minute / 60 + 1e-5


@given(st.lists(st.tuples(st.floats(0, 9), st.floats(0.1, 50)), min_size=1, max_size=60))
def test_what_is_told_to_wait_may_come_then(asked: list[tuple[float, float]]) -> None:
    timer = Timer()
    limit = Limit(Rate(each_minute=60, burst=10), timer)
    for pause, cost in asked:
        timer.now += pause
        seconds = limit.wait("a", cost)
        if seconds:
            timer.now += seconds
            assert limit.wait("a", cost) == 0


def test_addresses_are_forgotten_not_kept_for_ever() -> None:
    limit = Limit(Rate(60, 5), Timer())
    for number in range(rates.MOST_ADDRESSES + 100):
        limit.wait(f"10.0.{number}")
    assert len(limit._known) == rates.MOST_ADDRESSES


def test_a_home_is_one_address() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1")
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("testclient") == "testclient"


FEW = {name: Rate(60, 2) for name in RATES}


def client(app: Any, address: str = "192.0.2.1") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, client=(address, 1))
    return httpx.AsyncClient(transport=transport, base_url="http://x")


# what counts alike, and how no is said there
_COUNTED = {
    "POST /oauth/token": "application/json",
    "POST /login": "text/html; charset=utf-8",
    "GET /patient": "text/html; charset=utf-8",
    "GET /nowhere": "text/html; charset=utf-8",
    "GET /pki/root.crl": "application/problem+json",
    "GET /audit/log/head": "application/fhir+json; charset=utf-8",
    "GET /tsa/certificate": "application/problem+json",
}


@pytest.mark.parametrize("asked", _COUNTED)
async def test_every_entrance_says_clearly_that_it_is_too_much(asked: str) -> None:
    method, path = asked.split()
    app = Rates(PlainTextResponse("yes"), Timer(), FEW)
    async with client(app) as http:
        answers = [await http.request(method, path) for _ in range(3)]
    assert [each.status_code for each in answers] == [200, 200, 429]
    refused = answers[-1]
    assert refused.headers["content-type"] == _COUNTED[asked] and refused.content
    assert refused.headers["retry-after"] == "1"
    assert refused.headers["ratelimit-policy"].endswith(";q=2;w=2")
    assert refused.headers["ratelimit"].endswith(";r=0;t=1")
    assert refused.headers["cache-control"] == "no-store"
    if path.startswith("/audit"):
        assert refused.json()["issue"][0]["code"] == "throttled"
    async with client(app, "192.0.2.2") as other:
        assert (await other.request(method, path)).status_code == 200


async def test_a_stamp_costs_more_than_a_list() -> None:
    app = Rates(PlainTextResponse("yes"), Timer(), {"trust": Rate(60, 25)})
    async with client(app) as http:
        assert [(await http.post("/tsa")).status_code for _ in range(3)] == [200, 200, 429]
        assert (await http.get("/pki/root.crl")).status_code == 200
        answer = await http.post("/acme/new-order")
        assert answer.status_code == 429
        assert answer.json()["type"] == "urn:ietf:params:acme:error:rateLimited"


async def test_files_health_and_who_brings_a_good_token_are_not_counted_by_address() -> None:
    app = Rates(PlainTextResponse("yes"), Timer(), FEW)
    async with client(app) as http:
        for path in ("/static/a.css", "/health/live", "/fhir/Patient", "/seal/create"):
            for _ in range(5):
                assert (await http.get(path)).status_code == 200


async def test_refused_tokens_end_what_an_address_may_try() -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        good = (b"authorization", b"Bearer good") in scope["headers"]
        await Response("x", 200 if good else 401)(scope, receive, send)

    timer = Timer()
    limited = Rates(app, timer, FEW)
    good = {"authorization": "Bearer good"}
    async with client(limited) as http:
        for _ in range(5):
            assert (await http.get("/fhir/Patient", headers=good)).status_code == 200
        assert [(await http.get("/fhir/Patient")).status_code for _ in range(3)] == [401, 401, 429]
        refused = await http.get("/opravneni/over")
        assert refused.status_code == 429
        assert refused.headers["content-type"] == "application/problem+json"
        timer.now += 60
        assert (await http.get("/fhir/Patient", headers=good)).status_code == 200


async def test_what_is_off_is_not_counted() -> None:
    app = Rates(PlainTextResponse("yes"), Timer(), {})
    async with client(app) as http:
        answers = await asyncio.gather(*(http.get("/patient") for _ in range(20)))
    assert {each.status_code for each in answers} == {200}


def test_clients_and_people_have_counts_of_their_own() -> None:
    clients = Clients(Timer(), {"system": Rate(60, 4), "person": Rate(60, 1)})
    assert [clients.wait(SYSTEM, 2) for _ in range(3)] == [0, 0, 2]
    assert [clients.wait(DOCTOR, 1) for _ in range(2)] == [0, 1]
    assert {clients.wait(LOADER, 100) for _ in range(50)} == {0}
    assert clients.told(SYSTEM, 2)[0] == (b"retry-after", b"2")


def test_heavy_questions_and_large_bodies_cost_more() -> None:
    plain = cost_of(["Patient", "1"], {})
    assert cost_of(["Patient", "1", "$everything"], {}) > plain
    assert cost_of(["$export"], {}) > cost_of(["Patient", "1", "$everything"], {})
    assert cost_of([""], {"content-length": "1600000"}) > 50
    assert cost_of([""], {"content-length": "9" * 400}) < 2_000
    assert (
        cost_of([""], {"content-length": "-5"}) == cost_of([""], {"content-length": "²²²²²"}) == 1
    )


def test_limits_are_settings() -> None:
    found = read_rates("system=60/10, login=off")
    assert found["system"] == Rate(60, 10) and "login" not in found
    assert found["oauth"] == RATES["oauth"] and read_rates("") == RATES
    for wrong in ("system", "system=1", "moon=1/1", "system=0/1", "system=1/0", "system=-1/1"):
        with pytest.raises(ValueError, match=r"system|moon"):
            read_rates(wrong)
