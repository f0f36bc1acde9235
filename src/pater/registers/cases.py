"""What is written when the register cannot tell who somebody is: a case for a registrar."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Final

import orjson

from pater.registers.matching import Score
from pater.store.write import Statement

CANDIDATES: Final = 8
"""Persons with whom one is compared in a case."""

# A person has one open case; what is found later joins it.
_OPEN: Final = """
with made as (
  insert into match_case (person, state, reason, source, weight, made)
  values ($1, 'open', $2, $3, $4, $5)
  on conflict (person) where state = 'open' do nothing returning id
), held as (
  select id from made
  union all select c.id from match_case c where c.person = $1 and c.state = 'open'
)
insert into match_candidate (case_id, place, person, weight, probability, parts)
select h.id, n.place + coalesce((select max(m.place) from match_candidate m
                                 where m.case_id = h.id), 0),
       n.person, n.weight, n.probability, n.parts::jsonb
from (select id from held limit 1) h, unnest($6::smallint[], $7::bigint[], $8::real[], $9::real[],
  $10::text[]) as n(place, person, weight, probability, parts)
where not exists (select from match_candidate m where m.case_id = h.id and m.person = n.person)
"""


def opening(
    person: int,
    ranked: Sequence[tuple[int, Score]],
    reason: str,
    source: str,
    now: datetime,
) -> Statement:
    """Opens a case about a person with those whom they may be, or adds these to the open one.

    `reason` is a code (`possible`, `numbers`, `disagree`), `source` who told of the person.
    """
    few = list(ranked[:CANDIDATES])
    parts = [
        orjson.dumps(
            {
                "parts": [list(part) for part in score.parts],
                "contradictions": list(score.contradictions),
            }
        ).decode()
        for _, score in few
    ]
    return Statement(
        _OPEN,
        (
            person,
            reason,
            source,
            max((score.weight for _, score in few), default=0.0),
            now,
            list(range(1, len(few) + 1)),
            [who for who, _ in few],
            [score.weight for _, score in few],
            [score.probability for _, score in few],
            parts,
        ),
    )
