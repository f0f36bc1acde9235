"""Loading an invented country by the bulk path: time, CPU, memory, and bytes a person by table."""

from __future__ import annotations

import asyncio
import os
import resource
import time
from pathlib import Path
from typing import Any, Final

from bench.machine import tree_time
from bench.measure import BenchError, say
from pater.cli.bulk import import_files
from pater.cli.country import make
from pater.cli.indexes import make_waiting, put_off
from pater.settings import Settings
from pater.store.database import Database

_SMALL: Final = 10.0  # bytes a person: other tables are not told apart
_SIZES: Final = """
select coalesce(i.indrelid, c.oid)::regclass::text as of, c.relname, c.relkind,
       sum(pg_relation_size(coalesce(p.relid, c.oid)))::bigint
         + coalesce(sum(pg_relation_size(t.reltoastrelid)), 0)::bigint as size
from pg_class c
join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'
left join pg_index i on i.indexrelid = c.oid
left join lateral pg_partition_tree(c.oid) p on true
left join pg_class t on t.oid = coalesce(p.relid, c.oid) and t.reltoastrelid > 0
where c.relkind in ('r', 'i', 'p', 'I') and not c.relispartition
group by 1, 2, 3
"""


async def loaded(
    settings: Settings, dsn: str, folder: Path, seed: int, persons: int, providers: int = 0,
    professionals: int = 0, *, later: bool = False,
) -> dict[str, Any]:  # fmt: skip
    """Makes the files of a country, imports them, and says what it took. Raises BenchError.

    With `later` the largest indexes that loading does not ask are made when all is loaded, which a
    service that is asked meanwhile could not do.
    """
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    before, begun = tree_time(os.getpid()), time.perf_counter()

    def tell(done: int, of: int) -> None:
        say(f"file {done} of {of} made")

    paths = await asyncio.to_thread(make, folder, seed, persons, providers, professionals, tell)
    made, cpu_made = time.perf_counter(), tree_time(os.getpid())
    size = sum(path.stat().st_size for path in paths)
    if later:
        await put_off(dsn)
    row = await import_files(settings, dsn, paths, trust=True)
    if row.state != "done" or not row.result or row.result["errors"]:
        raise BenchError(f"the import {row.state}: {row.error} {row.result}")
    ended, after = time.perf_counter(), tree_time(os.getpid())
    await make_waiting(dsn)
    indexed, cpu_indexed = time.perf_counter(), tree_time(os.getpid())
    for path in paths:
        path.unlink()
    return {
        "files_s": round(made - begun, 1),
        "files_cpu_s": round(cpu_made.program - before.program, 1),
        "files_mb": round(size / 1e6, 1),
        "load_s": round(ended - made, 1),
        "program_cpu_s": round(after.program - cpu_made.program, 1),
        "database_cpu_s": round(after.database - cpu_made.database, 1),
        "indexes_s": round(indexed - ended, 1),
        "indexes_cpu_s": round(cpu_indexed.database - after.database, 1),
        "peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        "peak_child_mb": round(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024),
    }


async def sizes(db: Database, persons: int) -> dict[str, float]:
    """Bytes a person of each table and, as `table.index`, of each index; and of the whole."""
    found: dict[str, float] = {}
    for row in await db.fetch(_SIZES):
        name = row["of"] if row["of"] == row["relname"] else f"{row['of']}.{row['relname']}"
        if row["size"] >= _SMALL * persons:
            found[name] = round(row["size"] / persons, 1)
    whole = await db.fetchval("select pg_database_size(current_database())")
    return {
        "whole database": round(whole / persons, 1),
        **dict(sorted(found.items(), key=lambda each: -each[1])),
    }
