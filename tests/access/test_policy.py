"""The policy: what each role may do, and that the table says the same as plain sentences."""

from __future__ import annotations

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access import policy_texts
from pater.access.caller import Caller
from pater.access.policy import (
    ACTIONS,
    PUBLIC_TYPES,
    Action,
    decide,
    explain,
    is_bound,
    is_personal,
    shipped,
)
from pater.fhir.definitions import RESOURCE_TYPES, compartment

HOSPITAL = Caller(
    kind="system",
    id="hospital-b",
    name="Nemocnice B",
    role="provider-system",
    organization="00000019",
    purpose="TREAT",
    strength=3,
    scopes=("system/*.rs", "system/Bundle.c"),
)
CLINICIAN = Caller(
    kind="person",
    id="clinician-b",
    name="MUDr. B",
    role="clinician",
    purpose="TREAT",
    strength=2,
    scopes=("user/*.rs",),
)
PATIENT = Caller(
    kind="person",
    id="patient",
    name="Jana",
    role="patient",
    purpose="PATRQT",
    strength=2,
    scopes=("patient/*.rs",),
    person=7,
    patient="p7",
)
LOADER = Caller(
    kind="system", id="loader", name="Loader", role="loader", strength=3, scopes=("system/*.cruds",)
)
INSURER = Caller(
    kind="system",
    id="insurer",
    name="Pojišťovna",
    role="none",
    purpose="TREAT",
    strength=3,
    scopes=("system/*.cruds",),
)


def test_a_hospital_submits_documents_and_nothing_else() -> None:
    assert decide(HOSPITAL, "create", "Bundle", person=None).allowed
    for action, type_ in (
        ("create", "Observation"),
        ("update", "Bundle"),
        ("delete", "Bundle"),
        ("create", "Organization"),
        ("create", "AuditEvent"),
    ):
        assert not decide(HOSPITAL, action, type_, person=None).allowed  # type: ignore[arg-type]  # a loop over literals


def test_a_hospital_needs_no_purpose_to_submit_but_an_organisation() -> None:
    assert decide(replace(HOSPITAL, purpose=""), "create", "Bundle", person=None).allowed
    nobody = decide(replace(HOSPITAL, organization=""), "create", "Bundle", person=None)
    assert (nobody.allowed, nobody.reason) == (False, "no-organization")


@pytest.mark.parametrize("caller", [HOSPITAL, CLINICIAN], ids=["system", "clinician"])
def test_a_provider_reads_for_treatment_only(caller: Caller) -> None:
    assert decide(caller, "read", "Observation", person=3).reason == "treatment"
    urgent = decide(replace(caller, purpose="ETREAT"), "read", "Observation", person=3)
    assert (urgent.allowed, urgent.reason) == (True, "emergency")
    for purpose in ("", "PATRQT", "HRESCH", "treat", "SYSADMIN"):
        refused = decide(replace(caller, purpose=purpose), "read", "Observation", person=3)
        assert (refused.allowed, refused.reason) == (False, "no-purpose")
        assert refused.persons == frozenset()


@pytest.mark.parametrize("caller", [HOSPITAL, CLINICIAN], ids=["system", "clinician"])
def test_a_provider_searches_only_a_named_patient(caller: Caller) -> None:
    found = decide(caller, "search", "DocumentReference", person=None)
    assert (found.allowed, found.persons, found.patient_bound) == (True, None, True)
    assert not decide(caller, "search", "Organization", person=None).patient_bound
    assert not decide(caller, "search", "AuditEvent", person=None).allowed


def test_a_password_alone_opens_no_record() -> None:
    for caller in (CLINICIAN, PATIENT):
        weak = decide(replace(caller, strength=1), "read", "Observation", person=7)
        assert (weak.allowed, weak.reason) == (False, "weak-login")


def test_a_patient_sees_only_the_own_record() -> None:
    found = decide(PATIENT, "search", "Observation", person=None)
    assert (found.allowed, found.persons, found.patient_bound) == (True, frozenset({7}), False)
    assert decide(PATIENT, "read", "AuditEvent", person=7).reason == "own-audit"
    for other in (0, 8):
        refused = decide(PATIENT, "read", "Observation", person=other)
        assert (refused.allowed, refused.reason) == (False, "other-person")
    for nobody in (None, 0):
        unknown = decide(replace(PATIENT, person=nobody), "search", "Observation", person=None)
        assert (unknown.allowed, unknown.reason) == (False, "no-person")
    assert decide(PATIENT, "read", "Organization", person=0).allowed
    assert not decide(PATIENT, "read", "Organization", person=8).allowed
    assert decide(PATIENT, "search", "Organization", person=None).persons == {0, 7}
    assert not decide(PATIENT, "create", "Observation", person=7).allowed


def test_who_has_no_role_gets_nothing_whatever_the_token_says() -> None:
    for caller in (INSURER, replace(INSURER, role="unheard-of")):
        assert not any(
            decide(caller, action, type_, person=None).allowed
            for action in ACTIONS
            for type_ in RESOURCE_TYPES
        )


