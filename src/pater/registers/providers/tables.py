"""The SQL of the register of providers: what the listener writes, and what is asked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

from pater.registers.providers.hours import Span
from pater.store.database import Connection, Database, Record


@dataclass(frozen=True, slots=True)
class OrganizationRow:
    """An Organization as it is looked for."""

    id: str
    ico: str
    name: str
    active: bool
    part_of: str


@dataclass(frozen=True, slots=True)
class PlaceRow:
    """A Location; `at` is (x, y) of the plane, None without a position; `words` are normalised."""

    id: str
    organization: str
    name: str
    provider: str
    kind: str
    address: str
    city: str
    active: bool
    lat: float | None
    lon: float | None
    at: tuple[float, float] | None
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class OfferRow:
    """What a service offers; `hours` None = nobody said when."""

    code: str
    system: str
    service: str
    place: str
    title: str
    hours: tuple[Span, ...] | None
    closed: tuple[tuple[datetime, datetime], ...]


@dataclass(frozen=True, slots=True)
class RoleRow:
    """Who works where, and in which time."""

    id: str
    practitioner: str
    organization: str
    employment: bool
    active: bool
    since: datetime
    until: datetime


_ORGANIZATIONS = """
insert into provider_organization (organization, ico, name, active, part_of)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::text[])
on conflict (organization) do update set ico = excluded.ico, name = excluded.name,
    active = excluded.active, part_of = excluded.part_of
"""
_PLACES = """
insert into provider_place (place, organization, name, provider, kind, address, city, active,
    lat, lon, at, words)
select t.place, t.organization, t.name, t.provider, t.kind, t.address, t.city, t.active,
    t.lat, t.lon, point(t.x, t.y), array_to_tsvector(string_to_array(t.words, ' '))
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::bool[], $9::float8[], $10::float8[], $11::float8[], $12::float8[], $13::text[])
    as t(place, organization, name, provider, kind, address, city, active, lat, lon, x, y, words)
on conflict (place) do update set organization = excluded.organization, name = excluded.name,
    provider = excluded.provider, kind = excluded.kind, address = excluded.address,
    city = excluded.city, active = excluded.active, lat = excluded.lat, lon = excluded.lon,
    at = excluded.at, words = excluded.words
"""
# What a place offers is nowhere when the place is closed or has no position.
_MOVED = """
update provider_offer o set at = case when p.active then p.at end
from provider_place p
where o.place = any($1::text[]) and p.place = o.place
  and o.at::text is distinct from case when p.active then p.at::text end
"""
_LOST_PLACES = "update provider_offer set at = null where place = any($1::text[])"
_OFFERS = """
insert into provider_offer (code, system, service, place, title, hours, closed, at)
select t.code, t.system, t.service, t.place, t.title, t.hours::int4multirange,
    t.closed::tstzmultirange, case when p.active then p.at end
