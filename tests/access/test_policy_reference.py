"""Decisions once more, slowly and obviously, straight from the texts of the rules."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.access.caller import Caller, owner_number
from pater.access.deciding import ACTIONS, PUBLIC_TYPES, RELATIONS, Action
from pater.access.facts import Facts
from pater.access.policy_files import FOLDER, read_policy
from pater.access.roles import ROLE_PURPOSES
from pater.fhir.labels import (
    CATEGORIES,
    CATEGORY_MASK,
    CONFIDENTIALITY_MASK,
    DOCUMENT_MASK,
    PROVIDER_MASK,
    Level,
    Veil,
    label,
    provider_bits,
)
from tests.access.labelled import ICO, labels

LETTERS = {"ask": "s", "read": "r", "history": "r", "search": "s", "create": "c", "update": "u",
           "delete": "d", "validate": "cruds"}  # fmt: skip
READING = ["read", "search", "history"]


def in_scope(caller: Caller, action: str, type_: str) -> bool:
    contexts = ["system"] if caller.kind == "system" else ["user", "patient"]
    return any(
        f"{context}/{name}" == scope.split(".")[0]
        and set(LETTERS[action]) & set(scope.split(".")[1])
        for scope in caller.scopes
        for context in contexts
        for name in ("*", type_)
    )


class Answer:
    """What the texts of the rules say: (allowed, whose, bound), and which labels are shown."""

    def __init__(
        self, allowed: bool, persons: object = frozenset(), bound: bool = False, shows: Any = None
    ) -> None:
        self.said = (allowed, persons, bound)
        self.shows = shows if shows is not None else (lambda _: allowed)


NO = Answer(False)


def slowly(
    rules: list[dict[str, Any]],
    caller: Caller,
    action: Action,
    type_: str,
    person: int | None,
    facts: Facts | None,
    group: str = "",
) -> Answer:
    """The decision, from the rules as they stand in the file."""
    if not group:
        public = type_ in PUBLIC_TYPES
        group = "public" if public and not person else "personal"
        group = {"AuditEvent": "audit", "Subscription": "owned"}.get(type_, group)
    if not in_scope(caller, action, type_):
        return NO
    for rule in rules:
        if caller.role not in rule["roles"] or group != rule["group"]:
            continue
        actions = READING if rule["actions"] == "reading" else rule["actions"]
        if action not in actions or type_ not in rule.get("types", [type_]):
            continue
        if caller.purpose not in rule.get("purposes", [caller.purpose]):
            continue
        found = by_rule(rules, rule, caller, action, type_, person, facts)
        if found.said[0]:
            return found
    return NO


def by_rule(
    rules: list[dict[str, Any]],
    rule: dict[str, Any],
    caller: Caller,
    action: Action,
    type_: str,
    person: int | None,
    facts: Facts | None,
) -> Answer:
    if caller.strength < rule.get("strength", 0):
        return NO
    if rule.get("organization") and not caller.organization:
        return NO
    if caller.app and rule["group"] == "owned":
        return NO
    whose: frozenset[int] | None = None
    bound = bool(rule.get("bound")) and (action == "search" or "relations" in rule)
    inner = None
    if rule.get("mine"):
        whose = frozenset({owner_number(caller.kind, caller.id)})
    elif rule.get("own"):
        if not caller.person:
            return NO
        whose = frozenset({caller.person})
    elif rule.get("shared"):
        whose = frozenset({0})
        own = caller.context or caller.person
        if person is None and own:
            inner = slowly(rules, caller, action, type_, own, facts, "personal")
            whose |= inner.said[1] or frozenset()  # type: ignore[operator]  # a set or None
    elif caller.context is not None:
        whose, bound = frozenset({caller.context}), False
    if person is not None and whose is not None and person not in whose and not rule.get("shared"):
        return NO
    about = person
    if person is None and facts is not None:
        people = [each for each in whose or () if each > 0]
        about = people[0] if len(people) == 1 else None
    if "relations" in rule and about is not None and about > 0:
        known = facts.relations if facts else frozenset()
        if not any(each in known for each in rule["relations"]):
            return NO
    if rule.get("shared"):
        return Answer(
            True, whose, bound, inner.shows if inner and inner.said[0] else lambda _: True
        )
    if about is None or about <= 0:
        return Answer(True, whose, bound)
    veil = facts.veil if facts else None

    def shows(number: int) -> bool:
        category = CATEGORIES[number & CATEGORY_MASK]
        own = provider_bits(caller.organization)
        wrote = own != 0 and number & PROVIDER_MASK == own
        if category not in rule.get("labels", CATEGORIES):
            return False
        if rule.get("wrote"):
            return wrote or category == "identification"
        lifted = bool(rule.get("lifts"))
        speaks = lifted and "hides" in rule if veil is None or lifted else True
        if speaks and wrote:
            return True
        if speaks and category in rule.get("hides", []):
            return False
        if speaks and category in rule.get("always", []):
            return True
        return lifted or veil is None or not veil.holds_back(number)

    return Answer(True, whose, bound, shows)


parts = st.sets(labels, max_size=4)
masks = st.sampled_from([0, CATEGORY_MASK, PROVIDER_MASK, DOCUMENT_MASK, CONFIDENTIALITY_MASK])


@st.composite
def some_levels(draw: st.DrawFn) -> Level:
    mask = draw(masks)
    shown, held = (frozenset(each & mask for each in draw(parts)) for _ in range(2))
    return Level(mask, shown, held)


some_facts = st.none() | st.builds(
    Facts,
    st.frozensets(st.sampled_from(RELATIONS), max_size=3),
    st.none() | st.builds(Veil, st.lists(some_levels(), max_size=3).map(tuple), st.booleans()),
)
ROLES = ("provider-system", "clinician", "patient", "khs", "loader")
some_callers = st.builds(
    Caller,
    kind=st.sampled_from(["person", "system"]),
    id=st.just("x"),
    name=st.just("x"),
    role=st.sampled_from([*ROLE_PURPOSES, "clinician", "clinician", "patient", "khs", ""]),
    organization=st.sampled_from(["", ICO, "no IČO"]),
    purpose=st.sampled_from(["", "TREAT", "TREAT", "ETREAT", "PATRQT", "PUBHLTH", "SYSADMIN"]),
    strength=st.integers(1, 3),
    scopes=st.sampled_from(
        [
            ("system/*.cruds", "user/*.cruds"),
            ("user/*.rs",),
            ("patient/Observation.r",),
            ("system/*.rs", "system/Bundle.c"),
            (),
        ]
    ),
    person=st.sampled_from([None, 0, 1, 2]),
    app=st.sampled_from(["", "", "app"]),
    context=st.sampled_from([None, None, None, 1]),
)
some_types = st.sampled_from(
    ["Patient", "Bundle", "Observation", "AuditEvent", "Organization", "Encounter", "Coverage",
     "Consent", "Subscription"]
)  # fmt: skip
some_persons = st.sampled_from([None, 0, 1, 2, owner_number("system", "x")])


@st.composite
def some_rules(draw: st.DrawFn) -> list[dict[str, Any]]:
    """Rules that a policy may have, at random."""
    found = []
    for number in range(draw(st.integers(1, 6))):
        roles = draw(st.lists(st.sampled_from(ROLES), min_size=1, max_size=2, unique=True))
        rule: dict[str, Any] = {
            "name": f"rule-{number}",
            "roles": roles,
            "actions": draw(
                st.just("reading")
                | st.lists(st.sampled_from(ACTIONS), min_size=1, max_size=3, unique=True)
            ),
            "group": draw(st.sampled_from(["personal", "personal", "public", "audit", "owned"])),
            "reason": "treatment",
            "strength": draw(st.integers(0, 3)),
        }
        purposes = sorted({p for role in roles for p in ROLE_PURPOSES[role]})
        if draw(st.booleans()):
            rule["purposes"] = draw(st.lists(st.sampled_from(purposes), min_size=1, unique=True))
        if draw(st.booleans()):
            rule["types"] = draw(st.lists(some_types, min_size=1, max_size=3, unique=True))
        whose = draw(st.sampled_from(["", "", "own", "mine", "shared"]))
        if whose:
            rule[whose] = True
        for flag in ("lifts", "organization"):
            rule[flag] = draw(st.booleans())
        if rule["group"] != "public":
            free = list(CATEGORIES)
            for key in ("hides", "always"):
                if draw(st.booleans()):
                    rule[key] = draw(
                        st.lists(st.sampled_from(free), min_size=1, max_size=3, unique=True)
                    )
                    free = [each for each in free if each not in rule[key]]
            if draw(st.booleans()):
                rule["labels"] = draw(
                    st.lists(st.sampled_from(CATEGORIES), min_size=1, max_size=5, unique=True)
                )
            if draw(st.booleans()):
                rule["relations"] = draw(
                    st.lists(st.sampled_from(RELATIONS), min_size=1, max_size=3, unique=True)
                )
                rule["wrote"] = rule["organization"] and draw(st.booleans())
        rule["bound"] = "relations" in rule or "labels" in rule or draw(st.booleans())
        found.append(rule)
    return found


def as_file(rules: list[dict[str, Any]]) -> bytes:
    body = {"name": "made-up", "version": "1", "since": "2026-01-01", "bases": {},
            "roles": list(ROLES), "territories": {}, "rules": rules}  # fmt: skip
    return json.dumps(body).encode()


def same(
    policy_rules: list[dict[str, Any]],
    data: bytes,
    caller: Caller,
    action: Action,
    type_: str,
    person: int | None,
    facts: Facts | None,
    some: list[int],
) -> None:
    found = read_policy(data).decide(caller, action, type_, person=person, facts=facts)
    expected = slowly(policy_rules, caller, action, type_, person, facts)
    assert (found.allowed, found.persons, found.patient_bound) == expected.said
    for number in some:
        assert found.shows(number) == expected.shows(number), hex(number)


@pytest.mark.parametrize("name", ["cz", "declared"])
@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=150)
@given(
    some_callers, st.sampled_from(ACTIONS), some_types, some_persons, some_facts,
    st.lists(labels, max_size=6),
)  # fmt: skip
def test_the_shipped_policies_say_what_their_texts_say(
    name: str,
    caller: Caller,
    action: Action,
    type_: str,
    person: int | None,
    facts: Facts | None,
    some: list[int],
) -> None:
    data = (FOLDER / f"{name}.json").read_bytes()
    same(json.loads(data)["rules"], data, caller, action, type_, person, facts, some)


@st.composite
def some_questions(
    draw: st.DrawFn,
) -> tuple[list[dict[str, Any]], Caller, Action, str]:
    """A policy and a question that mostly meets one of its rules."""
    rules, caller = draw(some_rules()), draw(some_callers)
    action, type_ = draw(st.sampled_from(ACTIONS)), draw(some_types)
    if draw(st.integers(0, 4)):
        rule = draw(st.sampled_from(rules))
        actions = READING if rule["actions"] == "reading" else rule["actions"]
        of_group = {"personal": "Observation", "public": "Organization", "audit": "AuditEvent",
                    "owned": "Subscription"}  # fmt: skip
        caller = replace(
            caller,
            role=draw(st.sampled_from(rule["roles"])),
            purpose=draw(st.sampled_from(rule.get("purposes", ["TREAT"]))),
            strength=3,
            scopes=("system/*.cruds", "user/*.cruds"),
        )
        action = draw(st.sampled_from(actions))
        type_ = draw(st.sampled_from(rule.get("types", [of_group[rule["group"]]])))
    return rules, caller, action, type_


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=250)
@given(some_questions(), some_persons, some_facts, st.lists(labels, min_size=2, max_size=6))
def test_any_policy_says_what_its_text_says(
    question: tuple[list[dict[str, Any]], Caller, Action, str],
    person: int | None,
    facts: Facts | None,
    some: list[int],
) -> None:
    rules, caller, action, type_ = question
    same(rules, as_file(rules), caller, action, type_, person, facts, some)


def test_what_is_always_shown_and_what_is_always_hidden() -> None:
    rule: dict[str, Any] = {
        "name": "one", "roles": ["clinician"], "actions": "reading", "group": "personal",
        "reason": "treatment", "always": ["advance-directive"],
    }  # fmt: skip
    caller = Caller(
        kind="person", id="x", name="x", role="clinician", scopes=("user/*.rs",), context=1
    )
    nothing = Facts(veil=Veil((), otherwise=True))
    some = [label("advance-directive"), label("consent"), label("other")]
    for rules, shown in (
        ([rule], [True, False, False]),
        ([{**rule, "hides": ["consent"], "lifts": True}], [True, False, True]),
    ):
        policy = read_policy(as_file(rules))
        found = policy.decide(caller, "read", "Observation", person=1, facts=nothing)
        assert [found.shows(each) for each in some] == shown
        public = {**rules[0], "name": "two", "group": "public", "shared": True}
        public = {k: v for k, v in public.items() if k not in ("hides", "always", "lifts")}
        policy = read_policy(as_file([*rules, public]))
        found = policy.decide(caller, "search", "Organization", facts=nothing)
        assert found.persons == {0, 1}
        assert [found.shows(each) for each in some] == shown
