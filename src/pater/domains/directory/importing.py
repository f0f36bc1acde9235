"""Imports a file of a register: looks at all of it first, then writes what differs, ends what went.

The look writes no resource: each row becomes resources, and those whose content differs from what
the last import wrote are put aside. When more vanished than is likely, nothing happens until
somebody accepts it. What is put aside is written in batches, each with the note that it was, so a
run that was stopped goes on where it was and the same file again changes nothing.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final, TextIO

from pater.access.caller import KEY, Caller
from pater.domain import Services
from pater.domains.directory import tables
from pater.domains.directory.columns import Form, form_of
from pater.domains.directory.model import ended
from pater.domains.directory.reading import FileError, Layout, Row, RowError, layout_of, rows
from pater.domains.directory.tables import Made
from pater.fhir.json import dumps, parse
from pater.records.gate import Change, Statement
from pater.registers.providers.systems import TYPES

IMPORTER: Final = Caller(
    kind="system",
    id="pater-directory",
    name="pater directory import",
    role="loader",
    purpose="SYSADMIN",
    strength=KEY,
    scopes=tuple(f"system/{type_}.cru" for type_ in TYPES),
)
"""Who writes the register; it may write nothing else."""
LIMIT: Final = 5.0
"""Per cent of places or professionals that may vanish without anybody being asked."""
_ROWS: Final = 500
_OWN: Final = ("Location", "PractitionerRole")
"""Types of which each resource has a row of its own."""
_CHANGES: Final = 100
_MOST_REASONS: Final = 50
_MOST_SHOWN: Final = 100
REFUSED_COLUMNS: Final = ("refused_row", "refused_reason")

Told = Callable[["Report"], Awaitable[None]]


@dataclass(slots=True)
class Report:
    """What came of a run, or would.

    `created`, `changed`, `unchanged` and `ended` count resources by type; `refused` rows by
    reason, of which `examples` shows the first with their lines. `differing` are rows that say
    something else of a provider or professional than the first row that named it.
    """

    source: str = ""
    file: str = ""
    encoding: str = ""
    state: str = "looking"
    rows: int = 0
    created: Counter[str] = field(default_factory=Counter)
    changed: Counter[str] = field(default_factory=Counter)
    unchanged: Counter[str] = field(default_factory=Counter)
    ended: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    examples: list[tuple[int, str]] = field(default_factory=list)
    differing: int = 0
    vanished: float = 0.0  # per cent
    nameless: int = 0  # refused rows of which nobody knows whose they are
    written: int = 0
    stopped: str = ""

    def as_json(self) -> dict[str, Any]:
        """For the table of runs and the result of a job."""
        plain = {name: getattr(self, name) for name in Report.__slots__}
        return {n: dict(v) if isinstance(v, Counter) else v for n, v in plain.items()}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Report:
        """What `as_json` gave."""
        made = cls(**data)
        for name in ("created", "changed", "unchanged", "ended", "refused"):
            setattr(made, name, Counter(getattr(made, name)))
        return made


@dataclass(frozen=True, slots=True)
class Task:
    """What is imported: `form` "" = as the columns tell; `part` = some rows only, nothing ends.

    `refused` is where rows that cannot be used are written with their reasons (None = nowhere).
    """

    path: Path
    form: str = ""
    dry: bool = False
    accept: bool = False
    part: bool = False
    limit: float = LIMIT
    refused: Path | None = None


async def run(services: Services, task: Task, told: Told, number: int | None = None) -> Report:
    """Does it; `told` hears how far it is, and `number` is a run that was stopped in the middle.

    Raises FileError.
    """
    known = await tables.run_state(services.db, number) if number is not None else None
    if number is not None and known is not None and known[0] in ("applying", "ending"):
        report = Report.of(known[2])
        await _write(services, number, known[1], task, report, told)
        return report
    layout = layout_of(task.path)
    form = form_of(layout.header, task.form)
    day = services.clock().date()
    report = Report(form.name, task.path.name, layout.encoding + ("*" if layout.twice else ""))
    made = await tables.new_run(
        services.db, form.name, task.path.name, day, task.part, services.clock()
    )
    try:
        await _look(_Look(services, task, form, layout, made, day, report, told))
        report.stopped = await _judged(services, task, form, made, report)
        if report.stopped or task.dry:
            report.state = "stopped" if report.stopped else "dry"
            await tables.set_run(
                services.db, made, report.state, report.as_json(), services.clock()
            )
            await tables.forget_run(services.db, made)
            return report
        report.state = "applying"
        await tables.set_run(services.db, made, "applying", report.as_json())
    except (FileError, RowError):
        await tables.set_run(services.db, made, "broken", report.as_json(), services.clock())
        await tables.forget_run(services.db, made)
        raise
    await _write(services, made, day, task, report, told, form.name)
    return report


@dataclass(frozen=True, slots=True)
class _Look:
    services: Services
    task: Task
    form: Form
    layout: Layout
    run: int
    day: date
    report: Report
    told: Told


async def _look(look: _Look) -> None:
    """Compares every row with what the last import wrote; puts aside what differs."""
    places = look.form.places(look.layout.header)
    source = rows(look.task.path, look.layout)
    kept = _Quarantine(look.task.refused, look.layout.header)
    try:
        while some := list(islice(source, _ROWS)):
            await _look_at(look, places, some, kept)
            look.report.rows += len(some)
            await look.told(look.report)
    finally:
        kept.close()


async def _look_at(
    look: _Look, places: Mapping[str, int], some: list[Row], kept: _Quarantine
) -> None:
    report, form = look.report, look.form
    made: list[tuple[Row, list[tuple[Made, bytes]]]] = []
    born: dict[str, date] = {}
    held: list[Made] = []
    for row in some:
        cells: dict[str, str] = {}
        try:
            if row.problem:
                raise RowError(row.problem)
            cells = form.cells(places, row.cells)
            resources = form.made(cells, look.day)
            day = form.born(cells)
        except RowError as error:
            _refuse(report, kept, row, str(error))
            owner = cells.get(form.key, "")
            if owner:
                held.append(Made("", owner, row.line, b"", owner))
            report.nameless += not owner
            continue
        if day is not None:
            born[day[0]] = day[1]
        owner = cells[form.key]
        made.append((row, [_made(each, row.line, owner) for each in resources]))
    flat = [one for _, each in made for one, _ in each]
    standing = await tables.see(look.services.db, look.run, form.name, [*flat, *held])
    staged: list[tuple[int, Made, bytes]] = []
    for row, each in made:
        own = each[0][0]
        other = standing[own.type, own.id].line
        if other != row.line and own.type in _OWN:
            _refuse(report, kept, row, "the same stands in another row", other)
            continue
        for one, body in each:
            first = standing[one.type, one.id]
            if first.line != row.line:
                report.differing += first.digest != one.digest
            elif first.before == one.digest:
                report.unchanged[one.type] += 1
            else:
                (report.changed if first.before is not None else report.created)[one.type] += 1
                staged.append((TYPES.index(one.type), one, body))
    if not look.task.dry:
        await tables.stage(look.services.db, look.run, staged)
        await tables.set_born(look.services.db, born)


def _made(resource: Mapping[str, Any], line: int, owner: str) -> tuple[Made, bytes]:
    body = dumps(resource)
    digest = blake2b(body, digest_size=16).digest()
    return Made(str(resource["resourceType"]), str(resource["id"]), line, digest, owner), body


def _refuse(report: Report, kept: _Quarantine, row: Row, reason: str, other: int = 0) -> None:
    if len(report.refused) < _MOST_REASONS or reason in report.refused:
        report.refused[reason] += 1
    else:
        report.refused["other reasons"] += 1
    shown = f"{reason} (row {other})" if other else reason
    if len(report.examples) < _MOST_SHOWN:
        report.examples.append((row.line, shown))
    kept.add(row, shown)


async def _judged(services: Services, task: Task, form: Form, run: int, report: Report) -> str:
    """Why the run must not go on; "" when it may."""
    if task.part:
        return ""
    counts = await tables.count_missing(services.db, run, form.name)
    total, missing = counts.get(form.main, (0, 0))
    report.vanished = round(100 * missing / total, 2) if total else 0.0
    report.ended = Counter({type_: gone for type_, (_, gone) in counts.items() if gone})
    if report.vanished > task.limit and not task.accept:
        return (
            f"{missing} of {total} ({report.vanished} %) vanished from the file, more than"
            f" {task.limit} %; if that is right, import it with --accept"
        )
    return ""


async def _write(
    services: Services,
    run: int,
    day: date,
    task: Task,
    report: Report,
    told: Told,
    source: str = "",
) -> None:
    """Writes what was put aside, then ends what the file has no more."""
    db, source = services.db, source or report.source
    while some := await tables.next_changes(db, run, _CHANGES):
        changes = [Change("update", one.type, one.id, parse(one.body)) for one in some]
        await services.gate.commit(
            IMPORTER,
            changes,
            statements=[
                Statement(tables.DONE_CHANGES, (run, [one.n for one in some])),
                Statement(tables.WROTE, (source, [one.type for one in some],
                                         [one.id for one in some], [one.digest for one in some],
                                         [one.owner for one in some])),
            ],
        )  # fmt: skip
        report.written += len(some)
        await told(report)
    if not task.part and not report.nameless:
        await tables.set_run(db, run, "ending", report.as_json())
        await _end(services, run, source, day, report, told)
    report.state = "done"
    await tables.set_run(db, run, "done", report.as_json(), services.clock())
    await tables.forget_run(db, run)


async def _end(
    services: Services, run: int, source: str, day: date, report: Report, told: Told
) -> None:
    while gone := await tables.missing(services.db, run, source, _CHANGES):
        there = await services.gate.read_all(IMPORTER, gone)
        changes = []
        for key in gone:
            stored = there.get(key)
            if stored is not None:  # else somebody deleted it
                resource = ended(parse(stored.body), day)
                changes.append(Change("update", key[0], key[1], resource))
        over = Statement(tables.ENDED, (source, [t for t, _ in gone], [i for _, i in gone]))
        await services.gate.commit(IMPORTER, changes, statements=[over])
        await told(report)


class _Quarantine:
    """Writes refused rows as a file of the same columns, with the row and the reason before."""

    def __init__(self, path: Path | None, header: tuple[str, ...]) -> None:
        self._path, self._header = path, header
        self._file: TextIO | None = None

    def add(self, row: Row, reason: str) -> None:
        if self._path is None:
            return
        if self._file is None:
            self._file = self._path.open("w", encoding="utf-8", newline="")
            csv.writer(self._file).writerow([*REFUSED_COLUMNS, *self._header])
        csv.writer(self._file).writerow([row.line, reason, *row.cells])

    def close(self) -> None:
        if self._file is not None:
            self._file.close()
