"""Addresses and businesses compared with their registers, in the background.

Whatever arrives is taken at once; a row says that it has to be compared, and goes when it was. What
came of it stands beside the resource. What differs is told to the room that keeps the resource,
which opens a dispute: nothing here changes what somebody entered.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any, Final, Literal
from zoneinfo import ZoneInfo

import orjson

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import parse
from pater.records.errors import RecordsError
from pater.registers.basic import comparing, waiting
from pater.registers.basic.keeping import Public
from pater.registers.basic.told import Address, Business, Down, Register
from pater.registers.identifiers import ICO, PROVIDER, check_ico
from pater.registers.providers.tables import organizations_of
from pater.store.database import Database, Record
from pater.store.feed import Change
from pater.store.read import read_many

State = Literal["correct", "disputed"]

TYPES: Final = ("Patient", "Organization", "Location")
"""Whose addresses are compared; of the latter two only what belongs to nobody (the register)."""
OLD: Final[Mapping[Register, timedelta]] = {"ruian": timedelta(days=30), "ros": timedelta(hours=20)}
"""What was compared longer ago is compared again each night."""
MOST: Final = 1_000
"""Differences that are listed."""
COUNTED: Final = 100_000
"""So many are counted, then it is "at least"."""
_AT_ONCE: Final = 100
_RUN: Final = 2_000
"""Resources of one run; the next goes on."""
_NIGHT: Final = 50_000
"""Resources that one night asks for again, of each register."""
_MOST_CODES: Final = 50
"""Addresses of one resource that are compared."""
_ZONE: Final = ZoneInfo("Europe/Prague")
_LOG = logging.getLogger(__name__)

_ASK: Final = """
insert into basic_check_waiting (type, id, asked, due)
select n.type, n.id, $3, $3 from unnest($1::text[], $2::text[]) as n(type, id)
on conflict (type, id) do update set asked = excluded.asked, due = excluded.due
"""
_FORGET: Final = """
with gone as (
  delete from basic_check_waiting w using unnest($1::text[], $2::text[]) as k(type, id)
  where w.type = k.type and w.id = k.id
)
delete from basic_checked c using unnest($1::text[], $2::text[]) as k(type, id)
where c.type = k.type and c.id = k.id
"""
_DUE: Final = """
select type, id, asked from basic_check_waiting where due <= $1 order by due, type, id limit $2
"""
# What was asked for anew meanwhile stays.
_DONE: Final = "delete from basic_check_waiting where type = $1 and id = $2 and asked = $3"
_AGAIN: Final = """
update basic_check_waiting
set attempts = attempts + 1, error = $4,
    due = $3::timestamptz + least($5::interval * power(2, least(attempts, 20)), $6::interval)
where type = $1 and id = $2
"""
_HURRY: Final = "update basic_check_waiting set due = $1 where due > $1"
_SAVE: Final = """
with gone as (
  delete from basic_checked c where c.type = $1 and c.id = $2
  and not exists (select from unnest($3::text[], $4::text[]) as n(register, key)
                  where n.register = c.register and n.key = c.key)
)
insert into basic_checked (type, id, register, key, state, differs, said, digest, at)
select $1, $2, n.register, n.key, n.state, string_to_array(n.differs, ','), n.said, n.digest, $9
from unnest($3::text[], $4::text[], $5::text[], $6::text[], $7::jsonb[], $8::bytea[])
  as n(register, key, state, differs, said, digest)
on conflict (type, id, register, key) do update
set state = excluded.state, differs = excluded.differs, said = excluded.said,
    digest = excluded.digest, at = excluded.at
"""
_COLUMNS: Final = "type, id, register, key, state, differs, said, digest, at"
_OF: Final = f"""
select {_COLUMNS} from basic_checked where type = $1 and id = $2 order by register, key
"""  # noqa: S608 constants
_WAITS: Final = "select asked from basic_check_waiting where type = $1 and id = $2"
_DIFFERING: Final = f"""
select {_COLUMNS} from basic_checked
where register = $1 and state = 'disputed' and type = any($2::text[]) order by at desc limit $3
"""  # noqa: S608 constants
_COUNT: Final = """
select count(*) as found, count(*) filter (where state = 'disputed') as disputed
from (select state from basic_checked where register = $1 limit $2) counted
"""
_LENGTH: Final = """
select (select count(*) from (select from basic_check_waiting limit $1) counted) as waiting
"""
_OLD: Final = """
insert into basic_check_waiting (type, id, asked, due)
select distinct c.type, c.id, $3::timestamptz, $3::timestamptz from (
  select type, id from basic_checked where register = $1 and at < $2 order by at limit $4) c
on conflict (type, id) do nothing
"""
# What was in the register before there were links.
_NEVER: Final = """
insert into basic_check_waiting (type, id, asked, due)
select $1, r.id, $3, $3 from resource r
where r.person = 0 and r.type = $2 and not r.deleted
  and not exists (select from basic_checked c where c.type = $1 and c.id = r.id)
