"""A house with registrars, hospitals that tell of persons, and browsers that ask for its pages."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from typing import Any

import httpx

from pater.access import accounts, sessions
from pater.access.accounts import Account
from pater.access.caller import KEY, Caller
from pater.app import House, build, open_house
from pater.clock import now
from pater.registers.identifiers import BIRTH_NUMBER
from pater.registers.registration import Registered
from pater.registers.room import Registers
from pater.registers.surviving import Source
from pater.settings import Settings

BASE = "http://127.0.0.1:8080"
MRN = "https://hospital.example/mrn"
HOSPITALS = {"a": ("27520536", "Nemocnice A"), "b": ("12345679", "Nemocnice B")}
PEOPLE = {"eva": "registrar", "jan": "registrar", "lekar": "clinician", "none": "patient"}


def somebody(family: str, given: str = "Ludmila", **more: Any) -> dict[str, Any]:
    """A Patient as a hospital tells of one; what is None is left out."""
    made: dict[str, Any] = {
        "resourceType": "Patient",
        "name": [{"family": family, "given": [given]}],
        "gender": "female",
        "birthDate": "1985-06-15",
        "address": [{"line": ["Květná 17"], "city": "Olomouc", "postalCode": "77900"}],
        "telecom": [{"system": "phone", "value": "+420 603 111 222"}],
        **more,
    }
    return {key: value for key, value in made.items() if value is not None}


def birth_number(value: str) -> list[dict[str, str]]:
    """A list with one identifier."""
    return [{"system": BIRTH_NUMBER, "value": value}]


def said(answer: httpx.Response) -> str:
    """The words of a page, for who reads why a test failed."""
    text = re.sub(r"<svg.*?</svg>|<[^>]*>", " ", answer.text, flags=re.DOTALL)
    return " ".join(unescape(text).split())


@dataclass
class Office:
    """The house as registrars see it."""

    house: House
    http: httpx.AsyncClient
    cookies: dict[str, dict[str, str]] = field(default_factory=dict)
    last: int = 0

    @property
    def registers(self) -> Registers:
        found = self.house.services.registers
        assert found is not None
        return found

    async def open_accounts(self) -> None:
        """Everybody of PEOPLE."""
        for login, role in PEOPLE.items():
            ico, name = HOSPITALS["a"] if role == "clinician" else ("", "")
            account = Account(login, login, login.title(), role, ico, name)
            await self.save(account)

    async def save(self, account: Account) -> None:
        """An account with a password and a second factor."""
        await accounts.save(
            self.house.db, self.house.keys, account, "four words are better",
            accounts.totp_secret(), now,
        )  # fmt: skip

    async def patient(self, login: str, who: Registered) -> None:
        """The account of a person of the register."""
        await self.save(
            Account(login, login, login, "patient", person=who.person, patient=who.patient)
        )

    def hospital(self, key: str) -> Caller:
        """The system of a hospital."""
        ico, name = HOSPITALS[key]
        return Caller(
            kind="system", id=f"hospital-{key}", name=name, role="provider-system",
            organization=ico, organization_name=name, purpose="TREAT", strength=KEY,
            scopes=("system/*.cruds",),
        )  # fmt: skip

    async def tell(self, patient: dict[str, Any], by: str = "a", number: str = "") -> Registered:
        """A hospital tells of somebody."""
        self.last += 1
        caller = self.hospital(by)
        source = Source(
            caller.organization, MRN, number or f"n-{self.last}", title=caller.organization_name
        )
        return await self.registers.registration.register(caller, patient, source)

    async def cookie(self, login: str, lang: str = "en") -> dict[str, str]:
        if login not in self.cookies:
            account = await accounts.find(self.house.db, login)
            assert account is not None
            token = await sessions.open_session(self.house.db, account, now, lang=lang)
            self.cookies[login] = {"Cookie": f"pater_session={token}; pater_lang={lang}"}
        return self.cookies[login]

    async def get(self, login: str, path: str, status: int = 200) -> str:
        """A page as text, entities resolved."""
        page = await self.http.get(path, headers=await self.cookie(login))
        assert page.status_code == status, said(page)
        return unescape(page.text)

    async def post(
        self, login: str, path: str, status: int = 303, *, page: str = "", **fields: Any
    ) -> httpx.Response:
        """A form of a page (its own address, unless said), filled in."""
        shown = await self.get(login, page or path)
        proof = re.search(r'name="csrf" value="([^"]*)"', shown)
        assert proof
        form = {"csrf": proof[1], **fields}
        answer = await self.http.post(path, data=form, headers=await self.cookie(login))
        assert answer.status_code == status, said(answer)
        return answer

    async def journal(self, person: int, agent: str) -> list[str]:
        """What somebody looked at of a person, by the query."""
        rows = await self.house.db.fetch(
            "select query from journal_entry where person = $1 and agent = $2 order by seq",
            person,
            agent,
        )
        return [row["query"] for row in rows]


@asynccontextmanager
async def opened(settings: Settings, dsn: str) -> AsyncIterator[Office]:
    """A house with its accounts, asked without a network at the address that it has."""
    async with open_house(settings, dsn) as house:
        transport = httpx.ASGITransport(build(house))
        async with httpx.AsyncClient(transport=transport, base_url=settings.base_url) as http:
            office = Office(house, http)
            await office.open_accounts()
            yield office
