"""Who may act for whom, as the register of rights and mandates (REZA) says: followed and asked.

A representation of a person becomes one of ours (`access.representation`) and a RelatedPerson of
the represented; a mandate of an organisation says who may act for it, and in what.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime
from functools import partial
from typing import Any, Final
from uuid import NAMESPACE_URL, uuid5

from pater.access.deciding import Ages
from pater.access.relations import EVER
from pater.access.representation import birthday
from pater.fhir.json import parse
from pater.fhir.labels import CATEGORIES
from pater.records.gate import Change, Gate
from pater.registers.basic.health import Breaker
from pater.registers.basic.identities import CALLER, Identities
from pater.registers.basic.ports import Mandates
from pater.registers.basic.secrets import Pseudonyms
from pater.registers.basic.told import REPRESENTATIONS, Mandate
from pater.registers.related_persons import RELATION, name_of, related_person
from pater.store.database import Database, Record
from pater.store.person_tables import PersonTable
from pater.store.read import read_many
from pater.store.write import Statement

NAME: Final = "reza"
PAGE: Final = 200
PAGES: Final = 20
MOST: Final = 200
PERSON_TABLES: Final = (
    PersonTable("authorisation", "t.id"),
    PersonTable("authorisation", "t.id", person="agent"),
)
ADMINISTRATION: Final = "administration"
"""The service for which somebody looks after a provider's certificates here."""

_COLUMNS: Final = (
    "id, kind, organization, person_key, person, agent_key, agent, services, categories,"
    " reference, since, until, ended, received, agent_name"
)
_KEEP: Final = f"""
insert into authorisation ({_COLUMNS})
values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
on conflict (id) do update
set kind = excluded.kind, organization = excluded.organization, person_key = excluded.person_key,
    person = excluded.person, agent_key = excluded.agent_key, agent = excluded.agent,
    services = excluded.services, categories = excluded.categories,
    reference = excluded.reference, since = excluded.since, until = excluded.until,
    ended = excluded.ended, received = excluded.received, agent_name = excluded.agent_name
where authorisation.source = 'reza'
"""  # noqa: S608 constants
# Whom a merge moved stays where the merge put it: the claims that gave the numbers moved too.
_REPRESENT: Final = """
insert into representation (id, person, patient, person_name, agent, agent_name, kind, source,
                            reference, categories, born, since, until, ended, recorded)
values ($1, $2, $3, $4, $5, $6, $7, 'reza', $8, $9, $10, $11, $12, $13, $14)
on conflict (id) do update
set person = excluded.person, patient = excluded.patient, person_name = excluded.person_name,
    agent = excluded.agent, agent_name = excluded.agent_name, kind = excluded.kind,
    reference = excluded.reference, categories = excluded.categories, born = excluded.born,
    since = excluded.since, until = excluded.until, ended = excluded.ended
"""
_OF_KEY: Final = f"""
select {_COLUMNS} from authorisation
where (agent_key = $1 and agent = 0) or (person_key = $1 and person = 0) order by id limit $2
"""  # noqa: S608 constants
_CURSOR: Final = "select cursor from basic_register where register = $1"
_MOVE: Final = "update basic_register set cursor = $2, followed = $3 where register = $1"
# The very moment decides: what has ended is over at the next question.
_HOLD: Final = """
select distinct agent, organization from authorisation
where agent = any($1::bigint[]) and organization = any($2::text[]) and agent <> 0
  and since <= $3 and until > $3 and (ended is null or ended > $3)
  and (services = '{}' or $4 = any(services))
"""


