"""The checker of histories: it accepts what one register explains, and refuses planted faults."""

from __future__ import annotations

import random
from dataclasses import replace
from itertools import permutations
from math import inf
from typing import Any

import pytest
from bench.linear import (
    Operation,
    State,
    Step,
    Versioned,
    backwards,
    contradictions,
    linearizable,
    once,
    versioned,
    versioned_in,
)
from hypothesis import given, settings
from hypothesis import strategies as st


def op(call: tuple[Any, ...], answer: Any, start: float, end: float = inf) -> Operation:
    return Operation(0, call, answer, start, end)


def good(ops: list[Operation]) -> bool:
    return linearizable(ops, Versioned(), versioned)


def test_one_after_the_other() -> None:
    ops = [
        op(("read",), (0, None), 0, 1),
        op(("write", 7), 1, 2, 3),
        op(("read",), (1, 7), 4, 5),
        op(("cas", 1, 8), 2, 6, 7),
        op(("cas", 1, 9), None, 8, 9),
        op(("read",), (2, 8), 10, 11),
    ]
    assert good(ops)
    assert not backwards(ops)
    assert not contradictions(ops, {1: 7, 2: 8})


LOST = [op(("write", 7), 1, 0, 1), op(("read",), (0, None), 2, 3)]
STALE = [
    op(("write", 7), 1, 0, 1),
    op(("write", 8), 2, 2, 3),
    op(("read",), (2, 8), 4, 5),
    op(("read",), (1, 7), 6, 7),
]
BOTH_WON = [
    op(("write", 7), 1, 0, 1), op(("cas", 1, 8), 2, 2, 5), op(("cas", 1, 9), 2, 2, 5),
]  # fmt: skip
REFUSED_THOUGH_RIGHT = [op(("write", 7), 1, 0, 1), op(("cas", 1, 8), None, 2, 3)]
TOOK_EFFECT_BEFORE_IT_BEGAN = [op(("read",), (1, 7), 0, 1), op(("write", 7), 1, 2, 3)]
UNDONE = [
    op(("write", 7), 1, 0, 1),
    op(("write", 8), None, 2),  # killed: perhaps
    op(("read",), (2, 8), 3, 4),  # it was
    op(("read",), (1, 7), 5, 6),  # and is not any more
]
OUT_OF_NOTHING = [op(("write", 7), 1, 0, 1), op(("read",), (2, 99), 2, 3)]
NUMBER_GIVEN_TWICE = [
    op(("write", 7), 1, 0, 1), op(("write", 8), None, 2), op(("read",), (2, 8), 3, 4),
    op(("write", 9), 2, 5, 6),
]  # fmt: skip


@pytest.mark.parametrize(
    "ops",
    [
        LOST, STALE, BOTH_WON, REFUSED_THOUGH_RIGHT, TOOK_EFFECT_BEFORE_IT_BEGAN, UNDONE,
        OUT_OF_NOTHING, NUMBER_GIVEN_TWICE,
    ],
)  # fmt: skip
def test_planted_faults_are_found(ops: list[Operation]) -> None:
    assert not good(ops)


def test_what_nobody_knows_may_have_happened_or_not_but_not_both() -> None:
    unknown = op(("write", 8), None, 2)
    before = [op(("write", 7), 1, 0, 1), unknown]
    assert good([*before, op(("read",), (1, 7), 3, 4)])
    assert good([*before, op(("read",), (2, 8), 3, 4)])
    assert good([*before, op(("read",), (1, 7), 3, 4), op(("read",), (2, 8), 5, 6)])
    assert not good([*before, op(("read",), (2, 8), 3, 4), op(("read",), (1, 7), 5, 6)])


def test_versions_that_go_back_or_lack_are_found() -> None:
    assert backwards(STALE)
    assert backwards(LOST)
    assert not backwards(BOTH_WON)
    fine = [op(("write", 7), 1, 0, 1), op(("cas", 1, 8), 2, 2, 3)]
    assert not contradictions(fine, {1: 7, 2: 8})
    for history in ({1: 7}, {1: 7, 2: 9}, {1: 7, 3: 8}, {2: 8}, {1: 7, 2: 8, 3: 8}, {}):
        assert contradictions(fine, history), history


