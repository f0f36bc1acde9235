"""Why the gate did not do what it was asked: one exception for each answer a client can get."""

from __future__ import annotations

from collections.abc import Sequence

from pater.fhir.issues import Issue


class RecordsError(Exception):
    """The common ground of the gate's refusals; texts carry no personal data."""


class NotFound(RecordsError):  # noqa: N818 (named as the answer it becomes)
    """There is no such resource, or it is withheld: both look exactly alike."""

    def __init__(self, type: str, id: str) -> None:
        super().__init__(f"{type}/{id} is not known")
        self.type, self.id = type, id


class Gone(RecordsError):  # noqa: N818 (named as the answer it becomes)
    """The resource was deleted; `version` is the version of its deletion."""

    def __init__(self, type: str, id: str, version: int) -> None:
        super().__init__(f"{type}/{id} was deleted")
        self.type, self.id, self.version = type, id, version


class Forbidden(RecordsError):  # noqa: N818 (named as the answer it becomes)
    """The policy does not allow it; `reason` is a key of `access.policy_texts`."""

    def __init__(self, reason: str, text: str = "") -> None:
        super().__init__(text or reason)
        self.reason = reason


class Conflict(RecordsError):  # noqa: N818 (named as the answer it becomes)
    """Somebody else wrote meanwhile; `current` is the version that stands now, when known."""

    def __init__(self, text: str, current: int | None = None) -> None:
        super().__init__(text)
        self.current = current


class AlreadyClaimed(Conflict):
    """A business key of the write belongs to `target` of `person` already."""

    def __init__(self, key: bytes, person: int, target: str) -> None:
        super().__init__("an identifier of this resource is already taken by another one")
        self.key, self.person, self.target = key, person, target


class Merged(Conflict):
    """The person for whom it was written was merged with another one: asked anew, it is found."""

    def __init__(self) -> None:
        super().__init__("the patient was merged with another one: try again")


class PreconditionFailed(RecordsError):  # noqa: N818 (named as the answer it becomes)
    """The version that the caller expected is not the `current` one (None: there is none)."""

    def __init__(self, type: str, id: str, current: int | None) -> None:
        super().__init__(f"{type}/{id} is not at the expected version")
        self.type, self.id, self.current = type, id, current


class TooMany(RecordsError):  # noqa: N818 (named as the answer it becomes)
    """The caller asked for too many people of whom it was shown nothing; `seconds` to wait."""

    def __init__(self, seconds: int) -> None:
        super().__init__("too many people were asked for of whom nothing may be shown")
        self.seconds = seconds


class Ambiguous(RecordsError):  # noqa: N818 (named as the answer it becomes)
    """The query of a conditional interaction means several resources; nothing was done."""

    def __init__(self, type: str) -> None:
        super().__init__(f"the query means more than one {type}")
        self.type = type


class Unprocessable(RecordsError):  # noqa: N818 (named as the answer it becomes)
    """The resource cannot be written as it is; `issues` say what is wrong and where."""

    def __init__(self, issues: Sequence[Issue]) -> None:
        super().__init__("; ".join(issue.text for issue in issues))
        self.issues = tuple(issues)
