"""One transaction for several write sets: locks, checks, and a handful of set-based statements."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

from pater.fhir.labels import CATEGORY_MASK, CONFIDENTIALITY_MASK, DOCUMENT_MASK
from pater.store.body import BodyCodec
from pater.store.database import Connection, Database, Record
from pater.store.feed import Change, encode_changes
from pater.store.journal import JournalEntry, entry_columns, insert_sql, write_entries
from pater.store.read import METHOD_LETTERS
from pater.store.write_rows import Indexed, body_of
from pater.store.write_shapes import (
    Claim,
    ClaimTaken,
    PersonMoved,
    Put,
    VersionConflict,
    WriteSet,
    Written,
)

_Key = tuple[int, str]
_CONTENT_MASK = CATEGORY_MASK | CONFIDENTIALITY_MASK

# Rows are locked in one order everywhere, so that two batches of two processes cannot deadlock.
_LOCK_ROWS = """
select r.type, r.id, r.person, r.rid, r.version, r.updated, r.deleted, r.label
from unnest($1::smallint[], $2::text[]) as k(type, id)
join resource r on r.type = k.type and r.id = k.id
order by r.type, r.id
for update of r
"""
_LOCK_NEW = "select pg_advisory_xact_lock(k) from unnest($1::bigint[]) as k"
_CLAIMS = "select key, person, target from claim where key = any($1::bytea[])"
_CLAIM = """
insert into claim (key, person, target)
select * from unnest($1::bytea[], $2::bigint[], $3::text[])
on conflict do nothing
returning key
"""
_RECLAIM = """
insert into claim (key, person, target)
select * from unnest($1::bytea[], $2::bigint[], $3::text[])
on conflict (key) do update set person = excluded.person, target = excluded.target
"""
_HAND_OVER = """
update claim c set person = n.person, target = n.target
from unnest($1::bytea[], $2::bigint[], $3::text[], $4::text[]) as n(key, person, target, instead)
where c.key = n.key and c.target = n.instead
returning c.key
"""
# What a new version supersedes goes to the history, and its index rows go: in one round trip.
_SUPERSEDE = """
with strings as (delete from string_index where rid = any($4::bigint[])),
dates as (delete from date_index where rid = any($4::bigint[])),
numbers as (delete from number_index where rid = any($4::bigint[])),
codes as (delete from code_index where rid = any($4::bigint[]))
insert into history (person, type, id, rid, version, updated, method, deleted, dict, body, label)
select r.person, r.type, r.id, r.rid, r.version, r.updated, r.method, r.deleted, r.dict, r.body,
       r.label
from unnest($1::bigint[], $2::smallint[], $3::text[]) as k(person, type, id)
join resource r on r.type = k.type and r.id = k.id and r.person = k.person
"""
_LEAVE = """
delete from resource r
using unnest($1::bigint[], $2::smallint[], $3::text[]) as k(person, type, id)
where r.type = k.type and r.id = k.id and r.person = k.person
"""
# Arrays of arrays cannot be unnested by row: the tokens of all rows come as one array, and each
# row takes its slice of it.
_ROWS = """
unnest($1::bigint[], $2::smallint[], $3::text[], $4::bigint[], $5::int[], $6::timestamptz[],
       $7::text[], $8::bool[], $9::timestamptz[], $10::timestamptz[], $11::int[], $12::bytea[],
       $13::int[], $14::int[], $16::bigint[])
  as n(person, type, id, rid, version, updated, method, deleted, date, date_end, dict, body,
       first, last, label)
"""
_UPDATE = f"""
update resource r
set version = n.version, updated = n.updated, method = n.method, deleted = n.deleted,
    date = n.date, date_end = n.date_end, tokens = ($15::bigint[])[n.first:n.last],
    dict = n.dict, body = n.body, coded = true, label = n.label
