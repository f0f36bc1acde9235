"""Which plain tables carry a person number: their rows move when two persons are found to be one.

Each room declares its own; moving is the register's (`registers.merging`). All names are constants
of the program.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from pater.store.write_shapes import Statement


@dataclass(frozen=True, slots=True)
class PersonTable:
    """A table and its column of person numbers.

    `key` is a SQL expression that tells its rows (called t) apart; alike ones may stand for each
    other. `patient` is the column with the Patient id beside the number, if there is one.
    `resource` are SQL expressions of type number and id, where a row belongs to a resource: it then
    goes where its resource goes. `after` are statements that follow, given one person number.
    """

    table: str
    key: str
    person: str = "person"
    patient: str = ""
    resource: tuple[str, str] | None = None
    after: tuple[str, ...] = ()

    @property
    def place(self) -> str:
        """The name under which its rows are written down."""
        return f"{self.table}.{self.person}"

    def move(self, merge: str, source: int, to: int, patient: str) -> Statement:
        """Moves all rows of a person, written down as moved by a merge."""
        beside = f", {self.patient} = $4::text" if self.patient else ""
        return Statement(
            f"with moved as (update {self.table} t set {self.person} = $2::bigint{beside}"  # noqa: S608
            f" where t.{self.person} = $1::bigint returning ({self.key})::text as key)"
            " insert into merge_row (merge, place, key, n)"
            f" select $3::uuid, '{self.place}', key, count(*) from moved group by key",
            (source, to, merge, *([patient] if self.patient else ())),
        )

    def move_these(
        self, merge: str, source: int, to: int, patient: str, keys: Sequence[str]
    ) -> Statement:
        """As `move`, of the rows with these keys alone."""
        beside = f", {self.patient} = $5::text" if self.patient else ""
        return Statement(
            f"with moved as (update {self.table} t set {self.person} = $2::bigint{beside}"  # noqa: S608
            f" where t.{self.person} = $1::bigint and ({self.key})::text = any($4::text[])"
            f" returning ({self.key})::text as key)"
            " insert into merge_row (merge, place, key, n)"
            f" select $3::uuid, '{self.place}', key, count(*) from moved group by key",
            (source, to, merge, list(keys), *([patient] if self.patient else ())),
        )

    def put_back(self, merge: str, source: int, to: int, patient: str) -> Statement:
        """Moves back to `to` what a merge moved from there to `source`, as often as it did."""
        beside = f", {self.patient} = $4::text" if self.patient else ""
        return Statement(
            f"update {self.table} t set {self.person} = $2::bigint{beside} from ("  # noqa: S608
            f"select t.ctid as place, ({self.key})::text as key, row_number() over"
            f" (partition by ({self.key})::text) as n from {self.table} t"
            f" where t.{self.person} = $1::bigint"
            ") f join (select key, sum(n) as n from merge_row"
            f" where merge = $3::uuid and place = '{self.place}' group by key) m"
            " on m.key = f.key and f.n <= m.n"
            f" where t.ctid = f.place and t.{self.person} = $1::bigint",
            (source, to, merge, *([patient] if self.patient else ())),
        )

    def follow(
        self, source: int, to: int, types: Sequence[int], ids: Sequence[str], patient: str
    ) -> Statement | None:
        """Moves the rows that belong to these resources; None where rows belong to none."""
        if self.resource is None:
            return None
        type_, id_ = self.resource
        beside = f", {self.patient} = $5::text" if self.patient else ""
        return Statement(
            f"update {self.table} t set {self.person} = $2::bigint{beside}"  # noqa: S608
            " from unnest($3::smallint[], $4::text[]) as k(type, id)"
            f" where t.{self.person} = $1::bigint and {type_} = k.type and {id_} = k.id",
            (source, to, list(types), list(ids), *([patient] if self.patient else ())),
        )


ALIASES: Final = PersonTable("alias", "t.patient", patient="survivor")
"""Who led to a person leads to the one that this person leads to."""
