"""Puts the floors together: one ASGI application over one database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import SystemRandom
from uuid import uuid4

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp, Receive, Scope, Send

import pater
import pater.access
import pater.registers
import pater.store
from pater.access import routes as access_routes
from pater.access.tokens import Tokens
from pater.domain import Domain, Listener, Parts, Services
from pater.domains.exchange import domain as exchange
from pater.records.gate import Gate
from pater.registers.patients import PatientRegister
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.settings import Settings
from pater.store.database import Database
from pater.store.feed import run_listener
from pater.store.migrate import Migrations, migrate
from pater.store.write import Committer
from pater.trust.keys import Keys
from pater.web.app import DomainFolders, WebConfig, web_app
from pater.web.logins import AccountLogins
from pater.web.pages import DemoAccount
from pater.web.portals import PORTALS, furnished

DemoAccounts = Callable[[], Awaitable[Sequence[DemoAccount]]]
DOMAINS: tuple[Domain, ...] = (exchange,)


def now() -> datetime:
    """The clock of the running program."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh resource id."""
    return str(uuid4())


def rooms(domains: Sequence[Domain] = DOMAINS) -> list[Migrations]:
    """The migrations of every room that keeps tables, lower floors first."""
    kept = [
        Migrations("store", _folder(pater.store)),
        Migrations("access", _folder(pater.access)),
        Migrations("registers", _folder(pater.registers)),
    ]
    return kept + [Migrations(d.name, d.migrations) for d in domains if d.migrations]


def _folder(module: object) -> Path:
    return Path(str(getattr(module, "__file__", ""))).resolve().parent / "migrations"


@dataclass(frozen=True, slots=True)
class House:
    """The floors of one running Páteř."""

    settings: Settings
    keys: Keys
    db: Database
    committer: Committer
    gate: Gate
    register: PatientRegister
    services: Services
    parts: dict[str, Parts]
    domains: tuple[Domain, ...]


def built_in(services: Services) -> dict[str, Parts]:
    """What the rooms of `rest` add to the API, in the same shape as a domain's parts."""
    return {}


@asynccontextmanager
async def open_house(
    settings: Settings, dsn: str, domains: tuple[Domain, ...] = DOMAINS
) -> AsyncIterator[House]:
    """Connects, migrates and builds every floor; closes the connections at the end."""
    keys = Keys.load_or_create(settings.data / "keys")
    async with AsyncExitStack() as stack:
        db = await Database.open(dsn)
        stack.push_async_callback(db.close)
        await migrate(db, rooms(domains))
        committer = Committer(db, now)
        await committer.start()
        stack.push_async_callback(committer.stop)
        fhir_url = settings.base_url + "/fhir"
        gate = Gate(db, committer, now, keys.cursor_key, new_id, base_url=fhir_url)
        random = SystemRandom()
        register = PatientRegister(
            db, next_person=committer.next_person, random=random, clock=now, new_id=new_id
        )
        services = Services(
            gate=gate,
            db=db,
            base_url=fhir_url,
            strict_identifiers=settings.strict_identifiers,
            next_person=committer.next_person,
            clock=now,
            random=random,
            new_id=new_id,
        )
        parts = {d.name: d.build(services) for d in domains} | built_in(services)
        yield House(settings, keys, db, committer, gate, register, services, parts, domains)


@dataclass(frozen=True, slots=True)
class _AtBase:
    """An application asked at the address it is mounted at, without the slash."""

    app: ASGIApp

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.app({**scope, "path": "/", "root_path": ""}, receive, send)


def build(house: House, demo_accounts: DemoAccounts | None = None) -> Starlette:
    """The ASGI application of an open house: API, authorisation, pages, health.

    `demo_accounts` tells the first page whom a demonstration offers to log in as.
    """
    settings = house.settings
    tokens = Tokens(house.keys, settings.base_url, now)
    rest = fhir_app(
        house.gate,
        tokens,
        list(house.parts.values()),
        RestConfig(
            base_url=settings.base_url + "/fhir",
            started=now(),
            demo=settings.demo,
            max_body=settings.max_body,
            version=pater.__version__,
            token_url=settings.base_url + "/oauth/token",
            patient_claims=house.register.claims_of,
            link_key=house.keys.derived("links"),
        ),
    )

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "up"})

    async def ready(_: Request) -> Response:
        try:
            await house.db.fetchval("select 1")
        except OSError:
            return JSONResponse({"status": "database down"}, 503)
        return JSONResponse({"status": "ready"})

    pages = web_app(
        WebConfig(
            base_url=settings.base_url,
            secret=house.keys.derived("pages"),
            logins=AccountLogins(
                house.db,
                house.keys,
                house.committer.journal_only,
                now,
                # RFC 6238 5.2 wants each code accepted once; a demonstration is logged into by
                # scripts and by several people at once
                single_use_codes=not settings.demo,
            ),
            clock=now,
            domains={d.name: DomainFolders(d.templates, d.locale, d.static) for d in house.domains},
            portals=furnished(PORTALS, [n for d in house.domains for n in d.navigation]),
            pages=[parts.pages for parts in house.parts.values() if parts.pages],
            demo=settings.demo,
            demo_accounts=demo_accounts,
        )
    )
    return Starlette(
        routes=[
            Route("/health/live", health),
            Route("/health/ready", ready),
            *access_routes.routes(
                house.db,
                house.keys,
                now,
                settings.base_url,
                settings.demo,
                tokens=tokens,
                journal=house.committer.journal_only,
            ),
            *[route for parts in house.parts.values() for route in parts.routes],
            # a batch is posted to the base itself, with or without a slash at its end
            Route("/fhir", _AtBase(rest), methods=None),
            Mount("/fhir", rest),
            Mount("/", pages),
        ]
    )


@asynccontextmanager
async def listeners(house: House) -> AsyncIterator[None]:
    """Runs every domain's listeners until the end."""
    stop = asyncio.Event()
    found: list[Listener] = [one for parts in house.parts.values() for one in parts.listeners]
    async with asyncio.TaskGroup() as group:
        for one in found:
            group.create_task(run_listener(house.db, one.name, one.handle, stop=stop))
        try:
            yield
        finally:
            stop.set()