from unnest($1::text[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[])
    as t(code, system, service, place, title, hours, closed)
left join provider_place p on p.place = t.place
on conflict do nothing
"""
_ROLES = """
insert into provider_role (role, practitioner, organization, employment, active, since, until)
select * from unnest($1::text[], $2::text[], $3::text[], $4::bool[], $5::bool[],
    $6::timestamptz[], $7::timestamptz[])
on conflict (role) do update set practitioner = excluded.practitioner,
    organization = excluded.organization, employment = excluded.employment,
    active = excluded.active, since = excluded.since, until = excluded.until
"""
_FORGET = {
    "Organization": "delete from provider_organization where organization = any($1::text[])",
    "Location": "delete from provider_place where place = any($1::text[])",
    "HealthcareService": "delete from provider_offer where service = any($1::text[])",
    "PractitionerRole": "delete from provider_role where role = any($1::text[])",
}
_ROLES_OF = """
select r.employment, r.active and r.since <= $2 and r.until > $2 as now,
    coalesce(o.ico, '') as ico, coalesce(o.name, '') as name
from provider_role r left join provider_organization o on o.organization = r.organization
where r.practitioner = $1 and r.employment
limit 200
"""
_TOWN = """
select avg(lat) as lat, avg(lon) as lon from (
    select lat, lon from provider_place where city = $1 and active and lat is not null limit 5000) p
having count(*) > 0
"""
_CODES = """
select code, system, min(title) as title, count(*) as found from provider_offer
where at is not null and system = $1 group by code, system order by 3 limit 500
"""
_PLACES_OF = """
select place, organization, name, provider, kind, address, lat, lon, active from provider_place
where place = any($1::text[])
"""
_BY_ICO = "select organization from provider_organization where ico = $1 and part_of = '' limit 50"

_NAMES = """
select distinct on (ico) ico, name from provider_organization
where ico = any($1::text[]) and ico <> '' and part_of = ''
order by ico, active desc, organization
"""


async def write_organizations(connection: Connection, rows: Sequence[OrganizationRow]) -> None:
    """Makes or replaces them."""
    await connection.execute(
        _ORGANIZATIONS, [r.id for r in rows], [r.ico for r in rows], [r.name for r in rows],
        [r.active for r in rows], [r.part_of for r in rows],
    )  # fmt: skip


async def write_places(connection: Connection, rows: Sequence[PlaceRow]) -> None:
    """Makes or replaces them, and moves what they offer."""
    await connection.execute(
        _PLACES,
        [r.id for r in rows], [r.organization for r in rows], [r.name for r in rows],
        [r.provider for r in rows], [r.kind for r in rows], [r.address for r in rows],
        [r.city for r in rows], [r.active for r in rows], [r.lat for r in rows],
        [r.lon for r in rows], [r.at[0] if r.at else None for r in rows],
        [r.at[1] if r.at else None for r in rows], [" ".join(r.words) for r in rows],
    )  # fmt: skip
    await connection.execute(_MOVED, [r.id for r in rows])


async def write_offers(
    connection: Connection, services: Sequence[str], rows: Sequence[OfferRow]
) -> None:
    """All that these services offer, in place of what they offered."""
    await connection.execute(_FORGET["HealthcareService"], list(services))
    await connection.execute(
        _OFFERS,
        [r.code for r in rows], [r.system for r in rows], [r.service for r in rows],
        [r.place for r in rows], [r.title for r in rows],
        [None if r.hours is None else _ranges(r.hours) for r in rows],
        [_ranges([(a.isoformat(), b.isoformat()) for a, b in r.closed]) for r in rows],
    )  # fmt: skip


async def write_roles(connection: Connection, rows: Sequence[RoleRow]) -> None:
    """Makes or replaces them."""
    await connection.execute(
        _ROLES, [r.id for r in rows], [r.practitioner for r in rows],
        [r.organization for r in rows], [r.employment for r in rows], [r.active for r in rows],
        [r.since for r in rows], [r.until for r in rows],
    )  # fmt: skip


async def forget(connection: Connection, type: str, ids: Sequence[str]) -> None:
    """Takes out what was deleted."""
    await connection.execute(_FORGET[type], list(ids))
    if type == "Location":
        await connection.execute(_LOST_PLACES, list(ids))


async def roles_of(db: Database, practitioner: str, now: datetime) -> list[Record]:
    """employment, now, ico and name of each role that is no membership."""
    return await db.look_up(_ROLES_OF, practitioner, now)


async def employers_of(db: Database, practitioner: str) -> list[str]:
    """The Organizations that employ or employed a Practitioner."""
    rows = await db.look_up(
        "select distinct organization from provider_role where practitioner = $1 and employment",
        practitioner,
    )
    return [row["organization"] for row in rows]


async def employed_by(db: Database, organizations: Sequence[str], count: int) -> list[str]:
    """Practitioners who work for an organisation now, as the rows say."""
    rows = await db.look_up(
        "select distinct practitioner from provider_role where organization = any($1::text[])"
        " and employment and active and until > now() order by 1 limit $2",
        list(organizations), count,
    )  # fmt: skip
    return [row["practitioner"] for row in rows]


async def town(db: Database, city: str) -> tuple[float, float] | None:
    """The middle of the places of a town, by its normalised name."""
    row = next(iter(await db.ask(_TOWN, city)), None)
    return None if row is None else (row["lat"], row["lon"])


async def codes(db: Database, system: str) -> list[Record]:
    """code, title and number of what is offered somewhere, by title."""
    return await db.ask(_CODES, system)


async def empty(db: Database) -> bool:
    """Whether there is no place at all."""
    return not await db.fetchval("select exists (select from provider_place)")


async def places(db: Database, ids: Sequence[str]) -> dict[str, Record]:
    """What is known of places, by id."""
    return {row["place"]: row for row in await db.look_up(_PLACES_OF, list(ids))}


async def organizations_of(db: Database, ico: str) -> list[str]:
    """The Organizations of a provider's number."""
    return [row["organization"] for row in await db.look_up(_BY_ICO, ico)]


async def names_of(db: Database, icos: Collection[str]) -> dict[str, str]:
    """The names of providers by their numbers (IČO), as far as they are here."""
    rows = await db.fetch(_NAMES, sorted(set(icos))) if icos else []
    return {row["ico"]: row["name"] for row in rows}


def _ranges(found: Sequence[tuple[object, object]]) -> str:
    """The text of a multirange of half-open ranges."""
    return "{" + ",".join(f"[{first},{last})" for first, last in found) + "}"
