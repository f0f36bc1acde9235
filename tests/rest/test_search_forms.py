"""Searches beyond one condition on one type: words, filters, lists, codes, leniency, all types."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from pater.fhir.validation import validate
from tests.rest.test_search import ids, links
from tests.rest.world import BASE, CLINICIAN, World, issues, observation, patient_caller

SYSTEM = "urn:example:illness"


async def bundle(api: World, path: str, **more: Any) -> dict[str, Any]:
    answer = await api.call("GET", path, **more)
    assert answer.status_code == 200, answer.text
    body: dict[str, Any] = answer.json()
    assert not validate(body)
    return body


def condition(patient: str, code: str, display: str, **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "subject": {"reference": f"Patient/{patient}"},
        "code": {"coding": [{"system": SYSTEM, "code": code, "display": display}]},
        **elements,
    }


def narrative(text: str) -> dict[str, Any]:
    div = f'<div xmlns="http://www.w3.org/1999/xhtml"><p>{text}</p></div>'
    return {"status": "generated", "div": div}


async def test_words_of_text_and_narrative(api: World) -> None:
    patient = (await api.patient())["id"]
    asthma = await api.create(
        condition(patient, "J45", "Průduškové astma", note=[{"text": "po námaze, v chladu"}])
    )
    told = await api.create(
        condition(patient, "I10", "Hypertenze", text=narrative("Léčená <b>hypertenze</b>, astma"))
    )
    path = f"/Condition?patient={patient}"
    for words, wanted in {
        "astma": {asthma["id"], told["id"]},
        "PRUDUSKOVE ast": {asthma["id"]},
        "námaz chlad": {asthma["id"]},
        "namaze OR lecena": {asthma["id"], told["id"]},
        "astma -léčená": {asthma["id"]},
        '"hyperten"': set(),
        '"hypertenze" AND astma': {told["id"]},
        "http": set(),
    }.items():
        query = f"{path}&_content={quote(words)}&_total=accurate"
        found = await bundle(api, query)
        assert set(ids(found)) == wanted, words
        assert found["total"] == len(wanted)
    assert ids(await bundle(api, f"{path}&_text=astma")) == [told["id"]]
    assert set(ids(await bundle(api, "/Condition?_content=namaze,lecena"))) == {
        asthma["id"], told["id"],
    }  # fmt: skip
    asthma["note"] = [{"text": "bez potíží"}]
    assert (await api.call("PUT", f"/Condition/{asthma['id']}", asthma)).status_code == 200
    assert ids(await bundle(api, f"{path}&_content=namaze")) == []
    assert ids(await bundle(api, f"{path}&_content=potiz")) == [asthma["id"]]
    await api.call("DELETE", f"/Condition/{asthma['id']}")
    assert ids(await bundle(api, f"{path}&_content=potiz")) == []
    refused = await api.call("GET", f"{path}&_content=-,;")
    assert refused.status_code == 400


async def test_how_codes_and_references_are_shown(api: World) -> None:
    patient = (await api.patient())["id"]
    made = await api.create(
        condition(
            patient, "J45", "Průduškové astma",
            asserter={"reference": f"Patient/{patient}", "display": "MUDr. Jan Černý"},
        )
    )  # fmt: skip
    await api.create(condition(patient, "X1", "Jiné", note=[{"text": "astma, Černý"}]))
    for query in ("code:text=prudusk", "code:code-text=astma", "asserter:text=cerny"):
        path = f"/Condition?patient={patient}&{query}&_total=accurate"
        found = await bundle(api, path)
        assert (ids(found), found["total"]) == ([made["id"]], 1), query


async def test_an_identifier_by_its_type(api: World) -> None:
    kind = {"coding": [{"system": "urn:types", "code": "MR"}], "text": "chorobopis"}
    number = {"type": kind, "system": "urn:hospital", "value": "77-a"}
    one = await api.patient(identifier=[number])
    await api.patient(identifier=[{"system": "urn:hospital", "value": "77-a"}])
    path = "/Patient?identifier:of-type="
    assert ids(await bundle(api, f"{path}urn:types|MR|77-a")) == [one["id"]]
    assert ids(await bundle(api, f"{path}urn:types|XX|77-a")) == []
    assert (await api.call("GET", f"{path}urn:types|MR")).status_code == 400
    assert ids(await bundle(api, "/Patient?identifier:text=chorobopis")) == [one["id"]]


async def test_amounts_in_other_units(api: World) -> None:
    patient = (await api.patient())["id"]
    ucum = "http://unitsofmeasure.org"
    made = {}
    for unit, value in (("mmol/L", 5.4), ("umol/L", 5400), ("mmol/L", 5.6), ("g/L", 5.4)):
        quantity = {"value": value, "unit": unit, "system": ucum, "code": unit}
        resource = observation(patient, valueQuantity=quantity)
        made[unit, value] = (await api.create(resource))["id"]
    path = f"/Observation?patient={patient}&value-quantity="
    same = {made["mmol/L", 5.4], made["umol/L", 5400]}
    assert set(ids(await bundle(api, f"{path}5.40|{ucum}|mmol/L"))) == same
    assert set(ids(await bundle(api, f"{path}5400|{ucum}|umol/L"))) == same
    assert set(ids(await bundle(api, f"{path}le5400000|{ucum}|nmol/L"))) == same
    assert ids(await bundle(api, f"{path}gt5400|{ucum}|umol/L")) == [made["mmol/L", 5.6]]
    assert ids(await bundle(api, f"{path}5400||umol/L")) == [made["umol/L", 5400]]


async def test_composites_hold_within_one_element(api: World) -> None:
    patient = (await api.patient())["id"]

    def part(code: str, value: int) -> dict[str, Any]:
        return {
            "code": {"coding": [{"system": "http://loinc.org", "code": code}]},
            "valueQuantity": {"value": value, "system": "http://unitsofmeasure.org",
                              "code": "mm[Hg]"},
        }  # fmt: skip

    resource = observation(patient, component=[part("8480-6", 150), part("8462-4", 80)])
    del resource["valueQuantity"]
    pressure = (await api.create(resource))["id"]
    pulse = (await api.create(observation(patient)))["id"]
    path = f"/Observation?patient={patient}&_total=accurate&"
    for query, wanted in {
        "component-code-value-quantity=8480-6$gt100": {pressure},
        "component-code-value-quantity=8462-4$gt100": set(),
        "component-code-value-quantity=8462-4$gt100,8480-6$150": {pressure},
        "combo-code-value-quantity=8867-4$72": {pulse},
        "combo-code-value-quantity=http://loinc.org|8480-6$ge15|http://unitsofmeasure.org|kPa": {
            pressure
        },
        "code-value-quantity=8867-4$72": {pulse},
        "code-value-quantity=8867-4$lt72,8867-4$72": {pulse},
        "code-value-quantity=8480-6$72": set(),
    }.items():
        found = await bundle(api, path + query)
        assert set(ids(found)) == wanted, query
        assert found["total"] == len(wanted)
    for wrong in ("8480-6", "8480-6$", "8480-6$1$2", "8480-6$x"):
        answer = await api.call("GET", f"{path}combo-code-value-quantity={wrong}")
        assert answer.status_code == 400, wrong


async def test_paths_of_uris(api: World) -> None:
    made = [
        await api.create({"resourceType": "ValueSet", "status": "draft", "url": url})
        for url in ("https://a.example/x", "https://a.example/x/y", "https://a.example/xy")
    ]
    one, two, three = (each["id"] for each in made)
    below = await bundle(api, "/ValueSet?url:below=https://a.example/x")
    assert set(ids(below)) == {one, two}
    above = await bundle(api, "/ValueSet?url:above=https://a.example/x/y/z")
    assert set(ids(above)) == {one, two}
    whole = await bundle(api, "/ValueSet?url:below=https://a.example/")
    assert {one, two, three} == set(ids(whole))


async def test_codes_of_value_sets_and_hierarchies(api: World) -> None:
    url = "https://example.org/CodeSystem/animals"
    await api.create({
        "resourceType": "CodeSystem", "status": "active", "url": url, "content": "complete",
        "hierarchyMeaning": "is-a",
        "concept": [{"code": "mammal", "concept": [{"code": "dog", "concept": [{"code": "pug"}]},
                                                   {"code": "cat"}]}, {"code": "bird"}],
    })  # fmt: skip
    pets = await api.create({
        "resourceType": "ValueSet", "status": "active", "url": "https://example.org/ValueSet/pets",
        "compose": {"include": [{"system": url, "concept": [{"code": "dog"}, {"code": "cat"}]}]},
    })  # fmt: skip
    patient = (await api.patient())["id"]
    made = {}
    for code in ("mammal", "dog", "pug", "cat", "bird"):
        coding = {"coding": [{"system": url, "code": code}]}
        made[code] = (await api.create(observation(patient, code=coding)))["id"]
    path = f"/Observation?patient={patient}&_total=accurate&code"
    for query, wanted in {
        ":in=https://example.org/ValueSet/pets": {"dog", "cat"},
        f":in=ValueSet/{pets['id']}": {"dog", "cat"},
        ":not-in=https://example.org/ValueSet/pets": {"mammal", "pug", "bird"},
        f":below={url}|dog": {"dog", "pug"},
        f":above={url}|pug": {"pug", "dog", "mammal"},
    }.items():
        found = await bundle(api, path + query)
        assert set(ids(found)) == {made[code] for code in wanted}, query
        assert found["total"] == len(wanted)
    filtered = await bundle(api, f"{path}:missing=false&_filter=code ss {url}|dog or code eq bird")
    assert set(ids(filtered)) == {made["dog"], made["pug"], made["bird"]}
    for query in (":in=https://example.org/ValueSet/none", ":below=dog"):
        assert (await api.call("GET", path + query)).status_code == 400, query


async def test_the_members_of_a_list(api: World) -> None:
    people = [(await api.patient())["id"] for _ in range(3)]
    made = await api.create({
        "resourceType": "List", "status": "current", "mode": "working",
        "entry": [{"item": {"reference": f"Patient/{each}"}} for each in people[:2]],
    })  # fmt: skip
    assert set(ids(await bundle(api, f"/Patient?_list={made['id']}"))) == set(people[:2])
    assert (await api.call("GET", "/Patient?_list=$current-problems")).status_code == 400


async def test_a_lenient_search_says_what_it_left_out(api: World) -> None:
    patient = (await api.patient())["id"]
    path = f"/Patient?_id={patient}&nonsense=1&_query=x"
    assert (await api.call("GET", path)).status_code == 400
    assert (await api.call("GET", path, prefer="handling=strict")).status_code == 400
    found = await bundle(api, path, prefer="return=minimal, handling=lenient")
    modes = [entry["search"]["mode"] for entry in found["entry"]]
    assert modes == ["match", "outcome"]
    texts = [issue["diagnostics"] for issue in found["entry"][1]["resource"]["issue"]]
    assert ["nonsense" in texts[0], "_query" in texts[1]] == [True, True]
    assert links(found)["self"] == f"{BASE}/Patient?_id={patient}"
    wrong = f"/Patient?birthdate=x&_id={patient}"
    assert (await api.call("GET", wrong, prefer="handling=lenient")).status_code == 400


async def test_several_types_at_once(api: World) -> None:
    patient = (await api.patient())["id"]
    wanted = {patient}
    for number in range(3):
        wanted.add((await api.create(observation(patient)))["id"])
        wanted.add((await api.create(condition(patient, str(number), "x")))["id"])
    path = f"/?_type=Patient,Observation,Condition&_filter=_id ne {'x' * 8}&_count=2"
    named = f"/?_type=Observation,Condition&patient={patient}&_count=2&_total=accurate"
    seen: list[str] = []
    url = named
    while url:
        found = await bundle(api, url)
        assert found["total"] == 6
        assert len(ids(found)) == 2
        seen += ids(found)
        url = links(found).get("next", "").removeprefix(BASE)
    assert len(seen) == len(set(seen)) == 6
    assert set(seen) == wanted - {patient}
    assert (await bundle(api, path))["entry"]
    counted = await bundle(api, named.replace("_count=2", "_summary=count"))
    assert (counted["total"], "entry" in counted) == (6, False)
    form = await api.call(
        "POST", "/_search", f"_type=Observation&patient={patient}",
        content_type="application/x-www-form-urlencoded",
    )  # fmt: skip
    assert len(ids(form.json())) == 3
    everything = await bundle(api, f"/?_id={patient}")
    assert ids(everything) == [patient]
    for wrong in ("/?_type=Nonsense", "/?_type=Patient&_sort=family", "/?_type=Patient&code=x",
                  "/?_type=Patient&_include=Account:owner", "/?_type=Patient&_cursor=x",
                  "/?_type=Patient&_cursor=Patient~x"):  # fmt: skip
        answer = await api.call("GET", wrong)
        assert answer.status_code == 400, wrong
        assert issues(answer)


async def test_several_types_and_who_may_see_them(api: World) -> None:
    mine, other = await api.patient(), await api.patient()
    for each in (mine, other):
        await api.create(observation(each["id"]))
    me = patient_caller(await api.person_of(mine["id"]), mine["id"])
    found = await bundle(api, "/?_type=Patient,Observation&_total=accurate", caller=me)
    assert found["total"] == 2
    assert {e["resource"].get("subject", {}).get("reference") for e in found["entry"]} == {
        None, f"Patient/{mine['id']}",
    }  # fmt: skip
    unbound = await api.call("GET", "/?_type=Patient,Observation", caller=CLINICIAN)
    assert unbound.status_code == 403
    tree = "gender eq male or gender pr false"
    assert ids(await bundle(api, f"/Patient?_filter={tree}", caller=me)) == [mine["id"]]
    assert (
        await api.call("GET", f"/Patient?_filter=not(gender eq {'x'})", caller=CLINICIAN)
    ).status_code == 403


async def test_a_filter_stands_in_the_journal_without_names(api: World) -> None:
    await bundle(api, '/Patient?_filter=family eq "tajny" or gender eq male')
    rows = await api.journal(action="E")
    assert "gender=male" in rows[-1]["query"]
    assert "_filter" in rows[-1]["query"]
    assert "tajny" not in rows[-1]["query"]


async def test_summaries_go_into_elements(api: World) -> None:
    organization = (await api.create({"resourceType": "Organization", "name": "Clinic"}))["id"]
    patient = await api.patient(
        contact=[{"name": {"family": "Nová"}}],
        link=[{"other": {"reference": f"Patient/{(await api.patient())['id']}"},
               "type": "seealso"}],
        managingOrganization={"reference": f"Organization/{organization}"},
        photo=[{"contentType": "image/png", "data": "AAAA", "title": "t"}],
        text=narrative("Eva"),
    )  # fmt: skip
    (entry,) = (await bundle(api, f"/Patient?_id={patient['id']}&_summary=true"))["entry"]
    shown = entry["resource"]
    assert set(shown) == {"resourceType", "id", "meta", "name", "birthDate", "link",
                          "managingOrganization"}  # fmt: skip
    media = await api.create({
        "resourceType": "DocumentReference", "status": "current",
        "subject": {"reference": f"Patient/{patient['id']}"},
        "content": [{"attachment": {"contentType": "text/plain", "data": "AAAA",
                                    "url": "http://a.example/b", "title": "t"}}],
        "context": {"event": [{"text": "x"}], "practiceSetting": {"text": "y"}},
    })  # fmt: skip
    path = f"/DocumentReference?_id={media['id']}"
    (entry,) = (await bundle(api, f"{path}&_summary=true"))["entry"]
    attachment = entry["resource"]["content"][0]["attachment"]
    assert attachment == {"contentType": "text/plain", "url": "http://a.example/b", "title": "t"}
    (entry,) = (await bundle(api, f"{path}&_summary=data"))["entry"]
    assert entry["resource"]["content"][0]["attachment"]["data"] == "AAAA"
    (entry,) = (await bundle(api, f"/Patient?_id={patient['id']}&_summary=text"))["entry"]
    assert set(entry["resource"]) == {"resourceType", "id", "meta", "text"}
    elements = (
        f"/DocumentReference?_id={media['id']}&_include=DocumentReference:subject"
        "&_elements=status,Patient.name"
    )
    found = await bundle(api, elements)
    shapes = {e["resource"]["resourceType"]: set(e["resource"]) for e in found["entry"]}
    base = {"resourceType", "id", "meta"}
    assert shapes == {
        "DocumentReference": base | {"status", "content"}, "Patient": base | {"name"},
    }  # fmt: skip


async def test_whatever_refers_to_a_resource(api: World) -> None:
    patient = (await api.patient())["id"]
    other = (await api.patient())["id"]
    made = {patient}
    made.add((await api.create(observation(patient)))["id"])
    made.add((await api.create(condition(patient, "1", "x")))["id"])
    await api.create(observation(other))
    found = await bundle(api, f"/Patient?_id={patient}&_revinclude=*")
    assert set(ids(found)) == made
    me = patient_caller(await api.person_of(other), other)
    hidden = await bundle(api, f"/Patient?_id={patient}&_revinclude=*", caller=me)
    assert "entry" not in hidden


@pytest.mark.parametrize(
    "query",
    ["_query=x", "_type=Patient",
     "near=1|2", "_filter=", "_list:missing=true",
     "name:in=x", "identifier:of-type=a|b", "birthdate:text=x", "_content:not=x"],
)  # fmt: skip
async def test_what_is_not_supported_is_refused(api: World, query: str) -> None:
    answer = await api.call("GET", f"/Patient?{query}")
    assert answer.status_code == 400, answer.text
    assert issues(answer)


async def test_contained_resources_are_not_searched_and_that_may_be_said(api: World) -> None:
    patient = (await api.patient())["id"]
    assert ids(await bundle(api, f"/Patient?_id={patient}&_contained=false")) == [patient]
