"""A guard never says that a rule holds where the language says that it does not."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.fhir import guards, invariants
from pater.fhir.definitions import RESOURCE_TYPES, constraints
from pater.fhir.fhirpath.items import fields_by_key
from pater.fhir.fhirpath.types import TypeRef
from tests.shared_data import load, r4_examples


def _broken(resource: dict[str, Any], *, guarded: bool) -> list[tuple[str, str]]:
    plan = invariants._plan
    if not guarded:
        bare = {
            name: plan(name)._replace(
                rules=tuple(rule._replace(guard=None) for rule in plan(name).rules),
                fields={
                    key: (field, tuple(rule._replace(guard=None) for rule in rules))
                    for key, (field, rules) in plan(name).fields.items()
                },
            )
            for name in _names(resource)
        }
        original, invariants._plan = plan, lambda name: bare.get(name) or plan(name)  # type: ignore[assignment]
        try:
            return _broken(resource, guarded=True)
        finally:
            invariants._plan = original
    found = invariants.check(resource["resourceType"], resource)
    return [(each.path, each.text) for each in found]


def _names(resource: dict[str, Any]) -> set[str]:
    """The types and backbones in a resource."""
    out: set[str] = set()
    open_: list[tuple[str, Any]] = [(resource["resourceType"], resource)]
    for kind, value in open_:  # grows while it is walked
        out.add(kind)
        for key, child in value.items():
            field = fields_by_key(kind).get(key)
            for each in child if isinstance(child, list) else [child]:
                if field is not None and isinstance(each, dict):
                    name = each.get("resourceType") if field.resource else field.type.name
                    open_.append((name or "Resource", each))
    return out


def _drop(value: Any, choose: st.DataObject, chance: int) -> None:
    """Leaves some elements out, so that rules are broken."""
    for key in list(value) if isinstance(value, dict) else ():
        if key != "resourceType" and choose.draw(st.integers(0, chance)) == 0:
            del value[key]
        else:
            _drop(value[key], choose, chance)
    for each in value if isinstance(value, list) else ():
        _drop(each, choose, chance)


SMALL = [name for name, body in r4_examples().items() if len(body) < 6_000]


@settings(max_examples=80, deadline=None)
@given(st.sampled_from(SMALL), st.integers(2, 12), st.data())
def test_guards_change_nothing(name: str, chance: int, data: st.DataObject) -> None:
    resource = load(r4_examples()[name])
    _drop(resource, data, chance)
    assert _broken(resource, guarded=True) == _broken(resource, guarded=False)


def test_the_examples_of_r4_break_the_same_rules() -> None:
    for body in r4_examples().values():
        resource = load(body)
        if len(body) < 12_000 and "resourceType" in resource:
            assert _broken(resource, guarded=True) == _broken(resource, guarded=False)


def test_most_rules_have_a_guard() -> None:
    rules = [rule for name in RESOURCE_TYPES for rule in invariants.rules_of(name)]
    assert sum(rule.guard is not None for rule in rules) > 0.6 * len(rules)
    assert TypeRef("Patient").name in RESOURCE_TYPES


def test_a_guard_answers_from_the_keys() -> None:
    (rule,) = [each for each in constraints("Observation") if each.key == "obs-6"]
    guard = guards.guard(rule.key, rule.expression, "Observation")
    assert guard is not None
    assert guard({"valueString": "x"}) is True
    assert guard({"valueString": "x", "dataAbsentReason": {}}) is not True


@pytest.mark.parametrize(
    ("expression", "kind", "holder", "expected"),
    [
        ("contained.meta.versionId.empty()", "Patient", {"contained": [{"meta": {}}]}, True),
        ("contained.meta.versionId.empty()", "Patient",
         {"contained": [{}, {"meta": {"versionId": "1"}}]}, False),
        ("identifier.system.exists()", "Bundle", {"identifier": {"_system": {}}}, None),
        ("entry.search.empty()", "Bundle", {"entry": [{"fullUrl": "x"}]}, True),
        ("where(use = 'home').empty()", "Address", {"city": "x"}, True),
        ("where(use = 'home').empty()", "Address", {"use": "home"}, False),
        ("name.where(use = 'old' or family = 'x').exists()", "Patient",
         {"name": [{"use": "usual"}, {"family": "x"}]}, True),
        ("name.where(use = 'old' and family = 'x').exists()", "Patient",
         {"name": [{"use": "old"}, {"family": "x"}]}, False),
        ("period >= 0", "Timing.repeat", {"period": Decimal("0.0")}, True),
        ("period >= 0", "Timing.repeat", {"period": -0.5}, False),
        ("period >= 0", "Timing.repeat", {}, None),
        ("timestamp.hasValue()", "Bundle", {"timestamp": "2026-01-05T10:00:00Z"}, True),
        ("timestamp.hasValue()", "Bundle", {"_timestamp": {}}, None),
        ("low.exists() xor high.exists()", "Range", {"low": {}}, True),
    ],
)  # fmt: skip
def test_a_guard_follows_plain_paths(
    expression: str, kind: str, holder: dict[str, Any], expected: bool | None
) -> None:
    guard = guards.guard("", expression, kind)
    assert guard is not None
    assert guard(holder) is expected


@pytest.mark.parametrize(
    ("key", "holder"),
    [
        ("per-1", {"start": "2026-03-29T03:30:00+01:00", "end": "2026-03-29T03:30:00+02:00"}),
        ("per-1", {"start": "2026-03-29T03:30:61+01:00", "end": "2026-03-29T03:30:00+02:00"}),
        ("per-1", {"start": "2026-01-05", "end": "2026-01"}),
        ("ref-1", {"reference": "#x"}),
        ("ref-1", {"_reference": {}}),
        ("org-1", {"active": True}),
        ("obs-7", {"component": [], "valueString": "x"}),
        ("bdl-11", {"type": "document", "entry": [{"resource": {"resourceType": "Patient"}}]}),
        ("dom-3", {"contained": [{"id": "a"}], "subject": {"reference": "#b"}}),
        ("dom-3", {"contained": [{}]}),
    ],
)
def test_what_a_rule_may_refuse_is_left_to_the_language(key: str, holder: dict[str, Any]) -> None:
    guard = guards.guard(key, "", "Resource")
    assert guard is not None
    assert guard(holder) is not True
