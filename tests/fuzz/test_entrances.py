"""Whatever is sent to the entrances beside the FHIR dispatcher: an answer, and never a 500."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import websockets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.sync.client import connect

from tests.fuzz.entrances import ENTRANCES, FRAMES, asked, fault, logged_in
from tests.fuzz.odd import spoiled_bytes
from tests.fuzz.server import Target
from tests.waiting import PATIENCE

HOW = settings(
    max_examples=400,
    deadline=None,
    database=None,
    derandomize=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(scope="module")
def visitors(target: Target) -> Iterator[list[tuple[httpx.Client, str]]]:
    """Nobody, and people at their pages, each with the proof of its forms.

    The API knows those of providers' pages as a hospital, everybody else as the loader.
    """
    made = [(httpx.Client(base_url=target.running.url, timeout=PATIENCE), "")]
    for login in ("clinician-b", "patient", "admin-a", "privacy"):
        client, proof = logged_in(target.running, login)
        made.append((client, proof()))
    for number, (client, _) in enumerate(made):
        system = target.clients[number in (1, 3)]
        client.headers["authorization"] = system.headers["authorization"]
    yield made
    for client, _ in made:
        client.close()


def sent(visitor: tuple[httpx.Client, str], request: Any) -> str | None:
    """What is wrong with the answer to a request."""
    client, proof = visitor
    method, path, body, headers = request
    if body:
        body = body.replace(b"%7Bcsrf%7D", proof.encode())
    named = {name: value.encode("utf-8", "replace") for name, value in headers.items()}
    try:
        answer = client.request(method, path, content=body, headers=named)
    except (httpx.InvalidURL, httpx.LocalProtocolError, UnicodeEncodeError):
        return None  # cannot be sent at all
    if method == "HEAD":
        return fault(answer.status_code, b"x")
    return fault(answer.status_code, answer.content)


def test_the_pages_open(visitors: list[tuple[httpx.Client, str]]) -> None:
    _, clinician, patient, admin, officer = visitors
    assert all(proof for _, proof in visitors[1:])
    homes = ("/professional", "/patient", "/certificates", "/privacy")
    for (client, _), path in zip((clinician, patient, admin, officer), homes, strict=True):
        assert client.get(path).status_code == 200
    for each in ENTRANCES:
        assert each.path.startswith("/")


@given(request=asked(), who=st.sampled_from((0, 1, 1, 2, 2, 3, 3, 4)))
@HOW
def test_any_entrance(
    target: Target, visitors: list[tuple[httpx.Client, str]], request: Any, who: int
) -> None:
    assert sent(visitors[who], request) is None, target.running.said()[-3000:]


@given(frames=st.lists(spoiled_bytes(FRAMES) | st.binary(max_size=40), min_size=1, max_size=3),
       binary=st.booleans())  # fmt: skip
@settings(HOW, max_examples=60)
def test_any_frame(target: Target, frames: list[bytes], binary: bool) -> None:
    url = target.running.url.replace("http", "ws") + "/fhir/websocket"
    allowed = {"Authorization": target.clients[0].headers["authorization"]}
    with connect(url, additional_headers=allowed) as socket:
        try:
            for frame in frames:
                socket.send(frame if binary else frame.decode("utf-8", "replace"))
            socket.recv(timeout=5)
        except (websockets.ConnectionClosed, TimeoutError):
            pass
    assert "Traceback" not in target.running.said()
    assert target.clients[0].get("/metadata").status_code == 200


def test_uploads_of_anything_end_with_a_report(target: Target) -> None:
    lines = [b'{"resourceType": "Patient"}', b"[]", b"{", b"\xff\xfe", b'{"resourceType": 1}',
             b'{"resourceType": "Patient", "id": ["a"]}', b"null", b'"',
             b'{"resourceType": "Patient", "id": "u-1"}',
             b'{"resourceType":"Observation","id":"u-2","subject":{"reference":{}}}',
             b'{"resourceType":"Bundle","id":"u-3","entry":[1]}', b"", b"\x00"]  # fmt: skip
    client = target.clients[0]
    begun = client.post("/$import", content=b"\n".join(lines),
                        headers={"content-type": "application/fhir+ndjson"})  # fmt: skip
    assert begun.status_code == 202, begun.text
    path = begun.headers["content-location"].partition("/fhir")[2]
    end = time.monotonic() + PATIENCE
    while (answer := client.get(path)).status_code == 202 and time.monotonic() < end:
        time.sleep(0.1)
    assert answer.status_code == 200, answer.text
    assert client.get("/Patient/u-1").status_code == 200
