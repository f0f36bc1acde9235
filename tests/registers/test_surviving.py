"""What is held to be true out of several sources; how somebody was at a date."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.validation import validate
from pater.registers.as_of import view
from pater.registers.identifiers import RID
from pater.registers.surviving import (
    SAID,
    Said,
    Source,
    disputed,
    joined,
    origin,
    survive,
    text_of,
    without,
)

START = datetime(2026, 1, 1, tzinfo=UTC)
Resource = dict[str, Any]


def said(
    source: str, day: int, /, *, reference: bool = False, doubt: str = "", **patient: Any
) -> Said:
    return Said(
        Source(source, "https://hospital.example/mrn", "1", reference),
        {"resourceType": "Patient", **patient},
        START + timedelta(days=day),
        disputed=frozenset({doubt} if doubt else ()),
    )


def called(family: str, **more: Any) -> list[Resource]:
    return [{"family": family, "given": ["Eva"], **more}]


def names(patient: Resource) -> dict[str, Any]:
    return {each["family"]: each.get("use") for each in patient.get("name", ())}


def test_the_newest_wins_and_the_former_stays_with_an_end() -> None:
    made = survive(None, [said("a", 1, name=called("Stará")), said("b", 5, name=called("Nová"))])
    assert names(made) == {"Nová": None, "Stará": "old"}
    assert made["name"][1]["period"] == {"end": "2026-01-06"}
    assert [origin(each) for each in made["name"]] == ["b", "a"]


def test_a_reference_register_is_not_overruled() -> None:
    made = survive(
        None,
        [
            said("rob", 1, reference=True, birthDate="1970-05-06", name=called("Pravá")),
            said("b", 9, birthDate="1970-06-05", gender="female", name=called("Křivá")),
        ],
    )
    assert made["birthDate"] == "1970-05-06" and made["gender"] == "female"
    assert names(made) == {"Pravá": None, "Křivá": "usual"}
    [extension] = made["_birthDate"]["extension"]
    assert extension["url"] == SAID
    parts = {each["url"]: each for each in extension["extension"]}
    assert parts["source"]["valueString"] == "rob" and parts["reference"]["valueBoolean"] is True


def test_what_is_disputed_stands_back() -> None:
    made = survive(
        None,
        [said("a", 1, birthDate="1970-05-06"), said("b", 9, doubt="birthDate", birthDate="1980")],
    )
    assert made["birthDate"] == "1970-05-06"
    marked = disputed(made, "birthDate", open=True)
    assert "disputed" in str(marked["_birthDate"])
    assert disputed(marked, "birthDate", open=False) == made


def test_what_is_disputed_stays_so_whoever_says_it_anew() -> None:
    first = [said("a", 1, birthDate="1970-05-06", name=called("Stará"))]
    marked = survive(None, first)
    for attribute in ("birthDate", "name"):
        marked = disputed(marked, attribute, open=True)
    # said again by the same source, which tells something else too, and by another one
    anew = [said("a", 3, birthDate="1970-05-06", name=called("Stará"), gender="female"),
            said("b", 4, birthDate="1970-05-06", name=called("Stará"))]  # fmt: skip
    made = survive(marked, anew)
    assert "disputed" in str(made["_birthDate"]) and "disputed" in str(made["name"])
    assert "disputed" not in str(made["_gender"])
    # what is said otherwise is believed, and not disputed
    other = [*anew, said("c", 2, birthDate="1970-06-05", name=called("Nová"))]
    made = survive(marked, other)
    assert made["birthDate"] == "1970-06-05" and made["name"][0]["family"] == "Nová"
    assert "disputed" not in str(made["_birthDate"]) + str(made["name"][0])
    # decided: nothing is left of it
    clean = marked
    for attribute in ("birthDate", "name"):
        clean = disputed(clean, attribute, open=False)
    assert "disputed" not in str(survive(clean, anew))


def test_numbers_of_hospitals_stay_with_them() -> None:
    mrn = {"system": "https://hospital.example/mrn", "value": "77"}
    card = {"system": "https://hl7.cz/fhir/sid/idcard-CZE", "value": "123456789"}
    base = {"identifier": [{"system": RID, "value": "2066425387"}]}
    made = survive(base, [said("a", 1, identifier=[mrn, card])])
    assert [each["value"] for each in made["identifier"]] == ["2066425387", "123456789"]


def test_what_a_source_no_longer_says_is_former_and_what_others_brought_stays() -> None:
    before = survive({"name": called("Z dokumentu")}, [said("a", 1, name=called("Stará"))])
    now = survive(before, [said("a", 5, name=called("Nová"))])
    assert names(now) == {"Nová": None, "Stará": "old", "Z dokumentu": "usual"}
    told = [said("a", 1, name=called("Stará")), said("a", 5, name=called("Nová"))]
    assert names(without(now, told)) == {"Z dokumentu": "usual"}


def test_a_patient_does_not_tell_which_provider_said_it() -> None:
    made = survive(None, [said("12345679", 1, name=called("Nová"), birthDate="1970-05-06")])
    assert "12345679" not in str(made) and "provider" in str(made)


def test_joined_keeps_the_survivor_and_adds_the_other_as_former() -> None:
    one = {"name": called("Jedna"), "birthDate": "1970-05-06", "telecom": [{"value": "1"}]}
    other = {"name": called("Druhá"), "birthDate": "1971", "gender": "female"}
    made = joined(one, other, START)
    assert names(made) == {"Jedna": None, "Druhá": "old"}
    assert made["birthDate"] == "1970-05-06" and made["gender"] == "female"
    assert joined(made, other, START) == made
    assert text_of(made, "name") == "Jedna Eva"


def test_as_of_a_date() -> None:
    wedding = Said(
        Source("rob", "x", "1", True),
        {"resourceType": "Patient", "name": called("Vdaná")},
        START + timedelta(days=60),
        valid_from=START + timedelta(days=30),
    )
    before = said("a", 1, name=called("Svobodná"))
    master = survive(None, [before, wedding])
    assert names(view(master, [before, wedding], date(2026, 6, 1))) == {"Vdaná": None}
    was = names(view(master, [before, wedding], date(2026, 1, 15)))
    assert "Svobodná" in was and "Vdaná" not in was
    dead = {"deceasedDateTime": "2026-05-01T10:00:00Z"}
    assert view(dead, [], date(2026, 4, 30)) == {}
    assert view(dead, [], date(2026, 5, 1)) == dead


PATIENTS = st.fixed_dictionaries(
    {},
    optional={
        "name": st.lists(
            st.fixed_dictionaries(
                {"family": st.sampled_from(["A", "B", "Č"]), "given": st.just(["Eva"])},
                optional={"use": st.sampled_from(["official", "old", "usual"])},
            ),
            min_size=1, max_size=3,
        ),
        "birthDate": st.sampled_from(["1970-05-06", "1971"]),
        "gender": st.sampled_from(["male", "female"]),
        "deceasedBoolean": st.booleans(),
        "telecom": st.lists(
            st.fixed_dictionaries(
                {"system": st.just("phone"), "value": st.sampled_from(["1", "2 3", "23"])}
            ),
            min_size=1, max_size=3,
        ),
        "address": st.lists(
            st.fixed_dictionaries({"city": st.sampled_from(["Brno", "Zlín"])}),
            min_size=1, max_size=2,
        ),
    },
)  # fmt: skip
SAYING = st.builds(
    lambda name, day, reference, patient: said(name, day, reference=reference, **patient),
    st.sampled_from(["a", "b", "rob"]),
    st.integers(0, 5),
    st.booleans(),
    PATIENTS,
)


@given(st.lists(SAYING, max_size=4), st.randoms())
def test_the_order_of_the_sources_does_not_matter_and_again_changes_nothing(
    told: list[Said], random: Any
) -> None:
    told = list({each.source.name: each for each in told}.values())
    base = {"resourceType": "Patient", "identifier": [{"system": RID, "value": "2066425387"}]}
    made = survive(base, told)
    other = [*told]
    random.shuffle(other)
    assert survive(base, other) == made
    assert survive(made, told) == made
    assert made["identifier"] == base["identifier"]
    assert not [each for each in validate(made) if each.severity in ("error", "fatal")]
    for attribute in ("birthDate", "gender"):
        values = {each.patient.get(attribute) for each in told} - {None}
        assert (made.get(attribute) in values) if values else attribute not in made
    families = {n["family"] for each in told for n in each.patient.get("name", ())}
    assert set(names(made)) == families  # nobody's name is lost
