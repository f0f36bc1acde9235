"""Who goes through people by their numbers is noticed, told of, and stopped; care is not."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest
import structlog

from pater.access.policy import shipped
from pater.access.probing import Bound, Probing, alarms, purge, read_bounds
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.world import HOSPITAL, LOADER, World, as_purpose, issues, observation, world

ALARM, MOST = 5, 9
NUMBERS = "https://example.org/numbers"


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    bounds = {"system": Bound(ALARM, MOST), "person": Bound(2, 3)}
    async with world(database, clock, policy=shipped("cz"), probing=Probing(clock, bounds)) as made:
        yield made


async def guess(api: World, number: object, caller=HOSPITAL, path: str = "/Patient") -> int:  # type: ignore[no-untyped-def]
    name = "identifier" if path == "/Patient" else "patient.identifier"
    answer = await api.call("GET", f"{path}?{name}={NUMBERS}|{number}", caller=caller)
    return answer.status_code


async def test_an_alarm_is_a_row_a_line_and_an_entry_once(api: World) -> None:
    with structlog.testing.capture_logs() as lines:
        for number in range(ALARM - 1):
            assert await guess(api, number) == 200
        assert await alarms(api.db, api.clock() - timedelta(hours=1)) == []
        for number in (ALARM, ALARM + 1):
            assert await guess(api, number) == 200
    [alarm] = await alarms(api.db, api.clock() - timedelta(hours=1))
    assert (alarm["kind"], alarm["agent"], alarm["people"]) == ("alarm", HOSPITAL.id, ALARM)
    told = [line for line in lines if line["event"] == "people.probed"]
    assert [line["client"] for line in told] == [HOSPITAL.id]
    [entry] = await api.journal(reason="probing-alarm")
    assert entry["agent"] == HOSPITAL.id and entry["outcome"] == "4" and entry["person"] == 0


async def test_beyond_the_bound_nobody_is_looked_for_any_more_until_time_has_passed(
    api: World,
) -> None:
    patient = await api.patient(identifier=[{"system": NUMBERS, "value": "real"}])
    for number in range(MOST):
        assert await guess(api, number) == 200
    answer = await api.call("GET", f"/Patient?identifier={NUMBERS}|next", caller=HOSPITAL)
    assert answer.status_code == 429 and issues(answer)[0]["code"] == "throttled"
    assert 0 < int(answer.headers["retry-after"]) <= 1801
    # who exists is not told from who does not
    assert await guess(api, "real") == 429
    # others, emergencies and what is known already go on
    assert await guess(api, "real", replace(HOSPITAL, id="another")) == 200
    assert await guess(api, "real", as_purpose(HOSPITAL, "ETREAT")) == 200
    read = await api.call("GET", f"/Patient/{patient['id']}", caller=HOSPITAL)
    assert read.status_code == 200
    assert {each["kind"] for each in await alarms(api.db, api.clock())} == {"alarm", "stopped"}
    api.clock.now += timedelta(hours=1, seconds=1)
    assert await guess(api, "real") == 200


async def test_the_same_question_again_is_one_guess_and_who_is_found_is_none(api: World) -> None:
    patient = await api.patient(identifier=[{"system": NUMBERS, "value": "known"}])
    for _ in range(2 * MOST):
        assert await guess(api, "known") == 200
        assert await guess(api, "unknown") == 200
        read = await api.call("GET", f"/Patient/{patient['id']}", caller=HOSPITAL)
        assert read.status_code == 200
    assert await alarms(api.db, api.clock() - timedelta(hours=1)) == []


async def test_who_is_refused_counts_like_who_does_not_exist(api: World) -> None:
    for number in range(ALARM):
        patient = await api.patient(identifier=[{"system": NUMBERS, "value": f"p{number}"}])
        await api.create(observation(patient["id"]))
        assert await guess(api, f"p{number}", path="/Observation") == 200
    [alarm] = await alarms(api.db, api.clock() - timedelta(hours=1))
    assert alarm["agent"] == HOSPITAL.id


async def test_many_in_one_question_are_many(api: World) -> None:
    many = ",".join(f"{NUMBERS}|{number}" for number in range(MOST))
    assert (
        await api.call("GET", f"/Patient?identifier={many}", caller=HOSPITAL)
    ).status_code == 200
    assert await guess(api, "one") == 429


async def test_addresses_of_patients_are_guesses_too(api: World) -> None:
    for number in range(MOST):
        path = f"/Patient/unknown-{number}" + "/$everything" * (number % 2)
        assert (await api.call("GET", path, caller=HOSPITAL)).status_code == 404
    assert await guess(api, "one") == 429


async def test_a_bundle_says_for_each_entry_that_it_is_too_much(api: World) -> None:
    for number in range(MOST):
        await guess(api, number)
    asked = {"request": {"method": "GET", "url": f"Patient?identifier={NUMBERS}|1"}}
    batch = {"resourceType": "Bundle", "type": "batch", "entry": [asked]}
    answer = await api.call("POST", "", batch, caller=HOSPITAL)
    assert answer.json()["entry"][0]["response"]["status"].startswith("429")


async def test_the_loader_and_people_in_their_own_record_are_not_counted(api: World) -> None:
    for number in range(2 * MOST):
        assert await guess(api, number, LOADER) == 200
    assert await alarms(api.db, api.clock() - timedelta(hours=1)) == []


async def test_old_alarms_go(api: World) -> None:
    for number in range(ALARM):
        await guess(api, number)
    await purge(api.db, api.clock() + timedelta(days=399))
    assert len(await alarms(api.db, api.clock() - timedelta(days=1))) == 1
    await purge(api.db, api.clock() + timedelta(days=401))
    assert await alarms(api.db, api.clock() - timedelta(days=1)) == []


def test_bounds_are_settings() -> None:
    found = read_bounds("system=7/70, person=off")
    assert found == {"system": Bound(7, 70)}
    assert read_bounds("system=7/70", demo=True)["system"] == Bound(7, 70)
    assert read_bounds("", demo=True)["system"].most == 10 * read_bounds("")["system"].most
    for wrong in ("system", "system=2/1", "system=0/1", "moon=1/2", "system=1/99999"):
        with pytest.raises(ValueError, match=r"system|moon"):
            read_bounds(wrong)