def test_nobody_writes_the_journal() -> None:
    for action in ("create", "update", "delete"):
        found = decide(LOADER, action, "AuditEvent", person=None)  # type: ignore[arg-type]  # a loop over literals
        assert (found.allowed, found.reason) == (False, "journal-only-grows")
    assert decide(LOADER, "read", "AuditEvent", person=5).allowed


def test_scopes_narrow_what_the_role_gives() -> None:
    only = replace(LOADER, scopes=("system/Patient.r",))
    assert decide(only, "read", "Patient", person=None).allowed
    assert decide(only, "history", "Patient", person=None).allowed
    assert decide(only, "search", "Patient", person=None).reason == "no-scope"
    assert decide(only, "read", "Observation", person=None).reason == "no-scope"
    assert decide(replace(LOADER, scopes=()), "read", "Patient", person=None).reason == "no-scope"
    # a person's scope in a system's token, and the other way round, say nothing
    assert not decide(
        replace(LOADER, scopes=("user/*.cruds",)), "read", "Patient", person=1
    ).allowed
    assert not decide(replace(PATIENT, scopes=("system/*.r",)), "read", "Patient", person=7).allowed


def test_no_public_type_belongs_to_a_patient() -> None:
    assert not PUBLIC_TYPES & compartment("Patient").keys()
    assert set(RESOURCE_TYPES) >= PUBLIC_TYPES
    assert is_personal("Binary")
    assert is_personal("AuditEvent")
    assert is_personal("NobodyThoughtOfIt")


def test_every_reason_has_a_line_in_both_languages() -> None:
    for reason, lines in policy_texts.TEXTS.items():
        assert set(lines) == {"cs", "en"}, reason
        assert all(line.endswith(".") and "\n" not in line for line in lines.values())
    for name in ("cz", "declared"):
        assert {rule.reason for rule in shipped(name).rules} <= policy_texts.TEXTS.keys()
    assert explain(PATIENT, "read", "Patient", person=9, lang="cs") == (
        "Záznam patří jinému člověku."
    )
    assert policy_texts.text("of-a-later-release", "cs") == "of-a-later-release"


# The policy `declared` of the first roles once more, as slow plain sentences; no table and nothing
# in common but types. All rules of both policies: test_policy_reference.
OBVIOUS_ROLES = ("provider-system", "clinician", "patient", "loader", "none")


def obviously(caller: Caller, action: str, type_: str, person: int | None) -> tuple[object, ...]:
    """(allowed, whose data, whether bound)."""
    no = (False, frozenset(), False)
    letters = {"read": "r", "history": "r", "search": "s", "create": "c", "update": "u",
               "delete": "d", "validate": "cruds", "ask": "s"}[action]  # fmt: skip
    contexts = ["system"] if caller.kind == "system" else ["user", "patient"]
    in_scope = any(
        f"{context}/{name}" == scope.split(".")[0] and set(letters) & set(scope.split(".")[1])
        for scope in caller.scopes
        for context in contexts
        for name in ("*", type_)
    )
    writes = action in ("create", "update", "delete")
    reads = action in ("read", "search", "history")
    public = type_ in PUBLIC_TYPES
    journal = type_ == "AuditEvent"
    if not in_scope or caller.role not in ("provider-system", "clinician", "patient", "loader"):
        return no
    if action == "ask":  # no question is about one of these types
        return no
    if journal and (writes or action == "validate"):
        tells = caller.role == "provider-system" and action == "create" and caller.strength > 1
        return (True, None, False) if tells and caller.organization else no
    if action == "validate":
        return (True, None, False)
    if caller.role == "loader":
        return (True, None, False)
    if public and not person:
        own = caller.role == "patient" and caller.person and caller.strength > 1 and person is None
        return (True, frozenset({0, caller.person} if own else {0}), False) if reads else no
    if caller.strength < 2:
        return no
    if caller.role == "patient":
        if not reads or not caller.person:
            return no
        if person is not None and person != caller.person:
            return no
        return (True, frozenset({caller.person}), False)
    if journal:
        return no
    if reads:
        if caller.purpose not in ("TREAT", "ETREAT"):
            return no
        return (True, None, action == "search")
    submits = caller.role == "provider-system" and (action, type_) == ("create", "Bundle")
    return (True, None, False) if submits and caller.organization else no


some_scopes = st.lists(
    st.sampled_from(
        ["system/*.cruds", "system/*.rs", "system/Bundle.c", "user/*.rs", "patient/*.rs",
         "patient/Observation.r", "user/Patient.s", "system/AuditEvent.cruds", "user/*.cruds"]
    ),
    max_size=3,
)  # fmt: skip
some_callers = st.builds(
    Caller,
    kind=st.sampled_from(["person", "system"]),
    id=st.just("x"),
    name=st.just("x"),
    role=st.sampled_from([*OBVIOUS_ROLES, ""]),
    organization=st.sampled_from(["", "00000019"]),
    purpose=st.sampled_from(["", "TREAT", "ETREAT", "PATRQT", "SYSADMIN"]),
    strength=st.integers(0, 3),
    scopes=some_scopes.map(tuple),
    person=st.sampled_from([None, 0, 1, 2]),
)
some_types = st.sampled_from(
    ["Patient", "Bundle", "Observation", "AuditEvent", "Organization", "ValueSet", "Binary"]
)


