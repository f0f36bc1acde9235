"""The register's own questions as FHIR operations on Patient, by POST.

What names somebody are the parameters of `FIND`; answers are Patients, or what was asked as parts.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final
from uuid import uuid4

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Services
from pater.domains.persons.krp import asked as read
from pater.domains.persons.krp.envelope import PURPOSES, Asked
from pater.domains.persons.krp.questions import ATTRIBUTES, Questions
from pater.fhir.json import dumps
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import Inputs, Kind, read_inputs, refused

Json = dict[str, Any]

BASE: Final = "urn:pater:operation-krp"
FIND: Final[Mapping[str, str]] = {
    "rid": "rid", "family": "prijmeni", "given": "jmeno", "birthDate": "datumNarozeni",
    "birthNumber": "rodneCislo", "insuredNumber": "cisloPojistence",
}  # fmt: skip
_DOCUMENT: Final = {"documentType": "druh", "documentNumber": "cislo", "documentCountry": "stat"}
_ELEMENTS: Final = frozenset(ATTRIBUTES.values())


def operations(services: Services, questions: Questions) -> list[Operation]:
    """All of them."""

    async def find(caller: Caller, request: OperationRequest) -> Answer:
        inputs = _inputs(request, *FIND, *_DOCUMENT)
        asked = _asked(caller, inputs)
        masters = await questions.persons(caller, read.who(asked.data), asked.query("find"))
        entries = [
            {
                "fullUrl": f"{services.base_url}/Patient/{each['id']}",
                "resource": each,
                "search": {"mode": "match"},
            }
            for each in masters.values()
        ]
        bundle: Json = {"resourceType": "Bundle", "type": "searchset", "total": len(entries)}
        return Answer(200, dumps({**bundle, "entry": entries}))

    async def insurance(caller: Caller, request: OperationRequest) -> Answer:
        asked = _asked(caller, _inputs(request, "rid", needed=("rid",)))
        said = (await questions.insurance(caller, asked))["pojisteni"]
        names = {"cisloPojistence": "number", "platnostOd": "start", "platnostDo": "end",
                 "zdroj": "source", "stav": "state"}  # fmt: skip
        return _parts("insurance", said, names)

    async def providers(caller: Caller, request: OperationRequest) -> Answer:
        asked = _asked(caller, _inputs(request, "rid", needed=("rid",)))
        said = (await questions.registering(caller, asked))["registrujiciPoskytovatele"]
        # fmt: off
        names = {"obor": "field", "nazev": "name", "system": "system", "identifikator": "number",
                 "platnostOd": "start", "platnostDo": "end", "zdroj": "source", "stav": "state"}
        # fmt: on
        return _parts("provider", said, names)

    async def merge(caller: Caller, request: OperationRequest) -> Answer:
        needed = ("rid", "other", "reason")
        asked = _asked(caller, _inputs(request, *needed, needed=needed))
        asked.data.update({"druhyRid": asked.data["other"], "duvod": asked.data["reason"]})
        return _taken("case", (await questions.merge(caller, asked))["zadost"])

    async def split(caller: Caller, request: OperationRequest) -> Answer:
        asked = _asked(caller, _inputs(request, "rid", "reason", needed=("rid", "reason")))
        asked.data["duvod"] = asked.data["reason"]
        return _taken("dispute", (await questions.split(caller, asked))["reklamaceId"])

    async def dispute(caller: Caller, request: OperationRequest) -> Answer:
        needed = ("rid", "element", "reason")
        inputs = _inputs(request, *needed, needed=needed)
        asked = _asked(caller, inputs)
        element = asked.data["element"]
        if element not in _ELEMENTS:
            path = inputs.needed("element").path
            raise refused(f"one of {', '.join(sorted(_ELEMENTS))}", path)
        udaj = next(name for name, each in ATTRIBUTES.items() if each == element)
        asked.data.update({"udaj": udaj, "popis": asked.data["reason"]})
        return _taken("dispute", (await questions.dispute(caller, asked))["reklamaceId"])

    named: dict[str, Callable[[Caller, OperationRequest], Awaitable[Answer]]] = {
        "find": find, "insurance": insurance, "registering": providers, "merge": merge,
        "split": split, "dispute": dispute,
    }  # fmt: skip
    return [
        Operation(f"krp-{name}", run, frozenset({"Patient"}), definition=f"{BASE}-{name}")
        for name, run in named.items()
    ]


def _inputs(request: OperationRequest, *names: str, needed: tuple[str, ...] = ()) -> Inputs:
    takes: dict[str, Kind] = dict.fromkeys((*names, "purpose"), "text")
    inputs = read_inputs(request, takes)
    for each in needed:
        inputs.needed(each)
    return inputs


def _asked(caller: Caller, inputs: Inputs) -> Asked:
    """The question as its native form has it. `purpose` is the token's unless it says less."""
    purpose = inputs.text("purpose", caller.purpose)
    if PURPOSES.get(purpose) != caller.purpose:
        path = inputs.needed("purpose").path if inputs.one("purpose") else ""
        raise HttpError(403, "forbidden", "the token was given for another purpose", path=path)
    data: Json = {}
    document: Json = {}
    for name in inputs.given:
        if name in _DOCUMENT:
            document[_DOCUMENT[name]] = inputs.text(name)
        elif name != "purpose":
            data[FIND.get(name, name)] = inputs.text(name)
    if document:
        data["doklad"] = document
    return Asked(caller.request_id or str(uuid4()), purpose, data)


def _parts(name: str, rows: list[Json], names: Mapping[str, str]) -> Answer:
    """Rows as parameters with parts."""
    listed = [
        {
            "name": name,
            "part": [
                {"name": names[key], "valueString": str(value)}
                for key, value in row.items()
                if key in names and value
            ],
        }
        for row in rows
    ]
    body: Json = {"resourceType": "Parameters"}
    return Answer(200, dumps(body | ({"parameter": listed} if listed else {})))


def _taken(name: str, number: str) -> Answer:
    parameter = [{"name": name, "valueString": number}]
    return Answer(200, dumps({"resourceType": "Parameters", "parameter": parameter}))
