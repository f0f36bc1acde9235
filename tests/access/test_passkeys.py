"""Passkeys: who holds one comes in; wrong places, replays, copies and strangers do not."""

from __future__ import annotations

import asyncio
import json
import secrets
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from webauthn.helpers import base64url_to_bytes, bytes_to_base64url

from pater.access import accounts, passkeys
from pater.access.accounts import Account
from pater.access.passkeys import MOST_PASSKEYS, PasskeyError, Place, place
from pater.store.database import Database
from pater.trust.keys import Keys
from tests.access.authenticator import PRESENT, Authenticator
from tests.conftest import Clock

KEYS = Keys.generate()
USER_KEY = KEYS.derived("passkey users")
HERE = Place("zdravi.example", "https://zdravi.example")
JANA = Account("a-1", "jana", "Jana", "patient")
PETR = Account("a-2", "petr", "Petr", "patient")


class Desk:
    """The service as a browser sees it."""

    def __init__(self, db: Database, clock: Clock) -> None:
        self.db, self.clock = db, clock

    async def register(
        self, one: Authenticator, account: Account = JANA, **client: Any
    ) -> passkeys.Passkey:
        challenge = secrets.token_bytes(32)
        user = passkeys.handle(USER_KEY, account.id)
        options = await passkeys.registration_options(self.db, HERE, account, user, challenge)
        return await passkeys.register(
            self.db, HERE, account, one.make(options, **client), challenge, "Můj telefon",
            self.clock,
        )  # fmt: skip

    async def options(self, challenge: bytes) -> str:
        return await passkeys.login_options(self.db, HERE, challenge)

    async def check(self, answer: str, challenge: bytes, account: str | None = None) -> Account:
        return await passkeys.check(self.db, HERE, USER_KEY, answer, challenge, self.clock, account)

    async def enter(self, one: Authenticator, **client: Any) -> Account:
        challenge = secrets.token_bytes(32)
        return await self.check(one.sign(await self.options(challenge), **client), challenge)

    async def refused(self, one: Authenticator, **client: Any) -> str:
        with pytest.raises(PasskeyError) as caught:
            await self.enter(one, **client)
        return caught.value.reason


@pytest.fixture
async def database(module_database: Database) -> Database:
    """One database for all tests here, emptied before each."""
    await module_database.execute("truncate account, session, passkey, used_jti")
    return module_database


@pytest.fixture
async def desk(database: Database, clock: Clock) -> Desk:
    for account in (JANA, PETR):
        await accounts.save(database, KEYS, account, "kapr plave v lednu", None, clock)
    return Desk(database, clock)


@pytest.fixture
def phone() -> Authenticator:
    return Authenticator(HERE.origin, HERE.rp_id)


async def test_a_passkey_is_kept_and_opens_the_house(desk: Desk, phone: Authenticator) -> None:
    kept = await desk.register(phone)
    assert (kept.name, kept.used) == ("Můj telefon", None)
    assert (await desk.enter(phone)).id == "a-1"
    desk.clock.move(days=1)
    assert (await desk.enter(phone)).id == "a-1"
    (found,) = await passkeys.passkeys_of(desk.db, "a-1")
    assert found.used == desk.clock()


async def test_a_key_without_a_counter_is_as_good(desk: Desk, phone: Authenticator) -> None:
    phone.counter, phone.counts = 0, False
    await desk.register(phone)
    for _ in range(3):
        assert (await desk.enter(phone)).id == "a-1"


async def test_what_the_browser_is_asked(desk: Desk, phone: Authenticator) -> None:
    await desk.register(phone)
    asked = json.loads(await passkeys.registration_options(desk.db, HERE, JANA, b"user", b"c" * 32))
    assert asked["rp"]["id"] == "zdravi.example"
    chosen = asked["authenticatorSelection"]
    assert (chosen["residentKey"], chosen["userVerification"]) == ("required", "required")
    assert len(asked["excludeCredentials"]) == 1
    # a login names nobody's keys, so it tells nothing of anybody
    login = json.loads(await desk.options(b"c" * 32))
    assert (login["allowCredentials"], login["userVerification"]) == ([], "required")


async def test_another_page_cannot_use_it(desk: Desk, phone: Authenticator) -> None:
    await desk.register(phone)
    for origin in ("https://zdravi.example.evil.test", "http://zdravi.example",
                   "https://zdravi.example:8443"):  # fmt: skip
        phone.origin = origin
        assert await desk.refused(phone) == "login-key"
    phone.origin = HERE.origin
    phone.rp_id = "evil.test"
    assert await desk.refused(phone) == "login-key"
    phone.rp_id = HERE.rp_id
    assert await desk.refused(phone, crossOrigin=True) == "login-key"
    assert (await desk.enter(phone)).id == "a-1"


async def test_the_person_must_have_been_verified(desk: Desk, phone: Authenticator) -> None:
    phone.flags = PRESENT
    with pytest.raises(PasskeyError):
        await desk.register(phone)
    phone.flags = PRESENT | 0x04
    await desk.register(phone)
    phone.flags = PRESENT
    assert await desk.refused(phone) == "login-key"


async def test_another_challenge_and_a_replay_are_refused(desk: Desk, phone: Authenticator) -> None:
    await desk.register(phone)
    challenge = secrets.token_bytes(32)
    answer = phone.sign(await desk.options(challenge))
    with pytest.raises(PasskeyError):
        await desk.check(answer, secrets.token_bytes(32))
    assert (await desk.check(answer, challenge)).id == "a-1"
    with pytest.raises(PasskeyError):
        await desk.check(answer, challenge)


