"""Whatever an operation or a patch is called with, the answer is never a 500."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.rest.test_fuzz import JSON, SETTINGS, VALUES
from tests.rest.world import BASE, LOADER, World, observation

PLACES = st.sampled_from(
    ["/$diff", "/$convert", "/$versions", "/$graphql", "/$expunge", "/Patient/$everything",
     "/Observation/$lastn", "/Composition/$document", "/Observation/$expunge",
     *(f"/{{}}/${name}" for name in ("everything", "meta", "meta-add", "meta-delete", "diff",
                                     "graphql", "document", "expunge", "validate"))]
)  # fmt: skip
NAMES = st.one_of(
    st.sampled_from(
        ["_count", "_since", "_type", "_cursor", "start", "end", "from", "to", "fromVersion",
         "toVersion", "includeMeta", "meta", "persist", "id", "patient", "max", "code", "category",
         "confirm", "limit", "query", "variables", "operationName", "resource", "_format",
         "expungePreviousVersions", "expungeDeletedResources", "subject", "_pretty"]
    ),
    st.text(max_size=6),
)  # fmt: skip
TYPED = st.sampled_from(
    ["valueString", "valueInteger", "valueBoolean", "valueMeta", "valueDate", "resource", "part"]
)
QUERIES = st.text(alphabet="{}()[]:\"'$@!. abcidnameresourcelistOn_", max_size=40)
PARAMETER = st.builds(
    lambda name, key, value: {"name": name, key: value}, NAMES, TYPED, st.one_of(JSON, VALUES)
)
PATCHES = st.builds(
    lambda kind, path, key, value, name, number: {
        "name": "operation",
        "part": [
            {"name": "type", "valueCode": kind},
            {"name": "path", "valueString": path},
            {"name": "name", "valueString": name},
            {"name": "value", key: value},
            *([] if number is None else [{"name": "index", "valueInteger": number}]),
        ][: 5 if kind in ("add", "insert") else 2 if kind == "delete" else 4],
    },
    st.sampled_from(["add", "insert", "delete", "replace", "move"]),
    st.one_of(
        st.sampled_from(["Observation", "Observation.value", "Observation.code.coding[0]",
                         "Observation.status", "Observation.meta.tag", "Observation.subject"]),
        QUERIES,
    ),
    st.sampled_from(["valueString", "valueCode", "valueQuantity", "part", "resource"]),
    st.one_of(JSON, VALUES),
    st.sampled_from(["value", "status", "extension", "contained", "component", "x", "note"]),
    st.one_of(st.none(), st.integers(-1, 3)),
)  # fmt: skip


async def send(api: World, method: str, path: str, body: Any, **query: Any) -> None:
    sent = {**api.headers(LOADER), "content-type": "application/fhir+json"}
    content = None if body is None else json.dumps(body)
    answer = await api.http.request(
        method, BASE + path, content=content, headers=sent, params=query.get("params")
    )
    assert answer.status_code < 500, answer.text
    if answer.status_code >= 400 and answer.content:
        said = answer.json()
        assert said.get("resourceType") == "OperationOutcome" or "errors" in said


async def _one(api: World) -> str:
    """The address of one observation, kept for all examples."""
    row = await api.db.fetchrow("select id from resource where id = 'fuzzed' and not deleted")
    if row is None:
        made = observation((await api.patient())["id"])
        await api.call("PUT", "/Observation/fuzzed", {**made, "id": "fuzzed"})
    return "Observation/fuzzed"


@SETTINGS
@given(PLACES, st.sampled_from(["GET", "POST", "HEAD"]),
       st.lists(st.tuples(NAMES, VALUES), max_size=4))  # fmt: skip
async def test_any_query(api: World, place: str, method: str, pairs: list[tuple[str, str]]) -> None:
    safe = [(n.encode("utf-8", "replace"), v.encode("utf-8", "replace")) for n, v in pairs]
    await send(api, method, place.format(await _one(api)), None, params=safe)


@SETTINGS
@given(PLACES, st.one_of(
    JSON,
    st.builds(lambda listed: {"resourceType": "Parameters", "parameter": listed},
              st.lists(PARAMETER, max_size=4)),
    st.builds(lambda query, more: {"query": query, "variables": more}, QUERIES, JSON),
))  # fmt: skip
async def test_any_body(api: World, place: str, body: Any) -> None:
    await send(api, "POST", place.format(await _one(api)), body)


@SETTINGS
@given(st.lists(PATCHES, max_size=3))
async def test_any_patch(api: World, operations: list[dict[str, Any]]) -> None:
    body = {"resourceType": "Parameters", "parameter": operations}
    await send(api, "PATCH", f"/{await _one(api)}", body)
