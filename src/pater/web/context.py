"""What a domain's pages get from the shell: `PageContext`.

A domain writes `def pages(context: PageContext) -> Sequence[Route]` and in it ordinary Starlette
endpoints: `@context.require("patient")` lets in who may, and `context.render(request,
"<domain>/x.html", …)` answers in the reader's language. Templates extend `base.html` and import
`macros.html`.
"""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import quote

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from pater.access.caller import TWO_FACTORS, Caller
from pater.domain import Attending, Attention
from pater.web import forms
from pater.web.i18n import DEFAULT, Language
from pater.web.portals import Portal, portal_of
from pater.web.session import Logins, WebSession, session_of, source_of
from pater.web.templating import Templates

Endpoint = Callable[[Request], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class PageContext:
    """The shell's services for pages; made once at start, the same for every domain."""

    templates: Templates
    languages: Mapping[str, Language]
    portals: Sequence[Portal]
    logins: Logins
    demo: bool
    security: bool = False  # whether people look after their accounts here
    attending: Sequence[Attending] = ()  # what domains have to tell on the first page of a portal

    def render(
        self,
        request: Request,
        template: str,
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        **values: Any,
    ) -> Response:
        """A page: the template (`<domain>/<name>.html`) with `values` and the shell's own.

        The shell adds `session` (WebSession or None), `csrf`, `portal` (Portal or None), `path`
        (with the query), `demo` and `page_status`.
        """
        session = session_of(request)
        query = request.url.query
        shell = {
            "session": session,
            "csrf": _Proof(request),
            "portal": portal_of(self.portals, session.caller.role) if session else None,
            "path": request.url.path + (f"?{query}" if query else ""),
            "demo": self.demo,
            "own_account": self.security,
            "page_status": status,
        }
        text = self.templates.render(self.lang(request), template, {**shell, **values})
        return HTMLResponse(text, status_code=status, headers=dict(headers or {}))

    def lang(self, request: Request) -> str:
        """The reader's language: `cs` or `en`."""
        lang: str = getattr(request.state, "lang", DEFAULT)
        return lang

    def language(self, request: Request) -> Language:
        """The reader's language with its texts, dates and numbers."""
        return self.languages[self.lang(request)]

    def _(self, request: Request, text: str) -> str:
        """A text marked with `N_` in the reader's language."""
        return self.language(request).gettext(text)

    def session_of(self, request: Request) -> WebSession | None:
        """The session of a request, None for a visitor."""
        return session_of(request)

    def caller_of(self, request: Request) -> Caller:
        """Who asks, for the gate; behind `require` there always is one (else 401)."""
        session = session_of(request)
        if session is None:
            raise HTTPException(401)
        return replace(
            session.caller,
            request_id=getattr(request.state, "request_id", ""),
            source=source_of(request),
        )

    async def attention(self, request: Request) -> list[Attention]:
        """What the first page of a portal tells before all else."""
        caller = self.caller_of(request)
        return [each for attend in self.attending for each in await attend(caller)]

    def require(
        self, *roles: str, strength: int = TWO_FACTORS, fresh: bool = False
    ) -> Callable[[Endpoint], Endpoint]:
        """Lets only these roles in (any role when none is named); sends visitors to the login.

        Who has shown too little (with `fresh`: no second factor in the last minutes) is asked for
        a second factor and comes back.
        """

        def decorate(endpoint: Endpoint) -> Endpoint:
            @functools.wraps(endpoint)
            async def guarded(request: Request) -> Response:
                session = session_of(request)
                # a POST cannot be replayed after login
                target = request.url.path if request.method == "POST" else _local(request)
                if session is None:
                    return RedirectResponse(f"/login?next={quote(target, safe='')}", 303)
                if roles and session.caller.role not in roles:
                    raise HTTPException(403)
                if session.caller.strength < strength or (fresh and not session.proved):
                    if not self.security:
                        raise HTTPException(403)
                    return RedirectResponse(f"/login/again?next={quote(target, safe='')}", 303)
                return await endpoint(request)

            return guarded

        return decorate

    async def form(self, request: Request) -> Mapping[str, str]:
        """The fields of a POSTed form; its CSRF proof was checked before the page ran."""
        return await forms.read_form(request)

    async def open_patient(self, request: Request, *, purpose: str, patient: str) -> None:
        """Remembers in the session the purpose of use and the patient a professional opened.

        HTTPException 403 for a purpose that the person's role has not.
        """
        session = session_of(request)
        if session is None:
            raise HTTPException(401)
        try:
            await self.logins.change(session.token, purpose=purpose, patient=patient)
        except ValueError as error:
            raise HTTPException(403) from error

    def redirect(self, target: str) -> Response:
        """Sends the browser on after a POST (303); only to a path of this site."""
        return RedirectResponse(forms.safe_next(target), 303)


class _Proof:
    """The CSRF token; being written into a page marks that the visit needs its cookie."""

    def __init__(self, request: Request) -> None:
        self._request = request

    def __str__(self) -> str:
        self._request.state.csrf_shown = True
        return str(getattr(self._request.state, "csrf", ""))

    __html__ = __str__  # letters, digits, - and _ only: nothing to escape


def _local(request: Request) -> str:
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")
