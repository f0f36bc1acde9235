"""The register's own questions as FHIR operations on Patient, by POST.

What an operation takes and gives stands in one table with what it does: it is read by it, and its
OperationDefinition says the same. Answers are Patients, or what was asked as parts.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Final
from uuid import uuid4

from pater.access.caller import Caller
from pater.domain import Answer, Operation, OperationRequest, Parameter, Services
from pater.domains.persons.krp import asked as read
from pater.domains.persons.krp.envelope import PURPOSES, Asked
from pater.domains.persons.krp.questions import ATTRIBUTES, Questions
from pater.fhir.json import dumps
from pater.registers.held import Held, Insured, Registering
from pater.registers.identifiers import ICO, SID
from pater.rest.errors import HttpError
from pater.rest.operations.inputs import Inputs, Kind, read_inputs, refused
from pater.rest.operations.places import parameters

Json = dict[str, Any]

FIND: Final[Mapping[str, str]] = {
    "rid": "rid", "family": "prijmeni", "given": "jmeno", "birthDate": "datumNarozeni",
    "birthNumber": "rodneCislo", "insuredNumber": "cisloPojistence",
}  # fmt: skip
"""What names somebody, and its native name."""
DOCUMENT: Final = {"documentType": "druh", "documentNumber": "cislo", "documentCountry": "stat"}
_NATIVE: Final = "zadostData"
BACK: Final[Mapping[str, str]] = {
    **{said: name for name, said in (*FIND.items(), *DOCUMENT.items())},
    "kDatu": "date", "druhyRid": "other", "duvod": "reason", "popis": "reason", "udaj": "element",
}  # fmt: skip
"""Native names, and those of the parameters."""
_ELEMENTS: Final = frozenset(ATTRIBUTES.values())
_ICO: Final = 8
"""Digits of an IČO; an insurer's code has three."""
_ACT_CODE: Final = "http://terminology.hl7.org/CodeSystem/v3-ActCode"

_PURPOSE: Final = Parameter(
    "purpose", "code", "what it is asked for; that of the token unless it says the same otherwise"
)
_RID: Final = Parameter("rid", "string", "the register's number of the person (RID, DRID)", 1)
_AT: Final = Parameter("date", "date", "the day that is asked about; without it all days")
_REASON: Final = Parameter("reason", "string", "why, for the registrar who decides", 1)
NAMING: Final = (
    Parameter("rid", "string", "the register's number"),
    Parameter("family", "string", "family name, present or former"),
    Parameter("given", "string", "given names"),
    Parameter("birthDate", "date", "date of birth"),
    Parameter("birthNumber", "string", "birth number (rodné číslo)"),
    Parameter("insuredNumber", "string", "insured person's number"),
    Parameter("documentType", "code", "ID (identity card) or P (passport)"),
    Parameter("documentNumber", "string", "number of the document"),
    Parameter("documentCountry", "code", "country of issue, three letters; CZE unless it is said"),
)
_HELD: Final = (
    Parameter("start", "string", "since when"),
    Parameter("end", "string", "until when"),
    Parameter("source", "string", "who says so", 1),
    Parameter("state", "code", "correct or disputed", 1),
)
_TOLD: Final = (
    Parameter("identifier", "Identifier", "the sender's own number of the person", 1),
    Parameter("patient", "Patient", "who it is, as the sender knows them", 1),
    _PURPOSE,
)
_REGISTERED: Final = (
    Parameter("outcome", "code", "matched, new, or possible: a registrar decides", 1),
    Parameter("patient", "Patient", "the register's own Patient, with its RID or DRID", 1),
)
TABLE: Final[Mapping[str, tuple[str, bool, tuple[Parameter, ...], tuple[Parameter, ...]]]] = {
    "find": (
        "Who is meant by exactly what is said: a number, a document, or a name with a birth date."
        " All that is said has to be the person's.",
        False,
        (*NAMING, _PURPOSE),
        (Parameter("return", "Bundle", "a searchset of those who are meant", 1),),
    ),
    "insurance": (
        "The health insurance of a person with its periods, as each source says, the newest first.",
        False,
        (_RID, _AT, _PURPOSE),
        (
            Parameter(
                "insurance", "", "one period", 0, "*",
                (
                    Parameter("number", "string", "insured person's number", 1),
                    Parameter("insurer", "code", "the insurer's code"),
                    Parameter("name", "string", "the insurer's name"),
                    *_HELD,
                    Parameter("coverage", "Coverage", "the same as a resource", 1),
                ),
            ),
        ),
    ),
    "registering": (
        "The providers with whom a person is registered (general practitioner, dentist,"
        " gynaecologist), with periods, as each source says, the newest first.",
        False,
        (_RID, _AT, _PURPOSE),
        (
            Parameter(
                "provider", "", "one period", 0, "*",
                (
                    Parameter("field", "string", "field of care, SNOMED CT in the Czech profile"),
                    Parameter("name", "string", "the provider's name"),
                    Parameter("system", "uri", "system of the provider's number"),
                    Parameter("number", "string", "the provider's number"),
                    *_HELD,
                ),
            ),
        ),
    ),
    "create": (
        "Tells of somebody whom the sender did not know before, under its own number."
        " 409 when the number is known.",
        True, _TOLD, _REGISTERED,
    ),
    "change": (
        "Says anew who somebody is whom the sender knows. 404 when the number is not known.",
        True, _TOLD, _REGISTERED,
    ),
    "temporary": (
        "Registers somebody of whom little is known, without any other number, under a number for"
        " the time being (DRID).",
        True, _TOLD, _REGISTERED,
    ),
    "merge": (
        "Asks a registrar to make two persons one.",
        True,
        (_RID, Parameter("other", "string", "the other's number", 1), _REASON, _PURPOSE),
        (Parameter("case", "string", "number of the registrar's case", 1),),
    ),
    "split": (
        "Says that one record is of two persons; a registrar decides.",
        True,
        (_RID, _REASON, _PURPOSE),
        (Parameter("dispute", "string", "number of the dispute", 1),),
    ),
    "dispute": (
        "Says that a part of a person's record is wrong; a registrar decides.",
        True,
        (_RID, Parameter("element", "code", f"one of {', '.join(sorted(_ELEMENTS))}", 1), _REASON,
         _PURPOSE),
        (Parameter("dispute", "string", "number of the dispute", 1),),
    ),
}  # fmt: skip
"""What each operation does, whether it changes anything, what it takes, what it gives."""

