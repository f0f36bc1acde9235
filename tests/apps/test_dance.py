"""SMART App Launch: an app is allowed, reads what it may, and stops when it is told to."""

from __future__ import annotations

import base64
import time
from typing import Any

import pytest
from joserfc import jws, jwt
from joserfc.jwk import KeySet

from pater.access import apps
from pater.access.smart import ASSERTION_TYPE
from pater.app import now
from tests.apps.conftest import APPS, BASE, KEY_OF_APP, SECRET, Desk, Pkce, back, lines_of


async def found(desk: Desk, token: str, path: str) -> set[str]:
    """The patients whom the matches of a search speak of."""
    answer = await desk.read(token, path)
    assert answer.status_code == 200, answer.text
    entries = answer.json().get("entry", [])
    return {each["resource"]["subject"]["reference"].split("/")[1] for each in entries}


async def test_an_app_reads_the_record_of_who_allowed_it_and_no_other(desk: Desk) -> None:
    token = await desk.tokens()
    jana, petr = desk.patients["jana"], desk.patients["petr"]
    assert token["patient"] == jana
    assert token["scope"] == "launch/patient patient/*.rs"
    assert token["token_type"] == "Bearer" and token["expires_in"] <= 300
    assert "refresh_token" not in token and "id_token" not in token
    access = token["access_token"]
    assert (await desk.read(access, f"Patient/{jana}")).status_code == 200
    assert (await desk.read(access, f"Patient/{petr}")).status_code in (403, 404)
    assert await found(desk, access, "Observation") == {jana}
    assert await found(desk, access, f"Observation?patient={petr}") == set()


async def test_an_app_changes_nothing(desk: Desk) -> None:
    token = await desk.tokens(scope="launch/patient patient/*.cruds")
    assert token["scope"] == "launch/patient patient/*.rs"
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    body = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    answer = await desk.http.post("/fhir/Observation", json=body, headers=headers)
    assert answer.status_code == 403


async def test_who_the_person_is_stands_in_a_signed_token(desk: Desk) -> None:
    token = await desk.tokens(scope="openid fhirUser profile patient/Patient.r", nonce="n-1")
    document = (await desk.http.get("/.well-known/openid-configuration")).json()
    keys = KeySet.import_key_set((await desk.http.get("/.well-known/jwks.json")).json())
    read = jwt.decode(token["id_token"], keys, algorithms=["RS256"])
    assert read.claims["iss"] == document["issuer"] == BASE
    assert read.claims["aud"] == "diary" and read.claims["nonce"] == "n-1"
    assert read.claims["fhirUser"] == f"{BASE}/fhir/Patient/{desk.patients['jana']}"
    assert read.claims["name"] == "Jana" and read.claims["exp"] > time.time()
    user = await desk.read(token["access_token"], read.claims["fhirUser"].split("/fhir/")[1])
    assert user.json()["id"] == desk.patients["jana"]


async def test_what_is_unticked_is_not_given(desk: Desk) -> None:
    pkce, cookie = Pkce(), await desk.cookie("jana")
    asked = desk.asking(
        pkce, scope="openid offline_access patient/Patient.rs patient/Observation.rs"
    )
    page = await desk.screen(asked, cookie)
    assert "Deník" in page.text and len(lines_of(page.text)) == 4
    given = await desk.answer(page, cookie, untick="results and measurements")
    token = (await desk.redeem(back(given)["code"], pkce)).json()
    assert token["scope"] == "openid offline_access patient/Patient.rs"
    assert (await desk.read(token["access_token"], "Observation")).status_code == 403


async def test_a_scope_with_arguments_is_said_in_words_and_held_to(desk: Desk) -> None:
    pkce, cookie = Pkce(), await desk.cookie("jana")
    scope = "patient/Observation.rs?category=laboratory"
    page = await desk.screen(desk.asking(pkce, scope=scope), cookie)
    assert lines_of(page.text) == {"line-0": "Read: results and measurements (only laboratory)"}
    token = (await desk.redeem(back(await desk.answer(page, cookie))["code"], pkce)).json()
    answer = await desk.read(token["access_token"], "Observation?_total=accurate")
    assert answer.json()["total"] == 1


async def test_refusing_tells_the_app_and_gives_nothing(desk: Desk) -> None:
    cookie = await desk.cookie("jana")
    page = await desk.screen(desk.asking(Pkce()), cookie)
    answer = await desk.answer(page, cookie, answer="deny")
    assert back(answer) == {"error": "access_denied", "state": "s-1", "iss": BASE}


