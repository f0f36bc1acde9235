"""A served house with patients, a clinician of each of two hospitals and two privacy officers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import httpx
import pytest

from pater.access import accounts, sessions
from pater.access.accounts import Account
from pater.access.caller import KEY, Caller
from pater.access.tokens import Tokens
from pater.app import House, build, now, open_house
from pater.settings import Settings
from pater.store.database import Database

BASE = "http://127.0.0.1:8080"
ICO_A, ICO_B = "27520536", "12345679"
LOADER = Caller(
    kind="system",
    id="loader",
    name="Loader",
    role="loader",
    purpose="SYSADMIN",
    strength=KEY,
    scopes=("system/*.cruds",),
)
HOSPITAL = Caller(
    kind="system",
    id="hospital-b",
    name="Hospital B",
    role="provider-system",
    organization=ICO_B,
    organization_name="Nemocnice B",
    purpose="ETREAT",
    strength=KEY,
    scopes=("system/*.rs",),
)
PEOPLE = {
    "jana": "patient",
    "petr": "patient",
    "alena": "clinician",
    "crew": "rescue",
    "officer": "privacy-officer",
    "officer-2": "privacy-officer",
}


@dataclass
class Desk:
    """The house as browsers and systems see it."""

    house: House
    http: httpx.AsyncClient
    patients: dict[str, str]
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)

    @property
    def db(self) -> Database:
        return self.house.db

    async def cookie(self, login: str) -> dict[str, str]:
        """The cookie of somebody who is logged in, the same each time."""
        if login not in self.cookies:
            account = await accounts.find(self.db, login)
            assert account is not None
            token = await sessions.open_session(self.db, account, now, lang="en")
            self.cookies[login] = {"Cookie": f"pater_session={token}; pater_lang=en"}
        return self.cookies[login]

    async def get(self, login: str, path: str, status: int = 200) -> httpx.Response:
        """A page, as somebody sees it."""
        page = await self.http.get(path, headers=await self.cookie(login))
        assert page.status_code == status, page.text
        return page

    async def post(
        self, login: str, path: str, page: str = "", status: int = 303, **fields: Any
    ) -> httpx.Response:
        """A form of the page (its own address, unless said), filled in with the fields."""
        shown = await self.get(login, page or path)
        return await self.send(login, path, shown, status, **fields)

    async def send(
        self, login: str, path: str, shown: httpx.Response, status: int = 303, **fields: Any
    ) -> httpx.Response:
        """The same of a page that is shown already."""
        files = fields.pop("files", None)
        form = {"csrf": hidden(shown.text, "csrf")}
        if 'name="key"' in shown.text:
            form["key"] = hidden(shown.text, "key")
        answer = await self.http.post(
            path, data=form | fields, files=files, headers=await self.cookie(login)
        )
        assert answer.status_code == status, answer.text
        return answer

    async def call(
        self, method: str, path: str, caller: Caller = LOADER, **options: Any
    ) -> httpx.Response:
        """What the API answers to a caller."""
        token = Tokens(self.house.keys, BASE, now).issue(caller)
        return await self.http.request(
            method, f"/fhir/{path}", headers={"Authorization": f"Bearer {token}"}, **options
        )

    async def create(self, resource: dict[str, Any]) -> str:
        """Creates a resource as the loader; gives its id."""
        answer = await self.call("POST", resource["resourceType"], json=resource)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].split("/fhir/")[1].split("/")[1]

    async def consents(self, login: str = "jana") -> list[dict[str, Any]]:
        """All Consents of a patient."""
        whose = f"Patient/{self.patients[login]}"
        answer = await self.call("GET", f"Consent?patient={whose}&_count=500")
        return [entry["resource"] for entry in answer.json().get("entry", ())]

    async def person(self, login: str = "jana") -> int:
        """The person number of a patient."""
        found = await self.db.fetchval(
            "select person from resource where id = $1", self.patients[login]
        )
        assert isinstance(found, int)
        return found


def hidden(page: str, name: str) -> str:
    """The value of a hidden field."""
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return unescape(found[1])


@pytest.fixture(scope="module")
async def house(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[House, httpx.AsyncClient]]:
    """One house for a module."""
    settings = Settings(data=tmp_path_factory.mktemp("consents"), demo=True, policy="cz")
    async with open_house(settings, module_database.dsn) as opened:
        transport = httpx.ASGITransport(build(opened))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            for login, role in PEOPLE.items():
                professional = role in ("clinician", "rescue")
                account = Account(
                    id=login,
                    login=login,
                    name=f"MUDr. {login.title()}" if role == "clinician" else login.title(),
                    role=role,
                    organization=ICO_B if professional else "",
                    organization_name="Nemocnice B" if professional else "",
                )
                secret = accounts.totp_secret()
                await accounts.save(
                    opened.db, opened.keys, account, "four words are better", secret, now
                )
            yield opened, http


@pytest.fixture
async def desk(house: tuple[House, httpx.AsyncClient]) -> Desk:
    """The house with patients of the test's own, and nothing opened in an emergency yet."""
    made = Desk(*house, {})
    await made.db.execute("delete from emergency_access")
    await made.db.execute("delete from notice")
    for login in ("jana", "petr"):
        made.patients[login] = await made.create(
            {
                "resourceType": "Patient",
                "name": [{"family": login.title(), "given": ["Eva"]}],
                "birthDate": "1980-02-01",
                "telecom": [{"system": "email", "value": f"{login}@example.cz"}],
            }
        )
        await accounts.tie(made.db, login, await made.person(login), made.patients[login])
    return made
