"""Search finds exactly what the standard's conditions say, page by page, in order."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pater.fhir.search.index import index_values
from pater.fhir.search.query import (
    Condition,
    SearchError,
    SearchRequest,
    StringTerm,
    TokenTerm,
    matches,
)
from pater.store import search as search_module
from pater.store.database import Database
from pater.store.search import rows as search_rows
from pater.store.search import search
from pater.store.search import where as search_where
from pater.store.search.sql import prefix_end, storable
from pater.store.tokens import code_hash
from pater.store.write import Committer, Put, WriteSet
from tests.store.search_world import (
    EVERYBODY,
    KEY,
    LOINC,
    RID,
    ask,
    fill,
    ids,
    request,
    resources,
)

UCUM = "http://unitsofmeasure.org"


@pytest.fixture(scope="module")
async def world(module_database: Database) -> Database:
    await fill(module_database, resources())
    return module_database


SIMPLE = [
    "Patient?identifier=1000000001",
    f"Patient?identifier={RID}|1000000002",
    f"Patient?identifier={RID}|",
    "Patient?identifier=|plain",
    f"Patient?identifier={RID}|plain",
    "Patient?identifier=1000000001,1000000003",
    "Patient?gender=male&identifier=1000000001",
    "Patient?gender:not=male",
    "Patient?gender=male&family=novak",
    "Patient?family=novák",
    "Patient?family=NOVAK,cerny",
    "Patient?family:exact=Novák",
    "Patient?family:exact=novák",
    "Patient?family:contains=ova",
    "Patient?family:contains='h",
    "Patient?name=jan",
    "Patient?given=jan&family=dvo",
    "Patient?family=%",
    "Patient?family=_",
    "Patient?birthdate=1961-07-12",
    "Patient?birthdate=1961",
    "Patient?birthdate=ge1961-07-12",
    "Patient?birthdate=gt1961-07-12",
    "Patient?birthdate=lt1961-07-12",
    "Patient?birthdate=le1961-07",
    "Patient?birthdate=ne1961-07-12",
    "Patient?birthdate=sa1961",
    "Patient?birthdate=eb1999-06",
    "Patient?birthdate=ap1999-06",
    "Patient?birthdate=ge1960&birthdate=lt2000",
    "Patient?birthdate=1950,1999",
    "Patient?birthdate:missing=true",
    "Patient?birthdate:missing=false",
    "Patient?family:missing=true",
    "Patient?gender:missing=false",
    "Patient?email:missing=true",
    "Patient?_id=p2,p3,nobody",
    "Patient?_id:not=p2",
    "Observation?date=2026-03",
    "Observation?date=2026-03-10T08:30:00%2B01:00",
    "Observation?date=ge2026-04-06",
    "Observation?date=gt2026-04-12",
    "Observation?date=lt2026-02-01",
    "Observation?date=le2026-02-01",
    "Observation?date=sa2026-03-01",
    "Observation?date=eb2026-03-01",
    "Observation?date=ap2026-03-01",
    "Observation?date=ne2026-03",
    "Observation?date:missing=true",
    f"Observation?code={LOINC}|8480-6",
    "Observation?code=8480-6",
    "Observation?code=|8480-6",
    f"Observation?code={LOINC}|",
    f"Observation?code:not={LOINC}|8480-6",
    "Observation?code=8480-6,8462-4&status=amended",
    "Observation?status=nonsense",
    "Observation?patient=p1",
    "Observation?patient=Patient/p1,Patient/p2",
    "Observation?subject=Group/g",
    "Observation?subject:Patient=p3",
    "Observation?subject=p3",
    "Observation?patient=p1&patient=p2",
    "Observation?patient=unknown",
    "Observation?performer=Practitioner/doctor&patient=p1",
    "Observation?encounter=Encounter/e4",
    "Observation?patient:missing=true",
    f"Observation?value-quantity=120|{UCUM}|mm[Hg]",
    "Observation?value-quantity=gt130||mmHg",
    "Observation?value-quantity=le113",
    "Observation?value-quantity=1.2e2",
    "Observation?value-quantity=ne120",
    "Observation?value-quantity=ap120",
    f"Observation?value-quantity=120|{UCUM}|kg",
    "Observation?value-quantity:missing=true",
    "Observation?patient=p1&code=8480-6&date=ge2026-01-10",
    "RiskAssessment?probability=0.25",
    "RiskAssessment?probability=gt0.2",
    "Condition?onset-date=2012",
    "Condition?onset-date=ge2014-05-10",
    "Condition?onset-date=2011,2013",
    "Condition?onset-date:missing=true",
    "Encounter?class=IMP",
    "Encounter?date=ge2026-06-15",
    "MedicationRequest?requester:identifier=urn:krzp|777",
    "MedicationRequest?requester:identifier=778",
    "MedicationRequest?requester:missing=true",
    "ValueSet?version=1.0",
    "Organization?name=fakultni",
    "Organization?partof=Organization/hospital",
    "Organization",
]


@pytest.mark.parametrize("query", SIMPLE)
async def test_the_index_answers_as_the_resources_themselves_do(
    world: Database, query: str
) -> None:
    asked = request(query)
    expected = {
        resource["id"]
        for _, resource in resources()
        if resource["resourceType"] == asked.type
        and all(
            matches(condition, resource, index_values(asked.type, resource))
            for condition in asked.conditions
        )
    }
    found = await ids(world, query)
    assert len(found) == len(set(found))
    assert set(found) == expected


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (f"Observation?patient.identifier={RID}|1000000002&status=amended", {"o2-0"}),
        ("Observation?patient.identifier=none", set()),
        ("Observation?patient.birthdate=lt1960&status=amended", {"o1-0"}),
        ("Observation?subject:Patient.name=ota&status=amended", {"o4-0"}),
        ("Observation?subject.identifier=1000000004&status=amended", {"o4-0"}),
        ("Encounter?service-provider.name=fakult", {"e1", "e2", "e3", "e4", "e5", "e6"}),
        ("Patient?organization.partof.name=fakult&gender=female", {"p2", "p6"}),
        ("Observation?encounter.service-provider.name=poli", set()),
        ("Observation?encounter.class=AMB&status=amended", {"o2-0", "o4-0", "o6-0"}),
        ("Observation?encounter.patient.family=nov&status=amended", {"o1-0", "o2-0", "o3-0"}),
        ("Patient?_has:Observation:patient:value-quantity=gt161", {"p6"}),
        ("Patient?_has:Observation:subject:status=amended&gender=female", {"p2", "p6"}),
        ("Patient?_has:Condition:patient:onset-date=2013", {"p3"}),
        ("Patient?_has:MedicationRequest:patient:status=stopped", set()),
        ("Encounter?_has:Observation:encounter:value-quantity=111,122", {"e1", "e2"}),
        ("Practitioner?_has:Condition:asserter:patient=p1", {"doctor"}),
        ("Organization?_has:Patient:organization:_id=p1", {"clinic"}),
        ("Patient?_has:Observation:patient:encounter.class=AMB", {"p2", "p4", "p6"}),
        ("Observation?patient.family:exact=Novák&status=amended", {"o1-0"}),
        ("Observation?patient.family:exact=novák", set()),
        ("Observation?patient.family:contains=OVÁ&status=amended", {"o1-0", "o2-0", "o3-0"}),
        ("Patient?_has:Condition:patient:asserter.family:exact=Lékařová&_id=p1", {"p1"}),
        ("Observation?patient._id=p5&status=amended", {"o5-0"}),
    ],
)
async def test_chains_and_has(world: Database, query: str, expected: set[str]) -> None:
    assert set(await ids(world, query)) == expected


async def test_last_updated(world: Database) -> None:
    everyone = (await ask(world, "Patient?_sort=_lastUpdated")).matches
    assert [p.id for p in everyone] == ["p1", "p2", "p3", "p4", "p5", "p6"]
    third = everyone[2].updated.isoformat(timespec="milliseconds").replace("+00:00", "Z")
    assert await ids(world, f"Patient?_lastUpdated=gt{third}&_sort=_id") == ["p4", "p5", "p6"]
    assert await ids(world, f"Patient?_lastUpdated=le{third}&_sort=_id") == ["p1", "p2", "p3"]
    assert await ids(world, f"Patient?_lastUpdated={third}") == ["p3"]


async def test_newest_first_when_no_order_is_asked_for(world: Database) -> None:
    assert await ids(world, "Patient") == ["p6", "p5", "p4", "p3", "p2", "p1"]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("Patient?_sort=family", ["p4", "p5", "p1", "p3", "p2", "p6"]),
        ("Patient?_sort=-family", ["p6", "p2", "p3", "p1", "p5", "p4"]),
        ("Patient?_sort=family,-birthdate", ["p4", "p5", "p3", "p1", "p2", "p6"]),
        ("Patient?_sort=birthdate,_id", ["p1", "p2", "p5", "p3", "p6", "p4"]),
        ("Patient?_sort=-birthdate,-_id", ["p6", "p3", "p5", "p2", "p1", "p4"]),
        ("Patient?_sort=gender,birthdate", ["p2", "p6", "p1", "p5", "p3", "p4"]),
        ("Patient?_id=p4,p1,p6&_sort=-birthdate", ["p6", "p1", "p4"]),
        ("Condition?_sort=-onset-date", ["c6", "c5", "c4", "c3", "c2", "c1"]),
        ("Observation?patient=p3&_sort=-value-quantity", [f"o3-{n}" for n in (4, 3, 2, 1, 0)]),
        ("Observation?status=amended&_sort=value-quantity", [f"o{n}-0" for n in range(1, 7)]),
        ("Observation?patient=p3&_sort=-date", ["o3-0", "o3-2", "o3-1", "o3-3", "o3-4"]),
    ],
)
async def test_sorting_puts_missing_values_last(
    world: Database, query: str, expected: list[str]
) -> None:
    assert await ids(world, query) == expected


PAGED = [
    "Observation", "Observation?_sort=date", "Observation?_sort=-date", "Observation?_sort=_id",
    "Observation?_sort=-_id", "Observation?_sort=-date,_id", "Observation?_sort=-_lastUpdated",
    "Observation?_sort=date,-value-quantity", "Patient?_sort=family", "Patient?_sort=-family,given",
    "Patient?_sort=birthdate,family", "Patient?_sort=-birthdate",
    "Observation?patient=p1,p2&_sort=date",
    "Observation?patient=p1&_sort=-date,-_id", "Observation?_sort=value-quantity,date",
    "Patient?family:contains=ova&_sort=given", "Patient?_sort=email,-family",
    "Patient?_sort=gender,-family", "Observation?_sort=status,-date",
    "Observation?patient.gender=male&_sort=-date", "Observation?code:not=8480-6&_sort=date",
    "Composition?_sort=period", "Composition?_sort=-period",
]  # fmt: skip


@pytest.mark.parametrize("query", PAGED)
@pytest.mark.parametrize("size", [1, 4])
async def test_pages_give_every_match_once_in_the_order_of_the_whole(
    world: Database, query: str, size: int
) -> None:
    whole = await ids(world, query)
    assert whole
    found: list[str] = []
    cursor = ""
    for _ in range(len(whole) + 1):
        page = await ask(world, query, count=size, cursor=cursor)
        assert len(page.matches) <= size
        found += [each.id for each in page.matches]
        if page.next is None:
            break
        cursor = page.next
    assert found == whole


async def test_a_row_that_disappears_between_pages_loses_no_other(
    database: Database,
) -> None:
    made = resources()
    await fill(database, made)
    first = await ask(database, "Patient?_sort=family", count=2)
    await database.execute("update resource set deleted = true where id = $1", first.matches[-1].id)
    assert first.next
    rest = await ask(database, "Patient?_sort=family", cursor=first.next)
    assert [each.id for each in rest.matches] == ["p1", "p3", "p2", "p6"]


async def test_totals(world: Database) -> None:
    assert (await ask(world, "Observation?_total=accurate", count=3)).total == 31
    assert (await ask(world, "Observation?_total=estimate", count=3)).total == 31
    assert (await ask(world, "Observation?status=amended&_total=accurate", count=0)).total == 6
    assert (await ask(world, "Patient?family:exact=Novák&_total=accurate", count=0)).total == 1
    assert (await ask(world, "Observation", count=3)).total is None


async def test_a_cursor_serves_its_own_search_only(world: Database) -> None:
    cursor = (await ask(world, "Patient?_sort=family", count=2)).next
    assert cursor
    assert (await ask(world, "Patient?_sort=family&_count=4", cursor=cursor)).matches
    for other in ("Patient?_sort=-family", "Patient?gender=male&_sort=family", "Practitioner"):
        with pytest.raises(SearchError):
            await ask(world, other, cursor=cursor)


async def test_a_cursor_says_nothing_and_cannot_be_forged(world: Database) -> None:
    cursor = (await ask(world, "Patient?_sort=family", count=1)).next
    assert cursor
    assert "cerny" not in cursor
    for place in range(len(cursor)):
        forged = cursor[:place] + ("A" if cursor[place] != "A" else "B") + cursor[place + 1 :]
        # The last character may hold bits that base64 does not use.
        if place < len(cursor) - 1:
            with pytest.raises(SearchError):
                await ask(world, "Patient?_sort=family", cursor=forged)
    for text in ("x", "ž", "*", "AAAA", "=" * 8):
        with pytest.raises(SearchError):
            await ask(world, "Patient?_sort=family", cursor=text)


@pytest.mark.parametrize(
    "text", ["\0", "a\0b", "\ud800", "\U0010ffff", "\ud7ff", "'; drop table resource", "\\", "%"]
)
async def test_odd_texts_find_nothing_and_break_nothing(world: Database, text: str) -> None:
    for condition in (
        Condition("family", "string", None, (StringTerm(text),)),
        Condition("family", "string", "contains", (StringTerm(text + "!"),)),
        Condition("identifier", "token", None, (TokenTerm(text, text),)),
        Condition("_id", "id", None, (TokenTerm(None, text),)),
    ):
        asked = SearchRequest("Patient", (condition,))
        page = await search(world, asked, EVERYBODY, count=5, cursor_key=KEY)
        assert page.matches == []


@settings(max_examples=200, deadline=None)
@given(a=st.text(max_size=5), b=st.text(max_size=5))
def test_prefix_end_bounds_exactly_the_texts_that_begin_so(a: str, b: str) -> None:
    a, b = storable(a), storable(b)
    end = prefix_end(a)
    text = a + b
    assert a.encode() <= text.encode() and (end is None or text.encode() < end.encode())
    if end is not None and not b.startswith(a):
        assert not (a.encode() <= b.encode() < end.encode())


async def test_order_is_total(world: Database) -> None:
    moments = [each.updated for each in (await ask(world, "Observation")).matches]
    assert all(one >= other for one, other in pairwise(moments))


async def test_a_hit_by_a_colliding_hash_is_dropped(database: Database) -> None:
    await fill(database, resources())
    colliding = code_hash("Observation", "code", "another-code")
    await database.execute(
        "update resource set tokens = tokens || $1::bigint where id = 'o1-0'", colliding
    )
    assert await ids(database, "Observation?code=another-code") == []


async def test_a_value_that_stands_otherwise_in_the_body_is_found(database: Database) -> None:
    raw = b'{"resourceType":"Patient","id":"x","gender":"m\\u0061le","deceasedDateTime":"2020"}'
    put = Put("Patient", "x", 1, orjson.loads(raw), raw=raw)
    committer = Committer(database, lambda: datetime.now(UTC))
    await committer.commit(WriteSet([put]))
    await committer.stop()
    assert await ids(database, "Patient?gender=male") == ["x"]
    assert await ids(database, "Patient?deceased=true") == ["x"]


async def test_a_search_that_takes_too_long_is_refused(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = search_rows.BEGIN + "; set local statement_timeout = '20ms'"
    monkeypatch.setattr(search_rows, "BEGIN", slow)
    async with search_rows.open_reader(world) as reader:
        with pytest.raises(SearchError) as refused:
            await reader.fetch("select pg_sleep(30)")
    assert refused.value.issues[0].code == "too-costly"
    assert await ids(world, "Patient?_id=p1") == ["p1"]


async def test_the_far_end_of_a_chain_may_not_be_half_the_world(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_where, "CHAIN_LIMIT", 2)
    # Patients are joined by person, whatever their number.
    assert len(await ids(world, "Observation?patient.gender=male&status=amended")) == 4
    assert len(await ids(world, "Observation?subject:Patient.gender=male&status=amended")) == 4
    for query in (
        "Observation?encounter.status=finished",
        "Encounter?_has:Observation:encounter:status=final",
    ):
        with pytest.raises(SearchError) as refused:
            await ids(world, query)
        assert refused.value.issues[0].code == "too-costly"


async def test_sorting_in_memory_is_bounded(
    world: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(search_module, "SORT_LIMIT", 3)
    with pytest.raises(SearchError) as refused:
        await ids(world, "Observation?_sort=status")
    assert refused.value.issues[0].code == "too-costly"
