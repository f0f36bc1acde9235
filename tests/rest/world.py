"""A whole API over a fresh database, with the callers that the tests speak as."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any
from uuid import uuid4

import httpx

from pater.access.caller import Caller
from pater.access.policy import Policy
from pater.access.probing import Probing
from pater.access.standing import DatabaseStanding
from pater.access.tokens import Tokens
from pater.fhir.validation import validate
from pater.records.gate import Gate
from pater.records.standing_kept import StandingKept
from pater.registers.keeping import keep_person
from pater.rest.app import fhir_app
from pater.rest.config import RestConfig
from pater.rest.profiles import StoredProfiles
from pater.store.database import Database
from pater.store.write import Committer
from pater.trust.keys import Keys
from tests.conftest import Clock

BASE = "http://api.test/fhir"

LOADER = Caller(
    kind="system",
    id="loader",
    name="Loader",
    role="loader",
    purpose="SYSADMIN",
    strength=3,
    scopes=("system/*.cruds",),
)
HOSPITAL = Caller(
    kind="system",
    id="hospital-b",
    name="Hospital B",
    role="provider-system",
    organization="12345679",
    organization_name="Hospital B",
    purpose="TREAT",
    strength=3,
    scopes=("system/*.rs", "system/Bundle.c"),
)
CLINICIAN = Caller(
    kind="person",
    id="clinician-b",
    name="MUDr. B",
    role="clinician",
    organization="12345679",
    organization_name="Hospital B",
    purpose="TREAT",
    strength=2,
    scopes=("user/*.rs",),
)
INSURER = Caller(kind="system", id="insurer", name="Insurer", role="none", strength=3)


def patient_caller(person: int, patient: str) -> Caller:
    """A patient at their own portal."""
    return Caller(
        kind="person",
        id=f"account-of-{patient}",
        name="Patient",
        role="patient",
        purpose="PATRQT",
        strength=2,
        scopes=("patient/*.rs",),
        person=person,
        patient=patient,
    )


@dataclass
class World:
    """The parts under test and a client that speaks to them over HTTP."""

    db: Database
    committer: Committer
    gate: Gate
    tokens: Tokens
    app: Any  # as it stands when it is mounted at /fhir
    bare: Any
    http: httpx.AsyncClient
    clock: Clock

    def headers(self, caller: Caller, **more: str) -> dict[str, str]:
        """The authorization of a caller, and more headers (underscores for dashes)."""
        return {
            "Authorization": f"Bearer {self.tokens.issue(caller)}",
            **{name.replace("_", "-"): value for name, value in more.items()},
        }

    async def call(
        self,
        method: str,
        path: str,
        body: Any = None,
        caller: Caller = LOADER,
        **headers: str,
    ) -> httpx.Response:
        """One request; a dict is sent as FHIR JSON, bytes and text as they are."""
        sent = self.headers(caller, **headers)
        content = body
        if isinstance(body, dict):
            content = json.dumps(body).encode()
        if body is not None:
            sent.setdefault("content-type", "application/fhir+json")
        return await self.http.request(method, f"{BASE}{path}", content=content, headers=sent)

    async def create(self, resource: dict[str, Any], caller: Caller = LOADER) -> dict[str, Any]:
        """Creates a resource and gives it back as stored."""
        answer = await self.call("POST", f"/{resource['resourceType']}", resource, caller)
        assert answer.status_code == 201, answer.text
        return answer.json()

    async def patient(self, **elements: Any) -> dict[str, Any]:
        """A new Patient, born 1 February 1980 unless said otherwise."""
        return await self.create(
            {
                "resourceType": "Patient",
                "name": [{"family": "Nováková", "given": ["Eva"]}],
                "birthDate": "1980-02-01",
                **elements,
            }
        )

    async def person_of(self, patient: str) -> int:
        """The person number of a Patient."""
        person = await self.db.fetchval("select person from resource where id = $1", patient)
        assert isinstance(person, int)
        return person

    async def journal(self, **columns: Any) -> list[dict[str, Any]]:
        """The journal rows that have these values, oldest first."""
        rows = await self.db.fetch("select * from journal_entry order by seq")
        found = [dict(row) for row in rows]
        return [r for r in found if all(r[name] == value for name, value in columns.items())]


def observation(patient: str, **elements: Any) -> dict[str, Any]:
    """A heart rate of a Patient."""
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"coding": [{"system": "http://loinc.org", "code": "8867-4"}]},
        "subject": {"reference": f"Patient/{patient}"},
        "effectiveDateTime": "2026-03-01T08:00:00Z",
        "valueQuantity": {
            "value": 72,
            "unit": "/min",
            "system": "http://unitsofmeasure.org",
            "code": "/min",
        },
        **elements,
    }


@asynccontextmanager
async def world(
    db: Database,
    clock: Clock,
    *,
    policy: Policy | None = None,
    probing: Probing | None = None,
    **config: Any,
) -> AsyncIterator[World]:
    """The API over a migrated database, under a policy: without one, what callers state is enough
    and nothing is known of persons.
    """
    keys = Keys.generate()
    tokens = Tokens(keys, BASE.removesuffix("/fhir"), clock)
    committer = Committer(db, clock)
    await committer.start()
    known = DatabaseStanding(db, clock, policy.territories) if policy else None
    gate = Gate(
        db, committer, clock, keys.cursor_key, lambda: str(uuid4()), base_url=BASE,
        policy=policy, standing=known, probing=probing,
    )  # fmt: skip
    if policy:
        for type_, keeper in StandingKept(db, clock, BASE).keepers().items():
            gate.keep(type_, keeper)
    gate.keep("Patient", keep_person, after=True)
    domains = config.pop("domains", ())
    app = fhir_app(
        gate,
        tokens,
        domains,
        RestConfig(
            BASE,
            clock(),
            link_key=keys.derived("links"),
            profiles=StoredProfiles(db, clock),
            **config,
        ),
    )

    async def mounted(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "root_path": "/fhir"}, receive, send)

    transport = httpx.ASGITransport(app=mounted)
    async with httpx.AsyncClient(transport=transport) as http:
        yield World(db, committer, gate, tokens, mounted, app, http, clock)
    await committer.stop()


def as_purpose(caller: Caller, purpose: str) -> Caller:
    """The caller with another purpose of use."""
    return replace(caller, purpose=purpose)


async def pages(api: World, path: str, **call: Any) -> list[dict[str, Any]]:
    """All entries of all pages; each page is valid FHIR."""
    found: list[dict[str, Any]] = []
    while path:
        answer = await api.call("GET", path, **call)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert not [issue for issue in validate(body) if issue.severity == "error"]
        found += body.get("entry", ())
        links = {each["relation"]: each["url"] for each in body["link"]}
        path = links.get("next", "").removeprefix(BASE)
    return found


def issues(answer: httpx.Response) -> list[dict[str, Any]]:
    """The issues of an OperationOutcome."""
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome", body
    assert answer.headers["content-type"].startswith("application/fhir+json")
    found: list[dict[str, Any]] = body["issue"]
    return found
