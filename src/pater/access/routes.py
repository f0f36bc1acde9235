"""The HTTP side of access: the token endpoint and the documents that describe it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Final, cast
from urllib.parse import parse_qsl, urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pater.access import app_metadata, audit, client_tls, smart
from pater.access.app_tokens import AppDesk, Marks
from pater.access.caller import KEY, Caller
from pater.access.client_tls import Presented
from pater.access.clients import client_caller
from pater.access.peer import CERTIFICATE
from pater.access.smart import OAuthError
from pater.access.tokens import LIFETIME, TokenError, Tokens
from pater.store.database import Database
from pater.store.journal import JournalEntry
from pater.trust.identity import public_jwk
from pater.trust.keys import Keys

LONGEST_FORM: Final = 65_536
MOST_FIELDS: Final = 20
APP_GRANTS: Final = frozenset({"authorization_code", "refresh_token"})
_PRIVATE: Final = {"Cache-Control": "no-store", "Pragma": "no-cache"}
_PUBLIC: Final = {"Cache-Control": "public, max-age=300", "Access-Control-Allow-Origin": "*"}

Journal = Callable[[Sequence[JournalEntry]], Awaitable[None]]
BaseUrl = Callable[[Request], str]


def routes(
    db: Database,
    keys: Keys,
    clock: Callable[[], datetime],
    base_url: BaseUrl | str,
    demo: bool = False,
    *,
    tokens: Tokens,
    journal: Journal,
    apps: AppDesk | None = None,
    tls: bool = False,
) -> list[BaseRoute]:
    """`POST /oauth/token`, the SMART configuration (also below `/fhir`) and the key set.

    `base_url` is the public address without a slash at the end. `journal` must have written when
    it returns. In a demonstration a refused client is told what exactly was wrong. With `apps`
    there are introspection and revocation too, and the addresses that OpenID Connect wants. `tls`
    tells that systems can come with certificates.
    """

    def address(request: Request) -> str:
        return base_url if isinstance(base_url, str) else base_url(request)

    async def token(request: Request) -> Response:
        source, request_id = request.client.host if request.client else "", _id(request)
        try:
            form = await _form(request)
            if apps is not None and form.get("grant_type") in APP_GRANTS:
                given = await apps.token(form, _marks(request, address(request), "token"))
                return JSONResponse(given, headers=_PRIVATE)
            base = address(request)
            presented: Presented | None = request.scope.get(CERTIFICATE)
            proved = (
                (lambda id: client_tls.authenticate(db, id, presented, clock))
                if presented is not None
                else None
            )
            caller, client = await smart.grant(
                db, form, {base + "/oauth/token", base}, clock, proved
            )
            bound = await client_tls.binding(db, client, presented, clock)
        except OAuthError as error:
            await journal([_refused(error, clock, source, request_id)])
            return _error(error, demo, request)
        asked = replace(caller, source=source, request_id=request_id)
        await journal([audit.entry(asked, "E", "token", audit.OK, clock=clock, reason="token")])
        answer = {
            "access_token": tokens.issue(caller, bound_to=bound),
            "token_type": "bearer",
            "expires_in": int(LIFETIME.total_seconds()),
            "scope": " ".join(caller.scopes),
        }
        return JSONResponse(answer, headers=_PRIVATE)

    async def configuration(request: Request) -> Response:
        document = smart.configuration(address(request), tls=tls)
        if apps is not None:
            document = app_metadata.configuration(address(request), document)
        return JSONResponse(document, headers=_PUBLIC)

    async def jwks(_: Request) -> Response:
        found = keys.jwks()
        if apps is not None:
            found = {"keys": [*found["keys"], public_jwk(apps.identity)]}
        return JSONResponse(found, headers=_PUBLIC)

    async def openid(request: Request) -> Response:
        return JSONResponse(app_metadata.openid(address(request)), headers=_PUBLIC)

    async def introspect(request: Request) -> Response:
        return await _asked(request, "introspect")

    async def revoke(request: Request) -> Response:
        return await _asked(request, "revoke")

    async def _asked(request: Request, what: str) -> Response:
        desk = cast(AppDesk, apps)
        marks = _marks(request, address(request), what)
        try:
            form = await _form(request)
            if what == "revoke":
                await desk.revoke(form, marks)
                return Response(headers=_PRIVATE)
            return JSONResponse(await desk.introspect(form, marks), headers=_PRIVATE)
        except OAuthError as error:
            await journal([_refused(error, clock, marks.source, marks.request_id)])
            return _error(error, demo, request)

    async def userinfo(request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = None
        problem, status = "invalid_token", 401
        if scheme.lower() == "bearer" and token.strip():
            marks = _marks(request, address(request), "userinfo")
            try:
                found = await cast(AppDesk, apps).userinfo(token.strip(), marks)
                problem, status = "insufficient_scope", 403
            except TokenError:
                pass
        if found is not None:
            return JSONResponse(found, headers=_PRIVATE)
        challenge = {"WWW-Authenticate": f'Bearer realm="oauth", error="{problem}"'}
        return JSONResponse({"error": problem}, status, headers=_PRIVATE | challenge)

    async def authorize(request: Request) -> Response:
        """An app may post its request (SMART 2.2, `authorize-post`); the page shows it by GET."""
        try:
            form = await _form(request)
        except OAuthError as error:
            return _error(error, demo, request)
        return RedirectResponse("/oauth/authorize?" + urlencode(form), 303, headers=_PRIVATE)

    of_apps: list[BaseRoute] = [
        Route("/oauth/authorize", authorize, methods=["POST"]),
        Route("/oauth/introspect", introspect, methods=["POST"]),
        Route("/oauth/revoke", revoke, methods=["POST"]),
        Route("/oauth/userinfo", userinfo, methods=["GET", "POST"]),
        Route("/.well-known/openid-configuration", openid),
        Route("/.well-known/oauth-authorization-server", openid),
    ]
    return [
        *(of_apps if apps is not None else ()),
        Route("/oauth/token", token, methods=["POST"]),
        Route("/.well-known/smart-configuration", configuration),
        Route("/fhir/.well-known/smart-configuration", configuration),
        Route("/.well-known/jwks.json", jwks),
    ]


def _id(request: Request) -> str:
    """The id that the roof gave the request; never one that only the client chose."""
    found = getattr(request.state, "request_id", "")
    return found if isinstance(found, str) else ""


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, each at most once (RFC 6749, section 3.2); raises OAuthError."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise OAuthError("invalid_request", "send application/x-www-form-urlencoded")
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_FORM:
                raise OAuthError("invalid_request", "the request is too large")
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=bool(body),
            errors="strict",
            max_num_fields=MOST_FIELDS,
        )
    except (ValueError, ClientDisconnect) as error:
        raise OAuthError("invalid_request", "the form cannot be read") from error
    form = dict(pairs)
    if len(form) != len(pairs):
        raise OAuthError("invalid_request", "a parameter stands twice")
    return form


def _refused(
    error: OAuthError, clock: Callable[[], datetime], source: str, request_id: str
) -> JournalEntry:
    """What was refused to whom; of a client that is not known, nothing it said is kept."""
    client = error.client
    known = (
        client_caller(client, scopes=(), purpose="")
        if client
        else Caller(kind="system", id="", name="", role="", strength=KEY)
    )
    caller = replace(known, source=source, request_id=request_id)
    reason = error.reason or "token-request"
    return audit.entry(caller, "E", "token", audit.MINOR_FAILURE, clock=clock, reason=reason)


def _marks(request: Request, base: str, what: str) -> Marks:
    return Marks(
        request.headers,
        request.client.host if request.client else "",
        _id(request),
        # made out to this endpoint, to the token endpoint, or to the server as a whole
        frozenset({base + "/oauth/token", f"{base}/oauth/{what}", base}),
    )


def _error(error: OAuthError, demo: bool, request: Request) -> Response:
    text = f"{error.text}: {error.detail}" if demo and error.detail else error.text
    status = 401 if error.code == "invalid_client" else 400
    headers = dict(_PRIVATE)
    if status == 401 and "authorization" in request.headers:
        headers["WWW-Authenticate"] = 'Basic realm="oauth"'  # RFC 6749, section 5.2
    return JSONResponse(
        {"error": error.code, "error_description": text}, status_code=status, headers=headers
    )
