"""What provider systems tell and ask in FHIR operations; and what these say of themselves."""

from __future__ import annotations

import asyncio
from typing import Any

from pater.domain import Operation
from pater.fhir.validation import validate
from pater.registers.identifiers import INSURED_NUMBER, rid_from
from pater.rest import definitions
from tests.persons.faces import (
    BIRTH_NUMBER,
    NUMBER,
    NUMBERS_A,
    NUMBERS_B,
    RID,
    A,
    B,
    Faces,
    somebody,
)
from tests.rest.world import BASE, CLINICIAN, INSURER, LOADER, issues

NOBODY = rid_from(1_000_000_000)


def told(number: str, patient: Any, system: str = NUMBERS_A, **more: Any) -> dict[str, Any]:
    listed: list[dict[str, Any]] = [
        {"name": "identifier", "valueIdentifier": {"system": system, "value": number}},
        {"name": "patient", "resource": patient},
        *({"name": name, "valueString": value} for name, value in more.items()),
    ]
    return {"resourceType": "Parameters", "parameter": listed}


def asked(**said: str) -> dict[str, Any]:
    listed = [{"name": name, "valueString": value} for name, value in said.items()]
    return {"resourceType": "Parameters", "parameter": listed}


def said(answer: Any, status: int = 200) -> dict[str, Any]:
    """The only value of each parameter."""
    assert answer.status_code == status, answer.text
    body = answer.json()
    assert not [each for each in validate(body) if each.severity == "error"], body
    return {
        each["name"]: next(value for key, value in each.items() if key != "name")
        for each in body["parameter"]
    }


def rid_of(patient: Any) -> str:
    return next(str(each["value"]) for each in patient["identifier"] if each["system"] == RID)


async def test_somebody_is_created_and_changed(at: Faces) -> None:
    patient = somebody((BIRTH_NUMBER, NUMBER))
    unknown = await at.call("POST", "/Patient/$krp-change", told("1", patient))
    assert unknown.status_code == 404
    made = said(await at.call("POST", "/Patient/$krp-create", told("1", patient)))
    assert made["outcome"] == "new" and not rid_of(made["patient"]).startswith("D")
    assert NUMBERS_A not in str(made)
    again = await at.call("POST", "/Patient/$krp-create", told("1", patient))
    assert again.status_code == 409
    married = {**patient, "name": [{"family": "Malá", "given": ["Ludmila"]}]}
    changed = said(await at.call("POST", "/Patient/$krp-change", told("1", married)))
    assert changed["patient"]["name"][0]["family"] == "Malá"
    assert rid_of(changed["patient"]) == rid_of(made["patient"]) and await at.desk.count() == 1
    other = said(await at.call("POST", "/Patient/$krp-create", told("9", patient, NUMBERS_B), B))
    assert other["outcome"] == "matched"
    assert len(await at.desk.api.journal(agent="a")) >= 2


async def test_somebody_unknown_gets_a_number_for_the_time_being(at: Faces) -> None:
    unknown = {"resourceType": "Patient", "gender": "male"}
    made = said(await at.call("POST", "/Patient/$krp-temporary", told("7", unknown)))
    assert rid_of(made["patient"]).startswith("D")
    numbered = somebody((BIRTH_NUMBER, NUMBER))
    refused = await at.call("POST", "/Patient/$krp-temporary", told("8", numbered))
    assert refused.status_code == 400
    assert issues(refused)[0]["expression"] == ["Patient.identifier"]


async def test_what_is_told_badly_is_refused_with_its_place(at: Faces) -> None:
    good = somebody((BIRTH_NUMBER, NUMBER))
    bad = {**good, "gender": "woman"}
    wrong_number = somebody((BIRTH_NUMBER, NUMBER[:-1] + str((int(NUMBER[-1]) + 1) % 10)))
    cases: list[tuple[Any, int]] = [
        (told("1", bad), 422),
        (told("1", wrong_number), 422),
        (told("1", good, NUMBERS_B), 422),
        (told("1", {"resourceType": "Basic"}), 400),
        (told("1", good, purpose="URGENT"), 403),
        (told("1", good, shoe="44"), 400),
        ({"resourceType": "Parameters", "parameter": told("1", good)["parameter"][1:]}, 400),
        (told("", good), 400),
    ]
    for body, status in cases:
        answer = await at.call("POST", "/Patient/$krp-create", body)
        assert answer.status_code == status, (body, answer.text)
        assert issues(answer)[0]["expression"], answer.text
    for by in (INSURER, CLINICIAN):
        answer = await at.call("POST", "/Patient/$krp-create", told("1", good), by)
        assert answer.status_code == 403
    assert await at.desk.count() == 0


