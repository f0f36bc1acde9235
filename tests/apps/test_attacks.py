"""What goes wrong on purpose: stolen codes, foreign addresses, forged forms, greedy scopes."""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.access.tokens import TokenError, Tokens
from pater.app import now
from tests.apps.conftest import BACK, BASE, Desk, Pkce, back


async def test_a_code_that_comes_twice_ends_all_that_it_gave(desk: Desk) -> None:
    pkce = Pkce()
    code = await desk.code(pkce, scope="offline_access patient/*.rs")
    token = (await desk.redeem(code, pkce)).json()
    assert (await desk.read(token["access_token"], "Observation")).status_code == 200
    # also when it is the thief who comes second, without the verifier
    replayed = await desk.redeem(code, Pkce())
    assert replayed.status_code == 400 and replayed.json()["error"] == "invalid_grant"
    assert (await desk.read(token["access_token"], "Observation")).status_code == 401
    assert (await desk.refresh(token["refresh_token"])).status_code == 400
    reasons = await desk.house.db.fetch("select reason from journal where interaction = 'app-end'")
    assert "app-replay" in {row["reason"] for row in reasons}


@pytest.mark.parametrize(
    ("app", "changes"),
    [
        ("diary", {"code_verifier": Pkce().verifier}),
        ("diary", {"code_verifier": None}),
        ("diary", {"redirect_uri": BACK + "?a=1"}),
        ("diary", {"redirect_uri": None}),
        ("narrow", {"redirect_uri": BACK}),
    ],
    ids=["verifier", "no-verifier", "redirect", "no-redirect", "other-app"],
)
async def test_a_stolen_code_is_worth_nothing_and_is_used_up(
    desk: Desk, app: str, changes: dict[str, Any]
) -> None:
    pkce = Pkce()
    code = await desk.code(pkce)
    answer = await desk.redeem(code, pkce, app, **changes)
    assert answer.status_code == 400 and answer.json()["error"] == "invalid_grant"
    assert (await desk.redeem(code, pkce)).status_code == 400


async def test_a_code_is_good_for_a_minute(desk: Desk) -> None:
    pkce = Pkce()
    code = await desk.code(pkce)
    row = await desk.house.db.fetchrow(
        "select code_until - created as life from app_grant order by created desc limit 1"
    )
    assert row is not None and row["life"] <= timedelta(seconds=60)
    await desk.house.db.execute("update app_grant set code_until = $1", now())
    assert (await desk.redeem(code, pkce)).status_code == 400


async def test_a_changed_refresh_token_that_comes_again_ends_the_family(desk: Desk) -> None:
    token = await desk.tokens(scope="offline_access patient/*.rs")
    second = (await desk.refresh(token["refresh_token"])).json()
    third = (await desk.refresh(second["refresh_token"])).json()
    assert (await desk.refresh(token["refresh_token"])).status_code == 400
    assert (await desk.refresh(third["refresh_token"])).status_code == 400
    assert (await desk.read(third["access_token"], "Observation")).status_code == 401


async def test_a_refresh_token_is_its_apps_own_and_cannot_be_made_up(desk: Desk) -> None:
    token = await desk.tokens(scope="offline_access patient/*.rs")
    assert (await desk.refresh(token["refresh_token"], client_id="narrow")).status_code == 400
    text = token["refresh_token"]
    for wrong in (text[:-2] + ("AA" if text[-2:] != "AA" else "BB"), "", "x", text + "x", "ř" * 70):
        assert (await desk.refresh(wrong)).status_code == 400
    assert (await desk.refresh(text)).status_code == 200  # none of that cost the owner the token


async def test_more_than_was_allowed_is_not_refreshed_and_costs_no_token(desk: Desk) -> None:
    token = await desk.tokens(scope="offline_access patient/Patient.r")
    for wish in ("patient/*.rs", "patient/Observation.r", "user/*.rs", "openid", "nonsense"):
        answer = await desk.refresh(token["refresh_token"], scope=wish)
        assert answer.json()["error"] == "invalid_scope"
    assert (await desk.refresh(token["refresh_token"])).status_code == 200


async def test_an_app_gets_no_more_than_it_is_registered_for(desk: Desk) -> None:
    pkce = Pkce()
    wish = "openid offline_access launch/patient patient/*.cruds user/*.rs system/*.rs nonsense"
    token = (
        await desk.redeem(await desk.code(pkce, app="narrow", scope=wish), pkce, "narrow")
    ).json()
    assert token["scope"] == "openid patient/Patient.r"
    assert (await desk.read(token["access_token"], "Observation")).status_code == 403


@pytest.mark.parametrize(
    "address",
    [
        "https://evil.example/",
        BACK + "/",
        BACK + "?a=2",
        BACK.upper(),
        BACK + "#x",
        "",
        "javascript:1",
    ],
)
async def test_nobody_is_sent_to_an_address_that_is_not_registered(
    desk: Desk, address: str
) -> None:
    asked = desk.asking(Pkce(), redirect_uri=address)
    for more in ({}, {"scope": ""}, {"response_type": "token"}):
        answer = await desk.http.get("/oauth/authorize", params=asked | more)
        assert answer.status_code == 400 and "location" not in answer.headers


