"""64-bit hashes: one number for each thing that a resource can be asked for by its `tokens`."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from functools import lru_cache, partial
from hashlib import blake2b

from pater.fhir.search.values import IndexValues, ReferenceValue, TokenValue

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
    text = "".join([f"{len(part)}:{part}" for part in parts])
    digest = blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@lru_cache(maxsize=8_192)
def param_number(param: str) -> int:
    """The signed 32-bit number of a search parameter's code in the side tables."""
    number = zlib.crc32(param.encode())
    return number - (1 << 32) if number >= 1 << 31 else number


def code_hash(type_name: str, param: str, code: str) -> int:
    """`param=code`: the code in any system or in none."""
    return _hash(_ANY_SYSTEM, type_name, param, code)


def system_code_hash(type_name: str, param: str, system: str, code: str) -> int:
    """`param=system|code`."""
    return _hash(_SYSTEM_AND_CODE, type_name, param, system, code)


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
    return _hash(_REFERENCE, type_name, param, target_type, target_id)


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
    if param.startswith("_"):  # every resource has such, and a profile's path says little
        return
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
    if len(value.code or "") + len(value.system or "") > _SHORT:
        return _token_hashes(type_name, value)
    return _kept_hashes(type_name, value)


def _token_hashes(type_name: str, value: TokenValue) -> tuple[int, ...]:
    param, system, code = value
    if system and code and param.endswith(":of-type"):
        return (system_code_hash(type_name, param, system, code),)
    if system and code:
        return (
            code_hash(type_name, param, code),
            system_code_hash(type_name, param, system, code),
            system_hash(type_name, param, system),
        )
    if code:
        return (code_hash(type_name, param, code), no_system_hash(type_name, param, code))
    return (system_hash(type_name, param, system),) if system else ()


# Most tokens of a record are codes that other records have too.
_kept_hashes = lru_cache(maxsize=32_768)(_token_hashes)


def reference_hashes(type_name: str, value: ReferenceValue) -> tuple[int, ...]:
    """The form under which one reference is found: by target or by its whole text."""
    if value.type and value.id:
        return (reference_hash(type_name, value.param, value.type, value.id),)
    return (reference_url_hash(type_name, value.param, value.url),) if value.url else ()


def resource_tokens(type_name: str, values: IndexValues) -> list[int]:
    """Everything the `tokens` column of a resource holds, sorted and without repetition.

    Parameters of the forms `name:identifier` get no presence token: `:missing` asks for `name`.
    """
    found: set[int] = set()
    present: set[str] = set()
    for token in values.tokens:
        found.update(token_hashes(type_name, token))
        present.add(token.param)
    for reference in values.references:
        found.update(reference_hashes(type_name, reference))
        present.add(reference.param)
    for uri in values.uris:
        found.add(uri_hash(type_name, uri.param, uri.value))
        found.update(_uri_below_hashes(type_name, uri.param, uri.value))
        present.add(uri.param)
    found.update(_present_hashes(type_name, present))
    return sorted(found)


def _present_hashes(type_name: str, params: Iterable[str]) -> Iterable[int]:
    return (present_hash(type_name, param) for param in params if ":" not in param)


def claim_key(kind: str, *parts: str) -> bytes:
    """The 16-byte key of a business fact that may be held once: a kind and what tells it apart."""
    text = "".join(f"{len(part)}:{part}" for part in (kind, *parts))
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
