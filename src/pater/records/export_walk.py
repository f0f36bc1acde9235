"""The work of an export: one moment of the database, batch by batch, into files of lines.

A checkpoint says how far the walk has come and how long each file was then; whoever goes on cuts
the files there. So every version stands in them once, whatever was killed in between.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice
from typing import Any, BinaryIO, Final

from pater.access.caller import Caller
from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.fhir.json import dumps, parse
from pater.fhir.labels import Veil
from pater.records.exporting import ExportPlan, told_everybody
from pater.records.ports import Ports
from pater.records.scope_filter import Filter, filter_of
from pater.store.body import BodyCodec
from pater.store.database import Database, Record
from pater.store.files import Files, settle
from pater.store.jobs import Job
from pater.store.read import Stored
from pater.store.veils import Veils
from pater.store.walk import Walk, by_persons, by_rows, large, last_row, settled

Shape = Callable[[str, bytes], "bytes | None"]
"""(type, body) -> the line to write; None = this one was not asked for."""

_ROWS: Final = 8_000
_BYTES: Final = 16 * 1024 * 1024
_NARROWEST, _WIDEST = 64, 100_000
_PERSONS: Final = 20
_LARGE: Final = 4
_FILE_BYTES: Final = 512 * 1024 * 1024
_SECONDS: Final = 1.0  # between checkpoints
_DELETED: Final = "deleted"


@dataclass(slots=True)
class _File:
    """One file of the export: of what type, how long, how many lines."""

    name: str
    type: str
    size: int = 0
    count: int = 0


@dataclass(slots=True)
class _Output:
    """The files of an export; the last one of a type is the one written to."""

    files: Files
    folder: str
    open: ExitStack
    last: dict[str, _File] = field(default_factory=dict)
    full: list[_File] = field(default_factory=list)
    handles: dict[str, BinaryIO] = field(default_factory=dict)
    done: int = 0

    def state(self) -> list[list[Any]]:
        """All files, for a checkpoint."""
        return [[f.name, f.type, f.size, f.count] for f in (*self.full, *self.last.values())]

    def restore(self, state: Sequence[Sequence[Any]]) -> None:
        """Goes on behind a checkpoint. Raises FileNotFoundError when a file is not there."""
        for name, type_, size, count in state:
            file = _File(name, type_, size, count)
            if (self.files.size(self.folder, name) or 0) < size:
                raise FileNotFoundError(name)
            before = self.last.get(type_)
            if before is not None:
                self.full.append(before)
            self.last[type_] = file
            self.done += count if type_ != _DELETED else 0

    def write(self, type: str, lines: Sequence[Any]) -> None:
        """Adds lines (without their ends) to the file of a type."""
        file = self.last.get(type)
        if file is None or file.size > _FILE_BYTES:
            number = 1
            if file is not None:
                number += int(file.name.split(".")[1])
                self.full.append(file)
                handle = self.handles.pop(type, None)
                if handle is not None:
                    settle(handle)
                    handle.close()
            file = self.last[type] = _File(f"{type}.{number}.ndjson", type)
        handle = self.handles.get(type)
        if handle is None:
            handle = self.files.append(self.folder, file.name, file.size)
            self.handles[type] = self.open.enter_context(handle)
        data = b"\n".join(lines) + b"\n"
        handle.write(data)
        file.size += len(data)
        file.count += len(lines)
        self.done += len(lines) if type != _DELETED else 0

    def flush(self) -> None:
        """Hands everything to the operating system."""
        for handle in self.handles.values():
            handle.flush()

    def finish(self) -> None:
        """Has everything survive a power cut."""
        for handle in self.handles.values():
            settle(handle)


@dataclass(frozen=True, slots=True)
class ExportTask:
    """What is exported: `plan` at `moment`, written after `since` (with the deletions, then).

    `shape` makes the lines, None = bodies as stored.
    """

    plan: ExportPlan
    moment: datetime
    since: datetime | None
    shape: Shape | None = None


async def run(
    ports: Ports, files: Files, job: Job, caller: Caller, task: ExportTask
) -> Mapping[str, Any]:
    """Walks and writes what the caller's scopes, and the persons' will at this moment, leave of
    the plan.

    Gives {"files": [[name, type, size, count], …]}. Raises LeaseLost.
    """
    db = ports.db
    narrow = filter_of(caller, "search", "read")
    seen = await _seen(ports, caller, task.plan)
    with ExitStack() as stack:
        output = _Output(files, job.id, stack)
        place: dict[str, Any] = {}
        if job.state:
            try:
                output.restore(job.state["files"])
                place = job.state["place"]
            except FileNotFoundError:  # after a power cut: what was not settled is gone
                output = _Output(files, job.id, stack)
        if not place:
            await settled(db, (ports.clock() - task.moment).total_seconds())
        codec = BodyCodec()
        last = asyncio.get_running_loop().time()
        async for rows, reached, share in _batches(db, task, seen.veils, place):
            place = reached
            rows = seen.of(rows)
            await codec.ensure(db, {row["dict"] for row in rows})
            few = [row for row in rows if row["body"] is None]
            some = [row for row in rows if row["body"] is not None] if few else rows
            await _looked_at(ports, codec, some)
            await asyncio.to_thread(_write, output, codec, narrow, task.shape, some)
            for first in range(0, len(few), _LARGE):
                more = await large(db, few[first : first + _LARGE])
                await _looked_at(ports, codec, more)
                await asyncio.to_thread(_write, output, codec, narrow, task.shape, more)
            now = asyncio.get_running_loop().time()
            if now - last >= _SECONDS:
                last = now
                output.flush()
                state = {"place": place, "files": output.state()}
                note = f"{output.done} resources, {share:.0%}"
                await job.checkpoint(state, done=output.done, note=note)
        await asyncio.to_thread(output.finish)
        await told_everybody(ports, caller, task.plan)
        job.done, job.note = output.done, ""
        found = [each for each in output.state() if each[3]]
        return {"files": sorted(found, key=lambda each: (each[1], int(each[0].split(".")[1])))}


@dataclass(frozen=True, slots=True)
class _Seen:
    """What the caller may see of each person of a plan: types by number; None = whatever is there.

    `veils` = what the persons hold back of them.
    """

    types: Mapping[int, frozenset[int]] | None = None
    veils: Veils = ()

    def of(self, rows: list[Record]) -> list[Record]:
        """The rows of these types."""
        if self.types is None:
            return rows
        nothing: frozenset[int] = frozenset()
        return [row for row in rows if row["type"] in self.types.get(row["person"], nothing)]


async def _seen(ports: Ports, caller: Caller, plan: ExportPlan) -> _Seen:
    if plan.persons is None or not ports.policy.asks(caller):
        return _Seen()
    sight = await ports.sight(caller, plan.persons)
    types: dict[int, frozenset[int]] = {}
    veils: list[tuple[int, Veil]] = []
    for person in plan.persons:
        allowed, veil = sight.alike(person, frozenset(plan.types), "search", "read")
        types[person] = frozenset(TYPE_NUMBER[each] for each in allowed)
        if veil is not None:
            veils.append((person, veil))
    return _Seen(types, tuple(veils))


async def _batches(
    db: Database, task: ExportTask, veils: Veils, place: Mapping[str, Any]
) -> AsyncIterator[tuple[list[Record], dict[str, Any], float]]:
    """Batches of rows, the place behind each and the share of the walk that is done.

    The next batch is on its way while one is being written.
    """
    steps = _by_persons(db, task, veils, place) if task.plan.persons is not None else _by_rows(
        db, task, place
    )  # fmt: skip
    ahead = asyncio.ensure_future(anext(steps, None))
    try:
        while (found := await ahead) is not None:
            ahead = asyncio.ensure_future(anext(steps, None))
            yield found
    finally:
        ahead.cancel()


def _walk(task: ExportTask, veils: Veils = ()) -> Walk:
    return Walk(
        task.moment,
        task.since,
        [TYPE_NUMBER[each] for each in task.plan.types],
        [TYPE_NUMBER[each] for each in task.plan.shared],
        personal=task.plan.personal,
        deletions=task.since is not None,
        veils=veils,
    )


async def _by_rows(
    db: Database, task: ExportTask, place: Mapping[str, Any]
) -> AsyncIterator[tuple[list[Record], dict[str, Any], float]]:
    walk = _walk(task)
    after, end = place.get("row", 0), place.get("end", 0) or await last_row(db)
    width = _ROWS
    while after < end:
        upto = min(after + width, end)
        rows = await by_rows(db, walk, after, upto)
        after = upto
        # as wide as gives about the same number of rows, or of bytes, each time
        size = sum(len(row["body"] or b"") for row in rows)
        load = max(len(rows) / _ROWS, size / _BYTES, 0.25)
        width = max(_NARROWEST, min(int(width / load), _WIDEST))
        yield rows, {"row": after, "end": end}, after / end


async def _by_persons(
    db: Database, task: ExportTask, veils: Veils, place: Mapping[str, Any]
) -> AsyncIterator[tuple[list[Record], dict[str, Any], float]]:
    walk = _walk(task, veils)
    persons = task.plan.persons or ()
    first, after = place.get("person", 0), place.get("row", 0)
    while chunk := list(islice(persons, first, first + _PERSONS)):
        rows = await by_persons(db, walk, chunk, after, _ROWS)
        if len(rows) == _ROWS:
            after = rows[-1]["rid"]
        else:
            first, after = first + len(chunk), 0
        yield rows, {"person": first, "row": after}, first / len(persons)


async def _looked_at(ports: Ports, codec: BodyCodec, rows: Sequence[Record]) -> None:
    """Shows what is guarded to its guard, as every other way of reading does. Raises Damaged."""
    for number, guard in ports.db.bodies.guards.items():
        found = [row for row in rows if row["type"] == number and not row["deleted"]]
        if found:
            await guard([_as_stored(row, codec, ports.clock()) for row in found])


def _as_stored(row: Record, codec: BodyCodec, at: datetime) -> Stored:
    return Stored(
        RESOURCE_TYPES[row["type"]],
        row["id"],
        row["version"],
        at,
        row["person"],
        False,
        codec.decompress(row["dict"], row["body"]),
        "POST",
    )


def _write(
    output: _Output,
    codec: BodyCodec,
    narrow: Filter | None,
    shape: Shape | None,
    rows: Sequence[Record],
) -> None:
    """In a thread of its own: bodies unpacked together, their lines added to the files."""
    packed: dict[tuple[int, int], list[bytes]] = defaultdict(list)
    gone = []
    for row in rows:
        if row["deleted"]:
            gone.append(_deletion(RESOURCE_TYPES[row["type"]], row["id"]))
        elif row["type"] in _AS_RECEIVED:
            [body] = codec.decompress_many(row["dict"], [row["body"]])
            named = _named(bytes(body), row["id"])
            _lines(output, narrow, shape, RESOURCE_TYPES[row["type"]], [named])
        else:
            packed[row["type"], row["dict"]].append(row["body"])
    for (number, dictionary), bodies in packed.items():
        found = codec.decompress_many(dictionary, bodies)
        _lines(output, narrow, shape, RESOURCE_TYPES[number], found)
    if gone and narrow is None:  # what was deleted is not known to be within the scopes
        output.write(_DELETED, gone)


# Documents are stored as they came: over several lines, without the id they have here.
_AS_RECEIVED: Final = frozenset({TYPE_NUMBER["Bundle"], TYPE_NUMBER["Binary"]})


def _named(body: bytes, id: str) -> bytes:
    resource = parse(body)
    if resource.get("id") == id and b"\n" not in body:
        return body
    head = {"resourceType": resource.get("resourceType"), "id": id}
    return dumps({**head, **{k: v for k, v in resource.items() if k not in head}})


def _lines(
    output: _Output, narrow: Filter | None, shape: Shape | None, type: str, bodies: Sequence[Any]
) -> None:
    touched = narrow is not None and narrow.touches(type)
    if not touched and shape is None:
        output.write(type, bodies)
        return
    lines = []
    for buffer in bodies:
        body = bytes(buffer)
        if touched and narrow is not None and not narrow.shows(type, body):
            continue
        line = body if shape is None else shape(type, body)
        if line is not None:
            lines.append(line)
    if lines:
        output.write(type, lines)


def _deletion(type: str, id: str) -> bytes:
    """A deletion as Bulk Data 2.0 lists it: a transaction Bundle with a DELETE."""
    request = {"method": "DELETE", "url": f"{type}/{id}"}
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [{"request": request}]}
    return dumps(bundle)
