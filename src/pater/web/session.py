"""Who is looking: the session behind a cookie, the language, and the proof behind every POST.

Every POST of the pages must carry the field `csrf`: the session's token, or before login the MAC
of a signed visit cookie. It is checked here, before any page runs, so no form can forget it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, Protocol

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pater.access.caller import Caller
from pater.web import forms
from pater.web.i18n import LANGUAGES, negotiate

LANGUAGE_AGE = 365 * 24 * 3600


@dataclass(frozen=True, slots=True)
class WebSession:
    """A logged-in person: what pages may know of the session.

    `caller` is complete but for the request's own marks (request id, network address).
    """

    token: str
    csrf: str
    lang: str
    caller: Caller
    patient: str = ""  # the patient whose record a professional has opened
    proved: bool = False  # a second factor was shown a short while ago
    issuer: str = ""  # the provider who proved the person; "" = we did


class Logins(Protocol):
    """What the shell needs of accounts and sessions; `web.logins` does it with `pater.access`."""

    async def password(
        self, login_name: str, password: str, source: str, request_id: str
    ) -> str | None:
        """First step: the account's id when login and password are right.

        Raises web.security.Locked.
        """

    async def code(
        self, account: str, code: str, lang: str, source: str, request_id: str, agent: str = ""
    ) -> str | None:
        """Second step: opens a session and gives its token when the one-time code is right.

        `agent` is the browser in its own words. Raises web.security.Locked.
        """

    async def read(self, token: str) -> WebSession | None:
        """The living session of a token, kept alive by this look."""

    async def end(self, token: str, source: str, request_id: str) -> None:
        """Ends a session; an unknown token is no error."""

    async def change(self, token: str, *, purpose: str, patient: str) -> None:
        """Sets the purpose of use and the opened patient of a session.

        Raises ValueError for a purpose that the person's role has not.
        """


CookieUse = Literal["session", "visit", "step", "lang", "ask", "issuer"]


@dataclass(frozen=True, slots=True)
class Cookies:
    """Names and attributes of our cookies; over https they get the `__Host-` prefix and Secure."""

    secure: bool

    def name(self, use: CookieUse) -> str:
        """The cookie's name."""
        return ("__Host-" if self.secure else "") + f"pater_{use}"

    def get(self, request: Request, use: CookieUse) -> str:
        """The cookie's value or an empty text."""
        return request.cookies.get(self.name(use), "")

    def set(
        self, response: Response, use: CookieUse, value: str, max_age: int | None = None
    ) -> None:
        """Sets a cookie for this site only, unreadable to scripts."""
        response.set_cookie(
            self.name(use),
            value,
            max_age=max_age,
            path="/",
            secure=self.secure,
            httponly=True,
            samesite="lax",
        )

    def drop(self, response: Response, use: CookieUse) -> None:
        """Removes a cookie."""
        response.delete_cookie(
            self.name(use), path="/", secure=self.secure, httponly=True, samesite="lax"
        )


@dataclass(frozen=True, slots=True)
class Visit:
    """A visit before login: a random name and whether its cookie has still to be set."""

    name: str
    fresh: bool


class SessionMiddleware:
    """Puts `session`, `lang` and `csrf` on `request.state`; refuses POSTs without their proof."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        logins: Logins,
        cookies: Cookies,
        signer: forms.Signer,
        clock: Callable[[], datetime],
        refuse: Callable[[Request, int], Awaitable[Response]],
    ) -> None:
        """`refuse` draws the error page of a status."""
        self._app = app
        self._logins = logins
        self._cookies = cookies
        self._signer = signer
        self._clock = clock
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serves one request."""
        if scope["type"] != "http" or scope["path"].startswith("/static/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        token = self._cookies.get(request, "session")
        session = await self._logins.read(token) if 0 < len(token) <= 200 else None
        request.state.session = session
        request.state.lang = self._language(request, session)
        visit = self._visit(request)
        request.state.csrf = session.csrf if session else self._signer.mac("csrf " + visit.name)

        async def with_visit(message: Message) -> None:
            # a form shown before login needs its visit cookie; nothing else does
            wanted = getattr(request.state, "csrf_shown", False)
            if message["type"] == "http.response.start" and visit.fresh and wanted and not session:
                carrier = Response()
                until = self._clock() + forms.VISIT_LIFETIME
                self._cookies.set(carrier, "visit", self._signer.seal(visit.name, until))
                message["headers"] = [*message["headers"], *_cookies_of(carrier)]
            await send(message)

        refused = await self._unproved(request) if request.method == "POST" else None
        if refused is not None:
            response = await self._refuse(request, refused)
            await response(scope, receive, with_visit)
            return
        await self._app(scope, receive, with_visit)

    async def _unproved(self, request: Request) -> int | None:
        """The status of a POST which cannot prove that it came from our form, else None."""
        if not forms.same_origin(request):
            return 403
        try:
            form = await forms.read_form(request)
        except HTTPException as error:
            return error.status_code
        return None if forms.same_secret(form.get("csrf", ""), request.state.csrf) else 403

    def _visit(self, request: Request) -> Visit:
        name = self._signer.open(self._cookies.get(request, "visit"), self._clock())
        return Visit(name, False) if name else Visit(forms.new_visit(), True)

    def _language(self, request: Request, session: WebSession | None) -> str:
        chosen = self._cookies.get(request, "lang") or (session.lang if session else "")
        if chosen in LANGUAGES:
            return chosen
        return negotiate(request.headers.get("accept-language", ""))


def session_of(request: Request) -> WebSession | None:
    """The session of a request, None for a visitor."""
    session: WebSession | None = getattr(request.state, "session", None)
    return session


def source_of(request: Request) -> str:
    """The network address a request came from."""
    return request.client.host if request.client else ""


def step_until(now: datetime) -> datetime:
    """How long the second step of a login may take."""
    return now + timedelta(minutes=5)


def _cookies_of(response: Response) -> list[tuple[bytes, bytes]]:
    return [pair for pair in response.raw_headers if pair[0] == b"set-cookie"]
