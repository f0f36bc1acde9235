"""Twin houses with all that is served: pages, documents, jobs, questions of rights, apart the API.

As `twins.py` has them, but each is the whole application, with people who are logged in, and every
person's record holds documents that can be opened. In the house and its twins time stands still
and what is random is the same.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from random import Random
from typing import Any
from unittest.mock import patch
from uuid import UUID

import httpx

from pater.access import accounts, representation, sessions
from pater.access.accounts import Account
from pater.access.caller import Caller
from pater.access.representation import Representation
from pater.access.tokens import Tokens
from pater.app import House as Opened
from pater.app import build, open_house
from pater.fhir.labels import RESTRICTED
from pater.records.changes import Change
from pater.records.gate import Gate
from pater.registers.identifiers import RID, rid_from
from pater.settings import Settings
from pater.store.database import Database
from tests.conftest import Clock
from tests.leaks.twins import (
    CONFIDENTIALITY,
    OTHER,
    OWN,
    PERIODS,
    STATES,
    THIRD,
    Item,
    coded,
    counted,
    declaration,
    held,
    patient,
    record,
)
from tests.rest.world import LOADER

BASE = "http://127.0.0.1:8080"
PROXIES = ("child", "kin")
"""Who is represented: by a parent, at an age to have secrets; by somebody for some categories."""
PEOPLE = ("stranger", "neighbour", *STATES, *PERIODS, *PROXIES)
ACTING = {"mother": f"{UUID(int=1)}", "friend": f"{UUID(int=2)}"}
"""Representations, by who acts."""
CATEGORY = "discharge-report"
"""What the one who is authorised by `kin` may see."""
KINDS = {
    "lab": ("laboratory-report", 0, OTHER, "11502-2"),
    "letter": ("discharge-report", 0, OTHER, "34105-7"),
    "note": ("ambulatory-report", 0, OTHER, "34108-1"),
    "secret": ("discharge-report", RESTRICTED, OTHER, "34105-7"),
    "ours": ("discharge-report", 0, OWN, "34105-7"),
}
"""Documents of each person: category, confidentiality, who wrote it, its type."""


def number(who: str) -> str:
    """The RID of a person."""
    return rid_from(9_900_000_000 + 1_000_000 * PEOPLE.index(who))


def papers(who: str) -> list[Item]:
    """The documents of a person, each with its index and the hospital that it names."""
    found = []
    for name, (category, secret, provider, code) in KINDS.items():
        more = (category, secret, provider, f"chain-{who}" if name == "letter" else "")
        to = {"subject": {"reference": f"Patient/{who}"}}
        meta = {"meta": {"security": [{"system": CONFIDENTIALITY, "code": "R"}]}} if secret else {}
        stamp = f"2026-03-{10 + len(found):02}T08:00:00Z"
        words = f"Listina {name}"
        whole = {
            "resourceType": "Bundle", "id": f"{name}-{who}", "type": "document", "timestamp": stamp,
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:{name}:{who}"}, "entry": [
                {"fullUrl": f"urn:c:{name}", "resource": {
                    "resourceType": "Composition", "id": "c", "status": "final", "date": stamp,
                    "type": coded("http://loinc.org", code), "title": words, **to,
                    "author": [{"display": "MUDr. Jiná"}], "section": [{"title": words}]}},
                {"fullUrl": f"urn:p:{name}", "resource": {**patient(who), "id": "p"}}]}  # fmt: skip
        house = {"resourceType": "Organization", "id": f"org-{name}-{who}", "name": f"Dům {name}"}
        index = {
            "resourceType": "DocumentReference", "id": f"ref-{name}-{who}", "status": "current",
            **meta, **to, "type": coded("http://loinc.org", code), "date": stamp,
            "description": words, "custodian": {"reference": f"Organization/org-{name}-{who}"},
            "content": [{"attachment": {"url": f"Bundle/{name}-{who}", "creation": stamp,
                                        "contentType": "application/fhir+json"}}]}  # fmt: skip
        found += [Item(each, *more) for each in (house, whole, index)]
    return found


def hidden(who: str, item: Item) -> bool:
    """Whether an item is held back from a provider, or from who acts for the person."""
    if item.type == "Patient":
        return False
    match who:
        case "child":
            young = ("ambulatory-report", "laboratory-order", "laboratory-report", "medication")
            return item.confidentiality >= RESTRICTED or item.category in young
        case "kin":
            return item.category != CATEGORY
        case _:
            return held(who, item)


@dataclass
class Served:
    """One of the houses, as browsers and systems see it."""

    house: Opened
    http: httpx.AsyncClient
    clock: Clock
    statements: list[str]
    persons: dict[str, int] = field(default_factory=dict)
    cookies: dict[str, str] = field(default_factory=dict)
    proofs: dict[str, str] = field(default_factory=dict)

    @property
    def gate(self) -> Gate:
        return self.house.gate

    @property
    def db(self) -> Database:
        return self.house.db

    async def page(
        self, login: str, path: str, form: dict[str, str] | None = None, method: str = ""
    ) -> httpx.Response:
        """A page that somebody sees; with a `form` it is sent, with the proof that it needs."""
        headers = {"Cookie": self.cookies[login]}
        if form is None:
            return await self.http.request(method or "GET", path, headers=headers)
        form = {"csrf": self.proofs[login], **form}
        return await self.http.post(path, data=form, headers=headers)

    async def call(
        self, method: str, path: str, caller: Caller = LOADER, body: Any = None, **headers: str
    ) -> httpx.Response:
        """What a system's request is answered with."""
        token = Tokens(self.house.keys, BASE, self.clock).issue(caller)
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        named["Authorization"] = f"Bearer {token}"
        return await self.http.request(method, path, json=body, headers=named)

    async def caller(self, login: str) -> Caller:
        """Who is logged in, as the gate meets them."""
        token = self.cookies[login].split("pater_session=")[1].split(";")[0]
        session = await sessions.read_session(self.db, token, self.clock)
        assert session is not None
        return sessions.caller_of(session)

    async def person_of(self, id: str) -> int:
        """The person number of a Patient."""
        found = await self.db.fetchval("select person from resource where id = $1", id)
        assert isinstance(found, int)
        return found

    async def write(self, items: list[Item], who: str) -> None:
        """Items of a person, in one commit."""
        changes = [
            Change("update", each.type, each.id, each.resource, label=each.label,
                   person=self.persons[who])
            for each in items
        ]  # fmt: skip
        await self.gate.commit(LOADER, changes)


