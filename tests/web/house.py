"""A small house for the shell: people in memory, some pages of a pretended domain."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import TWO_FACTORS, Caller
from pater.records.errors import Conflict, Forbidden, NotFound
from pater.web.app import DomainFolders, WebConfig, web_app
from pater.web.context import PageContext
from pater.web.pages import DemoAccount
from pater.web.session import WebSession

HERE = Path(__file__).resolve().parent
START = datetime(2026, 11, 22, 9, 0, tzinfo=UTC)

PEOPLE = {
    "patient": ("Jana Svobodová", "patient", ""),
    "clinician-b": ("MUDr. Tomáš Beneš", "clinician", "Nemocnice Podhůří"),
}
PASSWORD, CODE = "pater-demo-1", "123456"


@dataclass
class MemoryLogins:
    """Accounts and sessions in memory, with the behaviour of the real ones."""

    sessions: dict[str, WebSession] = field(default_factory=dict)
    used: set[tuple[str, str]] = field(default_factory=set)

    async def password(
        self, login_name: str, password: str, source: str, request_id: str
    ) -> str | None:
        return login_name if login_name in PEOPLE and password == PASSWORD else None

    async def code(
        self, account: str, code: str, lang: str, source: str, request_id: str, agent: str = ""
    ) -> str | None:
        if code != CODE:
            return None
        name, role, organization = PEOPLE[account]
        caller = Caller(
            kind="person",
            id=account,
            name=name,
            role=role,
            organization_name=organization,
            strength=TWO_FACTORS,
        )
        token = secrets.token_urlsafe(32)
        self.sessions[token] = WebSession(token, secrets.token_urlsafe(16), lang, caller)
        return token

    async def read(self, token: str) -> WebSession | None:
        return self.sessions.get(token)

    async def end(self, token: str, source: str, request_id: str) -> None:
        self.sessions.pop(token, None)

    async def change(self, token: str, *, purpose: str, patient: str) -> None:
        session = self.sessions[token]
        caller = replace(session.caller, purpose=purpose)
        self.sessions[token] = replace(session, caller=caller, patient=patient)


def pages(context: PageContext) -> Sequence[BaseRoute]:
    """The pages of a pretended domain."""

    @context.require("patient")
    async def patient(request: Request) -> Response:
        name = context.caller_of(request).name
        return context.render(request, "sample/sampler.html", name=name)

    @context.require("clinician")
    async def professional(request: Request) -> Response:
        return context.render(request, "sample/sampler.html", name="<b>Beneš</b>")

    async def broken(request: Request) -> Response:
        raise RuntimeError("secret: Jana Svobodová 805203/1234")

    async def refused(request: Request) -> Response:
        kinds: dict[str, Exception] = {
            "missing": NotFound("Patient", "1"),
            "forbidden": Forbidden("no-role"),
            "conflict": Conflict("changed"),
        }
        raise kinds[request.path_params["kind"]]

    async def note(request: Request) -> Response:
        form = await context.form(request)
        return context.render(request, "sample/sampler.html", name=form["name"])

    @context.require()
    async def whoami(request: Request) -> Response:
        caller = context.caller_of(request)
        said = (caller.id, caller.role, str(caller.strength), caller.purpose or "-", caller.source)
        return PlainTextResponse(" ".join(said))

    @context.require("clinician")
    async def opened(request: Request) -> Response:
        form = await context.form(request)
        await context.open_patient(request, purpose=form["purpose"], patient="p1")
        return context.redirect("/professional")

    return [
        Route("/whoami", whoami),
        Route("/open", opened, methods=["POST"]),
        Route("/patient", patient),
        Route("/professional", professional),
        Route("/broken", broken),
        Route("/refused/{kind}", refused),
        Route("/note", note, methods=["POST"]),
    ]


@dataclass
class House:
    """The application and what tests turn in it."""

    app: Any
    logins: MemoryLogins
    now: datetime = START

    def clock(self) -> datetime:
        return self.now

    def pass_time(self, by: timedelta) -> None:
        self.now += by


def house(*, demo: bool = False, base_url: str = "http://127.0.0.1") -> House:
    """A fresh house."""
    logins = MemoryLogins()
    made = House(None, logins)

    async def accounts() -> Sequence[DemoAccount]:
        return [
            DemoAccount(
                login, PASSWORD, name, role, CODE, organization,
                {"cs": "Prohlédněte si svou dokumentaci.", "en": "Look at your own record."},
            )
            for login, (name, role, organization) in PEOPLE.items()
        ]  # fmt: skip

    config = WebConfig(
        base_url=base_url,
        secret=b"0123456789abcdef",
        logins=logins,
        clock=made.clock,
        domains={"sample": DomainFolders(templates=HERE / "templates")},
        pages=[pages],
        demo=demo,
        demo_accounts=accounts if demo else None,
    )
    made.app = web_app(config)
    return made
