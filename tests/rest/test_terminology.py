"""The terminology operations over what is written here: at once, exactly, and only by right."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.fhir import xml
from pater.store.database import Database
from tests.conftest import Clock
from tests.rest.terminology_world import codes, parameters, said, terminology_world
from tests.rest.world import CLINICIAN, HOSPITAL, INSURER, World, issues

URL = "http://example.org/cs"
SET = "http://example.org/vs"


@pytest.fixture
async def api(database: Database, clock: Clock) -> AsyncIterator[World]:
    async with terminology_world(database, clock) as made:
        yield made


def animals(**more: Any) -> dict[str, Any]:
    """A small code system with a hierarchy, Czech names, a property, a retired code."""
    return {
        "resourceType": "CodeSystem", "url": URL, "version": "1", "name": "Animals",
        "status": "active", "content": "complete", "language": "en", "caseSensitive": True,
        "property": [{"code": "legs", "type": "integer"}],
        "concept": [
            {"code": "animal", "display": "Animal", "concept": [
                {"code": "dog", "display": "Dog",
                 "designation": [{"language": "cs", "value": "Pes domácí"}],
                 "property": [{"code": "legs", "valueInteger": 4}],
                 "concept": [{"code": "puppy", "display": "Puppy",
                              "designation": [{"language": "cs", "value": "Štěně"}]}]},
                {"code": "bird", "display": "Bird",
                 "property": [{"code": "legs", "valueInteger": 2}]},
                {"code": "dodo", "display": "Dodo",
                 "property": [{"code": "status", "valueCode": "retired"}]},
            ]},
        ], **more,
    }  # fmt: skip


def value_set(**compose: Any) -> dict[str, Any]:
    include = compose.pop("include", [{"system": URL}])
    return {
        "resourceType": "ValueSet", "url": SET, "version": "1", "status": "active",
        "compose": {"include": include, **compose},
    }  # fmt: skip


async def test_what_was_written_is_usable_at_once_and_as_it_is(api: World) -> None:
    created = await api.create(animals())
    await api.create(value_set())
    answer = await api.call("GET", f"/ValueSet/$expand?url={SET}&excludeNested=true")
    assert codes(answer) == ["animal", "dog", "puppy", "bird", "dodo"]
    created["concept"] = [{"code": "fish", "display": "Fish"}]
    await api.call("PUT", f"/CodeSystem/{created['id']}", created)
    assert codes(await api.call("GET", f"/ValueSet/$expand?url={SET}")) == ["fish"]
    await api.call("DELETE", f"/CodeSystem/{created['id']}")
    gone = await api.call("GET", f"/ValueSet/$expand?url={SET}")
    assert gone.status_code == 404
    assert URL in gone.json()["issue"][0]["details"]["text"]


async def test_expansions_are_nested_paged_and_filtered_without_accents(api: World) -> None:
    await api.create(animals())
    stored = await api.create(value_set())
    nested = (await api.call("GET", f"/ValueSet/{stored['id']}/$expand")).json()["expansion"]
    (animal,) = nested["contains"]
    assert [each["code"] for each in animal["contains"]] == ["dog", "bird", "dodo"]
    assert nested["total"] == 5
    paged = await api.call("GET", f"/ValueSet/$expand?url={SET}&count=2&offset=1")
    assert codes(paged) == ["dog", "puppy"]
    assert paged.json()["expansion"]["total"] == 5
    asked = parameters(url=SET, filter="STENE", displayLanguage="cs")
    found = (await api.call("POST", "/ValueSet/$expand", asked)).json()["expansion"]
    assert [(e["code"], e["display"]) for e in found["contains"]] == [("puppy", "Štěně")]
    assert codes(await api.call("GET", f"/ValueSet/$expand?url={SET}&filter=dom pes")) == ["dog"]
    assert codes(await api.call("GET", f"/ValueSet/$expand?url={SET}&filter=---")) == []
    active = await api.call("GET", f"/ValueSet/$expand?url={SET}&activeOnly=true")
    assert "dodo" not in codes(active)


@pytest.mark.parametrize(
    ("filter", "expected"),
    [
        (("concept", "is-a", "dog"), {"dog", "puppy"}),
        (("concept", "descendent-of", "animal"), {"dog", "puppy", "bird", "dodo"}),
        (("concept", "is-not-a", "dog"), {"animal", "bird", "dodo"}),
        (("concept", "child-of", "animal"), {"dog", "bird", "dodo"}),
        (("concept", "generalizes", "puppy"), {"puppy", "dog", "animal"}),
        (("concept", "descendent-leaf", "animal"), {"puppy", "bird", "dodo"}),
        (("concept", "in", "dog,bird,unicorn"), {"dog", "bird"}),
        (("code", "regex", "d.*"), {"dog", "dodo"}),
        (("legs", "=", "4"), {"dog"}),
        (("legs", "in", "2,4"), {"dog", "bird"}),
        (("legs", "exists", "false"), {"animal", "puppy", "dodo"}),
        (("display", "=", "Bird"), {"bird"}),
        (("parent", "=", "dog"), {"puppy"}),
        (("inactive", "=", "true"), {"dodo"}),
    ],
)
async def test_every_filter_of_the_standard(
    api: World, filter: tuple[str, str, str], expected: set[str]
) -> None:
    property, op, value = filter
    await api.create(animals())
    include = {"system": URL, "filter": [{"property": property, "op": op, "value": value}]}
    sent = parameters(valueSet=value_set(include=[include]))
    assert set(codes(await api.call("POST", "/ValueSet/$expand", sent))) == expected
    for code in ("animal", "dog", "puppy", "bird", "dodo"):
        asked = parameters(valueSet=value_set(include=[include]), system=URL, code=code)
        verdict = said(await api.call("POST", "/ValueSet/$validate-code", asked))
        assert verdict["result"] is (code in expected), code


async def test_a_filter_nobody_understands_and_a_wild_pattern_are_answers(api: World) -> None:
    await api.create(animals())
    for filter, status in (
        ({"property": "colour", "op": "=", "value": "red"}, 422),
        ({"property": "concept", "op": "sounds-like", "value": "dog"}, 422),
        ({"property": "code", "op": "regex", "value": "((a+)+"}, 422),
        ({"property": "code", "op": "regex", "value": "((a+)+)+"}, 200),
    ):
        sent = parameters(valueSet=value_set(include=[{"system": URL, "filter": [filter]}]))
        answer = await api.call("POST", "/ValueSet/$expand", sent)
        assert answer.status_code == status, answer.text


async def test_imports_and_excludes(api: World) -> None:
    await api.create(animals())
    await api.create(
        value_set(
            include=[{"system": URL, "filter": [
                {"property": "concept", "op": "is-a", "value": "dog"}]}]
        )
    )  # fmt: skip
    outer = value_set(include=[{"system": URL}], exclude=[{"valueSet": [SET]}])
    outer["url"] = SET + "-rest"
    sent = parameters(valueSet=outer)
    assert set(codes(await api.call("POST", "/ValueSet/$expand", sent))) == {
        "animal", "bird", "dodo",
    }  # fmt: skip
    both = {**value_set(include=[{"valueSet": [SET], "system": URL,
                                  "concept": [{"code": "bird"}, {"code": "puppy"}]}]),
            "url": SET + "-both"}  # fmt: skip
    assert codes(await api.call("POST", "/ValueSet/$expand", parameters(valueSet=both))) == [
        "puppy"
    ]


async def test_too_many_codes_must_be_asked_for_in_pages(api: World) -> None:
    many = animals(concept=[{"code": f"c{n}", "display": f"Concept {n}"} for n in range(1_500)])
    await api.create(many)
    await api.create(value_set())
    refused = await api.call("GET", f"/ValueSet/$expand?url={SET}")
    assert refused.status_code == 422
    assert refused.json()["issue"][0]["code"] == "too-costly"
    page = await api.call("GET", f"/ValueSet/$expand?url={SET}&offset=1490&count=100")
    assert len(codes(page)) == 10


async def test_lookup_and_subsumes(api: World) -> None:
    await api.create(animals())
    answer = await api.call("GET", f"/CodeSystem/$lookup?system={URL}&code=dog&displayLanguage=cs")
    found = said(answer)
    assert found["display"] == "Pes domácí"
    held = {
        row["part"][0]["valueCode"]: row["part"][1]
        for row in answer.json()["parameter"]
        if row["name"] == "property"
    }
    assert held["legs"]["valueInteger"] == 4
    assert held["parent"]["valueCode"] == "animal"
    assert held["child"]["valueCode"] == "puppy"
    for first, second, expected in (
        ("animal", "puppy", "subsumes"),
        ("puppy", "animal", "subsumed-by"),
        ("dog", "dog", "equivalent"),
        ("dog", "bird", "not-subsumed"),
    ):
        query = f"system={URL}&codeA={first}&codeB={second}"
        assert said(await api.call("GET", f"/CodeSystem/$subsumes?{query}")) == {
            "outcome": expected
        }
    lost = await api.call("GET", f"/CodeSystem/$lookup?system={URL}&code=unicorn")
    assert lost.status_code == 404


async def test_translations_there_and_back(api: World) -> None:
    concept_map = {
        "resourceType": "ConceptMap", "url": "http://example.org/cm", "version": "1",
        "status": "active", "group": [{
            "source": URL, "target": "urn:other",
            "element": [{"code": "dog", "target": [
                {"code": "canis", "equivalence": "narrower", "comment": "the wild ones too"}]}],
            "unmapped": {"mode": "fixed", "code": "other"}}],
    }  # fmt: skip
    stored = await api.create(concept_map)
    asked = f"/ConceptMap/$translate?system={URL}&code=dog&targetsystem=urn:other"
    rows = (await api.call("GET", asked)).json()["parameter"]
    (match,) = (row["part"] for row in rows if row["name"] == "match")
    assert {"name": "equivalence", "valueCode": "narrower"} in match
    back = parameters(system="urn:other", code="canis", reverse=True)
    rows = (await api.call("POST", f"/ConceptMap/{stored['id']}/$translate", back)).json()
    (match,) = (row["part"] for row in rows["parameter"] if row["name"] == "match")
    assert {"name": "equivalence", "valueCode": "wider"} in match
    fallback = await api.call("GET", f"/ConceptMap/$translate?system={URL}&code=cat")
    assert said(fallback)["result"] is True
    nothing = said(await api.call("GET", "/ConceptMap/$translate?system=urn:x&code=y"))
    assert nothing["result"] is False


async def test_a_closure_table_tells_each_pair_once_and_all_again(api: World) -> None:
    await api.create(animals())

    async def closure(**values: Any) -> dict[str, Any]:
        answer = await api.call("POST", "/$closure", parameters(name="mine", **values))
        assert answer.status_code == 200, answer.text
        body: dict[str, Any] = answer.json()
        return body

    def pairs(body: dict[str, Any]) -> set[tuple[str, str]]:
        return {
            (element["code"], target["code"])
            for group in body.get("group", [])
            for element in group["element"]
            for target in element["target"]
        }

    missing = await api.call("POST", "/$closure", parameters(name="mine", version="0"))
    assert missing.status_code == 404
    assert (await closure())["version"] == "0"
    ends = [{"system": URL, "code": "puppy"}, {"system": URL, "code": "animal"}]
    first = await closure(concept=ends)
    assert (first["version"], pairs(first)) == ("1", {("puppy", "animal")})
    second = await closure(concept=[{"system": URL, "code": "dog"}])
    assert (second["version"], pairs(second)) == ("2", {("puppy", "dog"), ("dog", "animal")})
    again = await closure(concept=[{"system": URL, "code": "dog"}])
    assert (again["version"], pairs(again)) == ("2", set())
    assert pairs(await closure(version="1")) == pairs(second)
    assert pairs(await closure(version="0")) == pairs(first) | pairs(second)
    other = await api.call("POST", "/$closure", parameters(name="mine", version="0"), CLINICIAN)
    assert other.status_code in (403, 404)  # nobody sees another's table


async def test_validate_code_reports_display_and_place(api: World) -> None:
    await api.create(animals())
    await api.create(value_set(include=[{"system": URL, "concept": [{"code": "dog"}]}]))
    good = {"system": URL, "code": "dog", "display": "Pes domácí"}
    assert said(
        await api.call("POST", "/ValueSet/$validate-code", parameters(url=SET, coding=good))
    )["result"]
    concept = {"coding": [{"system": URL, "code": "bird"}, {**good, "display": "Cat"}]}
    answer = said(
        await api.call(
            "POST", "/ValueSet/$validate-code", parameters(url=SET, codeableConcept=concept)
        )
    )
    assert answer["result"] is False
    places = {i["expression"][0] for i in answer["issues"]["issue"] if "expression" in i}
    assert places == {"CodeableConcept.coding[0].code", "CodeableConcept.coding[1].display"}


async def test_definitions_that_are_there_from_the_start(api: World) -> None:
    gender = "http://hl7.org/fhir/ValueSet/administrative-gender"
    assert codes(await api.call("GET", f"/ValueSet/$expand?url={gender}")) == [
        "male", "female", "other", "unknown",
    ]  # fmt: skip
    for system, code, expected in (
        ("http://unitsofmeasure.org", "mmol/L", True),
        ("http://unitsofmeasure.org", "mmmol/L", False),
        ("urn:ietf:bcp:47", "cs-CZ", True),
        ("urn:ietf:bcp:47", "xx-CZ", False),
        ("urn:ietf:bcp:13", "application/pdf", True),
        ("urn:iso:std:iso:3166", "CZE", True),
        ("urn:iso:std:iso:3166", "203", True),
        ("urn:iso:std:iso:4217", "CZK", True),
        ("http://terminology.hl7.org/CodeSystem/v3-ActCode", "AMB", True),
    ):
        asked = parameters(url=system, code=code)
        answer = said(await api.call("POST", "/CodeSystem/$validate-code", asked))
        assert answer["result"] is expected, (system, code)
    v3 = "system=http://terminology.hl7.org/CodeSystem/v3-RoleCode&codeA=FAMMEMB&codeB=MTH"
    assert said(await api.call("GET", f"/CodeSystem/$subsumes?{v3}"))["outcome"] == "subsumes"


async def test_what_is_stored_goes_before_what_came_with_the_program(api: World) -> None:
    url = "http://terminology.hl7.org/CodeSystem/v3-ActCode"  # R4 has it as 2018-08-12
    await api.create(animals(url=url, version="9.0.0"))
    asked = parameters(url=url, code="dog")
    answer = said(await api.call("POST", "/CodeSystem/$validate-code", asked))
    assert (answer["result"], answer["version"]) == (True, "9.0.0")
    older = parameters(url=url, version="2018-08-12", code="AMB")
    assert said(await api.call("POST", "/CodeSystem/$validate-code", older))["result"] is True


async def test_value_sets_made_to_explode_are_refused(api: World) -> None:
    """Thirty floors of two value sets, each importing both of the floor below."""
    floors = []
    for floor in range(28):
        for side in "ab":
            below = [f"{SET}-{floor + 1}{each}" for each in "ab"]
            include = [{"valueSet": [each]} for each in below] if floor < 27 else [{"system": URL}]
            floors.append({**value_set(include=include), "url": f"{SET}-{floor}{side}"})
    await api.create(animals())
    sent = parameters(url=f"{SET}-0a", tx_resource=floors, system=URL, code="dog")
    for address in ("/ValueSet/$expand", "/ValueSet/$validate-code"):
        answer = await api.call("POST", address, sent)
        assert answer.status_code == 422, answer.text
        assert answer.json()["issue"][0]["code"] == "too-costly"


async def test_xml_both_ways(api: World) -> None:
    await api.create(animals())
    await api.create(value_set())
    body = (
        '<Parameters xmlns="http://hl7.org/fhir"><parameter><name value="url"/>'
        f'<valueUri value="{SET}"/></parameter><parameter><name value="property"/>'
        '<valueString value="*"/></parameter></Parameters>'
    )
    answer = await api.call(
        "POST", "/ValueSet/$expand", body, content_type="application/fhir+xml",
        Accept="application/fhir+xml",
    )  # fmt: skip
    assert answer.status_code == 200, answer.text
    found = xml.parse(answer.content)
    assert found["expansion"]["contains"][0]["code"] == "animal"
    for address in (
        f"/CodeSystem/$lookup?system={URL}&code=dog",
        f"/ValueSet/$validate-code?url={SET}&system={URL}&code=unicorn",
        f"/ValueSet/$expand?url={SET}-lost",
    ):
        answer = await api.call("GET", address, Accept="application/fhir+xml")
        assert xml.parse(answer.content)["resourceType"] in ("Parameters", "OperationOutcome")


async def test_who_may_ask(api: World) -> None:
    await api.create(animals())
    ask = f"/CodeSystem/$lookup?system={URL}&code=dog"
    for caller in (CLINICIAN, HOSPITAL):
        assert (await api.call("GET", ask, caller=caller)).status_code == 200
    assert (await api.call("GET", ask, caller=INSURER)).status_code == 403
    assert (await api.http.get(f"http://api.test/fhir{ask}")).status_code == 401


async def test_a_patients_definition_is_nobodys(api: World, database: Database) -> None:
    await api.create(animals())
    await database.execute("update resource set person = 7")
    lost = await api.call("GET", f"/CodeSystem/$lookup?system={URL}&code=dog")
    assert lost.status_code == 404


@pytest.mark.parametrize(
    ("address", "body", "path"),
    [
        ("/ValueSet/$expand", parameters(), "url"),
        ("/ValueSet/$expand", parameters(valueSet=value_set(), count="many"), "count"),
        ("/ValueSet/$expand", parameters(valueSet=value_set(), activeOnly="maybe"), "activeOnly"),
        ("/ValueSet/$expand", {"resourceType": "Patient"}, "resourceType"),
        ("/ValueSet/$expand", {"resourceType": "Parameters", "parameter": [1]},
         "Parameters.parameter[0].name"),
        ("/CodeSystem/$lookup", parameters(code="x"), "system"),
        ("/CodeSystem/$subsumes", parameters(system=URL, codeA="a"), "codeB"),
        ("/ConceptMap/$translate", parameters(), "code"),
        ("/$closure", parameters(), "name"),
        ("/ValueSet/$expand", parameters(url=SET, system_version="x"), "system-version"),
    ],
)  # fmt: skip
async def test_mistakes_get_a_place(
    api: World, address: str, body: dict[str, Any], path: str
) -> None:
    answer = await api.call("POST", address, body)
    assert answer.status_code == 400, answer.text
    assert issues(answer)[0]["expression"] == [path]


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 3) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["system", "code", "version", "display", "coding", "url", "compose",
                         "include", "concept", "filter", "valueSet", "property", "op", "value",
                         "exclude", "designation", "contains", "expansion", "extension"]),
        inner, max_size=4,
    ),
    max_leaves=12,
)  # fmt: skip


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.sampled_from(
        ["/ValueSet/$expand", "/ValueSet/$validate-code", "/CodeSystem/$lookup",
         "/CodeSystem/$validate-code", "/ConceptMap/$translate", "/CodeSystem/$subsumes"]
    ),
    st.lists(
        st.tuples(
            st.sampled_from(["url", "system", "code", "coding", "codeableConcept", "filter",
                             "valueSet", "tx-resource", "count", "displayLanguage", "codingA",
                             "useSupplement", "conceptMap", "sourceCoding"]),
            st.sampled_from(["valueString", "valueCoding", "resource", "valueInteger"]),
            _JSON,
        ),
        max_size=4,
    ),
)  # fmt: skip
async def test_whatever_is_sent_is_answered(
    api: World, address: str, rows: list[tuple[str, str, Any]]
) -> None:
    sent = []
    for name, kind, value in rows:
        if kind == "resource" and isinstance(value, dict):
            value = {"resourceType": "ValueSet" if name == "valueSet" else "CodeSystem", **value}
        sent.append({"name": name, kind: value})
    answer = await api.call("POST", address, {"resourceType": "Parameters", "parameter": sent})
    assert answer.status_code < 500, (sent, answer.text)


async def test_the_capabilities_say_what_is_there(api: World) -> None:
    await api.create(animals())
    body = (await api.call("GET", "/metadata?mode=terminology")).json()
    systems = {each["uri"]: each for each in body["codeSystem"]}
    assert systems[URL]["version"] == [{"code": "1"}]
    assert "http://unitsofmeasure.org" in systems
    statement = (await api.call("GET", "/metadata")).json()
    found = {
        (resource["type"], operation["name"])
        for resource in statement["rest"][0]["resource"]
        for operation in resource.get("operation", ())
    }
    assert {("ValueSet", "expand"), ("CodeSystem", "lookup"), ("ConceptMap", "translate")} <= found
    wide = await api.call("GET", "/metadata?mode=terminology", Accept="application/fhir+xml")
    assert wide.status_code == 200
