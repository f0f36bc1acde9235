"""Puts the floors together: one ASGI application over one database."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from random import SystemRandom
from time import monotonic

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

import pater
import pater.access
import pater.registers
import pater.store
import pater.terminology
import pater.trust
from pater.access import client_tls, policy_versions, transparency
from pater.access import routes as access_routes
from pater.access.app_metadata import addresses
from pater.access.app_tokens import AppDesk
from pater.access.attended import Attended
from pater.access.federation.desk import Federation
from pater.access.federation.provider import Providers
from pater.access.gateway import Gateway
from pater.access.peer import Peer, networks
from pater.access.person_tables import PERSON_TABLES
from pater.access.policy_files import body_of, read_policy
from pater.access.probing import Probing, read_bounds
from pater.access.rates import Clients, Rates, read_rates
from pater.access.revocations import Revocations
from pater.access.standing import DatabaseStanding
from pater.access.tokens import Tokens
from pater.access.transparency.log import LogKeys, TransparencyLog
from pater.access.transparency.watching import state_of
from pater.certifying import acme_routes, binding_keys, certification, seal_service
from pater.clock import new_id, now
from pater.domain import Domain, Listener, Parts, PersonTable, Services
from pater.domains.apps import domain as apps
from pater.domains.basic import domain as basic
from pater.domains.certificates import domain as certificates
from pater.domains.consents import domain as consents
from pater.domains.directory import domain as directory
from pater.domains.exchange import domain as exchange
from pater.domains.persons import domain as persons
from pater.domains.simulators import domain as simulators
from pater.domains.simulators.registers import PATH as SIMULATED
from pater.edge_headers import EdgeHeaders
from pater.fhir.issues import Issue
from pater.front import AtBase, Front
from pater.records.gate import Gate
from pater.records.standing_kept import StandingKept
from pater.registers.basic.calling import Calling
from pater.registers.basic.mandates import by_mandate
from pater.registers.basic.room import Basic, regularly
from pater.registers.claimed import Claimed
from pater.registers.matching import reindexing
from pater.registers.patients import PatientRegister
from pater.registers.providers import MIGRATIONS as PROVIDERS
from pater.registers.providers.employment import Employments
from pater.registers.providers.nightly import nightly
from pater.registers.room import assembled
from pater.registers.underway import KIND as MERGE
from pater.rest import (
    access_explain,
    audit_events,
    audit_log,
    authorisations,
    bulk,
    definitions,
    register_checks,
    sealing,
    search_index,
    subscriptions,
    terminology,
)
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.rest.cors import with_origins
from pater.rest.later import KIND as LATER
from pater.rest.later import Later
from pater.rest.profiles import StoredProfiles
from pater.rest.responses import outcome
from pater.rest.subscriptions.mail import letters
from pater.settings import Settings
from pater.store.database import Database
from pater.store.feed import run_listener
from pater.store.files import Files
from pater.store.migrate import Migrations, migrate
from pater.store.workers import Workers
from pater.store.write import Committer
from pater.trust import ca, identity
from pater.trust.keys import Keys
from pater.web.app import DomainFolders, WebConfig, web_app
from pater.web.logins import AccountLogins
from pater.web.pages import DemoAccount
from pater.web.portals import PORTALS, furnished
from pater.web.problems import problem

DemoAccounts = Callable[[], Awaitable[Sequence[DemoAccount]]]
DOMAINS: tuple[Domain, ...] = (
    exchange, consents, persons, directory, apps, certificates, basic, simulators,
)  # fmt: skip


def rooms(domains: Sequence[Domain] = DOMAINS) -> list[Migrations]:
    """The migrations of every room that keeps tables, lower floors first."""
    kept = [
        Migrations("store", _folder(pater.store)),
        Migrations("terminology", _folder(pater.terminology)),
        Migrations("trust", _folder(pater.trust)),
        Migrations("access", _folder(pater.access)),
        Migrations("transparency", transparency.MIGRATIONS),
        Migrations("registers", _folder(pater.registers)),
        Migrations("providers", PROVIDERS),
        Migrations("subscriptions", subscriptions.MIGRATIONS),
    ]
    return kept + [Migrations(d.name, d.migrations) for d in domains if d.migrations]


def person_tables(domains: Sequence[Domain] = DOMAINS) -> list[PersonTable]:
    """The plain tables that carry a person number, of every room."""
    return [*PERSON_TABLES, *(table for each in domains for table in each.persons)]


def basic_registers(settings: Settings) -> str:
    """Where the basic registers are asked ("" = nowhere); a demonstration simulates them."""
    simulated = settings.base_url + SIMULATED if settings.demo else ""
    return settings.basic_registers or simulated


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
    later: Later
    profiles: StoredProfiles
    revocations: Revocations
    federation: Federation


def built_in(services: Services) -> dict[str, Parts]:
    """What the rooms of `rest` add to the API, in the same shape as a domain's parts."""
    return {
        "search": search_index.parts(services),
        "audit": audit_events.parts(services),
        "bulk": bulk.parts(services),
        "register-checks": register_checks.parts(services),
        "sealing": sealing.parts(services),
        "terminology": terminology.parts(services),
    }


