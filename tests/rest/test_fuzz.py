"""Whatever a client sends, the answer is never a 500 and always FHIR."""

from __future__ import annotations

import json
from datetime import date
from typing import Any
from urllib.parse import quote

from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from pater.fhir.definitions import search_parameters
from tests.rest.world import BASE, LOADER, World, observation

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=list(HealthCheck), database=None
)

TYPES = st.sampled_from(["Patient", "Observation", "Bundle", "AuditEvent", "Organization", "Nope"])
SEGMENTS = st.one_of(
    TYPES,
    st.sampled_from(["_history", "_search", "$validate", "metadata", "1", "..", "a b", "", "$x"]),
    st.text(max_size=8),
)
METHODS = st.sampled_from(["GET", "POST", "PUT", "DELETE", "PATCH", "HEAD", "OPTIONS"])
CODES = sorted(
    {c for type_ in ("Patient", "Observation", "AuditEvent") for c in search_parameters(type_)}
    | {"_sort", "_count", "_include", "_revinclude", "_summary", "_elements", "_total", "_cursor",
       "_has:Observation:patient:code", "patient.identifier", "subject:Patient.name", "_format"}
)  # fmt: skip
NAMES = st.one_of(
    st.sampled_from(CODES),
    st.builds(
        "{}:{}".format,
        st.sampled_from(CODES),
        st.sampled_from(["missing", "exact", "not", "contains", "identifier", "Patient", "of"]),
    ),
    st.text(max_size=10),
)
VALUES = st.one_of(
    st.sampled_from(
        ["1", "true", "2020", "ge2020-01-01", "le2020-13-01", "a|b", "|", ",", "\\,", "Patient/1",
         "Observation:subject", "-date", "5.4|http://unitsofmeasure.org|mg", "0001-01-01", "9999",
         "lt0001", "gt9999-12-31T23:59:59.999Z", "1e400", "-1e-400", "nan", "inf", "0"]
    ),
    st.text(max_size=12),
)  # fmt: skip
HEADERS = st.dictionaries(
    st.sampled_from(["accept", "content-type", "prefer", "if-match", "if-none-match",
                     "content-encoding", "x-request-id", "if-none-exist"]),
    st.one_of(
        st.sampled_from(["application/fhir+json", "*/*", "gzip", 'W/"1"', "return=minimal",
                         'W/"99999999999999999999"', 'W/"٣"', "application/json; charset=x", "*"]),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
    ),
    max_size=3,
)  # fmt: skip
JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(allow_nan=False), st.text(max_size=8),
        st.sampled_from(["Patient", "Bundle", "transaction", "batch", "Patient/1", "urn:uuid:1"]),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(
            st.one_of(
                st.sampled_from(["resourceType", "type", "entry", "resource", "request", "method",
                                 "url", "fullUrl", "subject", "reference", "id", "meta", "name",
                                 "identifier", "text", "contained", "extension", "ifMatch"]),
                st.text(max_size=5),
            ),
            inner,
            max_size=4,
        ),
    ),
    max_leaves=12,
)  # fmt: skip


# lengths of a partial date, or a time behind the whole one
FORMS = ["4", "7", "10", "T23:59:59+14:00", "T00:00:00-12:00", "T24:00:00Z", "T12:00:60.5Z"]


def fine(status: int, body: bytes) -> None:
    assert status < 500, body
    if status >= 400 and body:
        assert json.loads(body)["resourceType"] == "OperationOutcome"


async def send(
    api: World, method: str, path: str, content: bytes | None, headers: dict[str, str]
) -> None:
    sent = {"content-type": "application/fhir+json", **headers, **api.headers(LOADER)}
    safe = {name: value.encode("utf-8", "replace") for name, value in sent.items()}
    answer = await api.http.request(method, BASE + path, content=content, headers=safe)
    fine(answer.status_code, answer.content)


