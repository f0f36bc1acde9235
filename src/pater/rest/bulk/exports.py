"""`$export`: kick-off, the job behind it, status with manifest, cancelling."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote, urlencode

from pater.access.caller import Caller
from pater.domain import Answer, Job, Operation, OperationRequest, Services
from pater.fhir.issues import Issue
from pater.fhir.json import parse
from pater.fhir.references import parse_reference
from pater.records.gate import ExportPlan, ExportTask
from pater.rest.bulk.kickoff import asked, shape
from pater.rest.bulk.owners import EXPORT, caller_json, caller_of, few, owner_of
from pater.rest.errors import HttpError
from pater.rest.responses import outcome
from pater.store import jobs
from pater.store.jobs import JobRow

_DEFINITION: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_METHODS: Final = frozenset({"GET", "POST"})
_PATIENTS: Final = 100_000


class Exports:
    """The exports of one running Páteř."""

    def __init__(self, services: Services) -> None:
        self._services = services

    def operations(self) -> list[Operation]:
        """The three places of `$export`."""
        return [
            Operation("export", self.start, frozenset({""}), False, _METHODS,
                      _DEFINITION + "export"),
            Operation("export", self.start, frozenset({"Patient"}), False, _METHODS,
                      _DEFINITION + "patient-export"),
            Operation("export", self.start, frozenset({"Group"}), True, _METHODS,
                      _DEFINITION + "group-export"),
        ]  # fmt: skip

    async def start(self, caller: Caller, request: OperationRequest) -> Answer:
        """Decides, and asks for the job: 202 with the address of its status."""
        services = self._services
        preferences = [p.strip() for p in request.headers.get("prefer", "").split(",")]
        wish = asked(
            request.parameters,
            request.resource,
            level=request.type,
            lenient="handling=lenient" in preferences,
            base_url=services.base_url,
        )
        patients = wish.patients
        if request.type == "Group":
            members = await self._members(caller, request.id)
            patients = tuple(p for p in members if patients is None or p in patients)
        # the names of patients stand at the entries themselves, not in their text
        query = "$export" + "".join(
            f" {name}={','.join(sorted(values))}"
            for name, values in (("_type", wish.types), ("_typeFilter", _types_of(wish.filters)))
            if values
        )
        plan = await services.gate.plan_export(
            caller,
            types=wish.types,
            patients=patients,
            personal=bool(request.type),
            query=query,
            only_known=request.type == "Group",
        )
        await few(services, caller, EXPORT)
        now = services.clock()
        moment = now if wish.until is None else min(now, wish.until)
        number = await jobs.enqueue(
            services.db,
            EXPORT,
            {
                "caller": caller_json(caller),
                "plan": plan.as_json(),
                "moment": moment.isoformat(),
                "asked_at": now.isoformat(),
                "since": wish.since.isoformat() if wish.since else None,
                "filters": wish.filters,
                "elements": wish.elements,
                "request": self._address(request),
            },
            owner=owner_of(caller),
        )
        text = "the export has begun; its status stands at Content-Location"
        return Answer(
            202,
            outcome([Issue("information", "informational", "", text)]),
            {"content-location": f"{services.base_url}/bulk/{number}"},
        )

    async def work(self, job: Job) -> Mapping[str, Any]:
        """The job: writes the files."""
        ask = job.payload
        task = ExportTask(
            ExportPlan.of(ask["plan"]),
            datetime.fromisoformat(ask["moment"]),
            datetime.fromisoformat(ask["since"]) if ask["since"] else None,
            shape(ask["filters"], ask["elements"], self._services.base_url),
        )
        caller = caller_of(ask["caller"])
        return await self._services.gate.export(caller, job, self._services.files, task)

    def manifest(self, row: JobRow) -> dict[str, Any]:
        """What has been exported (Bulk Data 2.0 "Response - Complete Status")."""
        result = row.result or {"files": []}
        base = f"{self._services.base_url}/bulk/{row.id}"
        listed = [
            (type_, {"type": "Bundle" if type_ == "deleted" else type_, "url": f"{base}/{name}",
                     "count": count})
            for name, type_, _, count in result["files"]
        ]  # fmt: skip
        moment = datetime.fromisoformat(row.payload["moment"])
        return {
            "transactionTime": moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "request": row.payload["request"],
            "requiresAccessToken": True,
            "output": [each for type_, each in listed if type_ != "deleted"],
            "deleted": [each for type_, each in listed if type_ == "deleted"],
            "error": [],
        }

    async def _members(self, caller: Caller, id: str) -> tuple[str, ...]:
        """The Patients who are active members of a Group. Raises as `Gate.read`, HttpError 400."""
        group = parse((await self._services.gate.read(caller, "Group", id)).body)
        found = []
        for member in group.get("member", ()):
            reference = (member.get("entity") or {}).get("reference", "")
            ref = parse_reference(reference.removeprefix(f"{self._services.base_url}/"))
            if ref.type == "Patient" and ref.id and not member.get("inactive"):
                found.append(ref.id)
        if len(found) > _PATIENTS:
            raise HttpError(400, "too-costly", f"a Group has at most {_PATIENTS} patients")
        return tuple(dict.fromkeys(found))

    def _address(self, request: OperationRequest) -> str:
        place = "/".join(part for part in (request.type, request.id) if part)
        address = f"{self._services.base_url}/{place}/$export".replace("//$", "/$")
        asked = urlencode(request.parameters, quote_via=quote) if request.method == "GET" else ""
        return f"{address}?{asked}" if asked else address


def _types_of(filters: tuple[str, ...]) -> frozenset[str]:
    return frozenset(each.partition("?")[0] for each in filters)
