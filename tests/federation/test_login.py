"""Logging in by a provider of others: who gets in, by which account, and what is refused."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import httpx
import pytest

from pater.access import accounts, credentials, sessions
from pater.access.accounts import Account
from pater.access.caller import PASSWORD, TWO_FACTORS
from pater.access.federation import identities, issuers
from pater.access.federation.desk import Person, person_of
from pater.access.federation.errors import FederationError
from pater.app import now
from pater.domains.simulators import domain as simulators
from tests.federation.conftest import ISSUER, KNOWN, Place, fields, query_of

PASSWORD_OF = "four words are better"


async def account(place: Place, id: str, *, role: str = "clinician", **more: object) -> Account:
    made = Account(id=id, login=id, name=f"MUDr. {id.title()}", role=role, **more)  # type: ignore[arg-type]
    return await accounts.save(
        place.house.db, place.house.keys, made, PASSWORD_OF, accounts.totp_secret(), now
    )


async def test_the_first_login_of_a_registered_person_opens_their_account(place: Place) -> None:
    browser = place.browser()
    answer = await browser.login("lucie")
    assert answer.status_code == 303 and answer.headers["location"] == "/patient"
    assert await browser.who() == "Lucie Procházková"
    again = place.browser()
    assert (await again.login("lucie")).status_code == 303
    rows = await place.house.db.fetch(
        "select * from account where patient = $1", place.patients["lucie"]
    )
    assert len(rows) == 1 and rows[0]["role"] == "patient"
    linked = await place.journal("login-linked")
    assert [row["agent"] for row in linked] == [rows[0]["id"]]
    came = [row for row in await place.journal("login-federated") if row["agent"] == rows[0]["id"]]
    assert len(came) == 2 and {row["query"] for row in came} == {"issuer=state"}


async def test_two_first_logins_at_once_open_one_account(place: Place) -> None:
    found = await place.house.federation._finder(  # the register's own answer
        _said("frantisek")
    )
    assert found is not None
    made = await asyncio.gather(
        *(
            identities.open_patient(place.house.db, found.person, found.patient, "F N", now())
            for _ in range(8)
        )
    )
    assert len({each.id for each, _ in made}) == 1 and sum(new for _, new in made) == 1
    await place.house.db.execute("delete from account where person = $1", found.person)


def _said(key: str) -> Person:
    return person_of(ISSUER, KNOWN[key].claims())


async def test_an_account_without_a_password_has_none_to_guess(place: Place) -> None:
    await place.browser().login("lucie")
    login = await place.house.db.fetchval(
        "select login from account where patient = $1", place.patients["lucie"]
    )
    browser = place.browser()
    page = await browser.http.get("/login")
    form = fields(page.text) | {"login": login, "password": "x"}
    for password in ("", "x", login):
        answer = await browser.http.post("/login", data=form | {"password": password})
        assert answer.status_code == 422


async def test_an_account_without_a_password_offers_no_change_of_it(place: Place) -> None:
    browser = place.browser()
    await browser.login("lucie")
    assert "/account/password" not in (await browser.http.get("/account")).text
    await account(place, "with-password")
    has = await credentials.factors(place.house.db, "with-password", now())
    assert has.password


def test_the_simulation_is_only_in_a_demonstration(place: Place) -> None:
    services = replace(place.house.services, demo=False)
    assert simulators.build(services).routes == () and simulators.build(services).pages is None
    assert simulators.build(place.house.services).routes


async def test_a_person_with_an_account_of_their_own_enters_by_it(place: Place) -> None:
    person = await place.house.db.fetchval(
        "select person from resource where id = $1", place.patients["jana"]
    )
    own = await account(
        place, "jana", role="patient", person=person, patient=place.patients["jana"]
    )
    browser = place.browser()
    assert (await browser.login("jana", next="/apps")).headers["location"] == "/apps"
    assert await browser.who() == own.name
    assert [each.id for each in await identities.of_person(place.house.db, person)] == ["jana"]


@pytest.mark.parametrize(("level", "strength"), [("low", PASSWORD), ("high", TWO_FACTORS)])
async def test_the_level_of_assurance_is_the_strength_of_the_session(
    place: Place, level: str, strength: int
) -> None:
    browser = place.browser()
    await browser.login("lucie", level)
    token = browser.http.cookies["pater_session"]
    session = await sessions.read_session(place.house.db, token, now)
    assert session is not None and session.strength == strength and session.issuer == "state"
    assert (await browser.http.get("/apps")).status_code == (200 if strength > 1 else 303)


async def test_a_level_that_nobody_wrote_down_is_not_enough(place: Place) -> None:
    narrow = replace(ISSUER, levels={"http://eidas.europa.eu/LoA/high": TWO_FACTORS})
    await issuers.register(place.house.db, place.house.keys, narrow, now)
    try:
        browser = place.browser()
        answer = await browser.login("lucie", "substantial")
        assert answer.status_code == 403 and "well enough" in answer.text
        assert "pater_session" not in browser.http.cookies
        assert (await browser.login("lucie", "high")).status_code == 303
    finally:
        await issuers.register(place.house.db, place.house.keys, ISSUER, now)


async def test_whom_the_register_does_not_know_is_told_so(place: Place) -> None:
    browser = place.browser()
    answer = await browser.login("bohumil")
    assert answer.status_code == 403 and "We know nobody" in answer.text
    named = "select count(*) from account where name like '%Neznámý%'"
    assert await place.house.db.fetchval(named) == 0
    assert await place.journal("login-refused")


async def test_another_name_at_the_same_number_is_refused(place: Place) -> None:
    with pytest.raises(FederationError) as caught:
        said = _said("lucie")
        await place.house.federation._finder(replace(said, family="Jiná", given="Eva"))
    assert caught.value.problem == "disagrees"
    with pytest.raises(FederationError):
        await place.house.federation._finder(replace(_said("jana"), birth_date="1957-03-15"))
    # a birth number that does not fit the birth date is no number
    assert await place.house.federation._finder(replace(said, birth_date="1994-06-22")) is None
    # the numbers of two persons are nobody's
    assert await place.house.federation._finder(replace(said, rid=KNOWN["jana"].rid)) is None


async def test_a_professional_is_known_by_the_number(place: Place) -> None:
    made = await account(place, "alena", organization="27520536", organization_name="Nemocnice")
    number = KNOWN["alena"].professional
    await identities.set_professional(place.house.db, made.id, number, now())
    browser = place.browser()
    answer = await browser.login("alena")
    assert answer.headers["location"] == "/professional"
    assert await browser.who() == made.name


async def test_who_has_several_accounts_chooses(place: Place) -> None:
    number = KNOWN["frantisek"].professional
    for id, place_of_work in (("doctor-1", "První nemocnice"), ("doctor-2", "Druhá nemocnice")):
        made = await account(place, id, organization_name=place_of_work)
        await identities.set_professional(place.house.db, made.id, number, now())
    browser = place.browser()
    page = await browser.login("frantisek")
    assert page.status_code == 200
    assert "První nemocnice" in page.text and "Patient František Novotný" in page.text
    form = fields(page.text)
    stranger = await browser.http.post("/login/as", data=form | {"account": "alena"})
    assert stranger.status_code == 403 and "pater_session" not in browser.http.cookies
    entered = await browser.http.post("/login/as", data=form | {"account": "doctor-2"})
    assert entered.headers["location"] == "/professional"
    # what was offered to one browser opens nothing in another
    other = place.browser()
    csrf = fields((await other.http.get("/login")).text)["csrf"]
    stolen = await other.http.post("/login/as", data=form | {"account": "doctor-1", "csrf": csrf})
    assert stolen.status_code == 400


async def test_a_locked_account_stays_locked(place: Place) -> None:
    db = place.house.db
    await place.browser().login("lucie")
    await db.execute(
        "update account set active = false where patient = $1", place.patients["lucie"]
    )
    try:
        answer = await place.browser().login("lucie")
        assert answer.status_code == 403 and "locked" in answer.text
        made = await db.fetchval(
            "select count(*) from account where patient = $1", place.patients["lucie"]
        )
        assert made == 1
    finally:
        await db.execute("update account set active = true")


async def test_a_link_does_not_outlive_what_the_provider_says(place: Place) -> None:
    """A `sub` that now names another person does not open the account of before."""
    db = place.house.db
    browser = place.browser()
    await browser.login("lucie")
    lucie = await db.fetchval("select id from account where patient = $1", place.patients["lucie"])
    subject = await db.fetchval(
        "select subject from federated_identity f join account a on a.id = f.account"
        " where a.patient = $1 limit 1",
        place.patients["jana"],
    )
    await identities.link(db, "state", subject, lucie, now())
    other = place.browser()
    assert (await other.login("jana")).status_code == 303
    assert await other.who() != "Lucie Procházková"
    await db.execute("delete from federated_identity where subject = $1 and account = $2",
                     subject, lucie)  # fmt: skip


async def test_an_answer_is_taken_once_by_the_browser_that_asked(place: Place) -> None:
    browser = place.browser()
    agreed = await browser.agree("lucie")
    address = agreed.headers["location"]
    stranger = await place.browser().http.get(address)
    assert stranger.status_code == 400 and "another window" in stranger.text
    other = place.browser()
    await other.http.get("/login/with/state")
    assert (await other.http.get(address)).status_code == 400
    assert (await browser.http.get(address)).status_code == 303
    assert (await browser.http.get(address)).status_code == 400


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"error": "access_denied", "code": ""}, 400),
        ({"code": "made-up"}, 400),
        ({"code": ""}, 400),
        ({"state": "other"}, 400),
        ({"iss": "https://evil.example"}, 400),
        ({"iss": ""}, 400),
    ],
)
async def test_a_changed_answer_lets_nobody_in(
    place: Place, changes: dict[str, str], status: int
) -> None:
    browser = place.browser()
    given = {**query_of(await browser.agree("lucie")), **changes}
    answer = await browser.http.get(
        "/login/from/state", params={name: value for name, value in given.items() if value}
    )
    assert answer.status_code == status
    assert "pater_session" not in browser.http.cookies


async def test_who_declines_at_the_provider_is_told_so(place: Place) -> None:
    browser = place.browser()
    page = await browser.follow(await browser.http.get("/login/with/state"))
    form = fields(page.text) | {"answer": "deny"}
    back = await browser.http.post("/simulator/identity/authorize", data=form)
    answer = await browser.follow(back)
    assert answer.status_code == 400 and "cancelled" in answer.text


@pytest.mark.parametrize(
    ("end", "answer"),
    [
        ("/token", httpx.Response(500, text="no")),
        ("/token", httpx.Response(200, text="{")),
        ("/token", httpx.Response(200, content=b"{" + b" " * 300_000)),
        ("/token", httpx.Response(302, headers={"location": "http://127.0.0.1:1/"})),
        ("/token", httpx.Response(200, json={"id_token": 7})),
        ("/token", httpx.Response(200, json={"id_token": "a.b.c"})),
        ("/userinfo", httpx.Response(200, json={"sub": "somebody else"})),
        ("/userinfo", httpx.Response(200, json=["list"])),
    ],
)
async def test_a_provider_that_answers_oddly_lets_nobody_in(
    place: Place, end: str, answer: httpx.Response
) -> None:
    browser = place.browser()
    place.way.answers[end] = answer
    try:
        refused = await browser.login("lucie")
    finally:
        place.way.answers.clear()
    assert refused.status_code in (400, 503) and "pater_session" not in browser.http.cookies


async def test_a_session_is_proved_again_by_its_provider(place: Place) -> None:
    browser = place.browser()
    await browser.login("lucie", "low")
    away = await browser.http.get("/account/codes")
    assert away.headers["location"].startswith("/login/again")
    page = await browser.follow(away)
    assert "/login/with/state?again=1&amp;next=/account/codes" in page.text
    # another person's proof is no proof
    other = await browser.login("jana", next="/account/codes", again=True)
    assert other.status_code == 403
    weak = await browser.login("lucie", "low", next="/account/codes", again=True)
    assert weak.status_code == 403
    done = await browser.login("lucie", "high", next="/account/codes", again=True)
    assert done.headers["location"] == "/account/codes"
    assert (await browser.follow(done)).status_code == 200


async def test_logging_out_names_the_provider_too(place: Place) -> None:
    browser = place.browser()
    await browser.login("lucie")
    token = browser.http.cookies["pater_session"]
    form = fields((await browser.http.get("/account")).text)
    out = await browser.http.post("/logout", data={"csrf": form["csrf"]})
    assert out.headers["location"] == "/logout/done?issuer=state"
    page = await browser.follow(out)
    assert "/simulator/identity/logout?client_id=pater" in page.text
    assert await sessions.read_session(place.house.db, token, now) is None
    assert await place.journal("logout")


async def test_a_provider_that_is_taken_away_opens_nothing(place: Place) -> None:
    browser = place.browser()
    await browser.login("lucie")
    db, keys = place.house.db, place.house.keys
    assert await issuers.remove(db, "state", now)
    try:
        assert await browser.who() == ""
        assert (await browser.http.get("/login/with/state")).status_code == 400
        assert "simulation" not in (await place.browser().http.get("/login")).text
        assert not await issuers.remove(db, "state", now)
    finally:
        await issuers.register(db, keys, ISSUER, now)
    assert (await browser.login("lucie")).status_code == 303
