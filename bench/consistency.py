"""Concurrent clients, SIGKILL in between, and a checker that decides whether it was one register.

Each round takes fresh resources: clients read, write, compare-and-set (If-Match) and create
conditionally; in the middle the server is killed and started again. Then every history is judged.
"""

from __future__ import annotations

import asyncio
import os
import random
import shutil
import signal
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any
from uuid import uuid4

import httpx

from bench.linear import (
    Operation,
    Versioned,
    backwards,
    contradictions,
    linearizable,
    once,
    versioned_in,
)
from bench.server import Server

CLIENTS = 8
KEYS = 4
QUERIES = 4
_SYSTEM = "urn:pater:consistency"
_HEADERS = {"Content-Type": "application/fhir+json", "Accept": "application/fhir+json"}
_GONE = (httpx.TransportError, httpx.TimeoutException)


class Killable(Server):
    """A server that can be killed like by a power switch, and started again on its data."""

    def kill(self, *, database: bool) -> None:
        """SIGKILL; with `database` the whole process group, PostgreSQL's postmaster included."""
        if database:
            os.killpg(self.pid, signal.SIGKILL)
        else:
            os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)

    def again(self) -> None:
        """Starts it again."""
        self._start()


class Beside(Server):
    """A second process over the database of a first one, as another machine would be."""

    def __init__(self, first: Server) -> None:
        super().__init__()
        shutil.rmtree(self.folder)
        self._log = first.folder / "log-beside"
        self.folder = first.folder / "beside"  # nothing of its own but the log
        self.environment = {
            **first.environment,
            "PATER_DATABASE_URL": first.dsn,
            "PATER_PORT": str(self.port),
            "PATER_PUBLIC_URL": f"http://127.0.0.1:{first.port}",
        }

    def kill(self) -> None:
        """SIGKILL of this process alone."""
        os.kill(self.pid, signal.SIGKILL)
        assert self._process is not None
        self._process.wait(10)


@dataclass
class Round:
    """What happened to the resources of one round, by resource and by query."""

    registers: dict[str, list[Operation]] = field(default_factory=dict)
    creates: dict[str, list[Operation]] = field(default_factory=dict)
    strange: list[str] = field(default_factory=list)
    killing: bool = False  # while the database dies under a living server it can only say 500

    @property
    def count(self) -> int:
        """Operations of the round."""
        return sum(map(len, [*self.registers.values(), *self.creates.values()]))


@dataclass
class Verdict:
    """How many operations were looked at, how many of unknown end, and all that was wrong."""

    rounds: int = 0
    operations: int = 0
    unknown: int = 0
    kills: int = 0
    wrong: list[str] = field(default_factory=list)


def resource(key: str, value: int) -> dict[str, Any]:
    """The resource that holds a value."""
    return {
        "resourceType": "Basic",
        "id": key,
        "code": {"text": "register"},
        "identifier": [{"system": f"{_SYSTEM}:value", "value": str(value)}],
    }


def value_of(body: dict[str, Any]) -> int:
    """The value in a resource."""
    return int(body["identifier"][0]["value"])


