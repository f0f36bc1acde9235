"""The refusals that the HTTP layer itself makes."""

from __future__ import annotations

from collections.abc import Sequence

from pater.fhir.issues import Issue


class HttpError(Exception):
    """An answer other than success: its status, its issues, further headers."""

    def __init__(
        self,
        status: int,
        code: str,
        text: str,
        *,
        path: str = "",
        headers: Sequence[tuple[bytes, bytes]] = (),
        issues: Sequence[Issue] | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.issues = list(issues) if issues is not None else [Issue("error", code, path, text)]
        self.headers = tuple(headers)


def not_allowed(methods: Sequence[str]) -> HttpError:
    """405 with the methods that are allowed."""
    allow = ", ".join(methods)
    return HttpError(
        405,
        "not-supported",
        f"this address takes {allow}",
        headers=[(b"allow", allow.encode("ascii"))],
    )


def unsupported(text: str, *, path: str = "") -> HttpError:
    """A part of the standard that this release does not offer."""
    return HttpError(400, "not-supported", text, path=path)
