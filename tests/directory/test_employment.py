"""Who acts as a clinician of a hospital works there, as long as the register knows of it."""

from __future__ import annotations

from typing import Any

import pyotp

from pater.access import accounts, sessions
from pater.access.accounts import Account
from pater.app import now
from pater.web.logins import AccountLogins
from tests.consents.conftest import hidden
from tests.directory.conftest import ICO_A, ICO_B, KRZP, PEOPLE, PLACES, Desk

PASSWORD = "four words are better"


async def account(desk: Desk, **more: Any) -> tuple[Account, str]:
    """An account of the physician of the register, and a session of theirs."""
    values = {
        "id": "alena", "login": "alena", "name": "MUDr. Alena Horáková", "role": "clinician",
        "organization": ICO_A, "organization_name": "Nemocnice", "practitioner": f"krzp-{KRZP}",
    }  # fmt: skip
    made = Account(**{**values, **more})
    made = await accounts.save(
        desk.db, desk.house.keys, made, PASSWORD, "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP", now
    )
    return made, await sessions.open_session(desk.db, made, now, lang="en")


async def page(desk: Desk, token: str) -> int:
    headers = {"Cookie": f"pater_session={token}; pater_lang=en"}
    return (await desk.http.get("/professional", headers=headers)).status_code


async def test_an_ended_employment_ends_the_session_and_the_right(desk: Desk) -> None:
    await desk.take(PLACES)
    await desk.take(PEOPLE)
    _, token = await account(desk)
    assert await page(desk, token) == 200
    await desk.take([{**PEOPLE[0], "zamestnan_do": "2020-12-31"}, PEOPLE[1]])
    assert await page(desk, token) == 303
    told = await desk.db.fetch(
        "select outcome from journal_entry where reason = 'employment-ended' and agent = 'alena'"
    )
    assert [row["outcome"] for row in told] == ["4"]
    # a new login with the right password and code says why it is refused
    start = await desk.http.get("/login", headers={"Cookie": "pater_lang=en"})
    visit = "; ".join(f"{name}={value}" for name, value in start.cookies.items())
    cookie = {"Cookie": f"{visit}; pater_lang=en"}
    form = {"csrf": hidden(start.text, "csrf"), "login": "alena", "password": PASSWORD}
    step = await desk.http.post("/login", data=form, headers=cookie)
    assert step.status_code == 303 and step.headers["location"] == "/login/code"
    both = "; ".join(f"{name}={value}" for name, value in step.cookies.items())
    cookie = {"Cookie": f"{visit}; {both}; pater_lang=en"}
    shown = await desk.http.get("/login/code", headers=cookie)
    code = pyotp.TOTP("JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP").at(now())
    form = {"csrf": hidden(shown.text, "csrf"), "code": code}
    done = await desk.http.post("/login/code", data=form, headers=cookie)
    assert "employment at this provider has ended" in done.text
    assert "pater_session" not in done.headers.get("set-cookie", "")
    # taken on again, the person is let in again
    await desk.take(PEOPLE)
    _, token = await account(desk)
    assert await page(desk, token) == 200


async def test_another_employer_is_no_right_here(desk: Desk) -> None:
    await desk.take(PLACES)
    await desk.take([{**PEOPLE[0], "zamestnavatel_ico": ICO_B}, PEOPLE[1]])
    _, token = await account(desk)
    assert await page(desk, token) == 303


async def test_of_whom_the_register_knows_nothing_the_operator_is_right(desk: Desk) -> None:
    await desk.take(PLACES)
    _, token = await account(desk)
    assert await page(desk, token) == 200
    # a membership of a chamber is no employment
    await desk.take([{**PEOPLE[0], "zamestnavatel_ico": ""}])
    assert await page(desk, token) == 200


async def test_the_employer_follows_from_the_register(desk: Desk) -> None:
    await desk.take(PLACES)
    await desk.take(PEOPLE)
    _, token = await account(desk, organization="", organization_name="")
    from pater.registers.providers.employment import Employments

    logins = AccountLogins(
        desk.db, desk.house.keys, desk.house.committer.journal_only, now,
        employed=Employments(desk.db, now).employed,
    )  # fmt: skip
    session = await logins.read(token)
    assert session is not None
    assert session.caller.organization == ICO_A
    assert session.caller.organization_name == "Nemocnice Podlesí a.s."
