"""JSON Patch does what RFC 6902 says, by the public cases and by our own."""

from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from pater.fhir.json import JsonError
from pater.rest.errors import HttpError
from pater.rest.json_patch import apply, read_patch
from tests.shared_data import shared


def patched(document: dict[str, Any], steps: Any) -> dict[str, Any]:
    return apply(document, read_patch(json.dumps(steps).encode()))


def test_the_public_cases() -> None:
    with tarfile.open(fileobj=io.BytesIO(shared("patch.tgz").read_bytes())) as archive:
        member = archive.extractfile("patch/json-patch-tests.json")
        assert member
        cases = json.load(member)
    done = 0
    for case in cases:
        if case.get("disabled") or "patch" not in case:
            continue
        # the cases have documents of any kind, a resource is always an object
        document = {"at": case["doc"]}
        steps = [
            {**step, **{k: f"/at{step[k]}" for k in ("path", "from") if k in step}}
            for step in case["patch"]
        ]
        if "error" in case:
            with pytest.raises((HttpError, JsonError)):
                patched(document, steps)
        else:
            assert patched(document, steps) == {"at": case.get("expected", case["doc"])}, case
        done += 1
    assert done >= 10


def test_what_is_given_stays_as_it_is() -> None:
    document = {"a": [1, {"b": 2}]}
    assert patched(document, [{"op": "add", "path": "/a/1/c", "value": 3}])["a"][1]["c"] == 3
    assert document == {"a": [1, {"b": 2}]}


def test_a_value_given_twice_is_two_values() -> None:
    step = {"op": "add", "path": "/a", "value": {"x": []}}
    steps = [step, {"op": "copy", "from": "/a", "path": "/b"},
             {"op": "add", "path": "/a/x/-", "value": 1}]  # fmt: skip
    assert patched({}, steps) == {"a": {"x": [1]}, "b": {"x": []}}


@pytest.mark.parametrize(
    ("step", "holds"),
    [
        ({"op": "test", "path": "/n", "value": 1.0}, True),
        ({"op": "test", "path": "/d", "value": 0.1}, True),
        ({"op": "test", "path": "/t", "value": 1}, False),
        ({"op": "test", "path": "/s", "value": 1}, False),
        ({"op": "test", "path": "/~01", "value": 10}, True),
        ({"op": "test", "path": "/l/00", "value": 5}, False),
        ({"op": "test", "path": "/l/-", "value": 5}, False),
        ({"op": "move", "from": "/l", "path": "/l/0"}, False),
        ({"op": "add", "path": "/l/2", "value": 5}, False),
        ({"op": "add", "path": "/s/x", "value": 5}, False),
    ],
)
def test_comparing_and_pointing(step: dict[str, Any], holds: bool) -> None:
    document = {"n": 1, "d": 0.10, "t": True, "s": "1", "~1": 10, "l": [5]}
    if holds:
        assert patched(document, [step])
    else:
        with pytest.raises(HttpError) as refused:
            patched(document, [step])
        assert refused.value.status == 422


@pytest.mark.parametrize(
    "step",
    [
        1,
        {"op": "add", "path": "/a"},
        {"op": "remove"},
        {"op": "remove", "path": "a"},
        {"op": "remove", "path": "/~2"},
        {"op": "copy", "path": "/a"},
        {"op": ["add"], "path": "/a", "value": 1},
    ],
)
def test_what_is_no_patch_is_refused(step: Any) -> None:
    with pytest.raises(HttpError) as refused:
        patched({"a": 1}, [step])
    assert refused.value.status == 400