def test_conditional_creates_make_one() -> None:
    def made(ops: list[Operation]) -> bool:
        return linearizable(ops, "", once)

    first, second = op(("create",), (True, "a"), 0, 2), op(("create",), (False, "a"), 1, 3)
    assert made([first, second, op(("search",), ("a",), 4, 5)])
    assert not made([first, op(("create",), (True, "b"), 1, 3)])
    assert not made([first, op(("search",), (), 4, 5)])
    assert not made([first, op(("search",), ("a", "b"), 4, 5)])
    assert not made([op(("create",), (False, "a"), 0, 1), op(("create",), (True, "a"), 2, 3)])
    lost = op(("create",), None, 0)
    assert made([lost, op(("create",), (True, "b"), 1, 2)])
    assert made([lost, op(("create",), (False, "b"), 1, 2), op(("search",), ("b",), 3, 4)])
    assert not made([lost, op(("create",), (False, "b"), 1, 2), op(("search",), ("c",), 3, 4)])


@st.composite
def histories(draw: st.DrawFn) -> list[Operation]:
    """Few operations with few values, so that both verdicts are common."""
    ops = []
    for number in range(draw(st.integers(1, 5))):
        call = draw(
            st.sampled_from([("read",), ("write", number + 1), ("cas", 0, number + 1),
                             ("cas", 1, number + 1)])
        )  # fmt: skip
        start = draw(st.integers(0, 6))
        known = draw(st.integers(0, 4)) > 0
        end = start + draw(st.integers(1, 4)) if known else inf
        if call[0] == "read":
            answer: Any = draw(
                st.sampled_from([(0, None), *((v, w) for v in (1, 2) for w in range(1, 6))])
            )
        else:
            answer = draw(st.sampled_from([1, 1, 2, 2, 3, None]))
            answer = 1 if answer is None and call[0] == "write" else answer
        ops.append(op(call, answer if known else None, start, end))
    return ops


def brute(ops: list[Operation], first: State, step: Step) -> bool:
    """Tries every order of every choice of the unknown ones."""
    for size in range(len(ops) + 1):
        for order in permutations(ops, size):
            if any(each.known and each not in order for each in ops):
                continue
            if any(
                order[later].end < order[earlier].start
                for earlier in range(size)
                for later in range(earlier + 1, size)
            ):
                continue
            states = {first}
            for each in order:
                states = {after for state in states for after in step(state, each)}
            if states:
                return True
    return False


@settings(max_examples=300, deadline=None)
@given(histories())
def test_it_says_the_same_as_trying_everything(ops: list[Operation]) -> None:
    assert good(ops) is brute(ops, Versioned(), versioned)


def simulated(
    seed: int, count: int = 3000, clients: int = 8
) -> tuple[list[Operation], dict[int, int]]:
    """A true history of a register with overlapping clients, some of whom get no answer."""
    history: dict[int, int] = {}
    rng = random.Random(seed)
    state = Versioned()
    free = [0.0] * clients
    ops: list[Operation] = []
    for moment in range(count):
        client = rng.randrange(clients)
        if free[client] > moment:
            continue
        kind = rng.choice(["read", "write", "cas"])
        call: tuple[Any, ...] = (kind,)
        if kind == "write":
            call = ("write", moment + 1)
        elif kind == "cas":
            call = ("cas", state.version - rng.choice((0, 0, 1)), moment + 1)
        start, end = moment - rng.random() * 3, moment + rng.random() * 3
        free[client] = end + 3
        answer: Any = None
        if kind == "read":
            answer = (state.version, state.value)
        elif kind == "write" or call[1] == state.version:
            state = Versioned(state.version + 1, call[-1])
            history[state.version] = call[-1]
            answer = state.version
        if kind != "read" and rng.random() < 0.03:
            ops.append(Operation(client, call, None, start, inf))
        else:
            ops.append(Operation(client, call, answer, start, end))
    return ops, history


@pytest.mark.parametrize("seed", range(5))
def test_long_true_histories_are_accepted_and_one_changed_answer_is_not(seed: int) -> None:
    ops, history = simulated(seed)
    step = versioned_in(history)
    assert linearizable(ops, Versioned(), step)
    assert not backwards(ops)
    assert not contradictions(ops, history)
    rng = random.Random(seed)
    reads = [n for n, each in enumerate(ops) if each.call[0] == "read" and each.answer[0] > 2]
    for number in rng.sample(reads, 3):
        version, value = ops[number].answer
        changed = list(ops)
        changed[number] = replace(ops[number], answer=(version, value + 10_000))
        assert not linearizable(changed, Versioned(), step)
        assert contradictions(changed, history)
