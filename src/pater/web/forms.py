"""Forms: reads them within bounds, proves that they came from our own page, keeps visitors local.

A form carries the session's CSRF token. Before login there is no session: then a short signed
cookie holds a random visit and the form carries a MAC of it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping
from datetime import datetime, timedelta
from types import MappingProxyType
from urllib.parse import parse_qsl, urlsplit

from starlette.exceptions import HTTPException
from starlette.requests import Request

from pater.web.uploads import Upload, read_multipart

MAX_BYTES = 64 * 1024
MAX_FIELDS = 200
VISIT_LIFETIME = timedelta(hours=2)


async def read_form(request: Request, limit: int = MAX_BYTES) -> Mapping[str, str]:
    """The fields of a form body, cached on the request; a repeated field is refused.

    The body is urlencoded; who is logged in may also send files with it (see `file_of`).
    Raises HTTPException 400 (not a form, not UTF-8, too many fields) or 413 (over `limit` bytes).
    """
    cached: Mapping[str, str] | None = getattr(request.state, "form", None)
    if cached is not None:
        return cached
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data" and getattr(request.state, "session", None):
        request.state.form, request.state.files = await read_multipart(request)
        return request.state.form  # type: ignore[no-any-return]  # state is untyped
    if media_type != "application/x-www-form-urlencoded":
        raise HTTPException(400)
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > limit:
            raise HTTPException(413)
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            max_num_fields=MAX_FIELDS,
            encoding="utf-8",
            errors="strict",
        )
    except ValueError as error:
        raise HTTPException(400) from error
    fields = dict(pairs)
    if len(fields) != len(pairs) or any("\x00" in value for value in fields.values()):
        raise HTTPException(400)
    form = MappingProxyType(fields)
    request.state.form = form
    return form


def file_of(request: Request, name: str) -> Upload | None:
    """The file that came in a field of the form that was read; None when none was chosen."""
    files: Mapping[str, Upload] = getattr(request.state, "files", {})
    return files.get(name)


def safe_next(target: str, default: str = "/") -> str:
    """`target` when it is a path of this site, else `default`: no redirects to elsewhere."""
    if len(target) > 2000 or not target.startswith("/") or target.startswith(("//", "/\\")):
        return default
    if "\\" in target or any(ord(char) < 0x21 or ord(char) == 0x7F for char in target):
        return default
    try:
        parts = urlsplit(target)
    except ValueError:
        return default
    return default if parts.scheme or parts.netloc else target


def same_origin(request: Request) -> bool:
    """False when the browser itself says that a form came from another site."""
    return request.headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none")


class Signer:
    """Short signed values in cookies: `seal` makes one, `open` gives it back or None."""

    def __init__(self, secret: bytes, use: str) -> None:
        """`use` separates the purposes of one secret."""
        self._key = hmac.digest(secret, f"web {use}".encode(), hashlib.sha256)

    def seal(self, value: str, expires: datetime) -> str:
        """`value` (without dots) with its expiry and a MAC, safe in a cookie."""
        text = f"{value}.{int(expires.timestamp())}"
        return f"{text}.{self.mac(text)}"

    def open(self, sealed: str, now: datetime) -> str | None:
        """The value of an unexpired, untouched sealed text."""
        text, _, mac = sealed.rpartition(".")
        if not text or not hmac.compare_digest(mac.encode(), self.mac(text).encode()):
            return None
        value, _, expires = text.rpartition(".")
        return value if int(expires) > now.timestamp() else None

    def mac(self, text: str) -> str:
        """A MAC in hexadecimal."""
        return hmac.digest(self._key, text.encode(), hashlib.sha256).hex()


def new_visit() -> str:
    """A random name for a visit before login."""
    return secrets.token_urlsafe(18)


def same_secret(given: str, expected: str) -> bool:
    """Compares in constant time; nothing equals an empty secret."""
    return bool(expected) and hmac.compare_digest(given.encode(), expected.encode())
