"""What the gate is asked to write, and pages of what it gives back."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pater.access.caller import Caller
from pater.store.read import Stored
from pater.store.write import Claim, Statement

Method = Literal["create", "update", "delete"]
STANDING = -2
"""As `if_match`: any version, but there must be one that is not deleted."""
Edit = Callable[[dict[str, Any]], dict[str, Any]]
"""The current resource -> the resource as it shall be; must not change what it is given."""
ClaimsOf = Callable[[dict[str, Any], int, str], Sequence[Claim]]
"""(resource, person, id) -> the business keys that the resource holds."""


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a commit.

    method 'create': `id` None = a new one; a given id must not exist, and when it is a version-4
    UUID it was made for this change just now (nobody looks whether it is taken), and so was any
    other id of a change that is `fresh`. 'update': makes
    what is absent (FHIR R4 3.1.0.4.1) only for the loader or when `derived`. 'delete': nothing
    happens when it is absent. `if_match` is the version that must be the current one (0: it must
    not exist). `raw` are bytes to store exactly as they are, `resource` still being what is
    indexed. `person` is the compartment when the caller of the gate knows it (a register, a
    document); None = found through the Patient that the resource refers to. `derived` marks what
    Páteř itself writes because of another change of the same commit, which alone the policy judges.
    `edit`, given instead of `resource`, makes the new version of an update out of the current one
    (which must exist); unless `derived` that is a PATCH. `path` is where the resource stands in
    what was sent, for issues. `claims_of` gives business keys to be claimed with it. `statements`
    go with it in the same transaction (what a `Keeper` keeps beside the resource). `label` says of
    what kind it is (see `fhir.labels`); None = as its content and the caller's organization tell.
    """

    method: Method
    type: str
    id: str | None = None
    resource: dict[str, Any] | None = None
    if_match: int | None = None
    raw: bytes | None = None
    person: int | None = None
    derived: bool = False
    path: str = ""
    edit: Edit | None = field(default=None, compare=False)
    claims_of: ClaimsOf | None = field(default=None, compare=False)
    fresh: bool = False
    label: int | None = None
    statements: tuple[Statement, ...] = ()


Keeper = Callable[[Caller, Change, Stored | None], Awaitable[Change]]
"""(caller, change, what stands there now) -> the change as it shall be written.

A room that keeps something beside all resources of a type sees each change of them here, whichever
interaction it comes from. Raises RecordsError to refuse it.
"""


def in_turn(first: Keeper, then: Keeper) -> Keeper:
    """Two keepers of one type as one."""

    async def both(caller: Caller, change: Change, stored: Stored | None) -> Change:
        return await then(caller, await first(caller, change, stored), stored)

    return both


Closed = Callable[[Caller, Change], None]
"""(caller, change) -> raises RecordsError for who may not edit resources of a type themselves."""

Forget = Callable[[Sequence[str]], Awaitable[Sequence[Statement]]]
"""(ids) -> what goes out together with resources of a type that are expunged whole."""


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Versions, newest first; `next` is the cursor of the older ones.

    `total` where it is known; `revived` are those (type, id, version) before which the resource
    was deleted.
    """

    versions: Sequence[Stored]
    next: str | None
    total: int | None = None
    revived: frozenset[tuple[str, str, int]] = frozenset()