limit $4
on conflict (type, id) do nothing
"""


@dataclass(frozen=True, slots=True)
class Checked:
    """What a register says of one address (`key` is its code) or business (its IČO).

    `differs` names what differs (see `comparing`), `said` is how the register has it, None = there
    is no such one. `digest` is the same as long as both sides say the same.
    """

    type: str
    id: str
    register: Register
    key: str
    state: State
    differs: tuple[str, ...]
    said: Mapping[str, Any] | None
    digest: bytes
    at: datetime


# a difference that was not told of before; called again when it is not known that it came through
Told = Callable[[Checked], Awaitable[None]]


class Checks:
    """What has to be compared, and what came of it."""

    def __init__(self, db: Database, public: Public, clock: Callable[[], datetime]) -> None:
        self._db, self._public, self._clock = db, public, clock
        self._told: dict[str, Told] = {}

    def keep(self, type: str, told: Told) -> None:
        """Has a room told of what differs in resources of its type."""
        self._told[type] = told

    async def came(self, changes: Sequence[Change]) -> None:
        """Something was written: it is compared soon; what is gone is forgotten."""
        ours = [each for each in changes if each.type in TYPES and _is_kept(each)]
        last = {(each.type, each.id): each.method for each in ours}
        gone = [key for key, method in last.items() if method == "DELETE"]
        written = [key for key in last if key not in set(gone)]
        if gone:
            await self._db.execute(_FORGET, [t for t, _ in gone], [i for _, i in gone])
        await self.ask(written)

    async def ask(self, keys: Collection[tuple[str, str]]) -> None:
        """Has resources (type, id) compared again."""
        if keys:
            types, ids = [t for t, _ in keys], [i for _, i in keys]
            await self._db.execute(_ASK, types, ids, self._clock())

    async def changed(self, icos: Collection[str]) -> int:
        """The register of business tells that something changed; says how many are ours."""
        found = 0
        for ico in dict.fromkeys(icos):
            organizations = await organizations_of(self._db, ico)
            if organizations:
                found += 1
                await self._public.expire("ros", ico)
                await self.ask([("Organization", each) for each in organizations])
        return found

    async def drain(self, most: int = _RUN) -> int:
        """Compares what is due; how much was. What could not be goes on waiting."""
        done = tried = 0
        while tried < most:
            rows = await self._db.fetch(_DUE, self._clock(), _AT_ONCE)
            keys = [(row["type"], row["id"]) for row in rows]
            bodies = {
                (each.type, each.id): parse(each.body)
                for each in await read_many(self._db, keys)
                if not each.deleted
            }
            for row in rows:
                tried += 1
                body = bodies.get((row["type"], row["id"]), {})
                try:
                    await self._compare(row["type"], row["id"], body)
                except (Down, RecordsError) as error:
                    await self._again(row, str(error))
                    continue
                await self._db.execute(_DONE, row["type"], row["id"], row["asked"])
                done += 1
            if not rows:
                break
        return done

    async def nightly(self) -> dict[str, Any]:
        """Has everything compared again that was compared long ago, or never, and reports."""
        now = self._clock()
        for register, age in OLD.items():
            await self._db.execute(_OLD, register, now - age, now, _NIGHT)
        await self._db.execute(_NEVER, "Organization", TYPE_NUMBER["Organization"], now, _NIGHT)
        compared = 0
        while compared < _NIGHT and (done := await self.drain()):
            compared += done
        return {"compared": compared, **await report(self._db)}

    async def of(self, type: str, id: str) -> list[Checked]:
        """What came of a resource: for whom the gate showed it."""
        return await results(self._db, type, id)

    async def waits(self) -> int:
        """How many wait, at most `COUNTED`."""
        return await waits(self._db)

    async def _compare(self, type: str, id: str, body: Mapping[str, Any]) -> None:
        found = [*await self._addresses(type, id, body), *await self._business(type, id, body)]
        known = {(each.register, each.key): each for each in await self.of(type, id)}
        for each in found:
            before = known.get((each.register, each.key))
            fresh = before is None or before.digest != each.digest or before.state != each.state
            told = self._told.get(type)
            if each.state == "disputed" and fresh and told is not None:
                await told(each)
        if found or known:
            await self._db.execute(
                _SAVE, type, id, [e.register for e in found], [e.key for e in found],
                [e.state for e in found], [",".join(e.differs) for e in found],
                [None if e.said is None else orjson.dumps(e.said).decode() for e in found],
                [e.digest for e in found], self._clock(),
            )  # fmt: skip

    async def _addresses(self, type: str, id: str, body: Mapping[str, Any]) -> list[Checked]:
        by_code: dict[str, list[Mapping[str, Any]]] = {}
        for code, address in comparing.coded(body):
            if len(by_code) < _MOST_CODES or code in by_code:
                by_code.setdefault(code, []).append(address)
        found = []
        for code, addresses in by_code.items():
            answer = (await self._public.address(code)).value
            differs = dict.fromkeys(
                each for address in addresses for each in comparing.of_address(address, answer)
            )
            said = None if answer is None else asdict(answer)
            held = [{k: v for k, v in each.items() if k in _COMPARED} for each in addresses]
            found.append(self._made(type, id, "ruian", code, tuple(differs), said, held))
        return found

    async def _business(self, type: str, id: str, body: Mapping[str, Any]) -> list[Checked]:
        ico = ico_of(body) if type == "Organization" else ""
        if not ico:
            return []
        answer: Business | None = (await self._public.business(ico)).value
        seat: Address | None = None
        if answer is not None and answer.address:
            seat = (await self._public.address(answer.address)).value
        today = self._clock().astimezone(_ZONE).date()
        differs = comparing.of_business(body, answer, seat, today)
        said = None
        if answer is not None:
            said = {"name": answer.name, "ended": answer.ended and answer.ended.isoformat()}
            said["seat"] = None if seat is None else written(seat)
        held = {name: body.get(name) for name in ("name", "alias", "address", "active")}
        return [self._made(type, id, "ros", ico, differs, said, held)]

    def _made(
        self, type: str, id: str, register: Register, key: str, differs: tuple[str, ...],
        said: dict[str, Any] | None, held: object,
    ) -> Checked:  # fmt: skip
        state: State = "disputed" if differs else "correct"
        text = orjson.dumps(
            [type, id, differs, said, held], option=orjson.OPT_SORT_KEYS, default=str
        )
        digest = blake2b(text, digest_size=16).digest()
        return Checked(type, id, register, key, state, differs, said, digest, self._clock())

    async def _again(self, row: Record, error: str) -> None:
        await self._db.execute(
            _AGAIN, row["type"], row["id"], self._clock(), error, waiting.SHORTEST, waiting.LONGEST
        )


_COMPARED: Final = frozenset({"city", "postalCode", "line"})


async def results(db: Database, type: str, id: str) -> list[Checked]:
    """What the registers say of a resource: for whom the gate showed it."""
    return [_of(row) for row in await db.fetch(_OF, type, id)]


async def waits_since(db: Database, type: str, id: str) -> datetime | None:
    """Since when a resource waits to be compared, None = it does not."""
    found: datetime | None = await db.fetchval(_WAITS, type, id)
    return found


async def waits(db: Database) -> int:
    """How many resources wait to be compared, at most `COUNTED`."""
    found: int = await db.fetchval(_LENGTH, COUNTED)
    return found


async def hurry(db: Database, now: datetime) -> None:
    """What waits to be compared is due now."""
    await db.execute(_HURRY, now)


async def differing(db: Database, register: Register, count: int = 50) -> list[Checked]:
    """Providers' data that differ from a register, the newest first."""
    kinds = [each for each in TYPES if each != "Patient"]
    return [_of(row) for row in await db.fetch(_DIFFERING, register, kinds, min(count, MOST))]


