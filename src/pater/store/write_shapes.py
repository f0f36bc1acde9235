"""What is asked to be written, what came of it, and why not."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from pater.store.journal import JournalEntry

Method = Literal["POST", "PUT", "DELETE", "PATCH"]


@dataclass(frozen=True, slots=True)
class Put:
    """One resource to write; `resource` None deletes it.

    `person` is the compartment it belongs to (0 = nobody's). `raw` bytes are stored exactly as
    they are (nothing injected), the index still made from `resource`. `expected`: 0 = must not
    exist (a deleted one does not), n = must be the current version n, None = whatever is there.
    `method` POST promises that a version-4 UUID `id` was made freshly for this put; `fresh`
    promises it of any other id (one derived from such a UUID). `label` says of what kind it is
    (see `fhir.labels`), None = category and confidentiality as its content tells them; when it
    names no document, provider and document of what is replaced stay.
    """

    type: str
    id: str
    person: int
    resource: dict[str, Any] | None
    raw: bytes | None = None
    expected: int | None = None
    method: Method = "PUT"
    fresh: bool = False
    label: int | None = None


@dataclass(frozen=True, slots=True)
class Claim:
    """A business key to be held once. Holding it already for the same person and target is fine.

    With `replace` it changes its holder to this person and target; with `instead` only while it
    is held by that target.
    """

    key: bytes
    person: int
    target: str
    replace: bool = False
    instead: str = ""


@dataclass(frozen=True, slots=True)
class Statement:
    """A further statement of the same transaction; its SQL is a constant of the program."""

    sql: str
    args: tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class WriteSet:
    """What is written wholly or not at all. A resource stands in it once.

    `back` are persons who led to somebody else and no longer do once it is written.
    """

    puts: list[Put] = field(default_factory=list)
    claims: list[Claim] = field(default_factory=list)
    statements: list[Statement] = field(default_factory=list)
    journal: list[JournalEntry] = field(default_factory=list)
    back: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Written:
    """A version as it was written. `body` is empty after a deletion.

    Deleting what is not there (any more) writes nothing and gives the tombstone's version, or 0.
    """

    type: str
    id: str
    version: int
    updated: datetime
    created: bool
    body: bytes


class VersionConflict(Exception):  # noqa: N818 it says what is so
    """The current version is not the expected one; `current` None = there is none."""

    def __init__(self, type: str, id: str, current: int | None) -> None:
        super().__init__(f"{type}/{id} is at version {current}")
        self.type = type
        self.id = id
        self.current = current


class ClaimTaken(Exception):  # noqa: N818 it says what is so
    """Somebody else holds the key; `person` and `target` are the holder's."""

    def __init__(self, key: bytes, person: int, target: str) -> None:
        super().__init__(f"claim {key.hex()} is taken by {target}")
        self.key = key
        self.person = person
        self.target = target


class PersonMoved(Exception):  # noqa: N818 it says what is so
    """The persons lead to others by now: what shall be written belongs there."""

    def __init__(self, persons: set[int]) -> None:
        super().__init__("the record was merged with another one")
        self.persons = persons
