"""Pages of a large code system by the words of a text filter, quick whatever the words are.

What matches often is met on a short walk in the order of the system, what matches rarely is found
by the index of words. Which of them it is cannot be left to the planner, who knows nothing of
prefixes: a walk for a word that nobody has reads everything, and so does the index for a letter
that every code begins with. So it is tried and, where need be, told by a sample.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from pater.store.database import Database, Record

MOST_COUNTED: Final = 1_000
"""Up to how many hits the total of a page is exact; beyond, it is left out."""
WALK: Final = 5_000
"""Concepts from the beginning that are looked at before anything else is tried."""
SAMPLE: Final = 1_000
"""Concepts, evenly spread, by which words are told to be common."""
FEW: Final = 2_000
"""Concepts that other conditions may leave over for the words to be compared with each."""
_COMMON: Final = 0.1
"""The share of concepts from which on a word is compared with concepts, not looked up."""
WALKED: Final = 30_000
"""Concepts that may be walked for a page: up to there no index is quicker."""


class ByWords:
    """One question: the conditions beside the words, as SQL over a concept `c`, and all values.

    `where` begins with the system, whose number is `$1`.
    """

    def __init__(
        self, db: Database, where: Sequence[str], values: Sequence[object], words: Sequence[str]
    ) -> None:
        self._db = db
        self._values = [*values, *(f"'{word}':*" for word in words)]
        self._places = range(len(values) + 1, len(self._values) + 1)
        self._words = [f"c.words @@ ${place}::text::tsquery" for place in self._places]
        self._where = " and ".join(where)
        self._filtered = len(where) > 1
        self._all = " and ".join([*where, *self._words])

    async def page(
        self, columns: str, limit: int, offset: int
    ) -> tuple[Sequence[Record], int | None]:
        """Up to `limit` hits behind the first `offset`, in order, and the total where it is cheap.

        Raises asyncpg.QueryCanceledError when it takes too long.
        """
        first, last = await self._range()
        size = last - first + 1
        ending = f"order by c.nr limit {int(limit)} offset {int(offset)}"
        walked = (
            "(select * from term_concept c where c.system = $1"  # noqa: S608 constants
            f" order by c.nr limit {WALK}) c"
        )
        rows = await self._ask(f"select {columns} from {walked} where {self._all} {ending}")  # noqa: S608 constants
        full = len(rows) == limit
        if size <= WALK:
            return rows, await self._total(rows, full, offset, f"{walked} where {self._all}")
        if not full and self._filtered and await self._few():
            left = f"(select * from term_concept c where {self._where} offset 0) c"  # noqa: S608 constants
            found = f"{left} where {' and '.join(self._words)}"
            rows = await self._ask(f"select {columns} from {found} {ending}")  # noqa: S608 constants
            return rows, await self._total(rows, len(rows) == limit, offset, found)
        if full and rows:
            share = (offset + limit) / (rows[-1]["nr"] - first + 1)
            if share * size > MOST_COUNTED:
                return rows, None
        common, share = await self._sampled(first, last)
        walk = share * WALKED >= offset + limit
        if not full and walk:
            # no index is of use for what is met so often
            hidden = " and ".join(f"coalesce({word}, false)" for word in self._words)
            rows = await self._ask(
                f"select {columns} from term_concept c where {self._where} and {hidden} {ending}"  # noqa: S608 constants
            )
            full = len(rows) == limit
        words = [
            f"coalesce({word}, false)" if often else word
            for word, often in zip(self._words, common, strict=True)
        ]
        found = f"term_concept c where {' and '.join([self._where, *words])}"
        if not full and not walk:
            rows = await self._ask(
                f"select {columns}, count(*) over () as total from {found}"  # noqa: S608 constants
                f" {ending.replace('c.nr', 'c.nr + 0')}"
            )
            if rows:
                return rows, rows[0]["total"] if rows[0]["total"] <= MOST_COUNTED else None
        if full and share * size > MOST_COUNTED:
            return rows, None
        return rows, await self._total(rows, full, offset, found)

    async def _few(self) -> bool:
        """Whether the conditions beside the words leave few concepts over."""
        sql = f"select count(*) as n from (select from term_concept c where {self._where}"  # noqa: S608 constants
        # the words' places are numbered: each has to stand somewhere
        unused = " and ".join(f"${n}::text is not null" for n in self._places)
        counted = await self._ask(f"{sql} and {unused} limit {FEW + 1}) hits")
        return int(counted[0]["n"]) <= FEW

    async def _range(self) -> tuple[int, int]:
        """The first and the last number of the system; numbers are given without gaps."""
        rows = await self._db.ask(
            "select min(nr) as first, max(nr) as last from term_concept where system = $1",
            self._values[0],
            kept=True,
        )
        return (rows[0]["first"], rows[0]["last"]) if rows[0]["last"] is not None else (1, 0)

    async def _total(
        self, rows: Sequence[Record], full: bool, offset: int, found: str
    ) -> int | None:
        if not full and (rows or not offset):
            return offset + len(rows)
        sql = f"select count(*) as n from (select from {found} limit {MOST_COUNTED + 1}) hits"  # noqa: S608 constants
        counted = (await self._ask(sql))[0]["n"]
        return None if counted > MOST_COUNTED else int(counted)

    async def _sampled(self, first: int, last: int) -> tuple[list[bool], float]:
        """Which words are common, though not all of them, and the share of hits."""
        counts = ", ".join(
            f"count(*) filter (where {word}) as w{n}" for n, word in enumerate(self._words)
        )
        step = max(1, (last - first + 1) // SAMPLE)
        rows = await self._ask(
            f"select count(*) as n, count(*) filter (where {self._all}) as hits, {counts}"  # noqa: S608 constants
            f" from generate_series({int(first)}, {int(last)}, {step}) as s(nr) cross join lateral"
            " (select * from term_concept c where c.system = $1 and c.nr = s.nr offset 0) c"
        )
        [row] = rows
        met = [row[f"w{n}"] for n in range(len(self._words))]
        common = [each >= _COMMON * row["n"] for each in met]
        if all(common) and not self._filtered:
            common[met.index(min(met))] = False
        return common, row["hits"] / max(1, row["n"])

    async def _ask(self, sql: str) -> Sequence[Record]:
        # planned for these words: a plan for any words would be right for none
        return await self._db.ask(sql, *self._values)
