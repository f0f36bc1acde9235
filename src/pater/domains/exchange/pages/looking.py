"""Who looked, as the page asks for it and as files say it: filters, groups, CSV and JSON."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Final
from zoneinfo import ZoneInfo

from pater.access.transparency.proving import Proof
from pater.domains.exchange.pages.listing import WHAT, Look
from pater.fhir.json import dumps
from pater.fhir.search.text import normalise
from pater.records.gate import JournalRow
from pater.web.i18n import N_

KINDS: Final = {
    "read": N_("Reading"),
    "search": N_("Search"),
    "document": N_("Delivery"),
    "write": N_("Writing"),
    "delete": N_("Deletion"),
    "other": N_("Use"),
}
EMERGENCY: Final = "ETREAT"
_ZONE: Final = ZoneInfo("Europe/Prague")
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What of the looks is asked for: a provider by name or IČO, a kind, emergencies alone."""

    provider: str = ""
    kind: str = ""
    emergency: bool = False

    def test(self) -> Callable[[JournalRow], bool] | None:
        """Which rows are wanted; None = all."""
        if not (self.provider or self.kind or self.emergency):
            return None
        said = normalise(self.provider)

        def wanted(row: JournalRow) -> bool:
            if self.emergency and row.purpose != EMERGENCY:
                return False
            if self.kind and WHAT.get(row.interaction, "other") != self.kind:
                return False
            names = (row.organization_name, row.agent_name)
            return (
                not said
                or row.organization == self.provider
                or any(said in normalise(name) for name in names)
            )

        return wanted


@dataclass(frozen=True, slots=True)
class Group:
    """Like looks of one day that follow one another; the first says what they are."""

    looks: tuple[Look, ...]

    @property
    def first(self) -> Look:
        """The newest."""
        return self.looks[0]

    @property
    def times(self) -> int:
        """How many looks there were."""
        return sum(look.times for look in self.looks)


def grouped(looks: Iterable[Look]) -> list[Group]:
    """Looks that differ only in their time of a day, together."""
    return [Group(tuple(some)) for _, some in groupby(looks, key=_alike)]


def _alike(look: Look) -> tuple[Any, ...]:
    return (
        look.at.astimezone(_ZONE).date(), look.who, look.role, look.organization, look.what,
        look.about, look.purpose, look.refused, look.reason, look.own, look.told,
    )  # fmt: skip


COLUMNS: Final = (
    "at", "who", "role", "organization", "what", "about", "purpose", "reason", "outcome", "entry",
    "log_number", "log_size", "log_sealed",
)  # fmt: skip


def line_of(row: JournalRow, reason: str, proof: Proof | None) -> dict[str, Any]:
    """One look as a file says it."""
    sealed = proof is not None and proof.verified
    return {
        "at": row.at.isoformat(timespec="milliseconds"),
        "who": row.agent_name or row.agent,
        "role": row.role,
        "organization": row.organization_name,
        "what": row.interaction,
        "about": row.entity_type,
        "purpose": row.purpose,
        "reason": reason,
        "outcome": "done" if row.outcome == "0" else "refused",
        "entry": str(row.id),
        "log_number": proof.index + 1 if proof and sealed else None,
        "log_size": proof.head.size if proof and sealed else None,
        "log_sealed": proof.head.time.isoformat(timespec="seconds") if proof and sealed else None,
    }


def as_csv(lines: Sequence[dict[str, Any]]) -> bytes:
    """A table for a spreadsheet: UTF-8 with a mark, semicolons, nothing that is a formula."""
    target = io.StringIO()
    writer = csv.writer(target, delimiter=";", lineterminator="\r\n")
    writer.writerow(COLUMNS)
    for line in lines:
        writer.writerow([_cell(line[name]) for name in COLUMNS])
    return target.getvalue().encode("utf-8-sig")


def _cell(value: Any) -> str:
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def as_json(
    lines: Sequence[dict[str, Any]], proofs: Sequence[Proof | None], made: datetime
) -> bytes:
    """The same with the whole proof of each entry; see `GET /audit/log/proof`."""
    entries = [
        {**line, "proof": proof.as_json() if proof is not None else None}
        for line, proof in zip(lines, proofs, strict=True)
    ]
    return dumps({"made": made.isoformat(timespec="seconds"), "entries": entries})
