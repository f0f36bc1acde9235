"""The plain tables of subscriptions: the one file of this room that speaks SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import orjson

from pater.fhir.definitions import RESOURCE_TYPES, TYPE_NUMBER
from pater.rest.subscriptions.rights import Owner
from pater.store.database import Connection, Database, Record
from pater.store.feed import FeedEvent, advance
from pater.store.write import Statement

LISTENER: Final = "subscriptions"
LIVE: Final = ("requested", "active")
_ONE_FOLLOWER: Final = 0x7061746572737562  # the lock of whoever turns the feed into events


@dataclass(frozen=True, slots=True)
class Kept:
    """A row of `subscription`; `asked` is the resource as it is shown, `headers` are sealed."""

    id: str
    state: str
    owner: Owner
    asked: dict[str, Any]
    topic: str
    channel: str
    headers: bytes | None
    ends: datetime | None
    heartbeat: int
    events: int
    delivered: int
    failures: int
    error: str
    sent: datetime | None
    lease: int


@dataclass(frozen=True, slots=True)
class Event:
    """One numbered event of a subscription."""

    number: int
    at: datetime
    type: str
    id: str
    version: int
    method: str

    @property
    def key(self) -> tuple[str, str, int]:
        """Where its resource is."""
        return self.type, self.id, self.version


_COLUMNS: Final = (
    "id, state, owner_kind, owner, purpose, strength, scopes, asked, topic, channel, headers,"
    " ends, heartbeat, events, delivered, failures, error, sent, lease"
)


def _kept(row: Record) -> Kept:
    return Kept(
        id=row["id"],
        state=row["state"],
        owner=Owner(
            row["owner_kind"], row["owner"], row["purpose"], row["strength"], tuple(row["scopes"])
        ),
        asked=orjson.loads(row["asked"]),
        topic=row["topic"],
        channel=row["channel"],
        headers=row["headers"],
        ends=row["ends"],
        heartbeat=row["heartbeat"],
        events=row["events"],
        delivered=row["delivered"],
        failures=row["failures"],
        error=row["error"],
        sent=row["sent"],
        lease=row["lease"],
    )


# --- written together with the resource ---------------------------------------------------------

# Whoever asks again begins anew: failures forgotten, but numbers go on.
_SAVE: Final = """
insert into subscription as s (id, state, revision, owner_kind, owner, purpose, strength, scopes,
    asked, topic, channel, headers, ends, heartbeat, due)
values ($1, $2, nextval('subscription_revision'), $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13,
    case when $2 = 'requested' then now() end)
on conflict (id) do update
set state = excluded.state, revision = excluded.revision, owner_kind = excluded.owner_kind,
    owner = excluded.owner, purpose = excluded.purpose, strength = excluded.strength,
    scopes = excluded.scopes, asked = excluded.asked, topic = excluded.topic,
    channel = excluded.channel, headers = excluded.headers, ends = excluded.ends,
    heartbeat = excluded.heartbeat,
    started = case when s.state in ('requested', 'active') then s.started else excluded.started end,
    failures = 0, error = '', lease = s.lease + 1, leased = null,
    due = case when excluded.state in ('requested', 'active') then now() end