async def test_an_unknown_app_is_shown_to_the_person_only(desk: Desk) -> None:
    asked = desk.asking(Pkce()) | {"client_id": "<b>x"}
    answer = await desk.http.get("/oauth/authorize", params=asked)
    assert answer.status_code == 400 and "<b>x" not in answer.text


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"response_type": "token"}, "unsupported_response_type"),
        ({"code_challenge": None}, "invalid_request"),
        ({"code_challenge_method": "plain"}, "invalid_request"),
        ({"code_challenge_method": None}, "invalid_request"),
        ({"aud": "https://elsewhere.example/fhir"}, "invalid_request"),
        ({"aud": None}, "invalid_request"),
        ({"scope": None}, "invalid_scope"),
        ({"prompt": "none"}, "interaction_required"),
        ({"request": "x.y.z"}, "request_not_supported"),
        ({"scope": "patient/*.rs " * 500}, "invalid_request"),
    ],
)
async def test_a_request_that_is_not_in_order_is_told_to_its_app(
    desk: Desk, changes: dict[str, Any], error: str
) -> None:
    answer = await desk.http.get("/oauth/authorize", params=desk.asking(Pkce(), **changes))
    assert answer.status_code == 303 and answer.headers["location"].startswith(BACK + "?")
    assert back(answer)["error"] == error and back(answer)["state"] == "s-1"
    assert "set-cookie" not in answer.headers


async def test_state_may_be_missing_and_comes_back_as_it_was(desk: Desk) -> None:
    for state in (None, "a b&c=d+%2F"):
        cookie = await desk.cookie("jana")
        page = await desk.screen(desk.asking(Pkce(), state=state), cookie)
        assert back(await desk.answer(page, cookie)).get("state") == state


async def test_a_parameter_that_stands_twice_is_refused(desk: Desk) -> None:
    asked = list(desk.asking(Pkce()).items())
    twice = await desk.http.get("/oauth/authorize", params=[*asked, ("scope", "openid")])
    assert back(twice)["error"] == "invalid_request"
    other = await desk.http.get("/oauth/authorize", params=[*asked, ("redirect_uri", BACK)])
    assert other.status_code == 400 and "location" not in other.headers


async def test_consent_cannot_be_given_by_another_page_or_person(desk: Desk) -> None:
    cookie = await desk.cookie("jana")
    page = await desk.screen(desk.asking(Pkce()), cookie)
    for changes in ({"csrf": ""}, {"csrf": "x"}):
        assert (await desk.answer(page, cookie, **changes)).status_code == 403
    # what was asked of one person is not answered by another's form
    other = await desk.cookie("petr")
    theirs = await desk.screen(desk.asking(Pkce()), other)
    sealed = page.text.split('name="asked" value="')[1].split('"')[0]
    assert (await desk.answer(theirs, other, asked=sealed)).status_code == 400
    forged = sealed[:-1] + ("0" if sealed[-1] != "0" else "1")
    assert (await desk.answer(page, cookie, asked=forged)).status_code == 400
    assert (await desk.answer(page, cookie, asked="")).status_code == 400
    assert page.headers["x-frame-options"] == "DENY"
    assert "form-action 'self' https://diary.example;" in page.headers["content-security-policy"]


async def test_the_screen_of_one_window_is_not_shown_in_another(desk: Desk) -> None:
    cookie = await desk.cookie("jana")
    first = await desk.http.get("/oauth/authorize", params=desk.asking(Pkce()), headers=cookie)
    second = await desk.http.get(
        "/oauth/authorize", params=desk.asking(Pkce(), "narrow"), headers=cookie
    )
    kept = second.headers["set-cookie"].partition(";")[0]
    headers = {"Cookie": f"{cookie['Cookie']}; {kept}"}
    page = await desk.http.get(first.headers["location"], headers=headers)
    assert page.status_code == 400 and "Úzká" not in page.text


async def test_no_app_is_trusted_when_nobody_can_say_what_was_revoked(desk: Desk) -> None:
    token = (await desk.tokens())["access_token"]
    blind = Tokens(desk.house.keys, BASE, now)
    with pytest.raises(TokenError) as refused:
        blind.verify(token)
    assert refused.value.code == "revoked"


async def test_an_ended_right_of_the_person_ends_that_of_the_app(desk: Desk) -> None:
    token = await desk.tokens("petr", scope="offline_access patient/*.rs")
    await desk.house.db.execute("update account set active = false where id = 'petr'")
    try:
        assert (await desk.refresh(token["refresh_token"])).status_code == 400
    finally:
        await desk.house.db.execute("update account set active = true where id = 'petr'")


_NAMES = st.sampled_from(
    [
        "response_type", "client_id", "redirect_uri", "scope", "state", "nonce", "aud", "launch",
        "code_challenge", "code_challenge_method", "prompt", "grant_type", "code", "code_verifier",
        "refresh_token", "token", "client_assertion", "client_assertion_type", "response_mode",
    ]
)  # fmt: skip
_ODD = st.one_of(
    st.text(max_size=60),
    st.sampled_from(["diary", "signer", BACK, "code", "S256", BASE + "/fhir", "none", "\0", "%"]),
)


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(changes=st.dictionaries(_NAMES, _ODD, max_size=5), header=st.text("aA=: B", max_size=12))
async def test_whatever_is_sent_is_answered(
    desk: Desk, changes: dict[str, str], header: str
) -> None:
    pkce = Pkce("v" * 50)
    asked = urlencode(desk.asking(pkce) | changes, errors="replace")
    found = await desk.http.get("/oauth/authorize?" + asked)
    assert found.status_code in (303, 400)
    posted = await desk.http.get("/oauth/consent?" + asked)
    assert posted.status_code in (303, 400)
    kind = {"Content-Type": "application/x-www-form-urlencoded"}
    if header:
        kind["Authorization"] = f"Basic {header}"
    for address in ("token", "introspect", "revoke", "authorize"):
        for grant in ("authorization_code", "refresh_token"):
            form = {"grant_type": grant, "client_id": "diary", "code": "x", "token": "x"} | changes
            body = urlencode(form, errors="replace")
            answer = await desk.http.post(f"/oauth/{address}", content=body, headers=kind)
            assert answer.status_code in (200, 303, 400, 401), answer.text