async def test_a_visitor_logs_in_first_and_then_decides(desk: Desk) -> None:
    first = await desk.http.get("/oauth/authorize", params=desk.asking(Pkce()))
    second = await desk.http.get(first.headers["location"])
    assert second.headers["location"].startswith("/login?next=%2Foauth%2Fconsent")


async def test_a_request_may_be_posted(desk: Desk) -> None:
    posted = await desk.http.post("/oauth/authorize", data=desk.asking(Pkce()))
    assert posted.status_code == 303
    assert posted.headers["location"].startswith("/oauth/authorize?")
    again = await desk.http.get(posted.headers["location"])
    assert again.headers["location"].startswith("/oauth/consent?ask=")


async def test_a_refresh_token_is_good_once_and_gives_the_next(desk: Desk) -> None:
    token = await desk.tokens(scope="offline_access launch/patient patient/*.rs")
    again = await desk.refresh(token["refresh_token"])
    assert again.status_code == 200 and again.json()["patient"] == token["patient"]
    assert again.json()["refresh_token"] != token["refresh_token"]
    less = await desk.refresh(again.json()["refresh_token"], scope="patient/Patient.r")
    assert less.json()["scope"] == "patient/Patient.r"
    refused = await desk.read(less.json()["access_token"], "Observation")
    assert refused.status_code == 403


async def test_online_access_ends_with_the_session(desk: Desk) -> None:
    pkce, cookie = Pkce(), await desk.cookie("jana")
    page = await desk.screen(desk.asking(pkce, scope="online_access patient/*.rs"), cookie)
    given = await desk.answer(page, cookie)
    token = (await desk.redeem(back(given)["code"], pkce)).json()
    again = (await desk.refresh(token["refresh_token"])).json()
    page = await desk.http.get("/apps", headers=cookie)
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    await desk.http.post("/logout", data={"csrf": csrf}, headers=cookie)
    assert (await desk.refresh(again["refresh_token"])).status_code == 400


async def test_apps_with_a_secret_prove_it(desk: Desk) -> None:
    for secret, status in ((SECRET, 200), ("guess", 401)):
        pkce = Pkce()
        code = await desk.code(pkce, app="server")
        basic = base64.b64encode(f"server:{secret}".encode()).decode()
        headers = {"Authorization": f"Basic {basic}"}
        answer = await desk.redeem(code, pkce, "server", client_id=None, headers=headers)
        assert answer.status_code == status, answer.text
    pkce = Pkce()
    answer = await desk.redeem(await desk.code(pkce, app="server"), pkce, "server")
    assert answer.status_code == 401 and answer.json()["error"] == "invalid_client"


def assertion(**changes: Any) -> dict[str, str]:
    """The fields by which the app with a key proves itself."""
    moment = int(time.time())
    claims = {
        "iss": "signer",
        "sub": "signer",
        "aud": BASE + "/oauth/token",
        "exp": moment + 60,
        "jti": f"j{time.perf_counter_ns()}",
        **changes,
    }
    header = {"alg": "ES384", "kid": "k1"}
    return {
        "client_assertion_type": ASSERTION_TYPE,
        "client_assertion": jwt.encode(header, claims, KEY_OF_APP, algorithms=["ES384"]),
    }


async def test_apps_with_a_key_prove_it_once(desk: Desk) -> None:
    pkce, proof = Pkce(), assertion()
    code = await desk.code(pkce, app="signer")
    answer = await desk.redeem(code, pkce, "signer", client_id=None, **proof)
    assert answer.status_code == 200, answer.text
    pkce = Pkce()
    code = await desk.code(pkce, app="signer")
    again = await desk.redeem(code, pkce, "signer", client_id=None, **proof)
    assert again.status_code == 401
    # an app's key gives no right to act without a person
    systems = {"grant_type": "client_credentials", "scope": "system/*.rs", **assertion()}
    assert (await desk.http.post("/oauth/token", data=systems)).status_code == 401


async def opened(desk: Desk, patient: str) -> tuple[dict[str, str], str]:
    """A physician's session with a patient open, and the handle of a launch from it."""
    cookie = await desk.cookie("alena")
    page = await desk.http.get("/professional", headers=cookie)
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    form = {"csrf": csrf, "patient": desk.patients[patient], "purpose": "TREAT"}
    await desk.http.post("/professional/open", data=form, headers=cookie)
    shown = await desk.http.get("/apps", headers=cookie)
    assert "https://diary.example" in shown.headers["content-security-policy"]
    form = {"csrf": csrf, "app": "diary"}
    launched = await desk.http.post("/apps/launch", data=form, headers=cookie)
    assert launched.headers["location"].startswith("https://diary.example/go?iss=")
    values = back(launched)
    assert values["iss"] == BASE + "/fhir"
    return cookie, values["launch"]


