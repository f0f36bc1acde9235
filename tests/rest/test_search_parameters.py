"""Search parameters of one's own: registered, indexed while the server works, then searched by."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from functools import partial
from types import SimpleNamespace
from typing import Any

import pytest

from pater.rest.search_index import parts
from pater.store import reindex as walking
from pater.store.database import Database
from pater.store.jobs import listing
from pater.store.parameters import KIND, ask_again, follow, open_parameters, refresh
from pater.store.workers import Workers
from pater.store.write import Committer, Put, WriteSet
from tests.conftest import Clock
from tests.rest.world import CLINICIAN, World, issues, observation, world
from tests.waiting import until

BLOOD = "https://example.org/fhir/StructureDefinition/blood-group"


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    """The API with what keeps the index."""
    services: Any = SimpleNamespace(db=database)
    async with world(database, clock, domains=(parts(services),)) as made:
        services.gate = made.gate
        yield made


def parameter(**elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "SearchParameter",
        "url": "https://example.org/fhir/SearchParameter/blood",
        "name": "Blood",
        "status": "active",
        "description": "The blood group.",
        "code": "blood",
        "base": ["Patient"],
        "type": "token",
        "expression": f"Patient.extension.where(url = '{BLOOD}').value.ofType(CodeableConcept)",
        **elements,
    }


def group(code: str) -> dict[str, Any]:
    concept = {"coding": [{"system": "urn:blood", "code": code}]}
    return {"extension": [{"url": BLOOD, "valueCodeableConcept": concept}]}


async def work(api: World, *, grace: float = 0.0, step: int = 2) -> None:
    """Does the jobs that are asked for, as a worker would."""
    stop = asyncio.Event()
    handlers = {KIND: partial(walking.reindex, grace=grace, step=step)}
    worker = asyncio.create_task(Workers(api.db, handlers, pause=0.01).run(stop))
    await done(api)
    stop.set()
    await worker


async def done(api: World) -> None:
    """Waits until no re-indexing is asked for any more."""

    async def complete() -> bool:
        return not any(job.unfinished for job in await listing(api.db, kind=KIND))

    await until(complete)


async def found(api: World, query: str) -> set[str]:
    answer = await api.call("GET", query)
    assert answer.status_code == 200, answer.text
    return {entry["resource"]["id"] for entry in answer.json().get("entry", ())}


async def test_from_registering_to_searching(api: World) -> None:
    old = [(await api.patient(**group(code)))["id"] for code in ("A", "B", "A", "0", "A")]
    assert (await api.call("GET", "/Patient?blood=A")).status_code == 400
    made = await api.create(parameter())
    early = await api.call("GET", "/Patient?blood=A")
    assert early.status_code == 400
    assert issues(early)[0]["code"] == "transient"
    assert "not begun" in early.text
    status = (await api.call("GET", "/SearchParameter/$reindex-status")).json()
    assert status["parameter"][0] == {"name": "complete", "valueBoolean": False}
    new = (await api.patient(**group("A")))["id"]
    await work(api)
    wanted = {old[0], old[2], old[4], new}
    assert await found(api, "/Patient?blood=urn:blood|A") == wanted
    assert await found(api, "/Patient?blood:not=A") == {old[1], old[3]}
    assert await found(api, "/Patient?_filter=blood eq A or blood eq B") == wanted | {old[1]}
    made_one = (await api.create(observation(new)))["id"]
    assert await found(api, "/Observation?patient.blood=A") == {made_one}
    later = (await api.patient(**group("A")))["id"]
    assert await found(api, "/Patient?blood=A") == {*wanted, later}
    changed = {"resourceType": "Patient", "id": later, **group("B")}
    assert (await api.call("PUT", f"/Patient/{later}", changed)).status_code == 200
    assert await found(api, "/Patient?blood=A") == wanted
    status = (await api.call("GET", "/SearchParameter/$reindex-status")).json()
    assert status["parameter"][0] == {"name": "complete", "valueBoolean": True}
    parts = {part["name"]: part for part in status["parameter"][1]["part"]}
    assert parts["code"]["valueCode"] == "Patient"
    assert parts["done"]["valueInteger"] == parts["total"]["valueInteger"] >= 5
    assert (await api.call("DELETE", f"/SearchParameter/{made['id']}")).status_code == 204
    assert (await api.call("GET", "/Patient?blood=A")).status_code == 400


REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"expression": "Patient.extension.where("}, "expression"),
    ({"expression": "Patient.nothing"}, "expression"),
    ({"expression": "Observation.code"}, "expression"),
    ({"expression": "Patient.frobnicate()"}, "expression"),
    ({"code": "bad code!"}, "code"),
    ({"type": "composite", "expression": "Patient.name"}, "expression"),
    (
        {
            "type": "composite",
            "expression": "Patient.name",
            "component": [{"definition": "urn:x", "expression": "family"}] * 2,
        },
        "expression",
    ),
]


async def test_what_gives_nothing_is_refused_with_its_place(api: World) -> None:
    for elements, path in REFUSED:
        answer = await api.call("POST", "/SearchParameter", parameter(**elements))
        assert answer.status_code == 422, elements
        assert f"SearchParameter.{path}" in issues(answer)[0]["expression"], elements
    assert await api.db.fetchval("select count(*) from search_parameter") == 0


async def test_a_draft_is_kept_and_not_searched_by(api: World) -> None:
    draft = await api.create(parameter(status="draft", expression="Patient.extension.where("))
    assert (await api.call("GET", "/Patient?blood=A")).status_code == 400
    draft["status"] = "active"
    put = await api.call("PUT", f"/SearchParameter/{draft['id']}", draft)
    assert put.status_code == 422


async def test_every_kind_of_parameter(api: World) -> None:
    name = "https://example.org/fhir/SearchParameter/"
    kinds = {
        "born": ("date", "Patient.birthDate"),
        "maiden": ("string", "Patient.name.where(use = 'maiden').family"),
        "births": ("number", "Patient.multipleBirth.ofType(integer)"),
        "carer": ("reference", "Patient.generalPractitioner"),
        "names": ("number", "Patient.name.count()"),
        "page": ("uri", "Patient.extension.where(url = 'urn:page').value.ofType(uri)"),
    }
    for code, (kind, expression) in kinds.items():
        await api.create(parameter(url=name + code, code=code, type=kind, expression=expression))
    both = [
        {"definition": name + "maiden", "expression": "family"},
        {"definition": "http://hl7.org/fhir/SearchParameter/individual-given",
         "expression": "given"},
    ]  # fmt: skip
    composite = {"type": "composite", "expression": "Patient.name", "component": both}
    await api.create(parameter(url=name + "both", code="both", **composite))
    doctor = (await api.create({"resourceType": "Practitioner"}))["id"]
    one = (await api.patient(
        name=[{"use": "maiden", "family": "Malá", "given": ["Jana"]}, {"given": ["Eva"]}],
        multipleBirthInteger=2, birthDate="1990-05-06",
        generalPractitioner=[{"reference": f"Practitioner/{doctor}"}],
        extension=[{"url": "urn:page", "valueUri": "https://example.org/a/b"}],
    ))["id"]  # fmt: skip
    other = (await api.patient(name=[{"family": "Malá"}], birthDate="1980-01-01"))["id"]
    await work(api)
    for query in ("born=1990-05", "maiden=mala", "births=gt1", "names=2", "page:below=https://example.org/a",
                  f"carer=Practitioner/{doctor}", "both=mala$jana"):  # fmt: skip
        assert await found(api, f"/Patient?{query}") == {one}, query
    assert await found(api, "/Patient?both=mala$eva") == set()
    assert await found(api, "/Patient?born:missing=false&_id=" + other) == {other}
    ordered = (await api.call("GET", "/Patient?_sort=born")).json()["entry"]
    assert [each["resource"]["id"] for each in ordered] == [other, one]
    included = (await api.call("GET", f"/Patient?_id={one}&_include=Patient:carer")).json()
    assert {e["resource"]["id"] for e in included["entry"]} == {one, doctor}
    back = (await api.call("GET", f"/Practitioner?_id={doctor}&_revinclude=Patient:carer")).json()
    assert {e["resource"]["id"] for e in back["entry"]} == {one, doctor}


async def test_a_walk_that_was_killed_goes_on(api: World, monkeypatch: pytest.MonkeyPatch) -> None:
    for _ in range(9):
        await api.patient(**group("A"))
    await api.create(parameter())
    steps = 0
    lost = asyncio.Event()
    whole = walking._write

    async def dies(*args: Any) -> None:
        nonlocal steps
        steps += 1
        if steps == 3:
            lost.set()
            raise OSError("the machine went away")
        await whole(*args)

    monkeypatch.setattr(walking, "_write", dies)
    stop = asyncio.Event()
    handlers = {KIND: partial(walking.reindex, grace=0.0, step=2)}
    worker = asyncio.create_task(Workers(api.db, handlers, pause=0.01, backoff=0.01).run(stop))
    await lost.wait()
    await refresh(api.db)
    middle = await api.call("GET", "/Patient?blood=A")
    assert middle.status_code in (200, 400)
    await done(api)
    stop.set()
    await worker
    assert steps == 6  # five steps and the one that was lost
    assert len(await found(api, "/Patient?blood=A")) == 9


async def test_another_process_notices(api: World) -> None:
    other = await Database.open(api.db.dsn)
    following = asyncio.create_task(follow(other, every=0.01))
    try:
        await api.create(parameter())
        await until(lambda: other.parameters.custom.of("Patient"))
        committer = Committer(other, api.clock)
        put = Put("Patient", "elsewhere", 9, {"resourceType": "Patient", **group("B")})
        await committer.commit(WriteSet([put]))
        await committer.stop()
    finally:
        following.cancel()
        await other.close()
    await work(api)
    assert await found(api, "/Patient?blood=B") == {"elsewhere"}


async def test_two_jobs_take_turns_and_what_is_registered_meanwhile_is_walked_too(
    api: World,
) -> None:
    for _ in range(12):
        await api.patient(**group("A"), birthDate="1990-05-06")
    await api.create(parameter())
    stop = asyncio.Event()
    handlers = {KIND: partial(walking.reindex, grace=0.0, step=1)}
    worker = asyncio.create_task(Workers(api.db, handlers, pause=0.01, each=3).run(stop))
    url = "https://example.org/fhir/SearchParameter/born"
    await api.create(parameter(url=url, code="born", type="date", expression="Patient.birthDate"))
    await ask_again(api.db, ["Patient"])
    await done(api)
    stop.set()
    await worker
    await refresh(api.db)
    assert len(await found(api, "/Patient?blood=A&born=1990")) == 12


async def test_indexing_anew_changes_no_answer(api: World) -> None:
    patient = await api.patient(identifier=[{"system": "urn:s", "value": "1"}])
    await api.create(observation(patient["id"]))
    queries = (
        "/Patient?identifier=urn:s|1", "/Patient?name=nov", "/Patient?birthdate=1980",
        "/Observation?value-quantity=72&code=8867-4", "/Observation?date=2026-03",
    )  # fmt: skip
    before = [await found(api, query) for query in queries]
    assert all(before)
    await api.db.execute("delete from string_index")
    await api.db.execute("delete from number_index")
    await api.db.execute("update resource set tokens = '{}', date = null, date_end = null")
    assert not any([await found(api, query) for query in queries])
    await ask_again(api.db, ["Patient", "Observation"])
    await work(api)
    assert [await found(api, query) for query in queries] == before


async def test_an_index_of_an_older_format_is_made_anew_once(api: World) -> None:
    patient = await api.patient()
    await open_parameters(api.db)  # asks for what there is, from the format of a new database
    await work(api)
    await api.db.execute("delete from string_index")
    await open_parameters(api.db)
    assert await found(api, "/Patient?name=nov") == set()
    await api.db.execute("update search_parameter_set set format = 0")
    await open_parameters(api.db)
    await work(api)
    assert await found(api, "/Patient?name=nov") == {patient["id"]}


async def test_only_who_may_write_parameters_does(api: World) -> None:
    refused = await api.call("POST", "/SearchParameter", parameter(), CLINICIAN)
    assert refused.status_code == 403
    assert (await api.call("GET", "/Patient?blood=A")).status_code == 400


@pytest.mark.parametrize(
    ("elements", "path"),
    [
        ({"expression": None}, "SearchParameter.expression"),
        ({"expression": None, "type": "special"}, "SearchParameter.type"),
        ({"type": "special"}, "SearchParameter.type"),
        ({"expression": "Patient.(", "type": "token"}, "SearchParameter.expression"),
        ({"expression": "Patient.name", "type": "token"}, "SearchParameter.type"),
        ({"expression": "Patient.birthDate", "type": "quantity"}, "SearchParameter.type"),
        ({"expression": "Observation.code", "type": "token"}, "SearchParameter.expression"),
    ],
)
async def test_what_could_never_be_searched_by_is_refused(
    api: World, elements: dict[str, Any], path: str
) -> None:
    made = {k: v for k, v in parameter(**elements).items() if v is not None}
    answer = await api.call("POST", "/SearchParameter", made)
    assert answer.status_code == 422
    assert [each["expression"] for each in issues(answer)] == [[path]]
    draft = await api.call("POST", "/SearchParameter", {**made, "status": "draft"})
    assert draft.status_code == 201
    revived = {**draft.json(), "status": "active"}
    again = await api.call("PUT", f"/SearchParameter/{revived['id']}", revived)
    assert again.status_code == 422


async def test_definitions_of_r4_itself_are_kept_as_they_are(api: World) -> None:
    near = {"resourceType": "SearchParameter", "name": "near", "status": "active", "code": "near",
            "url": "http://hl7.org/fhir/SearchParameter/Location-near", "description": "Near.",
            "base": ["Location"], "type": "special"}  # fmt: skip
    text = {**near, "name": "_text", "code": "_text", "base": ["DomainResource"], "type": "string",
            "url": "http://hl7.org/fhir/SearchParameter/DomainResource-text"}  # fmt: skip
    for each in (near, text):
        assert (await api.call("POST", "/SearchParameter", each)).status_code == 201
