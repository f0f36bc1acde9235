"""What the search chapter of R4 says, read again line by line: small things that were wrong."""

from __future__ import annotations

import pytest

from tests.rest.test_search import ids, links
from tests.rest.test_search_forms import bundle
from tests.rest.world import BASE, World, issues, observation


async def test_a_version_of_a_reference(api: World) -> None:
    patient = (await api.patient())["id"]
    plain = (await api.create(observation(patient)))["id"]
    bound = {"reference": f"Patient/{patient}/_history/1"}
    exact = (await api.create(observation(patient, subject=bound)))["id"]
    for value, wanted in {
        f"Patient/{patient}": {plain, exact},
        f"Patient/{patient}/_history/1": {exact},
        f"{BASE}/Patient/{patient}/_history/1": {exact},
        f"Patient/{patient}/_history/2": set(),
        f"Patient/{patient}/_history/2,Patient/{patient}": {plain, exact},
    }.items():
        for name in ("subject", "patient"):
            found = await bundle(api, f"/Observation?{name}={value}&_total=accurate")
            assert set(ids(found)) == wanted, value
            assert found["total"] == len(wanted)


async def test_elements_by_their_paths(api: World) -> None:
    patient = (await api.patient(gender="female"))["id"]
    for value in ("name.family", "name.family,name.given", "Patient.name.period.start"):
        found = await bundle(api, f"/Patient?_id={patient}&_elements={value}")
        (entry,) = found["entry"]
        assert set(entry["resource"]) == {"resourceType", "id", "meta", "name"}
    for wrong in ("name.nonsense", "nonsense.family", "name.", ".name"):
        answer = await api.call("GET", f"/Patient?_id={patient}&_elements={wrong}")
        assert answer.status_code == 400, wrong


async def test_links_say_the_size_that_was_given(api: World) -> None:
    patient = (await api.patient())["id"]
    found = await bundle(api, f"/Patient?_id={patient}&_count=5000")
    assert links(found)["self"] == f"{BASE}/Patient?_id={patient}&_count=1000"


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ("_include:recurse=Patient:link", ":iterate"),
        ("_revinclude:all=Observation:patient", ":iterate"),
        ("_summary=text&_include=Patient:link", "_summary=text"),
        ("_summary=text&_revinclude=Observation:patient", "_summary=text"),
    ],
)
async def test_what_does_not_go_together(api: World, query: str, said: str) -> None:
    answer = await api.call("GET", f"/Patient?{query}")
    assert answer.status_code == 400
    (issue,) = issues(answer)
    assert said in issue["diagnostics"]


async def test_escaped_values_of_every_kind(api: World) -> None:
    number = {"system": "urn:x|y", "value": r"a,b|c$d\e"}
    made = (await api.create({
        "resourceType": "Organization", "name": r"Clinic, $1|x\y", "identifier": [number],
    }))["id"]  # fmt: skip
    for query in (
        r"name=clinic\, \$1\|x\\y", r"name:exact=Clinic\, $1|x\\y", r"name:contains=\, \$1",
        r"identifier=urn:x\|y|a\,b\|c\$d\\e", r"identifier=a\,b\|c\$d\\e",
        r"name=nothing,clinic\, ",
    ):  # fmt: skip
        assert ids(await bundle(api, f"/Organization?{query}&_id={made}")) == [made], query
    assert ids(await bundle(api, rf"/Organization?name=clinic\, 2&_id={made}")) == []


async def test_a_chain_of_three_backward_links(api: World) -> None:
    doctor = (await api.create({"resourceType": "Practitioner", "name": [{"family": "X"}]}))["id"]
    general = [{"reference": f"Practitioner/{doctor}"}]
    patient = (await api.patient(generalPractitioner=general))["id"]
    visit = (await api.create({
        "resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
    }))["id"]  # fmt: skip
    await api.create(observation(patient, encounter={"reference": f"Encounter/{visit}"}))
    path = "/Practitioner?_has:Patient:general-practitioner:_has:Encounter:patient:"
    assert ids(await bundle(api, f"{path}_has:Observation:encounter:code=8867-4")) == [doctor]
    assert ids(await bundle(api, f"{path}_has:Observation:encounter:code=nothing")) == []


async def test_a_form_and_the_address_together(api: World) -> None:
    one = (await api.patient(name=[{"family": "Formová", "given": ["A"]}]))["id"]
    await api.patient(name=[{"family": "Formová", "given": ["B"]}])
    answer = await api.call(
        "POST", "/Patient/_search?given=A", "family=formova&_total=accurate",
        content_type="application/x-www-form-urlencoded",
    )  # fmt: skip
    assert (ids(answer.json()), answer.json()["total"]) == ([one], 1)


async def test_places_and_what_is_part_of_them(api: World) -> None:
    made: dict[str, str] = {}
    for name, parent in (("house", ""), ("ward", "house"), ("room", "ward"), ("annex", "")):
        place = {"resourceType": "Location", "name": name}
        if parent:
            place["partOf"] = {"reference": f"Location/{made[parent]}"}  # type: ignore[assignment]
        made[name] = (await api.create(place))["id"]
    patient = (await api.patient())["id"]
    visits = {}
    for name, id_ in made.items():
        visits[name] = (await api.create({
            "resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"},
            "subject": {"reference": f"Patient/{patient}"},
            "location": [{"location": {"reference": f"Location/{id_}"}}],
        }))["id"]  # fmt: skip
    for query, wanted in {
        f"location:below={made['ward']}": {"ward", "room"},
        f"location:below=Location/{made['house']}": {"house", "ward", "room"},
        f"location:above={made['room']}": {"house", "ward", "room"},
        f"location:below={made['room']},{made['annex']}": {"room", "annex"},
        "location:below=absent": set(),
    }.items():
        found = await bundle(api, f"/Encounter?patient={patient}&{query}&_total=accurate")
        assert set(ids(found)) == {visits[name] for name in wanted}, query
        assert found["total"] == len(wanted)
    circle = {"resourceType": "Location", "id": made["house"], "name": "house",
              "partOf": {"reference": f"Location/{made['room']}"}}  # fmt: skip
    assert (await api.call("PUT", f"/Location/{made['house']}", circle)).status_code == 200
    found = await bundle(api, f"/Encounter?patient={patient}&location:below={made['room']}")
    assert len(ids(found)) == 3
    places = await bundle(api, f"/Location?partof:below={made['ward']}&name=room,house,ward")
    assert set(ids(places)) == {made["room"], made["house"], made["ward"]}
    chained = f"/Encounter?location.partof:below={made['annex']}"
    assert ids(await bundle(api, chained)) == []
    for wrong in ("subject:below=1", "location:below=Patient/1", "location:below=urn:x:y"):
        answer = await api.call("GET", f"/Encounter?{wrong}")
        assert answer.status_code == 400, wrong
