"""Is a history of concurrent operations explained by one register? (Wing and Gong 1993, with memo.)

An operation is an interval: it took effect at one moment between its start and its end, or, when
nobody knows how it ended (the server was killed), at any later moment or never. A history is
linearizable when the operations can be put in an order of such moments that one register, used by
one client, would have answered the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import inf
from typing import Any, TypeAlias

State: TypeAlias = Any


@dataclass(frozen=True, slots=True)
class Operation:
    """What a client asked (`call`) and was answered; `end` is infinite when that is not known."""

    client: int
    call: tuple[Any, ...]
    answer: Any
    start: float
    end: float = inf

    @property
    def known(self) -> bool:
        """Whether the client got an answer."""
        return self.end != inf


Step = Callable[[State, Operation], Iterator[State]]
"""The states that an operation can lead to, none when its answer does not fit the state."""


def linearizable(operations: Sequence[Operation], first: State, step: Step) -> bool:
    """Whether an order explains all known answers; states must be hashable."""
    ops = sorted(operations, key=lambda each: (each.start, each.end))
    wanted = sum(1 << n for n, each in enumerate(ops) if each.known)
    seen: set[tuple[int, State]] = set()
    stack: list[tuple[int, State]] = [(0, first)]
    while stack:
        done, state = stack.pop()
        candidates = _next(ops, done)
        # What changes nothing can as well come now: doing it earlier only leaves the rest freer.
        while calm := [n for n in candidates if ops[n].known and state in step(state, ops[n])]:
            for number in calm:
                done |= 1 << number
            candidates = _next(ops, done)
        if done & wanted == wanted:
            return True
        for number in reversed(candidates):
            for after in step(state, ops[number]):
                place = (done | 1 << number, after)
                if place not in seen:
                    seen.add(place)
                    stack.append(place)
    return False


def _next(ops: Sequence[Operation], done: int) -> list[int]:
    """What can come next: nothing starts before it that has not ended before somebody began."""
    bound = inf
    found = []
    for number in range((~done & (done + 1)).bit_length() - 1, len(ops)):
        if done >> number & 1:
            continue
        if ops[number].start > bound:
            break
        found.append(number)
        bound = min(bound, ops[number].end)
    return [number for number in found if ops[number].start <= bound]


@dataclass(frozen=True, slots=True)
class Versioned:
    """A resource at an address: its version and the value of its last write (0 = absent)."""

    version: int = 0
    value: int | None = None


def versioned(state: Versioned, op: Operation) -> Iterator[Versioned]:
    """The register that a FHIR resource is.

    Calls: ("read",) answered (version, value); ("write", value) and ("cas", expected, value)
    answered the new version, or None when the precondition failed.
    """
    kind = op.call[0]
    if kind == "read":
        if not op.known or op.answer == (state.version, state.value):
            yield state
        return
    after = Versioned(state.version + 1, op.call[-1])
    fits = kind == "write" or op.call[1] == state.version
    if not op.known:
        if fits:
            yield after
    elif op.answer is None:
        if not fits:
            yield state
    elif fits and op.answer == after.version:
        yield after


def versioned_in(history: dict[int, int]) -> Step:
    """As `versioned`, where the history tells which write made each version.

    It leaves an operation without an answer one place or none, so long histories stay quick.
    """

    def step(state: Versioned, op: Operation) -> Iterator[Versioned]:
        for after in versioned(state, op):
            if after == state or history.get(after.version) == after.value:
                yield after

    return step


ANY = "?"
"""The id of what a conditional create made whose answer nobody got."""


def once(state: str, op: Operation) -> Iterator[str]:
    """What stands under one query of conditional creates ("" = nothing yet).

    Call ("create",) answered (made: bool, id); ("search",) answered the ids found.
    """
    if op.call[0] == "search":
        ids = tuple(op.answer) if op.known else ()
        if not op.known or ids == ((state,) if state else ()):
            yield state
        elif state == ANY and len(ids) == 1:
            yield ids[0]
    elif not op.known:
        yield state or ANY
    else:
        made, found = op.answer
        if (made and not state) or (not made and state == ANY):
            yield found
        elif not made and state == found:
            yield state


def backwards(operations: Sequence[Operation]) -> list[str]:
    """Versions that go back: an operation saw less than one that had ended before it began.

    Simpler than linearizability and quick at any length. Answers are (version, value) of reads and
    versions of writes.
    """
    found = []
    known = [op for op in operations if op.known and op.answer is not None]
    ended = sorted(known, key=lambda op: op.end)
    highest, place = 0, 0
    for op in sorted(known, key=lambda op: op.start):
        while place < len(ended) and ended[place].end < op.start:
            highest = max(highest, version_of(ended[place]))
            place += 1
        if version_of(op) < highest:
            found.append(f"client {op.client} saw version {version_of(op)} after {highest}")
    return found


def version_of(op: Operation) -> int:
    """The version that a known operation saw or made."""
    return int(op.answer[0] if op.call[0] == "read" else op.answer)


def contradictions(operations: Sequence[Operation], history: dict[int, int]) -> list[str]:
    """Where the history of a resource (version -> value) is not what the clients saw.

    Versions go from 1 without a gap; whatever was read or acknowledged is there, with its value.
    """
    found = []
    if sorted(history) != list(range(1, len(history) + 1)):
        found.append(f"the versions are {sorted(history)}")
    if len(set(history.values())) != len(history):
        found.append("one write stands in two versions")
    for op in operations:
        if not op.known or op.answer is None:
            continue
        version = version_of(op)
        value = op.answer[1] if op.call[0] == "read" else op.call[-1]
        if version and history.get(version) != value:
            found.append(f"version {version} was {value} and is {history.get(version)}")
    return found
