"""Whatever operation the statement lists has a definition that can be read."""

from __future__ import annotations

import time
from functools import cache
from typing import Any, Final

import httpx

from pater.fhir.validation import validate
from tests.shared_data import FOLDER, packaged
from tests.system.conftest import Clients
from tests.waiting import PATIENCE

_BULK: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/OperationDefinition/backport-"
PUBLISHED: Final = {
    *(_BULK + each for each in ("export", "patient-export", "group-export")),
    *(f"{_BACKPORT}subscription-{each}" for each in ("events", "get-ws-binding-token", "status")),
}
"""Of guides that are not among the public test data."""


def listed(api: httpx.Client) -> list[tuple[str, str, str]]:
    """Type ("" = the system), name and definition of every operation of the statement."""
    rest = api.get("/metadata").json()["rest"][0]
    found = [("", one["name"], one["definition"]) for one in rest["operation"]]
    return found + [
        (resource["type"], one["name"], one["definition"])
        for resource in rest["resource"]
        for one in resource.get("operation", ())
    ]


def test_every_operation_of_the_statement_has_a_definition(client: Clients) -> None:
    api = client("hospital-a")
    places: dict[tuple[str, str], set[str]] = {}
    for type_, name, link in listed(api):
        places.setdefault((name, link), set()).add(type_)
    assert {name for name, _ in places} >= {
        "batch-validate-code", "diff", "emergency-access", "expunge", "import", "krp-find",
        "mandates", "may", "nearby", "register-check", "reindex-status", "seal",
    }  # fmt: skip
    for (name, link), types in places.items():
        body = resolved(api, link)
        if body is None:
            continue
        assert (body["code"], body["url"]) == (name, link)
        standing = set(body.get("resource", ())) | ({""} if body["system"] else set())
        if "Resource" not in standing:  # which is every type
            assert types <= standing, (name, types - standing)
        if link.startswith(str(api.base_url)):
            assert not [each for each in validate(body) if each.severity == "error"], body
            assert body["description"] and types == standing, name
            assert body.get("parameter"), name
            searched = api.get("/OperationDefinition", params={"url": link}).json()
            assert [each["resource"]["id"] for each in searched["entry"]] == [name]


def resolved(api: httpx.Client, link: str) -> dict[str, Any] | None:
    """The definition of an address; None for what is published and cannot be looked at here."""
    if not link.startswith(str(api.base_url)):
        if link in PUBLISHED or not FOLDER.exists():
            return None
        assert link in theirs(), link
        return theirs()[link]
    at = link.removeprefix(str(api.base_url))
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:  # they are written when a house has begun
        answer = api.get(at)
        if answer.status_code == 200:
            found: dict[str, Any] = answer.json()
            return found
        time.sleep(0.1)
    raise AssertionError(f"{link} cannot be read")


@cache
def theirs() -> dict[str, dict[str, Any]]:
    """The definitions of R4 and of the guides, by address."""
    return {each["url"]: each for each in packaged("OperationDefinition")}
