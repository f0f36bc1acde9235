"""The whole application on a port of its own, and hosts beside it that answer challenges."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Any

import httpx
import pytest
import uvicorn

from pater.app import House, build, open_house
from pater.settings import Settings
from pater.store.database import Database
from pater.trust.acme import Binding
from pater.trust.acme.tables import Key
from pater.trust.ca import Operator
from tests.ports import free_port
from tests.trust.acme.town import Hand, Hosts, hosts
from tests.waiting import PATIENCE

OPERATOR = Operator("cli:eva", "eva")
ICO = "27520536"
NAME = "Nemocnice Horní Lhota"
HOST = "nis.nemocnice.test"
OTHER = "pacs.nemocnice.test"


@dataclass
class Town:
    """The parts under test."""

    house: House
    http: httpx.AsyncClient
    hosts: Hosts

    @property
    def url(self) -> str:
        return self.house.settings.base_url

    @property
    def binding(self) -> Binding:
        found = self.house.services.acme
        assert found is not None
        return found

    async def key(self, *names: str, ico: str = ICO) -> Key:
        """A key that an operator gives out."""
        return await self.binding.give(OPERATOR, ico, NAME, names or (HOST,))

    async def hand(self, *names: str, ico: str = ICO, **parts: Any) -> Hand:
        """A client by hand with its account."""
        given = await self.key(*names, ico=ico)
        made = Hand(self.http, **parts)
        answer = await made.open(given.id, self.binding.secret(given.id))
        assert answer.status_code == 201, answer.text
        return made


@pytest.fixture(scope="module")
async def running_town(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Town]:
    with hosts() as beside:
        settings = Settings(
            data=tmp_path_factory.mktemp("acme"),
            port=free_port(),
            demo=True,
            acme_networks="127.0.0.0/8",
            acme_port=beside.port,
        )
        async with open_house(settings, module_database.dsn) as house:
            config = uvicorn.Config(build(house), port=settings.port, log_level="warning")
            server = uvicorn.Server(config)
            task = asyncio.create_task(server.serve())
            while not server.started:  # noqa: ASYNC110 it tells nobody
                await asyncio.sleep(0.01)
            async with httpx.AsyncClient(base_url=settings.base_url, timeout=PATIENCE) as http:
                yield Town(house, http, beside)
            server.should_exit = True
            await task


@pytest.fixture
def town(running_town: Town, monkeypatch: pytest.MonkeyPatch) -> Town:
    """The hosts of the tests have names: all of `.test` are here, `inside.test` elsewhere."""
    plain = socket.getaddrinfo

    def look_up(host: Any, port: Any, *rest: Any, **more: Any) -> Sequence[Any]:
        if host == "inside.test":
            host = "10.1.2.3"
        elif isinstance(host, str) and host.endswith(".test"):
            host = "127.0.0.1"
        return plain(host, port, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    running_town.hosts.answers.clear()
    running_town.hosts.asked.clear()
    running_town.hosts.status, running_town.hosts.location = 200, ""
    return running_town
