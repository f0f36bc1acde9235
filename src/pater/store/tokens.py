"""64-bit hashes: one number for each thing that a resource can be asked for by its `tokens`."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache, partial
from hashlib import blake2b

from pater.fhir.search.values import IndexValues, ReferenceValue, TokenValue, UriValue

# Each kind of token has its own first part, so that no two kinds can ever mean the same text.
_SYSTEM_AND_CODE = "tsc"
_ANY_SYSTEM = "tc"
_NO_SYSTEM = "t0c"
_SYSTEM_ONLY = "ts"
_REFERENCE = "r"
_REFERENCE_URL = "ru"
_URI = "u"
_URI_BELOW = "ub"
_PRESENT = "p"
_UNIT = "unit"
# Longer values are not remembered: the memory of what was seen stays small.
_SHORT = 200
_LONGEST_URI = 2000
_MOST_STEPS = 30


def _hash(*parts: str) -> int:
    # Lengths, not separators, keep the parts apart: a code may hold any character.
    return _number("".join([f"{len(part)}:{part}" for part in parts]))


def _number(text: str) -> int:
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@lru_cache(maxsize=8_192)
def _head(*parts: str) -> str:
    """The first parts of a hashed text: its kind, the resource type, the parameter."""
    return "".join([f"{len(part)}:{part}" for part in parts])


@lru_cache(maxsize=8_192)
def param_number(param: str) -> int:
    """The signed 32-bit number of a search parameter's code in the side tables."""
    number = zlib.crc32(param.encode())
    return number - (1 << 32) if number >= 1 << 31 else number


def code_hash(type_name: str, param: str, code: str) -> int:
    """`param=code`: the code in any system or in none."""
    return _number(f"{_head(_ANY_SYSTEM, type_name, param)}{len(code)}:{code}")


def system_code_hash(type_name: str, param: str, system: str, code: str) -> int:
    """`param=system|code`."""
    head = _head(_SYSTEM_AND_CODE, type_name, param)
    return _number(f"{head}{len(system)}:{system}{len(code)}:{code}")


def system_hash(type_name: str, param: str, system: str) -> int:
    """`param=system|`: any code of the system."""
    return _hash(_SYSTEM_ONLY, type_name, param, system)


def no_system_hash(type_name: str, param: str, code: str) -> int:
    """`param=|code`: the code where the element names no system."""
    return _hash(_NO_SYSTEM, type_name, param, code)


@lru_cache(maxsize=8_192)
def present_hash(type_name: str, param: str) -> int:
    """`param:missing=false` of a token, reference or uri parameter."""
    return _hash(_PRESENT, type_name, param)


def reference_hash(type_name: str, param: str, target_type: str, target_id: str) -> int:
    """`param=Target/id`: a reference to a resource of this server."""
    head = _head(_REFERENCE, type_name, param, target_type)
    return _number(f"{head}{len(target_id)}:{target_id}")


def reference_url_hash(type_name: str, param: str, url: str) -> int:
    """`param=https://…` or `urn:…`: a reference to something elsewhere, by its whole text."""
    return _hash(_REFERENCE_URL, type_name, param, url)


def uri_hash(type_name: str, param: str, value: str) -> int:
    """`param=uri`, compared whole."""
    return _hash(_URI, type_name, param, value)


def uri_below_hash(type_name: str, param: str, value: str) -> int:
    """`param:below=uri`: the URI itself, and all that go on behind it at a slash."""
    return _hash(_URI_BELOW, type_name, param, value.rstrip("/"))


def _uri_below_hashes(type_name: str, param: str, value: str) -> Iterable[int]:
    parts = value[:_LONGEST_URI].rstrip("/").split("/")
    for end in range(1, min(len(parts), _MOST_STEPS) + 1):
        if parts[end - 1] and not parts[end - 1].endswith(":"):
            yield uri_below_hash(type_name, param, "/".join(parts[:end]))


def unit_hash(system: str, code: str) -> int:
    """The `unit` of `number_index`: 0 for a number without unit."""
    if len(system) + len(code) > _SHORT:
        return _hash(_UNIT, system, code)
    return _kept_unit(system, code) if system or code else 0


_kept_unit = lru_cache(maxsize=4_096)(partial(_hash, _UNIT))


def token_hashes(type_name: str, value: TokenValue) -> tuple[int, ...]:
    """The forms under which one token is found: code, system|code, system|, |code."""
    param, system, code = value
    if system and code and param.endswith(":of-type"):
        return (system_code_hash(type_name, param, system, code),)
    if system and code:
        return (
            code_hash(type_name, param, code),
            system_code_hash(type_name, param, system, code),
            _kept_system(type_name, param, system)
            if len(system) <= _SHORT
            else system_hash(type_name, param, system),
        )
    if code:
        return (code_hash(type_name, param, code), no_system_hash(type_name, param, code))
    return (system_hash(type_name, param, system),) if system else ()


_kept_system = lru_cache(maxsize=8_192)(system_hash)


def reference_hashes(type_name: str, value: ReferenceValue) -> tuple[int, ...]:
    """The form under which one reference is found: by target or by its whole text."""
    param, kind, ident, url = value
    if kind and ident:
        return (reference_hash(type_name, param, kind, ident),)
    return (reference_url_hash(type_name, param, url),) if url else ()


def _token_row(type_name: str, value: TokenValue) -> tuple[int, ...]:
    return token_hashes(type_name, value) + _present(type_name, value.param)


def _reference_row(type_name: str, value: ReferenceValue) -> tuple[int, ...]:
    return reference_hashes(type_name, value) + _present(type_name, value.param)


def _uri_row(type_name: str, value: UriValue) -> tuple[int, ...]:
    param, uri = value
    below = _uri_below_hashes(type_name, param, uri)
    return (uri_hash(type_name, param, uri), *below, *_present(type_name, param))


@lru_cache(maxsize=8_192)
def _present(type_name: str, param: str) -> tuple[int, ...]:
    return () if ":" in param else (present_hash(type_name, param),)


# Most tokens of a record are codes that other records have too; all its resources refer to the
# same patient and to a few encounters.
_kept_token_row = lru_cache(maxsize=32_768)(_token_row)
_kept_reference_row = lru_cache(maxsize=32_768)(_reference_row)
_kept_uri_row = lru_cache(maxsize=4_096)(_uri_row)


def resource_tokens(type_name: str, values: IndexValues) -> list[int]:
    """Everything the `tokens` column of a resource holds, sorted and without repetition.

    Parameters of the forms `name:identifier` get no presence token: `:missing` asks for `name`.
    """
    found: list[int] = []
    for token in values.tokens:
        _, system, code = token
        short = (len(system) if system else 0) + (len(code) if code else 0) <= _SHORT
        found += (_kept_token_row if short else _token_row)(type_name, token)
    for reference in values.references:
        short = len(reference[2] or reference[3] or "") <= _SHORT  # its id or its text
        found += (_kept_reference_row if short else _reference_row)(type_name, reference)
    for uri in values.uris:
        found += (_kept_uri_row if len(uri[1]) <= _SHORT else _uri_row)(type_name, uri)
    return sorted(set(found))


def claim_key(kind: str, *parts: str) -> bytes:
    """The 16-byte key of a business fact that may be held once: a kind and what tells it apart."""
    text = "".join(f"{len(part)}:{part}" for part in (kind, *parts))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
