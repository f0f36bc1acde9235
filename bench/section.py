"""One timed section of the API's workloads beside its floor, on a server of its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from bench import load
from bench.bulk import Token
from bench.commits import Floor
from bench.http import encode
from bench.load import Job, Outcome
from bench.measure import Result, figures, require
from bench.server import Server
from bench.workloads import FHIR_JSON, Sender


@dataclass(frozen=True, slots=True)
class Api:
    """How much is done; seconds are those of one timed section."""

    patients: int = 160
    seconds: float = 1.5
    floor_seconds: float = 0.7
    clients: tuple[int, ...] = (8, 32, 64)
    cases: int = 40  # different searches of a class


class Bench:
    """A loaded server with the floor of reading beside it."""

    def __init__(self, server: Server, floor: tuple[int, int], options: Api) -> None:
        self.server, self.options = server, options
        self._floor_port, self._floor_pid = floor
        self._token = Token(server)
        self._floors: dict[tuple[int, int], Floor] = {}

    @property
    def sender(self) -> Sender:
        """The client with every right, its token fresh."""
        return Sender(self._token.headers()["authorization"].partition(" ")[2])

    def send(self, requests: Sequence[bytes], **more: Any) -> Outcome:
        """A timed section. Raises BenchError when an answer has a wrong status."""
        settings = {
            "seconds": self.options.seconds,
            "warmup": self.options.seconds / 3,
            "server": self.server.pid,
            "keep_bodies": True,
        }
        outcome = load.run(Job(self.server.port, requests, **(settings | more)))
        require(outcome)
        return outcome

    def status(self, path: str) -> int:
        """The status of one answer to a GET."""
        headers = {"Authorization": f"Bearer {self.sender.token}", "Accept": FHIR_JSON}
        request = Request(f"http://127.0.0.1:{self.server.port}{path}", headers=headers)
        try:
            with urlopen(request, timeout=60) as answer:
                return int(answer.status)
        except HTTPError as error:
            return error.code

    def static(self, size: int, clients: int) -> Floor:
        """A ready body of nearly this size, from the same HTTP server software; measured once."""
        key = (max(2, size // 256 * 256), clients)
        if key not in self._floors:
            job = Job(
                self._floor_port,
                [encode("GET", f"/{key[0]}", {"Accept": FHIR_JSON})],
                self.options.floor_seconds,
                warmup=self.options.floor_seconds / 4,
                connections=clients,
                server=self._floor_pid,
            )
            one = figures(load.run(job))
            self._floors[key] = Floor(one["per_second"], one["program_cpu_ms"])
        return self._floors[key]


def row(outcome: Outcome, floor: Floor, kind: str, *, clients: int = 8, times: int = 1) -> Result:
    """Figures beside their floor, which is as many operations; `times` resources are in one."""
    one = figures(outcome)
    one |= {
        "clients": clients,
        "rate": round(one["per_second"] * times, 1),
        "body_bytes": round(outcome.body_bytes / max(1, outcome.done)),
        "floor": {
            "kind": kind,
            "rate": round(floor.per_second * times, 1),
            "cpu_ms": round(floor.cpu_ms, 4),
        },
        "ratio": round(one["per_second"] / floor.per_second, 4),
    }
    return one
