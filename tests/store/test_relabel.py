"""What was written before there were labels gets them by a job that can be stopped anywhere."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from pater.fhir.labels import label
from pater.store.database import Database
from pater.store.jobs import Job, LeaseLost, enqueue
from pater.store.migrate import KERNEL
from pater.store.relabel import KIND, relabel
from pater.store.write import Committer, Put, WriteSet
from tests.conftest import Clock

MEDICINE = {"resourceType": "MedicationStatement", "status": "active"}


async def _job(db: Database, state: dict[str, Any] | None = None) -> Job:
    id_ = await enqueue(db, KIND, {})
    worker = uuid4()
    await db.execute("update job set state = 'running', worker = $2 where id = $1", UUID(id_),
                     worker)  # fmt: skip
    return Job(id_, KIND, "", {}, state or {}, 1, datetime.now(UTC), db, worker)


@pytest.fixture
async def old(database: Database, clock: Clock) -> Database:
    """Twelve medicines of two versions each, one of them deleted; none has a label."""
    committer = Committer(database, clock)
    for version in (0, 1):
        for number in range(12):
            put = Put("MedicationStatement", f"m{number}", 1, MEDICINE, expected=version)
            await committer.commit(WriteSet([put]))
    await committer.commit(WriteSet([Put("MedicationStatement", "m3", 1, None)]))
    await committer.commit(WriteSet([Put("Condition", "c", 1, {"resourceType": "Condition"})]))
    await committer.stop()
    for table in ("resource", "history"):
        await database.execute(f"update {table} set label = 0")
    return database


async def _labels(db: Database) -> list[int]:
    sql = (
        "select label from resource where id <> 'c' union all select label from history"
        " order by label"
    )
    return [row["label"] for row in await db.fetch(sql)]


async def test_every_version_gets_its_label(old: Database) -> None:
    assert set(await _labels(old)) == {0}
    await relabel(await _job(old), step=5)
    assert await _labels(old) == [label("medication")] * 25
    assert await old.fetchval("select label from resource where id = 'c'") == 0


async def test_it_goes_on_where_it_was_stopped(
    old: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    job = await _job(old)
    left: Iterator[int] = iter(range(2))
    real = Job.checkpoint

    async def dies(self: Job, *args: Any, **how: Any) -> None:
        if next(left, None) is None:
            raise LeaseLost
        await real(self, *args, **how)

    monkeypatch.setattr(Job, "checkpoint", dies)
    with pytest.raises(LeaseLost):
        await relabel(job, step=4)
    monkeypatch.undo()
    assert 0 < sum(map(bool, await _labels(old))) < 25
    assert await relabel(await _job(old, job.state), step=4)
    assert await _labels(old) == [label("medication")] * 25


async def test_what_has_a_label_keeps_it(old: Database) -> None:
    mine = label("discharge-report", 0, "12345679", "chain")
    await old.execute("update resource set label = $1 where id = 'm1'", mine)
    await relabel(await _job(old))
    assert await old.fetchval("select label from resource where id = 'm1'") == mine


async def test_it_waits_for_no_writer(old: Database) -> None:
    async with old.transaction() as connection:
        await connection.execute("select from resource where id = 'm1' for update")
        await relabel(await _job(old))
    assert await old.fetchval("select label from resource where id = 'm1'") == 0
    assert await old.fetchval("select label from resource where id = 'm2'") == label("medication")


async def test_the_migration_asks_for_it_when_there_is_anything(old: Database) -> None:
    text = (KERNEL / "0012_labels_and_wall.sql").read_text()
    asks = text[text.index("insert into job") : text.index("-- The second wall")]
    await old.execute(asks)
    assert await old.fetchval("select count(*) from job where kind = $1", KIND) == 1
    await old.execute("delete from job")
    await old.execute("truncate resource")
    await old.execute(asks)
    assert await old.fetchval("select count(*) from job") == 0
