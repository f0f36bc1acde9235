"""What held of a person from when to when: insurance and registering providers, of many sources."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pater.registers.held import INSURER, insurances, registerings
from pater.registers.identifiers import ICO, INSURED_NUMBER
from pater.registers.surviving import REGISTERING, Said, Source, joined, survive, without

NUMBER = "8556150020"
MAY = datetime(2026, 5, 1, 8, 0, tzinfo=UTC)
GP, DENTIST = "700232004", "722176000"


def insured(insurer: str, start: str = "", end: str = "", number: str = NUMBER) -> dict[str, Any]:
    made: dict[str, Any] = {
        "system": INSURED_NUMBER, "value": number,
        "assigner": {"identifier": {"system": INSURER, "value": insurer}},
    }  # fmt: skip
    period = {name: said for name, said in (("start", start), ("end", end)) if said}
    return made | ({"period": period} if period else {})


def registered(name: str, field: str, **period: str) -> dict[str, Any]:
    whom = {"display": name, "identifier": {"system": ICO, "value": "27520536"}}
    parts: list[dict[str, Any]] = [
        {"url": "value", "valueReference": whom},
        {"url": "category", "valueCodeableConcept": {"coding": [
            {"system": "http://snomed.info/sct", "code": field}]}},
    ]  # fmt: skip
    if period:
        parts.append({"url": "period", "valuePeriod": period})
    return {"url": REGISTERING, "extension": parts}


def said(
    *numbers: Any,
    name: str = "27520536",
    since: datetime = MAY,
    reference: bool = False,
    **more: Any,
) -> Said:
    patient = {"resourceType": "Patient", "identifier": list(numbers), **more}
    return Said(Source(name, "https://a.example/mrn", "1", reference), patient, since)


def spans(rows: Any) -> list[tuple[str, str, str]]:
    return [(each.insurer, each.start[:10], each.end[:10]) for each in rows]


def test_a_change_of_insurer_ends_what_was_before_on_the_day_before() -> None:
    now = [said(insured("207", "2026-01-01"), since=MAY)]
    past = [(said(insured("111", "2010-01-01"), since=MAY - timedelta(days=900)), MAY)]
    rows = insurances({}, now, past)
    assert spans(rows) == [("207", "2026-01-01", ""), ("111", "2010-01-01", "2025-12-31")]
    assert rows[0].name == "Oborová zdravotní pojišťovna" and rows[0].source == "provider"
    for day, insurer in (("2025-12-31", "111"), ("2026-01-01", "207"), ("2009-12-31", None)):
        at = insurances({}, now, past, date.fromisoformat(day))
        assert [each.insurer for each in at] == ([insurer] if insurer else [])


def test_a_whole_history_told_at_once_keeps_its_periods() -> None:
    told = [insured("111", "1990-01-01", "2004-12-31"), insured("207", "2005-01-01", "2009-12-31"),
            insured("111", "2010-01-01")]  # fmt: skip
    before = said(*told, since=MAY - timedelta(days=9))  # as now; something else was changed
    rows = insurances({}, [said(*told)], [(before, MAY)])
    assert spans(rows) == [
        ("111", "2010-01-01", ""), ("207", "2005-01-01", "2009-12-31"),
        ("111", "1990-01-01", "2004-12-31"),
    ]  # fmt: skip


def test_who_says_the_same_again_goes_on_saying_it() -> None:
    early, later = MAY - timedelta(days=60), MAY - timedelta(days=30)
    past = [(said(insured("111"), since=early), later), (said(insured("111"), since=later), MAY)]
    assert spans(insurances({}, [said(insured("111"))], past)) == [("111", "2026-03-02", "")]
    # a period that is told at last counts
    exact = insurances({}, [said(insured("111", "2001-01-01"))], past)
    assert spans(exact) == [("111", "2001-01-01", "")]
    # and who came back has been away
    away = [(said(insured("111"), since=early), later), (said(insured("207"), since=later), MAY)]
    assert spans(insurances({}, [said(insured("111"))], away)) == [
        ("111", "2026-05-01", ""), ("207", "2026-04-01", "2026-05-01"),
        ("111", "2026-03-02", "2026-04-01"),
    ]  # fmt: skip


def test_on_one_day_a_reference_register_is_believed_first() -> None:
    now = [said(insured("207", "2026-01-01"), name="27520536"),
           said(insured("111", "2020-01-01"), name="ZP", reference=True)]  # fmt: skip
    assert [each.insurer for each in insurances({}, now, [], date(2026, 5, 2))] == ["111", "207"]


def test_what_only_the_register_holds_is_there_too() -> None:
    master = {"identifier": [insured("111", "2000-01-01", number="8556150021"), insured("207")]}
    rows = insurances(master, [said(insured("207", "2010-01-01"))], [])
    assert [(each.number, each.insurer, each.source) for each in rows] == [
        (NUMBER, "207", "provider"), ("8556150021", "111", "KRP"),
    ]  # fmt: skip


def test_each_field_of_care_has_its_provider_from_different_sources() -> None:
    gp = said(name="27520536", extension=[registered("Praktik", GP)])
    dentist = said(name="00064203", since=MAY + timedelta(days=1),
                   extension=[registered("Zubař", DENTIST, start="2024-02-01")])  # fmt: skip
    country = {"url": "urn:x", "valueString": "CZE"}
    basic = said(name="ROB", reference=True, extension=[country])
    master = survive(None, [gp, dentist, basic])
    assert country in master["extension"] and len(master["extension"]) == 3
    rows = registerings(master, [gp, dentist, basic], [])
    assert [(each.name, each.field, each.start[:10]) for each in rows] == [
        ("Praktik", GP, "2026-05-01"), ("Zubař", DENTIST, "2024-02-01"),
    ]  # fmt: skip
    # who tells anew who the practitioner is ends the former; the dentist stays
    moved = said(name="27520536", since=MAY + timedelta(days=9),
                 extension=[registered("Nový", GP, start="2026-05-05")])  # fmt: skip
    master = survive(master, [moved, dentist, basic])
    assert {each.name for each in registerings(master, (), ())} == {"Nový", "Zubař"}
    history = registerings(master, [moved, dentist, basic], [(gp, moved.received)])
    assert ("Praktik", "2026-05-04") in [(each.name, each.end) for each in history]
    on_day = registerings(master, [moved, dentist], [(gp, moved.received)], date(2026, 5, 2))
    assert {each.name for each in on_day} == {"Praktik", "Zubař"}
    # nobody says any longer who the dentist is
    assert {each.name for each in registerings(survive(master, [moved, basic]), (), ())} == {"Nový"}


def test_a_merge_joins_the_fields_of_care_and_a_split_parts_them() -> None:
    gp = said(name="27520536", extension=[registered("Praktik", GP)])
    dentist = said(name="00064203", extension=[registered("Zubař", DENTIST)])
    both = joined(survive(None, [gp]), survive(None, [dentist]), MAY)
    assert {each.field for each in registerings(both, (), ())} == {GP, DENTIST}
    assert {each.field for each in registerings(without(both, [dentist]), (), ())} == {GP}


_DAYS = st.one_of(st.just(""), st.dates(date(1990, 1, 1), date(2030, 1, 1)).map(str))


@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from(["111", "207"]), _DAYS, _DAYS), max_size=3), max_size=4
    ),
    st.dates(date(1990, 1, 1), date(2030, 1, 1)),
)
def test_a_day_shows_what_holds_and_nothing_is_made_up(told: Any, day: date) -> None:
    sayings = [
        said(*(insured(*each) for each in numbers), since=MAY + timedelta(days=place))
        for place, numbers in enumerate(told)
    ]
    now = sayings[-1:]
    past = [(each, each.received + timedelta(days=1)) for each in sayings[:-1]]
    rows = insurances({}, now, past)
    assert {each.insurer for each in rows} == {each[0] for numbers in told for each in numbers}
    held = insurances({}, now, past, day)
    assert set(held) <= set(rows)
    for each in held:
        assert each.start[:10] <= day.isoformat() and (not each.end or each.end >= day.isoformat())
