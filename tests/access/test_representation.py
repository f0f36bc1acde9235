"""A representation gives exactly what it says, from its first moment to its last."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access import accounts, representation, sessions
from pater.access.accounts import Account, AccountError
from pater.access.caller import Caller
from pater.access.deciding import Ages
from pater.access.facts import NOTHING
from pater.access.policy_files import PolicyError, body_of, read_policy, shipped
from pater.access.representation import (
    ACTING,
    ZONE,
    Kind,
    Representation,
    birthday,
    facts_of,
    has_own_say,
)
from pater.access.standing import DatabaseStanding
from pater.fhir.labels import CATEGORIES, RESTRICTED, label
from pater.store.database import Database
from pater.trust.keys import Keys
from tests.conftest import Clock

AGES = Ages()
PARENT = Representation(
    id="r-1",
    person=11,
    patient="child",
    person_name="Petr Novák",
    agent=12,
    agent_name="Jana Nováková",
    kind="parent",
    source=representation.REGISTER,
    reference="R 1/2026",
    born=date(2012, 2, 29),
    since=datetime(2020, 1, 1, tzinfo=UTC),
    until=birthday(date(2012, 2, 29), AGES.until),
    recorded=datetime(2020, 1, 1, tzinfo=UTC),
)
TICK = timedelta(microseconds=1)
moments = st.integers(0, 60 * 366).map(
    lambda days: datetime(2000, 1, 1, tzinfo=UTC) + timedelta(days=days)
)


def seen(one: Representation, now: datetime) -> set[str]:
    """The categories that are shown."""
    facts = facts_of(one, now, AGES)
    if ACTING not in facts.relations:
        return set()
    assert facts.veil is not None  # else what nobody but the patient sees would be shown
    return {name for name in CATEGORIES if not facts.veil.holds_back(label(name))}


def test_who_was_born_on_a_leap_day_has_their_birthday_at_the_end_of_february() -> None:
    born = date(2012, 2, 29)
    assert birthday(born, 15) == datetime(2027, 2, 28, tzinfo=ZONE)
    assert birthday(born, 16) == datetime(2028, 2, 29, tzinfo=ZONE)
    assert birthday(date(2012, 3, 1), 15) == datetime(2027, 3, 1, tzinfo=ZONE)


@given(st.dates(date(1990, 1, 1), date(2040, 1, 1)), st.integers(0, 30))
def test_a_birthday_is_that_of_the_calendar(born: date, age: int) -> None:
    moment = birthday(born, age).astimezone(ZONE)
    assert moment.year == born.year + age and moment.month == born.month
    assert moment.day == born.day or (born.month, born.day, moment.day) == (2, 29, 28)
    assert (moment.hour, moment.minute) == (0, 0)


def test_a_parent_sees_all_then_less_then_nothing() -> None:
    fifteen, adult = birthday(date(2012, 2, 29), 15), birthday(date(2012, 2, 29), 18)
    assert seen(PARENT, fifteen - TICK) == set(CATEGORIES)
    assert seen(PARENT, fifteen) == set(CATEGORIES) - AGES.hides
    assert seen(PARENT, adult - TICK) == set(CATEGORIES) - AGES.hides
    assert seen(PARENT, adult) == set()
    marked = facts_of(PARENT, fifteen, AGES).veil
    assert marked is not None and marked.holds_back(label("vaccination", RESTRICTED))


def test_the_child_may_show_a_parent_everything() -> None:
    fifteen = birthday(date(2012, 2, 29), 15)
    shown = replace(PARENT, opened=fifteen + timedelta(days=1))
    assert seen(shown, fifteen) == set(CATEGORIES) - AGES.hides
    assert seen(shown, fifteen + timedelta(days=1)) == set(CATEGORIES)


@given(
    kind=st.sampled_from(["parent", "guardian", "authorised"]),
    now=moments,
    since=moments,
    until=moments,
    ended=st.none() | moments,
    opened=st.none() | moments,
    born=st.none() | st.dates(date(1995, 1, 1), date(2040, 1, 1)),
    categories=st.frozensets(st.sampled_from(CATEGORIES), max_size=3),
)
def test_it_gives_exactly_what_it_says_at_each_moment(
    kind: Kind,
    now: datetime,
    since: datetime,
    until: datetime,
    ended: datetime | None,
    opened: datetime | None,
    born: date | None,
    categories: frozenset[str],
) -> None:
    one = replace(
        PARENT, kind=kind, since=since, until=until, ended=ended, opened=opened, born=born,
        categories=frozenset() if kind == "parent" else categories,
    )  # fmt: skip
    within = since <= now and now < until and (ended is None or now < ended)
    grown = kind == "parent" and (born is None or now >= birthday(born, 18))
    if not within or grown:
        assert facts_of(one, now, AGES) == NOTHING
        return
    secrets = kind == "parent" and born is not None and now >= birthday(born, 15)
    assert has_own_say(one, now, AGES) == secrets
    expected = set(CATEGORIES)
    if secrets and (opened is None or opened > now):
        expected -= AGES.hides
    elif one.categories:
        expected = {*one.categories, "identification"}
    assert seen(one, now) == expected


async def _write(database: Database, one: Representation) -> None:
    statement = representation.made(one)
    await database.execute(statement.sql, *statement.args)


async def test_a_session_acts_only_under_what_is_its_persons_and_holds(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    now = clock()
    one = replace(PARENT, kind="authorised", born=None, since=now, until=now + timedelta(hours=1))
    await _write(database, one)
    await _write(database, replace(one, id="r-2", agent=99))
    assert await representation.find(database, "r-1") == one
    account = Account(id="jana", login="jana", name="Jana", role="patient", person=12, patient="p")
    keys = Keys.load_or_create(tmp_path / "keys")
    secret = accounts.totp_secret()
    account = await accounts.save(database, keys, account, "four words are better", secret, clock)
    token = await sessions.open_session(database, account, clock, lang="cs")
    standing = DatabaseStanding(database, clock)

    async def caller_now() -> Caller:
        session = await sessions.read_session(database, token, clock)
        assert session is not None
        return sessions.caller_of(session)

    await sessions.act_for(database, token, "r-2")
    own = await caller_now()
    assert (own.role, own.person, own.acting) == ("patient", 12, "")
    await sessions.act_for(database, token, "r-1")
    acting = await caller_now()
    assert (acting.role, acting.person, acting.patient) == (ACTING, 11, "child")
    assert (acting.id, acting.name, acting.acting_for) == ("jana", "Jana", "Petr Novák")
    facts = await standing.of(acting, [11, 12, 13])
    assert {person for person, f in facts.items() if f.relations} == {11}
    # the next question after the end knows of it, in the session and in the policy
    statement = representation.end("r-1", clock())
    await database.execute(statement.sql, *statement.args)
    assert (await standing.of(acting, [11]))[11] == NOTHING
    assert (await caller_now()).person == 12
    await sessions.act_for(database, token, "")
    assert (await caller_now()).role == "patient"


async def test_the_role_of_a_representative_is_no_accounts_own(
    database: Database, clock: Clock, tmp_path: Path
) -> None:
    keys = Keys.load_or_create(tmp_path / "keys")
    account = Account(id="x", login="x", name="X", role=ACTING)
    with pytest.raises(AccountError):
        await accounts.save(database, keys, account, "four words are better", None, clock)


@pytest.mark.parametrize("name", ["cz", "declared"])
def test_a_representative_reads_and_does_nothing_else(name: str) -> None:
    policy = shipped(name)
    rules = [rule for rule in policy.rules if rule.role == ACTING]
    assert {str(action) for rule in rules for action in rule.actions} == {
        "read",
        "search",
        "history",
    }
    assert {rule.group for rule in rules} == {"personal", "public"}
    personal = [rule for rule in rules if rule.group == "personal"]
    assert all(rule.own and rule.relations == frozenset({ACTING}) for rule in personal)
    assert policy.parents == AGES


def test_ages_stand_in_the_policy_and_are_checked() -> None:
    body = body_of("cz").decode()
    policy = read_policy(body.replace('"own_say": 15', '"own_say": 14').encode())
    assert policy.parents == replace(AGES, own_say=14)
    with pytest.raises(PolicyError) as caught:
        read_policy(body.replace('"own_say": 15', '"own_say": "15"').encode())
    assert caught.value.problems == ("parents.own_say: is an age in years, at most 30",)