async def report(db: Database, count: int = 50) -> dict[str, Any]:
    """What was compared and differs, in numbers, and the newest differences of providers.

    Persons are only counted: a report names nobody.
    """
    made: dict[str, Any] = {}
    for register in OLD:
        row = await db.fetchrow(_COUNT, register, COUNTED)
        assert row is not None  # counts
        made[register] = {"compared": row["found"], "disputed": row["disputed"]}
    made["waiting"] = await waits(db)
    made["differences"] = [
        {
            "register": each.register, "resource": f"{each.type}/{each.id}", "key": each.key,
            "differs": list(each.differs),
        }
        for register in OLD
        for each in await differing(db, register, count)
    ]  # fmt: skip
    return made


def ico_of(organization: Mapping[str, Any]) -> str:
    """The IČO of an Organization, "" = it says none that can be one."""
    listed = organization.get("identifier")
    for each in listed if isinstance(listed, list) else ():
        if isinstance(each, dict) and each.get("system") in (ICO, PROVIDER):
            value = str(each.get("value", ""))
            if each.get("use") != "old" and check_ico(value).ok is not False:
                return value
    return ""


def written(address: Address) -> str:
    """An address point on one line, as its register spells it."""
    return f"{address.line}, {address.postal_code} {address.city}"


def _is_kept(change: Change) -> bool:
    return change.person > 0 if change.type == "Patient" else change.person == 0


def _of(row: Record) -> Checked:
    values = dict(row)
    said = values["said"]
    values["said"] = None if said is None else orjson.loads(said)
    values["differs"] = tuple(each for each in values["differs"] if each)
    return Checked(**values)
