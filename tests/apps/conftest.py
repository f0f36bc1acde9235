"""A served house with two patients, their accounts, a physician, and apps of every kind."""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import httpx
import pytest
from joserfc.jwk import ECKey

from pater.access import accounts, apps, sessions
from pater.access.accounts import Account
from pater.access.apps import App
from pater.access.caller import KEY, Caller
from pater.access.tokens import Tokens
from pater.app import House, build, now, open_house
from pater.settings import Settings
from pater.store.database import Database

BASE = "http://127.0.0.1:8080"
BACK = "https://diary.example/back"
PASSWORD = "four words are better"
SECRET, SECRET_HASH = apps.new_secret()
KEY_OF_APP = ECKey.generate_key("P-384", {"kid": "k1"})
ALL: tuple[str, ...] = (
    "openid",
    "fhirUser",
    "profile",
    "launch",
    "launch/patient",
    "offline_access",
)
ALL += ("online_access", "patient/*.cruds", "user/*.rs")
LOADER = Caller(
    kind="system",
    id="loader",
    name="Loader",
    role="loader",
    purpose="SYSADMIN",
    strength=KEY,
    scopes=("system/*.cruds",),
)
APPS = (
    App("diary", "Deník", (BACK, BACK + "?a=1"), ALL, launch_url="https://diary.example/go"),
    App("narrow", "Úzká", ("https://narrow.example/",), ("openid", "patient/Patient.r")),
    App("server", "Server", ("https://server.example/",), ALL, secret_hash=SECRET_HASH),
    App(
        "signer",
        "Signer",
        ("https://signer.example/",),
        ALL,
        jwks={"keys": [KEY_OF_APP.as_dict(private=False)]},
    ),
)


@dataclass
class Pkce:
    """A verifier and its challenge, fresh for each dance."""

    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(40))

    @property
    def challenge(self) -> str:
        digest = hashlib.sha256(self.verifier.encode()).digest()
        return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


@dataclass
class Desk:
    """The house as browsers and apps see it."""

    house: House
    http: httpx.AsyncClient
    patients: dict[str, str]

    async def cookie(self, login: str) -> dict[str, str]:
        """The cookie of a person who just logged in."""
        account = await accounts.find(self.house.db, login)
        assert account is not None
        token = await sessions.open_session(self.house.db, account, now, lang="en")
        return {"Cookie": f"pater_session={token}; pater_lang=en"}

    def asking(self, pkce: Pkce, app: str = "diary", **changes: str | None) -> dict[str, str]:
        """The parameters of an authorization request."""
        asked: dict[str, str | None] = {
            "response_type": "code",
            "client_id": app,
            "redirect_uri": next(each for each in APPS if each.id == app).redirect_uris[0],
            "scope": "launch/patient patient/*.rs",
            "state": "s-1",
            "aud": BASE + "/fhir",
            "code_challenge": pkce.challenge,
            "code_challenge_method": "S256",
            **changes,
        }
        return {name: value for name, value in asked.items() if value is not None}

    async def screen(self, asked: dict[str, str], cookie: dict[str, str]) -> httpx.Response:
        """The consent screen of a request, by way of the redirects."""
        first = await self.http.get("/oauth/authorize", params=asked, headers=cookie)
        assert first.status_code == 303, first.text
        kept = first.headers["set-cookie"].partition(";")[0]
        headers = {"Cookie": f"{cookie['Cookie']}; {kept}"}
        return await self.http.get(first.headers["location"], headers=headers)

    async def answer(
        self, page: httpx.Response, cookie: dict[str, str], untick: str = "", **changes: str
    ) -> httpx.Response:
        """What the browser posts when a person allows; `untick` leaves out lines with this text."""
        form = {
            "csrf": _hidden(page.text, "csrf"),
            "asked": _hidden(page.text, "asked"),
            "answer": "allow",
        }
        for name, text in lines_of(page.text).items():
            if not untick or untick not in text:
                form[name] = "1"
        return await self.http.post("/oauth/consent", data=form | changes, headers=cookie)

    async def code(
        self, pkce: Pkce, login: str = "jana", app: str = "diary", **changes: str
    ) -> str:
        """The authorization code after a person allowed all that was asked."""
        cookie = await self.cookie(login)
        page = await self.screen(self.asking(pkce, app, **changes), cookie)
        given = await self.answer(page, cookie)
        assert given.status_code == 303, given.text
        return back(given)["code"]

    async def redeem(
        self, code: str, pkce: Pkce, app: str = "diary", **changes: Any
    ) -> httpx.Response:
        """The token request of a public app."""
        headers = changes.pop("headers", {})
        form = {
            "grant_type": "authorization_code",
            "client_id": app,
            "code": code,
            "redirect_uri": next(each for each in APPS if each.id == app).redirect_uris[0],
            "code_verifier": pkce.verifier,
            **changes,
        }
        kept = {name: value for name, value in form.items() if value is not None}
        return await self.http.post("/oauth/token", data=kept, headers=headers)

    async def tokens(self, login: str = "jana", **changes: str) -> dict[str, Any]:
        """The token answer of a whole dance of the public app."""
        pkce = Pkce()
        answer = await self.redeem(await self.code(pkce, login, **changes), pkce)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def refresh(self, token: str, **changes: str) -> httpx.Response:
        """The token request with a refresh token."""
        form = {"grant_type": "refresh_token", "client_id": "diary", "refresh_token": token}
        return await self.http.post("/oauth/token", data=form | changes)

    async def read(self, token: str, path: str) -> httpx.Response:
        """What the API answers to a bearer of the token."""
        return await self.http.get(f"/fhir/{path}", headers={"Authorization": f"Bearer {token}"})


