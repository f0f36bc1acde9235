"""A public health office has powers where people live, and over those of its own measures."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access.caller import Caller
from pater.access.explaining import Asked, explain
from pater.access.policy import shipped
from pater.access.standing import DatabaseStanding
from pater.access.territories import lives_in, region_of, territory_of
from pater.registers.identifiers import check_ico
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.world import World, observation, world

ICO = "https://ncez.mzcr.cz/fhir/sid/ico"
BRNO, PRAGUE = "71009191", "71009256"
OFFICE = Caller(
    kind="system", id="khs-brno", name="KHS", role="khs", organization=BRNO, purpose="PUBHLTH",
    strength=3, scopes=("system/*.rs",),
)  # fmt: skip
NOW = datetime(2026, 6, 1, 12, tzinfo=UTC)
_KHS = shipped("cz").territories


def test_each_region_has_its_office_and_each_office_its_region() -> None:
    assert len(_KHS) == 14 and all(check_ico(ico).ok for ico in _KHS)
    regions = [territory_of(named).regions for named in _KHS.values()]
    assert all(len(each) == 1 for each in regions) and len(frozenset().union(*regions)) == 14
    assert shipped("declared").territories == _KHS


@pytest.mark.parametrize(
    ("postcode", "region"),
    [
        ("602 00", "CZ064"), ("11000", "CZ010"), ("25001", "CZ020"), ("370 01", "CZ031"),
        ("301 00", "CZ032"), ("360 01", "CZ041"), ("400 01", "CZ042"), ("460 01", "CZ051"),
        ("511 01", "CZ051"), ("500 02", "CZ052"), ("530 02", "CZ053"), ("586 01", "CZ063"),
        ("393 01", "CZ063"), ("674 01", "CZ063"), ("779 00", "CZ071"), ("760 01", "CZ072"),
        ("702 00", "CZ080"), ("792 01", "CZ080"), ("793 76", "CZ071"), ("999 99", ""),
        ("", ""), ("6020", ""), ("602000", ""), ("ABCDE", ""), ("６０２００", ""),
    ],
)  # fmt: skip
def test_a_postcode_is_in_a_region(postcode: str, region: str) -> None:
    assert region_of(postcode) == region


def _lives(*addresses: dict[str, Any], named: str = "CZ064", **patient: Any) -> bool:
    return lives_in(territory_of([named]), {"address": list(addresses), **patient}, NOW)


def test_where_somebody_lives() -> None:
    brno = {"postalCode": "602 00", "city": "Brno"}
    assert _lives(brno) and _lives(brno, named="jihomoravský KRAJ")
    assert _lives({"state": "Jihomoravsky kraj"}) and _lives({"state": "CZ064"})
    assert _lives({"state": "Zlínský kraj"}, brno)
    assert not _lives() and not _lives({"city": "Brno"}) and not _lives(brno, named="CZ010")
    assert not _lives({**brno, "state": "Zlínský kraj"}), "what is said goes before the postcode"
    assert not _lives({**brno, "country": "SK"}) and _lives({**brno, "country": "CZ"})
    assert not _lives(brno, active=False)


@pytest.mark.parametrize("use", ["work", "old", "billing"])
def test_where_somebody_works_or_used_to_live_is_not_where_they_live(use: str) -> None:
    assert not _lives({"postalCode": "602 00", "use": use})
    assert _lives({"postalCode": "602 00", "use": "temp"})


def test_an_address_holds_for_its_period() -> None:
    here = {"postalCode": "602 00"}
    assert not _lives({**here, "period": {"end": "2026-05-31"}})
    assert _lives({**here, "period": {"start": "2026-06-01", "end": "2026-06-01"}})
    assert not _lives({**here, "period": {"start": "2026-06-02"}})
    assert not _lives({**here, "type": "postal"})


_json = st.recursive(
    st.none() | st.booleans() | st.text(max_size=6) | st.sampled_from(["602 00", "old", "CZ064"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=8,
)
_names = st.sampled_from(["state", "country", "postalCode", "use", "period", "type", "start"])


@given(st.lists(st.dictionaries(_names, _json), max_size=3) | _json)
def test_whatever_stands_in_an_address(address: Any) -> None:
    assert lives_in(territory_of(["CZ064"]), {"address": address}, NOW) in (True, False)


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    async with world(database, clock, policy=shipped("cz")) as made:
        yield made


async def _visible(api: World, patient: str, caller: Caller = OFFICE) -> bool:
    answer = await api.call("GET", f"/Patient?_id={patient}", caller=caller)
    assert answer.status_code == 200, answer.text
    return bool(answer.json().get("entry"))


async def test_an_office_sees_people_of_its_region_and_nobody_else(api: World) -> None:
    here = (await api.patient(address=[{"postalCode": "602 00"}]))["id"]
    there = (await api.patient(address=[{"postalCode": "110 00"}]))["id"]
    assert await _visible(api, here) and not await _visible(api, there)
    prague = replace(OFFICE, id="khs-praha", organization=PRAGUE)
    assert await _visible(api, there, prague) and not await _visible(api, here, prague)
    assert not await _visible(api, here, replace(OFFICE, organization="12345679"))
    # a provider with the same number has no such powers
    provider = replace(OFFICE, role="provider-system", purpose="TREAT")
    await api.create(observation(here))
    found = await api.call("GET", f"/Observation?patient={here}", caller=provider)
    assert not found.json().get("entry")
    # who moves away is the next office's
    moved = {
        "resourceType": "Patient",
        "id": here,
        "name": [{"family": "Nováková", "given": ["Eva"]}],
        "address": [{"postalCode": "602 00", "use": "old"}, {"postalCode": "110 00"}],
    }
    assert (await api.call("PUT", f"/Patient/{here}", moved)).status_code == 200
    assert not await _visible(api, here) and await _visible(api, here, prague)


def _flag(patient: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Flag",
        "status": "active",
        "code": {"coding": [{"system": "http://snomed.info/sct", "code": "40174006"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "author": {"identifier": {"system": ICO, "value": BRNO}},
        **elements,
    }


async def test_a_measure_opens_a_person_elsewhere_for_as_long_as_it_holds(
    api: World, clock: Clock
) -> None:
    patient = (await api.patient(address=[{"postalCode": "110 00"}]))["id"]
    assert not await _visible(api, patient)
    other = {"coding": [{"system": "http://snomed.info/sct", "code": "1"}]}
    await api.create(_flag(patient, code=other))
    assert not await _visible(api, patient), "only an order of isolation or quarantine does"
    end = (clock() + timedelta(days=10)).isoformat()
    made = await api.create(_flag(patient, period={"end": end}))
    assert await _visible(api, patient)
    assert not await _visible(api, patient, replace(OFFICE, organization="71009248"))
    person = await api.person_of(patient)
    standing = DatabaseStanding(api.db, clock, _KHS)
    seen = await standing.seen(OFFICE, person, clock())
    said = await standing.said(OFFICE, person, clock())
    asked = Asked(OFFICE, "search", "Patient", person, clock(), seen, said)
    told = "\n".join(explain(shipped("cz"), asked, "en"))
    assert f"Relation outbreak: Flag/{made['id']}" in told
    clock.move(days=11)
    assert not await _visible(api, patient)
