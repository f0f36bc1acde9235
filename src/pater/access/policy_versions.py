"""Which policies have been in force: every one is kept with its text and its beginning."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pater.access.deciding import Policy
from pater.access.policy_files import read_policy
from pater.store.database import Database

# A policy is in force until another one is; the same one again says nothing new.
_KEEP: Final = """
insert into policy_version (since, digest, name, version, body)
select $2, $1, $3, $4, $5
where $1 is distinct from
  (select p.digest from policy_version p order by p.since desc, p.digest limit 1)
on conflict do nothing
"""
_LIST: Final = """
select since, digest, name, version from policy_version order by since desc, digest limit $1
"""
_IN_FORCE: Final = """
select body from policy_version where since <= $1 order by since desc, digest limit 1
"""
MOST: Final = 1000


@dataclass(frozen=True, slots=True)
class Version:
    """A policy that came into force at `since`."""

    since: datetime
    digest: str
    name: str
    version: str


async def keep(db: Database, policy: Policy, body: bytes, now: datetime) -> None:
    """Notes that a policy is in force from now on; `body` is the file that it was read from."""
    await db.execute(_KEEP, policy.digest, now, policy.name, policy.version, body.decode())


async def versions(db: Database) -> Sequence[Version]:
    """All that have been in force, the last one first."""
    return [Version(**dict(row)) for row in await db.fetch(_LIST, MOST)]


async def in_force(db: Database, at: datetime) -> Policy | None:
    """The policy that was in force at a moment; None when none was yet."""
    body = await db.fetchval(_IN_FORCE, at)
    return None if body is None else read_policy(body.encode())
