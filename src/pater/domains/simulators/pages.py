"""What the simulated provider of identities serves: its documents, and where one agrees."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from urllib.parse import parse_qsl, unquote_plus, urlencode

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from pater.access.authorize import target_of
from pater.domains.simulators.identity import PATH, Provider, ProviderError, person_of
from pater.domains.simulators.people import HIGH, LEVELS, LOW, PEOPLE, SUBSTANTIAL
from pater.web.context import PageContext
from pater.web.i18n import N_

_LONGEST = 16_384
_PRIVATE = {"Cache-Control": "no-store"}
_ASKED = (
    "client_id", "redirect_uri", "response_type", "scope", "state", "nonce", "code_challenge",
    "code_challenge_method",
)  # fmt: skip
_NAMES: Mapping[str, str] = {
    SUBSTANTIAL: N_("substantial"), HIGH: N_("high"), LOW: N_("low"),
}  # fmt: skip


def routes(provider: Provider) -> Sequence[BaseRoute]:
    """What programs ask."""

    async def discovery(_: Request) -> Response:
        return JSONResponse(provider.discovery())

    async def jwks(_: Request) -> Response:
        return JSONResponse(provider.jwks())

    async def token(request: Request) -> Response:
        try:
            given = provider.redeem(await _form(request), _basic(request))
        except ProviderError as error:
            status = 401 if error.code == "invalid_client" else 400
            said = {"error": error.code, "error_description": str(error)}
            return JSONResponse(said, status, headers=_PRIVATE)
        return JSONResponse(given, headers=_PRIVATE)

    async def userinfo(request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        found = provider.userinfo(token.strip()) if scheme.lower() == "bearer" else None
        if found is None:
            headers = {"WWW-Authenticate": 'Bearer error="invalid_token"', **_PRIVATE}
            return JSONResponse({"error": "invalid_token"}, 401, headers=headers)
        return JSONResponse(found, headers=_PRIVATE)

    return [
        Route(PATH + "/.well-known/openid-configuration", discovery),
        Route(PATH + "/jwks", jwks),
        Route(PATH + "/token", token, methods=["POST"]),
        Route(PATH + "/userinfo", userinfo),
    ]


def pages(context: PageContext, provider: Provider) -> Sequence[BaseRoute]:
    """What people see."""

    async def authorize(request: Request) -> Response:
        form: Mapping[str, str] = request.query_params
        if request.method == "POST":
            form = await context.form(request)
        try:
            asked = provider.request(form)
        except ProviderError as error:
            return context.render(
                request, "simulators/refused.html", status=400, why=str(error)
            )  # fmt: skip
        wrong = ""
        if request.method == "POST":
            if form.get("answer") != "allow":
                return _leave(asked.redirect_uri, provider, state=asked.state,
                              error="access_denied")  # fmt: skip
            person = person_of(form.get("person", ""))
            level = form.get("level", "")
            if person is not None and level in LEVELS:
                code = provider.code(asked, person.key, level)
                return _leave(asked.redirect_uri, provider, state=asked.state, code=code)
            wrong = N_("Choose somebody")
        request.state.form_targets = (target_of(asked.redirect_uri),)
        language = context.language(request)
        return context.render(
            request,
            "simulators/authorize.html",
            status=422 if wrong else 200,
            kept={name: form[name] for name in _ASKED if name in form},
            people=[(one.key, one.name, language.pick(one.note)) for one in PEOPLE],
            levels=[(level, language.gettext(_NAMES[level])) for level in LEVELS],
            error=language.gettext(wrong),
        )

    async def logout(request: Request) -> Response:
        back = request.query_params.get("post_logout_redirect_uri", "")
        return context.render(
            request, "simulators/logout.html", back=back if provider.may_return(back) else ""
        )

    return [
        Route(PATH + "/authorize", authorize, methods=["GET", "POST"]),
        Route(PATH + "/logout", logout),
    ]


def _leave(address: str, provider: Provider, **values: str) -> Response:
    sign = "&" if "?" in address else "?"
    return RedirectResponse(address + sign + urlencode({**values, "iss": provider.issuer}), 303)


async def _form(request: Request) -> dict[str, str]:
    body = bytearray()
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > _LONGEST:
                raise ProviderError("invalid_request", "the request is too long")
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=30))
    except (ValueError, ClientDisconnect) as error:
        raise ProviderError("invalid_request", "the form cannot be read") from error


def _basic(request: Request) -> tuple[str, str] | None:
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, _, secret = base64.b64decode(value.strip(), validate=True).decode().partition(":")
    except (binascii.Error, ValueError) as error:
        raise ProviderError("invalid_client", "the Authorization header is not Basic") from error
    return unquote_plus(name), unquote_plus(secret)
