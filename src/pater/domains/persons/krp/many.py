"""Bulk identification as FHIR operations: `$krp-identify` asks, `$krp-identified` looks, fetches.

The job is the one of the native form (`bulk`): the same rows, the same files, the same journal.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from typing import Any, Final
from uuid import uuid4

import orjson

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter, Services
from pater.domains.persons.krp.bulk import MOST, Bulk
from pater.domains.persons.krp.envelope import Asked
from pater.domains.persons.krp.operations import BACK, NAMING, native
from pater.fhir.issues import Issue, operation_outcome
from pater.fhir.json import dumps
from pater.registers.identifiers import RID
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import read_inputs, refused
from pater.rest.operations.places import parameters

Json = dict[str, Any]

_TYPES: Final = frozenset({"Patient"})
_ID = Parameter("id", "string", "the asker's own number of the row, given back with it")
_ROW: Final = (
    _ID,
    Parameter("purpose", "code", "what this person is asked for; that of the token without it"),
    *NAMING,
)
_NAMES: Final = frozenset(each.name for each in _ROW)
_OUTCOMES: Final = {
    "Ztotoznen": "identified", "Nenalezen": "not-found", "Nejednoznacny": "ambiguous"
}  # fmt: skip
_BACK: Final = {**BACK, "ucel": "purpose", "zaznamId": "id"}


def operations(services: Services, bulk: Bulk) -> list[Operation]:
    """Asking by POST, looking and fetching by GET or POST."""

    async def ask(caller: Caller, request: OperationRequest) -> Answer:
        rows = list(_rows(request, caller.purpose))
        asked = Asked(caller.request_id or str(uuid4()), caller.purpose, {"osoby": rows})
        number = (await bulk.ask(caller, asked))["ulohaId"]
        body = parameters({"name": "job", "valueString": number}).body
        at = f"{services.base_url}/Patient/$krp-identified?job={number}"
        return Answer(202, body, {"content-location": at})

    async def look(caller: Caller, request: OperationRequest) -> Answer:
        job, _ = read_inputs(request, {"job": "text"}).needed("job")
        row = await bulk.own(caller, job)
        if row.unfinished:
            far = f"{row.done} of {row.total}" if row.total else "waiting"
            said = Issue("information", "informational", "", far)
            headers = {"x-progress": far, "retry-after": "5"}
            return Answer(202, dumps(operation_outcome([said])), headers)
        if row.state != "done":
            raise HttpError(422, "processing", row.error or "the job failed")
        found, bad = await bulk.answers(caller, row)
        return await asyncio.to_thread(_told, found, bad)

    return [
        Operation(
            "krp-identify", ask, _TYPES,
            text=f"Asks who many people are, up to {MOST}, each by exactly what is said of them and"
            " for a purpose of its own. 202 with the address of the answer; it is there for a day.",
            takes=(Parameter("person", "", "somebody who is asked about", 1, "*", _ROW),),
            gives=(Parameter("job", "string", "number of the job", 1),),
            changes=True,
        ),
        Operation(
            "krp-identified", look, _TYPES, methods=frozenset({"GET", "POST"}),
            text="The answer to $krp-identify: 202 while it is made, 200 with all rows.",
            takes=(Parameter("job", "string", "number of the job", 1),),
            gives=(
                Parameter(
                    "person", "", "who a row is about", 0, "*",
                    (
                        Parameter("row", "integer", "place of the row, from 0", 1), _ID,
                        Parameter("outcome", "code", "identified, not-found or ambiguous", 1),
                        Parameter("identifier", "Identifier", "the RID of who was identified"),
                    ),
                ),
                Parameter(
                    "rejected", "", "a row that cannot be read", 0, "*",
                    (
                        Parameter("row", "integer", "place of the row, from 0", 1), _ID,
                        Parameter("element", "string", "what of it"),
                        Parameter("reason", "string", "what is wrong with it", 1),
                    ),
                ),
            ),
        ),
    ]  # fmt: skip


def _rows(request: OperationRequest, purpose: str) -> Iterator[Json]:
    """The rows in their native form. Raises HttpError 400 with the place."""
    body = request.resource or {}
    if body.get("resourceType") != "Parameters":
        raise refused("an operation takes Parameters", "resourceType", "invalid")
    listed = body.get("parameter")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST:
        raise refused(f"1 to {MOST} times the parameter person", "Parameters.parameter")
    for place, each in enumerate(listed):
        path = f"Parameters.parameter[{place}]"
        if not isinstance(each, dict) or each.get("name") != "person":
            raise refused("the operation takes the parameter person alone", path, "not-supported")
        parts = each.get("part")
        if not isinstance(parts, list):
            raise refused("a person has parts", f"{path}.part", "structure")
        said: dict[str, str] = {}
        for number, part in enumerate(parts):
            where = f"{path}.part[{number}]"
            name = part.get("name") if isinstance(part, dict) else None
            if name not in _NAMES or name in said:
                raise refused(f"once each: {', '.join(sorted(_NAMES))}", where, "not-supported")
            values = [value for key, value in part.items() if key.startswith("value")]
            if len(values) != 1 or not isinstance(values[0], str):
                raise refused(f"{name} has one value, a text", where)
            said[name] = values[0]
        row = {"ucel": said.pop("purpose", purpose), "zaznamId": said.pop("id", "")}
        yield row | native(said)


def _told(found: bytes, bad: bytes) -> Answer:
    listed: list[Mapping[str, Any]] = []
    for line in map(orjson.loads, found.splitlines()):
        parts = [*_row(line), {"name": "outcome", "valueCode": _OUTCOMES[line["vysledek"]]}]
        if line.get("rid"):
            number = {"system": RID, "value": line["rid"]}
            parts.append({"name": "identifier", "valueIdentifier": number})
        listed.append({"name": "person", "part": parts})
    for line in map(orjson.loads, bad.splitlines()):
        parts = _row(line)
        element = ".".join(_BACK.get(each, each) for each in line["pole"].split(".") if each)
        element = element.removeprefix("doklad.")
        parts += [{"name": "element", "valueString": element}] if element else []
        parts.append({"name": "reason", "valueString": line["duvod"]})
        listed.append({"name": "rejected", "part": parts})
    return parameters(*listed)


def _row(line: Json) -> list[Json]:
    own = line.get("zaznamId")
    parts: list[Json] = [{"name": "row", "valueInteger": line["radek"]}]
    return [*parts, {"name": "id", "valueString": own}] if own else parts
