"""The index of words follows the writes, whoever indexes them and whenever."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import Any

import pytest

from pater.fhir.search.query import SearchError
from pater.store import text_index
from pater.store.database import Database
from pater.store.jobs import enqueue
from pater.store.workers import Workers
from pater.store.write import Committer, Put, WriteSet
from tests.store.search_world import ask, ids


def note(id: str, text: str | None, person: int = 1) -> Put:
    resource: dict[str, Any] | None = None
    if text is not None:
        resource = {"resourceType": "Basic", "id": id, "code": {"text": text}}
    return Put("Basic", id, person, resource, method="PUT" if text else "DELETE")


@pytest.fixture
async def committer(database: Database) -> Committer:
    return Committer(database, lambda: datetime.now(UTC))


async def test_a_search_finds_what_was_written_before_it(
    database: Database, committer: Committer
) -> None:
    await committer.commit(WriteSet([note(f"n{n}", f"word{n} common") for n in range(30)]))
    assert await ids(database, "Basic?_content=word7") == ["n7"]
    for text in ("other", "again", "word7"):
        await committer.commit(WriteSet([note("n7", text)]))
        assert await ids(database, f"Basic?_content={text}") == ["n7"]
    assert len(await ids(database, "Basic?_content=common")) == 29
    await committer.commit(WriteSet([note("n3", None)]))
    assert len(await ids(database, "Basic?_content=common&_total=accurate")) == 28
    await committer.commit(WriteSet([note("n4", "common", person=2)]))  # another's now
    assert len(await ids(database, "Basic?_content=common")) == 28


async def test_an_older_transaction_hides_nothing(database: Database, committer: Committer) -> None:
    async with database.transaction() as older:
        await older.execute("select pg_current_xact_id()")
        await committer.commit(WriteSet([note("n1", "visible")]))
        assert await ids(database, "Basic?_content=visible") == ["n1"]
    assert await ids(database, "Basic?_content=visible") == ["n1"]


async def test_too_much_at_once_is_said_and_comes_nearer(
    database: Database, committer: Committer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(text_index, "MOST", 10)
    monkeypatch.setattr(text_index, "_STEP", 5)
    for n in range(25):
        await committer.commit(WriteSet([note(f"n{n}", "common")]))
    refused = 0
    while True:
        try:
            page = await ask(database, "Basic?_content=common&_total=accurate")
        except SearchError as error:
            assert error.issues[0].code == "too-costly"
            refused += 1
        else:
            break
    assert (page.total, refused) == (25, 2)


async def test_many_searches_and_the_job_at_once(database: Database, committer: Committer) -> None:
    for n in range(40):
        await committer.commit(WriteSet([note(f"n{n}", "common")]))
    stop = asyncio.Event()
    await enqueue(database, text_index.KIND, {})
    handlers = {text_index.KIND: text_index.index_words}
    worker = asyncio.create_task(Workers(database, handlers, pause=0.01).run(stop))
    found = await asyncio.gather(*(ids(database, "Basic?_content=common") for _ in range(25)))
    stop.set()
    await worker
    assert {len(each) for each in found} == {40}
    assert await database.fetchval("select count(*) from text_index") == 40
