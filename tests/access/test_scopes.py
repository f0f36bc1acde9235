"""SMART scopes are read strictly: nothing is widened by guessing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access.scopes import (
    LETTERS,
    Scope,
    ScopeError,
    allows,
    at_least,
    covers,
    narrowing,
    parse_scope,
)

CATEGORY = "category=http://terminology.hl7.org/CodeSystem/observation-category|laboratory"


def test_scopes_of_both_releases() -> None:
    assert parse_scope("system/*.rs") == Scope("system", "*", "rs")
    assert parse_scope("patient/Observation.read") == Scope("patient", "Observation", "rs")
    assert parse_scope("user/Patient.write").letters == "cud"
    assert parse_scope("user/Patient.*").letters == "cruds"


@pytest.mark.parametrize(
    "text",
    ["", "openid", "system/*", "system/*.", "system/*.sr", "system/*.rr", "System/*.r",
     "system/observation.r", "system/*.r ", "system/*.x",
     "system/Pa tient.r", "launch/Patient.r", "system/*.r\n", "system/*.readx"],
)  # fmt: skip
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(ScopeError):
        parse_scope(text)


@given(st.text(max_size=40))
def test_any_text_is_a_scope_or_an_error(text: str) -> None:
    try:
        assert set(parse_scope(text).letters) <= set(LETTERS)
    except ScopeError:
        assert not allows([text], "system", "Patient", LETTERS)


def test_registered_scopes_add_up_but_never_stretch() -> None:
    held = ("system/*.rs", "system/Bundle.c")
    assert covers(held, "system/Bundle.crs")
    assert covers(held, "system/Observation.s")
    assert not covers(held, "system/Observation.c")
    assert not covers(held, "system/*.crs")
    assert not covers(("system/Bundle.rs",), "system/*.rs")
    assert not covers(held, "user/*.r")


def test_search_arguments_are_part_of_a_scope() -> None:
    found = parse_scope(f"patient/Observation.rs?{CATEGORY}&code=1-8,2%2C3")
    assert (found.context, found.type, found.letters) == ("patient", "Observation", "rs")
    assert dict(found.arguments) == {
        "category": CATEGORY.partition("=")[2],
        "code": "1-8,2,3",
    }
    assert parse_scope("system/*.rs?_security=x|R").arguments == (("_security", "x|R"),)


@pytest.mark.parametrize(
    "query",
    ["", "&", "category", "category=", "unknown=1", "_count=3", "_sort=date", "patient.name=x",
     "_has:Provenance:target:agent=1", "_include=Observation:patient", "date=yesterday",
     "code:exact=1",
     "code:text=x", "_filter=code eq 1", "_text=x", "_content=x", "code:in=urn:x", "code:below=1",
     "code-value-quantity=1$2", "category=a&&code=b", "_id=" + "a" * 65, "category=a b",
     "category=%ff",
     "&".join(f"code={n}" for n in range(11))],
)  # fmt: skip
def test_arguments_that_cannot_be_held_to_are_refused(query: str) -> None:
    with pytest.raises(ScopeError):
        parse_scope(f"system/Observation.rs?{query}")


def test_arguments_of_every_type_and_of_none() -> None:
    with pytest.raises(ScopeError):
        parse_scope("system/*.rs?category=laboratory")  # not every type has one
    with pytest.raises(ScopeError):
        parse_scope("system/Nothing.rs?_id=1")
    with pytest.raises(ScopeError):
        parse_scope("system/Observation.read?category=laboratory")  # a word of SMART 1


def test_a_narrow_scope_covers_itself_and_what_is_narrower() -> None:
    narrow = f"system/Observation.rs?{CATEGORY}"
    assert covers((narrow,), narrow)
    assert covers((narrow,), f"system/Observation.s?code=1-8&{CATEGORY}")
    assert covers(("system/*.rs",), narrow)
    assert covers(("system/*.rs?_tag=a",), "system/Patient.r?_tag=a")
    assert not covers((narrow,), "system/Observation.rs")
    assert not covers((narrow,), "system/Observation.rs?category=vital-signs")
    assert not covers((narrow,), f"system/Observation.cruds?{CATEGORY}")
    assert not covers((narrow,), "system/*.rs?_tag=a")


def observation(category: str) -> dict[str, object]:
    system = CATEGORY.partition("=")[2].partition("|")[0]
    return {
        "resourceType": "Observation",
        "category": [{"coding": [{"system": system, "code": category}]}],
    }


def test_narrowing_is_of_letters_and_of_the_bearer() -> None:
    held = (f"system/Observation.rs?{CATEGORY}", "system/Observation.c", "user/Patient.rs?_id=1")
    read = narrowing(held, "system", "r")
    assert read is not None and not read.touches("Patient")
    assert read.holds("Observation", observation("laboratory"))
    assert not read.holds("Observation", observation("vital-signs"))
    assert narrowing(held, "system", "c") is None
    assert narrowing((*held, "system/*.r"), "system", "r") is None
    person = narrowing(held, "person", "r")
    assert person is not None and person.holds("Observation", observation("vital-signs"))
    assert not person.holds("Patient", {"resourceType": "Patient", "id": "2"})
    assert narrowing(("system/*.rs",), "system", "r") is None


def test_a_bundle_is_within_only_with_all_its_parts() -> None:
    read = narrowing(("system/*.rs", f"system/Observation.c?{CATEGORY}"), "system", "c")
    assert read is not None
    for category, within in (("laboratory", True), ("vital-signs", False)):
        inner = {"resourceType": "Bundle", "entry": [{"resource": observation(category)}]}
        outer = {"resourceType": "Bundle", "entry": [{"resource": inner}, {}]}
        assert read.holds("Bundle", outer) is within


@given(st.text(alphabet="abc=&|?%:,._-/ é", max_size=40))
def test_any_query_is_read_or_refused(query: str) -> None:
    try:
        found = parse_scope(f"system/Observation.rs?{query}")
    except ScopeError:
        return
    assert found.arguments


def test_the_same_arguments_are_one_filter() -> None:
    held = (f"system/Observation.rs?{CATEGORY}", "system/*.rs?_tag=a")
    assert narrowing(held, "system", "r") is narrowing(held, "system", "s")
    read = narrowing(held, "system", "r")
    assert read is not None
    tagged = {"meta": {"tag": [{"code": "a"}]}}
    assert read.holds("Patient", {"resourceType": "Patient", **tagged})
    assert not read.holds("Patient", {"resourceType": "Patient"})
    assert read.holds("Observation", observation("laboratory"))
    assert read.holds("Observation", {**observation("vital-signs"), **tagged})


SMALL = st.builds(
    "system/{}.{}{}".format,
    st.sampled_from(["Observation", "Patient", "*"]),
    st.sampled_from(["rs", "r", "s", "cruds"]),
    st.sampled_from(
        ["", "?_tag=a", "?_tag=b", "?_tag=a,b", "?_id=1&_tag=a", "?_tag:not=a", "?_id=1"]
    ),
)


@given(st.lists(SMALL, min_size=1, max_size=3), SMALL)
def test_what_is_granted_is_never_more_than_what_is_held(held: list[str], wanted: str) -> None:
    if not covers(held, wanted):
        return
    for letter in "cruds":
        for type_ in ("Observation", "Patient", "Device"):
            if not allows([wanted], "system", type_, letter):
                continue
            assert allows(held, "system", type_, letter)
            got, limit = (narrowing(tuple(s), "system", letter) for s in ((wanted,), held))
            for id in ("1", "2"):
                for tags in ((), ("a",), ("b",), ("a", "b")):
                    meta = {"tag": [{"code": each} for each in tags]}
                    resource = {"resourceType": type_, "id": id, "meta": meta}
                    if got is None or got.holds(type_, resource):
                        assert limit is None or limit.holds(type_, resource)


def test_a_token_of_less_is_less() -> None:
    narrow = f"system/Observation.rs?{CATEGORY}"
    assert at_least(("system/*.rs", "openid"), ("system/Patient.r", narrow, "fhirUser"))
    assert at_least((narrow,), (narrow,))
    assert not at_least((narrow,), ("system/Observation.r",))
    assert not at_least((), ("system/Patient.r",))
