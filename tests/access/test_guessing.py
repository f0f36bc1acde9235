"""Guessing: locks that grow, by name and by network, which neither restart nor process forgets."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.access import accounts, credentials, lockout, passwords, single_codes
from pater.access import login as login_room
from pater.access.accounts import Account
from pater.access.login import LoginError, check_password, check_single_code
from pater.store.database import Database
from pater.trust.keys import Keys
from tests.conftest import Clock

KEYS = Keys.generate()
PASSWORD = "kapr plave v lednu"
JANA = Account("a-1", "jana", "Jana Nováková", "patient")


@pytest.fixture
async def database(module_database: Database) -> Database:
    """One database for all tests here, emptied before each."""
    await module_database.execute("truncate account, session, attempt, single_code, passkey")
    return module_database


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of attempts: what a password hash costs is no matter here."""

    def matches(hashed: str, secret: bytes) -> bool:
        return hashed != login_room.NOBODY and secret == PASSWORD.encode()

    monkeypatch.setattr(login_room, "_matches", matches)


@pytest.fixture
async def db(database: Database, clock: Clock) -> Database:
    await accounts.save(database, KEYS, JANA, PASSWORD, None, clock)
    return database


async def attempt(
    db: Database, clock: Clock, login: str, password: str = "wrong", source: str = "192.0.2.7"
) -> tuple[str, datetime | None]:
    """The reason and the end of the lock; an empty reason when it was let in."""
    try:
        await check_password(db, login, password, clock, source=source)
    except LoginError as error:
        return error.reason, error.until
    return "", None


async def exhaust(db: Database, clock: Clock, login: str) -> datetime:
    """Wrong passwords until the name is locked; until when."""
    for _ in range(11):
        reason, until = await attempt(db, clock, login, source="")
        if reason == "login-locked":
            assert until is not None
            return until
    raise AssertionError("no lock")


@pytest.mark.parametrize("login", ["jana", "nobody"])
async def test_each_lock_is_twice_the_one_before(db: Database, clock: Clock, login: str) -> None:
    lengths = []
    for _ in range(8):
        begun = clock()
        until = await exhaust(db, clock, login)
        lengths.append((until - begun).total_seconds() / 60)
        clock.move(seconds=(until - clock()).total_seconds())
    assert lengths == [5, 10, 20, 40, 80, 160, 240, 240]


async def test_a_name_that_nobody_has_is_answered_the_same(db: Database, clock: Clock) -> None:
    seen = {
        login: [await attempt(db, clock, login, source="") for _ in range(13)]
        for login in ("jana", "nobody")
    }
    assert seen["jana"] == seen["nobody"]


async def test_after_a_quiet_day_it_begins_anew(db: Database, clock: Clock) -> None:
    for _ in range(3):
        until = await exhaust(db, clock, "jana")
        clock.move(seconds=(until - clock()).total_seconds())
    clock.move(days=1, seconds=1)
    begun = clock()
    assert await exhaust(db, clock, "jana") - begun == timedelta(minutes=5)


async def test_one_network_tries_many_names(db: Database, clock: Clock) -> None:
    reasons = [(await attempt(db, clock, f"name-{n}"))[0] for n in range(102)]
    assert reasons == ["login-failed"] * 100 + ["login-source"] * 2
    # others come in, and from there not even who is right
    assert await attempt(db, clock, "jana", PASSWORD, "198.51.100.1") == ("", None)
    assert (await attempt(db, clock, "jana", PASSWORD))[0] == "login-source"
    clock.move(minutes=5)
    assert await attempt(db, clock, "jana", PASSWORD) == ("", None)


async def test_from_a_locked_network_nobody_locks_others_out(db: Database, clock: Clock) -> None:
    for n in range(100):
        await attempt(db, clock, f"name-{n}")
    for _ in range(30):
        assert (await attempt(db, clock, "jana"))[0] == "login-source"
    assert await attempt(db, clock, "jana", PASSWORD, "198.51.100.1") == ("", None)


async def test_many_networks_try_one_name(db: Database, clock: Clock) -> None:
    reasons = [(await attempt(db, clock, "jana", source=f"192.0.2.{n}"))[0] for n in range(12)]
    assert reasons == ["login-failed"] * 10 + ["login-locked"] * 2


async def test_own_logins_hide_no_guesses(db: Database, clock: Clock) -> None:
    """A login that is right takes back its own attempt from its network, and no other."""
    reasons = []
    for n in range(110):
        reasons.append((await attempt(db, clock, f"name-{n}"))[0])
        await attempt(db, clock, "jana", PASSWORD)
    assert reasons.count("login-source") == 10


async def test_a_hospital_behind_one_address_works_all_day(db: Database, clock: Clock) -> None:
    for n in range(150):
        assert await attempt(db, clock, "jana", PASSWORD) == ("", None)
        assert (await attempt(db, clock, f"typo-{n}"))[0] == "login-failed"
        clock.move(seconds=20)


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("192.0.2.1", "::ffff:192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
    ],
)
def test_which_addresses_count_together(one: str, other: str, same: bool) -> None:
    assert (lockout.source_key(one) == lockout.source_key(other)) is same


