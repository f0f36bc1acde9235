"""What a terminology operation has to say: findings with the tx-issue-type of HL7, and failures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

MESSAGE_ID: Final = "http://hl7.org/fhir/StructureDefinition/operationoutcome-message-id"
TX_ISSUE_TYPE: Final = "http://hl7.org/fhir/tools/CodeSystem/tx-issue-type"


@dataclass(frozen=True, slots=True)
class TxIssue:
    """One finding. `kind` is a code of tx-issue-type, `path` where it is in what was asked.

    `told` says whether it belongs into the one sentence that sums an answer up, `id` names the
    sentence among those that HL7 numbers its messages by.
    """

    severity: str
    code: str
    kind: str
    text: str
    path: str = ""
    told: bool = True
    id: str = ""


class TxError(Exception):
    """An operation that cannot be carried out: HTTP status and findings."""

    def __init__(self, status: int, *issues: TxIssue) -> None:
        super().__init__(issues[0].text if issues else "")
        self.status = status
        self.issues = issues


class UnknownValueSetError(TxError):
    """No such value set is here."""

    def __init__(self, canonical: str) -> None:
        text = f"A definition for the value Set '{canonical}' could not be found"
        super().__init__(
            404, TxIssue("error", "not-found", "not-found", text, id="Unable_to_resolve_value_Set_")
        )
        self.canonical = canonical


class UnknownSystemError(TxError):
    """No such code system, or not in this version, is here. `canonical` names what is missing."""

    def __init__(self, system: str, version: str, known: Sequence[str]) -> None:
        text = unknown_system(system, version, known, "so the value set cannot be expanded")
        id_ = unknown_system_id(version, known, "_EXP")
        super().__init__(404, TxIssue("error", "not-found", "not-found", text, id=id_))
        self.system = system
        self.version = version
        self.known = known


class TooCostlyError(TxError):
    """More codes than anybody may have at once."""

    def __init__(self, canonical: str, limit: int) -> None:
        text = (
            f"The value set '{canonical}' is too large or too intricate to be worked out at once"
            f" (>{limit}): ask for it in pages (count and offset), or with a filter"
        )
        super().__init__(422, TxIssue("error", "too-costly", "", text, id="VALUESET_TOO_COSTLY"))


def unknown_system(system: str, version: str, known: Sequence[str], so: str) -> str:
    """The sentence about a code system that is not here."""
    if not version:
        return f"A definition for CodeSystem {system} could not be found, {so}"
    start = f"A definition for CodeSystem '{system}' version '{version}' could not be found, {so}."
    if not known:
        return f"{start} No versions of this code system are known"
    return f"{start} Valid versions: {any_of(known)}"


def unknown_system_id(version: str, known: Sequence[str], more: str = "") -> str:
    """The name of that sentence."""
    if not version:
        return f"UNKNOWN_CODESYSTEM{more}"
    return f"UNKNOWN_CODESYSTEM_VERSION{more}{'' if known else '_NONE'}"


def any_of(choices: Sequence[str]) -> str:
    """`a`, `a or b`, `a, b or c`."""
    if len(choices) < 2:
        return "".join(choices)
    return f"{', '.join(choices[:-1])} or {choices[-1]}"


def outcome(issues: Iterable[TxIssue]) -> dict[str, Any]:
    """An OperationOutcome of findings (R4: `location` repeats `expression`)."""
    return {"resourceType": "OperationOutcome", "issue": [_rendered(each) for each in issues]}


def _rendered(issue: TxIssue) -> dict[str, Any]:
    details: dict[str, Any] = {"text": issue.text}
    if issue.kind:
        details = {"coding": [{"system": TX_ISSUE_TYPE, "code": issue.kind}], **details}
    out: dict[str, Any] = {}
    if issue.id:
        out["extension"] = [{"url": MESSAGE_ID, "valueString": issue.id}]
    out |= {"severity": issue.severity, "code": issue.code, "details": details}
    if issue.path:
        out |= {"location": [issue.path], "expression": [issue.path]}
    return out
