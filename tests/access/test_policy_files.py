"""Policy files: what is wrong is told with its place, and what ships is what the product says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access.caller import Caller, Kind
from pater.access.deciding import ACTIONS, RELATIONS
from pater.access.facts import Facts
from pater.access.policy import PolicyError, named, shipped
from pater.access.policy_files import FOLDER, read_policy
from pater.access.policy_texts import TEXTS
from pater.access.roles import ROLE_PURPOSES, ROLE_SCOPES, ROLES
from pater.fhir.labels import label
from pater.settings import SettingsError, load

RULE = {
    "name": "treatment",
    "roles": ["clinician"],
    "actions": "reading",
    "group": "personal",
    "reason": "treatment",
    "purposes": ["TREAT"],
    "relations": ["encounter"],
    "bound": True,
}
POLICY = {
    "name": "made-up",
    "version": "7",
    "since": "2026-01-01",
    "bases": {"act": {"cs": "zákon", "en": "act"}},
    "roles": ["clinician", "loader"],
    "territories": {"12345679": ["CZ064"]},
    "rules": [RULE],
}


def problems(**changed: Any) -> tuple[str, ...]:
    """What is wrong with the policy when some of it is changed; None takes a member away."""
    body = {key: value for key, value in {**POLICY, **changed}.items() if value is not None}
    with pytest.raises(PolicyError) as refused:
        read_policy(json.dumps(body).encode())
    return refused.value.problems


def rule_problems(**changed: Any) -> str:
    rule = {key: value for key, value in {**RULE, **changed}.items() if value is not None}
    return " / ".join(problems(rules=[rule]))


def test_a_good_file_is_read() -> None:
    policy = read_policy(json.dumps(POLICY).encode())
    assert (policy.name, policy.version, len(policy.rules)) == ("made-up", "7", 1)
    assert policy.territories == {"12345679": {"CZ064"}}
    assert len(policy.digest) == 64


def test_everything_that_is_wrong_is_told_with_its_place() -> None:
    assert problems(rules=None) == ("rules: is missing",)
    assert problems(extra=1) == ("extra: is not known",)
    assert problems(since="1. 1. 2026") == ("since: is a day, YYYY-MM-DD",)
    assert "roles: 'doctor' is not known" in problems(roles=["doctor", "clinician"])[0]
    assert problems(territories={"123": []}) == (
        "territories.123: the organization is an IČO of eight digits",
    )
    assert problems(bases={"act": "x"}) == ("bases.act: is one text in `cs` and one in `en`",)
    two = problems(rules=[RULE, {**RULE, "purposes": ["SYSADMIN"]}])
    assert two[0] == "rules[1] (treatment): another rule has this name"
    assert two[1].startswith("rules[1] (treatment).purposes: 'SYSADMIN' is not known")
    with pytest.raises(PolicyError, match="line 1, column"):
        read_policy(b"{,}")


def test_a_rule_that_means_less_or_more_than_it_says_is_refused() -> None:
    assert "rules[0] (treatment).role: is not known" in rule_problems(role="clinician")
    assert ".relations: must not be empty" in rule_problems(relations=[])
    assert "a rule with relations that reads must be bound" in rule_problems(bound=False)
    assert "says nothing of data that are of no person" in rule_problems(group="public")
    assert "only one of own, mine and shared" in rule_problems(own=True, mine=True)
    assert "wrote needs an organization" in rule_problems(wrote=True)
    assert "cannot be in always and in hides" in rule_problems(
        always=["consent"], hides=["consent"]
    )
    assert ".strength: is 0, 1, 2 or 3" in rule_problems(strength=True)
    assert ".bound: is true or false" in rule_problems(bound="yes")
    assert "there is no text for this reason" in rule_problems(reason="because")
    assert "'Doctor' is not known" in rule_problems(types=["Doctor"])


some_json: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("clinician"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*POLICY, *RULE, "x"]), inner, max_size=4)
    ),
    max_leaves=15,
)


@given(st.dictionaries(st.sampled_from(list(POLICY)), some_json))
def test_any_json_is_a_policy_or_an_error(changed: dict[str, Any]) -> None:
    body = {**POLICY, **changed}
    try:
        read_policy(json.dumps(body).encode())
    except PolicyError as error:
        assert error.problems


def test_the_setting_names_a_policy_that_ships_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "ours.json"
    file.write_text(json.dumps(POLICY))
    assert named(str(file)).name == "made-up"
    assert named("cz") is shipped("cz")
    assert load({"PATER_POLICY": str(file)}, data=tmp_path).policy == str(file)
    with pytest.raises(SettingsError, match="policy: there is no policy 'nothing'"):
        load({"PATER_POLICY": "nothing"}, data=tmp_path)
    file.write_text(json.dumps({**POLICY, "rules": []}))
    with pytest.raises(SettingsError, match="policy: rules"):
        load({"PATER_POLICY": str(file)}, data=tmp_path)


def test_what_ships_speaks_of_every_role_and_names_its_acts() -> None:
    assert tuple(ROLE_SCOPES) == ROLES
    for name in ("cz", "declared"):
        body = json.loads((FOLDER / f"{name}.json").read_text("utf-8"))
        assert set(body["roles"]) == set(ROLES)
        policy = shipped(name)
        assert {rule.reason for rule in policy.rules} <= TEXTS.keys()
        assert {each for rule in policy.rules for each in rule.basis} <= policy.bases.keys()
        assert {rule.role for rule in policy.rules} == set(ROLE_PURPOSES) - {"none"}
        police = [rule for rule in policy.rules if rule.role == "police"]
        assert [rule.actions for rule in police] == [{"ask"}]


# What each role may, in the words of who wrote the policy down.

CZ = shipped("cz")
ICO = "12345679"


def caller(role: str, purpose: str = "", **more: Any) -> Caller:
    scopes = ("user/*.cruds", "patient/*.cruds")
    return Caller(
        kind="person", id="x", name="x", role=role, organization=ICO, strength=2,
        purpose=purpose or next(iter(ROLE_PURPOSES[role]), ""), scopes=scopes, **more,
    )  # fmt: skip


def reads(who: Caller, type_: str, *relations: str) -> tuple[bool, str]:
    facts = Facts(frozenset(relations))
    found = CZ.decide(who, "read", type_, person=1, facts=facts)
    return found.allowed, found.reason


@pytest.mark.parametrize("role", ["clinician", "provider-system"])
def test_who_treats_needs_the_patient_in_care(role: str) -> None:
    who = caller(role)
    assert reads(who, "Patient") == (True, "treatment")
    assert reads(who, "Observation") == (False, "no-relation")
    assert not CZ.decide(who, "read", "Observation", person=1).allowed
    for relation in ("registered", "encounter", "referral", "prescription", "care-team"):
        assert reads(who, "Observation", relation) == (True, "treatment")
    for relation in ("override", "territory", "insured"):
        assert not reads(who, "Observation", relation)[0]
    general = CZ.decide(who, "read", "Observation")
    assert (general.allowed, general.patient_bound) == (True, True)


def test_who_wrote_of_a_patient_sees_those_writings_only() -> None:
    found = CZ.decide(
        caller("clinician"), "read", "Observation", person=1, facts=Facts(frozenset({"author"}))
    )
    assert found.reason == "author"
    assert found.shows(label("laboratory-report", 0, ICO))
    assert found.shows(label("identification"))
    assert not found.shows(label("laboratory-report", 0, "00000019"))
    assert not found.shows(label("laboratory-report"))


def test_an_emergency_needs_an_open_access_and_lifts_the_will() -> None:
    for role in ("clinician", "rescue"):
        who = caller(role, "ETREAT")
        assert reads(who, "Patient") == (True, "emergency")
        assert reads(who, "Observation") == (False, "no-relation")
        assert reads(who, "Observation", "override") == (True, "emergency")
    assert reads(caller("clinician", "ETREAT"), "Observation", "encounter") == (True, "treatment")
    assert not reads(caller("rescue"), "Observation", "encounter")[0]


def test_the_other_roles_have_what_their_acts_give_them() -> None:
    office = caller("khs")
    found = CZ.decide(
        office, "search", "Condition", person=1, facts=Facts(frozenset({"territory"}))
    )
    assert found.allowed
    assert found.shows(label("epidemiology"))
    assert not found.shows(label("laboratory-report"))
    assert reads(office, "Condition", "encounter") == (False, "no-relation")
    insurer = caller("insurer")
    assert reads(insurer, "Coverage", "insured") == (True, "insured")
    assert reads(insurer, "Coverage") == (False, "no-relation")
    assert reads(insurer, "Condition", "insured") == (False, "no-role")
    for role in ("researcher", "administrator", "police", "none", "auditor", "privacy-officer"):
        for type_ in ("Patient", "Observation", "Consent"):
            assert not reads(caller(role), type_, "encounter", "override")[0]
    for role in ("auditor", "privacy-officer"):
        assert reads(caller(role), "AuditEvent")[0]
    assert not reads(caller("administrator"), "AuditEvent")[0]


def test_a_provider_states_care_and_a_patient_a_will() -> None:
    assert CZ.decide(caller("clinician"), "create", "Encounter").allowed
    assert not CZ.decide(caller("clinician"), "delete", "Encounter").allowed
    assert not CZ.decide(caller("rescue"), "create", "Encounter").allowed
    patient = caller("patient", person=1)
    assert CZ.decide(patient, "create", "Consent").persons == {1}
    assert not CZ.decide(patient, "create", "Consent", person=2).allowed
    assert not CZ.decide(patient, "delete", "Consent", person=1).allowed
    assert not CZ.decide(patient, "create", "Observation").allowed


@pytest.mark.parametrize("name", ["cz", "declared"])
@pytest.mark.parametrize("kind", ["person", "system"])
def test_research_sees_no_identifiable_person_whatever_it_states(name: str, kind: Kind) -> None:
    policy = shipped(name)
    everything = Facts(frozenset(RELATIONS))
    for purpose in ("HRESCH", "TREAT", "PUBHLTH", "PATRQT", ""):
        who = Caller(
            kind=kind, id="r", name="R", role="researcher", organization="12345679",
            purpose=purpose, strength=3, scopes=("system/*.cruds", "user/*.cruds"), person=7,
        )  # fmt: skip
        for action in ACTIONS:
            for type_ in ("Patient", "Observation", "Coverage", "Flag", "Bundle"):
                for person, facts in ((None, None), (7, everything), (8, everything)):
                    found = policy.decide(who, action, type_, person=person, facts=facts)
                    assert not found.allowed and found.reason == "secondary-use"
            # nor what a document brought of a place or a physician, nor who looked
            for type_ in ("Organization", "Practitioner", "AuditEvent"):
                assert not policy.decide(who, action, type_, person=8, facts=everything).allowed
        assert policy.decide(who, "read", "CodeSystem").allowed
        line = policy.explain(who, "read", "Observation", person=8, facts=everything)
        assert "2025/327" in line