_KINDS: Final[Mapping[str, Kind]] = {"Identifier": "complex", "Patient": "resource"}


def operations(services: Services, questions: Questions) -> list[Operation]:
    """All of them but those of many persons at once."""

    async def find(caller: Caller, inputs: Inputs) -> Answer:
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

    async def insurance(caller: Caller, inputs: Inputs) -> Answer:
        master, rows = await questions.insured(caller, _asked(caller, inputs))
        return parameters(*(_insurance(each, master) for each in rows))

    async def registering(caller: Caller, inputs: Inputs) -> Answer:
        rows = await questions.registered(caller, _asked(caller, inputs))
        return parameters(*(_registering(each) for each in rows))

    async def tell(caller: Caller, inputs: Inputs, *, known: bool) -> Answer:
        number, path = inputs.needed("identifier")
        system, value = number.get("system"), number.get("value")
        if not (isinstance(system, str) and isinstance(value, str) and system and value):
            raise refused("the sender's number has a system and a value", path)
        patient, path = inputs.needed("patient")
        if patient.get("resourceType") != "Patient":
            raise refused("patient is a Patient", path)
        what = _asked(caller, inputs).query("zapis")
        outcome, _, master = await questions.told(caller, system, value, patient, what, known=known)
        return parameters(
            {"name": "outcome", "valueCode": outcome}, {"name": "patient", "resource": master}
        )

    async def create(caller: Caller, inputs: Inputs) -> Answer:
        return await tell(caller, inputs, known=False)

    async def change(caller: Caller, inputs: Inputs) -> Answer:
        return await tell(caller, inputs, known=True)

    async def temporary(caller: Caller, inputs: Inputs) -> Answer:
        if inputs.needed("patient").value.get("identifier"):
            text = "who has a number is created, and needs none for the time being"
            raise refused(text, "Patient.identifier")
        return await tell(caller, inputs, known=False)

    async def merge(caller: Caller, inputs: Inputs) -> Answer:
        asked = _asked(caller, inputs)
        asked.data.update({"druhyRid": asked.data["other"], "duvod": asked.data["reason"]})
        return _taken("case", (await questions.merge(caller, asked))["zadost"])

    async def split(caller: Caller, inputs: Inputs) -> Answer:
        asked = _asked(caller, inputs)
        asked.data["duvod"] = asked.data["reason"]
        return _taken("dispute", (await questions.split(caller, asked))["reklamaceId"])

    async def dispute(caller: Caller, inputs: Inputs) -> Answer:
        asked = _asked(caller, inputs)
        element = asked.data["element"]
        if element not in _ELEMENTS:
            path = inputs.needed("element").path
            raise refused(f"one of {', '.join(sorted(_ELEMENTS))}", path)
        udaj = next(name for name, each in ATTRIBUTES.items() if each == element)
        asked.data.update({"udaj": udaj, "popis": asked.data["reason"]})
        return _taken("dispute", (await questions.dispute(caller, asked))["reklamaceId"])

    runs = {
        "find": find, "insurance": insurance, "registering": registering, "create": create,
        "change": change, "temporary": temporary, "merge": merge, "split": split,
        "dispute": dispute,
    }  # fmt: skip
    return [_operation(name, run) for name, run in runs.items()]