async def test_one_answer_opens_one_session_also_at_once(desk: Desk, phone: Authenticator) -> None:
    phone.counter, phone.counts = 0, False
    await desk.register(phone)
    challenge = secrets.token_bytes(32)
    answer = phone.sign(await desk.options(challenge))
    tries = (desk.check(answer, challenge) for _ in range(6))
    found = await asyncio.gather(*tries, return_exceptions=True)
    assert sum(isinstance(each, Account) for each in found) == 1


async def test_a_counter_that_goes_back_shows_a_copy(desk: Desk, phone: Authenticator) -> None:
    await desk.register(phone)
    copy = replace(phone)
    assert (await desk.enter(phone)).id == "a-1"
    assert (await desk.enter(phone)).id == "a-1"
    assert await desk.refused(copy) == "login-key-copied"


async def test_a_key_of_somebody_else(desk: Desk, phone: Authenticator) -> None:
    await desk.register(phone)
    stranger = Authenticator(HERE.origin, HERE.rp_id, user=phone.user)
    assert await desk.refused(stranger) == "login-key"
    stranger.id = phone.id
    assert await desk.refused(stranger) == "login-key"
    # the same credential id is nobody else's to register
    with pytest.raises(PasskeyError):
        await desk.register(replace(stranger), PETR)
    # nor does a key open another account than its own
    assert await desk.refused(phone, user=passkeys.handle(USER_KEY, "a-2")) == "login-key"
    challenge = secrets.token_bytes(32)
    with pytest.raises(PasskeyError):
        await desk.check(phone.sign(await desk.options(challenge)), challenge, "a-2")


async def test_a_closed_account_stays_out(desk: Desk, phone: Authenticator) -> None:
    await desk.register(phone)
    await desk.db.execute("update account set active = false")
    assert await desk.refused(phone) == "login-key"


async def test_names_removal_and_the_last_factor(desk: Desk, phone: Authenticator) -> None:
    first = await desk.register(phone)
    assert not await passkeys.remove(desk.db, "a-1", first.id)
    second = await desk.register(Authenticator(HERE.origin, HERE.rp_id))
    assert await passkeys.rename(desk.db, "a-1", second.id, " Klíč\nv ordinaci " + "x" * 100)
    assert not await passkeys.rename(desk.db, "a-2", second.id, "mine")
    assert not await passkeys.remove(desk.db, "a-2", first.id)
    assert await passkeys.remove(desk.db, "a-1", first.id)
    (left,) = await passkeys.passkeys_of(desk.db, "a-1")
    assert left.name.startswith("Klíč v ordinaci x") and len(left.name) == 60
    assert await desk.refused(phone) == "login-key"


async def test_nobody_hoards_passkeys(desk: Desk) -> None:
    for _ in range(MOST_PASSKEYS):
        await desk.register(Authenticator(HERE.origin, HERE.rp_id))
    with pytest.raises(PasskeyError):
        await desk.register(Authenticator(HERE.origin, HERE.rp_id))


@given(
    field=st.sampled_from(["clientDataJSON", "authenticatorData", "signature"]),
    where=st.integers(0, 2**16),
    bit=st.integers(0, 7),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_no_changed_answer_is_accepted(field: str, where: int, bit: int, desk: Desk) -> None:
    one = Authenticator(HERE.origin, HERE.rp_id)
    await desk.db.execute("delete from passkey")
    await desk.register(one)
    challenge = secrets.token_bytes(32)
    answer = json.loads(one.sign(await desk.options(challenge)))
    raw = bytearray(base64url_to_bytes(answer["response"][field]))
    raw[where % len(raw)] ^= 1 << bit
    answer["response"][field] = bytes_to_base64url(bytes(raw))
    with pytest.raises(PasskeyError):
        await desk.check(json.dumps(answer), challenge)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


PARTS = ("clientDataJSON", "authenticatorData", "signature", "attestationObject", "userHandle",
         "transports")  # fmt: skip


@given(
    response=st.fixed_dictionaries({}, optional=dict.fromkeys(PARTS, JSON)),
    rest=st.fixed_dictionaries({}, optional=dict.fromkeys(("id", "rawId", "type"), JSON)),
)
@settings(
    max_examples=60,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_nonsense_is_refused_and_breaks_nothing(response: Any, rest: Any, desk: Desk) -> None:
    text = json.dumps({**rest, "response": response})
    with pytest.raises(PasskeyError):
        await desk.check(text, b"c" * 32)
    with pytest.raises(PasskeyError):
        await passkeys.register(desk.db, HERE, JANA, text, b"c" * 32, "x", desk.clock)


@pytest.mark.parametrize("text", ["", "[]", "{", "1", '{"response": 1}', "x" * 20_000, "\ud800"])
async def test_what_is_no_answer_at_all(text: str, desk: Desk) -> None:
    with pytest.raises(PasskeyError):
        await desk.check(text, b"c" * 32)


@pytest.mark.parametrize(
    ("url", "found"),
    [
        ("https://zdravi.example", HERE),
        ("https://zdravi.example:443", HERE),
        ("https://zdravi.example:8443", Place("zdravi.example", "https://zdravi.example:8443")),
        ("http://localhost:8080", Place("localhost", "http://localhost:8080")),
        ("http://zdravi.example", None),
        ("http://127.0.0.1:8080", None),
        ("https://[::1]:8443", None),
        ("", None),
    ],
)
def test_where_passkeys_hold(url: str, found: Place | None) -> None:
    assert place(url) == found
