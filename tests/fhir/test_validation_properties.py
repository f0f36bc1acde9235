"""Whatever JSON comes, the validator answers with issues and never with an exception."""

from __future__ import annotations

import copy
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pater.fhir.definitions import RESOURCE_TYPES, element_table
from pater.fhir.issues import has_errors, operation_outcome
from pater.fhir.validation import validate
from tests.fhir.test_validation import GOOD

NAMES = sorted(
    {
        each.path.rpartition(".")[2].removesuffix("[x]")
        for name in ("Patient", "Observation", "Bundle", "Extension", "Narrative", "Reference")
        for each in element_table(name)
    }
    | {"resourceType", "valueString", "_given", "_birthDate", "foo"}
)
LEAF = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.just(Decimal("1.10"))
    | st.text(max_size=8)
    | st.sampled_from(
        ["Patient", "2020-02-30", "#", "<div/>", "9999-12-31T23:59:60Z", *RESOURCE_TYPES]
    )
)
JSON = st.recursive(
    LEAF,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), inner, max_size=6)
    ),
    max_leaves=30,
)


@settings(deadline=None)
@given(JSON)
def test_never_raises_on_any_json(value: Any) -> None:
    for issue in validate(value):
        assert issue.text


@settings(deadline=None, max_examples=300)
@given(
    st.sampled_from(RESOURCE_TYPES),
    st.dictionaries(st.sampled_from(NAMES) | st.text(max_size=4), JSON, max_size=6),
)
def test_never_raises_on_any_resource(name: str, members: dict[str, Any]) -> None:
    issues = validate({**members, "resourceType": name})
    assert all(issue.path.startswith(name) for issue in issues)
    assert not has_errors(validate(operation_outcome(issues)))


def _places(value: Any, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [place for key, each in items for place in [(*path, key), *_places(each, (*path, key))]]


@settings(deadline=None, max_examples=300)
@given(st.sampled_from(sorted(GOOD)), st.data())
def test_a_value_of_another_json_type_is_always_found_there(name: str, data: Any) -> None:
    resource = copy.deepcopy(GOOD[name])
    place = data.draw(st.sampled_from([each for each in _places(resource) if len(each) > 1]))
    holder = resource
    for step in place[:-1]:
        holder = holder[step]
    old = holder[place[-1]]
    holder[place[-1]] = [old] if not isinstance(old, list) else {"x": old}
    issues = validate(resource)
    assert has_errors(issues)
    parent = name + "".join(f"[{s}]" if isinstance(s, int) else f".{s}" for s in place[:-1])
    assert any(issue.path.startswith(parent) for issue in issues), (place, issues)
