"""The jobs of this domain: an import that goes on where it was, and the nightly one."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import structlog

from pater.domain import Handler, Job, Services
from pater.domains.directory.importing import LIMIT, Report, Task, run
from pater.domains.directory.reading import FileError
from pater.domains.directory.tables import latest_run
from pater.registers.providers import nightly

KIND: Final = nightly.KIND
"""An import by a worker of any process, as it is scheduled."""
HERE: Final = "directory.import-here"
"""One by the process that asks for it: the file may be on its machine alone."""
log = structlog.get_logger("pater.directory")


def payload_of(task: Task) -> dict[str, Any]:
    """A task as a job keeps it."""
    return {
        "path": str(task.path),
        "form": task.form,
        "dry": task.dry,
        "accept": task.accept,
        "part": task.part,
        "limit": task.limit,
        "refused": str(task.refused) if task.refused else "",
    }


def import_job(services: Services) -> Handler:
    """The handler: its result is the report, with `problem` where the file cannot be read."""

    async def work(job: Job) -> Mapping[str, Any]:
        data = job.payload
        refused = str(data.get("refused", ""))
        task = Task(
            Path(str(data["path"])),
            str(data.get("form", "")),
            bool(data.get("dry")),
            bool(data.get("accept")),
            bool(data.get("part")),
            float(data.get("limit", LIMIT)),
            Path(refused) if refused else None,
        )

        async def told(report: Report) -> None:
            run_ = await latest_run(services.db, report.source)
            note = f"{report.state}: {report.rows} rows, {report.written} written"
            total = sum(report.created.values()) + sum(report.changed.values())
            await job.checkpoint({"run": run_}, done=report.written, total=total, note=note)

        number = job.state.get("run")
        try:
            report = await run(services, task, told, int(number) if number else None)
        except FileError as error:
            log.warning("directory.import-refused", file=task.path.name)
            return {"problem": str(error)}
        if report.stopped:
            log.warning("directory.import-stopped", source=report.source, vanished=report.vanished)
        return report.as_json()

    return work
