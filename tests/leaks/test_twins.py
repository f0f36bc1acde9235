"""What is withheld looks exactly as if it had never been written, whoever asks and in whatever way.

Each question is asked of a house where persons hold something back, and of its twin without what
they hold back and without their declarations. The answers are the same, and so is the number of
statements that each of them took (in place of a clock).
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from pater.access.caller import Caller
from pater.records.export_walk import ExportTask
from pater.store.embedded import EmbeddedPostgres
from pater.store.files import Files
from tests.conftest import Clock, fresh_database
from tests.leaks.questions import Question, further, questions
from tests.leaks.twins import STATES, House, Item, held, house, normalised, record
from tests.rest.world import BASE

MOMENT = datetime(2026, 5, 15, 9, tzinfo=UTC)
NO_RIGHT = ("another-patient", "another-provider", "emergency", "rescue", "khs", "insurer",
            "researcher", "administrator", "none")  # fmt: skip
_COMPARED = ("etag", "last-modified", "location", "content-location", "content-type", "allow")


@dataclass
class Houses:
    """The house, and its twins: without what is held back, and without records at all."""

    full: House
    veiled: House
    empty: House


@pytest.fixture(scope="module")
async def houses(postgres: EmbeddedPostgres, template: str) -> AsyncIterator[Houses]:
    """Three houses, written in the same order at the same time."""
    kinds: list[tuple[Callable[[str, Item], bool], bool]] = [
        (lambda who, item: True, True),
        (lambda who, item: not held(who, item), False),
        (lambda who, item: False, False),
    ]
    async with AsyncExitStack() as stack:
        made = []
        for kept, declared in kinds:
            db = await stack.enter_async_context(fresh_database(postgres, template))
            clock = Clock(MOMENT)
            made.append(await stack.enter_async_context(house(db, clock, kept, declared=declared)))
        yield Houses(*made)


Answer = tuple[int, dict[str, str], str, int]


async def answers(house: House, question: Question, caller: Caller) -> list[Answer]:
    """The answer of each page, with the statements that it took."""
    found = []
    path = question.path
    while path:
        begun = len(house.statements)
        body = question.body
        if isinstance(body, (dict, list)):
            body = json.dumps(body).encode()
        answer = await house.api.call(question.method, path, body, caller, **question.headers)
        await asyncio.sleep(0)
        took = len(house.statements) - begun
        if question.path == "/" or answer.status_code == 201:
            took = 0  # side by side journals are shared; numbers of rows come by the hundred
        headers = {k: normalised(v) for k, v in answer.headers.items() if k in _COMPARED}
        headers["names"] = " ".join(sorted(answer.headers))
        found.append((answer.status_code, headers, normalised(answer.text), took))
        path = _next(answer) if question.pages else ""
    return found


def _next(answer: httpx.Response) -> str:
    if answer.status_code != 200 or answer.json().get("resourceType") != "Bundle":
        return ""
    links = {each["relation"]: each["url"] for each in answer.json().get("link", ())}
    return str(links.get("next", "")).removeprefix(BASE)


def _difference(first: list[Answer], second: list[Answer]) -> str:
    """What is told first of a difference."""
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        for mine, twins in zip(one, other, strict=True):
            if isinstance(mine, str) and isinstance(twins, str) and mine != twins:
                at = next((i for i, (a, b) in enumerate(zip(mine, twins, strict=False)) if a != b),
                          min(len(mine), len(twins)))  # fmt: skip
                near = slice(max(0, at - 60), at + 100)
                return f"page {number + 1}: …{mine[near]}…\n   …{twins[near]}…"
            if mine != twins:
                return f"page {number + 1}: {mine} {twins}"
    return f"{len(first)} pages, {len(second)} pages"


async def compare(one: House, other: House, role: str, who: str, part: int = 0) -> None:
    """Asks all questions of both, and tells the first ones that are answered differently.

    With `part` only every third question, another third for each part.
    """
    for each in (one, other):
        each.forget()
    different = []
    asked = [*questions(who), *further(who)]
    for question in asked[part % 3 :: 3] if part else asked:
        for _ in range(3):  # a connection that is new asks for itself
            first = await answers(one, question, one.caller(role, who))
            second = await answers(other, question, other.caller(role, who))
            if first == second or [x[:3] for x in first] != [x[:3] for x in second]:
                break
        assert all(status < 500 for status, *_ in first), (question.name, first)
        if first != second:
            different.append(f"{question.name}\n   {_difference(first, second)}")
    assert not different, f"{role}, {who}: {len(different)}\n" + "\n".join(different[:4])


@pytest.mark.parametrize("who", [each for each in STATES if each != "practitioner"])
async def test_a_provider_cannot_tell_what_is_held_back_from_what_never_was(
    houses: Houses, who: str
) -> None:
    part = 0 if who in ("optout", "category") else STATES.index(who)
    await compare(houses.full, houses.veiled, "provider", who, part)


@pytest.mark.parametrize("who", ["practitioner", "category"])
@pytest.mark.parametrize("role", ["clinician", "app"])
async def test_nor_can_a_professional_or_an_app(houses: Houses, role: str, who: str) -> None:
    part = 0 if (role, who) == ("app", "practitioner") else 1 + len(role) + len(who)
    await compare(houses.full, houses.veiled, role, who, part)


async def test_a_declaration_holds_exactly_as_long_as_it_says(houses: Houses) -> None:
    """Before its time and after it nothing is held back; within it nothing is told."""
    full, veiled = houses.full, houses.veiled
    caller = full.caller("provider", "between")

    async def seen(who: str) -> set[int]:
        found = [await full.api.call("GET", f"/{each.type}/{each.id}", caller=caller)
                 for each in record(who)]  # fmt: skip
        return {answer.status_code for answer in found}

    async def rest(page: httpx.Response) -> list[str]:
        found, path = [], _next(page)
        while path:
            page = await full.api.call("GET", path, caller=caller)
            assert page.status_code == 200, page.text
            found += [each["resource"]["id"] for each in page.json().get("entry", ())]
            path = _next(page)
        return found

    await compare(full, veiled, "provider", "ended", 1)
    await compare(full, veiled, "provider", "between", 2)
    assert await seen("later") == await seen("ended") == {200}
    assert await seen("between") == {200, 404}
    began = await full.api.call("GET", "/Observation?patient=later&_count=1&_sort=_id",
                                caller=caller)  # fmt: skip
    assert began.json()["entry"][0]["resource"]["id"] == "lab-later"
    try:
        for house in (full, veiled):
            house.api.clock.move(hours=12)
        await compare(full, veiled, "provider", "later", 1)
        assert await seen("between") == {200}
        assert await seen("later") == {200, 404}
        # pages that began before are shown as it is allowed now
        assert await rest(began) == ["pulse-later"]
    finally:
        for house in (full, veiled):
            house.api.clock.now = MOMENT


@pytest.mark.parametrize("role", NO_RIGHT)
async def test_who_has_no_right_to_a_record_cannot_tell_whether_there_is_one(
    houses: Houses, role: str
) -> None:
    await compare(houses.full, houses.empty, role, "category", NO_RIGHT.index(role))


@pytest.mark.parametrize("who", STATES)
async def test_the_person_sees_all_and_the_questions_would_tell(houses: Houses, who: str) -> None:
    """The suite can fail: asked by the person, the twins do differ in nearly every question."""
    seen, differing = 0, 0
    for question in questions(who)[:60:3]:
        first = await answers(houses.full, question, houses.full.caller("patient", who))
        second = await answers(houses.veiled, question, houses.veiled.caller("patient", who))
        seen += 1
        differing += [each[:3] for each in first] != [each[:3] for each in second]
    assert differing > 1, (seen, differing)
    for each in record(who):
        answer = await houses.full.api.call(
            "GET", f"/{each.type}/{each.id}", caller=houses.full.caller("patient", who)
        )
        assert answer.status_code == 200, each.id


@dataclass
class Stub:
    """The job of an export that nobody else can take."""

    id: str
    state: dict[str, Any]
    done: int = 0
    note: str = ""

    async def checkpoint(self, state: Any, **more: Any) -> None:
        self.state = dict(state)


async def exported(house: House, caller: Caller, who: str, folder: Path, **how: Any) -> Any:
    """The lines of an export of one patient."""
    gate = house.api.gate
    plan = await gate.plan_export(caller, patients=[who])
    files = Files(folder)
    files.make("x") if hasattr(files, "make") else (folder / "x").mkdir(parents=True)
    task = ExportTask(plan, house.api.clock(), how.get("since"))
    result = await gate.export(caller, Stub("x", {}), files, task)  # type: ignore[arg-type]
    lines = {}
    for name, type_, _, count in result["files"]:
        text = (folder / "x" / name).read_text()
        lines[type_] = (count, sorted(normalised(text).splitlines()))
    return lines


@pytest.mark.parametrize("who", ["optout", "category", "document", "restricted"])
async def test_an_export_holds_nothing_that_is_held_back(
    houses: Houses, who: str, tmp_path: Path
) -> None:
    for since in (None, datetime(2020, 1, 1, tzinfo=UTC)):
        found = [
            await exported(each, each.caller("provider", who), who,
                           tmp_path / f"{number}{bool(since)}", since=since)
            for number, each in enumerate((houses.full, houses.veiled))
        ]  # fmt: skip
        assert found[0] == found[1]
        assert "Observation" in found[0]


@pytest.mark.parametrize("who", STATES)
async def test_subscribers_are_told_nothing_that_is_held_back(houses: Houses, who: str) -> None:
    keys = [(each.type, each.id, 1) for each in record(who)] + [("Consent", f"will-{who}", 1)]
    keys += [("Observation", f"lab-{who}", 2), ("Observation", f"gone-{who}", 2)]
    told = []
    for each in (houses.full, houses.veiled):
        shown = await each.api.gate.disclose(each.caller("clinician", who), keys, "Subscription/1")
        told.append({key: normalised(value.body.decode()) for key, value in shown.items()})
    assert told[0] == told[1]
    assert ("Observation", f"pulse-{who}", 1) in told[0]


async def test_the_journal_says_the_true_reason_and_the_person_sees_it(houses: Houses) -> None:
    api = houses.full.api
    caller = houses.full.caller("provider", "category")
    answer = await api.call("GET", "/Observation/lab-category", caller=caller)
    assert answer.status_code == 404
    last = (await api.journal(entity_id="lab-category"))[-1]
    assert (last["reason"], last["person"]) == ("withheld", houses.full.persons["category"])
    mine = await api.call(
        "GET", "/AuditEvent?entity=Observation/lab-category",
        caller=houses.full.caller("patient", "category"),
    )  # fmt: skip
    assert "withheld" in mine.text