async def test_a_physician_opens_an_app_with_one_patient_and_it_sees_this_one(desk: Desk) -> None:
    cookie, launch = await opened(desk, "jana")
    pkce = Pkce()
    asked = desk.asking(pkce, scope="launch openid fhirUser patient/*.rs user/*.rs", launch=launch)
    page = await desk.screen(asked, cookie)
    token = (await desk.redeem(back(await desk.answer(page, cookie))["code"], pkce)).json()
    jana, petr = desk.patients["jana"], desk.patients["petr"]
    assert token["patient"] == jana and token["need_patient_banner"] is True
    claims = jws.extract_compact(token["id_token"].encode()).payload
    assert b"/fhir/Practitioner/practitioner-1" in (claims or b"")
    access = token["access_token"]
    assert await found(desk, access, "Observation") == {jana}
    assert await found(desk, access, f"Observation?patient={petr}") == set()
    assert (await desk.read(access, f"Patient/{petr}")).status_code in (403, 404)
    # the handle is used up
    again = await desk.screen(
        desk.asking(Pkce(), scope="launch patient/*.rs", launch=launch), cookie
    )
    assert 'value="allow"' not in again.text


async def test_a_launch_is_for_who_made_it(desk: Desk) -> None:
    _, launch = await opened(desk, "jana")
    cookie = await desk.cookie("petr")
    page = await desk.screen(
        desk.asking(Pkce(), scope="launch patient/*.rs", launch=launch), cookie
    )
    assert 'value="allow"' not in page.text


async def test_a_physician_without_a_launch_has_no_patient_to_give(desk: Desk) -> None:
    token = await desk.tokens("alena", scope="launch/patient patient/*.rs user/*.rs")
    assert token["scope"] == "user/*.rs" and "patient" not in token
    # and must name the patient, as on the pages
    assert (await desk.read(token["access_token"], "Observation")).status_code == 403
    named = f"Observation?patient={desk.patients['petr']}"
    assert await found(desk, token["access_token"], named) == {desk.patients["petr"]}


async def test_who_has_no_record_is_told_so(desk: Desk) -> None:
    cookie = await desk.cookie("nobody")
    page = await desk.screen(desk.asking(Pkce()), cookie)
    assert "not tied to a health record" in page.text and 'value="allow"' not in page.text
    assert back(await desk.answer(page, cookie))["error"] == "access_denied"


async def test_the_page_of_apps_shows_what_is_allowed_and_ends_it_at_once(desk: Desk) -> None:
    token = await desk.tokens("petr", scope="offline_access launch/patient patient/*.rs")
    cookie = await desk.cookie("petr")
    page = await desk.http.get("/apps", headers=cookie)
    assert "Deník" in page.text and "Read: all health records" in page.text
    csrf = page.text.split('name="csrf" value="')[1].split('"')[0]
    grants = [part.split('"')[0] for part in page.text.split('name="grant" value="')[1:]]
    other = await desk.cookie("jana")
    mine = await desk.http.get("/apps", headers=other)
    theirs = mine.text.split('name="csrf" value="')[1].split('"')[0]
    # nobody ends what is another's
    await desk.http.post("/apps/end", data={"csrf": theirs, "grant": grants[0]}, headers=other)
    assert (await desk.read(token["access_token"], "Observation")).status_code == 200
    for grant in grants:
        await desk.http.post("/apps/end", data={"csrf": csrf, "grant": grant}, headers=cookie)
    assert (await desk.read(token["access_token"], "Observation")).status_code == 401
    assert (await desk.refresh(token["refresh_token"])).status_code == 400
    assert "No connected apps" in (await desk.http.get("/apps", headers=cookie)).text


async def test_the_patient_sees_what_an_app_did(desk: Desk) -> None:
    token = await desk.tokens("petr")
    await desk.read(token["access_token"], f"Patient/{desk.patients['petr']}")
    page = await desk.http.get("/patient/access", headers=await desk.cookie("petr"))
    assert "Petr · Deník" in page.text
    assert "The person allowed an app to act for them." in page.text