async def test_an_operator_closes_opens_and_unlocks(db: Database, clock: Clock) -> None:
    await exhaust(db, clock, "jana")
    await credentials.set_active(db, JANA, True, clock())
    assert await attempt(db, clock, "jana", PASSWORD) == ("", None)
    await credentials.set_active(db, JANA, False, clock())
    assert (await attempt(db, clock, "jana", PASSWORD))[0] == "login-failed"


async def test_forgotten_counts_are_removed(db: Database, clock: Clock) -> None:
    await attempt(db, clock, "jana")
    clock.move(days=2, seconds=1)
    await attempt(db, clock, "petr", source="")
    await lockout.purge(db, clock())
    assert await db.fetchval("select count(*) from attempt") == 1


@given(st.lists(st.tuples(st.integers(0, 600), st.booleans()), max_size=30))
@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_counts_do_what_a_slow_reading_of_the_rule_does(
    database: Database, steps: list[tuple[int, bool]]
) -> None:
    """Against a plain model: minutes that pass, and attempts that are wrong or right."""
    rule = lockout.Rule(3, timedelta(hours=2), timedelta(minutes=5), timedelta(minutes=30))
    now = datetime.fromisoformat("2026-11-15T09:00:00+00:00")
    await database.execute("delete from attempt")
    since = seen = now
    failures, locks, locked = 0, 0, None
    for minutes, right in steps:
        now += timedelta(minutes=minutes)
        until = await lockout.attempt(database, b"key", rule, now)
        if locked is not None and now < locked:
            assert until == locked
            continue
        assert until is None
        if now - seen >= rule.forgotten:
            locks = 0
        if failures == 0 or locked or now - since >= rule.window or now - seen >= rule.forgotten:
            failures, since, locked = 0, now, None
        failures, seen = failures + 1, now
        if failures >= rule.most:
            locked = now + min(rule.first * 2**locks, rule.longest)
            locks += 1
        if right:
            await lockout.clear(database, b"key")
            failures, locks, locked = 0, 0, None


async def test_ten_codes_each_works_once(db: Database, clock: Clock) -> None:
    codes = await single_codes.renew(db, KEYS, "a-1", clock())
    assert len(set(codes)) == 10 and all(len(code) == 19 for code in codes)
    found = await check_single_code(db, KEYS, "a-1", codes[0].upper().replace("-", " "), clock)
    assert found.id == "a-1"
    assert (await single_codes.left(db, "a-1")).count == 9
    for wrong in (codes[0], "", "aaaa-bbbb-cccc-dddd", "x" * 1000, "\ud800", codes[1][:-1]):
        with pytest.raises(LoginError):
            await check_single_code(db, KEYS, "a-1", wrong, clock)
    kept = [dict(row) for row in await db.fetch("select * from single_code")]
    assert not any(code in str(kept) for code in codes)


async def test_new_codes_make_the_old_void(db: Database, clock: Clock) -> None:
    old = await single_codes.renew(db, KEYS, "a-1", clock())
    new = await single_codes.renew(db, KEYS, "a-1", clock())
    assert not await single_codes.use(db, KEYS, "a-1", old[0], clock())
    assert not await single_codes.use(db, KEYS, "a-2", new[0], clock())
    tries = (single_codes.use(db, KEYS, "a-1", new[0], clock()) for _ in range(6))
    assert sum(await asyncio.gather(*tries)) == 1


async def test_an_operators_code_takes_the_place_of_what_was_lost(
    db: Database, clock: Clock
) -> None:
    mine = await single_codes.renew(db, KEYS, "a-1", clock())
    given_ = await credentials.reset(db, KEYS, "a-1", clock())
    assert not await single_codes.use(db, KEYS, "a-1", mine[0], clock())
    late = clock() + single_codes.OPERATORS
    assert not await single_codes.use(db, KEYS, "a-1", given_, late)
    assert await single_codes.use(db, KEYS, "a-1", given_, clock())
    assert not await single_codes.use(db, KEYS, "a-1", given_, clock())


@given(st.text(max_size=40))
def test_a_code_is_read_as_it_is_copied(text: str) -> None:
    code = single_codes.new_code()
    assert single_codes.normal(f" {code.upper()} ") == code.replace("-", "")
    assert single_codes.normal(text) in ("", single_codes.normal(single_codes.normal(text)))


@pytest.mark.parametrize(
    ("password", "fault"),
    [
        ("moje heslo 12", "common"), ("kratke", "short"), ("x" * 2000, "long"),
        ("Heslo1234567", "common"), ("P@ssw0rd1234", "common"), ("qwertzuiop12", "common"),
        ("aaaaaaaaaaaa", "common"), ("123456789012", "common"), ("tajné heslo 2026!", "common"),
        ("NOVAKOVA-jana-1978", "name"), ("kapr plave v lednu", None),
        ("heslo je jak rozbitý deštník", None), ("xkT9#vLq2!mZ", None),
    ],
)  # fmt: skip
def test_which_passwords_are_refused(password: str, fault: str | None) -> None:
    assert passwords.fault(password, JANA.login, JANA.name) == fault


@given(st.text(max_size=300))
def test_any_text_is_judged(text: str) -> None:
    found = passwords.fault(text, "jana", "Jana Nováková")
    assert found == "short" if len(text) < 12 else found in (None, "common", "name")
