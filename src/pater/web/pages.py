"""The shell's own pages: the landing page, login in two steps, logout, choice of language."""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pater.web import forms
from pater.web.assets import Assets
from pater.web.context import PageContext
from pater.web.i18n import LANGUAGES, N_
from pater.web.portals import portal_of
from pater.web.second import SecondSteps, lock_text, marks_of
from pater.web.security import Locked
from pater.web.session import (
    LANGUAGE_AGE,
    Cookies,
    Logins,
    session_of,
    source_of,
    step_until,
)

WRONG_PASSWORD = N_(
    "The login name or the password is not right, or the account is locked for a few minutes."
)
WRONG_CODE = N_("The code is not right or it has been used already. Wait for the next one.")
LEFT = N_("The register says that your employment at this provider has ended.")
SIX_DIGITS = N_("Enter the six digits of the code")


@dataclass(frozen=True, slots=True)
class DemoAccount:
    """An account of the demonstration as the landing page offers it."""

    login: str
    password: str
    name: str
    role: str
    code: str  # the one-time code that is valid now
    organization: str = ""
    note: Mapping[str, str] | None = None  # what to try, by language


@dataclass(frozen=True, slots=True)
class Doors:
    """The pages that let people in and out."""

    context: PageContext
    logins: Logins
    cookies: Cookies
    signer: forms.Signer
    assets: Assets
    clock: Callable[[], datetime]
    demo_accounts: Callable[[], Awaitable[Sequence[DemoAccount]]] | None
    second: SecondSteps

    def routes(self) -> list[BaseRoute]:
        """The routes of these pages."""
        return [
            Route("/", self.landing, name="landing"),
            Route("/login", self.login, methods=["GET", "POST"]),
            Route("/login/code", self.code, methods=["GET", "POST"]),
            Route("/logout", self.logout, methods=["POST"]),
            Route("/language", self.language),
            Route("/favicon.ico", self.favicon),
            Route("/robots.txt", self.robots),
        ]

    async def landing(self, request: Request) -> Response:
        """What this is, the doors of the portals, and in a demonstration who to log in as."""
        accounts = await self.demo_accounts() if self.demo_accounts else ()
        return self.context.render(
            request,
            "landing.html",
            portals=[portal for portal in self.context.portals if portal.door],
            accounts=accounts,
        )

    async def login(self, request: Request) -> Response:
        """First step: login name and password."""
        session = session_of(request)
        if request.method != "POST":
            target = forms.safe_next(request.query_params.get("next", ""), "")
            if session:
                return RedirectResponse(target or self._home(session.caller.role), 303)
            return await self.second.login_page(request, target)
        form = await forms.read_form(request)
        target = forms.safe_next(form.get("next", ""), "")
        login, password = form.get("login", "").strip()[:200], form.get("password", "")[:1000]
        missing = {
            name: text
            for name, value, text in (
                ("login", login, N_("Enter your login name")),
                ("password", password, N_("Enter your password")),
            )
            if not value
        }
        if missing:
            return await self.second.login_page(request, target, login, missing)
        try:
            account = await self.logins.password(
                login, password, source_of(request), request.state.request_id
            )
        except Locked as error:
            text = lock_text(self.context.language(request), error)
            return await self.second.login_page(request, target, login, {"login": text})
        if account is None:
            wrong = {"login": WRONG_PASSWORD}
            return await self.second.login_page(request, target, login, wrong)
        token = await self.second.password_only(request, account)
        if token is not None:
            return await self._entered(request, token, target)
        response = RedirectResponse("/login/code", 303)
        # bound to this visit, so that nobody can hand over a half-done login to someone else
        value = f"{account.encode().hex()}:{target.encode().hex()}:{self._binding(request)}"
        self.cookies.set(response, "step", self.signer.seal(value, step_until(self.clock())))
        return response

    async def code(self, request: Request) -> Response:
        """Second step: the one-time code."""
        step = self.signer.open(self.cookies.get(request, "step"), self.clock())
        account, target, binding = (step or "::").split(":")
        if not forms.same_secret(binding, self._binding(request)):
            response: Response = RedirectResponse("/login", 303)
            self.cookies.drop(response, "step")
            return response
        if request.method != "POST":
            return await self.second.code_page(request)
        form = await forms.read_form(request)
        code = "".join(form.get("code", "").split())
        if not self.second.is_code(code):
            return await self.second.code_page(request, SIX_DIGITS)
        marks = marks_of(request)
        try:
            token = await self.logins.code(
                bytes.fromhex(account).decode(), code, marks.lang, marks.source,
                marks.request_id, marks.agent,
            )  # fmt: skip
        except Locked as error:
            return await self.second.code_page(
                request, lock_text(self.context.language(request), error)
            )
        if token is None:
            return await self.second.code_page(request, WRONG_CODE)
        return await self._entered(request, token, bytes.fromhex(target).decode())

    async def _entered(self, request: Request, token: str, target: str) -> Response:
        """Into the house: the session's cookie, and on to where the person wanted."""
        session = await self.logins.read(token)
        if session is None:  # ended at once: the register says that the person left
            return await self.second.login_page(request, "", errors={"login": LEFT})
        home = self._home(session.caller.role)
        if await self.second.lacks_factor(session.caller.id):
            home = "/account"
        response = RedirectResponse(forms.safe_next(target, home), 303)
        self.cookies.set(response, "session", token)
        self.cookies.drop(response, "step")
        self.cookies.drop(response, "visit")
        return response

    async def logout(self, request: Request) -> Response:
        """Ends the session and forgets it in the browser."""
        session = session_of(request)
        if session:
            await self.logins.end(session.token, source_of(request), request.state.request_id)
        done = f"/logout/done?issuer={session.issuer}" if session and session.issuer else "/"
        response = RedirectResponse(done, 303)
        self.cookies.drop(response, "session")
        response.headers["Clear-Site-Data"] = '"cache"'
        return response

    async def language(self, request: Request) -> Response:
        """Remembers the language and goes back to the page."""
        response = RedirectResponse(forms.safe_next(request.query_params.get("next", "/")), 303)
        lang = request.query_params.get("lang", "")
        if lang in LANGUAGES:
            self.cookies.set(response, "lang", lang, LANGUAGE_AGE)
        return response

    async def favicon(self, request: Request) -> Response:
        """Browsers ask for it by this name."""
        return RedirectResponse(self.assets.url("mark.svg"), 303)

    async def robots(self, request: Request) -> Response:
        """Search engines have nothing to look for here."""
        return PlainTextResponse("User-agent: *\nDisallow: /\n")

    def _binding(self, request: Request) -> str:
        return hashlib.sha256(request.state.csrf.encode()).hexdigest()[:32]

    def _home(self, role: str) -> str:
        portal = portal_of(self.context.portals, role)
        return portal.home if portal else "/"