@given(
    some_callers,
    st.sampled_from(get_args(Action)),
    some_types,
    st.sampled_from([None, 0, 1, 2]),
)
def test_the_table_says_what_the_sentences_say(
    caller: Caller, action: Action, type_: str, person: int | None
) -> None:
    found = decide(caller, action, type_, person=person)
    expected = obviously(caller, action, type_, person)
    assert (found.allowed, found.persons, found.patient_bound) == expected
    assert found.reason in policy_texts.TEXTS


@pytest.mark.parametrize(
    ("type_", "parameters"),
    [
        ("Observation", [("patient", "Patient/1")]),
        ("Observation", [("subject:Patient", "1")]),
        ("Observation", [("code", "x"), ("patient.identifier", "https://s|1")]),
        ("Observation", [("subject:Patient.identifier", "https://s|1,https://s|2")]),
        ("Observation", [("patient:identifier", "https://s|1")]),
        ("Observation", [("patient._id", "1")]),
        ("DocumentReference", [("identifier", "urn:uuid:1")]),
        ("Patient", [("_id", "1")]),
        ("Patient", [("identifier", "a\\,b")]),
        ("Patient", [("identifier", ",".join(f"https://s|{n}" for n in range(50)))]),
        ("Observation", [("_id", ",".join(f"{n}" for n in range(51)))]),
        ("Patient", [("family", "Nováková"), ("birthdate", "1980-05-20")]),
        ("Patient", [("name:exact", "Jana"), ("birthdate", "eq1980-05-20")]),
    ],
)
def test_a_search_that_names_a_patient(type_: str, parameters: list[tuple[str, str]]) -> None:
    assert is_bound(type_, parameters)


@pytest.mark.parametrize(
    ("type_", "parameters"),
    [
        ("Patient", []),
        ("Patient", [("identifier", "https://s|")]),
        ("Patient", [("identifier", "https://s|1,https://s|")]),
        ("Patient", [("identifier", "x\\\\,https://s|")]),
        ("Patient", [("identifier:not", "https://s|1")]),
        ("Patient", [("identifier:missing", "false")]),
        ("Patient", [("_id:not", "1")]),
        ("Patient", [("family", "Nováková")]),
        ("Patient", [("birthdate", "1980-05-20")]),
        ("Patient", [("family", "N"), ("birthdate", "1980-05-20")]),
        ("Patient", [("family", "N\u0301\u0301"), ("birthdate", "1980-05-20")]),
        ("Patient", [("family", "\u0301\u0301\u0301"), ("birthdate", "1980-05-20")]),
        ("Patient", [("family", "\u200b\u200b\u200b"), ("birthdate", "1980-05-20")]),
        ("Patient", [("family", "Nováková,N"), ("birthdate", "1980-05-20")]),
        ("Patient", [("family:contains", "ov"), ("birthdate", "1980-05-20")]),
        ("Patient", [("family:missing", "false"), ("birthdate", "1980-05-20")]),
        ("Patient", [("family", "Nováková"), ("birthdate", "ge1900-01-01")]),
        ("Patient", [("family", "Nováková"), ("birthdate", "1980")]),
        ("Patient", [("family", "Nováková"), ("birthdate", "1980-05-20,1981")]),
        ("Patient", [("family", "Nováková"), ("birthdate", "1980-05-20,1980-05-21")]),
        ("Patient", [("family", "Nováková,Svobodová"), ("birthdate", "1980-05-20")]),
        ("Patient", [("family", "Nováková"), ("birthdate:missing", "true")]),
        ("Patient", [("identifier", ",".join(f"https://s|{n}" for n in range(51)))]),
        ("Observation", [("patient", ",".join(f"Patient/{n}" for n in range(51)))]),
        ("Observation", [("patient.identifier", ",".join(f"{n}" for n in range(51)))]),
        ("Patient", [("_has:Observation:patient:identifier", "1")]),
        ("Observation", [("patient", "")]),
        ("Observation", [("patient", "Patient/")]),
        ("Observation", [("patient:missing", "false")]),
        ("Observation", [("subject:Group", "1")]),
        ("Observation", [("patient.name", "Jana")]),
        ("Observation", [("patient.identifier:not", "https://s|1")]),
        ("Observation", [("patient.organization.identifier", "https://s|1")]),
        ("Observation", [("encounter.identifier", "https://s|1")]),
        ("Observation", [("performer", "Practitioner/1")]),
        ("Observation", [("family", "Nováková"), ("birthdate", "1980-05-20")]),
    ],
)
def test_a_search_that_would_list_people(type_: str, parameters: list[tuple[str, str]]) -> None:
    assert not is_bound(type_, parameters)
