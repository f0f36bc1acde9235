"""`$import`: an upload or named inputs become a job; what the job does; what came of it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, Final
from urllib.parse import urlsplit

import httpx

from pater.access.caller import Caller
from pater.domain import Answer, Job, Operation, OperationRequest, Parameter, Services
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.records.gate import Claim, ImportTask
from pater.records.import_processes import Maker, in_thread, processes
from pater.registers.loading import beside_of, keep_beside
from pater.registers.patients import strong_keys
from pater.rest.bulk.owners import IMPORT, caller_json, caller_of, few, owner_of
from pater.rest.errors import HttpError
from pater.rest.responses import outcome
from pater.store import jobs
from pater.store.jobs import JobFailed, JobRow

NDJSON_TYPES: Final = frozenset(
    {"application/fhir+ndjson", "application/ndjson", "application/x-ndjson"}
)
MODES: Final = frozenset({"validate", "trust"})
MOST_INPUTS: Final = 1_000
_PROCESSES_FROM: Final = 1024 * 1024
"""Bytes of input from which processes of their own are worth their start."""
_SPARE: Final = 1024 * 1024 * 1024
"""Bytes of the disk that uploads leave free."""
_WRITE: Final = 1024 * 1024
_TEXT: Final = (
    "Takes resources in bulk (NDJSON) from addresses that the operator allows, as a job: 202, and "
    "Content-Location says where its status stands. Uploads come to the same address as NDJSON."
)
_TAKES: Final = (
    Parameter("inputFormat", "code", "application/fhir+ndjson, also without it"),
    Parameter("mode", "code", "validate (also without it), or trust: what comes was checked"),
    Parameter("input", "", "a file of resources", 1, str(MOST_INPUTS), (
        Parameter("url", "url", "where it is fetched", 1),
    )),
)  # fmt: skip
_GIVES: Final = (Parameter("return", "OperationOutcome", "that the job has begun", 1),)


def claims_of(patient: Mapping[str, Any], person: int, id: str) -> tuple[Claim, ...]:
    """The business keys of a Patient that is written as it is."""
    return tuple(Claim(key, person, id) for key in strong_keys(patient))


class Imports:
    """The imports of one running Páteř."""

    def __init__(self, services: Services) -> None:
        self._services = services

    async def upload(self, caller: Caller, mode: str, stream: AsyncIterator[bytes]) -> Answer:
        """Takes NDJSON (as it is, gzip or zstd) as it comes, and asks for the job."""
        services = self._services
        _known(mode)
        await services.gate.require_import(caller, "$import")
        await few(services, caller, IMPORT)
        number = services.new_id()
        try:
            with services.files.append(number, "input.1", 0) as file:
                async for block in gathered(stream, _WRITE):
                    await asyncio.to_thread(self._keep, file, block)
        except BaseException:
            services.files.remove(number)
            raise
        return await self._begin(caller, number, mode, [""])

    def operations(self) -> list[Operation]:
        """`$import` as an operation; uploads come by a route of their own (see http.py)."""

        async def run(caller: Caller, request: OperationRequest) -> Answer:
            mode = dict(request.parameters).get("mode", "validate")
            return await self.named(caller, mode, request.raw)

        return [Operation("import", run, text=_TEXT, takes=_TAKES, gives=_GIVES, changes=True)]

    async def named(self, caller: Caller, mode: str, body: bytes) -> Answer:
        """Takes the addresses of inputs, and asks for the job that fetches them."""
        inputs, said = _inputs(parse(body))
        mode = said or mode
        _known(mode)
        await self._services.gate.require_import(caller, "$import")
        for url in inputs:
            if not self._allowed(url):
                text = "inputs are fetched only from origins that the operator allows"
                raise HttpError(403, "forbidden", text)
        await few(self._services, caller, IMPORT)
        return await self._begin(caller, self._services.new_id(), mode, inputs)

    async def _begin(self, caller: Caller, number: str, mode: str, urls: Sequence[str]) -> Answer:
        services = self._services
        payload = {
            "caller": caller_json(caller),
            "mode": mode,
            "urls": list(urls),
            "asked_at": services.clock().isoformat(),
        }
        await jobs.enqueue(services.db, IMPORT, payload, id=number, owner=owner_of(caller))
        text = "the import has begun; its status stands at Content-Location"
        return Answer(
            202,
            outcome([Issue("information", "informational", "", text)]),
            {"content-location": f"{services.base_url}/bulk/{number}"},
        )

    async def work(self, job: Job) -> Mapping[str, Any]:
        """The job: fetches what is not here yet, imports, removes what was uploaded."""
        files = self._services.files
        paths = []
        for number, url in enumerate(job.payload["urls"], start=1):
            path = files.path(job.id, f"input.{number}")
            if url and not path.exists():
                await self._fetch(url, path)
            paths.append(path)
        result = await self._run(job, paths)
        for path in paths:
            path.unlink(missing_ok=True)
        return result

    async def work_on_files(self, job: Job) -> Mapping[str, Any]:
        """The same for files that lie on this machine already, and stay."""
        paths = [Path(each) for each in job.payload["paths"]]
        for path in paths:
            if not path.is_file():
                raise JobFailed(f"there is no file {path.name}")
        return await self._run(job, paths)

    async def _run(self, job: Job, paths: Sequence[Path]) -> Mapping[str, Any]:
        size = sum(path.stat().st_size for path in paths if path.exists())
        with _maker(size) as make:
            trust = job.payload["mode"] == "trust"
            conforming = None if trust else self._services.conforming
            task = ImportTask(
                paths, trust, claims_of, strong_keys, make, conforming, beside_of, keep_beside
            )
            caller = caller_of(job.payload["caller"])
            return await self._services.gate.run_import(caller, job, self._services.files, task)

    def manifest(self, row: JobRow) -> dict[str, Any]:
        """What came of an import: counts by type, and the report of what was left out."""
        result = row.result or {}
        base = f"{self._services.base_url}/bulk/{row.id}"
        report = [
            {"type": "OperationOutcome", "url": f"{base}/{name}", "count": result["errors"]}
            for name in [result.get("report")]
            if name
        ]
        return {
            "transactionTime": row.payload["asked_at"].replace("+00:00", "Z"),
            "request": f"{self._services.base_url}/$import",
            "requiresAccessToken": True,
            "output": [
                {
                    "type": type_,
                    "count": sum(counts),
                    "created": counts[0],
                    "updated": counts[1],
                    "unchanged": counts[2],
                }
                for type_, counts in sorted(result.get("counts", {}).items())
            ],
            "error": report,
        }

    def _allowed(self, url: str) -> bool:
        """Whether a URL is of an origin that the operator has named; nothing else is fetched."""
        try:
            parts = urlsplit(url)
            port = parts.port or {"https": 443, "http": 80}.get(parts.scheme)
        except ValueError:
            return False
        if parts.username or parts.password or not parts.hostname:
            return False
        return (parts.scheme, parts.hostname, port) in map(_origin, self._services.import_origins)

    async def _fetch(self, url: str, path: Path) -> None:
        """Fetches an input; a redirect is not followed: it might lead anywhere."""
        if not self._allowed(url):
            raise JobFailed("an input is not of an allowed origin")
        part = self._services.files.append(path.parent.name, f"{path.name}.part", 0)
        client = httpx.AsyncClient(follow_redirects=False, trust_env=False, timeout=60)
        with part as file:
            async with client, client.stream("GET", url) as answer:
                if answer.status_code != 200:
                    raise JobFailed(f"an input was answered with {answer.status_code}")
                async for block in gathered(answer.aiter_bytes(), _WRITE):
                    await asyncio.to_thread(self._keep, file, block)
        path.with_name(f"{path.name}.part").rename(path)

    def _keep(self, file: BinaryIO, block: bytes) -> None:
        if shutil.disk_usage(file.fileno()).free < _SPARE:
            raise HttpError(507, "no-store", "there is no room for this input")
        file.write(block)


async def gathered(stream: AsyncIterator[bytes], size: int) -> AsyncIterator[bytes]:
    """The stream in blocks of at least `size` bytes, but for the last."""
    parts: list[bytes] = []
    held = 0
    async for part in stream:
        parts.append(part)
        held += len(part)
        if held >= size:
            yield b"".join(parts)
            parts, held = [], 0
    if parts:
        yield b"".join(parts)


def _maker(size: int) -> AbstractContextManager[Maker]:
    """What makes lines ready: processes of their own for a large input."""
    return processes(os.cpu_count() or 1) if size >= _PROCESSES_FROM else nullcontext(in_thread)


def _known(mode: str) -> None:
    if mode not in MODES:
        raise HttpError(400, "value", "mode is validate or trust")


def _origin(text: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(text)
    return parts.scheme, parts.hostname, parts.port or {"https": 443, "http": 80}.get(parts.scheme)


def _inputs(body: Mapping[str, Any]) -> tuple[list[str], str]:
    """The addresses of an import manifest, or of Parameters of the same shape, and the mode."""
    if body.get("resourceType") == "Parameters":
        body = _from_parameters(body)
    form = body.get("inputFormat", "application/fhir+ndjson")
    if not isinstance(form, str) or form not in NDJSON_TYPES:
        raise HttpError(400, "not-supported", "inputFormat is application/fhir+ndjson")
    listed = body.get("input")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_INPUTS:
        text = f"an import names 1 to {MOST_INPUTS} inputs with their url"
        raise HttpError(400, "required", text, path="input")
    urls = [each.get("url") if isinstance(each, dict) else None for each in listed]
    if not all(isinstance(url, str) and len(url) < 2_000 for url in urls):
        raise HttpError(400, "required", "every input has a url", path="input.url")
    mode = body.get("mode", "")
    return [str(url) for url in urls], mode if isinstance(mode, str) else ""


def _from_parameters(body: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"input": []}
    listed = body.get("parameter", [])
    for parameter in listed if isinstance(listed, list) else []:
        if not isinstance(parameter, dict):
            continue
        name, parts = parameter.get("name"), parameter.get("part")
        if name == "input" and isinstance(parts, list):
            named = {str(p.get("name")): _value(p) for p in parts if isinstance(p, dict)}
            found["input"].append(named)
        elif isinstance(name, str):
            found[name] = _value(parameter)
    return found


def _value(parameter: Mapping[str, Any]) -> Any:
    return next((v for key, v in parameter.items() if key.startswith("value")), None)
