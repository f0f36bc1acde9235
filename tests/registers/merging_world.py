"""A whole house in which persons are merged and parted, and pictures of what it holds of them."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any
from unittest.mock import patch

import httpx

from pater.access import accounts
from pater.access.accounts import Account
from pater.access.caller import KEY, TWO_FACTORS, Caller
from pater.access.tokens import Tokens
from pater.app import House, now
from pater.fhir.json import parse
from pater.registers import moving
from pater.registers.identifiers import BIRTH_NUMBER, RID, new_rid
from pater.registers.merging import Merge, Merging
from pater.registers.underway import KIND
from pater.store.database import Database
from pater.store.jobs import JobRow, ended, look
from pater.store.text_index import make_current
from pater.store.workers import Workers
from tests.system.documents import discharge
from tests.waiting import PATIENCE

Resource = dict[str, Any]
BASE = "http://127.0.0.1:8080"
LOADER = Caller(
    kind="system", id="loader", name="Loader", role="loader", purpose="SYSADMIN", strength=KEY,
    scopes=("system/*.cruds",),
)  # fmt: skip
REGISTRAR = Caller(
    kind="person", id="registrar", name="R", role="registrar", purpose="HOPERAT",
    strength=TWO_FACTORS, scopes=("user/*.cruds",),
)  # fmt: skip
HOSPITAL = Caller(
    kind="system", id="hospital", name="Hospital", role="provider-system",
    organization="27520536", organization_name="Nemocnice A", purpose="TREAT", strength=KEY,
    scopes=("system/*.cruds",),
)  # fmt: skip

# What a picture shows of each table of a person; rows of no person and what grows by itself do not
# belong to it.
_TABLES = {
    "claim": "select encode(key, 'hex') as key, person, target from claim where person > 0",
    "will": "select source, person, rules from will",
    "care_relation": "select distinct person, kind, organization, practitioner, since::text,"
    " until::text, source_type, source from care_relation",
    "account": "select id, person, patient from account",
    "representation": "select id, person, patient, agent from representation",
    "emergency_access": "select id, person from emergency_access",
    "notice": "select communication, person from notice",
    "exchange_document": "select bundle, person, entries from exchange_document",
    "exchange_seal": "select bundle, person, encode(digest, 'hex') as digest from exchange_seal",
    "source_record": "select source, system, value, person, disputed from source_record",
    "dispute": "select id::text, person, attribute, state from dispute",
    "alias": "select patient, former, person, survivor from alias",
    "person": "select person, rid, patient, state from person",
    "person_index": "select person, encode(features, 'hex') as features from person_index",
    "person_key": "select person, key from person_key",
    "text_index": "select person, rid, type, words::text from text_index where person > 0",
    "string_index": "select person, rid, type, param, value from string_index where person > 0",
    "date_index": "select person, rid, type, param, low::text, high::text from date_index"
    " where person > 0",
    "number_index": "select person, rid, type, param, unit, low, high from number_index"
    " where person > 0",
    "code_index": "select person, rid, token, date::text from code_index where person > 0",
}


@dataclass
class Ward:
    """The house as registrars, hospitals and clerks see it."""

    house: House
    http: httpx.AsyncClient
    random: Random
    known: dict[str, dict[str, str]] = field(default_factory=dict)  # by RID, who it is

    @property
    def db(self) -> Database:
        return self.house.db

    @property
    def merging(self) -> Merging:
        registers = self.house.services.registers
        assert registers is not None
        return registers.merging

    async def call(
        self, method: str, path: str, caller: Caller = LOADER, **options: Any
    ) -> httpx.Response:
        """What the API answers to a caller."""
        token = Tokens(self.house.keys, BASE, now).issue(caller)
        head = {"Authorization": f"Bearer {token}", "content-type": "application/fhir+json"}
        return await self.http.request(method, f"/fhir/{path}", headers=head, **options)

    async def create(self, resource: Resource) -> str:
        """Creates a resource as the loader; gives its id."""
        answer = await self.call("POST", resource["resourceType"], json=resource)
        assert answer.status_code == 201, answer.text
        return answer.headers["location"].split("/fhir/")[1].split("/")[1]

    async def get(self, path: str, caller: Caller = LOADER, status: int = 200) -> Any:
        """An answer that is JSON."""
        answer = await self.call("GET", path, caller)
        assert answer.status_code == status, answer.text
        return answer.json()

    async def found(self, path: str, caller: Caller = LOADER) -> list[str]:
        """The ids that a search finds, sorted."""
        body = await self.get(path, caller)
        return sorted(each["resource"]["id"] for each in body.get("entry", ()))

    async def document(self, rid: str) -> str:
        """A document of a person comes; gives the Patient that the number was given to."""
        sent = json.dumps(discharge(rid, **self.known[rid]))
        answer = await self.call("POST", "Bundle", HOSPITAL, content=sent)
        assert answer.status_code == 201, answer.text
        patient = await self.db.fetchval(
            "select patient from person where rid = $1 order by person desc", rid
        )
        assert isinstance(patient, str)
        return patient

    async def person(self, patient: str) -> int:
        """The person number of a Patient now."""
        number = await self.db.fetchval("select person from resource where id = $1", patient)
        assert isinstance(number, int)
        return number

    async def done(self, act: Merge) -> Merge:
        """An act when it is done, also by a job."""
        if act.job:
            found = await self.worked(act.job)
            assert found.state == "done", found.error
        return await self.merging.one(act.id)

    async def worked(self, job: str) -> JobRow:
        """How the job of an act ended."""
        stop = asyncio.Event()
        workers = Workers(self.db, {KIND: self.merging.work})
        running = asyncio.create_task(workers.run(stop))
        await ended(self.db, job, PATIENCE)
        stop.set()
        await running
        found = await look(self.db, job)
        assert found is not None
        return found

    async def account(self, login: str, patient: str) -> None:
        """Somebody logs in as a patient from now on."""
        made = Account(id=login, login=login, name=login, role="patient")
        keys = self.house.keys
        await accounts.save(self.db, keys, made, "four words are better", "A" * 32, now)
        await accounts.tie(self.db, login, await self.person(patient), patient)

    async def somebody(self, family: str = "Nováková", born: str = "") -> tuple[str, str]:
        """A new person like nobody else, known by a document; gives RID and Patient id."""
        rid = new_rid(self.random)
        self.known[rid] = {
            "family": family,
            "given": "".join(self.random.choices("bcdfghklmnpr", k=9)).title(),
            "born": born
            or f"{self.random.randrange(1920, 2020)}-0{self.random.randrange(1, 10)}-12",
        }
        return rid, await self.document(rid)

    async def picture(self) -> dict[str, Any]:
        """All that the house holds of persons, without what every version changes."""
        await make_current(self.db)
        shown: dict[str, Any] = {}
        rows = await self.db.fetch(
            "select person, type, id, rid, deleted, date, date_end, tokens, dict, body, label"
            " from resource where person > 0"
        )
        await self.db.bodies.ensure(self.db, {row["dict"] for row in rows})
        shown["resource"] = {
            f"{row['type']}/{row['id']}": (
                row["person"], row["deleted"], row["date"], row["date_end"], sorted(row["tokens"]),
                row["label"], _body(self.db.bodies.decompress(row["dict"], row["body"])),
            )
            for row in rows
        }  # fmt: skip
        for table, sql in _TABLES.items():
            found = [
                tuple(sorted(v) if isinstance(v, list) else v for v in map(_plain, row.values()))
                for row in await self.db.fetch(sql)
            ]
            shown[table] = Counter(map(str, found))
        rows = await self.db.fetch("select type, id, version, person from history where person > 0")
        shown["history"] = {(row["type"], row["id"], row["version"]): row["person"] for row in rows}
        return shown


@contextmanager
def large(wanted: bool = True) -> Iterator[None]:
    """Whatever is moved is large: it is moved by a job, two resources at a time."""
    bound = 0 if wanted else moving.AT_ONCE
    with patch.object(moving, "AT_ONCE", bound), patch.object(moving, "CHUNK", 2):
        yield


def _plain(value: Any) -> Any:
    return value


def _body(body: bytes) -> Any:
    if not body:
        return None
    resource = parse(body)
    meta = resource.get("meta")
    if resource["resourceType"] == "Bundle" or not isinstance(meta, dict):
        return body
    kept = {k: v for k, v in meta.items() if k not in ("versionId", "lastUpdated")}
    return {**resource, "meta": kept}


def same(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Where two pictures differ; of histories only what both have counts."""
    told = []
    for table, was in before.items():
        now_ = after[table]
        if table == "history":
            told += [
                f"history {key}: {whose} -> {now_.get(key)}"
                for key, whose in was.items() if now_.get(key) != whose
            ]  # fmt: skip
        elif table == "resource":
            told += [
                f"{table} {key}: {was.get(key)} -> {now_.get(key)}"
                for key in was.keys() | now_.keys() if was.get(key) != now_.get(key)
            ]  # fmt: skip
        else:
            told += [f"{table} gone: {each}" for each in (was - now_)]
            told += [f"{table} new: {each}" for each in (now_ - was)]
    return told