async def test_what_is_asked_badly_is_refused_with_its_place(at: Faces) -> None:
    body = said(await at.call("POST", "/Patient/$krp-create", told("1", somebody())))
    rid = rid_of(body["patient"])
    for name, question, status, place in (
        ("find", asked(rid="2169472148"), 400, "rid"),
        ("find", asked(family="Nikdo", birthDate="1. 1. 1990"), 400, "birthDate"),
        ("find", asked(documentType="ID", documentNumber="?"), 400, "documentNumber"),
        ("find", asked(family="Nikdo"), 400, ""),
        ("find", asked(rid=NOBODY), 404, ""),
        ("insurance", asked(rid=rid, date="x"), 400, "date"),
        ("merge", asked(rid=rid, other=rid, reason="tatáž"), 422, "other"),
        ("merge", asked(rid=rid, other="x", reason="tatáž"), 400, "other"),
        ("dispute", asked(rid=rid, element="x", reason="y"), 400, "element"),
    ):
        answer = await at.call("POST", f"/Patient/$krp-{name}", question)
        assert answer.status_code == status, answer.text
        [issue] = answer.json()["issue"]
        number = next(
            (n for n, each in enumerate(question["parameter"]) if each["name"] == place), None
        )
        wanted = "Parameters" if number is None else f"Parameters.parameter[{number}]"
        assert issue["expression"] == [wanted], (name, question)


async def test_many_who_create_one_person_at_once_make_one(at: Faces) -> None:
    patient = somebody((BIRTH_NUMBER, NUMBER))
    answers = await asyncio.gather(
        *(at.call("POST", "/Patient/$krp-create", told(str(n), patient)) for n in range(8))
    )
    assert {each.status_code for each in answers} == {200} and await at.desk.count() == 1


async def test_insurance_of_a_day_and_as_coverage(at: Faces) -> None:
    def insured(insurer: str, start: str) -> dict[str, Any]:
        number = {"system": "https://ncez.mzcr.cz/fhir/sid/kp", "value": insurer}
        return {"system": INSURED_NUMBER, "value": NUMBER, "assigner": {"identifier": number},
                "period": {"start": start}}  # fmt: skip

    for insurer, start in (("111", "2010-01-01"), ("207", "2026-01-01")):
        patient = somebody((BIRTH_NUMBER, NUMBER))
        patient["identifier"].append(insured(insurer, start))
        assert (await at.feed("1", patient)).status_code in (200, 201)
        at.desk.api.clock.move(days=1)
    master = said(await at.call("POST", "/Patient/$krp-create", told("2", patient)))["patient"]
    rid = rid_of(master)
    answer = await at.call("POST", "/Patient/$krp-insurance", asked(rid=rid, date="2025-12-31"), B)
    parts = {each["name"]: each for each in answer.json()["parameter"][0]["part"]}
    assert len(answer.json()["parameter"]) == 1 and parts["insurer"]["valueCode"] == "111"
    coverage = parts["coverage"]["resource"]
    assert coverage["period"] == {"start": "2010-01-01", "end": "2025-12-31"}
    assert coverage["subscriberId"] == NUMBER
    assert coverage["payor"][0]["display"] == "Všeobecná zdravotní pojišťovna ČR"
    assert coverage["beneficiary"]["reference"] == f"Patient/{master['id']}"
    assert not [each for each in validate(answer.json()) if each.severity == "error"]
    natively = await at.ask("historie/pojisteni", {"rid": rid, "kDatu": "2026-02-01"}, B)
    assert {each["pojistovna"]["kod"] for each in natively["pojisteni"]} == {"207"}
    bad = await at.ask("historie/pojisteni", {"rid": rid, "kDatu": "loni"}, B, status=400)
    assert bad["path"] == "zadostData.kDatu"


