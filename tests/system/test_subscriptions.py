"""SIGKILL between commit and delivery: nothing is lost, and a repetition has the same number."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from tests.folders import scratch
from tests.rest.subscription_world import Call, observation, topical
from tests.system.running import Running
from tests.waiting import PATIENCE

JSON = {"Content-Type": "application/fhir+json"}
WRITERS = 4
KILLED_AT = 60
MORE = 20
TOPIC = "urn:pater:topic:result-reported"


@dataclass
class Hooks:
    """A receiver in a thread of its own, which outlives the server."""

    calls: list[Call] = field(default_factory=list)
    url: str = ""

    @contextmanager
    def listening(self) -> Iterator[Hooks]:
        calls = self.calls

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                time.sleep(0.01)  # so that there is always something under way
                calls.append(Call("POST", self.path, headers, body))
                self.send_response(200)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{server.server_port}/hook"
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield self
        finally:
            server.shutdown()
            server.server_close()


def test_killed_between_commit_and_delivery() -> None:
    with scratch() as folder, Hooks().listening() as hooks:
        running = Running(folder / "data", "--empty", PATER_HOOK_NETWORKS="127.0.0.0/8").start()
        try:
            with running.client("loader") as loader:
                token = loader.headers["Authorization"]
                patient = loader.post(
                    "/Patient", content='{"resourceType":"Patient"}', headers=JSON
                ).json()["id"]
                wanted = topical(TOPIC, hooks.url, f"patient=Patient/{patient}")
                made = loader.post("/Subscription", content=json.dumps(wanted), headers=JSON)
                assert made.status_code == 201, made.text
            written = load(running, hooks, patient, token)
            running.start()
            with client(running, token) as loader:
                for _ in range(MORE):
                    written.add(write(loader, patient))
                present = observations(loader, patient)
                assert written <= present
                end = time.monotonic() + PATIENCE
                while {n for c in events(hooks) for n in c.numbers} != set(
                    range(1, len(present) + 1)
                ):
                    assert time.monotonic() < end, running.said()
                    time.sleep(0.1)
            check(events(hooks), present)
        finally:
            running.stop()


def observations(loader: httpx.Client, patient: str) -> set[str]:
    """The ids of all of a patient's, over all pages."""
    found: set[str] = set()
    page = loader.get("/Observation", params={"patient": patient, "_count": "1000"}).json()
    while True:
        found |= {entry["resource"]["id"] for entry in page.get("entry", ())}
        following = [link["url"] for link in page["link"] if link["relation"] == "next"]
        if not following:
            return found
        page = loader.get(following[0]).json()


def events(hooks: Hooks) -> list[Call]:
    return [c for c in list(hooks.calls) if c.parameter("type") == "event-notification"]


def check(calls: list[Call], present: set[str]) -> None:
    """Each resource has one number, and the numbers came in order but for repetitions."""
    told: dict[int, str] = {}
    highest = 0
    repeated = 0
    for call in calls:
        (number,), (focus,) = call.numbers, call.focuses
        assert told.setdefault(number, focus) == focus
        assert call.key.endswith(f"/{number}")
        if number <= highest:
            repeated += 1
        else:
            assert number == highest + 1
            highest = number
    assert {focus.rsplit("/", 1)[1] for focus in told.values()} == present
    assert len(set(told.values())) == len(told)
    # what was accepted and not yet recorded when the server was killed, and no more
    assert repeated <= 20


def write(sender: httpx.Client, patient: str) -> str:
    answer = sender.post("/Observation", content=json.dumps(observation(patient)), headers=JSON)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def client(running: Running, token: str) -> httpx.Client:
    headers = {"Authorization": token}
    return httpx.Client(base_url=f"{running.url}/fhir", headers=headers, timeout=PATIENCE)


def load(running: Running, hooks: Hooks, patient: str, token: str) -> set[str]:
    """Writes with several clients and kills while notifications are under way."""
    written: set[str] = set()
    lock = threading.Lock()
    enough = threading.Event()

    def go() -> None:
        with client(running, token) as sender:
            while True:
                try:
                    made = write(sender, patient)
                except httpx.TransportError:
                    return
                with lock:
                    written.add(made)
                    if len(written) >= KILLED_AT and len(events(hooks)) >= KILLED_AT // 3:
                        enough.set()

    threads = [threading.Thread(target=go) for _ in range(WRITERS)]
    for thread in threads:
        thread.start()
    assert enough.wait(PATIENCE), running.said()
    running.kill()
    for thread in threads:
        thread.join(PATIENCE)
    return written
