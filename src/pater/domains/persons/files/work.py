"""The job of a file of persons: it goes on where it was stopped, and writes what became of rows."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import structlog

from pater.domain import Handler, Job, Services
from pater.domains.persons.files.importing import Importing
from pater.domains.persons.files.report import Fate, Report, Task
from pater.registers.csv_files import FileError
from pater.registers.room import Registers

KIND: Final = "persons.import-here"
"""An import by the process that asks for it: the file may be on its machine alone."""
ROWS: Final = "rows.csv"
"""The file of a job that says what became of each row."""
_HEADER: Final = ("row", "number", "outcome", "column", "reason", "remarks")
_log = structlog.get_logger("pater.persons")


def payload_of(task: Task) -> dict[str, Any]:
    """A task as a job keeps it."""
    return {
        "path": str(task.path),
        "source": task.source,
        "system": task.system,
        "dry": task.dry,
        "encoding": task.encoding,
    }


def import_job(services: Services, registers: Registers) -> Handler:
    """The handler: its result is the report, with `problem` where the file cannot be read."""
    importing = Importing(services, registers)

    async def work(job: Job) -> Mapping[str, Any]:
        data = job.payload
        task = Task(
            Path(str(data["path"])),
            str(data["source"]),
            str(data["system"]),
            bool(data.get("dry")),
            str(data.get("encoding", "")),
        )
        digest, size, begun = "", 0, None
        if job.state:
            digest, size = str(job.state["digest"]), int(job.state["size"])
            at, line = job.state["at"]
            begun = (Report.of(job.state["report"]), (int(at), int(line)), digest)

        async def told(
            report: Report, place: tuple[int, int], digest: str, fates: Sequence[Fate]
        ) -> None:
            nonlocal size
            lines = _lines(fates, first=size == 0)
            size = await asyncio.to_thread(_append, services, job.id, size, lines)
            state = {"report": report.as_json(), "at": place, "digest": digest, "size": size}
            note = ", ".join(f"{count} {each}" for each, count in report.outcomes.most_common())
            await job.checkpoint(state, done=place[1], total=report.lines, note=note)

        try:
            report = await importing.run(task, job.id, told, begun)
        except FileError as error:
            _log.warning("persons.import-refused", file=task.path.name)
            return {"problem": str(error)}
        return {**report.as_json(), "listed": ROWS if size else ""}

    return work


def _lines(fates: Sequence[Fate], *, first: bool) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    if first:
        writer.writerow(_HEADER)
    for each in fates:
        remarks = "; ".join(each.remarks)
        number = _safe(each.number)
        writer.writerow([each.line, number, each.outcome, _safe(each.place), each.reason, remarks])
    return text.getvalue().encode()


def _safe(text: str) -> str:
    """A text that a spreadsheet does not take for a formula."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text


def _append(services: Services, job: str, at: int, data: bytes) -> int:
    with services.files.append(job, ROWS, at) as file:
        file.write(data)
    return at + len(data)
