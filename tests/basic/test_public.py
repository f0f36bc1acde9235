"""Addresses and businesses: kept while they are valid, and longer while the register is down."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.registers.basic import Down, Unusable
from pater.registers.basic.secrets import Pseudonyms
from pater.registers.basic.told import (
    read_address,
    read_business,
    read_changes,
    read_mandate,
    read_person,
)
from tests.basic.conftest import Linked
from tests.conftest import Clock

PERSON = {
    "pseudonym": "p", "family": "Nováková", "given": "Eva", "birthDate": "1980-02-01",
    "gender": "female", "address": "41000001", "deathDate": "2020-01-01",
    "documents": [{"type": "idcard", "country": "CZE", "number": "1"}],
}  # fmt: skip
MANDATE = {
    "id": "1", "kind": "delegated", "organization": "27520536", "agent": "p",
    "since": "2026-01-01T00:00:00+01:00", "services": ["submit"],
}  # fmt: skip


async def test_an_address_is_checked_and_completed(linked: Linked, clock: Clock) -> None:
    code, known = next(iter(linked.state.addresses.items()))
    said = (await linked.basic.public.address(code)).value
    assert said is not None and (said.city, said.postal_code) == (
        known["city"],
        known["postalCode"],
    )
    assert (await linked.basic.public.address("999999999")).value is None
    linked.asked.clear()
    for wrong in ("x", "", "-1", "1" * 10, "../ros", "٣"):
        assert (await linked.basic.public.address(wrong)).value is None
    await linked.basic.public.address(code)
    await linked.basic.public.address("999999999")
    assert not linked.asked  # kept, that there is none too
    clock.move(hours=2)
    await linked.basic.public.address("999999999")
    assert len(linked.asked) == 1


async def test_a_business_and_what_it_was_while_the_register_is_down(
    linked: Linked, clock: Clock
) -> None:
    ico, known = next(iter(linked.state.businesses.items()))
    first = await linked.basic.public.business(ico)
    assert first.value is not None and first.value.name == known["name"] and first.fresh
    linked.state.businesses[ico] = {**known, "ended": "2026-01-31"}
    assert (await linked.basic.public.business(ico)).value == first.value
    clock.move(days=2)
    linked.state.modes["ros"] = "wrong"
    stale = await linked.basic.public.business(ico)
    assert stale.value == first.value and not stale.fresh
    with pytest.raises(Down):
        await linked.basic.public.business("64949681")
    linked.state.modes["ros"] = "ok"
    again = (await linked.basic.public.business(ico)).value
    assert again is not None and again.ended == date(2026, 1, 31)
    assert (await linked.basic.public.business("12345678")).value is None  # no IČO
    health = (await linked.basic.breaker.shown())["ros"]
    assert (health.asked, health.wrong, health.spared) == (3, 2, 1)
    clock.move(days=200)
    await linked.basic.public.tidy()
    assert await linked.db.fetchval("select count(*) from basic_answer") == 0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
    max_leaves=5,
)


@given(data=st.data())
def test_an_odd_answer_is_refused_as_a_whole_or_read(data: st.DataObject) -> None:
    readers: list[tuple[Any, dict[str, Any]]] = [
        (read_person, PERSON),
        (read_mandate, MANDATE),
        (lambda v: read_address(v, "1"), {"code": "1", "city": "A", "postalCode": "1",
                                          "houseNumber": "1"}),
        (lambda v: read_business(v, "27520536"), {"ico": "27520536", "name": "A"}),
        (lambda v: read_changes(v, 2), {"changes": [1], "cursor": "1"}),
    ]  # fmt: skip
    read, good = data.draw(st.sampled_from(readers))
    read(good)
    odd = {**good, data.draw(st.sampled_from(sorted(good))): data.draw(JSON)}
    for answer in (odd, data.draw(JSON)):
        try:
            read(answer)
        except Unusable as error:
            assert "Nov" not in str(error)


def test_a_mandate_names_exactly_whom_its_kind_needs() -> None:
    for wrong in (
        {"kind": "parent"}, {"person": "q"}, {"organization": None}, {"organization": "12345678"},
        {"kind": "king"}, {"since": "2026-01-01T00:00:00"}, {"since": None}, {"agent": ""},
        {"services": "submit"}, {"until": "soon"},
    ):  # fmt: skip
        with pytest.raises(Unusable):
            read_mandate({**MANDATE, **wrong})


@given(st.text(min_size=1), st.text(min_size=1))
def test_pseudonyms_are_hashed_and_sealed(one: str, other: str) -> None:
    names, others = Pseudonyms(b"a" * 32), Pseudonyms(b"b" * 32)
    assert names.open(names.seal(one)) == one and names.seal(one) != names.seal(one)
    assert (names.key(one) == names.key(other)) == (one == other)
    assert names.key(one) != others.key(one)