class Client:
    """One client: it does one thing after the other and writes down what it was told."""

    def __init__(
        self, number: int, http: httpx.AsyncClient, round_: Round, values: Any, seed: int
    ) -> None:
        self.number, self.http, self.round, self.values = number, http, round_, values
        self.random = random.Random(seed)
        self.seen: dict[str, int] = {}

    async def run(self, until: Callable[[], bool]) -> None:
        """Works until told to stop; while the server is away it waits."""
        while not until():
            if self.random.random() < 0.2:
                await self.create(self.random.choice(list(self.round.creates)))
            else:
                await self.use(self.random.choice(list(self.round.registers)))

    async def use(self, key: str) -> None:
        """One read, write or compare-and-set of a register."""
        kind = self.random.choices(("read", "write", "cas"), (3, 1, 3))[0]
        if kind == "read":
            await self.note(self.round.registers[key], ("read",), self.read(key))
            return
        value = next(self.values)
        if kind == "write" or key not in self.seen:
            await self.note(self.round.registers[key], ("write", value), self.put(key, value))
            return
        expected = max(0, self.seen[key] - self.random.choice((0, 0, 0, 1)))
        done = self.put(key, value, expected)
        await self.note(self.round.registers[key], ("cas", expected, value), done)

    async def note(
        self, place: list[Operation], call: tuple[Any, ...], done: Awaitable[Any]
    ) -> None:
        """Does it and writes it down; without an answer its end is not known."""
        start = time.monotonic()
        try:
            answer = await done
        except (httpx.ConnectError, httpx.ConnectTimeout):
            await asyncio.sleep(0.05)  # nothing was sent
            return
        except _GONE:
            if call[0] not in ("read", "search"):
                place.append(Operation(self.number, call, None, start, inf))
            return
        if answer is not UNKNOWN:
            place.append(Operation(self.number, call, answer, start, time.monotonic()))
        elif call[0] not in ("read", "search"):
            place.append(Operation(self.number, call, None, start, inf))

    async def read(self, key: str) -> Any:
        """(version, value); (0, None) when it is not there."""
        answer = await self.http.get(f"/Basic/{key}", headers=_HEADERS)
        if answer.status_code == 404:
            return 0, None
        if answer.status_code != 200:
            return self.strange(answer)
        body = answer.json()
        version = int(body["meta"]["versionId"])
        self.seen[key] = version
        return version, value_of(body)

    async def put(self, key: str, value: int, expected: int | None = None) -> Any:
        """The new version; None when the precondition failed."""
        headers = dict(_HEADERS)
        if expected is not None:
            headers["If-Match"] = f'W/"{expected}"'
        answer = await self.http.put(f"/Basic/{key}", json=resource(key, value), headers=headers)
        if answer.status_code in (200, 201):
            self.seen[key] = int(answer.headers["etag"][3:-1])
            return self.seen[key]
        if answer.status_code == 412 and expected is not None:
            self.seen.pop(key, None)
            return None
        return self.strange(answer)

    async def create(self, query: str) -> None:
        """One conditional create, or a look at what is there."""
        place = self.round.creates[query]
        if self.random.random() < 0.3:
            await self.note(place, ("search",), self.search(query))
        else:
            await self.note(place, ("create",), self.make(query))

    async def search(self, query: str) -> Any:
        """The ids that the query finds."""
        answer = await self.http.get(f"/Basic?identifier={_SYSTEM}|{query}", headers=_HEADERS)
        if answer.status_code != 200:
            return self.strange(answer)
        return tuple(e["resource"]["id"] for e in answer.json().get("entry", ()))

    async def make(self, query: str) -> Any:
        """(made, id)."""
        body = {
            "resourceType": "Basic",
            "code": {"text": "once"},
            "identifier": [{"system": _SYSTEM, "value": query}],
        }
        headers = {**_HEADERS, "If-None-Exist": f"identifier={_SYSTEM}|{query}"}
        answer = await self.http.post("/Basic", json=body, headers=headers)
        if answer.status_code not in (200, 201):
            return self.strange(answer)
        return answer.status_code == 201, answer.json()["id"]

    def strange(self, answer: httpx.Response) -> Any:
        """An answer that says neither yes nor no: conflicts may be tried again, others are wrong.

        A refused write (409) did nothing, but we do not rely on it: its end is not known.
        """
        dying = self.round.killing and answer.status_code in (500, 503)
        if answer.status_code != 409 and not dying:
            self.round.strange.append(f"answered {answer.status_code}: {answer.text[:200]}")
        return UNKNOWN


UNKNOWN = object()
"""The client got an answer that does not tell whether it was done."""


