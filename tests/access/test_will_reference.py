"""Wills once more, slowly and obviously, straight from the consents they are made of."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.access.actors import Around
from pater.access.relations import SAYING, relations_of, says_something
from pater.access.will import Rule, Whom, compile_will, read_consent, read_rules, write_rules
from pater.fhir.labels import (
    CATEGORIES,
    CATEGORY_MASK,
    CONFIDENTIALITY_MASK,
    DOCUMENT_MASK,
    document_bits,
    label,
)
from tests.access.labelled import ICO, NOW, OTHER_ICO, labels

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