async def test_introspection_tells_an_app_of_its_own_tokens(desk: Desk) -> None:
    token = await desk.tokens(scope="openid fhirUser offline_access launch/patient patient/*.rs")

    async def ask(text: str, app: str = "diary") -> dict[str, Any]:
        answer = await desk.http.post("/oauth/introspect", data={"token": text, "client_id": app})
        assert answer.status_code == 200, answer.text
        facts: dict[str, Any] = answer.json()
        return facts

    facts = await ask(token["access_token"])
    assert facts["active"] is True and facts["client_id"] == "diary" and facts["sub"] == "jana"
    assert facts["scope"] == token["scope"] and facts["patient"] == token["patient"]
    assert facts["fhirUser"].endswith(desk.patients["jana"]) and facts["exp"] > time.time()
    assert (await ask(token["refresh_token"]))["active"] is True
    assert await ask(token["access_token"], "narrow") == {"active": False}
    assert await ask("anything") == {"active": False}
    stranger = await desk.http.post("/oauth/introspect", data={"token": token["access_token"]})
    assert stranger.status_code == 401


async def test_with_the_employment_of_its_person_a_token_is_worth_nothing(desk: Desk) -> None:
    token = await desk.tokens("alena", scope="openid offline_access user/*.rs")

    async def worth(kind: str) -> bool:
        form = {"token": token[kind], "client_id": "diary"}
        answer = await desk.http.post("/oauth/introspect", data=form)
        assert answer.status_code == 200, answer.text
        return answer.json()["active"] is True

    kinds = ("access_token", "refresh_token")
    assert [await worth(kind) for kind in kinds] == [True, True]
    await desk.house.db.execute(
        "insert into provider_role (role, practitioner, organization, employment, active, since,"
        " until) values ('left', 'practitioner-1', 'elsewhere', true, true, '2010-01-01',"
        " '2020-12-31')"
    )
    try:
        assert [await worth(kind) for kind in kinds] == [False, False]
        header = {"Authorization": f"Bearer {token['access_token']}"}
        assert (await desk.http.get("/oauth/userinfo", headers=header)).status_code == 403
    finally:
        await desk.house.db.execute("delete from provider_role where role = 'left'")


@pytest.mark.parametrize("kind", ["access_token", "refresh_token"])
async def test_an_app_gives_its_token_back(desk: Desk, kind: str) -> None:
    token = await desk.tokens(scope="offline_access patient/*.rs")
    form = {"token": token[kind], "client_id": "narrow"}
    assert (await desk.http.post("/oauth/revoke", data=form)).status_code == 400
    assert (await desk.read(token["access_token"], "Observation")).status_code == 200
    form["client_id"] = "diary"
    assert (await desk.http.post("/oauth/revoke", data=form)).status_code == 200
    assert (await desk.read(token["access_token"], "Observation")).status_code == 401
    assert (await desk.refresh(token["refresh_token"])).status_code == 400
    unknown = {"token": "unknown", "client_id": "diary"}
    assert (await desk.http.post("/oauth/revoke", data=unknown)).status_code == 200


async def test_an_app_that_is_taken_away_is_out_everywhere(desk: Desk) -> None:
    token = await desk.tokens(scope="offline_access patient/*.rs")
    assert await apps.remove(desk.house.db, "diary", now)
    try:
        await desk.house.revocations.refresh()  # as each process does by itself
        assert (await desk.read(token["access_token"], "Observation")).status_code == 401
        assert (await desk.refresh(token["refresh_token"])).status_code == 401
    finally:
        await apps.register(desk.house.db, APPS[0], now)
    assert (await desk.refresh(token["refresh_token"])).status_code == 400


async def test_the_server_describes_what_it_does(desk: Desk) -> None:
    smart = (await desk.http.get("/fhir/.well-known/smart-configuration")).json()
    for name in ("authorization", "token", "introspection", "revocation", "management"):
        address = smart[f"{name}_endpoint"].removeprefix(BASE)
        assert (await desk.http.post(address, data={})).status_code not in (404, 500), name
    assert smart["code_challenge_methods_supported"] == ["S256"]
    assert {"launch-ehr", "launch-standalone", "sso-openid-connect"} <= set(smart["capabilities"])
    said = (await desk.http.get("/fhir/metadata")).json()["rest"][0]["security"]
    addresses = {each["url"]: each["valueUri"] for each in said["extension"][0]["extension"]}
    assert addresses["authorize"] == smart["authorization_endpoint"]
