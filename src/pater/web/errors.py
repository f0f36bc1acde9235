"""The pages people see when something is not as they hoped, in plain words and without traces."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from pater.records.errors import (
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    PreconditionFailed,
    RecordsError,
    TooMany,
    Unprocessable,
)
from pater.web.context import PageContext
from pater.web.i18n import DEFAULT, N_, negotiate
from pater.web.problems import problem, wants_json

# status -> (headline, what it means and what to do)
TEXTS: Mapping[int, tuple[str, str]] = {
    400: (
        N_("We did not understand the request"),
        N_("Something in the address or the form is not right. Go back and try it again."),
    ),
    401: (N_("You are not logged in"), N_("Log in and open the page again.")),
    403: (
        N_("You may not open this page"),
        N_(
            "Your account has no right to it, or the page was open for too long. "
            "Go back, load the page again and repeat the step."
        ),
    ),
    404: (
        N_("The page does not exist"),
        N_("The address may be misspelt, or the page was moved or is not meant for you."),
    ),
    405: (
        N_("This cannot be done here"),
        N_("The page does not offer this action. Start again from the home page."),
    ),
    409: (
        N_("Somebody else changed it meanwhile"),
        N_("Load the page again, check the current content and repeat the step."),
    ),
    410: (N_("The record was removed"), N_("It used to be here, but it is no longer valid.")),
    413: (
        N_("What you are sending is too large"),
        N_("Make it smaller and try again."),
    ),
    422: (
        N_("The content cannot be accepted"),
        N_("Something in what you sent is not right. Go back, correct it and try again."),
    ),
    429: (
        N_("Too many attempts"),
        N_("Wait a few minutes and try again."),
    ),
    500: (
        N_("Something went wrong on our side"),
        N_(
            "We are sorry. Try again in a moment. "
            "If it happens again, tell the support the number below."
        ),
    ),
    503: (
        N_("The service is not available now"),
        N_("Try again in a few minutes. Nothing you have saved was lost."),
    ),
}
PICTURES: Mapping[int, str] = {
    400: "art-card-400",
    403: "art-card-403",
    404: "art-card-404",
    500: "art-card-500",
}
RECORDS: Mapping[type[RecordsError], int] = {
    NotFound: 404,
    Gone: 410,
    Forbidden: 403,
    Conflict: 409,
    PreconditionFailed: 409,
    Unprocessable: 422,
    TooMany: 429,
}

Handler = Callable[[Request, Exception], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class ErrorPages:
    """Draws error pages inside the shell."""

    context: PageContext

    async def page(self, request: Request, status: int) -> Response:
        """The page of a status; an unusual one is shown as its class (4xx as 400, 5xx as 500).

        Programs that take JSON get problem details instead.
        """
        known = status if status in TEXTS else 400 if status < 500 else 500
        headline, advice = TEXTS[known]
        if wants_json(request):
            return problem(status, headline, getattr(request.state, "request_id", ""))
        if not hasattr(request.state, "lang"):  # refused before the session was read
            request.state.lang = negotiate(request.headers.get("accept-language", DEFAULT))
        return self.context.render(
            request,
            "error.html",
            status=status,
            headline=headline,
            advice=advice,
            picture=PICTURES.get(known, "art-help"),
            request_id=getattr(request.state, "request_id", ""),
        )

    async def failure(self, request: Request) -> Response:
        """The page of an unexpected error, without what may have been its cause: the session."""
        request.state.session = None
        return await self.page(request, 500)

    async def http(self, request: Request, error: Exception) -> Response:
        """For Starlette: an HTTPException as a page, keeping its headers (Allow)."""
        assert isinstance(error, HTTPException)
        response = await self.page(request, error.status_code)
        for name, value in (error.headers or {}).items():
            response.headers[name] = value
        return response

    async def records(self, request: Request, error: Exception) -> Response:
        """For Starlette: what the gate refused, as a page."""
        kinds = [kind for kind in type(error).__mro__ if kind in RECORDS]
        response = await self.page(request, RECORDS[kinds[0]] if kinds else 400)
        if isinstance(error, TooMany):
            response.headers["retry-after"] = str(error.seconds)
        return response

    def handlers(self) -> dict[Any, Handler]:
        """The exception handlers of the application."""
        return {HTTPException: self.http, RecordsError: self.records}