"""


def save(
    id: str,
    state: str,
    owner: Owner,
    asked: Mapping[str, Any],
    topic: str,
    channel: str,
    headers: bytes | None,
    ends: datetime | None,
    heartbeat: int,
) -> Statement:
    """The row of a subscription that is being written."""
    text = orjson.dumps(asked, default=str).decode()
    return Statement(
        _SAVE,
        (id, state, owner.kind, owner.id, owner.purpose, owner.strength, list(owner.scopes), text,
         topic, channel, headers, ends, heartbeat),
    )  # fmt: skip


def forget(id: str) -> tuple[Statement, ...]:
    """Removes a subscription that is being deleted, with its events."""
    return (
        Statement("delete from subscription where id = $1", (id,)),
        Statement("delete from subscription_event where subscription = $1", (id,)),
    )


def turned(kept: Kept, state: str, error: str) -> tuple[Statement, ...]:
    """The row of a subscription whose state we change ourselves.

    When it was written meanwhile (the lease is another) the first statement fails on purpose, and
    nothing of the change happens.
    """
    still = Statement(
        "select 1 / count(*) from subscription where id = $1 and lease = $2", (kept.id, kept.lease)
    )
    return still, Statement(
        "update subscription set state = $2, error = $3, failures = 0, leased = null,"
        " revision = nextval('subscription_revision'),"
        " due = case when $2 = 'active' then now() end where id = $1",
        (kept.id, state, error),
    )


def save_topic(url: str, id: str, definition: str) -> tuple[Statement, ...]:
    """The row of a topic that is being written; who follows it is read again."""
    return (
        Statement("delete from subscription_topic where id = $1 and url <> $2", (id, url)),
        Statement(
            "insert into subscription_topic (url, id, definition) values ($1, $2, $3)"
            " on conflict (url) do update set definition = excluded.definition"
            " where subscription_topic.id = excluded.id",
            (url, id, definition),
        ),
        Statement(
            "update subscription set revision = nextval('subscription_revision') where topic = $1",
            (url,),
        ),
    )


def forget_topic(id: str) -> tuple[Statement, ...]:
    """Removes a topic; who follows it hears no more."""
    return (
        Statement(
            "update subscription s set revision = nextval('subscription_revision')"
            " from subscription_topic t where t.id = $1 and s.topic = t.url",
            (id,),
        ),
        Statement("delete from subscription_topic where id = $1", (id,)),
    )


async def find(db: Database, ids: Collection[str]) -> list[Kept]:
    """Subscriptions by id, in the order of ids."""
    sql = f"select {_COLUMNS} from subscription where id = any($1) order by id"  # noqa: S608
    return [_kept(row) for row in await db.fetch(sql, list(ids))]


async def owned(db: Database, owner: Owner | None, count: int) -> list[Kept]:
    """Those of an owner, or of everybody, at most `count`."""
    if owner is None:
        sql = f"select {_COLUMNS} from subscription order by id limit $1"  # noqa: S608
        return [_kept(row) for row in await db.fetch(sql, count)]
    sql = (
        f"select {_COLUMNS} from subscription where owner = $1 and owner_kind = $2"  # noqa: S608
        " order by id limit $3"
    )
    return [_kept(row) for row in await db.fetch(sql, owner.id, owner.kind, count)]


async def count_of(db: Database, owner: Owner, most: int) -> int:
    """How many living subscriptions an owner has, counted up to `most`."""
    found: int = await db.fetchval(
        "select count(*) from (select 1 from subscription where owner = $1 and owner_kind = $2"
        " and state in ('requested', 'active') limit $3) few",
        owner.id,
        owner.kind,
        most,
    )
    return found


async def topic_definition(db: Database, url: str) -> str | None:
    """The Basic resource of an operator's topic, by its canonical address."""
    found: str | None = await db.fetchval(
        "select definition from subscription_topic where url = $1", url
    )
    return found


async def topic_holder(db: Database, url: str) -> str:
    """The id of the Basic that holds a topic's address, "" when none does."""
    found: str | None = await db.fetchval("select id from subscription_topic where url = $1", url)
    return found or ""


# --- the follower: from the feed to events ------------------------------------------------------


async def follow_alone(connection: Connection) -> bool:
    """Whether this transaction is the one that follows the feed now."""
    return bool(await connection.fetchval("select pg_try_advisory_xact_lock($1)", _ONE_FOLLOWER))


async def revisions(connection: Connection) -> dict[str, int]:
    """The living subscriptions with the number of their last change."""
    rows = await connection.fetch(
        "select id, revision from subscription where state in ('requested', 'active')"
    )
    return {row["id"]: row["revision"] for row in rows}


async def cursor_of(connection: Connection) -> tuple[int, int]:
    """How far the feed is followed, as (xid, seq)."""
    row = await connection.fetchrow(
        "select xid::text as xid, seq from feed_cursor where listener = $1", LISTENER
    )
    return (int(row["xid"]), row["seq"]) if row else (0, 0)


_END: Final = """
select f.xid::text as xid, f.seq, f.at from feed f
where f.xid < pg_snapshot_xmin(pg_current_snapshot()) order by f.xid desc, f.seq desc limit 1
"""


async def skip(db: Database) -> None:
    """Puts the cursor to the end of the feed while nobody subscribes.

    One snapshot: whoever subscribes after it has a later transaction than all that is skipped.
    """
    async with db.transaction() as connection:
        await connection.execute("set transaction isolation level repeatable read")
        if await connection.fetchval(
            "select exists(select 1 from subscription where state in ('requested', 'active'))"
        ):
            return
        row = await connection.fetchrow(_END)
        if row is not None and (int(row["xid"]), row["seq"]) > await cursor_of(connection):
            end = FeedEvent(row["seq"], int(row["xid"]), row["at"], [])
            await advance(connection, LISTENER, end)


async def started(connection: Connection, ids: Collection[str]) -> dict[str, int]:
    """The transaction since which each subscription has events; locks the rows, in order."""
    rows = await connection.fetch(
        "select id, started::text as started from subscription"
        " where id = any($1) and state in ('requested', 'active') order by id for update",
        list(ids),
    )
    return {row["id"]: int(row["started"]) for row in rows}


_NUMBER: Final = """
with counted as (
    select k.id, k.position, row_number() over (partition by k.id order by k.position) as nth
    from unnest($1::text[]) with ordinality as k(id, position)
), told as (
    insert into subscription_event (subscription, number, at, type, id, version, method)
    select c.id, s.events + c.nth, e.at, e.type, e.resource, e.version, e.method
    from counted c
    join subscription s on s.id = c.id
    join unnest($2::timestamptz[], $3::smallint[], $4::text[], $5::int[], $6::text[])
        with ordinality as e(at, type, resource, version, method, position)
        on e.position = c.position
    returning 1
)
update subscription s
set events = s.events + n.count,
    due = case when s.failures > 0 or s.channel = 'websocket' then s.due
               else least(s.due, now()) end
from (select id, count(*) as count from counted group by id) n
where s.id = n.id
"""


