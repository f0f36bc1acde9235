"""Being asked again, choosing a patient, who the person is, and the end by a new password."""

from __future__ import annotations

import re
from datetime import timedelta
from html import unescape
from typing import Any

import httpx
import pytest

from pater.access import accounts, grants, sessions
from pater.access.tokens import Tokens
from pater.app import now
from pater.registers.identifiers import RID, rid_from
from pater.web.security import Marks, Security
from tests.apps.conftest import BASE, LOADER, PASSWORD, Desk, Pkce, back


def hidden(page: httpx.Response, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page.text)
    assert found, page.text
    return unescape(found[1])


async def begun(desk: Desk, cookie: dict[str, str], **changes: str) -> tuple[str, dict[str, str]]:
    """Where the authorization request leads, and the cookies with which to go there."""
    first = await desk.http.get(
        "/oauth/authorize", params=desk.asking(Pkce(), **changes), headers=cookie
    )
    kept = first.headers["set-cookie"].partition(";")[0]
    return first.headers["location"], {"Cookie": f"{cookie['Cookie']}; {kept}"}


async def asked_for(desk: Desk, cookie: dict[str, str], **changes: str) -> httpx.Response:
    """What follows the authorization request: the consent screen, or a redirect."""
    place, both = await begun(desk, cookie, **changes)
    return await desk.http.get(place, headers=both)


@pytest.mark.parametrize(
    ("changes", "minutes", "again"),
    [
        ({"prompt": "login"}, 5, True),
        ({"max_age": "0"}, 5, True),
        ({"max_age": "60"}, 5, True),
        ({"max_age": "600"}, 5, False),
        ({"prompt": "consent"}, 5, False),
        ({}, 5, False),
    ],
)
async def test_an_app_may_want_the_person_to_prove_themselves_again(
    desk: Desk, changes: dict[str, str], minutes: int, again: bool
) -> None:
    cookie = await desk.cookie("jana")
    token = cookie["Cookie"].partition("pater_session=")[2].partition(";")[0]
    earlier = now() - timedelta(minutes=minutes)
    await desk.house.db.execute(
        "update session set created = $2, proved = $2 where token_hash = $1",
        sessions._hash(token),
        earlier,
    )
    place, both = await begun(desk, cookie, **changes)
    page = await desk.http.get(place, headers=both)
    if not again:
        assert page.status_code == 200 and 'value="allow"' in page.text
        return
    assert page.status_code == 303
    assert page.headers["location"].startswith("/login/again?next=%2Foauth%2Fconsent")
    # who has proved themselves after the app asked is let through
    await desk.house.db.execute(
        "update session set proved = $2 where token_hash = $1", sessions._hash(token), now()
    )
    assert (await desk.http.get(place, headers=both)).status_code == 200


async def test_the_time_of_asking_is_not_the_apps_to_say(desk: Desk) -> None:
    cookie = await desk.cookie("jana")
    await desk.house.db.execute(
        "update session set created = $1, proved = $1 where account = 'jana'",
        now() - timedelta(minutes=5),
    )
    page = await asked_for(desk, cookie, prompt="login", pater_since="1", pater_person="1")
    assert page.status_code == 303
    refused = await desk.http.get(
        "/oauth/authorize", params=desk.asking(Pkce(), max_age="soon"), headers=cookie
    )
    assert back(refused)["error"] == "invalid_request"


async def test_userinfo_says_who_the_person_is_and_no_more(desk: Desk) -> None:
    async def ask(token: str, method: str = "GET") -> httpx.Response:
        headers = {"Authorization": f"Bearer {token}"}
        return await desk.http.request(method, "/oauth/userinfo", headers=headers)

    scope = "openid fhirUser profile launch/patient patient/*.rs"
    token = (await desk.tokens(scope=scope))["access_token"]
    for method in ("GET", "POST"):
        told = (await ask(token, method)).json()
        assert told == {
            "sub": "jana",
            "name": "Jana",
            "fhirUser": f"{BASE}/fhir/Patient/{desk.patients['jana']}",
        }
    assert (await ask((await desk.tokens(scope="openid patient/*.rs"))["access_token"])).json() == {
        "sub": "jana"
    }
    bare = await ask((await desk.tokens(scope="patient/*.rs"))["access_token"])
    assert bare.status_code == 403 and "insufficient_scope" in bare.headers["www-authenticate"]
    for wrong in ("x", token[:-4] + "AAAA"):
        assert (await ask(wrong)).status_code == 401
    assert (await desk.http.get("/oauth/userinfo")).status_code == 401
    openid = (await desk.http.get("/.well-known/openid-configuration")).json()
    assert openid["userinfo_endpoint"] == BASE + "/oauth/userinfo"
    smart = (await desk.http.get("/.well-known/smart-configuration")).json()
    assert smart["userinfo_endpoint"] == BASE + "/oauth/userinfo"