async def test_insurance_and_registering_providers_are_told_natively(at: Faces) -> None:
    gp = {"obor": "700232004", "identifikator": A.organization, "nazev": "Ordinace U Lípy",
          "platnostOd": "2024-01-01"}  # fmt: skip
    dentist = {"obor": "722176000", "identifikator": B.organization}
    patient = {
        "prijmeni": "Procházková", "jmeno": "Ludmila", "datumNarozeni": "1985-06-15",
        "rodneCislo": NUMBER, "registrujiciPoskytovatele": [gp],
        "pojisteni": [{"cisloPojistence": NUMBER, "pojistovna": {"kod": "111"},
                       "platnostOd": "2000-01-01", "platnostDo": "2019-12-31"},
                      {"cisloPojistence": NUMBER, "pojistovna": {"kod": "207"},
                       "platnostOd": "2020-01-01"}],
    }  # fmt: skip
    number = {"system": NUMBERS_A, "hodnota": "1"}
    made = await at.ask("zalozit", {"mistniId": number, "pacient": patient})
    other = {**patient, "registrujiciPoskytovatele": [dentist], "pojisteni": None}
    told_b = {"mistniId": {"system": NUMBERS_B, "hodnota": "1"}, "pacient": other}
    [one, two] = (await at.ask("zalozit", told_b, B))["pacient"]["registrujiciPoskytovatele"]
    assert {one["obor"], two["obor"]} == {"700232004", "722176000"}
    rid = made["pacient"]["rid"]["hodnota"]
    for day, insurer in (("2019-12-31", "111"), ("2020-01-01", "207")):
        said_ = (await at.ask("historie/pojisteni", {"rid": rid, "kDatu": day}, B))["pojisteni"]
        assert [each["pojistovna"]["kod"] for each in said_] == [insurer]
    before = {"rid": rid, "kDatu": "2024-06-01"}
    [then] = (await at.ask("historie/registrujiciPoskytovatel", before))[
        "registrujiciPoskytovatele"
    ]
    assert then["nazev"] == "Ordinace U Lípy" and then["platnostOd"] == "2024-01-01"
    answer = await at.call("POST", "/Patient/$krp-registering", asked(rid=rid))
    assert len(answer.json()["parameter"]) == 2
    bad: list[tuple[str, Any, str]] = [
        ("registrujiciPoskytovatele", {**gp, "obor": "1"}, "obor"),
        ("registrujiciPoskytovatele", {**gp, "identifikator": "12345678"}, "identifikator"),
        ("registrujiciPoskytovatele", {**gp, "platnostDo": "2020-01-01"}, "platnostDo"),
        ("pojisteni", {"cisloPojistence": "1"}, "cisloPojistence"),
        ("pojisteni", {"cisloPojistence": NUMBER, "pojistovna": {"kod": "1"}}, "pojistovna.kod"),
        ("pojisteni", {"cisloPojistence": NUMBER, "platnostOd": "loni"}, "platnostOd"),
    ]
    for key, row, element in bad:
        data = {"mistniId": number, "pacient": {**patient, key: [row]}}
        problem = await at.ask("zmenit", data, status=400)
        assert problem["path"] == f"zadostData.pacient.{key}[0].{element}"


def people(*rows: dict[str, str]) -> dict[str, Any]:
    return {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "person", "part": [{"name": k, "valueString": v} for k, v in row.items()]}
            for row in rows
        ],
    }


