"""A client that asks too often is told so by the API and by every room beside it."""

from __future__ import annotations

from dataclasses import replace

from pater.access.rates import Clients, Rate
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.world import HOSPITAL, LOADER, issues, world


async def test_a_client_of_the_api_waits_and_others_do_not(
    database: Database, clock: Clock
) -> None:
    timer = 0.0
    clients = Clients(lambda: timer, {"system": Rate(60, 3)})
    async with world(database, clock, clients=clients) as api:
        for path in ("/Organization", "/Organization?name=x", "/Organization/1"):
            assert (await api.call("GET", path, caller=HOSPITAL)).status_code in (200, 404)
        answer = await api.call("GET", "/Organization", caller=HOSPITAL)
        assert answer.status_code == 429 and issues(answer)[0]["code"] == "throttled"
        assert answer.headers["retry-after"] == "1"
        assert answer.headers["ratelimit-policy"] == '"system";q=3;w=3'
        xml = await api.call("GET", "/Organization?_format=xml", caller=HOSPITAL)
        assert xml.status_code == 429 and b"throttled" in xml.content
        other = replace(HOSPITAL, id="another")
        for caller in (other, LOADER, LOADER, LOADER, LOADER):
            assert (await api.call("GET", "/Organization", caller=caller)).status_code == 200
        timer += 60
        assert (await api.call("GET", "/Organization", caller=HOSPITAL)).status_code == 200