async def one_round(
    base_url: str,
    token: str,
    kill: Callable[[], Awaitable[None]] | None,
    *,
    seconds: float,
    seed: int,
    clients: int = CLIENTS,
) -> tuple[Round, dict[str, dict[int, int]], list[str]]:
    """One round, with a kill in the middle; gives it with the histories as they stand at its end.

    The list names resources that could not be written any more.
    """
    round_ = Round(
        {str(uuid4()): [] for _ in range(KEYS)}, {str(uuid4()): [] for _ in range(QUERIES)}
    )
    values = iter(range(1, 1 << 60))
    end = time.monotonic() + seconds
    stop = False

    def until() -> bool:
        return stop or (kill is None and time.monotonic() > end)

    async with httpx.AsyncClient(
        base_url=base_url, headers={"Authorization": f"Bearer {token}"}, timeout=20,
        limits=httpx.Limits(max_connections=clients + 2),
    ) as http:  # fmt: skip
        made = [Client(n, http, round_, values, seed * 1000 + n) for n in range(clients)]
        async with asyncio.TaskGroup() as group:
            for each in made:
                group.create_task(each.run(until))
            if kill is not None:
                await asyncio.sleep(seconds / 2)
                round_.killing = True
                await kill()
                round_.killing = False
                await asyncio.sleep(seconds / 2)
                stop = True
        stuck = []
        last = Client(clients, http, round_, values, seed)
        for key, place in round_.registers.items():
            await last.note(place, ("read",), last.read(key))
            await last.note(place, ("write", value := next(values)), last.put(key, value))
            if not place[-1].known:
                stuck.append(key)
            await last.note(place, ("read",), last.read(key))
        for query, place in round_.creates.items():
            await last.note(place, ("create",), last.make(query))
            await last.note(place, ("search",), last.search(query))
        histories = {key: await history(http, key, round_.strange) for key in round_.registers}
    return round_, histories, stuck


async def history(http: httpx.AsyncClient, key: str, strange: list[str]) -> dict[int, int]:
    """Version -> value, from `_history`, which must be strictly newest first."""
    found: dict[int, int] = {}
    url: str | None = f"/Basic/{key}/_history?_count=50"
    last = 1 << 60
    while url is not None:
        answer = await http.get(url, headers=_HEADERS)
        if answer.status_code != 200:
            strange.append(f"_history answered {answer.status_code}")
            return found
        bundle = answer.json()
        for entry in bundle.get("entry", ()):
            version = int(entry["resource"]["meta"]["versionId"])
            if version >= last:
                strange.append(f"_history has version {version} after {last}")
            last = version
            found[version] = value_of(entry["resource"])
        links = {link["relation"]: link["url"] for link in bundle.get("link", ())}
        url = links.get("next")
    return found


def judge(
    round_: Round, histories: dict[str, dict[int, int]], stuck: Sequence[str] = ()
) -> list[str]:
    """All that is wrong with a round."""
    wrong = [*round_.strange, *(f"{key} is stuck" for key in stuck)]
    for key, operations in round_.registers.items():
        found = backwards(operations)
        found += contradictions(operations, histories[key])
        if not linearizable(operations, Versioned(), versioned_in(histories[key])):
            found.append(f"{len(operations)} operations are not linearizable")
        wrong += [f"{key}: {text}" for text in found]
    for query, operations in round_.creates.items():
        if not linearizable(operations, "", once):
            wrong.append(f"{query}: conditional creates are not linearizable")
    return wrong


def check(minutes: float, seed: int, *, seconds: float = 6.0) -> Verdict:
    """Rounds with kills for so many minutes."""
    verdict = Verdict()
    rng = random.Random(seed)
    with Killable() as server:
        end = time.monotonic() + minutes * 60
        token = server.token("loader")

        async def kill() -> None:
            server.kill(database=rng.random() < 0.7)
            await asyncio.to_thread(server.again)

        while time.monotonic() < end:
            base = f"http://127.0.0.1:{server.port}/fhir"
            done = one_round(base, token, kill, seconds=seconds, seed=rng.randrange(1 << 30))
            round_, histories, stuck = asyncio.run(done)
            verdict.rounds += 1
            verdict.kills += 1
            verdict.operations += round_.count
            places = [*round_.registers.values(), *round_.creates.values()]
            verdict.unknown += sum(not op.known for ops in places for op in ops)
            verdict.wrong += judge(round_, histories, stuck)
            if verdict.wrong:
                break
    return verdict


def told(verdict: Verdict) -> str:
    """The verdict for people."""
    head = (
        f"{verdict.rounds} rounds, {verdict.kills} kills, {verdict.operations} operations,"
        f" {verdict.unknown} of them with unknown outcome: "
    )
    if not verdict.wrong:
        return head + "linearizable, histories whole"
    return "\n".join([head + "WRONG", *verdict.wrong[:50]])