@SETTINGS
@given(METHODS, st.lists(SEGMENTS, max_size=5), HEADERS, st.binary(max_size=40))
async def test_any_address(
    api: World, method: str, segments: list[str], headers: dict[str, str], body: bytes
) -> None:
    path = "/" + "/".join(quote(s.encode("utf-8", "replace"), safe="$") for s in segments)
    await send(api, method, path, body if method in ("POST", "PUT", "PATCH") else None, headers)


@SETTINGS
@given(TYPES, st.lists(st.tuples(NAMES, VALUES), max_size=4), st.booleans())
@example("Observation", [("date", "lt0001")], False)
@example("Patient", [("_lastUpdated", "gt9999-12-31T23:59:59.999Z")], True)
async def test_any_search(api: World, type_: str, pairs: list[tuple[str, str]], post: bool) -> None:
    text = "&".join(
        f"{quote(n.encode('utf-8', 'replace'))}={quote(v.encode('utf-8', 'replace'))}"
        for n, v in pairs
    )
    if post:
        form = {"content-type": "application/x-www-form-urlencoded"}
        await send(api, "POST", f"/{type_}/_search", text.encode(), form)
    else:
        await send(api, "GET", f"/{type_}?{text}", None, {})


@SETTINGS
@given(JSON, st.sampled_from(["/", "/Patient", "/Bundle", "/Patient/$validate", "/Parameters"]))
async def test_any_json(api: World, value: Any, path: str) -> None:
    if isinstance(value, dict) and path == "/":
        value = {**value, "resourceType": "Bundle"}
    await send(api, "POST", path, json.dumps(value).encode(), {})


@SETTINGS
@given(st.lists(st.tuples(st.sampled_from(["batch", "transaction"]), JSON, JSON, JSON), max_size=3))
async def test_any_bundle(api: World, parts: list[tuple[str, Any, Any, Any]]) -> None:
    entries = [
        {"request": {"method": method, "url": url}, "resource": resource}
        for _, method, url, resource in parts
    ]
    for kind in ("batch", "transaction"):
        body = {"resourceType": "Bundle", "type": kind, "entry": entries}
        await send(api, "POST", "/", json.dumps(body).encode(), {})


@SETTINGS
@given(st.data())
async def test_a_valid_resource_with_something_odd_in_it(api: World, data: Any) -> None:
    body: Any = observation("fuzz-patient")
    await api.call(
        "PUT", "/Patient/fuzz-patient", {"resourceType": "Patient", "id": "fuzz-patient"}
    )
    node, key = body, data.draw(st.sampled_from(sorted(body)))
    while isinstance(node[key], dict | list) and node[key] and data.draw(st.booleans()):
        node = node[key]
        keys = list(range(len(node))) if isinstance(node, list) else sorted(node)
        key = data.draw(st.sampled_from(keys))
    node[key] = data.draw(JSON)
    await send(api, "POST", "/Observation", json.dumps(body).encode(), {})


@SETTINGS
@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-400, 400))
async def test_any_number_can_be_stored(api: World, value: float, exponent: int) -> None:
    await api.call(
        "PUT", "/Patient/fuzz-patient", {"resourceType": "Patient", "id": "fuzz-patient"}
    )
    text = json.dumps(observation("fuzz-patient")).replace("72", f"{value:.3g}e{exponent}", 1)
    await send(api, "POST", "/Observation", text.encode(), {})


@SETTINGS
@given(st.dates(), st.sampled_from(FORMS))
@example(date(1, 1, 1), "T00:00:00+14:00")
@example(date(9999, 12, 31), "T23:59:59-12:00")
async def test_any_date_can_be_stored_or_is_refused(api: World, day: date, form: str) -> None:
    await api.call(
        "PUT", "/Patient/fuzz-patient", {"resourceType": "Patient", "id": "fuzz-patient"}
    )
    stamp = day.isoformat() + form if form.startswith("T") else day.isoformat()[: int(form)]
    body = observation("fuzz-patient", effectiveDateTime=stamp, issued=stamp)
    await send(api, "POST", "/Observation", json.dumps(body).encode(), {})
    await send(api, "GET", f"/Observation?patient=fuzz-patient&date={quote(stamp)}", None, {})
