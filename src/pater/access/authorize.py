"""Reads what an app asks at the authorization endpoint, and writes the address of the answer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlencode

from pater.access import apps
from pater.access.apps import App
from pater.store.database import Database

LONGEST_REQUEST: Final = 6_000
MOST_PARAMETERS: Final = 40
MOST_SCOPES: Final = 60
_LONGEST: Final = {"state": 1000, "nonce": 500, "scope": 4000, "launch": 200}
_VISIBLE: Final = re.compile(r"[ -~]*", re.ASCII)  # RFC 6749, appendix A: VSCHAR
_AGE: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_CHALLENGE: Final = re.compile(r"[A-Za-z0-9_-]{43}", re.ASCII)


class AuthorizeError(Exception):
    """The request is refused (RFC 6749, section 4.1.2.1).

    `back` is the address that tells the app; "" when there is none that can be trusted: then only
    the person is told. `app` is who asked, once it is known.
    """

    def __init__(self, code: str, text: str, *, back: str = "", app: App | None = None) -> None:
        super().__init__(text)
        self.code = code
        self.text = text
        self.back = back
        self.app = app


@dataclass(frozen=True, slots=True)
class Asked:
    """What an app asks for, once everything in it is well formed.

    `challenge` is the PKCE challenge (S256), `launch` the handle of a launch from our pages or "".
    `max_age`: the person proved themselves at most so many seconds before they were asked; 0 also
    for `prompt=login`; None = whenever (OpenID Connect Core, section 3.1.2.1).
    """

    app: App
    redirect_uri: str
    scopes: tuple[str, ...]
    state: str
    nonce: str
    challenge: str
    launch: str
    max_age: int | None = None


async def read_request(db: Database, parameters: Sequence[tuple[str, str]], issuer: str) -> Asked:
    """What is asked; raises AuthorizeError (SMART App Launch 2.2, section 2.0.9).

    `parameters` are name and value as they came; `issuer` is our public address. The redirect
    address must be one of the registered ones, character by character (RFC 9700, 2.1).
    """
    names = [name for name, _ in parameters]
    given = dict(parameters)
    for name in ("client_id", "redirect_uri"):
        if names.count(name) != 1:
            raise AuthorizeError("invalid_request", f"{name} must be given once")
    app = await apps.find(db, given["client_id"])
    if app is None or not app.active:
        raise AuthorizeError("invalid_client", "the app is not registered")
    redirect_uri = given["redirect_uri"]
    if redirect_uri not in app.redirect_uris:
        raise AuthorizeError("invalid_request", "this redirect_uri is not registered", app=app)
    state = given.get("state", "")
    if names.count("state") > 1 or not _fits("state", state):
        state = ""

    def refuse(code: str, text: str) -> AuthorizeError:
        back = answer(redirect_uri, issuer, error=code, error_description=text, state=state)
        return AuthorizeError(code, text, back=back, app=app)

    if len(names) != len(given):
        raise refuse("invalid_request", "a parameter stands twice")
    if len(names) > MOST_PARAMETERS or sum(map(len, given.values())) > LONGEST_REQUEST:
        raise refuse("invalid_request", "the request is too long")
    for name in _LONGEST:
        if not _fits(name, given.get(name, "")):
            raise refuse("invalid_request", f"{name} is too long or has unusual characters")
    if "request" in given or "request_uri" in given:
        raise refuse("request_not_supported", "request objects are not supported")
    if given.get("response_type") != "code":
        raise refuse("unsupported_response_type", "response_type must be code")
    if given.get("response_mode", "query") != "query":
        raise refuse("invalid_request", "response_mode must be query")
    if given.get("code_challenge_method") != "S256":
        raise refuse("invalid_request", "PKCE is needed: code_challenge_method must be S256")
    if not _CHALLENGE.fullmatch(given.get("code_challenge", "")):
        raise refuse("invalid_request", "PKCE is needed: code_challenge is missing or malformed")
    if given.get("aud", "").rstrip("/") != issuer + "/fhir":
        raise refuse("invalid_request", f"aud must be {issuer}/fhir")
    scopes = tuple(dict.fromkeys(given.get("scope", "").split()))
    if not scopes or len(scopes) > MOST_SCOPES:
        raise refuse("invalid_scope", f"scope must name 1 to {MOST_SCOPES} scopes")
    age = given.get("max_age", "")
    if age and not _AGE.fullmatch(age):
        raise refuse("invalid_request", "max_age is a number of seconds")
    if "none" in given.get("prompt", "").split():
        # a person always decides here, so there is never an answer without asking
        raise refuse("interaction_required", "a person has to agree")
    return Asked(
        app, redirect_uri, scopes, state, given.get("nonce", ""), given["code_challenge"],
        given.get("launch", ""),
        0 if "login" in given.get("prompt", "").split() else int(age) if age else None,
    )  # fmt: skip


def parameters_of(asked: Asked, issuer: str) -> list[tuple[str, str]]:
    """The request as parameters again, for `read_request` after a login."""
    pairs = [
        ("response_type", "code"),
        ("client_id", asked.app.id),
        ("redirect_uri", asked.redirect_uri),
        ("scope", " ".join(asked.scopes)),
        ("state", asked.state),
        ("nonce", asked.nonce),
        ("code_challenge", asked.challenge),
        ("code_challenge_method", "S256"),
        ("aud", issuer + "/fhir"),
        ("launch", asked.launch),
        ("max_age", "" if asked.max_age is None else str(asked.max_age)),
    ]
    return [(name, value) for name, value in pairs if value]


def answer(redirect_uri: str, issuer: str, **values: str) -> str:
    """The redirect address with the answer; `iss` says which server gave it (RFC 9207)."""
    filled: Mapping[str, str] = {name: value for name, value in values.items() if value}
    sign = "&" if "?" in redirect_uri else "?"
    return redirect_uri + sign + urlencode({**filled, "iss": issuer})


def target_of(redirect_uri: str) -> str:
    """What a Content-Security-Policy calls the place a form may lead to."""
    scheme, _, rest = redirect_uri.partition(":")
    if scheme not in ("http", "https"):
        return scheme + ":"
    return f"{scheme}://{rest.removeprefix('//').partition('/')[0].partition('?')[0]}"


def _fits(name: str, value: str) -> bool:
    return len(value) <= _LONGEST[name] and _VISIBLE.fullmatch(value) is not None