async def test_many_are_identified_at_once(at: Faces) -> None:
    made = said(await at.call("POST", "/Patient/$krp-create",
                              told("1", somebody((BIRTH_NUMBER, NUMBER)))))  # fmt: skip
    rid = rid_of(made["patient"])
    named = {"family": "Procházková", "given": "Ludmila", "birthDate": "1985-06-15"}
    rows = people(
        {"id": "a", "rid": rid}, {"rid": NOBODY}, {"id": "c", "rid": "123"},
        {"id": "d", "purpose": "URGENT", "rid": rid}, {"id": "e", "purpose": "LECBA", **named},
        {"id": "f", "documentType": "X", "documentNumber": "1"},
    )  # fmt: skip
    answer = await at.call("POST", "/Patient/$krp-identify", rows, B)
    job = said(answer, 202)["job"]
    where = answer.headers["content-location"]
    assert where == f"{BASE}/Patient/$krp-identified?job={job}"
    path = where.removeprefix(BASE)
    waiting = await at.call("GET", path, by=B)
    assert waiting.status_code == 202 and waiting.headers["x-progress"] == "waiting"
    assert (await at.call("GET", path)).status_code == 404  # somebody else's
    await at.work()
    body = (await at.call("GET", path, by=B)).json()
    assert not [each for each in validate(body) if each.severity == "error"]
    found = [
        (p["name"], *(next(v for k, v in part.items() if k != "name") for part in p["part"]))
        for p in body["parameter"]
    ]
    number = {"system": RID, "value": rid}
    assert [each[:4] for each in found] == [
        ("person", 0, "a", "identified"), ("person", 1, "not-found"),
        ("person", 4, "e", "identified"), ("rejected", 2, "c", "rid"),
        ("rejected", 3, "d", "purpose"), ("rejected", 5, "f", "documentType"),
    ]  # fmt: skip
    assert found[0][4] == found[2][4] == number
    journal = [each["query"] for each in await at.desk.api.journal(agent="b")]
    assert any(each.startswith("krp hromadne LECBA") for each in journal)
    assert any(each.startswith("krp hromadne soubor") for each in journal)


async def test_a_bad_request_for_many_is_refused_with_its_place(at: Faces) -> None:
    part = {"name": "rid", "valueString": NOBODY}
    person = {"name": "person", "part": [part]}
    cases: list[tuple[Any, str]] = [
        ([], "Parameters.parameter"),
        ([person] * 5_001, "Parameters.parameter"),
        ([person, {"name": "x"}], "Parameters.parameter[1]"),
        ([{"name": "person"}], "Parameters.parameter[0].part"),
        ([{"name": "person", "part": [part, part]}], "Parameters.parameter[0].part[1]"),
        ([{"name": "person", "part": [{"name": "shoe", "valueString": "4"}]}],
         "Parameters.parameter[0].part[0]"),
        ([{"name": "person", "part": [{"name": "rid", "valueInteger": 4}]}],
         "Parameters.parameter[0].part[0]"),
    ]  # fmt: skip
    for listed, place in cases:
        body = {"resourceType": "Parameters", "parameter": listed}
        answer = await at.call("POST", "/Patient/$krp-identify", body)
        assert answer.status_code == 400 and issues(answer)[0]["expression"] == [place]
    assert (await at.call("POST", "/Patient/$krp-identify", people({"rid": NOBODY}),
                          INSURER)).status_code == 403  # fmt: skip
    gone = await at.call("GET", "/Patient/$krp-identified?job=1")
    assert gone.status_code == 404


async def test_every_operation_of_the_register_has_its_definition(at: Faces) -> None:
    own: list[Operation] = [each for each in at.parts.operations if each.name.startswith("krp-")]
    assert len(own) == 11
    task = definitions.parts(at.services, [at.parts]).tasks[0]
    for _ in range(2):  # a second start changes nothing
        await task(asyncio.Event())
    statement = (await at.call("GET", "/metadata")).json()
    [patient] = [each for each in statement["rest"][0]["resource"] if each["type"] == "Patient"]
    links = {each["name"]: each["definition"] for each in patient["operation"]}
    for each in own:
        answer = await at.call("GET", links[each.name].removeprefix(BASE))
        assert answer.status_code == 200, each.name
        body = answer.json()
        assert not [one for one in validate(body) if one.severity == "error"], validate(body)
        assert (body["code"], body["url"]) == (each.name, links[each.name])
        assert body["meta"]["versionId"] == "1" and body["type"] and not body["instance"]
        assert body["affectsState"] is each.changes and body["resource"] == ["Patient"]
        taken = {p["name"]: p for p in body["parameter"] if p["use"] == "in"}
        assert set(taken) == {p.name for p in each.takes}
        found = (await at.call("GET", f"/OperationDefinition?url={links[each.name]}")).json()
        assert [e["resource"]["id"] for e in found["entry"]] == [each.name]
    # one that somebody changed says again what is so when a house begins
    wrong = {**body, "description": "x"}
    changed = await at.call("PUT", f"/OperationDefinition/{body['id']}", wrong, LOADER)
    assert changed.status_code == 200
    await task(asyncio.Event())
    after = await at.call("GET", f"/OperationDefinition/{body['id']}")
    assert after.json()["description"] == body["description"]
