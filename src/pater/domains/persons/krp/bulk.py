"""Bulk identification: many persons in one request, each with a purpose of its own.

The rows wait as a file beside the database and are worked off by a job, which writes who is meant
into one file and rows that cannot be read, with the reason, into another. Every person who is found
has an entry in the journal for each purpose, before the file may be fetched.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import uuid4

import orjson
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from pater.access.caller import Caller
from pater.domain import Job, Services
from pater.domains.persons import tables
from pater.domains.persons.krp import asked as read
from pater.domains.persons.krp import records
from pater.domains.persons.krp.envelope import Asked, endpoint, purpose
from pater.fhir.json import dumps, parse
from pater.records.errors import TooMany
from pater.registers.finding import found
from pater.registers.room import Registers
from pater.rest.bulk.http import guarded
from pater.rest.errors import HttpError
from pater.rest.native import HEADERS, problems
from pater.rest.tasks import JobFailed, JobRow, Tasks, asker

Json = dict[str, Any]

KIND: Final = "krp-identify"
PATH: Final = "/krp/api/v2/pacient/hromadne"
MOST: Final = 5_000
"""Rows of one request."""
MOST_AT_ONCE: Final = 3
_MOST_BODY: Final = 4 * 1024 * 1024
_KEEP: Final = timedelta(hours=24)
_BATCH: Final = 50
_ASKED: Final = "asked.json"
_FOUND, _BAD = "found.ndjson", "quarantine.ndjson"
_NAMES: Final = {"vysledek": _FOUND, "karantena": _BAD}
_STATES: Final = {"waiting": "Ceka", "running": "Bezi", "done": "Hotovo", "failed": "Selhalo"}


@dataclass(frozen=True, slots=True)
class Bulk:
    """The requests of one register."""

    services: Services
    registers: Registers

    def routes(self) -> list[Route]:
        """Asking, looking how it stands, fetching, throwing away."""
        ask = endpoint(self.services, self.ask, status=202, most=_MOST_BODY)
        look = problems(guarded(self.services, self._look))
        fetch = problems(guarded(self.services, self._fetch))
        return [
            Route(f"{PATH}/ztotozneni", ask, methods=["POST"]),
            Route(PATH + "/{job}", look, methods=["GET", "DELETE"]),
            Route(PATH + "/{job}/{name}", fetch, methods=["GET"]),
        ]

    async def ask(self, caller: Caller, asked: Asked) -> Json:
        """Takes the rows. Raises HttpError."""
        await self.services.gate.require(caller, "ask", "Patient")
        rows = asked.data.get("osoby")
        if not isinstance(rows, list) or not 0 < len(rows) <= MOST:
            raise HttpError(400, "value", f"a list of 1 to {MOST} rows", path="zadostData.osoby")
        tasks = self._tasks()
        await tasks.few(caller)
        number = str(uuid4())
        await asyncio.to_thread(self._write, number, _ASKED, 0, orjson.dumps(rows))
        await tasks.ask(caller, number, {"number": asked.number})
        return {"ulohaId": number, "stav": _STATES["waiting"], "celkem": len(rows)}

    async def work(self, job: Job) -> Mapping[str, Any] | None:
        """The handler of the jobs: goes on behind the last batch whose lines were kept."""
        caller = asker(job)
        rows = orjson.loads(await asyncio.to_thread(self._read, job.id, _ASKED))
        at: dict[str, int] = {"row": 0, _FOUND: 0, _BAD: 0, "met": 0, **job.state}
        while at["row"] < len(rows):
            batch = rows[at["row"] : at["row"] + _BATCH]
            try:
                good, bad = await self._batch(caller, job.payload["number"], at["row"], batch)
            except TooMany as error:
                text = "too many people were asked for of whom nothing may be shown"
                raise JobFailed(text) from error
            for name, made in ((_FOUND, good), (_BAD, bad)):
                data = b"".join(orjson.dumps(each) + b"\n" for each in made)
                at[name] = await asyncio.to_thread(self._write, job.id, name, at[name], data)
            at["met"] += sum(each["vysledek"] == "Ztotoznen" for each in good)
            at["row"] += len(batch)
            await job.checkpoint(at, done=at["row"], total=len(rows))
        return {"bytes": at[_FOUND], "quarantined": at[_BAD], "met": at["met"]}

    async def _batch(
        self, caller: Caller, number: str, first: int, rows: list[Any]
    ) -> tuple[list[Json], list[Json]]:
        """Who is meant by each of the rows; the others with what is wrong with them."""
        good: list[Json] = []
        bad: list[Json] = []
        asked: list[tuple[Json, Json, str]] = []
        for place, row in enumerate(rows, first):
            line: Json = {"radek": place}
            try:
                if not isinstance(row, dict):
                    raise read.wrong("an object", "")
                line["zaznamId"] = read.text(row, "zaznamId", "")
                why = purpose(row.get("ucel"), caller, ".ucel")
                patient = read.who(row, "")
                if not (patient.get("identifier") or
                        (patient.get("name") and patient.get("birthDate"))):  # fmt: skip
                    raise read.wrong("a number, or a name with a birth date", "")
            except HttpError as error:
                issue = error.issues[0]
                bad.append({**line, "pole": issue.path.lstrip("."), "duvod": issue.text})
                continue
            asked.append((line, patient, why))
        self.services.gate.admit(caller)
        db, index = self.services.db, self.registers.index
        meant = [await found(db, index, patient) for _, patient, _ in asked]
        for why in dict.fromkeys(each for _, _, each in asked):
            mine = [n for n, each in enumerate(asked) if each[2] == why]
            given = [(asked[n][0], asked[n][1], meant[n]) for n in mine]
            good += await self._told(caller, f"krp hromadne {why} {number}", given)
        return sorted(good, key=lambda each: int(each["radek"])), bad

    async def _told(
        self, caller: Caller, what: str, rows: list[tuple[Json, Json, list[int]]]
    ) -> list[Json]:
        gate = self.services.gate
        people = [people[0] for _, _, people in rows if len(people) == 1]
        shown = await gate.identify(caller, people, what)
        missed = [dumps(p).decode() for _, p, who in rows if not (who and set(who) <= set(shown))]
        if missed:
            await gate.missed(caller, missed)
        standing = await tables.standing(self.services.db, list(shown))
        answers: list[Json] = []
        for line, _, who in rows:
            if len(who) > 1:
                answers.append({**line, "vysledek": "Nejednoznacny"})
            elif not who or who[0] not in shown:
                answers.append({**line, "vysledek": "Nenalezen"})
            else:
                master, stands = parse(shown[who[0]].body), standing.get(who[0])
                answers.append(
                    {
                        **line,
                        "vysledek": "Ztotoznen",
                        "rid": stands.rid if stands is not None else None,
                        "typZaznamu": records.kind(master, stands),
                        "stavZaznamu": records.state(master, stands),
                    }
                )
        return answers

    async def _look(self, request: Request, caller: Caller) -> Response:
        row = await self._tasks().own(caller, request.path_params["job"])
        if request.method == "DELETE":
            await self._tasks().end(row)
            return Response(None, 204, HEADERS)
        said: Json = {
            "ulohaId": row.id,
            "stav": _STATES.get(row.state, "Selhalo"),
            "zpracovano": row.done,
            "celkem": row.total,
        }
        if row.state == "done":
            result = row.result or {}
            said |= {"ztotozneno": result.get("met", 0),
                     "karantena": bool(result.get("quarantined"))}  # fmt: skip
        elif not row.unfinished:
            said["duvod"] = row.error
        return Response(orjson.dumps(said), 200, HEADERS, "application/json")

    async def own(self, caller: Caller, number: str) -> JobRow:
        """A caller's own request. Raises HttpError 404."""
        return await self._tasks().own(caller, number)

    async def answers(self, caller: Caller, row: JobRow) -> tuple[bytes, bytes]:
        """The lines of a request that is done: who was meant, and what could not be read."""
        what = f"krp hromadne soubor {row.payload['number']}"
        await self.services.gate.identify(caller, [], what)
        found = await asyncio.to_thread(self._read, row.id, _FOUND)
        return found, await asyncio.to_thread(self._read, row.id, _BAD)

    async def _fetch(self, request: Request, caller: Caller) -> Response:
        row = await self._tasks().own(caller, request.path_params["job"])
        name = _NAMES.get(request.path_params["name"])
        if name is None or row.state != "done":
            raise HttpError(404, "not-found", "there is no such file, or not yet")
        if name == _FOUND:
            what = f"krp hromadne soubor {row.payload['number']}"
            await self.services.gate.identify(caller, [], what)
        blocks = self.services.files.blocks(row.id, name)
        return StreamingResponse(blocks, 200, HEADERS, "application/x-ndjson")

    def _tasks(self) -> Tasks:
        return Tasks(self.services, KIND, MOST_AT_ONCE, _KEEP)

    def _write(self, number: str, name: str, at: int, data: bytes) -> int:
        """Puts data behind the first bytes of a file; how long it is then."""
        with self.services.files.append(number, name, at) as file:
            file.write(data)
        return at + len(data)

    def _read(self, number: str, name: str) -> bytes:
        return b"".join(self.services.files.blocks(number, name))
