"""The national registers' own questions, and a provider's disputes."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

import pytest

from pater.access.caller import Caller
from tests.directory.conftest import (
    CLINICIAN,
    HOSPITAL,
    ICO_A,
    ICO_B,
    KRZP,
    PEOPLE,
    PLACES,
    Desk,
    as_,
)

KRPZS, KRZP_AT = "/krpzs/api/v2/Poskytovatel", "/krzp/api/v2/pracovnik"


@pytest.fixture
async def full(desk: Desk) -> Desk:
    await desk.take(PLACES)
    await desk.take(PEOPLE)
    return desk


async def ask(
    desk: Desk, path: str, data: Any, caller: Caller = HOSPITAL, status: int = 200, **info: Any
) -> dict[str, Any]:
    body = {"zadostInfo": {"datum": "2026-01-01T08:00:00Z", "ucel": "LECBA",
                           "zadostId": str(uuid4()), **info}, "zadostData": data}  # fmt: skip
    answer = await desk.call("POST", path, caller, json=body)
    assert answer.status_code == status, answer.text
    found: dict[str, Any] = answer.json()
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"
        assert found["status"] == status
        return found
    assert found["zadostId"] == body["zadostInfo"]["zadostId"]
    data_: dict[str, Any] = found["odpovedData"]
    return data_


async def test_a_provider_by_number_with_permits_places_and_services(full: Desk) -> None:
    found = await ask(full, f"{KRPZS}/hledat/ico", {"ico": ICO_A})
    assert found["poskytovatelNazev"] == {
        "hodnota": "Nemocnice Podlesí a.s.", "referencni": False, "stav": "Spravny",
        "zdroj": "NRPZS",
    }  # fmt: skip
    [permit] = found["opravneni"]
    assert (permit["cislo"], permit["spravniOrgan"]) == ("KU/12/2012", "Krajský úřad Podlesí")
    [place] = permit["mistaPoskytovani"]
    assert {each["oborPece"] for each in place["sluzby"]} == {"kardiologie", "vnitřní lékařství"}
    assert place["sluzby"][0]["formaPece"] == ["ambulantní", "lůžková"]
    facility = place["zdravotnickeZarizeni"]
    assert facility["pristrojovaTechnika"] == ["CT", "magnetická rezonance"]
    assert {(d["nazev"], d["luzka"]) for d in facility["oddeleni"]} == {("Interna", 42), ("JIP", 8)}
    assert facility["vymennaSit"] == ["https://a.example.cz/fhir"]
    assert [each["nazev"]["hodnota"] for each in found["mistaPoskytovani"]] == [
        "Ambulance Horní Lhotka"
    ]


async def test_providers_by_name_and_by_place(full: Desk) -> None:
    found = await ask(full, f"{KRPZS}/hledat/nazev", {"nazev": "dubu"})
    assert [each["ico"]["hodnota"] for each in found["poskytovatele"]] == [ICO_B]
    found = await ask(full, f"{KRPZS}/hledat/misto", {"obec": "Horní Lhotka"})
    assert [each["zaznamId"] for each in found["mista"]] == ["place-1002"]
    found = await ask(
        full,
        f"{KRPZS}/hledat/misto",
        {"obec": "javorne", "ulice": "lesni", "oborPece": "kardiologie"},
    )
    assert [each["zaznamId"] for each in found["mista"]] == ["place-1001"]


async def test_professionals(full: Desk) -> None:
    one = await ask(full, f"{KRZP_AT}/hledat/krzpid", {"krzpid": KRZP})
    assert one["prijmeni"]["hodnota"] == "Horáková"
    assert {"kardiologie", "všeobecné lékařství"} == {z["obor"] for z in one["zpusobilost"]}
    assert one["clenstviVKomorach"] == ["Česká lékařská komora"]
    [work] = one["zamestnani"]
    assert (work["poskytovatel"], work["platnost"]["od"], work["platne"]) == (
        ICO_A,
        "2010-09-01",
        True,
    )
    born = {"jmeno": "Alena", "prijmeni": "Horáková", "datumNarozeni": "1975-03-02"}
    found = await ask(full, f"{KRZP_AT}/hledat/jmenoPrijmeniDatumNarozeni", born)
    assert [each["krzpid"]["hodnota"] for each in found["pracovnici"]] == [KRZP]
    assert "1975" not in str(found)
    for other in ({"datumNarozeni": "1975-03-03"}, {"jmeno": "Jana"}, {"prijmeni": "Malá"}):
        found = await ask(full, f"{KRZP_AT}/hledat/jmenoPrijmeniDatumNarozeni", {**born, **other})
        assert found["pracovnici"] == []
    found = await ask(full, f"{KRZP_AT}/hledat/zamestnavatel", {"ico": ICO_B})
    assert [each["prijmeni"]["hodnota"] for each in found["pracovnici"]] == ["Malý"]


@pytest.mark.parametrize(
    ("path", "data", "status", "place"),
    [
        (f"{KRPZS}/hledat/ico", {"ico": "27520537"}, 400, "zadostData.ico"),
        (f"{KRPZS}/hledat/ico", {}, 400, "zadostData.ico"),
        (f"{KRPZS}/hledat/ico", {"ico": 27520536}, 400, "zadostData.ico"),
        (f"{KRPZS}/hledat/ico", {"ico": "00000019"}, 404, "zadostData.ico"),
        (f"{KRPZS}/hledat/nazev", {"nazev": "a"}, 400, "zadostData.nazev"),
        (f"{KRPZS}/hledat/misto", {"obec": "???"}, 400, "zadostData.obec"),
        (f"{KRZP_AT}/hledat/krzpid", {"krzpid": "0"}, 400, "zadostData.krzpid"),
        (f"{KRZP_AT}/hledat/krzpid", {"krzpid": "199999999"}, 404, "zadostData.krzpid"),
        (f"{KRZP_AT}/hledat/jmenoPrijmeniDatumNarozeni",
         {"jmeno": "A", "prijmeni": "B", "datumNarozeni": "2.3.1975"}, 400,
         "zadostData.datumNarozeni"),
    ],
)  # fmt: skip
async def test_what_is_asked_wrongly_is_answered_with_its_place(
    full: Desk, path: str, data: Any, status: int, place: str
) -> None:
    found = await ask(full, path, data, status=status)
    assert found["path"] == place


async def test_envelopes_are_checked_and_nobody_asks_without_a_token(full: Desk) -> None:
    path = f"{KRPZS}/hledat/ico"
    for body in (b"", b"[]", b"{", b'{"zadostInfo":{},"zadostData":{}}'):
        answer = await full.call("POST", path, content=body)
        assert answer.status_code == 415, answer.text  # nothing says that it is JSON
    for bad in ([], {}, {"zadostInfo": {}, "zadostData": {}}, {"zadostInfo": 1, "zadostData": 2}):
        assert (await full.call("POST", path, json=bad)).status_code == 400, bad
    assert (await ask(full, path, {"ico": ICO_A}, status=400, ucel="ZVĚDAVOST"))["path"]
    assert (await full.http.post(path, json={})).status_code == 401
    await ask(full, path, {"ico": ICO_A}, as_(HOSPITAL, role="none"), 403)


async def test_a_provider_disputes_what_is_said_of_itself_only(full: Desk) -> None:
    mine = as_(HOSPITAL, organization=ICO_A)
    data = {
        "typ": "Location",
        "zaznamId": "place-1001",
        "udaj": "nazev",
        "popis": "Jmenujeme se jinak",
    }
    made = await ask(full, f"{KRPZS}/reklamuj/udaj", data, mine)
    assert made["stav"] == "Přijata"
    found = await ask(full, f"{KRPZS}/hledat/ico", {"ico": ICO_A})
    assert found["opravneni"][0]["mistaPoskytovani"][0]["nazev"]["stav"] == "Zpochybneny"
    await ask(full, f"{KRPZS}/reklamuj/udaj", data, HOSPITAL, 403)
    await ask(full, f"{KRPZS}/reklamuj/udaj", data, as_(mine, organization=""), 403)
    await ask(full, f"{KRPZS}/reklamuj/udaj", {**data, "zaznamId": "place-9"}, mine, 404)
    await ask(full, f"{KRPZS}/reklamuj/udaj", {**data, "typ": "Patient"}, mine, 400)
    person = {"zaznamId": f"krzp-{KRZP}", "udaj": "zpusobilost", "popis": "Chybí atestace"}
    await ask(full, f"{KRZP_AT}/reklamuj/udaj", person, as_(CLINICIAN, organization=ICO_A))
    one = await ask(full, f"{KRZP_AT}/hledat/krzpid", {"krzpid": KRZP})
    assert [each["udaj"] for each in one["reklamace"]] == ["zpusobilost"]
    await ask(full, f"{KRZP_AT}/reklamuj/udaj", person, as_(CLINICIAN, organization=ICO_B), 403)
