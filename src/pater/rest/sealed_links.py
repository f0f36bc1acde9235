"""Addresses of further pages that do not show what was searched for.

Who searches by POST keeps identifiers out of addresses, and so out of logs; a plain link to the
next page would bring them back. The link then carries the search sealed.
"""

from __future__ import annotations

import base64
import binascii
import hmac
from collections.abc import Sequence

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from pater.rest.errors import HttpError

PAGE = "_page"
Parameters = Sequence[tuple[str, str]]


def seal(parameters: Parameters, type: str, key: bytes) -> str:
    """The parameters of a search of the type as one text (AES-SIV, RFC 5297; base64url)."""
    sealed = _cipher(key).encrypt(orjson.dumps(parameters), [type.encode()])
    return base64.urlsafe_b64encode(sealed).rstrip(b"=").decode("ascii")


def unseal(text: str, type: str, key: bytes) -> list[tuple[str, str]]:
    """What `seal` was given. Raises HttpError 400 for a text that it did not make."""
    try:
        sealed = base64.b64decode(
            text.encode("ascii") + b"=" * (-len(text) % 4), altchars=b"-_", validate=True
        )
        pairs = orjson.loads(_cipher(key).decrypt(sealed, [type.encode()]))
    except (InvalidTag, ValueError, binascii.Error) as error:
        raise HttpError(400, "value", "the page link is not one of this server") from error
    return [(name, value) for name, value in pairs]


def _cipher(key: bytes) -> AESSIV:
    """AES-256-SIV under a key derived with a label of its own (HMAC-SHA512)."""
    return AESSIV(hmac.digest(key, b"pater page link", "sha512"))