async def number(desk: Desk, login: str, start: int) -> str:
    """Gives somebody of the house a RID."""
    rid = rid_from(start)
    stored = await desk.http.get(
        f"/fhir/Patient/{desk.patients[login]}",
        headers={"Authorization": f"Bearer {(await desk.tokens(login))['access_token']}"},
    )
    body = stored.json() | {"identifier": [{"system": RID, "value": rid}]}
    loader = Tokens(desk.house.keys, BASE, now).issue(LOADER)
    done = await desk.http.put(
        f"/fhir/Patient/{desk.patients[login]}", json=body,
        headers={"Authorization": f"Bearer {loader}", "Content-Type": "application/fhir+json"},
    )  # fmt: skip
    assert done.status_code == 200, done.text
    return rid


async def test_a_physician_chooses_the_patient_whom_the_app_asked_for(desk: Desk) -> None:
    rid = await number(desk, "petr", 4_100_000_000)
    cookie = await desk.cookie("alena")
    pkce = Pkce()
    asked = desk.asking(pkce, scope="launch/patient patient/*.rs user/Patient.rs")
    page = await desk.screen(asked, cookie)
    assert "Choose the patient" in page.text
    form: dict[str, Any] = {"csrf": hidden(page, "csrf"), "asked": hidden(page, "asked")}
    for fault, changes in (
        ("not valid", {"value": "123", "purpose": "TREAT"}),
        ("Nobody with this number", {"value": rid_from(9_000_000_000), "purpose": "TREAT"}),
        ("State why", {"value": rid}),
        ("State why", {"value": rid, "purpose": "SYSADMIN"}),
    ):
        filled = form | {"answer": "pick", "kind": "rid"} | changes
        wrong = await desk.http.post("/oauth/consent", data=filled, headers=cookie)
        assert wrong.status_code == 422 and fault in wrong.text
    filled = form | {"answer": "pick", "kind": "rid", "value": rid, "purpose": "TREAT"}
    chosen = await desk.http.post("/oauth/consent", data=filled, headers=cookie)
    assert chosen.status_code == 200 and "record of Petr" in chosen.text
    assert "Choose the patient" not in chosen.text
    given = await desk.answer(chosen, cookie)
    token = (await desk.redeem(back(given)["code"], pkce)).json()
    assert token["patient"] == desk.patients["petr"]
    assert "patient/*.rs" in token["scope"]
    seen = await desk.read(token["access_token"], "Observation")
    subjects = {e["resource"]["subject"]["reference"] for e in seen.json()["entry"]}
    assert subjects == {f"Patient/{desk.patients['petr']}"}
    row = await desk.house.db.fetchrow(
        "select * from journal_entry where reason = 'app-allowed' order by at desc limit 1"
    )
    assert row is not None and row["patient"] == desk.patients["petr"]
    # the choice is sealed for the physician who made it
    other = await desk.cookie("jana")
    csrf = re.search(r'name="csrf" value="([^"]*)"',
                     (await desk.http.get("/apps", headers=other)).text)  # fmt: skip
    assert csrf
    stolen = {"asked": hidden(chosen, "asked"), "csrf": csrf[1], "answer": "allow", "line-0": "1"}
    assert (await desk.http.post("/oauth/consent", data=stolen, headers=other)).status_code == 400


async def test_a_patient_chooses_nobody(desk: Desk) -> None:
    cookie = await desk.cookie("jana")
    page = await desk.screen(desk.asking(Pkce()), cookie)
    assert "Choose the patient" not in page.text
    form = {"csrf": hidden(page, "csrf"), "asked": hidden(page, "asked"), "answer": "pick",
            "kind": "rid", "value": rid_from(4_100_000_000), "purpose": "TREAT"}  # fmt: skip
    refused = await desk.http.post("/oauth/consent", data=form, headers=cookie)
    assert back(refused)["error"] == "access_denied"


async def test_a_new_password_ends_what_apps_were_allowed(desk: Desk) -> None:
    token = await desk.tokens("petr", scope="offline_access launch/patient patient/*.rs")
    db, keys = desk.house.db, desk.house.keys
    security = Security(db, keys, desk.house.committer.journal_only, now)
    account = await accounts.find(db, "petr")
    assert account is not None
    new = "jiná čtyři dlouhá slova"
    marks = Marks("192.0.2.1", "r-1")
    assert await security.set_password("petr", PASSWORD, new, "", marks) is None
    assert await grants.of_account(db, "petr", now) == []
    assert (await desk.refresh(token["refresh_token"])).status_code == 400
    await desk.house.revocations.refresh()  # as each process does each second
    assert (await desk.read(token["access_token"], "Observation")).status_code == 401
    assert await security.set_password("petr", new, PASSWORD, "", marks) is None
