"""Turning pages in any order while others write: what was there at first comes once."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pater.fhir.definitions import TYPE_NUMBER
from pater.fhir.json import dumps
from pater.fhir.search.query import SearchError
from pater.store.database import Database
from pater.store.search import CURSOR_LIFE, Page, Scope, search
from pater.store.write import Committer, Put, WriteSet
from tests.conftest import Clock
from tests.store.search_world import KEY, LOINC, request

TAG = "urn:pages|x"


@dataclass
class Pages:
    """Resources that change at random, and searches that go on meanwhile."""

    db: Database
    clock: Clock
    committer: Committer
    type: str
    chance: random.Random
    now: dict[str, dict[str, Any]] = field(default_factory=dict)
    made: int = 0

    def resource(self, id_: str) -> dict[str, Any]:
        """A resource with values that collide, miss, and stand in every kind of index."""
        chance = self.chance
        found: dict[str, Any] = {
            "resourceType": self.type,
            "id": id_,
            "meta": {"tag": [{"system": "urn:pages", "code": "x"}]},
        }
        day = f"20{chance.randrange(10, 14)}-0{chance.randrange(1, 4)}-01"
        if self.type == "Patient":
            found["gender"] = chance.choice(["male", "female", "other"])
            if chance.random() < 0.8:
                family = chance.choice(["Čapek", "Capek", "Žák", "z" * 220, "z" * 221, "Novák"])
                found["name"] = [{"family": family, "given": ["Jan", chance.choice("AB")]}]
            if chance.random() < 0.7:
                found["birthDate"] = day
            if chance.random() < 0.5:
                found["deceasedDateTime"] = f"{day}T10:00:00Z"
            return found
        found["status"] = chance.choice(["final", "amended"])
        found["code"] = {"coding": [{"system": LOINC, "code": "8480-6"}]}
        if chance.random() < 0.7:
            found["effectiveDateTime"] = day
        elif chance.random() < 0.5:
            found["effectivePeriod"] = {"end": day}  # its beginning is open
        if chance.random() < 0.8:
            found["valueQuantity"] = {"value": chance.randrange(3), "unit": "kg"}
        return found

    async def write(self) -> None:
        """Creates, changes or deletes one; now and then several within one millisecond."""
        if self.chance.random() < 0.7:
            self.clock.move(milliseconds=self.chance.choice([1, 1, 7, 20_000]))
        what = self.chance.random()
        if what < 0.2 or not self.now:
            self.made += 1
            id_ = f"{self.type[0].lower()}{self.chance.randrange(1000)}-{self.made}"
            self.clock.move(milliseconds=1)  # of the beginning is what was there before it
        else:
            id_ = self.chance.choice(sorted(self.now))
        made = None if what > 0.93 and id_ in self.now else self.resource(id_)
        await self.committer.commit(WriteSet([Put(self.type, id_, 0, made, method="PUT")]))
        if made is None:
            del self.now[id_]
        else:
            self.now[id_] = made

    async def page(self, query: str, count: int, cursor: str | None, scope: Scope) -> Page:
        """The next page of a search."""
        asked = request(f"{query}&_cursor={cursor}" if cursor else query)
        return await search(
            self.db, asked, scope, count=count, cursor_key=KEY, now=self.clock()
        )  # fmt: skip


@pytest.fixture
async def committer(database: Database, clock: Clock) -> Any:
    made = Committer(database, clock)
    await made.start()
    yield made
    await made.stop()


_SORTS = [
    ("Patient", "_tag=urn:pages|x", sort)
    for sort in ("_lastUpdated", "-_lastUpdated", "family", "-family", "birthdate", "-birthdate",
                 "gender,-birthdate", "-death-date", "name,-_lastUpdated", "_id", "",
                 "-gender,family")
] + [
    ("Observation", f"code={LOINC}|8480-6", sort)
    for sort in ("date", "-date", "value-quantity", "-value-quantity,_lastUpdated", "-status", "")
]  # fmt: skip


@pytest.mark.parametrize(("type_", "query", "sort"), _SORTS)
async def test_pages_are_those_of_the_beginning(
    database: Database, clock: Clock, committer: Committer, type_: str, query: str, sort: str
) -> None:
    """A random interleaving of writes and pages; the order is that of an undisturbed search."""
    for seed in range(3):
        chance = random.Random(f"{seed}{sort}")
        world = Pages(database, clock, committer, type_, chance)
        for each in await database.fetch("select id from resource where not deleted"):
            world.now[each["id"]] = {}
        while len(world.now) < 14:
            await world.write()
        scope = Scope(persons=frozenset({0})) if seed % 2 else Scope()
        text = f"{type_}?{query}" + (f"&_sort={sort}" if sort else "")
        clock.move(seconds=chance.choice([0, 0, 60]))
        began = [each.id for each in (await world.page(text, 1000, None, scope)).matches]
        assert sorted(began) == sorted(world.now)
        seen: list[str] = []
        there = set(began)
        cursor: str | None = None
        for turn in range(100):
            if turn:
                for _ in range(chance.randrange(5)):
                    await world.write()
            page = await world.page(text, chance.randrange(1, 5), cursor, scope)
            there -= {each for each in began if each not in world.now and each not in seen}
            for shown in page.matches:
                row = await database.fetchrow(
                    "select version, deleted from resource where id = $1", shown.id
                )
                assert row is not None
                assert (row["version"], row["deleted"]) == (shown.version, False)
            seen += [shown.id for shown in page.matches]
            cursor = page.next
            if cursor is None:
                break
        assert len(seen) == len(set(seen)), "one came twice"
        assert set(seen) <= set(began), "one was not there at the beginning"
        assert there <= set(seen), "one was missed"
        assert seen == [each for each in began if each in set(seen)], "the order changed"


async def test_what_was_on_its_way_when_the_first_page_was_read_comes_once(
    database: Database, clock: Clock, committer: Committer
) -> None:
    """A change whose time is before the first page, and which that page could not see yet."""
    born = ["2001-01-01", "2002-01-01", "2003-01-01", "2004-01-01"]
    for number, each in enumerate(born):
        clock.move(milliseconds=1)
        await committer.commit(WriteSet([Put("Patient", f"p{number}", 0, _patient(number, each))]))
    clock.move(milliseconds=5)
    for first, moved_to, sort in ((0, "2009-01-01", "birthdate"), (3, "2000-01-01", "birthdate"),
                                  (1, "2009-01-01", "-_lastUpdated")):  # fmt: skip
        world = Pages(database, clock, committer, "Patient", random.Random(1))
        asked = f"Patient?_sort={sort}"
        undisturbed = [e.id for e in (await world.page(asked, 10, None, Scope())).matches]
        async with database.transaction() as connection:
            await connection.execute(
                "insert into history (person, type, id, rid, version, updated, method, deleted,"
                " dict, body) select person, type, id, rid, version, updated, method, deleted,"
                " dict, body from resource where id = $1", f"p{first}",
            )  # fmt: skip
            body = dumps(_patient(first, moved_to))
            dictionary, packed = database.bodies.compress(TYPE_NUMBER["Patient"], body)
            await connection.execute(
                "update resource set version = version + 1, updated = $2, date = $3, body = $4,"
                " dict = $5 where id = $1",
                f"p{first}", clock(), datetime.fromisoformat(moved_to).replace(tzinfo=UTC), packed,
                dictionary,
            )  # fmt: skip
            clock.move(milliseconds=5)
            page = await world.page(asked, 2, None, Scope())
        seen = [each.id for each in page.matches]
        while page.next:
            page = await world.page(asked, 1, page.next, Scope())
            seen += [each.id for each in page.matches]
        assert seen == undisturbed
        clock.move(seconds=20)


def _patient(number: int, born: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": f"p{number}", "birthDate": born}


async def test_what_only_began_to_match_is_on_no_page_and_an_old_cursor_is_refused(
    database: Database, clock: Clock, committer: Committer
) -> None:
    world = Pages(database, clock, committer, "Patient", random.Random(2))
    for number in range(6):
        clock.move(milliseconds=1)
        made = {**_patient(number, f"200{number}-01-01"), "active": number != 4}
        await committer.commit(WriteSet([Put("Patient", f"p{number}", 0, made)]))
    clock.move(seconds=1)
    asked = "Patient?active=true&_sort=birthdate"
    page = await world.page(asked, 2, None, Scope())
    cursor = page.next
    clock.move(seconds=1)
    for number, active in ((4, True), (3, False)):
        made = {**_patient(number, "2001-06-01"), "active": active}
        await committer.commit(WriteSet([Put("Patient", f"p{number}", 0, made)]))
    page = await world.page(asked, 10, cursor, Scope())
    assert [each.id for each in page.matches] == ["p2", "p5"]
    clock.move(seconds=CURSOR_LIFE / timedelta(seconds=1))
    with pytest.raises(SearchError, match="from the beginning"):
        await world.page(asked, 10, cursor, Scope())


async def test_what_is_included_comes_with_what_was_changed(
    database: Database, clock: Clock, committer: Committer
) -> None:
    world = Pages(database, clock, committer, "Patient", random.Random(3))
    for number in range(4):
        clock.move(milliseconds=1)
        about = {
            "resourceType": "Observation",
            "id": f"o{number}",
            "status": "final",
            "code": {"text": "x"},
            "subject": {"reference": f"Patient/p{number}"},
        }
        patient = _patient(number, f"200{number}-01-01")
        puts = [
            Put("Patient", f"p{number}", 1 + number, patient),
            Put("Observation", f"o{number}", 1 + number, about),
        ]
        await committer.commit(WriteSet(puts))
    clock.move(seconds=1)
    asked = "Patient?_sort=birthdate&_revinclude=Observation:patient"
    page = await world.page(asked, 2, None, Scope())
    shown = [(each.id, more.id) for each, more in zip(page.matches, page.included, strict=True)]
    clock.move(seconds=1)
    patient = _patient(3, "1990-01-01")
    await committer.commit(WriteSet([Put("Patient", "p3", 4, patient)]))
    page = await world.page(asked, 2, page.next, Scope())
    shown += [(each.id, more.id) for each, more in zip(page.matches, page.included, strict=True)]
    assert shown == [(f"p{n}", f"o{n}") for n in range(4)]
