"""Puts the shell together: one ASGI application with the shell's and the domains' pages."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from types import MappingProxyType

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from pater.access.federation.desk import Federation
from pater.domain import Attending
from pater.web.account import AccountPages
from pater.web.assets import load_assets, serve
from pater.web.challenges import Challenges
from pater.web.context import PageContext
from pater.web.errors import ErrorPages
from pater.web.federation import FederatedPages
from pater.web.forms import Signer
from pater.web.guard import Guard
from pater.web.i18n import languages
from pater.web.pages import DemoAccount, Doors
from pater.web.portals import PORTALS, Portal
from pater.web.second import SecondSteps
from pater.web.security import Security
from pater.web.session import Cookies, Logins, SessionMiddleware
from pater.web.templating import Templates

HERE = Path(__file__).resolve().parent

Pages = Callable[[PageContext], Sequence[BaseRoute]]


@dataclass(frozen=True, slots=True)
class DomainFolders:
    """Where a domain keeps the parts of its pages; None for what it has not."""

    templates: Path | None = None
    locale: Path | None = None
    static: Path | None = None


@dataclass(frozen=True, slots=True)
class WebConfig:
    """What the roof hands to the shell."""

    base_url: str  # the public address; https turns on Secure cookies and HSTS
    secret: bytes  # at least 16 random bytes, the same in every worker
    logins: Logins
    clock: Callable[[], datetime]
    domains: Mapping[str, DomainFolders] = field(default_factory=lambda: MappingProxyType({}))
    pages: Sequence[Pages] = ()
    portals: Sequence[Portal] = PORTALS
    demo: bool = False
    demo_accounts: Callable[[], Awaitable[Sequence[DemoAccount]]] | None = None
    security: Security | None = None  # passkeys, recovery codes, people's own accounts
    federation: Federation | None = None  # logins by providers of others
    attending: Sequence[Attending] = ()


@dataclass(frozen=True, slots=True)
class Shell:
    """The parts of the shell before they become an application."""

    context: PageContext
    routes: Sequence[BaseRoute]
    errors: ErrorPages
    middleware: Sequence[Middleware]


def web_shell(config: WebConfig) -> Shell:
    """The shell's context, routes, error pages and middleware.

    Raises AssetsError when the front-end parts are not built, ValueError for a short secret.
    """
    if len(config.secret) < 16:
        raise ValueError("the secret of the pages needs at least 16 bytes")
    secure = config.base_url.startswith("https://")
    assets = load_assets({n: d.static for n, d in config.domains.items() if d.static})
    tongues = languages([HERE / "locale", *(d.locale for d in config.domains.values() if d.locale)])
    templates = Templates(
        tongues, assets, {n: d.templates for n, d in config.domains.items() if d.templates}
    )
    context = PageContext(
        templates,
        tongues,
        config.portals,
        config.logins,
        config.demo,
        config.security is not None,
        config.attending,
    )
    cookies, signer = Cookies(secure), Signer(config.secret, "visit")
    challenges = Challenges(Signer(config.secret, "challenge"), config.clock)
    second = SecondSteps(context, config.security, cookies, challenges, config.federation)
    doors = Doors(
        context, config.logins, cookies, signer, assets, config.clock, config.demo_accounts, second
    )
    people = AccountPages(context, config.security, challenges) if config.security else None
    others: list[BaseRoute] = []
    if config.federation is not None and config.security is not None:
        others = FederatedPages(
            context, config.federation, config.security, cookies,
            Signer(config.secret, "issuer"), challenges, config.clock,
        ).routes()  # fmt: skip
    errors = ErrorPages(context)
    routes = [
        *doors.routes(),
        *second.routes(),
        *others,
        *(people.routes() if people else ()),
        Route("/static/{path:path}", functools.partial(serve, assets)),
        *(route for pages in config.pages for route in pages(context)),
    ]
    middleware = [
        Middleware(Guard, failure=errors.failure, secure=secure),
        Middleware(
            SessionMiddleware,
            logins=config.logins,
            cookies=cookies,
            signer=signer,
            clock=config.clock,
            refuse=errors.page,
        ),
    ]
    return Shell(context, routes, errors, middleware)


def web_app(config: WebConfig) -> ASGIApp:
    """The whole web as one application, to be mounted at `/` behind the API's routes."""
    shell = web_shell(config)
    return Starlette(
        routes=list(shell.routes),
        middleware=list(shell.middleware),
        exception_handlers=dict(shell.errors.handlers()),
    )