def back(answer: httpx.Response) -> dict[str, str]:
    """The parameters of the address that the app is called back at."""
    return dict(parse_qsl(urlsplit(answer.headers["location"]).query))


def lines_of(page: str) -> dict[str, str]:
    """The things that can be ticked, by the name of their field."""
    found = re.findall(r'<label for="(line-\d+)">([^<]*)</label>', page)
    return {name: unescape(text) for name, text in found}


def _hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return unescape(found[1])


@pytest.fixture(scope="module")
async def desk(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Desk]:
    """One house for a module; its tests make their own sessions and grants."""
    folder: Path = tmp_path_factory.mktemp("apps")
    settings = Settings(data=folder, demo=True, policy="declared")
    async with open_house(settings, module_database.dsn) as house:
        transport = httpx.ASGITransport(build(house))
        async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
            loader = {
                "Authorization": f"Bearer {Tokens(house.keys, BASE, now).issue(LOADER)}",
                "Content-Type": "application/fhir+json",
                "Prefer": "return=representation",
            }
            patients = {}
            for login in ("jana", "petr"):
                body = {"resourceType": "Patient", "name": [{"family": login.title()}]}
                made = await http.post("/fhir/Patient", json=body, headers=loader)
                patients[login] = made.json()["id"]
                for category in ("laboratory", "vital-signs"):
                    seen = await http.post(
                        "/fhir/Observation",
                        json=_observation(patients[login], category),
                        headers=loader,
                    )
                    assert seen.status_code == 201, seen.text
            await _people(house, patients)
            for app in APPS:
                await apps.register(house.db, app, now)
            yield Desk(house, http, patients)


def _observation(patient: str, category: str) -> dict[str, Any]:
    system = "http://terminology.hl7.org/CodeSystem/observation-category"
    return {
        "resourceType": "Observation",
        "status": "final",
        "category": [{"coding": [{"system": system, "code": category}]}],
        "code": {"text": "x"},
        "subject": {"reference": f"Patient/{patient}"},
    }


async def _people(house: House, patients: dict[str, str]) -> None:
    for login in ("jana", "petr", "alena", "nobody"):
        row = (
            await house.db.fetchrow(
                "select person from resource where id = $1", patients.get(login, "")
            )
            if login in patients
            else None
        )
        person = row["person"] if row else None
        account = Account(
            id=login,
            login=login,
            name=login.title(),
            role="clinician" if login == "alena" else "patient",
            organization="27520536" if login == "alena" else "",
            practitioner="practitioner-1" if login == "alena" else None,
            person=person,
            patient=patients.get(login),
        )
        secret = accounts.totp_secret()
        await accounts.save(house.db, house.keys, account, PASSWORD, secret, now)
