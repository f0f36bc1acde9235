"""A house whose provider of identities is the simulation, both in this process."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest

from pater.access.federation.desk import Federation
from pater.access.federation.issuers import Issuer, register
from pater.access.federation.provider import Providers
from pater.app import House, build, now, open_house
from pater.domains.simulators.people import CLAIMS, CLIENT, PEOPLE, SECRET, Simulated
from pater.registers.claimed import Claimed
from pater.registers.identifiers import BIRTH_NUMBER, RID
from pater.settings import Settings
from pater.store.database import Database
from pater.store.write import Put, WriteSet
from pater.trust import identity

BASE = "http://127.0.0.1:8080"
ISSUER = Issuer(
    id="state",
    address=BASE + "/simulator/identity",
    name={"cs": "Stát", "en": "The state"},
    client_id=CLIENT,
    proof="client_secret_basic",
    secret=SECRET,
    claims=CLAIMS,
)
KNOWN: dict[str, Simulated] = {one.key: one for one in PEOPLE}


class Spoiled(httpx.AsyncBaseTransport):
    """The way to the provider; a test may change what comes back on it."""

    def __init__(self, app: Any) -> None:
        self._way = httpx.ASGITransport(app)
        self.answers: dict[str, httpx.Response] = {}
        self.asked: list[str] = []

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(request.url.path)
        for end, answer in self.answers.items():
            if request.url.path.endswith(end):
                stream = httpx.ByteStream(answer.content)
                return httpx.Response(answer.status_code, headers=answer.headers, stream=stream)
        return await self._way.handle_async_request(request)


@dataclass
class Browser:
    """A browser with its cookies, which goes where it is sent."""

    http: httpx.AsyncClient
    lang: str = "en"

    async def follow(self, answer: httpx.Response) -> httpx.Response:
        """Where a redirect leads, once."""
        assert answer.status_code == 303, answer.text
        return await self.http.get(answer.headers["location"])

    async def login(
        self, person: str, level: str = "substantial", *, next: str = "", again: bool = False
    ) -> httpx.Response:
        """The answer to coming back from the provider as somebody."""
        return await self.follow(await self.agree(person, level, next=next, again=again))

    async def agree(
        self, person: str, level: str = "substantial", *, next: str = "", again: bool = False
    ) -> httpx.Response:
        """What the provider answers when somebody agreed: the way back."""
        query = {"next": next, **({"again": "1"} if again else {})}
        start = await self.http.get("/login/with/state", params=query)
        page = await self.follow(start)
        assert page.status_code == 200, page.text
        form = fields(page.text) | {
            "person": person,
            "level": f"http://eidas.europa.eu/LoA/{level}",
            "answer": "allow",
        }
        return await self.http.post("/simulator/identity/authorize", data=form)

    async def who(self) -> str:
        """The name in the head of the account page, "" for a visitor."""
        page = await self.http.get("/account")
        found = re.search(r'<a href="/account">([^<]*)</a></strong>', page.text)
        return unescape(found[1]) if found else ""


def fields(page: str) -> dict[str, str]:
    """The hidden fields of a page."""
    found = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', page)
    return {name: unescape(value) for name, value in found}


def query_of(answer: httpx.Response) -> dict[str, str]:
    """The parameters of the address that somebody is sent to."""
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


@dataclass
class Place:
    """The house, and how its way to the provider can be spoiled."""

    house: House
    app: Any
    way: Spoiled
    patients: dict[str, str] = field(default_factory=dict)

    def browser(self) -> Browser:
        """A browser that nobody used before."""
        transport = httpx.ASGITransport(self.app)
        http = httpx.AsyncClient(
            transport=transport, base_url=BASE, headers={"Accept-Language": "en"}
        )
        return Browser(http)

    async def journal(self, reason: str) -> list[Any]:
        """The entries of a reason, oldest first."""
        return list(
            await self.house.db.fetch(
                "select * from journal_entry where reason = $1 order by at, seq", reason
            )
        )


@pytest.fixture(scope="module")
async def place(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """One house for the tests of a module; Jana and Lucie are registered, Bohumil is not."""
    folder: Path = tmp_path_factory.mktemp("federation")
    settings = Settings(data=folder, demo=True, policy="declared")
    async with open_house(settings, module_database.dsn) as house:
        way = Spoiled(None)
        http = httpx.AsyncClient(transport=way)
        providers = Providers(http, identity.load_or_create(folder / "keys"), now)
        federation = Federation(house.db, house.keys, providers, BASE, now, Claimed(house.register))
        house = replace(house, federation=federation)
        app = build(house)
        way._way = httpx.ASGITransport(app)
        await register(house.db, house.keys, ISSUER, now)
        made = Place(house, app, way)
        for key in ("jana", "lucie", "frantisek"):
            made.patients[key] = await enrol(house, KNOWN[key])
        yield made


async def enrol(house: House, person: Simulated) -> str:
    """A Patient of the register with the numbers of a simulated person."""
    numbers = ((RID, person.rid), (BIRTH_NUMBER, person.birth_number))
    patient = {
        "resourceType": "Patient",
        "identifier": [{"system": s, "value": v} for s, v in numbers if v],
        "name": [{"use": "official", "family": person.family, "given": [person.given]}],
        "birthDate": person.born,
    }
    identified = await house.register.resolve(patient)
    assert identified.state == "new" and identified.master
    put = Put("Patient", identified.patient, identified.person, identified.master)
    await house.committer.commit(
        WriteSet([put], list(identified.claims), list(identified.statements), [])
    )
    return identified.patient
