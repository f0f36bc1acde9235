"""Who a subscription belongs to, and what is left of the rights it was made with."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace

from pater.access import accounts, clients
from pater.access.caller import Caller, owner_number
from pater.access.clients import client_caller
from pater.access.employed import Employed
from pater.access.policy import ROLE_PURPOSES, ROLE_SCOPES
from pater.access.scopes import ScopeError, covers, parse_scope
from pater.access.sessions import account_caller
from pater.store.database import Database


@dataclass(frozen=True, slots=True)
class Owner:
    """The account (kind person) or client (kind system), with the rights of its token then."""

    kind: str
    id: str
    purpose: str
    strength: int
    scopes: tuple[str, ...]

    @classmethod
    def of(cls, caller: Caller) -> Owner:
        """The owner that a caller becomes."""
        return cls(caller.kind, caller.id, caller.purpose, caller.strength, caller.scopes)

    @property
    def number(self) -> int:
        """The number under which the store keeps what is theirs."""
        return owner_number(self.kind, self.id)


async def callers_of(
    db: Database, owners: Collection[Owner], employed: Employed
) -> Mapping[Owner, Caller | None]:
    """Each owner as a caller of this moment; None = closed, not there any more, or does not work
    there any more.

    A right stays only while the token had it and the registration still gives it.
    """
    systems = await clients.find_many(db, {o.id for o in owners if o.kind == "system"})
    people = await accounts.find_many(db, {o.id for o in owners if o.kind == "person"})
    acting = {a.id: await employed(a) for a in people.values() if a.active}
    found: dict[Owner, Caller | None] = {}
    for owner in owners:
        if owner.kind == "system":
            client = systems.get(owner.id)
            if client is None or not client.active:
                found[owner] = None
                continue
            purpose = owner.purpose if owner.purpose in client.purposes else ""
            found[owner] = client_caller(
                client, scopes=_left(owner.scopes, client.scopes), purpose=purpose
            )
        else:
            account = acting.get(owner.id)
            if account is None:
                found[owner] = None
                continue
            purpose = owner.purpose if owner.purpose in ROLE_PURPOSES[account.role] else ""
            caller = account_caller(account, strength=owner.strength, purpose=purpose)
            found[owner] = replace(caller, scopes=_left(owner.scopes, ROLE_SCOPES[account.role]))
    return found


def _left(had: Collection[str], given: Collection[str]) -> tuple[str, ...]:
    """What of the scopes of the token the registration still gives, letter by letter."""
    found = []
    for scope in had:
        head, _, rest = scope.partition(".")
        arguments = rest.partition("?")[1:]
        try:
            letters = "".join(
                letter
                for letter in parse_scope(scope).letters
                if covers(given, "".join((head, ".", letter, *arguments)))
            )
        except ScopeError:
            continue  # e.g. `openid`: it says nothing about records
        if letters:
            found.append("".join((head, ".", letters, *arguments)))
    return tuple(found)
