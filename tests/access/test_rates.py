"""Who asks too often is told when to come again; everybody else notices nothing."""

from __future__ import annotations

import httpx
from hypothesis import given
from hypothesis import strategies as st
from starlette.responses import PlainTextResponse

from pater.access import rates
from pater.access.rates import Limit, Rate, Rates, network_of


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
        assert let_in <= rate.burst + timer.now * rate.each_minute / 60 + 1e-6


def test_addresses_are_forgotten_not_kept_for_ever(monkeypatch: object) -> None:
    limit = Limit(Rate(60, 5), Timer())
    for number in range(rates.MOST_ADDRESSES + 100):
        limit.wait(f"10.0.{number}")
    assert len(limit._known) == rates.MOST_ADDRESSES


def test_a_home_is_one_address() -> None:
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1")
    assert network_of("2001:db8:0:1::1") != network_of("2001:db8::1")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("testclient") == "testclient"


async def test_only_posts_to_where_guessing_helps_are_counted() -> None:
    app = Rates(PlainTextResponse("yes"), Timer(), {"/oauth/": Rate(60, 2), "/login": Rate(60, 1)})
    transport = httpx.ASGITransport(app, client=("192.0.2.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://x") as http:
        assert [(await http.post("/oauth/token")).status_code for _ in range(3)] == [200, 200, 429]
        refused = await http.post("/oauth/introspect")
        assert refused.headers["retry-after"] == "1" and refused.json()["error"] == "slow_down"
        assert (await http.post("/login")).status_code == 200
        page = await http.post("/login/code")
        assert page.status_code == 429 and page.headers["content-type"].startswith("text/plain")
        for path in ("/oauth/token", "/login", "/fhir/Patient"):
            assert (await http.get(path)).status_code == 200
        assert (await http.post("/fhir/Patient")).status_code == 200