from {_ROWS}
where r.type = n.type and r.id = n.id and r.person = n.person and r.rid = n.rid
"""  # noqa: S608 constants
# All that a batch adds, in one round trip: the rows, their index, the feed, the journal.
_INSERT = f"""
with strings as (
  insert into string_index (person, rid, type, param, value)
  select * from unnest($17::bigint[], $18::bigint[], $19::smallint[], $20::int[], $21::text[])
), dates as (
  insert into date_index (person, rid, type, param, low, high)
  select * from unnest($22::bigint[], $23::bigint[], $24::smallint[], $25::int[],
                       $26::timestamptz[], $27::timestamptz[])
), numbers as (
  insert into number_index (person, rid, type, param, unit, low, high)
  select * from unnest($28::bigint[], $29::bigint[], $30::smallint[], $31::int[], $32::bigint[],
                       $33::float8[], $34::float8[])
), told as (
  insert into feed (at, changes) select $35, c from unnest($36::text[]) as c
), noted as (
  {insert_sql(41)}
), classed as (
  insert into code_index (person, rid, token, date)
  select * from unnest($37::bigint[], $38::bigint[], $39::bigint[], $40::timestamptz[])
), added as (
  insert into resource (person, type, id, rid, version, updated, method, deleted, date, date_end,
                        tokens, dict, body, coded, label)
  select n.person, n.type, n.id, n.rid, n.version, n.updated, n.method, n.deleted, n.date,
         n.date_end, ($15::bigint[])[n.first:n.last], n.dict, n.body, true, n.label
  from {_ROWS}
)
select distinct a.former from alias a where a.former = any($1::bigint[])
"""  # noqa: S608 constants
# What a long transaction has written is in no statistics yet: a plan that was made while a table
# was empty would compare every row with every other.
_BY_INDEX = "set local enable_seqscan = off; set local plan_cache_mode = force_custom_plan"

Refusal = VersionConflict | ClaimTaken
Outcome = list[Written] | Refusal


class TryAgainError(Exception):
    """Somebody took a claim between our look and our insert: the whole batch begins anew."""


@dataclass(slots=True)
class Prepared:
    """A write set with the search columns of its puts."""

    ws: WriteSet
    puts: list[Indexed]


@dataclass(slots=True)
class _Row:
    indexed: Indexed
    rid: int
    version: int
    updated: datetime
    dict: int
    compressed: bytes
    label: int


@dataclass(slots=True)
class _Plan:
    """What the good sets of a batch come to."""

    fresh: list[_Row] = field(default_factory=list)
    changed: list[_Row] = field(default_factory=list)
    superseded: list[Record] = field(default_factory=list)
    moved: list[Record] = field(default_factory=list)
    feed: list[str] = field(default_factory=list)


async def write_batch(
    db: Database,
    sets: Sequence[Prepared],
    clock: Callable[[], datetime],
    rids: Iterator[int],
    *,
    careful: bool = False,
) -> list[Outcome]:
    """Writes the sets that can be written, durably, and says what became of each, in order.

    No resource and no claim may be in two of the sets. `clock` gives the time of the batch;
    `rids` a fresh row number for each put. With `careful` not even fresh ids are believed to be
    free. An error of the database leaves nothing written and is raised.
    """
    if not any(one.ws.puts or one.ws.claims or one.ws.statements for one in sets):
        # One statement is a transaction by itself: a single round trip.
        await write_entries(db, [entry for one in sets for entry in one.ws.journal])
        return [[] for _ in sets]
    async with db.transaction() as connection:
        return await _written(db, connection, sets, clock, rids, careful)


async def write_long(
    db: Database,
    before: Callable[[Connection], AsyncGenerator[Prepared, None]],
    last: Prepared,
    clock: Callable[[], datetime],
    take_rids: Callable[[int], Awaitable[Iterator[int]]],
) -> list[Written]:
    """Writes sets one after the other in one transaction, durably, and gives what came of the last.

    Each set is written and forgotten before the next is asked for. A refusal is raised, and then
    nothing is written.
    """
    done: list[Written] = []
    async with db.transaction() as connection, aclosing(_all(before(connection), last)) as sets:
        await connection.execute(_BY_INDEX)
        async for one in sets:
            rids = await take_rids(len(one.puts))
            [outcome] = await _written(db, connection, [one], clock, rids, careful=True)
            if isinstance(outcome, Exception):
                raise outcome
            done = outcome
    return done


async def _all(
    before: AsyncGenerator[Prepared, None], last: Prepared
) -> AsyncGenerator[Prepared, None]:
    async with aclosing(before):
        async for one in before:
            yield one
    yield last


async def _written(
    db: Database,
    connection: Connection,
    sets: Sequence[Prepared],
    clock: Callable[[], datetime],
    rids: Iterator[int],
    careful: bool,
) -> list[Outcome]:
    """As `write_batch`, within the transaction of a connection."""
    # Not before the transaction has begun: who waits for all that were open at a moment (an
    # export) then has every row of an earlier time.
    now = clock()
    current = await _lock(connection, sets, careful)
    held = await _holders(connection, sets)
    refused = [_refusal(one, current, held) for one in sets]
    good = [one for one, refusal in zip(sets, refused, strict=True) if refusal is None]
    if not good:
        return [refusal or [] for refusal in refused]
    await _claim(connection, [claim for one in good for claim in one.ws.claims], held)
    plan = _Plan()
    written = iter([_plan(one, current, now, rids, db.bodies, plan) for one in good])
    entries = [entry for one in good for entry in one.ws.journal]
    led = await _write(connection, plan, now, entries)
    if led - {person for one in good for person in one.ws.back}:
        raise PersonMoved(led)
    for one in good:
        for statement in one.ws.statements:
            await connection.execute(statement.sql, *statement.args)
    return [next(written) if refusal is None else refusal for refusal in refused]


async def _lock(
    connection: Connection, sets: Sequence[Prepared], careful: bool
) -> dict[_Key, Record]:
    """Locks the current rows of all puts and gives them; what is new is locked by its name.

    The constraint of `resource` contains the shard key, so it cannot keep two creators of the same
    (type, id) apart when they create it for two persons. Each therefore takes the advisory lock of
    the name until its transaction ends, and looks again once it has it. Under Citus the locks are
    taken on the coordinator, through which all writes go. A fresh version-4 UUID needs no lock.
    """
    keys = sorted(
        (one.type_number, one.put.id)
        for prepared in sets
        for one in prepared.puts
        if careful or not surely_new(one.put)
    )
    if not keys:
        return {}
    current = await _rows(connection, keys)
    missing = [key for key in keys if key not in current]
    if missing:
        await connection.execute(_LOCK_NEW, sorted(map(name_lock, missing)))
        current |= await _rows(connection, missing)
    return current


async def _rows(connection: Connection, keys: Iterable[_Key]) -> dict[_Key, Record]:
    types, ids = zip(*keys, strict=True)
    found = await connection.fetch(_LOCK_ROWS, types, ids)
    return {(row["type"], row["id"]): row for row in found}


def surely_new(put: Put) -> bool:
    """Whether nothing can stand under the id of a put."""
    return (
        put.method == "POST"
        and not put.expected
        and (put.fresh or (len(put.id) == 36 and put.id[14] == "4"))  # the version of the UUID
    )


def name_lock(key: _Key) -> int:
    digest = blake2b(f"{key[0]}/{key[1]}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


async def _holders(
    connection: Connection, sets: Sequence[Prepared]
) -> dict[bytes, tuple[int, str]]:
    keys = [claim.key for one in sets for claim in one.ws.claims]
    if not keys:
        return {}
    rows = await connection.fetch(_CLAIMS, keys)
    return {row["key"]: (row["person"], row["target"]) for row in rows}


def _refusal(
    one: Prepared, current: dict[_Key, Record], held: dict[bytes, tuple[int, str]]
) -> Refusal | None:
    """Why a set cannot be written: the first of its puts, then of its claims, that stands wrong."""
    for indexed in one.puts:
        put = indexed.put
        row = current.get((indexed.type_number, put.id))
        exists = row is not None and not row["deleted"]
        # A deleted resource does not exist (0), and still has a version that may be expected.
        allowed = {row["version"]} if row is not None else {0}
        if not exists:
            allowed.add(0)
        if put.expected is not None and put.expected not in allowed:
            return VersionConflict(put.type, put.id, row["version"] if row and exists else None)
    for claim in one.ws.claims:
        holder = held.get(claim.key)
        if holder is None or claim.replace or holder[1] == claim.instead:
            continue
        if holder != (claim.person, claim.target):
            return ClaimTaken(claim.key, *holder)
    return None


async def _claim(
    connection: Connection, claims: Sequence[Claim], held: dict[bytes, tuple[int, str]]
) -> None:
    new = [claim for claim in claims if not claim.replace and claim.key not in held]
    replaced = [claim for claim in claims if claim.replace]
    handed = [c for c in claims if not c.replace and c.instead and c.key in held
              and held[c.key][1] == c.instead]  # fmt: skip
    if new:
        taken = await connection.fetch(_CLAIM, *_claim_columns(new))
        if len(taken) < len(new):
            raise TryAgainError
    if handed:
        instead = [claim.instead for claim in sorted(handed, key=lambda claim: claim.key)]
        given = await connection.fetch(_HAND_OVER, *_claim_columns(handed), instead)
        if len(given) < len(handed):
            raise TryAgainError
    if replaced:
        await connection.execute(_RECLAIM, *_claim_columns(replaced))


def _claim_columns(claims: Sequence[Claim]) -> list[list[Any]]:
    ordered = sorted(claims, key=lambda claim: claim.key)
    return [
        [claim.key for claim in ordered],
        [claim.person for claim in ordered],
        [claim.target for claim in ordered],
    ]


def _plan(
    one: Prepared,
    current: dict[_Key, Record],
    now: datetime,
    rids: Iterator[int],
    bodies: BodyCodec,
    plan: _Plan,
) -> list[Written]:
    """Adds one set to the plan and gives what its caller will be told."""
    written: list[Written] = []
    changes: list[Change] = []
    for indexed in one.puts:
        put = indexed.put
        row = current.get((indexed.type_number, put.id))
        deleted = row is None or row["deleted"]
        if put.resource is None and deleted:
            version = row["version"] if row is not None else 0
            updated = row["updated"] if row is not None else now
            written.append(Written(put.type, put.id, version, updated, False, b""))
            continue
        version = 1 if row is None else row["version"] + 1
        # A later version is later, whatever the clocks of two machines say.
        updated = now if row is None else max(now, row["updated"] + timedelta(milliseconds=1))
        body = b"" if put.resource is None else body_of(put, version, updated)
        dictionary, compressed = bodies.compress(indexed.type_number, body) if body else (0, b"")
        rid = next(rids) if row is None else row["rid"]
        new = _Row(indexed, rid, version, updated, dictionary, compressed, _label(indexed, row))
        if row is not None:
            plan.superseded.append(row)
        if row is not None and row["person"] == put.person:
            plan.changed.append(new)
        else:
            plan.fresh.append(new)
            if row is not None:
                plan.moved.append(row)
        written.append(Written(put.type, put.id, version, updated, deleted, body))
        changes.append(Change(put.type, put.id, version, put.method, put.person))
    if changes or one.ws.claims or one.ws.statements:
        plan.feed.append(encode_changes(changes))
    return written


def _label(indexed: Indexed, row: Record | None) -> int:
    """Who wrote a resource, and in which document, stays so until another document brings it."""
    if row is None or (row["deleted"] and indexed.put.resource is not None):
        return indexed.label
    stands: int = row["label"]
    if indexed.put.resource is None:
        return stands
    if indexed.label & DOCUMENT_MASK:
        return indexed.label
    return (indexed.label & _CONTENT_MASK) | (stands & ~_CONTENT_MASK)


async def _write(
    connection: Connection, plan: _Plan, now: datetime, entries: Sequence[JournalEntry]
) -> set[int]:
    """Writes the rows; gives those persons of new ones who lead to somebody else by now."""
    if plan.superseded:
        old = [row["rid"] for row in plan.superseded]
        await connection.execute(_SUPERSEDE, *_identity(plan.superseded), old)
    if plan.moved:
        # The shard key of a row cannot be updated under Citus: it leaves and comes back.
        await connection.execute(_LEAVE, *_identity(plan.moved))
    if plan.changed:
        await connection.execute(_UPDATE, *_columns(plan.changed))
    strings: list[tuple[Any, ...]] = []
    dates: list[tuple[Any, ...]] = []
    numbers: list[tuple[Any, ...]] = []
    classed: list[tuple[Any, ...]] = []
    for row in plan.fresh + plan.changed:
        indexed = row.indexed
        head = (indexed.put.person, row.rid, indexed.type_number)
        strings += [(*head, *value) for value in indexed.strings]
        dates += [(*head, *value) for value in indexed.dates]
        numbers += [(*head, *value) for value in indexed.numbers]
        for code in indexed.codes:
            classed.append((indexed.put.person, row.rid, code, indexed.date))
    led = await connection.fetch(
        _INSERT,
        *_columns(plan.fresh),
        *_turned(strings, 5),
        *_turned(dates, 6),
        *_turned(numbers, 7),
        now,
        plan.feed,
        *_turned(classed, 4),
        *entry_columns(entries),
    )
    return {row["former"] for row in led}


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> Iterable[Sequence[Any]]:
    """The columns of rows that are `width` wide."""
    return zip(*rows, strict=True) if rows else [()] * width


def _identity(rows: Sequence[Record]) -> list[list[Any]]:
    return [
        [row["person"] for row in rows],
        [row["type"] for row in rows],
        [row["id"] for row in rows],
    ]


def _columns(rows: Sequence[_Row]) -> list[list[Any]]:
    tokens: list[int] = []
    first: list[int] = []
    last: list[int] = []
    for row in rows:
        first.append(len(tokens) + 1)
        tokens += row.indexed.tokens
        last.append(len(tokens))
    puts = [row.indexed.put for row in rows]
    return [
        [put.person for put in puts],
        [row.indexed.type_number for row in rows],
        [put.id for put in puts],
        [row.rid for row in rows],
        [row.version for row in rows],
        [row.updated for row in rows],
        [METHOD_LETTERS[put.method] for put in puts],
        [put.resource is None for put in puts],
        [row.indexed.date for row in rows],
        [row.indexed.date_end for row in rows],
        [row.dict for row in rows],
        [row.compressed for row in rows],
        first,
        last,
        tokens,
        [row.label for row in rows],
    ]
