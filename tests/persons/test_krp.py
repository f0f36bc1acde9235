"""The register's own questions: natively and as FHIR operations, with purpose, source and state."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

from pater.access.caller import Caller
from pater.fhir.validation import validate
from pater.registers.identifiers import INSURED_NUMBER, PASSPORT, rid_from
from tests.persons.faces import (
    BIRTH_NUMBER,
    NUMBER,
    NUMBERS_A,
    NUMBERS_B,
    QUESTION,
    REGISTRAR,
    RID,
    A,
    B,
    Faces,
    somebody,
)
from tests.rest.world import CLINICIAN, INSURER

NOBODY = rid_from(1_000_000_000)
NAMED = {"jmeno": "Ludmila", "prijmeni": "Procházková", "datumNarozeni": "1985-06-15"}
DESK = replace(REGISTRAR, purpose="HOPERAT")
FULL = {
    **NAMED, "rodneCislo": NUMBER, "pohlavi": "Z", "rodnePrijmeni": "Dvořáková",
    "doklady": [{"druh": "P", "cislo": "39812345", "stat": "CZE"}],
    "adresy": [{"ulice": "Květná", "cislo": "17", "obec": "Olomouc", "psc": "77900"}],
    "telefon": "+420 603 111 222",
}  # fmt: skip


async def create(at: Faces, number: str = "1", by: Caller = A, **more: Any) -> Any:
    system = NUMBERS_A if by.organization == A.organization else NUMBERS_B
    data = {"mistniId": {"system": system, "hodnota": number}, "pacient": {**FULL, **more}}
    return (await at.ask("zalozit", data, by))["pacient"]


async def test_who_is_created_is_found_by_every_question(at: Faces) -> None:
    made = await create(at)
    rid = made["rid"]["hodnota"]
    document = {"druh": "P", "cislo": "39812345", "stat": "CZE"}
    for path, data in (
        ("rid", {"rid": rid}),
        ("univerzalni", {**NAMED, "rodneCislo": NUMBER, "doklad": document}),
        ("jmenoPrijmeniRodneCislo", {**NAMED, "rodneCislo": NUMBER}),
        ("jmenoPrijmeniDatumNarozeni", {**NAMED, "prijmeni": "prochazkova"}),
        ("doklad", {"doklad": document}),
    ):
        [found] = (await at.ask(f"hledat/{path}", data, B))["pacienti"]
        assert found["rid"]["hodnota"] == rid, path
    assert found["typZaznamu"] == "Castecny" and found["stavZaznamu"] == "Platny"
    assert found["prijmeni"] == {
        "hodnota": "Procházková", "zdroj": "provider", "stav": "Spravny",
        "referencni": False, "platnostOd": found["prijmeni"]["platnostOd"],
    }  # fmt: skip
    assert found["rodnePrijmeni"]["hodnota"] == "Dvořáková"
    assert found["rodneCislo"]["hodnota"] == NUMBER and found["pohlavi"]["hodnota"] == "Z"
    assert found["doklady"][0]["stat"] == "CZE"
    assert found["adresy"][0]["hodnota"] == {"ulice": "Květná 17", "obec": "Olomouc",
                                             "psc": "77900"}  # fmt: skip
    assert NUMBERS_A not in json.dumps(found)


async def test_who_is_not_exactly_meant_is_not_found(at: Faces) -> None:
    await create(at)
    for path, data in (
        ("rid", {"rid": NOBODY}),
        ("jmenoPrijmeniRodneCislo", {**NAMED, "prijmeni": "Jiná", "jmeno": "Karla",
                                     "rodneCislo": NUMBER}),
        ("jmenoPrijmeniDatumNarozeni", {**NAMED, "jmeno": "Eva"}),
        ("jmenoPrijmeniDatumNarozeni", {**NAMED, "datumNarozeni": "1985-06-16"}),
        ("univerzalni", {**NAMED, "rodneCislo": NUMBER,
                         "doklad": {"druh": "ID", "cislo": "123456789"}}),
    ):  # fmt: skip
        problem = await at.ask(f"hledat/{path}", data, B, status=404)
        assert "Procházková" not in str(problem) and problem["status"] == 404


async def test_a_question_that_says_it_wrong_is_told_where(at: Faces) -> None:
    for path, data, place in (
        ("hledat/rid", {"rid": "1234567890"}, "zadostData.rid"),
        ("hledat/rid", {}, "zadostData.rid"),
        ("hledat/univerzalni", {"jmeno": "Eva"}, "zadostData"),
        ("hledat/jmenoPrijmeniRodneCislo", {**NAMED, "rodneCislo": "8556151231"},
         "zadostData.rodneCislo"),
        ("hledat/jmenoPrijmeniDatumNarozeni", {**NAMED, "datumNarozeni": "31.2.1985"},
         "zadostData.datumNarozeni"),
        ("hledat/doklad", {"doklad": {"druh": "X", "cislo": "1"}}, "zadostData.doklad.druh"),
        ("hledat/doklad", {"doklad": 7}, "zadostData.doklad"),
        ("zalozit", {"pacient": FULL}, "zadostData.mistniId"),
        ("zalozit", {"mistniId": {"system": NUMBERS_A, "hodnota": "1"},
                     "pacient": {**FULL, "adresy": ["x"]}}, "zadostData.pacient.adresy[0]"),
    ):  # fmt: skip
        assert (await at.ask(path, data, status=400))["path"] == place


async def test_a_purpose_is_the_tokens_and_stands_in_the_journal(at: Faces) -> None:
    rid = (await create(at))["rid"]["hodnota"]
    for purpose in ("URGENT", "SPRAVA"):
        await at.ask("hledat/rid", {"rid": rid}, B, purpose=purpose, status=403)
    await at.ask("hledat/rid", {"rid": rid}, B, purpose="PRO ZÁBAVU", status=400)
    urgent = replace(B, purpose="ETREAT")
    await at.ask("hledat/rid", {"rid": rid}, urgent, purpose="URGENT")
    await at.ask("hledat/rid", {"rid": NOBODY}, B, status=404)
    told = await at.desk.api.journal(agent="b")
    assert [(each["person"] > 0, each["purpose"], each["query"]) for each in told] == [
        (True, "ETREAT", f"krp rid URGENT {QUESTION}"),
        (False, "TREAT", f"krp rid LECBA {QUESTION}"),
    ]


async def test_who_may_not_ask_is_told_nothing(at: Faces) -> None:
    rid = (await create(at))["rid"]["hodnota"]
    for caller in (INSURER, replace(A, scopes=()), replace(CLINICIAN, scopes=())):
        asking = replace(caller, purpose="TREAT")
        problem = await at.ask("hledat/rid", {"rid": rid}, asking, status=403)
        assert rid not in str(problem)
    await at.ask("hledat/rid", {"rid": rid}, DESK, purpose="SPRAVA")
    await at.ask("hledat/rid", {"rid": rid}, CLINICIAN)


async def test_a_change_needs_somebody_who_is_known_and_keeps_what_was(at: Faces) -> None:
    changed = {**FULL, "prijmeni": "Malá"}
    data = {"mistniId": {"system": NUMBERS_A, "hodnota": "1"}, "pacient": changed}
    await at.ask("zmenit", data, status=404)
    made = await create(at)
    await at.ask("zalozit", data, status=409)
    after = (await at.ask("zmenit", data))["pacient"]
    assert after["rid"]["hodnota"] == made["rid"]["hodnota"]
    assert after["prijmeni"]["hodnota"] == "Malá"
    [former] = after["drivejsiPrijmeni"]
    assert former["hodnota"] == "Procházková" and "platnostDo" in former


async def test_somebody_unknown_gets_a_number_for_the_time_being(at: Faces) -> None:
    number = {"system": NUMBERS_A, "hodnota": "unknown-7"}
    told = await at.ask("docasnyRid", {"mistniId": number, "pacient": {"pohlavi": "M"}})
    one = told["pacient"]
    assert one["rid"]["hodnota"].startswith("D") and one["typZaznamu"] == "Docasny"
    with_number = {"mistniId": {**number, "hodnota": "8"}, "pacient": {"rodneCislo": NUMBER}}
    problem = await at.ask("docasnyRid", with_number, status=400)
    assert problem["path"] == "zadostData.pacient.rodneCislo"


async def test_histories_say_from_when_to_when_and_who_says_so(at: Faces) -> None:
    registered = {
        "url": "https://hl7.cz/fhir/core/StructureDefinition/registering-provider-cz",
        "extension": [
            {"url": "value", "valueReference": {"display": "Ordinace U Lípy", "identifier": {
                "system": "https://ncez.mzcr.cz/fhir/sid/ico", "value": "27520536"}}},
            {"url": "category", "valueCodeableConcept": {"coding": [{"code": "VPL"}]}},
        ],
    }  # fmt: skip
    insured = {
        "system": INSURED_NUMBER, "value": NUMBER,
        "assigner": {"display": "VZP", "identifier": {
            "system": "https://ncez.mzcr.cz/fhir/sid/kp", "value": "111"}},
        "period": {"start": "2010-01-01"},
    }  # fmt: skip
    first = somebody((BIRTH_NUMBER, NUMBER), extension=[registered])
    first["identifier"].append(insured)
    assert (await at.feed("1", first)).status_code == 201
    at.desk.api.clock.move(days=30)
    moved = json.loads(json.dumps(first))
    moved["extension"][0]["extension"][0]["valueReference"]["display"] = "Jiná ordinace"
    moved["identifier"][-1]["assigner"]["identifier"]["value"] = "207"
    assert (await at.feed("1", moved)).status_code == 200
    rid = (await at.ask("hledat/jmenoPrijmeniDatumNarozeni", NAMED))["pacienti"][0]["rid"]
    now = at.desk.api.clock()
    asked = {"rid": rid["hodnota"]}
    said = await at.ask("historie/registrujiciPoskytovatel", asked)
    listed = said["registrujiciPoskytovatele"]
    assert [each["nazev"] for each in listed] == ["Jiná ordinace", "Ordinace U Lípy"]
    assert "platnostDo" not in listed[0] and listed[1]["platnostDo"] == now.isoformat()
    assert listed[1]["platnostOd"] == (now - timedelta(days=30)).isoformat()
    assert listed[0]["zdroj"] == "provider" and listed[0]["obor"] == "VPL"
    insurers = (await at.ask("historie/pojisteni", asked))["pojisteni"]
    assert {each["pojistovna"]["kod"] for each in insurers} == {"111", "207"}
    as_fhir = await at.call("POST", "/Patient/$krp-insurance", parameters(**asked))
    assert len(as_fhir.json()["parameter"]) == 2


async def test_registrars_are_asked_to_merge_and_to_split(at: Faces) -> None:
    one = (await create(at))["rid"]["hodnota"]
    other = (await create(at, "2", B, prijmeni="Malá", rodneCislo=None, doklady=None,
                          datumNarozeni="1950-01-01"))["rid"]["hodnota"]  # fmt: skip
    asked = {"rid": one, "druhyRid": other, "duvod": "tatáž osoba"}
    assert (await at.ask("sloucit", asked))["stav"] == "Prijata"
    row = await at.desk.api.db.fetchrow("select note, source from match_case where state = 'open'")
    assert row is not None
    assert (row["note"], row["source"]) == ("tatáž osoba", A.organization)
    await at.ask("sloucit", {**asked, "druhyRid": one}, status=422)
    await at.ask("sloucit", {**asked, "druhyRid": NOBODY}, status=404)
    split = await at.ask("rozdelit", {"rid": one, "duvod": "dvě osoby"})
    wrong = await at.ask("reklamuj/udaj", {"rid": one, "udaj": "adresy", "popis": "odstěhovala se"})
    assert split["reklamaceId"] != wrong["reklamaceId"]
    [shown] = (await at.ask("hledat/rid", {"rid": one}))["pacienti"]
    assert shown["adresy"][0]["stav"] == "Zpochybneny"
    await at.ask("reklamuj/udaj", {"rid": one, "udaj": "x", "popis": "y"}, status=400)
    again = {"rid": one, "udaj": "adresy", "popis": "odstěhovala se"}
    twice = await at.ask("reklamuj/udaj", again, status=409)
    assert "disputed already" in twice["detail"] and twice["path"] == "zadostData"


async def test_what_waits_to_be_decided_stays_disputed(at: Faces) -> None:
    rid = (await create(at))["rid"]["hodnota"]
    wrong = {"rid": rid, "udaj": "adresy", "popis": "odstěhovala se"}
    await at.ask("reklamuj/udaj", wrong)

    async def told(**more: Any) -> Any:
        number = {"system": NUMBERS_A, "hodnota": "1"}
        await at.ask("zmenit", {"mistniId": number, "pacient": {**FULL, **more}})
        return (await at.ask("hledat/rid", {"rid": rid}))["pacienti"][0]["adresy"][0]

    assert (await told(telefon="+420 603 999 888"))["stav"] == "Zpochybneny"
    moved = await told(adresy=[{"ulice": "Nová 1", "obec": "Brno", "psc": "60200"}])
    assert (moved["hodnota"]["obec"], moved["stav"]) == ("Brno", "Spravny")


async def test_what_belongs_together_is_named_alike(at: Faces) -> None:
    url = "http://api.test/krp/api/v2/pacient/hledat/rid"
    headers = {**at.desk.api.headers(A), "x-correlation-id": "visit-4711"}
    for data, status in (({"rid": NOBODY}, 404), ({}, 400)):
        info = {"datum": "2026-05-01T08:00:00+02:00", "ucel": "LECBA", "zadostId": QUESTION}
        body = {"zadostInfo": info, "zadostData": data}
        answer = await at.desk.api.http.post(url, json=body, headers=headers)
        assert answer.status_code == status
        assert answer.headers["x-correlation-id"] == "visit-4711"
        assert answer.headers["x-request-id"] == "visit-4711"


async def test_other_addresses_and_methods_are_problems_too(at: Faces) -> None:
    for path in ("hledat/nikdo", "../../v9/pacient/hledat/rid"):
        assert (await at.ask(path, {}, status=404))["detail"] == "there is no such address"
    root = "http://api.test/krp/api/v2/pacient"
    headers = at.desk.api.headers(A)
    answer = await at.desk.api.http.get(f"{root}/hledat/rid", headers=headers)
    assert answer.status_code == 405 and answer.headers["allow"] == "POST"
    assert answer.headers["content-type"] == "application/problem+json"
    job = f"{root}/hromadne/{QUESTION}"
    answer = await at.desk.api.http.put(job, headers=headers)
    assert answer.status_code == 405 and answer.headers["allow"] == "DELETE, GET, HEAD"


def parameters(**said: str) -> dict[str, Any]:
    listed = [{"name": name, "valueString": value} for name, value in said.items()]
    return {"resourceType": "Parameters", "parameter": listed}


async def test_the_questions_as_operations(at: Faces) -> None:
    rid = (await create(at))["rid"]["hodnota"]
    for said in (
        {"rid": rid},
        {"family": "Procházková", "given": "Ludmila", "birthDate": "1985-06-15"},
        {"documentType": "P", "documentNumber": "39812345", "documentCountry": "CZE"},
        {"birthNumber": NUMBER, "family": "Procházková", "purpose": "LECBA"},
    ):
        answer = await at.call("POST", "/Patient/$krp-find", parameters(**said), B)
        assert answer.status_code == 200, answer.text
        assert not [each for each in validate(answer.json()) if each.severity == "error"]
        [entry] = answer.json()["entry"]
        numbers = {(e["system"], e["value"]) for e in entry["resource"]["identifier"]}
        assert (RID, rid) in numbers and (PASSPORT + "CZE", "39812345") in numbers
    for name, said, status in (
        ("find", {"family": "Nikdo", "given": "Nikdo", "birthDate": "1985-06-15"}, 404),
        ("find", {"rid": "1"}, 400),
        ("find", {"shoeSize": "44"}, 400),
        ("find", {"rid": rid, "purpose": "URGENT"}, 403),
        ("insurance", {}, 400),
        ("registering", {"rid": rid}, 200),
        ("split", {"rid": rid, "reason": "dvě osoby"}, 200),
        ("merge", {"rid": rid, "other": rid, "reason": "x"}, 422),
        ("dispute", {"rid": rid, "element": "name", "reason": "x"}, 200),
        ("dispute", {"rid": rid, "element": "shoes", "reason": "x"}, 400),
    ):
        answer = await at.call("POST", f"/Patient/$krp-{name}", parameters(**said))
        assert answer.status_code == status, (name, answer.text)


async def test_many_are_identified_at_once_and_bad_rows_set_aside(at: Faces) -> None:
    rid = (await create(at))["rid"]["hodnota"]
    rows: list[Any] = [
        {"zaznamId": "a", "ucel": "LECBA", "rid": rid},
        {"zaznamId": "b", "ucel": "LECBA", "jmeno": "Nikdo", "prijmeni": "Nikdo",
         "datumNarozeni": "1990-01-01"},
        {"zaznamId": "c", "ucel": "LECBA", "rid": "123"},
        {"zaznamId": "d", "rid": rid},
        {"zaznamId": "e", "ucel": "URGENT", "rid": rid},
        "f",
        {"zaznamId": "g", "ucel": "TREAT", **NAMED},
        {"zaznamId": "h", "ucel": "LECBA", "jmeno": "Eva"},
    ]  # fmt: skip
    task = await at.ask("hromadne/ztotozneni", {"osoby": rows}, B, status=202)
    number = task["ulohaId"]
    assert (await at.look(number, B)).json()["stav"] == "Ceka"
    assert (await at.look(f"{number}/vysledek", B)).status_code == 404
    assert (await at.look(number, A)).status_code == 404
    await at.work()
    stands = (await at.look(number, B)).json()
    assert (stands["stav"], stands["zpracovano"], stands["ztotozneno"]) == ("Hotovo", 8, 2)
    found = [json.loads(e) for e in (await at.look(f"{number}/vysledek", B)).text.splitlines()]
    assert [(e["zaznamId"], e["vysledek"], e.get("rid")) for e in found] == [
        ("a", "Ztotoznen", rid), ("b", "Nenalezen", None), ("g", "Ztotoznen", rid),
    ]  # fmt: skip
    bad = [json.loads(e) for e in (await at.look(f"{number}/karantena", B)).text.splitlines()]
    assert [(e["radek"], e["pole"]) for e in bad] == [
        (2, "rid"), (3, "ucel"), (4, "ucel"), (5, ""), (7, ""),
    ]  # fmt: skip
    told = [e["query"] for e in await at.desk.api.journal(agent="b") if e["person"] > 0]
    assert told == [f"krp hromadne LECBA {QUESTION}", f"krp hromadne TREAT {QUESTION}"]
    assert (await at.look(number, B, "DELETE")).status_code == 204
    assert (await at.look(number, B)).status_code == 404


async def test_a_bulk_identification_has_rows_and_not_too_many(at: Faces) -> None:
    wrong: list[Any] = [None, [], "x", [{}] * 5_001]
    for rows in wrong:
        await at.ask("hromadne/ztotozneni", {"osoby": rows}, status=400)