async def tell(
    connection: Connection, found: Sequence[tuple[str, datetime, str, str, int, str]]
) -> None:
    """Numbers events: (subscription, at, type, id, version, method), in the order of the feed.

    The rows of the subscriptions are locked by `started` in the same transaction.
    """
    if found:
        subscriptions, ats, types, ids, versions, methods = zip(*found, strict=True)
        await connection.execute(
            _NUMBER, subscriptions, ats, [TYPE_NUMBER[t] for t in types], ids, versions, methods
        )


# --- the deliverers -----------------------------------------------------------------------------

_TAKE: Final = f"""
update subscription set lease = lease + 1, leased = now() + $2::interval, due = now() + $2::interval
where id in (
    select id from subscription
    where due <= now() and (leased is null or leased <= now()) and state in ('requested', 'active')
    order by due limit $1 for update skip locked)
returning {_COLUMNS}
"""  # noqa: S608 constants


async def take(db: Database, most: int, patience: timedelta) -> list[Kept]:
    """Takes subscriptions that have something to be done; nobody else does within `patience`."""
    return [_kept(row) for row in await db.fetch(_TAKE, most, patience)]


async def next_events(db: Database, id: str, after: int, most: int) -> list[Event]:
    """Events of a subscription behind a number, in order."""
    rows = await db.fetch(
        "select number, at, type, id, version, method from subscription_event"
        " where subscription = $1 and number > $2 order by number limit $3",
        id,
        after,
        most,
    )
    return [_event(row) for row in rows]


def _event(row: Record) -> Event:
    return Event(
        row["number"], row["at"], RESOURCE_TYPES[row["type"]], row["id"], row["version"],
        row["method"],
    )  # fmt: skip


_MARK: Final = """
update subscription
set delivered = greatest(delivered, $3), failures = 0, error = '', sent = coalesce($4, sent),
    leased = now() + $5::interval, due = now() + $5::interval
where id = $1 and lease = $2 and state in ('requested', 'active') returning true
"""


async def mark(
    db: Database, kept: Kept, delivered: int, sent: datetime | None, patience: timedelta
) -> bool:
    """Records what was delivered, keeping the lease; False when it is no longer ours."""
    found = await db.fetchval(_MARK, kept.id, kept.lease, delivered, sent, patience)
    return found is True


async def renew(db: Database, held: Mapping[str, int], patience: timedelta) -> None:
    """Keeps leases that are in hand."""
    await db.execute(
        "update subscription s set leased = now() + $3::interval"
        " from unnest($1::text[], $2::bigint[]) as h(id, lease)"
        " where s.id = h.id and s.lease = h.lease and s.leased is not null",
        list(held),
        list(held.values()),
        patience,
    )


_DONE: Final = """
update subscription
set leased = null,
    due = case when channel = 'websocket' then ends
               when events > delivered then now()
               when heartbeat > 0 then coalesce(sent, now()) + heartbeat * interval '1 second'
               else ends end
where id = $1 and lease = $2
"""


async def done(db: Database, kept: Kept) -> None:
    """Gives the lease back; due again when there is more, or for the next heartbeat."""
    await db.execute(_DONE, kept.id, kept.lease)


async def failed(db: Database, kept: Kept, error: str, failures: int, pause: timedelta) -> None:
    """Records the failures in a row, and gives the lease back until the next attempt."""
    await db.execute(
        "update subscription set failures = $3, error = $4, leased = null,"
        " due = now() + $5::interval where id = $1 and lease = $2",
        kept.id,
        kept.lease,
        failures,
        error,
        pause,
    )


async def behind(db: Database, ids: Collection[str]) -> list[Kept]:
    """Of the bound websocket subscriptions those that live, for one round of their process."""
    sql = f"select {_COLUMNS} from subscription where id = any($1)"  # noqa: S608 constants
    return [_kept(row) for row in await db.fetch(sql, list(ids))]


async def reached(db: Database, id: str, number: int, at: datetime) -> None:
    """Records how far a websocket subscription was sent."""
    await db.execute(
        "update subscription set delivered = greatest(delivered, $2), sent = $3 where id = $1",
        id,
        number,
        at,
    )


async def purge(db: Database, before: datetime, most: int = 10_000) -> int:
    """Removes old events that were delivered, or whose subscription is over; gives how many."""
    tag = await db.execute(
        "delete from subscription_event e where (e.subscription, e.number) in ("
        " select o.subscription, o.number from subscription_event o"
        " left join subscription s on s.id = o.subscription"
        " where o.at < $1 and (s.id is null or o.number <= s.delivered"
        "  or s.state not in ('requested', 'active') or s.channel = 'websocket')"
        " order by o.at limit $2)",
        before,
        most,
    )
    return int(tag.rsplit(" ", 1)[-1])
