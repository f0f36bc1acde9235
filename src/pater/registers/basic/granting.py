"""Mandates of an organisation: who acts for it, given and ended by its administrator.

What the state's register of rights says is only shown: it ends there. Both kinds are judged by the
moment of each question (`authorisations.mandated`).
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

from pater.access.relations import EVER
from pater.store.database import Database, Record
from pater.store.write import Statement

State = Literal["holds", "later", "over"]

MOST: Final = 100
HERE: Final = "here"
_COLUMNS: Final = (
    "id, kind, organization, agent, agent_name, services, reference, since,"
    " least(until, '9999-12-31 UTC') as until, ended, source, given_by"
)
_NOW: Final = """
case when coalesce(least(ended, until), until) <= $2 then 'over'
     when since > $2 then 'later' else 'holds' end
"""
# The newest first; by the index of an organisation's.
_LISTING: Final = f"""
select {_COLUMNS} from authorisation
where organization = $1 and organization <> ''
  and ($3::text = '' or {_NOW} = $3)
  and ($4::bigint = 0 or agent = $4)
  and ($5::text = '' or services = '{{}}' or $5 = any(services))
  and ($6::timestamptz is null or (since, id) < ($6, $7::text))
order by since desc, id desc limit $8
"""  # noqa: S608 constants
_GIVE: Final = """
insert into authorisation (id, kind, organization, person, agent_key, agent, services, categories,
  reference, since, until, received, source, given_by, agent_name)
values ($1, 'delegated', $2, 0, '', $3, $4, '{}', $5, $6,
  case when $7 >= '9999-12-31 UTC'::timestamptz then 'infinity' else $7 end, $6, 'here', $8, $9)
on conflict (id) do nothing
"""
_END: Final = """
update authorisation set ended = $3
where id = $1 and organization = $2 and source = 'here' and ended is null
"""
# By the index of whom a mandate is given to.
_HELD: Final = f"""
select {_COLUMNS} from authorisation
where agent = $1 and agent <> 0 and organization <> '' order by since desc, id desc limit $2
"""  # noqa: S608 constants
_ONE: Final = f"select {_COLUMNS} from authorisation where id = $1 and organization = $2"  # noqa: S608
_STATUTORY: Final = """
select exists (
  select from authorisation
  where agent = $1 and agent <> 0 and organization = $2 and kind = 'statutory'
    and since <= $3 and until > $3 and (ended is null or ended > $3))
"""


@dataclass(frozen=True, slots=True)
class Given:
    """A mandate: `agent` (0 = nobody of ours) acts for the organisation from `since` until `until`
    (not within) or `ended`, in `services`, () = all. `source` is where it was written: `reza` or
    `here`.
    """

    id: str
    kind: str
    organization: str
    agent: int
    agent_name: str
    services: tuple[str, ...]
    reference: str
    since: datetime
    until: datetime
    ended: datetime | None
    source: str
    given_by: str = ""

    @property
    def over(self) -> datetime:
        """When it is over, or was."""
        return self.until if self.ended is None else min(self.until, self.ended)

    def state(self, now: datetime) -> State:
        """How it stands at a moment."""
        if self.over <= now:
            return "over"
        return "later" if self.since > now else "holds"


async def listing(
    db: Database,
    organization: str,
    now: datetime,
    *,
    state: State | Literal[""] = "",
    agent: int = 0,
    service: str = "",
    after: Given | None = None,
    count: int = 50,
) -> list[Given]:
    """Mandates of an organisation (IČO), the newest first; "" and 0 = whichever."""
    beyond = (None, "") if after is None else (after.since, after.id)
    rows = await db.fetch(
        _LISTING, organization, now, state, agent, service, *beyond, max(1, min(count, MOST + 1))
    )
    return [_of(row) for row in rows]


async def held(db: Database, agent: int, count: int = MOST) -> list[Given]:
    """The mandates that somebody has or had, of all organisations, the newest first."""
    rows = await db.fetch(_HELD, agent, max(1, min(count, MOST + 1))) if agent else []
    return [_of(row) for row in rows]


async def one(db: Database, organization: str, id: str) -> Given | None:
    """A mandate of an organisation."""
    row = await db.fetchrow(_ONE, id, organization)
    return None if row is None else _of(row)


async def may_give(
    db: Database, person: int | None, organization: str, services: Collection[str], now: datetime
) -> bool:
    """Whether somebody may give a mandate for services: one for everything or for the
    administration only as a statutory body, or as whom the operator wrote down (no person).
    """
    if not person or (services and "administration" not in services):
        return True
    return bool(await db.fetchval(_STATUTORY, person, organization, now))


def give(
    id: str, organization: str, agent: int, name: str, services: Sequence[str], reference: str,
    since: datetime, until: datetime, by: str,
) -> Statement:  # fmt: skip
    """Writes a mandate down; the same id again writes nothing."""
    return Statement(
        _GIVE,
        (id, organization, agent, sorted(services), reference, since, min(until, EVER), by, name),
    )


def end(id: str, organization: str, now: datetime) -> Statement:
    """Ends a mandate that was given here; one that has ended stays as it is."""
    return Statement(_END, (id, organization, now))


def _of(row: Record) -> Given:
    return Given(**{**dict(row), "services": tuple(row["services"])})
