"""What can be registered, what of a wish is given, and how it is said."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access import apps
from pater.access.app_scopes import ROLE_SCOPES, grantable, is_known, meet
from pater.access.apps import App, AppError
from pater.access.authorize import target_of
from pater.access.caller import TWO_FACTORS, Caller
from pater.access.clients import ClientError
from pater.access.policy import ACTIONS, Action, decide
from pater.access.scopes import LETTERS, covers
from pater.app import now
from pater.domains.apps.words import lines
from pater.store.database import Database

APP = App("one", "One", ("https://one.example/back",), ("openid", "patient/*.rs"))


@pytest.mark.parametrize(
    "address",
    [
        "http://one.example/back",
        "http://[::1]:8000/back",
        "https://one.example/back#part",
        "https://someone@one.example/",
        "https:///back",
        "https://[/",
        "javascript:alert(1)",
        "data:text/html,x",
        "myapp:/back",
        "//one.example/back",
        "https://one.example/a b",
        "https://one.example; script-src 'unsafe-inline'/",
        "https://one.example/" + "x" * 600,
        "",
    ],
)
def test_addresses_that_could_lead_astray_are_not_registered(address: str) -> None:
    with pytest.raises(AppError):
        apps.check(replace(APP, redirect_uris=(address,)))


@pytest.mark.parametrize(
    ("address", "target"),
    [
        ("https://one.example/back?x=1", "https://one.example"),
        ("https://one.example?x", "https://one.example"),
        ("http://localhost:5173/", "http://localhost:5173"),
        ("http://127.0.0.1:9000/cb", "http://127.0.0.1:9000"),
        ("com.example.diary:/back", "com.example.diary:"),
    ],
)
def test_usual_addresses_are_registered_and_named_in_the_policy(address: str, target: str) -> None:
    apps.check(replace(APP, redirect_uris=(address,)))
    assert target_of(address) == target


def test_what_cannot_be_held_to_is_not_registered() -> None:
    for wrong in (
        replace(APP, id="a b"),
        replace(APP, id=""),
        replace(APP, name=" "),
        replace(APP, name="a\nb"),
        replace(APP, redirect_uris=()),
        replace(APP, launch_url="com.example.diary:/go"),
        replace(APP, scopes=()),
        replace(APP, scopes=("system/*.rs",)),
        replace(APP, scopes=("nonsense",)),
        replace(APP, jwks={"keys": []}),
        replace(APP, secret_hash=b"x", redirect_uris=("com.example.diary:/back",)),
    ):
        with pytest.raises(AppError):
            apps.check(wrong)
    with pytest.raises(ClientError):
        apps.check(replace(APP, jwks={"keys": [{"kty": "oct", "k": "x"}]}))


async def test_an_app_is_kept_replaced_and_taken_away(database: Database) -> None:
    await apps.register(database, APP, now)
    assert await apps.find(database, "one") == APP
    secret, hashed = apps.new_secret()
    await apps.register(database, replace(APP, name="Two", secret_hash=hashed), now)
    (found,) = await apps.every(database)
    assert found.name == "Two" and found.confidential
    assert apps.is_secret(found, secret) and not apps.is_secret(found, secret[:-1])
    assert not apps.is_secret(APP, "")
    assert await apps.remove(database, "one", now)
    assert not await apps.remove(database, "one", now)
    assert await apps.find(database, "one") is None


TYPES = st.sampled_from(["*", "Patient", "Observation"])
SOME = st.sets(st.sampled_from(LETTERS), min_size=1).map(
    lambda s: "".join(sorted(s, key=LETTERS.index))
)
ARGUMENTS = st.sampled_from(["", "?_tag=a", "?_id=x&_tag=a"])
SCOPES = st.builds(
    lambda context, type_, letters, query: f"{context}/{type_}.{letters}{query}",
    st.sampled_from(["patient", "user"]),
    TYPES,
    SOME,
    ARGUMENTS,
)


@given(SCOPES, st.lists(SCOPES, max_size=4))
def test_what_is_given_lies_within_the_wish_and_the_registration(
    wanted: str, held: list[str]
) -> None:
    for part in meet(wanted, held):
        assert covers([wanted], part) and covers(held, part)
        assert is_known(part)
    if covers(held, wanted):
        assert meet(wanted, held) == [wanted]


@given(st.lists(SCOPES, max_size=4), st.lists(SCOPES, max_size=4), st.booleans())
def test_no_app_gets_more_than_the_role_of_its_person(
    wanted: list[str], registered: list[str], patient: bool
) -> None:
    for role, most in ROLE_SCOPES.items():
        for scope in grantable(wanted, tuple(registered), role, patient=patient):
            assert covers(most, scope)
            assert patient or not scope.startswith("patient/")
    assert grantable(wanted, tuple(registered), "provider-system", patient=patient) == ()


@pytest.mark.parametrize("action", ACTIONS)
@pytest.mark.parametrize("type_", ["Observation", "Patient", "Practitioner", "AuditEvent", "Group"])
def test_an_app_that_was_given_one_record_sees_no_other(action: Action, type_: str) -> None:
    app = Caller(
        kind="person",
        id="alena",
        name="Alena",
        role="clinician",
        purpose="TREAT",
        strength=TWO_FACTORS,
        scopes=("user/*.cruds", "patient/*.cruds"),
        app="diary",
        grant="g",
        context=7,
    )
    persons = decide(app, action, type_, person=None).persons
    assert persons is not None and persons <= {0, 7}
    assert not decide(app, action, type_, person=8).allowed
    assert not decide(app, action, "Subscription", person=None).allowed


def test_words_of_smart_1_are_understood_and_cut_down() -> None:
    held = ("patient/*.cruds",)
    assert grantable(["patient/*.read"], held, "patient", patient=True) == ("patient/*.read",)
    assert grantable(["patient/*.*"], held, "patient", patient=True) == ("patient/*.rs",)
    assert grantable(["patient/*.write"], held, "patient", patient=True) == ()


def test_what_means_the_same_is_said_once() -> None:
    said = lines(["openid", "fhirUser", "launch/patient", "patient/Basic.rs"], str)
    assert [line.text for line in said] == [
        "Know who you are: your name and your number here",
        "Read: Basic",
    ]
    assert said[0].scopes == ("openid", "fhirUser")
