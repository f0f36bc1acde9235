"""How far an import has come, and what its report says of a line."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from pater.fhir.issues import Issue
from pater.fhir.json import dumps
from pater.records.import_input import place
from pater.store.files import Files, settle

REPORT: Final = "report.ndjson"
LATER: Final = "later.{}.ndjson"
CREATED, UPDATED, UNCHANGED = 0, 1, 2
UNKNOWN: Final = Issue("error", "not-found", "", "what this record refers to is not known here")


@dataclass(slots=True)
class State:
    """As JSON it is the checkpoint. `input`, `offset`, `line`: where the next lines begin.

    `again` counts the passes over what waits for other lines (0 = the inputs themselves);
    `waiting` lines (`later` bytes) wait for the next pass, `before` waited for this one. In the
    `final` pass none can wait any more. `report` is bytes; `counts` are created, updated and
    unchanged by type.
    """

    input: int = 1
    offset: int = 0
    line: int = 0
    again: int = 0
    waiting: int = 0
    later: int = 0
    before: int = 0
    final: bool = False
    report: int = 0
    seen: int = 0
    errors: int = 0
    counts: dict[str, list[int]] = field(default_factory=dict)

    def count(self, type: str, what: int, more: int = 1) -> None:
        """So many more CREATED, UPDATED or UNCHANGED."""
        self.counts.setdefault(type, [0, 0, 0])[what] += more

    def copy(self) -> State:
        """A copy that changes nothing here."""
        return replace(self, counts={name: [*each] for name, each in self.counts.items()})

    def next_pass(self, most: int) -> None:
        """Turns to what waits; the pass is the final one when the last brought nothing on."""
        self.final = self.again + 1 >= most or (self.again > 0 and self.waiting == self.before)
        self.again += 1
        self.before, self.waiting = self.waiting, 0
        self.offset = self.line = self.later = 0

    def as_json(self) -> dict[str, Any]:
        """Plain data, for the checkpoint."""
        return {each.name: getattr(self, each.name) for each in fields(self)}


@dataclass(slots=True)
class Found:
    """What became of the lines of one chunk, before any of it is said to anybody."""

    final: bool
    report: list[bytes] = field(default_factory=list)
    later: list[bytes] = field(default_factory=list)
    done: list[tuple[str, int]] = field(default_factory=list)

    def bad(self, code: int, type: str, id: str, issues: Iterable[Issue]) -> None:
        """A line that cannot be imported."""
        self.report.append(outcome(code, type, id, issues))

    def wait(self, code: int, type: str, id: str, data: bytes) -> None:
        """A line that waits for another one; in the final pass it has waited in vain."""
        if self.final:
            self.bad(code, type, id, [UNKNOWN])
        else:
            self.later.append(b"%d\t%s\n" % (code, data.strip()))

    def spill(self, files: Files, folder: str, state: State) -> None:
        """Writes report and what waits behind the lengths that `state` has, and counts them."""
        if self.report:
            with files.append(folder, REPORT, state.report) as file:
                state.report += file.write(b"".join(self.report))
                settle(file)
            state.errors += len(self.report)
        if self.later:
            with files.append(folder, LATER.format(state.again + 1), state.later) as file:
                state.later += file.write(b"".join(self.later))
                settle(file)
            state.waiting += len(self.later)
        for type_, what in self.done:
            state.count(type_, what)


def outcome(code: int, type: str, id: str, issues: Iterable[Issue]) -> bytes:
    """One line of the report: an OperationOutcome that says where and what."""
    where = place(code)
    if type:
        where += f", {type}/{id}" if id else f", {type}"
    listed = []
    for issue in issues:
        one: dict[str, Any] = {
            "severity": issue.severity,
            "code": issue.code,
            "details": {"text": where},
            "diagnostics": issue.text,
        }
        if issue.path:
            one["expression"] = [issue.path]
        listed.append(one)
    return dumps({"resourceType": "OperationOutcome", "issue": listed}) + b"\n"
