"""FHIRPath Patch does what R4 says: the public cases both ways, and our own."""

from __future__ import annotations

import io
import json
import re
import tarfile
from itertools import pairwise
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.fhir import xml
from pater.fhir.json import parse
from pater.fhir.patch import PatchError, apply, difference, read_patch
from tests.shared_data import load, r4_examples, shared

Case = tuple[str, str, dict[str, Any], dict[str, Any], dict[str, Any] | None]


def cases() -> list[Case]:
    with tarfile.open(fileobj=io.BytesIO(shared("patch.tgz").read_bytes())) as archive:
        member = archive.extractfile("patch/fhir-patch-tests.xml")
        assert member
        text = member.read().decode()
    # narratives are written with line ends: parsers keep them, so does the expectation
    found: list[Case] = []
    for case in ElementTree.fromstring(text).findall("case"):
        parts = {
            name: xml.parse(ElementTree.tostring(holder[0]))
            for name in ("input", "diff", "output")
            if (holder := case.find(name)) is not None and len(holder)
        }
        found.append(
            (
                case.attrib["name"],
                case.attrib["mode"],
                parts["input"],
                parts["diff"],
                parts.get("output"),
            )
        )
    return found


def plain(resource: dict[str, Any]) -> Any:
    """Comparable: narratives without the prefixes and blanks in which the test file wraps them."""

    def tidy(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: tidy(each) for key, each in value.items()}
        if isinstance(value, list):
            return [tidy(each) for each in value]
        if isinstance(value, str) and "<" in value:
            value = re.sub(r"(</?)\w+:", r"\1", value)
            value = re.sub(r"xmlns(:\w+)?=", "xmlns=", value)
            return re.sub(r"\s+", " ", value).replace("&quot;", '"').strip()
        return value

    return tidy(json.loads(json.dumps(resource, default=str)))


def test_the_public_cases_forwards() -> None:
    done = 0
    for name, _, before, patch, after in cases():
        if after is None:
            with pytest.raises(PatchError):
                apply(before, read_patch(patch))
        else:
            assert plain(apply(before, read_patch(patch))) == plain(after), name
        done += 1
    assert done >= 30


def test_the_public_cases_as_a_difference() -> None:
    done = 0
    for name, mode, before, patch, after in cases():
        if mode != "both" or after is None:
            continue
        assert plain(difference(before, after)) == plain(patch), name
        done += 1
    assert done >= 25


def test_a_difference_makes_one_example_of_another() -> None:
    """Over the examples of the specification, neighbours of a type, in both directions."""
    by_type: dict[str, list[dict[str, Any]]] = {}
    for body in r4_examples().values():
        if len(body) < 15_000:
            resource = parse(body)
            if "resourceType" not in resource:
                continue
            by_type.setdefault(resource["resourceType"], []).append(resource)
    done = 0
    for found in by_type.values():
        for one, other in pairwise(found[:5]):
            for old, new in ((one, other), (other, one)):
                patch = difference(old, new)
                # what one parser wrote another reads
                sent = json.loads(json.dumps(patch, default=str))
                assert sent["resourceType"] == "Parameters"
                assert difference(apply(old, read_patch(patch)), new) == {
                    "resourceType": "Parameters"
                }, (old["id"], new["id"])
                done += 1
    assert done > 150


def operation(kind: str, path: str, value: Any = None, key: str = "value", **parts: Any) -> Any:
    """One operation; `value` under `key`, other parts as strings or integers."""
    listed = [{"name": "type", "valueCode": kind}, {"name": "path", "valueString": path}]
    for name, each in parts.items():
        kind_of = "valueInteger" if isinstance(each, int) else "valueString"
        listed.append({"name": name, kind_of: each})
    if value is not None:
        listed.append({"name": "value", key: value})
    return {"name": "operation", "part": listed}


def patched(resource: dict[str, Any], *operations: Any) -> dict[str, Any]:
    return apply(resource, read_patch({"resourceType": "Parameters", "parameter": [*operations]}))


PATIENT: dict[str, Any] = {
    "resourceType": "Patient",
    "active": True,
    "birthDate": "1980-02-01",
    "name": [
        {"use": "official", "family": "Nováková", "given": ["Eva", "Jana"]},
        {"use": "maiden", "family": "Malá"},
    ],
    "telecom": [{"system": "phone", "value": "1"}, {"system": "email", "value": "1"}],
}


def test_a_path_may_filter() -> None:
    done = patched(
        PATIENT,
        operation("replace", "Patient.name.where(use = 'maiden').family", "Bílá", "valueString"),
        operation("delete", "Patient.telecom.where(system = 'phone')"),
        operation("add", "Patient.name.first()", "M", "valueString", name="given"),
        operation("replace", "Patient.active", False, "valueBoolean"),
    )
    assert done["name"][1]["family"] == "Bílá"
    assert done["telecom"] == [{"system": "email", "value": "1"}]
    assert done["name"][0]["given"] == ["Eva", "Jana", "M"]
    assert done["active"] is False
    assert PATIENT["name"][1]["family"] == "Malá"


def test_equal_values_are_told_apart() -> None:
    done = patched(PATIENT, operation("delete", "Patient.telecom.last().value"))
    assert done["telecom"] == [{"system": "phone", "value": "1"}, {"system": "email"}]


