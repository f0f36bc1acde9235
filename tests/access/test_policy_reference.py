"""Decisions and wills once more, slowly and obviously, straight from the texts they are made of."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.access.actors import Around
from pater.access.caller import Caller, owner_number
from pater.access.deciding import ACTIONS, PUBLIC_TYPES, RELATIONS, Action
from pater.access.facts import Facts
from pater.access.policy_files import FOLDER, read_policy
from pater.access.relations import SAYING, relations_of, says_something
from pater.access.roles import ROLE_PURPOSES
from pater.access.will import Rule, Whom, compile_will, read_consent, read_rules, write_rules
from pater.fhir.labels import (
    CATEGORIES,
    CATEGORY_MASK,
    CONFIDENTIALITY_MASK,
    DOCUMENT_MASK,
    PROVIDER_MASK,
    Level,
    Veil,
    document_bits,
    label,
    provider_bits,
)

ICO, OTHER_ICO = "12345679", "00000019"
NOW = datetime(2026, 5, 15, 12, tzinfo=UTC)
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


labels = st.builds(
    label,
    st.sampled_from(CATEGORIES),
    st.integers(0, 2),
    st.sampled_from(["", ICO, OTHER_ICO]),
    st.sampled_from(["", "one", "two"]),
)
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


# Wills: the most specific word about one label and one caller, looked for anew each time.

SID = "https://ncez.mzcr.cz/fhir/sid/"
DOCUMENTS = {"d1": (1, label("discharge-report", 0, ICO, "one")), "d2": (1, label(document="two"))}
AROUND = Around(documents=DOCUMENTS)
CLASSES = {
    "laboratory-report": ("urn:pater:record-category", "laboratory-report"),
    "medication": ("urn:pater:record-category", "medication"),
    "discharge-report": ("http://loinc.org", "18842-5"),
}
RECIPIENTS: dict[str, dict[str, Any]] = {
    f"ico|{ICO}": {"identifier": {"system": SID + "ico", "value": ICO}},
    f"ico|{OTHER_ICO}": {"identifier": {"system": SID + "ico", "value": OTHER_ICO}},
    "krzp|100": {"identifier": {"system": SID + "krzp", "value": "100"}},
    "Practitioner/p": {"reference": "Practitioner/p"},
}
CODE_OF = {"R": 1, "V": 2}
SEVERAL = {
    name: st.lists(st.sampled_from(sorted(values)), min_size=1, max_size=2, unique=True)
    for name, values in {
        "recipients": RECIPIENTS,
        "classes": CLASSES,
        "documents": DOCUMENTS,
        "code_of": CODE_OF,
        "purposes": ["TREAT", "ETREAT"],
    }.items()
}
KINDS = st.sampled_from(["permit", "deny"])
ONE_OF = [st.integers(0, most) for most in range(5)]
BEGIN = st.sampled_from(["2026-05-14", "2026-05-15T12:00:00Z", "2026-05-16", "2026"])
END = st.sampled_from(["2026-05-15", "2026-05-15T11:59:59Z", "2027", None])


@st.composite
def some_provisions(draw: st.DrawFn, kind: str | None = None) -> dict[str, Any]:
    found: dict[str, Any] = {"type": kind or draw(KINDS)}

    def several(values: str) -> list[str]:
        return draw(SEVERAL[values])

    if draw(ONE_OF[1]) == 0:
        found["actor"] = [
            {"role": {"coding": [{"code": "IRCP"}]}, "reference": RECIPIENTS[each]}
            for each in several("recipients")
        ]
    if draw(ONE_OF[2]) == 0:
        found["class"] = [
            {"system": CLASSES[each][0], "code": CLASSES[each][1]} for each in several("classes")
        ]
    if draw(ONE_OF[3]) == 0:
        found["data"] = [
            {"meaning": "instance", "reference": {"reference": f"DocumentReference/{each}"}}
            for each in several("documents")
        ]
    if draw(ONE_OF[4]) == 0:
        system = "http://terminology.hl7.org/CodeSystem/v3-Confidentiality"
        found["securityLabel"] = [{"system": system, "code": each} for each in several("code_of")]
    if draw(ONE_OF[4]) == 0:
        found["purpose"] = [{"code": each} for each in several("purposes")]
    if draw(ONE_OF[2]) == 0:
        start = draw(BEGIN)
        end = draw(END)
        found["period"] = {"start": start} | ({"end": end} if end else {})
    return found


@st.composite
def some_consents(draw: st.DrawFn) -> dict[str, Any]:
    provision = draw(some_provisions())
    other = "deny" if provision["type"] == "permit" else "permit"
    nested = draw(st.lists(some_provisions(other), max_size=2))
    if nested:
        provision["provision"] = nested
    return {
        "resourceType": "Consent",
        "status": draw(st.sampled_from(["active", "active", "active", "inactive"])),
        "dateTime": draw(st.sampled_from(["2026-01-01", "2026-02-01T10:00:00Z", "2026-03"])),
        "provision": provision,
    }


STARTS = {
    "2026-05-14": datetime(2026, 5, 14, tzinfo=UTC),
    "2026-05-15T12:00:00Z": NOW,
    "2026-05-16": datetime(2026, 5, 16, tzinfo=UTC),
    "2026": datetime(2026, 1, 1, tzinfo=UTC),
}
ENDS = {
    "2026-05-15": datetime(2026, 5, 16, tzinfo=UTC),
    "2026-05-15T11:59:59Z": NOW,
    "2027": datetime(2028, 1, 1, tzinfo=UTC),
}
SAID = ("2026-01-01", "2026-02-01T10:00:00Z", "2026-03")


def fits(provision: dict[str, Any], whom: Whom, number: int, now: datetime) -> bool:
    """Whether a provision speaks of a row and a caller at a moment."""
    if "actor" in provision:
        named = [name for name, each in RECIPIENTS.items()
                 if each in [actor["reference"] for actor in provision["actor"]]]  # fmt: skip
        if not set(named) & whom.names:
            return False
    if "class" in provision:
        codes = [(each["system"], each["code"]) for each in provision["class"]]
        if CLASSES.get(CATEGORIES[number & CATEGORY_MASK]) not in codes:
            return False
    if "data" in provision:
        ids = [each["reference"]["reference"].split("/")[1] for each in provision["data"]]
        chains = [DOCUMENTS[each][1] & DOCUMENT_MASK for each in ids]
        if number & DOCUMENT_MASK not in chains:
            return False
    if "securityLabel" in provision:
        least = min(CODE_OF[each["code"]] for each in provision["securityLabel"])
        if (number & CONFIDENTIALITY_MASK) >> 6 < least:
            return False
    purposes = [each["code"] for each in provision.get("purpose", [])]
    if purposes and whom.purpose not in purposes:
        return False
    period = provision.get("period", {})
    if "start" in period and now < STARTS[period["start"]]:
        return False
    return not ("end" in period and now >= ENDS[period["end"]])


def held_back(consents: list[dict[str, Any]], whom: Whom, number: int, now: datetime) -> bool:
    """Whether the most specific, latest word is a refusal."""
    words = []
    for consent in consents:
        if consent["status"] != "active":
            continue
        root = consent["provision"]
        for provisions in [[root], *([root, each] for each in root.get("provision", ()))]:
            if all(fits(each, whom, number, now) for each in provisions):
                specific = [
                    any(kind in each for each in provisions)
                    for kind in ("data", "actor", "class", "securityLabel")
                ]
                said = provisions[-1]["type"]
                at = SAID.index(consent["dateTime"])
                words.append((specific, at, len(provisions), said == "deny"))
    if not words or CATEGORIES[number & CATEGORY_MASK] == "identification":
        return False
    return max(words)[-1]


whoms = st.builds(
    Whom,
    st.frozensets(st.sampled_from(sorted(RECIPIENTS)), max_size=3),
    st.sampled_from(["TREAT", "ETREAT", ""]),
)


@settings(suppress_health_check=[HealthCheck.too_slow], max_examples=200)
@given(
    st.lists(some_consents(), max_size=4), whoms, st.lists(labels, min_size=1, max_size=8),
    st.sampled_from([-90_000, -1, 0, 1, 90_000]),
)  # fmt: skip
def test_a_compiled_will_says_what_the_consents_say(
    consents: list[dict[str, Any]], whom: Whom, some: list[int], seconds: int
) -> None:
    understood = []
    rules: list[Rule] = []
    for number, consent in enumerate(consents):
        found, issues = read_consent(consent, AROUND, 1)
        assert not (found and issues)
        if not issues:
            understood.append(consent)
            rules += read_rules(write_rules(found), str(number))
    now = NOW + timedelta(seconds=seconds)
    veil, since, until = compile_will(rules, whom, now)
    for number in some:
        assert veil.holds_back(number) == held_back(understood, whom, number, now), hex(number)
    # it is right as long as it says
    for moment in (since, until - timedelta(microseconds=1) if until else None):
        if moment is not None:
            assert compile_will(rules, whom, moment).veil == veil
    assert since is None or since <= now
    assert until is None or now < until


some_json = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | st.sampled_from(
        ["", "deny", "permit", "active", "2026", "DocumentReference/d1", "IRCP", "#x"]
    ),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(
            ["provision", "type", "actor", "role", "reference", "class", "data", "period", "start",
             "coding", "code", "system", "identifier", "value", "securityLabel", "purpose",
             "action", "meaning", "dateTime", "contained", "id"]
        ),
        inner, max_size=4,
    ),
    max_leaves=20,
)  # fmt: skip


@given(st.dictionaries(st.sampled_from(["provision", "dateTime", "scope"]), some_json))
def test_any_json_is_a_consent_that_is_read_or_refused(resource: dict[str, Any]) -> None:
    found, issues = read_consent({"status": "active", **resource}, AROUND, 1)
    assert not (found and issues)
    assert found or issues
    assert all(each.path.startswith("Consent") for each in issues)


@given(
    st.sampled_from(SAYING),
    st.dictionaries(
        st.sampled_from(
            ["status", "period", "serviceProvider", "performer", "participant", "payor",
             "generalPractitioner", "dispenseRequest", "authoredOn", "managingOrganization"]
        ),
        some_json | st.sampled_from(["active", "finished", "in-progress", {"start": "2026"}]),
    ),
)  # fmt: skip
def test_any_json_says_some_relations_or_none(type_: str, resource: dict[str, Any]) -> None:
    found = relations_of(type_, resource, AROUND, NOW)
    assert says_something(type_, resource, NOW) or not found
    assert all(each.until > NOW for each in found)


def test_an_exception_counts_before_what_it_excepts() -> None:
    both = [RECIPIENTS[f"ico|{each}"] for each in (ICO, OTHER_ICO)]
    role = {"coding": [{"code": "IRCP"}]}
    provision = {
        "type": "deny",
        "actor": [{"role": role, "reference": each} for each in both],
        "provision": [{"type": "permit", "actor": [{"role": role, "reference": both[0]}]}],
    }
    consent = {"status": "active", "dateTime": "2026-01-01", "provision": provision}
    rules, issues = read_consent(consent, AROUND, 1)
    assert not issues
    for ico, held in ((ICO, False), (OTHER_ICO, True)):
        veil = compile_will(rules, Whom(frozenset({f"ico|{ico}"}), "TREAT"), NOW).veil
        assert veil.holds_back(label("other")) == held


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


def test_the_later_word_counts_and_the_more_specific_before_it() -> None:
    whom = Whom(frozenset({f"ico|{ICO}"}), "TREAT")
    everything = Rule(permit=False, at=NOW)
    laboratory = replace(everything, permit=True, categories=frozenset({"laboratory-report"}))
    provider = replace(everything, recipients=whom.names)
    document = replace(
        everything, permit=True, documents=frozenset({document_bits("one")}),
        at=NOW - timedelta(days=900),
    )  # fmt: skip

    def shown(*rules: Rule) -> list[bool]:
        veil = compile_will(rules, whom, NOW).veil
        some = (label("laboratory-report"), label("other"), label("medication", document="one"))
        return [not veil.holds_back(each) for each in some]

    assert shown() == [True, True, True]
    assert shown(everything) == [False, False, False]
    assert shown(everything, laboratory) == [True, False, False]
    assert shown(everything, laboratory, provider) == [False, False, False]
    assert shown(everything, laboratory, provider, document) == [False, False, True]
    later = replace(provider, permit=True, at=NOW + timedelta(seconds=1))
    assert shown(everything, provider, later) == [True, True, True]
    assert shown(everything, provider, replace(later, at=NOW)) == [False, False, False]
