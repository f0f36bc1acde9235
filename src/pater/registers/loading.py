"""What the register keeps beside the Patients of an import: index entries, and numbers they bring.

A Patient that comes with a number of the register (RID, DRID) is a person of it from then on; who
brings none gets one when somebody registers them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from pater.registers.matching.index import Entry, copy_entries, entry_of
from pater.registers.patients import number_of
from pater.store.database import Connection


class Beside(NamedTuple):
    """Of one Patient: their entry (None = not to be found), their number ("" = none)."""

    entry: Entry | None
    rid: str


def beside_of(patient: Mapping[str, Any]) -> Beside:
    """What is kept beside a Patient. AttributeError or TypeError for a broken one."""
    return Beside(entry_of(patient), number_of(patient))


async def keep_beside(
    connection: Connection, at: datetime, rows: Sequence[tuple[int, str, Beside]]
) -> None:
    """Writes it by COPY for new Patients (person, id), in the transaction that writes them."""
    found = [(person, each.entry) for person, _, each in rows if each.entry is not None]
    await copy_entries(connection, found)
    numbered = [
        (person, each.rid, each.rid.startswith("D"), id_, at)
        for person, id_, each in rows
        if each.rid
    ]
    if numbered:
        await connection.copy_records_to_table(
            "person",
            records=numbered,
            columns=["person", "rid", "temporary", "patient", "created"],
        )
