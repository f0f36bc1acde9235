"""Turns whatever went wrong into a status and an OperationOutcome."""

from __future__ import annotations

from pater.access.policy_texts import text as reason_text
from pater.access.tokens import TokenError
from pater.fhir.issues import Issue
from pater.fhir.json import JsonError
from pater.fhir.search.query import SearchError
from pater.fhir.xml import XmlError
from pater.records.errors import (
    Ambiguous,
    Conflict,
    Forbidden,
    Gone,
    NotFound,
    PreconditionFailed,
    RecordsError,
    TooMany,
    Unprocessable,
)
from pater.rest.errors import HttpError
from pater.rest.responses import Header, Reply, etag, outcome
from pater.store.read import Damaged

CLIENT_ERRORS = (HttpError, RecordsError, SearchError, JsonError, XmlError, TokenError, Damaged)
"""Every exception that has an answer of its own; anything else is a fault of ours."""


_DAMAGED = "this document is not what was sealed when it arrived: it is not given out"


def reply_of(error: Exception) -> Reply:
    """The answer to one of CLIENT_ERRORS."""
    status, issues, headers = describe(error)
    return Reply(status, outcome(issues), headers)


def describe(error: Exception) -> tuple[int, list[Issue], list[Header]]:
    """Status, issues and headers of one of CLIENT_ERRORS; raises what is none of them."""
    match error:
        case HttpError():
            return error.status, error.issues, list(error.headers)
        case JsonError():
            return 400, [json_issue(error)], []
        case SearchError() | XmlError():
            return 400, error.issues, []
        case TokenError():
            challenge = b'Bearer realm="fhir", error="invalid_token"'
            return 401, [_issue("login", str(error))], [(b"www-authenticate", challenge)]
        case Forbidden():
            return 403, [_issue("forbidden", _forbidden_text(error))], []
        case NotFound():
            return 404, [_issue("not-found", str(error))], []
        case Gone():
            return 410, [_issue("deleted", str(error))], [(b"etag", etag(error.version))]
        case PreconditionFailed():
            return 412, [_issue("conflict", str(error))], _current(error.current)
        case Ambiguous():
            return 412, [_issue("multiple-matches", str(error))], []
        case Conflict():
            return 409, [_issue("conflict", str(error))], _current(error.current)
        case Unprocessable():
            return 422, list(error.issues), []
        case TooMany():
            return 429, [_issue("throttled", str(error))], retry_after(error.seconds)
        case Damaged():
            # ours, and grave: the operator has the alarm in the log
            return 500, [_issue("security", _DAMAGED)], []
        case _:
            raise error


def retry_after(seconds: int) -> list[Header]:
    """When to come again."""
    return [(b"retry-after", str(seconds).encode())]


def json_issue(error: JsonError) -> Issue:
    """Where the JSON text breaks."""
    where = f" (line {error.line}, column {error.column})" if error.line else ""
    return Issue("fatal", "structure", error.path or "", f"{error.message}{where}")


def _issue(code: str, text: str) -> Issue:
    return Issue("error", code, "", text)


def _forbidden_text(error: Forbidden) -> str:
    return str(error) if str(error) != error.reason else reason_text(error.reason, "en")


def _current(version: int | None) -> list[Header]:
    return [(b"etag", etag(version))] if version else []