class Authorisations:
    """Follows the register of mandates."""

    def __init__(
        self,
        gate: Gate,
        db: Database,
        identities: Identities,
        mandates: Mandates,
        breaker: Breaker,
        names: Pseudonyms,
        ages: Ages,
        clock: Callable[[], datetime],
    ) -> None:
        self._gate, self._db, self._identities, self._mandates = gate, db, identities, mandates
        self._breaker, self._names, self._ages, self._clock = breaker, names, ages, clock

    async def follow(self) -> int:
        """Takes what was made or changed since the last time; says how many. Raises Down."""
        found = 0
        for _ in range(PAGES):
            cursor = await self._db.fetchval(_CURSOR, NAME)
            page = await self._breaker.ask(NAME, partial(self._mandates.mandates, cursor, PAGE))
            await self._take([self._row(each) for each in page.items])
            found += len(page.items)
            await self._db.execute(_MOVE, NAME, page.cursor, self._clock())
            if len(page.items) < PAGE or page.cursor == cursor:
                break
        return found

    async def came(self, key: bytes) -> None:
        """Somebody whom mandates may name has become one of ours."""
        rows = await self._db.fetch(_OF_KEY, key, MOST)
        await self._take([_values(row) for row in rows])

    def _row(self, one: Mandate) -> dict[str, Any]:
        known = [each for each in one.categories if each in CATEGORIES]
        # categories that we do not have open nothing, rather than everything
        kept = known or (["identification"] if one.categories else [])
        return {
            "id": one.id, "kind": one.kind, "organization": one.organization,
            "person_key": self._names.key(one.person) if one.person else None, "person": 0,
            "agent_key": self._names.key(one.agent), "agent": 0, "services": list(one.services),
            "categories": kept, "reference": one.reference, "since": one.since,
            "until": min(one.until or EVER, EVER), "ended": one.ended, "received": self._clock(),
            "agent_name": "",
        }  # fmt: skip

    async def _take(self, rows: Sequence[dict[str, Any]]) -> None:
        keys = {row[name] for row in rows for name in ("person_key", "agent_key")} - {None}
        held = await self._identities.holders(sorted(keys))
        patients = await read_many(self._db, [("Patient", id_) for _, id_ in held.values()])
        bodies = {each.id: parse(each.body) for each in patients if not each.deleted}
        nobody = (0, "")
        for row in rows:
            person, patient = held.get(row["person_key"], nobody)
            agent, who = held.get(row["agent_key"], nobody)
            row = {**row, "person": person, "agent": agent}
            row["agent_name"] = name_of(bodies[who]) if who in bodies else ""
            statements = [Statement(_KEEP, tuple(row[name] for name in _COLUMNS.split(", ")))]
            changes = []
            if person and agent and person != agent and {patient, who} <= set(bodies):
                child, other = bodies[patient], bodies[who]
                row["until"] = self._over(row, child)
                statements.append(_represent(row, patient, child, other))
                changes = [_related(row, patient, other, self._clock())]
            await self._gate.commit(CALLER, changes, statements=statements, reason="loading")

    def _over(self, row: dict[str, Any], child: dict[str, Any]) -> datetime:
        """When it is over at the latest: a parent's with the child's majority."""
        until: datetime = row["until"]
        born = _born(child)
        if row["kind"] != "parent":
            return until
        if born is None:
            since: datetime = row["since"]
            return min(until, since)  # nobody knows whether the child is one
        return min(until, birthday(born, self._ages.until))


async def mandated(
    db: Database, agents: Collection[int], organizations: Collection[str], service: str,
    now: datetime,
) -> frozenset[tuple[int, str]]:  # fmt: skip
    """Which of the persons may act at this moment for which of the organisations in a service."""
    rows = await db.fetch(_HOLD, list(agents), list(organizations), now, service)
    return frozenset((row["agent"], row["organization"]) for row in rows)


def _values(row: Record) -> dict[str, Any]:
    return dict(row)


def _represent(
    row: dict[str, Any], patient: str, child: dict[str, Any], other: dict[str, Any]
) -> Statement:
    born = _born(child) if row["kind"] == "parent" else None
    until = row["until"]
    return Statement(
        _REPRESENT,
        (
            _id(row), row["person"], patient, name_of(child), row["agent"], name_of(other),
            row["kind"], row["reference"], row["categories"], born, row["since"], until,
            row["ended"], row["received"],
        ),
    )  # fmt: skip


def _related(row: dict[str, Any], patient: str, other: dict[str, Any], now: datetime) -> Change:
    """The representation as a RelatedPerson of the represented."""
    over = row["until"] if row["ended"] is None else min(row["until"], row["ended"])
    made = related_person(
        _id(row), row["kind"], patient, name_of(other), row["since"], over, now
    )  # fmt: skip
    return Change("update", "RelatedPerson", _id(row), made, person=row["person"])


def _id(row: dict[str, Any]) -> str:
    return str(uuid5(NAMESPACE_URL, f"urn:pater:reza:{row['id']}"))


def _born(patient: dict[str, Any]) -> date | None:
    try:
        return date.fromisoformat(str(patient.get("birthDate", "")))
    except ValueError:
        return None


assert set(RELATION) == REPRESENTATIONS
