"""Passkeys at the login, the second factor after the password, and the second factor once more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pater.access.caller import TWO_FACTORS
from pater.access.federation.desk import Federation
from pater.access.single_codes import looks_like
from pater.web import forms
from pater.web.challenges import Challenges
from pater.web.context import PageContext
from pater.web.i18n import N_, Language
from pater.web.portals import portal_of
from pater.web.security import Locked, Marks, Security
from pater.web.session import Cookies, WebSession, session_of, source_of

PASSKEY_REFUSED = N_("The passkey was not accepted. Try again, or log in another way.")
CODE_REFUSED = N_("The code is not right or it has been used already.")
LOCKED_NAME = N_("Too many attempts with this login name. Try again after %(time)s.")
LOCKED_NETWORK = N_("Too many attempts from your network. Try again after %(time)s.")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a page asks of the browser's passkeys: options in JSON, the seal of the challenge."""

    options: str
    challenge: str


def marks_of(request: Request) -> Marks:
    """What is known of a request beside who asks."""
    return Marks(
        source_of(request),
        request.state.request_id,
        request.headers.get("user-agent", "")[:500],
        request.state.lang,
    )


def lock_text(language: Language, locked: Locked) -> str:
    """Until when nothing is looked at; the same for names that nobody has."""
    text = LOCKED_NETWORK if locked.network else LOCKED_NAME
    return language.gettext(text) % {"time": language.datetime(locked.until, "short")}


@dataclass(frozen=True, slots=True)
class SecondSteps:
    """The pages that ask for more than a password; without `security` only the code remains."""

    context: PageContext
    security: Security | None
    cookies: Cookies
    challenges: Challenges
    federation: Federation | None = None

    def routes(self) -> list[BaseRoute]:
        """The routes of these pages."""
        if self.security is None:
            return []
        return [
            Route("/login/passkey", self.passkey, methods=["POST"]),
            Route("/login/again", self.again, methods=["GET", "POST"]),
            Route("/login/again/passkey", self.again_passkey, methods=["POST"]),
        ]

    def is_code(self, code: str) -> bool:
        """Whether a text can be a code of an app, or one that works once."""
        six = code.isascii() and code.isdigit() and len(code) == 6
        return six or (self.security is not None and looks_like(code))

    async def password_only(self, request: Request, account: str) -> str | None:
        """The token of a session that showed a password only, where that is allowed."""
        if self.security is None:
            return None
        return await self.security.enter_by_password(account, marks_of(request))

    async def lacks_factor(self, account: str) -> bool:
        """Whether the account has no second factor of its own yet."""
        return self.security is not None and not (await self.security.factors(account)).any

    async def login_page(
        self,
        request: Request,
        target: str,
        login: str = "",
        errors: Mapping[str, str] | None = None,
    ) -> Response:
        """The first page of a login."""
        return self.context.render(
            request,
            "login.html",
            status=422 if errors else 200,
            next=target,
            login=login,
            errors=errors or {},
            asked=await self._asked(request, "login"),
            issuers=await self.federation.offered() if self.federation else (),
        )

    async def code_page(self, request: Request, error: str = "") -> Response:
        """The second page of a login."""
        return self.context.render(
            request,
            "code.html",
            status=422 if error else 200,
            errors={"code": error} if error else {},
            asked=await self._asked(request, "login"),
        )

    async def passkey(self, request: Request) -> Response:
        """A login with a passkey alone: it is two factors."""
        form = await forms.read_form(request)
        target = forms.safe_next(form.get("next", ""), "")
        challenge = self.challenges.open(request, "login", form.get("challenge", ""))
        marks = marks_of(request)
        account = None
        if self.security is not None and challenge is not None:
            account = await self.security.passkey(form.get("credential", ""), challenge, marks)
        if self.security is None or account is None:
            return await self.login_page(request, target, errors={"passkey": PASSKEY_REFUSED})
        token = await self.security.enter(account, "login-passkey", TWO_FACTORS, marks)
        portal = portal_of(self.context.portals, account.role)
        home = portal.home if portal else "/"
        response = RedirectResponse(forms.safe_next(target, home), 303)
        self.cookies.set(response, "session", token)
        self.cookies.drop(response, "step")
        self.cookies.drop(response, "visit")
        return response

    async def again(self, request: Request) -> Response:
        """A second factor within a session, for an act that needs one; leads back to the act."""
        session = session_of(request)
        if session is None:
            return RedirectResponse("/login", 303)
        if request.method != "POST":
            target = forms.safe_next(request.query_params.get("next", ""), "/account")
            return await self._again_page(request, session, target)
        form = await forms.read_form(request)
        target = forms.safe_next(form.get("next", ""), "/account")
        code = "".join(form.get("code", "").split())
        marks = marks_of(request)
        found = None
        if self.security is not None and self.is_code(code):
            try:
                found = await self.security.second(session.caller.id, code, marks)
            except Locked as error:
                text = lock_text(self.context.language(request), error)
                return await self._again_page(request, session, target, {"code": text})
        if self.security is None or found is None:
            return await self._again_page(request, session, target, {"code": CODE_REFUSED})
        token = await self.security.step_up(session.token, found[0], marks)
        return self._back(token, target)

    async def again_passkey(self, request: Request) -> Response:
        """The same with a passkey of this very account."""
        session = session_of(request)
        if session is None or self.security is None:
            return RedirectResponse("/login", 303)
        form = await forms.read_form(request)
        target = forms.safe_next(form.get("next", ""), "/account")
        challenge = self.challenges.open(request, "again", form.get("challenge", ""))
        marks = marks_of(request)
        account = None
        if challenge is not None:
            account = await self.security.passkey(
                form.get("credential", ""), challenge, marks, session.caller.id
            )
        if account is None:
            refused = {"passkey": PASSKEY_REFUSED}
            return await self._again_page(request, session, target, refused)
        token = await self.security.step_up(session.token, account, marks)
        return self._back(token, target)

    def _back(self, token: str | None, target: str) -> Response:
        if token is None:
            return RedirectResponse("/login", 303)
        response = RedirectResponse(target, 303)
        self.cookies.set(response, "session", token)
        return response

    async def _again_page(
        self,
        request: Request,
        session: WebSession,
        target: str,
        errors: Mapping[str, str] | None = None,
    ) -> Response:
        if self.security is None:
            raise HTTPException(404)
        account = session.caller.id
        has = await self.security.factors(account)
        return self.context.render(
            request,
            "again.html",
            status=422 if errors else 200,
            next=target,
            errors=errors or {},
            possible=has.any or has.operator_code or has.codes.count > 0,
            issuers=await self.federation.of_account(account) if self.federation else (),
            asked=await self._asked(request, "again", account) if has.passkeys else None,
        )

    async def _asked(self, request: Request, use: str, account: str | None = None) -> Asked | None:
        if self.security is None or self.security.place is None:
            return None
        challenge, sealed = self.challenges.fresh(request, use)
        return Asked(await self.security.login_options(challenge, account), sealed)
