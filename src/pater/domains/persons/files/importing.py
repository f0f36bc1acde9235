"""Takes files of persons: each row through registration, what cannot be taken into quarantine.

A row says under a number of its source who somebody is. One that says what the source said before
is left alone, so the same file again does nothing and a run that was stopped goes on where it was.
Rows that may be about one person are taken one after the other, others at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from hashlib import blake2b
from itertools import islice
from pathlib import Path
from typing import Any, Final

from pater.access.caller import KEY, Caller
from pater.domain import Services
from pater.domains.persons.authorities import Authorities
from pater.domains.persons.files import tables
from pater.domains.persons.files.columns import (
    NUMBER,
    CellError,
    Columns,
    number_of,
    patient_of,
    with_before,
)
from pater.domains.persons.files.report import Fate, Outcome, Report, Task
from pater.domains.persons.files.tables import Refused
from pater.fhir.json import dumps, parse
from pater.records.errors import Conflict, PreconditionFailed, Unprocessable
from pater.registers import sources
from pater.registers.accepting import accepted
from pater.registers.csv_files import (
    ENCODINGS,
    FileError,
    Layout,
    Row,
    row_of,
    rows,
    survey,
)
from pater.registers.identifiers import check_ico, tidy
from pater.registers.matching import blocking_keys, features_of
from pater.registers.patients import strong_keys, who_key
from pater.registers.room import Registers
from pater.registers.surviving import Said, Source

Resource = dict[str, Any]
MOST_KEPT: Final = 100_000
"""Rows of one source in quarantine; a file that brings more is stopped."""
_ROWS: Final = 100
_AT_ONCE: Final = 8

Told = Callable[[Report, tuple[int, int], str, Sequence[Fate]], Awaitable[None]]
"""Hears after each batch how far it is: the report, where the next row begins, the digest of the
file, what became of the rows."""


@dataclass(slots=True)
class _Told:
    """One row that says who somebody is."""

    row: Row
    number: str
    patient: Resource
    keys: frozenset[bytes | int] = frozenset()
    remarks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Importing:
    """What takes the files of one register."""

    services: Services
    registers: Registers

    async def run(
        self,
        task: Task,
        run: str,
        told: Told,
        begun: tuple[Report, tuple[int, int], str] | None = None,
    ) -> Report:
        """Takes a file, or goes on with it: `begun` is the report, the place and the digest of the
        file as it was. Raises FileError.
        """
        layout = await asyncio.to_thread(survey, task.path, task.encoding)
        report, begin = Report(), layout.begins
        if begun is not None:
            report, begin = begun[0], begun[1]
            if begun[2] != layout.digest:
                raise FileError("the file changed while it was read: import it anew")
        columns = Columns.of(layout.header)
        if begun is None:
            report = Report(
                task.path.name, layout.encoding, layout.delimiter, list(columns.ignored), task.dry,
                lines=layout.lines,
            )  # fmt: skip
        batch = await self._batch(task, layout, run)
        kept = await tables.count(self.services.db, task.source)
        source = rows(task.path, layout, begin)
        while some := await asyncio.to_thread(lambda: list(islice(source, _ROWS))):
            fates = await batch.take(some, columns)
            for fate in fates:
                report.note(fate)
            kept += sum(fate.outcome == "refused" for fate in fates)
            await told(report, some[-1].end, layout.digest, fates)
            if kept > MOST_KEPT and not task.dry:  # some were there before
                kept = await tables.count(self.services.db, task.source)
            if kept > MOST_KEPT and not task.dry:
                report.stopped = (
                    f"more than {MOST_KEPT} rows of this source wait in quarantine: settle them,"
                    " then import the file again"
                )
                break
        await tables.unsee(self.services.db, run)
        return report

    async def retry(self, refused: Refused) -> str:
        """Takes a row of the quarantine again; "" = done, else why not."""
        if refused.twice:  # nobody knows which of them is right
            return f"{refused.reason}: mend the file, and import it again"
        layout = layout_of(refused.layout)
        task = Task(Path(refused.file), refused.source, refused.system)
        row = row_of(refused.body, layout, refused.line)
        try:
            batch = await self._batch(task, layout, refused.id)
            fates = await batch.take([row], Columns.of(layout.header), not_after=refused.at)
        except FileError as error:
            return str(error)
        finally:
            await tables.unsee(self.services.db, refused.id)
        [fate] = fates or [Fate(refused.line, "", "refused", "the row is empty")]
        return fate.said if fate.outcome == "refused" else ""

    async def _batch(self, task: Task, layout: Layout, run: str) -> _Batch:
        """What takes rows of a task. Raises FileError where the source may not give the numbers."""
        if check_ico(task.source).ok is not True:
            raise FileError("the source is an IČO, and this one is none")
        known = (await Authorities(self.services.db).of([task.system])).get(task.system)
        if known is None:
            raise FileError(f"no NamingSystem of this server names {task.system}")
        if not known.gives(task.source):
            raise FileError(f"{task.source} does not give numbers of {task.system}")
        caller = importer(task.source)
        key = ("Organization", f"pzs-{task.source}")
        found = (await self.services.gate.read_all(caller, [key])).get(key)
        title = str(parse(found.body).get("name", "")) if found is not None else ""
        caller = replace(caller, organization_name=title)
        task = replace(task, system=known.system)
        return _Batch(self.services, self.registers, task, layout, run, caller, title)


@dataclass(frozen=True, slots=True)
class _Batch:
    """Takes some rows at a time for one source."""

    services: Services
    registers: Registers
    task: Task
    layout: Layout
    run: str
    caller: Caller
    title: str

    async def take(
        self, some: Sequence[Row], columns: Columns, not_after: datetime | None = None
    ) -> list[Fate]:
        """What becomes of rows, in their order; `not_after`: unless the source said more since."""
        fates: dict[int, Fate] = {}
        told: list[_Told] = []
        numbers: dict[int, str] = {}
        for row in some:
            numbers[row.line] = ""
            try:
                if row.problem:
                    raise CellError("", row.problem)
                cells = columns.cells(row.cells)
                number = tidy(self.task.system, number_of(cells))
                numbers[row.line] = number
                told.append(_Told(row, number, patient_of(cells)))
            except CellError as error:
                place = columns.names.get(error.field, "")
                fates[row.line] = Fate(
                    row.line, numbers[row.line], "refused", str(error), place
                )  # fmt: skip
        told = await self._once(told, columns, fates)
        told = await self._fresh(told, columns, fates, not_after)
        for wave in _waves(told):
            for n in range(0, len(wave), _AT_ONCE):
                part = wave[n : n + _AT_ONCE]
                for fate in await asyncio.gather(*(self._one(each, columns) for each in part)):
                    fates[fate.line] = fate
        found = [fates[row.line] for row in some]
        await self._kept(some, found)
        return found

    async def _once(
        self, told: list[_Told], columns: Columns, fates: dict[int, Fate]
    ) -> list[_Told]:
        """Without rows whose number stands in an earlier row of the file."""
        keys = {each.row.line: _hash(each.number.encode()) for each in told}
        says = [
            (keys[each.row.line], each.row.line, _hash(dumps(each.patient))) for each in told
        ]  # fmt: skip
        seen = await tables.see(self.services.db, self.run, says)
        left = []
        for each, (key, line, digest) in zip(told, says, strict=True):
            first = seen[key]
            if first.line == line:
                left.append(each)
            elif first.digest == digest:
                fates[line] = Fate(line, each.number, "repeated", f"as row {first.line}")
            else:
                why = f"another row of the file has this number (row {first.line})"
                fates[line] = Fate(
                    line, each.number, "refused", why, columns.names[NUMBER], twice=True
                )
        return left

    async def _fresh(
        self,
        told: list[_Told],
        columns: Columns,
        fates: dict[int, Fate],
        not_after: datetime | None,
    ) -> list[_Told]:
        """Without rows that cannot be taken, and without those that say nothing new."""
        task, services = self.task, self.services
        values = [each.number for each in told]
        before = await sources.under(services.db, task.source, task.system, values)
        left = []
        for each in told:
            was = before.get(each.number)
            line = each.row.line
            try:
                patient, said = self._accepted(each, was, columns)
            except Unprocessable as error:
                fates[line] = _refused(each, error, columns)
                continue
            if was is not None and not_after is not None and was.received > not_after:
                why = "the source has said more of this person since"
                fates[line] = Fate(line, each.number, "refused", why)
            elif was is not None and was.patient == patient:
                fates[line] = Fate(line, each.number, "unchanged", remarks=said)
            else:
                each.patient, each.remarks = patient, said
                found = features_of(patient)
                each.keys = frozenset((*blocking_keys(found), *strong_keys(patient)))
                left.append(each)
        return left

    def _accepted(
        self, told: _Told, was: Said | None, columns: Columns
    ) -> tuple[Resource, tuple[str, ...]]:
        """What the source says by a row, as it will be kept, and remarks."""
        number = {"system": self.task.system, "value": told.number}
        before = was.patient if was is not None else {}
        strict, now = self.services.strict_identifiers, self.services.clock()
        whole = with_before(told.patient, number, before, columns.places, now.date())
        patient, issues = accepted(whole, now, strict=strict)
        return patient, tuple(each.text for each in issues)

    async def _one(self, told: _Told, columns: Columns) -> Fate:
        """Registers the person of a row, or sees what would come of it."""
        registration = self.registers.registration
        source = Source(self.task.source, self.task.system, told.number, title=self.title)
        line = told.row.line
        outcome: Outcome
        try:
            if self.task.dry:
                seen = await registration.foresee(self.caller, told.patient, source)
                outcome, reason = seen.outcome, seen.reason
                if seen.person:  # that somebody is here is told: it stands in their journal
                    await self.services.gate.identify(self.caller, [seen.person], "persons import")
                elif outcome == "new":
                    outcome, reason = await self._new_in_file(told)
            else:
                made = await registration.register(self.caller, told.patient, source)
                outcome, reason = made.outcome, made.reason
        except Unprocessable as error:
            return _refused(told, error, columns)
        except (Conflict, PreconditionFailed):  # after many attempts
            why = "somebody else wrote of this person at the same time: try again"
            return Fate(line, told.number, "refused", why)
        return Fate(line, told.number, outcome, reason, remarks=told.remarks)

    async def _new_in_file(self, told: _Told) -> tuple[Outcome, str]:
        """Of somebody new: whether an earlier row of the file brings the same identifier."""
        line = told.row.line
        who = _hash(who_key(told.patient) or b"")
        keys = [(_hash(b"person", key), line, who) for key in strong_keys(told.patient)]
        seen = await tables.see(self.services.db, self.run, keys) if keys else {}
        first = min(seen.values(), key=lambda each: each.line, default=None)
        if first is None or first.line >= line:
            return "new", ""
        if first.digest == who:
            return "matched", f"as row {first.line}"
        return "possible", f"an identifier of row {first.line}, but another name or birth date"

    async def _kept(self, some: Sequence[Row], fates: Sequence[Fate]) -> None:
        """Puts refused rows into quarantine, and takes out what was told at last."""
        task = self.task
        if task.dry:
            return
        layout = {
            "encoding": self.layout.encoding.removesuffix("-sig"),
            "delimiter": self.layout.delimiter,
            "header": list(self.layout.header),
        }
        head = dumps(layout)
        now, new_id = self.services.clock(), self.services.new_id
        refused = [
            Refused(
                new_id(), task.source, task.system, fate.number, _hash(head, row.raw), now,
                task.path.name, fate.line, fate.place, fate.reason, fate.twice, 1, layout, row.raw,
            )
            for row, fate in zip(some, fates, strict=True)
            if fate.outcome == "refused"
        ]  # fmt: skip
        done = {fate.number for fate in fates if fate.outcome not in ("refused", "repeated")}
        await tables.settle(self.services.db, task.source, task.system, sorted(done))
        await tables.keep(self.services.db, now, refused)


def importer(source: str) -> Caller:
    """Who imports the files of a source: a registrar that tells of persons and does no more."""
    return Caller(
        kind="system", id="pater-persons", name="pater persons import", role="registrar",
        purpose="HOPERAT", strength=KEY, organization=source,
        scopes=("system/Patient.crus", "system/Organization.r"),
    )  # fmt: skip


def layout_of(data: Mapping[str, Any]) -> Layout:
    """How a row of the quarantine is read. Raises FileError for what no file was read by."""
    encoding, header = str(data.get("encoding")), data.get("header")
    if encoding not in ENCODINGS or not isinstance(header, list):
        raise FileError("nobody knows any more how this row is read")
    return Layout(encoding, str(data.get("delimiter")), tuple(map(str, header)))


def _waves(told: Sequence[_Told]) -> list[list[_Told]]:
    """Rows in groups that follow each other: in one group nobody may be like another."""
    last: dict[bytes | int, int] = {}
    waves: list[list[_Told]] = []
    for each in told:
        wave = max((last[key] + 1 for key in each.keys if key in last), default=0)
        last.update(dict.fromkeys(each.keys, wave))
        if wave == len(waves):
            waves.append([])
        waves[wave].append(each)
    return waves


def _refused(told: _Told, error: Unprocessable, columns: Columns) -> Fate:
    issue = next((e for e in error.issues if e.severity in ("error", "fatal")), error.issues[0])
    place = columns.named(issue.path)
    return Fate(told.row.line, told.number, "refused", issue.text, place)


def _hash(*parts: bytes) -> bytes:
    made = blake2b(digest_size=16)
    for part in parts:
        made.update(len(part).to_bytes(4, "big") + part)
    return made.digest()