def _operation(name: str, run: Any) -> Operation:
    text, changes, takes, gives = TABLE[name]

    async def answer(caller: Caller, request: OperationRequest) -> Answer:
        inputs = read_inputs(request, {each.name: _KINDS.get(each.type, "text") for each in takes})
        for each in takes:
            if each.least:
                inputs.needed(each.name)
        try:
            made: Answer = await run(caller, inputs)
        except HttpError as error:
            issues = [replace(each, path=_place(each.path, inputs)) for each in error.issues]
            raise HttpError(
                error.status, "", str(error), headers=error.headers, issues=issues
            ) from error
        return made

    types = frozenset({"Patient"})
    return Operation(f"krp-{name}", answer, types, text=text, takes=takes, gives=gives,
                     changes=changes)  # fmt: skip


def _place(path: str, inputs: Inputs) -> str:
    """Where the parameters have what a native question names by `path`."""
    root, *names = path.split(".")
    if root != _NATIVE:
        return path
    name = next(
        (BACK.get(each, each) for each in names if BACK.get(each, each) in inputs.given), ""
    )
    given = inputs.given.get(name, ())
    return given[0].path if given else "Parameters"


def _asked(caller: Caller, inputs: Inputs) -> Asked:
    """The question as its native form has it. `purpose` is the token's unless it says less."""
    purpose = inputs.text("purpose", caller.purpose)
    if PURPOSES.get(purpose) != caller.purpose:
        path = inputs.needed("purpose").path if inputs.one("purpose") else ""
        raise HttpError(403, "forbidden", "the token was given for another purpose", path=path)
    texts = {name: inputs.text(name) for name in inputs.given if name != "purpose"}
    return Asked(caller.request_id or str(uuid4()), purpose, native(texts))


def native(said: Mapping[str, str]) -> Json:
    """What names somebody under its native names."""
    data: Json = {"kDatu" if key == "date" else FIND.get(key, key): value
                  for key, value in said.items() if key not in DOCUMENT}  # fmt: skip
    document = {DOCUMENT[key]: value for key, value in said.items() if key in DOCUMENT}
    return data | ({"doklad": document} if document else {})


def _insurance(row: Insured, master: Json) -> Json:
    said = {"number": row.number, "insurer": row.insurer, "name": row.name}
    kinds = {"insurer": "valueCode"}
    coverage = {"name": "coverage", "resource": _coverage(row, master)}
    return {"name": "insurance", "part": [*_parts(said, kinds), *_held(row), coverage]}


def _coverage(row: Insured, master: Json) -> Json:
    """A period of insurance as the Czech profile of Coverage has it."""
    payor: Json = {"display": row.name} if row.name else {}
    if row.insurer:
        system = ICO if len(row.insurer) == _ICO else SID + "kp"
        payor["identifier"] = {"system": system, "value": row.insurer}
    period = {key: said for key, said in (("start", row.start), ("end", row.end)) if said}
    made: Json = {
        "resourceType": "Coverage",
        "status": "active",
        "type": {"coding": [{"system": _ACT_CODE, "code": "HIP"}]},
        "subscriberId": row.number,
        "beneficiary": {"reference": f"Patient/{master['id']}"},
        "payor": [payor or {"display": "not known"}],
    }
    return made | ({"period": period} if period else {})


def _registering(row: Registering) -> Json:
    said = {"field": row.field, "name": row.name, "system": row.system, "number": row.number}
    parts = [*_parts(said, {"system": "valueUri"}), *_held(row)]
    return {"name": "provider", "part": parts}


def _held(row: Held) -> Sequence[Json]:
    state = "disputed" if row.disputed else "correct"
    said = {"start": row.start, "end": row.end, "source": row.source, "state": state}
    return _parts(said, {"state": "valueCode"})


def _parts(said: Mapping[str, str], kinds: Mapping[str, str]) -> list[Json]:
    return [
        {"name": name, kinds.get(name, "valueString"): value}
        for name, value in said.items()
        if value
    ]


def _taken(name: str, number: str) -> Answer:
    return parameters({"name": name, "valueString": number})
