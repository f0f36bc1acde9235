"""GraphQL over one resource and the server: fields, references, searches, directives, rights."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.rest.world import (
    CLINICIAN,
    HOSPITAL,
    INSURER,
    LOADER,
    World,
    observation,
    patient_caller,
)


async def ask(
    api: World, query: str, path: str = "", variables: Any = None, **more: Any
) -> httpx.Response:
    body = {"query": query, **({"variables": variables} if variables else {})}
    return await api.call("POST", f"{path}/$graphql", json.dumps(body),
                          content_type="application/json", **more)  # fmt: skip


async def data(api: World, query: str, path: str = "", **more: Any) -> Any:
    answer = await ask(api, query, path, **more)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/json"
    assert set(answer.json()) == {"data"}
    return answer.json()["data"]


async def chart(api: World) -> tuple[str, str, list[str]]:
    """A patient with names, a practitioner, and three observations of it by them."""
    patient = await api.patient(
        name=[
            {"use": "official", "family": "Nováková", "given": ["Eva", "Jana"]},
            {"use": "maiden", "family": "Malá", "given": ["Eva"]},
        ],
        telecom=[{"system": "phone", "value": "1"}, {"system": "email", "value": "e"}],
    )
    doctor = await api.create({"resourceType": "Practitioner", "name": [{"family": "Dr"}]})
    by = [{"reference": f"Practitioner/{doctor['id']}"}]
    made = [
        await api.create(
            observation(patient["id"], effectiveDateTime=f"2026-03-0{day}", performer=by)
        )
        for day in (1, 2, 3)
    ]
    return patient["id"], doctor["id"], [each["id"] for each in made]


async def test_fields_of_a_resource(api: World) -> None:
    patient, _, _ = await chart(api)
    query = """{ resourceType id birthDate active
      name(use: official) { family given }
      maiden: name(fhirpath: "use = 'maiden'") { family }
      second: name(_offset: 1, _count: 1) { use } }"""
    assert await data(api, query, f"/Patient/{patient}", caller=CLINICIAN) == {
        "resourceType": "Patient", "id": patient, "birthDate": "1980-02-01", "active": None,
        "name": [{"family": "Nováková", "given": ["Eva", "Jana"]}],
        "maiden": [{"family": "Malá"}], "second": [{"use": "maiden"}],
    }  # fmt: skip
    answer = await api.call(
        "GET",
        f"/Patient/{patient}/$graphql?query={{name{{family}}}}",
        accept="application/fhir+xml",
    )
    assert [each["family"] for each in answer.json()["data"]["name"]] == ["Nováková", "Malá"]
    plain = await api.call("POST", f"/Patient/{patient}/$graphql", "{ id }",
                           content_type="application/graphql")  # fmt: skip
    assert plain.json() == {"data": {"id": patient}}


async def test_references_are_followed(api: World) -> None:
    patient, doctor, made = await chart(api)
    query = """query($o: Boolean = true) {
      subject { reference resource { ... on Patient { birthDate } ... on Group { type } } }
      performer { resource(optional: $o, type: Practitioner) { ...who } }
      nobody: performer { resource(type: Patient) { id } } }
      fragment who on Practitioner { id name { family } }"""
    assert await data(api, query, f"/Observation/{made[0]}") == {
        "subject": {"reference": f"Patient/{patient}", "resource": {"birthDate": "1980-02-01"}},
        "performer": [{"resource": {"id": doctor, "name": [{"family": "Dr"}]}}],
        "nobody": [{"resource": None}],
    }


async def test_what_refers_to_a_resource(api: World) -> None:
    patient, doctor, made = await chart(api)
    query = """{ id ObservationList(_reference: patient, _sort: "-date") {
      id performer { resource { ... on Practitioner { id } } } } }"""
    before = len(await api.journal(entity_type="Practitioner", entity_id=doctor))
    found = await data(api, query, f"/Patient/{patient}")
    assert [each["id"] for each in found["ObservationList"]] == made[::-1]
    doctors = {each["performer"][0]["resource"]["id"] for each in found["ObservationList"]}
    assert doctors == {doctor}
    # the same one is read once, whoever refers to it
    assert len(await api.journal(entity_type="Practitioner", entity_id=doctor)) == before + 1


async def test_the_whole_server(api: World) -> None:
    patient, _, made = await chart(api)
    query = """query($p: ID!) { Patient(id: $p) { id }
      ObservationList(patient: $p, date: "ge2026-03-02", _count: 10) { id }
      ObservationConnection(patient: $p, _count: 2) {
        count pagesize next edges { mode resource { id } } } }"""
    found = await data(api, query, variables={"p": patient}, caller=CLINICIAN)
    assert found["Patient"] == {"id": patient}
    assert {each["id"] for each in found["ObservationList"]} == set(made[1:])
    page = found["ObservationConnection"]
    assert (page["count"], page["pagesize"], len(page["edges"])) == (3, 2, 2)
    more = """query($p: ID!, $n: String) { ObservationConnection(patient: $p, _count: 2,
      _cursor: $n) { next edges { resource { id } } } }"""
    rest = await data(api, more, variables={"p": patient, "n": page["next"]}, caller=CLINICIAN)
    seen = page["edges"] + rest["ObservationConnection"]["edges"]
    assert {each["resource"]["id"] for each in seen} == set(made)
    assert rest["ObservationConnection"]["next"] is None


async def test_the_directives_of_fhir(api: World) -> None:
    patient, _, _ = await chart(api)
    path = f"/Patient/{patient}"
    flat = await data(api, "{ name @flatten { family given } }", path)
    assert flat == {"family": ["Nováková", "Malá"], "given": ["Eva", "Jana", "Eva"]}
    first = await data(api, "{ name @first @flatten { family @singleton } }", path)
    assert first == {"family": "Nováková"}
    assert await data(api, "{ name @first { use } }", path) == {"name": [{"use": "official"}]}
    one = await data(api, "{ name @first @singleton { use } }", path)
    assert one == {"name": {"use": "official"}}
    sliced = await data(api, '{ telecom @slice(fhirpath: "system") { value } }', path)
    assert sliced == {"telecom.phone": {"value": "1"}, "telecom.email": {"value": "e"}}
    skipped = await data(api, "{ id @skip(if: true) birthDate @include(if: true) }", path)
    assert skipped == {"birthDate": "1980-02-01"}


@pytest.mark.parametrize(
    "query",
    [
        "", "{", "mutation { id }", "{ colour }", "{ name }", "{ birthDate { x } }",
        "{ birthDate(x: 1) }", "{ name(colour: 1) { use } }", "{ ...none }",
        "{ ...a } fragment a on Patient { ...a }", "{ id @hat }", "{ id @skip }",
        "{ ObservationList { id } }", "{ HatList(_reference: patient) { id } }",
        "{ name(_count: -1) { use } }", '{ name(fhirpath: "(") { use } }',
        '{ name(fhirpath: "descendants()") { use } }',
        "query($x: Int!) { name(_count: $x) { use } }",
        "{ name(fhirpath: \"family.matches('a')\") { use } }",
        "query a { id } query b { id }", "{ ObservationList(_reference: patient, x: 1) { id } }",
        "{ name(use: {a: 1}) { use } }", "{ContactList(_reference: a) {id}}",
        "{" * 300, "{ id " + "a: id " * 6000 + "}",
    ],
)  # fmt: skip
async def test_a_wrong_query_says_what_is_wrong(api: World, query: str) -> None:
    patient = (await api.patient())["id"]
    answer = await ask(api, query, f"/Patient/{patient}")
    assert answer.status_code == 400, answer.text
    said = answer.json()["errors"][0]
    assert said["message"]
    assert said["extensions"]["resource"]["resourceType"] == "OperationOutcome"


async def test_what_is_withheld_is_not_there(api: World) -> None:
    patient, _, made = await chart(api)
    other = await api.patient()
    own = patient_caller(await api.person_of(other["id"]), other["id"])
    for id in (patient, "absent"):
        one = await ask(api, "{ id }", f"/Patient/{id}", caller=own)
        through = await ask(api, f'{{ Patient(id: "{id}") {{ id }} }}', caller=own)
        assert (one.status_code, through.status_code) == (404, 404)
    found = await data(api, f'{{ ObservationList(patient: "{patient}") {{ id }} }}', caller=own)
    assert found == {"ObservationList": []}
    listed = await ask(api, "{ PatientList { id } }", caller=CLINICIAN)
    assert listed.status_code == 403
    assert (await ask(api, "{ PatientList { id } }", caller=INSURER)).status_code == 403
    reference = {"reference": f"Patient/{patient}"}
    linked = await api.patient(link=[{"other": reference, "type": "seealso"}])
    mine = patient_caller(await api.person_of(linked["id"]), linked["id"])
    query = "{ link { other { reference resource(optional: true) { id } } } }"
    seen = await data(api, query, f"/Patient/{linked['id']}", caller=mine)
    assert seen["link"][0]["other"] == {**reference, "resource": None}
    person = await api.person_of(patient)
    assert await api.journal(person=person, agent=mine.id, outcome="4", entity_id=patient)
    bare = await ask(api, query.replace("(optional: true)", ""), f"/Patient/{linked['id']}",
                     caller=mine)  # fmt: skip
    assert bare.status_code == 404
    assert made and HOSPITAL and LOADER


async def test_a_query_is_bounded(api: World, monkeypatch: pytest.MonkeyPatch) -> None:
    patient, _, _ = await chart(api)
    path = f"/Patient/{patient}"
    monkeypatch.setattr("pater.rest.graphql.loading.MOST_SEARCHES", 1)
    one = "ObservationList(_reference: patient) { id }"
    assert (await ask(api, f"{{ a: {one} b: {one} }}", path)).status_code == 413
    monkeypatch.setattr("pater.rest.graphql.loading.MOST_FOUND", 2)
    assert (await ask(api, f"{{ {one} }}", path)).status_code == 413
    monkeypatch.setattr("pater.rest.graphql.running.MOST_FIELDS", 3)
    assert (await ask(api, "{ name { use family given } }", path)).status_code == 413
    deep = "{ extension " * 25 + "{ url }" + " }" * 25
    nested: dict[str, Any] = {"url": "http://x.org", "valueCode": "x"}
    for _ in range(25):
        nested = {"url": "http://x.org", "extension": [nested]}
    made = await api.patient(extension=[nested])
    monkeypatch.setattr("pater.rest.graphql.running.MOST_FIELDS", 1000)
    assert (await ask(api, deep, f"/Patient/{made['id']}")).status_code == 413