async def never(db: Database) -> None:
    """Instead of looks at the database now and then, which would count as some answer's."""
    await asyncio.Event().wait()


@asynccontextmanager
async def served(
    db: Database,
    clock: Clock,
    folder: Path,
    kept: Callable[[str, Item], bool],
    *,
    declared: bool,
) -> AsyncIterator[Served]:
    """A served house with those items of each person's record that are `kept`."""
    numbers = (str(UUID(int=number)) for number in range(1, 1 << 20))
    settings = Settings(data=folder, demo=True, policy="cz")
    with (
        patch("pater.app.now", clock),
        patch("pater.app.new_id", lambda: next(numbers)),
        patch("pater.app.SystemRandom", lambda: Random(1)),
        patch("pater.store.parameters.follow", never),
        counted(db) as statements,
    ):
        async with open_house(settings, db.dsn) as opened:
            transport = httpx.ASGITransport(build(opened))
            async with httpx.AsyncClient(transport=transport, base_url=BASE) as http:
                made = Served(opened, http, clock, statements)
                await _people(made)
                for who in PEOPLE:
                    own = [
                        each
                        for each in (*record(who), *papers(who))
                        if who in ("stranger", "neighbour") or kept(who, each)
                    ]
                    await made.write(own, who)
                    if who in (*STATES, *PERIODS, "neighbour") and (declared or who == "neighbour"):
                        state = "optout" if who == "neighbour" else who
                        will = declaration(state, who)
                        change = Change("update", "Consent", str(will["id"]), will)
                        await made.gate.commit(LOADER, [change])
                await _accounts(made)
                yield made


async def _people(made: Served) -> None:
    """Everybody with a number, and the professional of the hospital."""
    for who in PEOPLE:
        body = patient(who)
        body["identifier"].append({"system": RID, "value": number(who)})
        if who == "child":
            body["birthDate"] = "2010-02-01"
        answer = await made.call("PUT", f"/fhir/Patient/{who}", body=body)
        assert answer.status_code == 201, answer.text
        made.persons[who] = await made.person_of(who)


async def _accounts(made: Served) -> None:
    """Who is logged in: professionals of two hospitals, patients, and people who act for others."""
    since, end = made.clock.now, representation.birthday(date(2028, 2, 1), 0)
    for agent, who, kind in (("mother", "child", "parent"), ("friend", "kin", "authorised")):
        one = Representation(
            id=ACTING[agent], person=made.persons[who], patient=who,
            person_name=who, agent=made.persons["stranger"], agent_name=agent, kind=kind,  # type: ignore[arg-type]
            source="register", since=since, recorded=since, until=end,
            born=date(2010, 2, 1) if who == "child" else None,
            categories=frozenset({CATEGORY}) if who == "kin" else frozenset(),
        )  # fmt: skip
        statement = representation.made(one)
        await made.db.execute(statement.sql, *statement.args)
    roles = {
        "clinician": ("clinician", OWN), "elsewhere": ("clinician", THIRD),
        "mother": ("patient", ""), "friend": ("patient", ""), "stranger": ("patient", ""),
        "officer": ("privacy-officer", ""), "administrator": ("administrator", OWN),
    }  # fmt: skip
    for login, (role, ico) in roles.items():
        account = Account(
            id=login, login=login, name=login.title(), role=role, organization=ico,
            organization_name=f"Nemocnice {ico}" if ico else "",
        )  # fmt: skip
        await accounts.save(
            made.db, made.house.keys, account, "four words are better", accounts.totp_secret(),
            made.clock,
        )  # fmt: skip
        if role == "patient":
            await accounts.tie(made.db, login, made.persons["stranger"], "stranger")
        found = await accounts.find(made.db, login)
        assert found is not None
        token = await sessions.open_session(made.db, found, made.clock, lang="en")
        session = await sessions.read_session(made.db, token, made.clock)
        assert session is not None
        made.proofs[login] = session.csrf
        made.cookies[login] = f"pater_session={token}; pater_lang=en"
        if login in ACTING:
            await sessions.act_for(made.db, token, ACTING[login])
