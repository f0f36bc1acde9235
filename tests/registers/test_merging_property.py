"""Whatever was written, and in whatever order persons are merged: undo restores exactly, and while
they are one everything is found through either."""

from __future__ import annotations

import asyncio
from itertools import combinations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.registers.merging_world import (
    HOSPITAL,
    REGISTRAR,
    Resource,
    Ward,
    consent,
    coverage,
    large,
    observation,
    same,
)

WHO = st.integers(0, 2)
WRITES = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["pulse", "consent", "coverage", "care", "account"]), WHO),
        st.tuples(st.sampled_from(["document", "change", "delete", "leave"]), WHO),
    ),
    max_size=7,
)
MERGES = st.lists(st.permutations(range(3)).map(lambda order: (order[0], order[1])), max_size=3)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("pulse"), WHO),
        st.tuples(st.just("pulse"), WHO),
        st.tuples(st.just("change"), WHO),
        st.tuples(st.just("delete"), WHO),
        st.tuples(st.just("list"), WHO),
        st.tuples(st.just("merge"), WHO, WHO),
        st.tuples(st.just("undo"), WHO),
    ),
    min_size=4,
    max_size=12,
)


class Story:
    """Three persons and what happens to them; `home` says for whom an observation was written."""

    def __init__(self, ward: Ward, much: bool = False) -> None:
        self.ward = ward
        self.much = much  # whether every record is too large to be moved at once
        self.people: list[tuple[str, str]] = []
        self.home: dict[str, str] = {}
        self.lists: dict[str, str] = {}  # of nobody, by whom they name
        self.acts: list[tuple[str, str, str]] = []  # act, survivor, merged

    async def begin(self) -> None:
        for name in ("Bílá", "Černá", "Modrá"):
            self.people.append(await self.ward.somebody(name))
            patient = self.people[-1][1]
            for each in await self.ward.found(f"Observation?patient={patient}"):
                self.home[each] = patient

    def patient(self, who: int) -> str:
        return self.people[who][1]

    async def write(self, what: str, who: int) -> None:
        ward, patient = self.ward, self.patient(who)
        mine = sorted(key for key, home in self.home.items() if home == patient)
        match what:
            case "pulse":
                self.home[await ward.create(observation(patient, len(self.home)))] = patient
            case "consent":
                await ward.create(consent(patient))
            case "coverage":
                await ward.create(coverage(patient))
            case "care":
                await ward.create(encounter(patient))
            case "list" if self.led(patient) == patient:  # else it would be written as the other's
                entry = [{"item": {"reference": f"Patient/{patient}"}}]
                made = {"resourceType": "List", "status": "current", "mode": "working"}
                self.lists[await ward.create({**made, "entry": entry})] = patient
            case "account":
                await ward.account(f"login-{patient}", patient)
            case "document":
                await ward.document(self.people[who][0])
            case "change" if mine:
                body = await ward.get(f"Observation/{mine[0]}")
                body["valueQuantity"]["value"] = 33
                answer = await ward.call("PUT", f"Observation/{mine[0]}", json=body)
                assert answer.status_code == 200, answer.text
            case "delete" if mine:
                await ward.call("DELETE", f"Observation/{mine[-1]}")
                del self.home[mine[-1]]
            case "leave":
                await ward.get(f"Patient/{patient}", HOSPITAL)

    async def merge(self, one: str, other: str) -> None:
        with large(self.much):
            act = await self.ward.merging.merge(REGISTRAR, one, other, "one person")
            assert bool(act.job) is self.much
            await self.ward.done(act)
        self.acts.append((act.id, one, other))

    async def undo(self) -> None:
        with large(self.much):
            act = await self.ward.merging.undo(REGISTRAR, self.acts.pop()[0])
            assert (await self.ward.done(act)).undone

    def led(self, patient: str) -> str:
        """The Patient whom a Patient leads to."""
        to = {other: one for _, one, other in self.acts}
        while patient in to:
            patient = to[patient]
        return patient

    async def check(self) -> None:
        """Everything is found through either, and nothing through others."""
        for _, patient in self.people:
            together = {p for _, p in self.people if self.led(p) == self.led(patient)}
            wanted = sorted(key for key, home in self.home.items() if home in together)
            path = f"Observation?patient={patient}&_count=200"
            assert await self.ward.found(path) == wanted, (patient, self.acts)
            named = sorted(key for key, whom in self.lists.items() if whom in together)
            path = f"List?item=Patient/{patient}&_count=200"
            assert await self.ward.found(path) == named, (patient, self.acts)
            path = f"Patient?_id={patient}&_revinclude=Observation:patient"
            assert await self.ward.found(path) == sorted([*wanted, patient]), (patient, self.acts)


def encounter(patient: str) -> Resource:
    """A hospital has somebody in care: a relation of care."""
    return {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "serviceProvider": {
            "identifier": {"system": "https://ncez.mzcr.cz/fhir/sid/ico", "value": "27520536"}
        },
    }


@pytest.mark.parametrize("much", [False, True], ids=["at-once", "by-a-job"])
@settings(
    max_examples=7, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(writes=WRITES, merges=MERGES)
async def test_undo_restores_exactly(
    ward: Ward, much: bool, writes: list[tuple[str, int]], merges: list[tuple[int, int]]
) -> None:
    story = Story(ward, much)
    await story.begin()
    for what, who in writes:
        await story.write(what, who)
    pictures = []
    for first, second in merges:
        one, other = story.led(story.patient(first)), story.led(story.patient(second))
        if one != other:
            pictures.append(await ward.picture())
            await story.merge(one, other)
    for before in reversed(pictures):
        await story.undo()
        assert same(before, await ward.picture()) == []


@pytest.mark.parametrize("much", [False, True], ids=["at-once", "by-a-job"])
@settings(
    max_examples=7, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
async def test_everything_is_found_through_either_at_every_step(
    ward: Ward, much: bool, steps: list[tuple[str, int, int] | tuple[str, int]]
) -> None:
    story = Story(ward, much)
    await story.begin()
    for what, who, *more in steps:
        if what == "undo":
            if story.acts:
                await story.undo()
        elif what == "merge":
            one, other = story.led(story.patient(who)), story.led(story.patient(more[0]))
            if one != other:
                await story.merge(one, other)
        else:
            await story.write(what, who)
        await story.check()
    while story.acts:
        await story.undo()
        await story.check()
    # who was merged and parted is apart again, whatever was written meanwhile
    for one, other in combinations([patient for _, patient in story.people], 2):
        assert await ward.person(one) != await ward.person(other)
    await asyncio.sleep(0)