def test_primitives_keep_what_extends_them() -> None:
    absent = {"extension": [{"url": "http://example.org/x", "valueCode": "unknown"}]}
    given = {"resourceType": "Patient", "name": [{"given": ["A", "B"], "_given": [None, absent]}]}
    moved = patched(given, operation("move", "Patient.name[0].given", source=1, destination=0))
    assert moved["name"] == [{"given": ["B", "A"], "_given": [absent, None]}]
    gone = patched(given, operation("delete", "Patient.name[0].given[1]"))
    assert gone["name"] == [{"given": ["A"]}]
    name = operation("insert", "Patient.name.given", "C", "valueString", index=0)
    inserted = patched(given, name)
    assert inserted["name"] == [{"given": ["C", "A", "B"], "_given": [None, None, absent]}]
    extension = operation("add", "Patient.birthDate", name="extension")
    parts = [{"name": "url", "valueUri": "http://example.org/x"},
             {"name": "value", "valueCode": "unknown"}]  # fmt: skip
    extension["part"].append({"name": "value", "part": parts})
    added = patched(PATIENT, extension)
    assert added["_birthDate"] == absent
    back = patched(added, operation("delete", "Patient.birthDate.extension[0]"))
    assert back == PATIENT


def test_a_choice_changes_its_type() -> None:
    given = {"resourceType": "Observation", "valueQuantity": {"value": 1}}
    done = patched(given, operation("replace", "Observation.value", "x", "valueString"))
    assert done == {"resourceType": "Observation", "valueString": "x"}
    true = operation("add", "Observation", True, "valueBoolean", name="value")
    added = patched({"resourceType": "Observation"}, true)
    assert added == {"resourceType": "Observation", "valueBoolean": True}
    with pytest.raises(PatchError):
        patched(given, operation("add", "Observation", "x", "valueString", name="value"))


def test_a_resource_goes_into_another() -> None:
    device = {"resourceType": "Device", "id": "d"}
    done = patched(
        {"resourceType": "Observation"},
        operation("add", "Observation", name="contained")
        | {
            "part": [
                {"name": "type", "valueCode": "add"},
                {"name": "path", "valueString": "Observation"},
                {"name": "name", "valueString": "contained"},
                {"name": "value", "resource": device},
            ]
        },
        operation("replace", "Observation.contained[0].id", "e", "valueId"),
    )
    assert done["contained"] == [{"resourceType": "Device", "id": "e"}]
    assert device["id"] == "d"


@pytest.mark.parametrize(
    "one",
    [
        operation("add", "Patient", "1990-01-01", "valueDate", name="birthDate"),
        operation("add", "Patient.contact", "male", "valueCode", name="gender"),
        operation("add", "Patient", "x", "valueString", name="colour"),
        operation("add", "Patient", {"text": "x"}, "valueHumanName", name="birthDate"),
        operation("add", "Patient.name", "x", "valueString", name="text"),
        operation("replace", "Patient.gender", "male", "valueCode"),
        operation("replace", "Patient.name", {"text": "x"}, "valueHumanName"),
        operation("replace", "Patient.active", "yes", "valueString"),
        operation("replace", "Patient", "x", "valueString"),
        operation("insert", "Patient.name", {"text": "x"}, "valueHumanName", index=3),
        operation("insert", "Patient.birthDate", "1990-01-01", "valueDate", index=0),
        operation("insert", "Patient.name[0]", {"text": "x"}, "valueHumanName", index=0),
        operation("insert", "Patient.contact", {"text": "x"}, "valueHumanName", index=0),
        operation("move", "Patient.name", source=0, destination=2),
        operation("delete", "Patient.telecom"),
        operation("delete", "Patient"),
        operation("delete", "Patient.colour"),
        operation("replace", "Patient.name.count()", 3, "valueInteger"),
        operation("delete", "Observation.status"),
    ],
)
def test_what_cannot_be_done_is_said(one: Any) -> None:
    with pytest.raises(PatchError) as refused:
        patched(PATIENT, one)
    assert refused.value.path.startswith("Parameters.parameter[0]")
    assert not refused.value.malformed


def test_what_is_not_there_is_deleted_already() -> None:
    assert patched(PATIENT, operation("delete", "Patient.contact[0].gender")) == PATIENT


@pytest.mark.parametrize(
    "one",
    [
        1,
        {"name": "op"},
        {"name": "operation"},
        {"name": "operation", "part": [1]},
        operation("copy", "Patient"),
        operation("delete", ""),
        operation("delete", "Patient.("),
        operation("delete", "Patient.descendants().descendants()"),
        operation("delete", "Patient", name="x"),
        operation("add", "Patient", "x", "valueString"),
        operation("insert", "Patient.name", "x", "valueString"),
        operation("move", "Patient.name", source=-1, destination=0),
        operation("move", "Patient.name", source="1", destination=0),
    ],
)
def test_what_is_no_patch_is_refused(one: Any) -> None:
    with pytest.raises(PatchError) as refused:
        patched(PATIENT, one)
    assert refused.value.malformed


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from("abcdef"), max_size=8), st.lists(st.sampled_from("abcdef"), max_size=8)
)
def test_any_list_becomes_any_other(old: list[str], new: list[str]) -> None:
    def patient(given_names: list[str]) -> dict[str, Any]:
        name = {"family": "x", **({"given": given_names} if given_names else {})}
        return {"resourceType": "Patient", "name": [name]}

    patch = difference(patient(old), patient(new))
    assert apply(patient(old), read_patch(patch)) == patient(new)
    assert load(json.dumps(patch).encode()) == patch


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet="Patient.name()[]'0,=$thiswhereofTypelast|{}@%`+-", max_size=40))
def test_any_text_as_a_path_is_answered(path: str) -> None:
    one = operation("replace", path or " ", {"text": "x"}, "valueHumanName")
    try:
        done = patched(PATIENT, one)
    except PatchError as refused:
        assert refused.path.startswith("Parameters.parameter[0]")
    else:
        assert done["resourceType"] == "Patient"
