"""A register whose keys stood in the rows of its persons is found by the same keys afterwards."""

from __future__ import annotations

from hashlib import blake2b
from pathlib import Path

import pater.registers
from pater.registers.matching.keys import hashed
from pater.store.database import Database

STEP = Path(pater.registers.__file__).parent / "migrations" / "0011_keys_beside.sql"
BEFORE = """
create schema before;
set local search_path = before;
create table index_later (name text);
insert into index_later values ('person_index_keys'), ('resource_tokens');
create table person_index (person bigint primary key, keys bigint[] not null, features bytea);
create function persons_alike(keys bigint[], each int, pairs int, without bigint[], most int)
returns int language sql as 'select 1';
"""
PARTS = [("d", "novak", f"198{n}0101") for n in range(10)] + [("n", "8001011238"), ("f", "603111")]


def wide(parts: tuple[str, ...]) -> int:
    """A key as it was before: all 64 bits."""
    text = "\x1f".join(parts).encode()
    return int.from_bytes(blake2b(text, digest_size=8).digest(), "big", signed=True)


async def test_keys_are_kept_with_half_of_their_bits(database: Database) -> None:
    async with database.transaction() as connection:
        await connection.execute(BEFORE)
        keys = [wide(parts) for parts in PARTS]
        assert min(keys) < 0 < max(keys)
        again = keys[0] ^ (1 << 40)  # another key with the same last bits: one row
        await connection.executemany(
            "insert into person_index values ($1, $2, $3)",
            [(1, [*keys, again], b"one"), (2, keys[:2], b"two"), (3, [], b"three")],
        )
        await connection.execute(STEP.read_text("utf-8"))
        rows = await connection.fetch("select key, person from person_key")
        assert sorted(tuple(row) for row in rows) == sorted(
            [(hashed(parts), 1) for parts in PARTS] + [(hashed(parts), 2) for parts in PARTS[:2]]
        )
        held = await connection.fetch("select person, features from person_index order by person")
        assert [tuple(row) for row in held] == [(1, b"one"), (2, b"two"), (3, b"three")]
        asked = [hashed(PARTS[0]), hashed(PARTS[5])]
        found = await connection.fetch("select * from persons_alike($1, 24, 400, '{}', 120)", asked)
        assert [tuple(row) for row in found] == [(1, b"one"), (2, b"two")]
        left = await connection.fetch("select name from index_later")
        assert [row["name"] for row in left] == ["resource_tokens"]
