"""A search request written back as parameters: for the policy, and for the journal.

The policy judges what will really be searched, not a text that somebody passes along; the journal
keeps what was asked without keeping who was asked about.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from pater.fhir.search.query import (
    And,
    CompositeTerm,
    Condition,
    DateTerm,
    MissingTerm,
    NearTerm,
    Node,
    Not,
    NumberTerm,
    Or,
    ReferenceTerm,
    SearchRequest,
    StringTerm,
    TokenTerm,
    UriTerm,
    Value,
    WordsTerm,
)
from pater.store.remembered import remembered

_DAY = timedelta(days=1)
# Parameters whose values say who somebody is, on whatever type they stand.
_IDENTIFYING = frozenset(
    {
        "identifier", "name", "family", "given", "phonetic", "birthdate", "phone", "email",
        "telecom", "address", "address-city", "address-postalcode", "address-state",
        "address-country", "death-date", "subscriber-id", "_id", "_text", "_content",
    }
)  # fmt: skip
QUERY_LENGTH = 2000


def pairs(conditions: tuple[Condition, ...]) -> list[tuple[str, str]]:
    """The conditions as (name, value) pairs, values escaped as in a query string."""
    return [(name, ",".join(values)) for name, values in _named(conditions, "")]


@remembered
def journal_query(request: SearchRequest, key: bytes) -> str:
    """The search as the journal keeps it: identifying values are replaced by a keyed hash.

    Keyed, because a birth number has so few possible values that a plain hash would tell it.
    """
    texts = [_shown(request.conditions, key)] if request.conditions else []
    if request.filter is not None:
        texts.append(f"_filter={_tree(request.filter, key)}")
    for include in request.includes:
        kind = "_revinclude" if include.reverse else "_include"
        texts.append(f"{kind}={include.source_type}:{include.param}")
    if request.contained != "false":
        texts.append(f"_contained={request.contained}")
    if request.cursor is not None:
        texts.append("(next page)")
    return "&".join(texts)[:QUERY_LENGTH]


def _shown(conditions: tuple[Condition, ...], key: bytes) -> str:
    texts = []
    for name, values in _named(conditions, ""):
        last = name.rsplit(".", 1)[-1].rsplit(":", 1)[0] if "." in name else name.split(":")[0]
        hide = (
            last in _IDENTIFYING
            or name.endswith((":identifier", ":text"))
            or name.startswith("_has:")
            or any(condition.source is not None for condition in conditions)
        )
        shown = [_hashed(v, key) if hide and v not in ("true", "false") else v for v in values]
        texts.append(f"{name}={','.join(shown)}")
    return "&".join(texts)


def _tree(node: Node, key: bytes) -> str:
    match node:
        case And(parts):
            return f"({' and '.join(_tree(part, key) for part in parts)})"
        case Or(parts):
            return f"({' or '.join(_tree(part, key) for part in parts)})"
        case Not(part):
            return f"not({_tree(part, key)})"
        case _:
            return _shown((node,), key)


def _hashed(value: str, key: bytes) -> str:
    digest = hashlib.blake2b(value.encode(), key=key[:64], digest_size=8, person=b"journal")
    return f"#{digest.hexdigest()}"


def _named(conditions: tuple[Condition, ...], before: str) -> Iterator[tuple[str, list[str]]]:
    for condition in conditions:
        if condition.kind == "chain":
            for chain in condition.chain:
                head = f"{before}{condition.param}"
                # the type is written only where it says something: patient.x is a Patient's
                if not (chain.type == "Patient" and condition.param in ("patient", "subject")):
                    head += f":{chain.type}"
                yield from _named((chain.condition,), f"{head}.")
        elif condition.kind == "has":
            for chain in condition.chain:
                head = f"{before}_has:{chain.type}:{condition.param}:"
                yield from _named((chain.condition,), head)
        else:
            name = before + condition.param
            if condition.modifier:
                name += f":{condition.modifier}"
            yield name, [_text(value, condition) for value in condition.values]


def _text(value: Value, condition: Condition) -> str:
    match value:
        case TokenTerm():
            code = _escaped(value.code or "")
            return code if value.system is None else f"{_escaped(value.system)}|{code}"
        case StringTerm():
            return _escaped(value.text)
        case ReferenceTerm():
            if value.id is None:
                return _escaped(value.url or "")
            single = len(value.types) == 1 and condition.modifier is None
            address = f"{value.types[0]}/{value.id}" if single else value.id
            return f"{address}/_history/{value.version}" if value.version else address
        case DateTerm():
            return f"{value.prefix}{_span(value.low, value.high)}"
        case NumberTerm(written=written) if written:
            return f"{value.prefix}{written}"
        case NumberTerm():
            unit = f"|{value.system or ''}|{value.code}" if value.code else ""
            return f"{value.prefix}{value.value:g}{unit}"
        case UriTerm():
            return _escaped(value.value)
        case MissingTerm():
            return "true" if value.missing else "false"
        case WordsTerm():
            return _escaped(value.text)
        case NearTerm():
            return f"{value.latitude:g}|{value.longitude:g}|{value.metres:g}|m"
        case CompositeTerm():
            return "$".join(_text(part.values[0], part) for part in value.parts)


def _span(low: datetime, high: datetime) -> str:
    length = high - low
    if length >= 27 * _DAY:
        return low.strftime("%Y") if length > 40 * _DAY else low.strftime("%Y-%m")
    if length >= _DAY - timedelta(milliseconds=1):
        return low.strftime("%Y-%m-%d")
    return low.isoformat()


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace("|", "\\|").replace("$", "\\$")
