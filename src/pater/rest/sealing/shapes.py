"""What is sent to the seal service, read strictly into plain values."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pater.rest.errors import HttpError
from pater.trust.seal.model import Content, Format, Level, Order, Packaging

MOST_ITEMS: Final = 100
"""Things asked for by one request."""
HASHES: Final = {"sha256": 32, "sha384": 48, "sha512": 64}
_LONGEST_NAME: Final = 500
_MOST_CONTENTS: Final = 100
_MOST_OPTIONS: Final = 10


@dataclass(frozen=True, slots=True)
class Item:
    """One thing asked for: an order to create, a seal to validate or to extend, a hash to stamp."""

    order: Order | None = None
    seal: bytes = b""
    level: Level = Level.B
    content: tuple[Content, ...] = ()
    stamp: tuple[str, bytes] = ("", b"")


def items_of(act: str, body: Any) -> tuple[list[Item], bool]:
    """The things asked for, and whether they came as a batch (`items`). Raises HttpError 400."""
    if not isinstance(body, dict):
        raise _bad("", "a JSON object is expected")
    if "items" not in body:
        return [_item(act, body, "")], False
    items = body["items"]
    if len(body) > 1 or not isinstance(items, list) or not 0 < len(items) <= MOST_ITEMS:
        raise _bad("items", f"a batch is a list of 1 to {MOST_ITEMS} items and nothing else")
    return [_item(act, one, f"items[{place}].") for place, one in enumerate(items)], True


def with_files(item: Item, contents: Sequence[Content], seal: bytes) -> Item:
    """An item whose content or seal came as files beside it."""
    content = (*item.content, *contents)
    order = replace(item.order, content=content) if item.order else None
    return replace(item, order=order, content=content, seal=seal or item.seal)


def _item(act: str, body: Any, at: str) -> Item:
    if not isinstance(body, dict):
        raise _bad(at.rstrip("."), "a JSON object is expected")
    known = {
        "create": {"format", "level", "packaging", "content", "inner", "options"},
        "validate": {"seal", "content"},
        "extend": {"seal", "level", "content"},
        "stamp": {"data", *HASHES},
    }[act]
    for name in body:
        if name not in known:
            raise _bad(at + str(name), f"there are {', '.join(sorted(known))}")
    content = _contents(body.get("content", []), at)
    if act == "stamp":
        return Item(stamp=_hash(body, at))
    if act == "create":
        return Item(order=_order(body, content, at), content=content)
    level = _choice(Level, body.get("level"), at + "level") if act == "extend" else Level.B
    seal = _bytes(body["seal"], at + "seal") if "seal" in body else b""
    return Item(seal=seal, level=level, content=content)


def _order(body: Mapping[str, Any], content: tuple[Content, ...], at: str) -> Order:
    kind = _choice(Format, body.get("format"), at + "format")
    packaging = Packaging.ENVELOPED if kind is Format.PADES else Packaging.ATTACHED
    if "packaging" in body:
        packaging = _choice(Packaging, body["packaging"], at + "packaging")
    options = body.get("options", {})
    if (
        not isinstance(options, dict)
        or len(options) > _MOST_OPTIONS
        or not all(isinstance(one, str) for one in options.values())
    ):
        raise _bad(at + "options", "options are texts by name")
    return Order(
        kind,
        _choice(Level, body.get("level", "B"), at + "level"),
        packaging,
        content,
        _choice(Format, body.get("inner", "CAdES"), at + "inner"),
        tuple(sorted(options.items())),
    )


def _choice(kind: Any, value: Any, at: str) -> Any:
    """A member of an enumeration by its value, levels by their names."""
    found = next((one for one in kind if value == (one.name if kind is Level else one.value)), None)
    if found is None:
        names = ", ".join(one.name if kind is Level else one.value for one in kind)
        raise _bad(at, f"this is one of {names}")
    return found


def _contents(value: Any, at: str) -> tuple[Content, ...]:
    if not isinstance(value, list) or len(value) > _MOST_CONTENTS:
        raise _bad(at + "content", f"content is a list of at most {_MOST_CONTENTS}")
    return tuple(_content(one, f"{at}content[{place}].") for place, one in enumerate(value))


def _content(value: Any, at: str) -> Content:
    known = {"name", "mime", "data", *HASHES}
    if not isinstance(value, dict) or not value.keys() <= known:
        raise _bad(at.rstrip("."), f"a content has {', '.join(sorted(known))}")
    name, mime = value.get("name", ""), value.get("mime", "application/octet-stream")
    if not all(isinstance(one, str) and len(one) <= _LONGEST_NAME for one in (name, mime)):
        raise _bad(at.rstrip("."), f"name and mime are texts of at most {_LONGEST_NAME} characters")
    if "data" in value:
        if HASHES.keys() & value.keys():
            raise _bad(at.rstrip("."), "a content is given by its data or by its hashes")
        return Content(_bytes(value["data"], at + "data"), name, mime)
    digests = tuple((kind, _digest(value[kind], kind, at)) for kind in HASHES if kind in value)
    if not digests:
        raise _bad(at.rstrip("."), "a content is given by its data or by its hashes")
    return Content(None, name, mime, digests)


def _hash(body: Mapping[str, Any], at: str) -> tuple[str, bytes]:
    given = [name for name in HASHES if name in body]
    if len(given) + ("data" in body) != 1:
        raise _bad(at.rstrip("."), "a time stamp is over data, or over one hash")
    if "data" in body:
        return "", _bytes(body["data"], at + "data")
    return given[0], _digest(body[given[0]], given[0], at)


def _digest(value: Any, name: str, at: str) -> bytes:
    found = _bytes(value, at + name)
    if len(found) != HASHES[name]:
        raise _bad(at + name, f"a {name} hash has {HASHES[name]} bytes")
    return found


def _bytes(value: Any, at: str) -> bytes:
    try:
        return base64.b64decode(value, validate=True)
    except (binascii.Error, TypeError, ValueError) as error:
        raise _bad(at, "this is base64") from error


def _bad(at: str, text: str) -> HttpError:
    return HttpError(400, "structure", f"{at}: {text}" if at else text)
