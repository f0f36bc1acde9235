"""The log as a file: NDJSON that can be verified anywhere, without the database.

The first line is `{"journal-log": 1, "columns": […], "keys": …, "authorities": …}`. Then, for each
head, one line an entry, `{"leaf": [hash, seq, time, salt], "entry": […]}`, and the head itself,
`{"head": {"statement": …, "signature": …, "stamp": …}}`. Months that are archived come first,
`{"archive": {"statement": …, "signature": …}}`; of their entries there are leaves alone. The hash
of a leaf is SHA-256 of a zero byte and the compact JSON array of the salt and the columns of the
entry (RFC 9162, 2.1.1).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import Any, Final

import orjson

from pater.access.transparency.archive_file import SignedArchive, archive_from_json
from pater.access.transparency.entries import COLUMNS, Entry
from pater.access.transparency.heads import HeadError, SignedHead, from_json
from pater.access.transparency.reading import Away, Base, Event, Item, Leaf

VERSION: Final = 1
LONGEST_LINE: Final = 4 * 1024 * 1024
_BATCH: Final = 1000


class ExportError(Exception):
    """A file that is no export, or a damaged one; the text says where."""


def header(jwks: Mapping[str, Any], authorities: str) -> bytes:
    """The first line. The keys in it are for convenience: whoever forges a log forges them too."""
    first = {"journal-log": VERSION, "columns": COLUMNS, "keys": jwks, "authorities": authorities}
    return orjson.dumps(first) + b"\n"


async def lines(events: AsyncIterator[Event]) -> AsyncIterator[bytes]:
    """The lines behind the first, several at once."""
    async for event in events:
        if isinstance(event, Base):
            edge = [hash.hex() for hash in event.edge]
            yield orjson.dumps({"base": event.head.as_json(), "edge": edge}) + b"\n"
        elif isinstance(event, Away):
            said = SignedArchive(event.statement, event.signature).as_json()
            yield orjson.dumps({"archive": said}) + b"\n"
        elif isinstance(event, SignedHead):
            yield orjson.dumps({"head": event.as_json()}) + b"\n"
        else:
            yield b"".join(map(_line, event))


def _line(item: Item) -> bytes:
    line: dict[str, Any] = {}
    if item.leaf is not None:
        leaf = item.leaf
        line["leaf"] = [leaf.hash.hex(), leaf.seq, leaf.time, leaf.salt.hex()]
    if item.entry is not None:
        line["entry"] = item.entry.values
    return orjson.dumps(line, option=orjson.OPT_UTC_Z) + b"\n"


def read_header(line: bytes) -> tuple[Mapping[str, Any], str]:
    """Keys and authorities of a file, from its first line. Raises ExportError."""
    first = _parsed(line, 1)
    if first.get("journal-log") != VERSION or first.get("columns") != list(COLUMNS):
        raise ExportError("This file is no export of the log that this program can read.")
    return first.get("keys") or {}, str(first.get("authorities", ""))


async def read(source: Iterable[bytes]) -> AsyncIterator[Event]:
    """The events of a file, from its lines behind the first. Raises ExportError."""
    waiting: list[Item] = []
    for number, line in enumerate(source, start=2):
        value = _parsed(line, number)
        try:
            event = _event(value)
        except (ValueError, TypeError, KeyError, IndexError, HeadError) as error:
            raise ExportError(f"Line {number} of the file cannot be read.") from error
        if isinstance(event, Item):
            waiting.append(event)
            if len(waiting) < _BATCH:
                continue
        if waiting:
            yield waiting
            waiting = []
        if not isinstance(event, Item):
            yield event
    if waiting:
        yield waiting


def _parsed(line: bytes, number: int) -> dict[str, Any]:
    try:
        value = orjson.loads(line)
    except ValueError as error:
        raise ExportError(f"Line {number} of the file is not JSON.") from error
    if not isinstance(value, dict):
        raise ExportError(f"Line {number} of the file cannot be read.")
    return value


def _event(value: dict[str, Any]) -> Base | Away | SignedHead | Item:
    if "head" in value:
        return from_json(value["head"])
    if "archive" in value:
        archive = archive_from_json(value["archive"])
        return Away(archive.statement, archive.signature)
    if "base" in value:
        return Base(from_json(value["base"]), [bytes.fromhex(one) for one in value["edge"]])
    leaf = None
    if "leaf" in value:
        hash, seq, time, salt = value["leaf"]
        leaf = Leaf(int(seq), int(time), bytes.fromhex(hash), bytes.fromhex(salt))
    entry = _entry(value["entry"]) if "entry" in value else None
    return Item(leaf, entry)


def _entry(values: Sequence[Any]) -> Entry:
    if len(values) != len(COLUMNS) or not isinstance(values[0], int):
        raise ValueError("not the columns of an entry")
    return Entry(tuple(values))
