"""Logging in: right, wrong, guessed, replayed, locked; and the sessions that follow."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import timedelta

import pyotp
import pytest
from argon2 import extract_parameters

from pater.access import accounts
from pater.access.accounts import Account, AccountError
from pater.access.login import NOBODY, LoginError, authenticate, check_code, check_password
from pater.access.policy import decide
from pater.access.sessions import (
    caller_of,
    change_session,
    end_session,
    open_session,
    purge_sessions,
    read_session,
)
from pater.store.database import Database
from pater.trust.keys import Keys
from tests.conftest import Clock

KEYS = Keys.generate()
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
PASSWORD = "žluťoučký kůň 1"
DOCTOR = Account(
    id="a-1",
    login="clinician-b",
    name="MUDr. Tomáš Beneš",
    role="clinician",
    organization="00000019",
    practitioner="d1",
)
PATIENT = Account(id="a-2", login="jana", name="Jana", role="patient", person=7, patient="p7")


def code(clock: Clock, offset: int = 0) -> str:
    return pyotp.TOTP(SECRET).at(clock() + timedelta(seconds=offset))


@pytest.fixture
async def db(database: Database, clock: Clock) -> Database:
    await accounts.save(database, KEYS, DOCTOR, PASSWORD, SECRET, clock)
    await accounts.save(database, KEYS, PATIENT, PASSWORD, None, clock)
    return database


async def enter(
    db: Database,
    clock: Clock,
    *,
    login: str = "clinician-b",
    password: str = PASSWORD,
    digits: str | None = None,
    single: bool = True,
) -> Account:
    return await authenticate(
        db, KEYS, login, password, code(clock) if digits is None else digits, clock,
        single_use_codes=single,
    )  # fmt: skip


async def reason(db: Database, clock: Clock, **what: str) -> str:
    with pytest.raises(LoginError) as caught:
        await enter(db, clock, **what)  # type: ignore[arg-type]  # only texts are passed
    # whatever went wrong, the visitor reads the same
    assert str(caught.value) == str(LoginError("login-failed"))
    return caught.value.reason


async def test_the_right_name_password_and_code(db: Database, clock: Clock) -> None:
    found = await enter(db, clock)
    assert (found.id, found.role, found.two_factors) == ("a-1", "clinician", True)
    clock.move(seconds=60)
    assert (await enter(db, clock, login="  Clinician-B ")).id == "a-1"


async def test_an_account_without_a_second_factor(db: Database, clock: Clock) -> None:
    found = await enter(db, clock, login="jana", digits="")
    assert (found.person, found.patient, found.two_factors) == (7, "p7", False)


async def test_wrong_ones(db: Database, clock: Clock) -> None:
    assert await reason(db, clock, login="nobody") == "login-failed"
    assert await reason(db, clock, password="wrong") == "login-failed"
    assert await reason(db, clock, password="") == "login-failed"
    assert await reason(db, clock, password=PASSWORD + "\0") == "login-failed"
    assert await reason(db, clock, login="\ud800\0") == "login-failed"
    assert await reason(db, clock, login="a" * 100_000, password="b" * 100_000) == "login-failed"
    assert await reason(db, clock, digits="") == "login-code"
    assert await reason(db, clock, digits=code(clock, 90)) == "login-code"
    assert await reason(db, clock, digits="１２３４５６") == "login-code"


async def test_a_closed_account_stays_out(db: Database, clock: Clock) -> None:
    await accounts.save(db, KEYS, replace(DOCTOR, active=False), PASSWORD, SECRET, clock)
    assert await reason(db, clock) == "login-failed"


async def test_a_code_is_accepted_once(db: Database, clock: Clock) -> None:
    digits = code(clock)
    await enter(db, clock, digits=digits)
    assert await reason(db, clock, digits=digits) == "login-code"
    # nor one older than the last
    assert await reason(db, clock, digits=code(clock, -30)) == "login-code"
    clock.move(seconds=30)
    await enter(db, clock)


async def test_codes_of_the_neighbouring_steps_are_accepted(db: Database, clock: Clock) -> None:
    await enter(db, clock, digits=code(clock, -30))
    await enter(db, clock, digits=code(clock, 30))


async def test_a_demonstration_may_use_a_code_again(db: Database, clock: Clock) -> None:
    for _ in range(3):
        await enter(db, clock, single=False)


async def test_two_at_once_cannot_use_the_same_code(db: Database, clock: Clock) -> None:
    tries = (check_code(db, KEYS, "a-1", code(clock), clock) for _ in range(6))
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, Account) for each in found) == 1


async def test_ten_failures_lock_for_five_minutes(db: Database, clock: Clock) -> None:
    for _ in range(10):
        assert await reason(db, clock, password="wrong") == "login-failed"
    assert await reason(db, clock) == "login-locked"
    clock.move(minutes=4, seconds=59)
    assert await reason(db, clock) == "login-locked"
    clock.move(seconds=1)
    assert (await enter(db, clock)).id == "a-1"
    assert await db.fetchval("select failures from account where id = 'a-1'") == 0


async def test_the_tenth_attempt_may_still_be_right(db: Database, clock: Clock) -> None:
    for _ in range(9):
        await reason(db, clock, password="wrong")
    assert (await enter(db, clock)).id == "a-1"


async def test_the_right_password_does_not_buy_more_codes(db: Database, clock: Clock) -> None:
    """Somebody who has the password cannot guess codes by logging in again and again."""
    for _ in range(10):
        assert await reason(db, clock, digits="000000") == "login-code"
    assert await reason(db, clock, digits=code(clock)) == "login-locked"


async def test_a_burst_of_attempts_is_ten_guesses(db: Database, clock: Clock) -> None:
    tries = (check_password(db, "clinician-b", f"guess {n}", clock) for n in range(24))
    found = await asyncio.gather(*tries, return_exceptions=True)
    reasons = [each.reason for each in found if isinstance(each, LoginError)]
    assert reasons.count("login-failed") == 10
    assert reasons.count("login-locked") == 14


async def test_one_persons_failures_do_not_lock_another(db: Database, clock: Clock) -> None:
    for _ in range(11):
        await reason(db, clock, password="wrong")
    assert (await enter(db, clock, login="jana", digits="")).id == "a-2"


async def test_an_unknown_name_costs_the_same_work() -> None:
    mine = accounts.HASHER.hash("x")
    assert extract_parameters(NOBODY) == extract_parameters(mine)


async def test_nothing_readable_is_stored(db: Database) -> None:
    row = await db.fetchrow("select * from account where id = 'a-1'")
    assert row is not None
    assert row["password_hash"].startswith("$argon2id$")
    assert PASSWORD not in str(dict(row))
    assert SECRET.encode() not in row["totp"]


async def test_a_secret_moved_to_another_account_is_worth_nothing(
    db: Database, clock: Clock
) -> None:
    await db.execute("update account set totp = (select totp from account where id = 'a-1')")
    assert await reason(db, clock, login="jana") == "login-code"


async def test_accounts_that_cannot_be_kept(db: Database, clock: Clock) -> None:
    for account, password in (
        (replace(DOCTOR, id="a-3"), PASSWORD),
        (replace(DOCTOR, login=" "), PASSWORD),
        (replace(DOCTOR, login="a\nb"), PASSWORD),
        (replace(DOCTOR, role="king"), PASSWORD),
        (DOCTOR, "short"),
        (DOCTOR, "x" * 2000),
    ):
        with pytest.raises(AccountError) as caught:
            await accounts.save(db, KEYS, account, password, None, clock)
        assert password not in str(caught.value)
    assert (await enter(db, clock)).id == "a-1"


async def test_finding_accounts(db: Database, clock: Clock) -> None:
    found = await accounts.find_by_login(db, "JANA")
    assert found is not None
    assert found == await accounts.find(db, "a-2")
    await accounts.tie(db, "a-2", 9, "p9")
    tied = await accounts.find(db, "a-2")
    assert tied is not None
    assert (tied.person, tied.patient) == (9, "p9")
    assert await accounts.current_code(db, KEYS, "clinician-b", clock) == code(clock)
    assert await accounts.current_code(db, KEYS, "jana", clock) is None


async def test_a_session_is_the_caller(db: Database, clock: Clock) -> None:
    token = await open_session(db, await enter(db, clock), clock, lang="cs")
    session = await read_session(db, token, clock)
    assert session is not None
    assert (session.lang, session.purpose, session.patient) == ("cs", "", "")
    assert len(session.csrf) >= 40
    caller = caller_of(session)
    assert (caller.kind, caller.id, caller.strength, caller.practitioner) == (
        "person",
        "a-1",
        2,
        "d1",
    )
    assert not decide(caller, "read", "Observation", person=1).allowed
    await change_session(db, token, purpose="TREAT", patient="p7")
    session = await read_session(db, token, clock)
    assert session is not None
    assert (session.purpose, session.patient, session.lang) == ("TREAT", "p7", "cs")
    assert decide(caller_of(session), "read", "Observation", person=1).allowed
    with pytest.raises(ValueError, match="purpose"):
        await change_session(db, token, purpose="PATRQT", patient="")


async def test_a_patient_has_the_one_purpose(db: Database, clock: Clock) -> None:
    token = await open_session(db, await enter(db, clock, login="jana"), clock, lang="cs")
    session = await read_session(db, token, clock)
    assert session is not None
    assert (session.purpose, session.strength) == ("PATRQT", 1)


async def test_the_table_does_not_hold_the_token(db: Database, clock: Clock) -> None:
    token = await open_session(db, DOCTOR, clock, lang="cs")
    assert len(token) >= 43
    row = await db.fetchrow("select * from session")
    assert row is not None
    assert token not in str(dict(row))
    assert await open_session(db, DOCTOR, clock, lang="cs") != token


async def test_no_other_text_is_a_session(db: Database, clock: Clock) -> None:
    token = await open_session(db, DOCTOR, clock, lang="cs")
    for other in ("", token[:-1], token + "x", "x" * 10_000, "\0", "\ud800", token.swapcase()):
        assert await read_session(db, other, clock) is None


async def test_a_session_idles_out_and_ends_after_twelve_hours(db: Database, clock: Clock) -> None:
    token = await open_session(db, DOCTOR, clock, lang="cs", strength=2)
    for _ in range(24):
        clock.move(minutes=29)
        assert await read_session(db, token, clock)
    clock.move(minutes=24)
    assert await read_session(db, token, clock) is None

    idle = await open_session(db, DOCTOR, clock, lang="cs", strength=2)
    clock.move(minutes=30)
    assert await read_session(db, idle, clock) is None
    await purge_sessions(db, clock)
    assert await db.fetchval("select count(*) from session") == 0


async def test_ended_sessions_stay_ended(db: Database, clock: Clock) -> None:
    token = await open_session(db, DOCTOR, clock, lang="cs")
    other = await open_session(db, DOCTOR, clock, lang="cs")
    await end_session(db, token)
    await end_session(db, token)
    assert await read_session(db, token, clock) is None
    assert await read_session(db, other, clock)
    await change_session(db, token, purpose="TREAT", patient="")
    # a new password ends the others
    await accounts.save(db, KEYS, DOCTOR, PASSWORD + "2", SECRET, clock)
    assert await read_session(db, other, clock) is None


async def test_a_closed_account_has_no_session(db: Database, clock: Clock) -> None:
    token = await open_session(db, DOCTOR, clock, lang="cs")
    await db.execute("update account set active = false where id = 'a-1'")
    assert await read_session(db, token, clock) is None