def observation(patient: str, value: float = 72) -> Resource:
    """A heart rate."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}], "text": "pulse"},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueQuantity": {
            "value": value, "unit": "/min", "system": "http://unitsofmeasure.org", "code": "/min",
        },
    }  # fmt: skip


def consent(patient: str, organization: str = "12345679") -> Resource:
    """A patient holds everything back from an organization."""
    return {
        "resourceType": "Consent",
        "status": "active",
        "scope": {
            "coding": [
                {
                    "system": "http://terminology.hl7.org/CodeSystem/consentscope",
                    "code": "patient-privacy",
                }
            ]
        },
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": f"Patient/{patient}"},
        "dateTime": "2026-02-01T08:00:00Z",
        "policyRule": {"text": "own"},
        "provision": {
            "type": "deny",
            "actor": [
                {
                    "role": {
                        "coding": [
                            {
                                "system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType",
                                "code": "IRCP",
                            }
                        ]
                    },
                    "reference": {
                        "identifier": {
                            "system": "https://ncez.mzcr.cz/fhir/sid/ico",
                            "value": organization,
                        }
                    },
                }
            ],
        },
    }


def coverage(patient: str) -> Resource:
    """An insurance: a record whose owner stands in `beneficiary`."""
    return {
        "resourceType": "Coverage",
        "status": "active",
        "beneficiary": {"reference": f"Patient/{patient}"},
        "payor": [{"display": "111"}],
    }


def numbered(rid: str, *birth_numbers: str) -> list[Resource]:
    """Identifiers of a Patient."""
    return [
        {"system": RID, "value": rid},
        *({"system": BIRTH_NUMBER, "value": each} for each in birth_numbers),
    ]