@asynccontextmanager
async def open_house(
    settings: Settings, dsn: str, domains: tuple[Domain, ...] = DOMAINS
) -> AsyncIterator[House]:
    """Connects, migrates and builds every floor; closes the connections at the end."""
    keys = Keys.load_or_create(settings.data / "keys")
    async with AsyncExitStack() as stack:
        db = await Database.open(dsn, max_size=max(2, min(10, 18 // settings.workers)))
        stack.push_async_callback(db.close)
        await migrate(db, rooms(domains))
        await stack.enter_async_context(search_index.kept_up(db))
        committer = Committer(db, now)
        await committer.start()
        stack.push_async_callback(committer.stop)
        fhir_url = settings.base_url + "/fhir"
        body = body_of(settings.policy)
        policy = read_policy(body)
        await policy_versions.keep(db, policy, body, now())
        attended = Attended(DatabaseStanding(db, now, policy.territories, policy.parents))
        gate = Gate(
            db, committer, now, keys.cursor_key, new_id, base_url=fhir_url, policy=policy,
            standing=attended,
            probing=Probing(now, read_bounds(settings.probing, demo=settings.demo)),
        )  # fmt: skip
        for kept, keeper in StandingKept(db, now, fhir_url).keepers().items():
            gate.keep(kept, keeper)
        await nightly(db, "providers", settings.directory_providers)
        await nightly(db, "professionals", settings.directory_professionals)
        random = SystemRandom()
        registers = await assembled(
            gate, db, person_tables(domains), base_url=fhir_url, clock=now, random=random,
            new_id=new_id, next_person=committer.next_person, strict=settings.strict_identifiers,
        )  # fmt: skip
        links = None
        if linked := basic_registers(settings):
            asking = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            links = Basic(
                gate, db, registers, Calling(asking, linked, settings.basic_token),
                keys.derived("basic registers"), policy.parents, now,
            )  # fmt: skip
        await regularly(db, linked=links is not None)
        profiles = StoredProfiles(db, now, gate.terms)
        revocations = Revocations(db, now)
        await revocations.refresh()
        log_keys = LogKeys.of_folder(settings.data / "keys", now, settings.stamp_roots)
        log = TransparencyLog.of(db, log_keys, now, settings.stamp_url)
        mail = subscriptions.Mail(
            settings.mail_host,
            settings.mail_port,
            settings.mail_tls,
            settings.mail_user,
            settings.mail_password,
            settings.mail_sender,
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
            verify=Tokens(keys, settings.base_url, now, revocations).verify,
            files=Files(settings.data / "files"),
            import_origins=tuple(settings.import_origins.split()),
            conforming=profiles.declared,
            log=log,
            revocations=revocations,
            journal=committer.journal_only,
            seals=seal_service(settings, db, now),
            secret=keys.derived("pages of domains"),
            attended=attended,
            parents=policy.parents,
            certification=certification(settings, db, now),
            acme=binding_keys(db, keys, now),
            letters=letters(mail),
            clients=Clients(monotonic, read_rates(settings.rates)),
            demo=settings.demo,
            registers=registers,
            basic=links,
            employed=by_mandate(db, now, Employments(db, now).employed),
        )
        parts = {d.name: d.build(services) for d in domains} | built_in(services)
        parts["subscriptions"] = subscriptions.parts(
            services,
            keys,
            rules=subscriptions.Rules(
                subscriptions.networks(settings.hook_networks), http=settings.demo
            ),
            mail=mail,
        )
        parts["access"] = access_explain.parts(services, policy)
        parts["authorisations"] = authorisations.parts(services, policy)
        parts["ca"] = Parts(routes=ca.routes(certification(settings, db, now), now))
        parts["acme"] = Parts(routes=acme_routes(settings, db, keys, now))
        stamps = ca.Stamps(certification(settings, db, now), log_keys.authority, now)
        parts["transparency"] = audit_log.parts(services, log, stamps)
        later = Later(db, services.files, fhir_url)
        parts["later"] = Parts(jobs={LATER: later.work})
        merging = registers.merging
        parts["merges"] = Parts(
            tasks=[merging.follow, merging.underway.follow, registers.bearers.follow],
            jobs={MERGE: merging.work},
        )
        parts["person-index"] = Parts(jobs={reindexing.KIND: reindexing.reindex})
        parts["revocations"] = Parts(tasks=[revocations.follow])
        parts["definitions"] = definitions.parts(services, parts.values())
        # calls only the providers of identities that an operator wrote down
        http = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
        providers = Providers(http, identity.load_or_create(settings.data / "keys"), now)
        federation = Federation(
            db, keys, providers, settings.base_url, now, Claimed(registers.patients)
        )
        yield House(
            settings, keys, db, committer, gate, registers.patients, services, parts, domains,
            later, profiles, revocations, federation,
        )  # fmt: skip


def api_of(house: House) -> ASGIApp:
    """The FHIR API of an open house."""
    settings = house.settings
    tokens = Tokens(house.keys, settings.base_url, now, house.revocations)
    return fhir_app(
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
            app_urls=addresses(settings.base_url) if apps in house.domains else {},
            patient_claims=house.register.claims_of,
            cors=bool(settings.cors_origins.split()),
            certificates=settings.knows_certificates,
            link_key=house.keys.derived("links"),
            log=house.services.log is not None,
            later=house.later,
            profiles=house.profiles,
            clients=house.services.clients,
            present=registers.bearers.present if (registers := house.services.registers) else None,
        ),
    )


def _app_desk(house: House, tokens: Tokens) -> AppDesk:
    settings = house.settings
    return AppDesk(
        house.db,
        house.keys,
        identity.load_or_create(settings.data / "keys"),
        settings.base_url,
        now,
        tokens,
        house.revocations,
        house.committer.journal_only,
        house.services.employed,
    )


def build(house: House, demo_accounts: DemoAccounts | None = None) -> ASGIApp:
    """The ASGI application of an open house: API, authorisation, pages, health.

    `demo_accounts` tells the first page whom a demonstration offers to log in as.
    """
    settings = house.settings
    tokens = Tokens(house.keys, settings.base_url, now, house.revocations)
    rest = api_of(house)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "up"})

    async def ready(_: Request) -> Response:
        try:
            await house.db.fetchval("select 1")
        except OSError:
            return JSONResponse({"status": "database down"}, 503)
        log = house.services.log
        state = await state_of(log.db, now()) if log else "none"
        return JSONResponse({"status": "ready", "log_of_the_journal": state})

    logins = AccountLogins(
        house.db,
        house.keys,
        house.committer.journal_only,
        now,
        # RFC 6238 5.2 wants each code accepted once; a demonstration is logged into by scripts and
        # by several people at once
        single_use_codes=not settings.demo,
        base_url=settings.base_url,
        employed=house.services.employed,
    )
    pages = web_app(
        WebConfig(
            base_url=settings.base_url,
            secret=house.keys.derived("pages"),
            logins=logins,
            security=logins.security,
            clock=now,
            domains={d.name: DomainFolders(d.templates, d.locale, d.static) for d in house.domains},
            portals=furnished(PORTALS, [n for d in house.domains for n in d.navigation]),
            pages=[parts.pages for parts in house.parts.values() if parts.pages],
            attending=[parts.attention for parts in house.parts.values() if parts.attention],
            demo=settings.demo,
            demo_accounts=demo_accounts,
            federation=house.federation,
        )
    )
    added = [route for parts in house.parts.values() for route in parts.routes]
    everything = Starlette(
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
                apps=_app_desk(house, tokens) if apps in house.domains else None,
                tls=settings.knows_certificates,
            ),
            *added,
            # a batch is posted to the base itself, with or without a slash at its end
            Route("/fhir", AtBase(rest), methods=None),
            Mount("/fhir", rest),
            Mount("/", pages),
        ],
        exception_handlers={HTTPException: _problem, Exception: _problem},
    )
    front = Gateway(
        Front(rest, everything, added),
        house.db,
        tokens,
        settings.base_url,
        now,
        house.committer.journal_only,
        demo=settings.demo,
    )
    slow = Rates(front, monotonic, read_rates(settings.rates))
    seen = with_origins(slow, frozenset(settings.cors_origins.split()))
    seen = EdgeHeaders(seen, secure=settings.base_url.startswith("https:"))
    return Peer(
        ProxyHeadersMiddleware(seen, os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1")),  # type: ignore[arg-type]
        tokens,
        client_tls.Standing(house.db, now),
        networks(settings.certificate_proxies),
    )


async def _problem(request: Request, error: Exception) -> Response:
    """What none of the applications answered, in the way of the one that was asked."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    headers = dict(error.headers or {}) if isinstance(error, HTTPException) else {}
    if request.url.path.startswith("/fhir"):
        code = "not-found" if status == 404 else "exception" if status == 500 else "not-supported"
        body = outcome([Issue("error", code, "", "this address does not do that")])
        answer = Response(body, status, media_type="application/fhir+json")
    else:
        answer = problem(status)
    answer.headers.update(headers)
    return answer


@asynccontextmanager
async def listeners(house: House, *, chores: bool = True) -> AsyncIterator[None]:
    """Runs background tasks until the end; with `chores` the listeners too, as one process does."""
    stop = asyncio.Event()
    found: list[Listener] = []
    if chores:
        found = [one for parts in house.parts.values() for one in parts.listeners]
    async with asyncio.TaskGroup() as group:
        for one in found:
            group.create_task(run_listener(house.db, one.name, one.handle, stop=stop))
        for parts in house.parts.values():
            for task in parts.tasks:
                group.create_task(_until(task, stop))
        try:
            yield
        finally:
            stop.set()


async def _until(task: Callable[[asyncio.Event], Awaitable[None]], stop: asyncio.Event) -> None:
    await task(stop)


@asynccontextmanager
async def workers(house: House) -> AsyncIterator[None]:
    """Runs the jobs of every room and domain until the end; any number of processes may."""
    if house.later.perform is None:
        api_of(house)  # which answers the requests that are among the jobs
    stop = asyncio.Event()
    handlers = {kind: run for parts in house.parts.values() for kind, run in parts.jobs.items()}
    async with asyncio.TaskGroup() as group:
        group.create_task(Workers(house.db, handlers).run(stop))
        try:
            yield
        finally:
            stop.set()
