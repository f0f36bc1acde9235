"""Which facilities near a place offer something and are open: checked against looking at all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.domains.directory.demo.country import places, resources
from pater.records.changes import Change
from pater.registers.providers.hours import (
    WEEK,
    closed_times,
    is_open,
    joined,
    minute_of_week,
    read_hours,
    spans,
)
from pater.registers.providers.nearby import Wish, find
from pater.registers.providers.plane import DEGREE, distance, flat, skew
from pater.registers.providers.rebuilding import rebuild
from tests.directory.conftest import HOSPITAL, LOADER, PLACES, Desk, as_

DAY = datetime(2026, 11, 23, 9, 0, tzinfo=UTC)  # Monday 10:00 in Prague
NIGHT = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)  # Tuesday 1:30
HERE = "50.1|14.4"


async def test_the_nearest_that_offers_it_and_is_open(desk: Desk) -> None:
    await desk.take(PLACES)

    async def asked(query: str) -> list[str]:
        body = await desk.get(f"HealthcareService/$nearby?{query}")
        return [
            e["resource"]["id"] for e in body.get("entry", ()) if e["search"]["mode"] == "match"
        ]

    assert await asked(f"near={HERE}&service=kardiologie") == ["place-1001", "place-1002"]
    assert await asked(f"near={HERE}|10|km&service=kardiologie") == ["place-1001"]
    assert await asked(f"near={HERE}&service=kardiologie&open=2026-11-23T10:00:00%2B01:00") == [
        "place-1001"
    ]
    # Tuesday 1:30: from Monday evening until 2:00
    assert await asked(f"near={HERE}&service=kardiologie&open=2026-11-24T01:30:00%2B01:00") == [
        "place-1002"
    ]
    assert await asked(f"near={HERE}&open=2026-11-24T03:30:00%2B01:00") == ["place-1003"]
    assert await asked("service=urn:pater:field-of-care|kardiologie&text=lhot") == ["place-1002"]
    assert await asked("service=urn:other|kardiologie") == []
    assert await asked("text=podles") == ["place-1002", "place-1001"]  # by name
    body = await desk.get(f"HealthcareService/$nearby?near={HERE}&service=kardiologie")
    far = body["entry"][1]["search"]["extension"][0]["valueDistance"]
    assert far["unit"] == "km" and far["value"] == pytest.approx(11.12, abs=0.01)
    included = [e["resource"] for e in body["entry"] if e["search"]["mode"] == "include"]
    assert {each["resourceType"] for each in included} == {"HealthcareService"}


async def test_what_changes_is_found_changed(desk: Desk) -> None:
    await desk.take(PLACES)
    service = await desk.get("HealthcareService/service-1001-kardiologie")
    period = {"start": "2026-11-23", "end": "2026-11-23"}
    service["notAvailable"] = [{"description": "Úklid", "during": period}]
    await desk.call("PUT", f"/fhir/HealthcareService/{service['id']}", LOADER, json=service)
    place = await desk.get("Location/place-1003")
    place["position"] = {"latitude": 50.11, "longitude": 14.4}
    await desk.call("PUT", "/fhir/Location/place-1003", LOADER, json=place)
    await desk.call("DELETE", "/fhir/HealthcareService/service-1002-kardiologie", LOADER)
    await desk.follow()

    async def found(code: str, moment: datetime | None) -> list[str]:
        wish = Wish((50.1, 14.4), None, code, "", moment)
        return [each.place for each in await find(desk.db, wish)]

    assert await found("kardiologie", DAY) == []
    assert await found("kardiologie", DAY + timedelta(days=1)) == ["place-1001"]
    assert await found("", NIGHT) == ["place-1003"]
    await desk.take(PLACES[:2], accept=True)  # the pharmacy is over
    assert await found("", NIGHT) == []
    before = await desk.db.fetch("select * from provider_offer order by code, service")
    await desk.db.execute("delete from provider_offer")
    assert await rebuild(desk.db) > 5
    assert await desk.db.fetch("select * from provider_offer order by code, service") == before


async def test_a_random_country_is_answered_as_by_looking_at_all(desk: Desk) -> None:
    made = list(places(3, 400))
    changes = [
        Change("update", each["resourceType"], each["id"], each) for each in resources(3, 400, 0)
    ]
    for first in range(0, len(changes), 200):
        await desk.house.gate.commit(LOADER, changes[first : first + 200])
    await desk.follow()
    chance = Random(5)
    weeks = {each.key: spans(each.hours) for each in made}
    for _ in range(40):
        at = (chance.uniform(48.5, 51.0), chance.uniform(12.1, 18.8))
        moment = DAY + timedelta(minutes=chance.randrange(WEEK))
        field = chance.choice(["kardiologie", "lékárenská péče", "zubní lékařství"])
        within = chance.choice([None, 30_000.0, 200_000.0])
        code = {"lékárenská péče": "lekarenska-pece", "zubní lékařství": "zubni-lekarstvi"}.get(
            field, field
        )
        found = await find(desk.db, Wish(at, within, code, "", moment, (), 7))
        expected = sorted(
            (distance(at, (each.lat or 0, each.lon or 0)), f"place-{each.key}")
            for each in made
            if field in each.fields and is_open(weeks[each.key], moment)
        )
        near = [(far, place) for far, place in expected if far <= (within or 1e9)][:7]
        assert [(pytest.approx(each.metres), each.place) for each in found] == near


@pytest.mark.parametrize(
    "query",
    ["near=x", "near=99|14", "near=50|200", "near=50.1|14.4|0", "near=50.1|14.4|9999999|km",
     "service=", "service=urn:x|", "open=yesterday", "_count=0", "_count=201", "text=%26%7C",
     "kind=x", "near=50|14&near=50|15", "near=50|14|5|miles"],
)  # fmt: skip
async def test_what_cannot_be_asked_is_refused_with_its_place(desk: Desk, query: str) -> None:
    answer = await desk.call("GET", f"/fhir/HealthcareService/$nearby?{query}")
    assert answer.status_code == 400, answer.text
    [issue] = answer.json()["issue"]
    assert issue["expression"]


async def test_words_cannot_reach_the_language_of_the_index(desk: Desk) -> None:
    await desk.take(PLACES)
    for text in ("a:*|b", "'", "\\", "!nemocnice", "podlesí & (", "ž" * 5000, "<->"):
        answer = await desk.call("GET", "/fhir/HealthcareService/$nearby", params={"text": text})
        assert answer.status_code in (200, 400), text


async def test_who_may_not_read_the_register_is_not_answered(desk: Desk) -> None:
    await desk.take(PLACES)
    for caller in (as_(HOSPITAL, role="none"), as_(HOSPITAL, scopes=("system/Patient.rs",))):
        answer = await desk.call("GET", f"/fhir/HealthcareService/$nearby?near={HERE}", caller)
        assert answer.status_code == 403


async def test_the_index_is_used(desk: Desk) -> None:
    from pater.registers.providers import nearby

    await desk.take(PLACES)
    async with desk.db.transaction() as connection:
        await connection.execute("set local enable_seqscan = off")
        sql, *args = nearby._nearest(
            Wish((50.1, 14.4), 5_000.0, "", "", DAY), (50.1, 14.4), 5_000.0, 20
        )
        rows = await connection.fetch(f"explain {sql}", *args)
        plan = "\n".join(row[0] for row in rows)
    assert "provider_offer_at" in plan, plan


hours = st.lists(
    st.fixed_dictionaries(
        {
            "daysOfWeek": st.lists(
                st.sampled_from(["mon", "tue", "wed", "thu", "fri", "sat", "sun"]), min_size=1
            ),
            "availableStartTime": st.times().map(lambda t: t.strftime("%H:%M:00")),
            "availableEndTime": st.times().map(lambda t: t.strftime("%H:%M:00")),
        }
    ),
    max_size=4,
)


@given(hours, st.integers(0, WEEK - 1))
def test_a_minute_is_open_when_one_of_the_hours_says_so(
    available: list[dict[str, Any]], minute: int
) -> None:
    monday = datetime(2026, 11, 22, 23, 0, tzinfo=UTC)
    moment = monday + timedelta(minutes=minute)
    assert minute_of_week(moment) == minute
    days = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

    def said(each: dict[str, Any]) -> bool:
        first, last = (
            int(each[name][:2]) * 60 + int(each[name][3:5])
            for name in ("availableStartTime", "availableEndTime")
        )
        if first == last:
            return False
        last = 1440 if last == 1439 else last
        day, clock = divmod(minute, 1440)
        today, before = days[day], days[day - 1]
        if last > first:
            return today in each["daysOfWeek"] and first <= clock < last
        return (today in each["daysOfWeek"] and clock >= first) or (
            before in each["daysOfWeek"] and clock < last
        )

    week = spans(available)
    assert is_open(week, moment) == any(map(said, available))
    assert week == joined(week)


def test_hours_as_people_write_them() -> None:
    assert spans(read_hours("Po-Pá 7:00-15:00, 16:00-18:00; So 8.00–12.00"))[0] == (420, 900)
    assert spans(read_hours("nonstop")) == ((0, WEEK),)
    assert spans(read_hours("Ne 22:00-6:00")) == ((0, 360), (WEEK - 120, WEEK))
    assert read_hours("pá-po 1:00-2:00")[0]["daysOfWeek"] == ["mon", "fri", "sat", "sun"]
    for text in ("stále", "Po", "7:00-8:00", "Xx 7:00-8:00", "Po 25:00-26:00", "Po 7:00"):
        with pytest.raises(ValueError):
            read_hours(text)


@pytest.mark.parametrize("text", ["x", "2026-13", "2026-11-23T10:00", None, "9999-12-31"])
def test_times_that_cannot_be_read_close_nothing(text: Any) -> None:
    assert closed_times([{"during": {"start": text, "end": text}}]) == ()


@given(st.floats(48.5, 51.1), st.floats(12, 19), st.floats(48.5, 51.1), st.floats(12, 19))
def test_the_plane_never_shows_a_place_farther_than_it_says(
    lat: float, lon: float, other_lat: float, other_lon: float
) -> None:
    true = distance((lat, lon), (other_lat, other_lon))
    (x, y), (u, v) = flat(lat, lon), flat(other_lat, other_lon)
    planar = ((x - u) ** 2 + (y - v) ** 2) ** 0.5 * DEGREE
    assert planar <= true * skew(lat, true) + 0.01
