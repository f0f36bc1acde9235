"""`$meta`, `$document`, `$lastn`, `$diff`, `$convert` and `$expunge` over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from pater.fhir import xml
from pater.fhir.patch import apply, read_patch
from pater.fhir.validation import validate
from tests.rest.world import (
    BASE,
    CLINICIAN,
    HOSPITAL,
    INSURER,
    LOADER,
    World,
    issues,
    observation,
    patient_caller,
)

TAG = {"system": "http://example.org/tags", "code": "checked"}


def parameters(**values: Any) -> dict[str, Any]:
    """Parameters of values by name: booleans, numbers, strings, Meta."""

    def part(name: str, value: Any) -> dict[str, Any]:
        if isinstance(value, bool):
            return {"name": name, "valueBoolean": value}
        if isinstance(value, int):
            return {"name": name, "valueInteger": value}
        if isinstance(value, dict):
            return {"name": name, "valueMeta": value}
        return {"name": name, "valueString": value}

    listed = [part(*each) for each in values.items()]
    return {"resourceType": "Parameters", **({"parameter": listed} if listed else {})}


async def test_tags_come_and_go(api: World) -> None:
    made = await api.patient(meta={"profile": ["http://example.org/p"]})
    path = f"/Patient/{made['id']}"
    answer = await api.call("POST", f"{path}/$meta-add", parameters(meta={"tag": [TAG, TAG]}))
    assert answer.status_code == 200, answer.text
    meta = answer.json()["parameter"][0]["valueMeta"]
    assert (meta["tag"], meta["versionId"]) == ([TAG], "2")
    found = await api.call("GET", f"/Patient?_tag={TAG['system']}|checked")
    assert [e["resource"]["id"] for e in found.json()["entry"]] == [made["id"]]
    shown = await api.call("GET", f"{path}/$meta", caller=CLINICIAN)
    assert shown.json()["parameter"] == [{"name": "return", "valueMeta": meta}]
    away = parameters(meta={"tag": [{**TAG, "display": "other"}], "profile": ["http://x.org"]})
    answer = await api.call("POST", f"{path}/$meta-delete", xml.dumps(away),
                            content_type="application/fhir+xml", if_match='W/"2"')  # fmt: skip
    left = answer.json()["parameter"][0]["valueMeta"]
    assert "tag" not in left
    assert left["profile"] == ["http://example.org/p"]
    stale = await api.call("POST", f"{path}/$meta-delete", away, if_match='W/"2"')
    assert stale.status_code == 412
    assert await api.journal(entity_id=made["id"], interaction="operation", action="U")


async def test_meta_of_a_type_is_what_is_in_use(
    api: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pater.rest.operations.metas._PAGE", 2)  # several pages
    profile = "http://example.org/used"
    for number in range(5):
        tags = [{**TAG, "code": f"t{number % 2}"}]
        await api.create({"resourceType": "Endpoint", "status": "active", "address": "http://e.org",
                          "connectionType": {"code": "hl7-fhir-rest"},
                          "payloadType": [{"text": "any"}], "meta": {"tag": tags}})  # fmt: skip
    mine, other = await api.patient(meta={"profile": [profile]}), await api.patient()
    await api.create(observation(mine["id"], meta={"security": [{**TAG, "code": "R"}]}))
    await api.create(observation(other["id"], meta={"security": [{**TAG, "code": "V"}]}))
    found = (await api.call("GET", "/Endpoint/$meta")).json()["parameter"][0]["valueMeta"]
    assert found == {"tag": [{**TAG, "code": "t0"}, {**TAG, "code": "t1"}]}
    me = patient_caller(await api.person_of(mine["id"]), mine["id"])
    own = (await api.call("POST", "/Observation/$meta", parameters(), me)).json()
    assert own["parameter"][0]["valueMeta"] == {"security": [{**TAG, "code": "R"}]}
    whole = (await api.call("GET", "/$meta", caller=me)).json()["parameter"][0]["valueMeta"]
    assert (profile in whole["profile"], {**TAG, "code": "V"} in whole["security"]) == (True, False)
    assert (await api.call("GET", "/Observation/$meta", caller=CLINICIAN)).status_code == 403
    assert (await api.call("GET", "/Patient/$meta", caller=INSURER)).status_code == 403


async def test_meta_of_too_much_is_refused(api: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pater.rest.operations.metas._PAGE", 1)
    monkeypatch.setattr("pater.rest.operations.metas._MOST_READ", 2)
    for _ in range(3):
        await api.patient()
    for path in ("/Patient/$meta", "/$meta"):
        answer = await api.call("GET", path)
        assert (answer.status_code, issues(answer)[0]["code"]) == (422, "too-costly")


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (parameters(), "Parameters.parameter.where(name='meta')"),
        (parameters(meta="x"), "Parameters.parameter[0]"),
        (parameters(meta={"source": "http://x.org"}), "Parameters.parameter[0]"),
        (parameters(meta={"tag": [{"code": 1}]}), "Parameters.parameter[0].value.tag[0].code"),
        (parameters(meta={"profile": "x"}), "Parameters.parameter[0].value.profile"),
    ],
)
async def test_a_wrong_meta_is_refused(api: World, body: dict[str, Any], path: str) -> None:
    made = await api.patient()
    answer = await api.call("POST", f"/Patient/{made['id']}/$meta-add", body)
    assert answer.status_code == 400, answer.text
    assert issues(answer)[0]["expression"] == [path]


async def test_who_may_not_write_adds_no_tags(api: World) -> None:
    made = await api.patient()
    body = parameters(meta={"tag": [TAG]})
    answer = await api.call("POST", f"/Patient/{made['id']}/$meta-add", body, CLINICIAN)
    assert answer.status_code == 403
    other = await api.patient()
    stranger = patient_caller(await api.person_of(other["id"]), other["id"])
    seen = await api.call("GET", f"/Patient/{made['id']}/$meta", caller=stranger)
    none = await api.call("GET", "/Patient/absent/$meta", caller=stranger)
    assert (seen.status_code, none.status_code) == (404, 404)


async def composition(api: World) -> tuple[str, dict[str, Any]]:
    patient = (await api.patient())["id"]
    author = await api.create({"resourceType": "Practitioner", "name": [{"family": "B"}]})
    seen = await api.create(observation(patient))
    other = await api.create(observation((await api.patient())["id"]))
    made = await api.create({
        "resourceType": "Composition", "status": "final", "title": "Report",
        "type": {"text": "Report"}, "date": "2026-03-01",
        "subject": {"reference": f"Patient/{patient}"},
        "author": [{"reference": f"Practitioner/{author['id']}"}],
        "section": [{"title": "Values", "entry": [
            {"reference": f"Observation/{seen['id']}"},
            {"reference": f"Observation/{other['id']}"},
        ]}],
    })  # fmt: skip
    return patient, made


async def test_a_document_holds_what_the_composition_names(api: World) -> None:
    patient, made = await composition(api)
    path = f"/Composition/{made['id']}/$document"
    answer = await api.call("GET", path, caller=CLINICIAN)
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert (bundle["type"], validate(bundle)) == ("document", [])
    types = [each["resource"]["resourceType"] for each in bundle["entry"]]
    # what belongs to another patient is not brought along
    assert types == ["Composition", "Observation", "Patient", "Practitioner"]
    assert bundle["entry"][0]["fullUrl"] == f"{BASE}/Composition/{made['id']}"
    person = await api.person_of(patient)
    assert await api.journal(person=person, query="$document", agent=CLINICIAN.id)
    typed = await api.call("POST", "/Composition/$document",
                           parameters(id=f"Composition/{made['id']}"),
                           accept="application/fhir+xml")  # fmt: skip
    assert len(xml.parse(typed.content)["entry"]) == 4


async def test_a_document_can_be_kept(api: World) -> None:
    patient, made = await composition(api)
    path = f"/Composition/{made['id']}/$document?persist=true"
    answer = await api.call("GET", path)
    assert answer.status_code == 201, answer.text
    kept = await api.http.get(answer.headers["location"], headers=api.headers(CLINICIAN))
    assert kept.json() == answer.json()
    row = await api.db.fetchrow("select person from resource where id = $1", kept.json()["id"])
    assert row and row["person"] == await api.person_of(patient)
    assert (await api.call("GET", path, caller=CLINICIAN)).status_code == 403


async def test_another_patients_document_is_withheld(api: World) -> None:
    _, made = await composition(api)
    other = await api.patient()
    stranger = patient_caller(await api.person_of(other["id"]), other["id"])
    for id in (made["id"], "absent"):
        answer = await api.call("GET", f"/Composition/{id}/$document", caller=stranger)
        assert answer.status_code == 404
    bad = await api.call("GET", f"/Composition/{made['id']}/$document?persist=maybe")
    assert bad.status_code == 400
    assert (await api.call("GET", "/Composition/$document")).status_code == 400


def coded(patient: str, code: str, day: int, *more: str) -> dict[str, Any]:
    codings = [{"system": "http://loinc.org", "code": each} for each in (code, *more)]
    return observation(patient, code={"coding": codings}, effectiveDateTime=f"2026-03-{day:02}")


async def lastn(api: World, query: str, **more: Any) -> list[tuple[str, str]]:
    answer = await api.call("GET", f"/Observation/$lastn?{query}", **more)
    assert answer.status_code == 200, answer.text
    return [
        (e["resource"]["code"].get("text") or e["resource"]["code"]["coding"][0]["code"],
         e["resource"].get("effectiveDateTime", ""))
        for e in answer.json().get("entry", ())
    ]  # fmt: skip


async def test_the_newest_of_each_code(api: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pater.records.latest.PAGE", 4)  # several rounds for few rows
    patient = (await api.patient())["id"]
    other = (await api.patient())["id"]
    entries = [
        {"resource": each, "request": {"method": "POST", "url": "Observation"}}
        for each in [
            *(coded(patient, "8867-4", day) for day in range(1, 20)),
            coded(patient, "8310-5", 2), coded(patient, "8310-5", 1),
            observation(patient, code={"text": "mood"}, effectiveDateTime="2026-02-01"),
            observation(patient, code={"text": "mood"}, effectiveDateTime="2026-02-02"),
            coded(other, "8310-5", 28),
        ]
    ]  # fmt: skip
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": entries}
    assert (await api.call("POST", "", bundle)).status_code == 200
    newest = await lastn(api, f"patient={patient}", caller=CLINICIAN)
    assert newest == [("8867-4", "2026-03-19"), ("8310-5", "2026-03-02"), ("mood", "2026-02-02")]
    two = await lastn(api, f"subject=Patient/{patient}&max=2")
    assert [code for code, _ in two] == ["8867-4"] * 2 + ["8310-5"] * 2 + ["mood"] * 2
    assert await lastn(api, f"patient={patient}&code=http://loinc.org|8310-5&max=5") == [
        ("8310-5", "2026-03-02"), ("8310-5", "2026-03-01")
    ]  # fmt: skip
    assert await lastn(api, f"patient={patient}&date=lt2026-02-02") == [("mood", "2026-02-01")]
    person = await api.person_of(patient)
    told = await api.journal(person=person, interaction="operation", agent=CLINICIAN.id)
    assert [row["query"] for row in told] == ["$lastn"]
    posted = parameters(patient=patient, max=1, code="8310-5")
    answer = await api.call("POST", "/Observation/$lastn", posted, accept="application/fhir+xml")
    assert len(xml.parse(answer.content)["entry"]) == 1


async def test_codes_seen_together_are_one_kind(api: World) -> None:
    patient = (await api.patient())["id"]
    for one in (coded(patient, "a", 1), coded(patient, "a", 2, "b"), coded(patient, "b", 3)):
        await api.create(one)
    assert await lastn(api, f"patient={patient}") == [("b", "2026-03-03")]


@pytest.mark.parametrize(
    "query",
    ["", "max=2", "patient=1&patient=2", "patient=1&max=0", "patient=1&max=x", "patient=a b",
     "patient=1&colour=red", "patient=1&_sort=date", "patient=1&subject:Patient.name=x",
     "patient=1&_include=*"],
)  # fmt: skip
async def test_lastn_refuses_what_it_does_not_take(api: World, query: str) -> None:
    answer = await api.call("GET", f"/Observation/$lastn?{query}")
    assert answer.status_code == 400, answer.text
    assert issues(answer)


async def test_lastn_of_another_patient_is_withheld(api: World) -> None:
    patient, other = await api.patient(), await api.patient()
    stranger = patient_caller(await api.person_of(other["id"]), other["id"])
    for id in (patient["id"], "absent"):
        answer = await api.call("GET", f"/Observation/$lastn?patient={id}", caller=stranger)
        assert answer.status_code == 404
    path = f"/Observation/$lastn?patient={patient['id']}"
    assert (await api.call("GET", path, caller=INSURER)).status_code == 403


async def test_a_difference_is_a_patch(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    await api.call("PUT", path, {**made, "birthDate": "1981-01-01", "gender": "female"})
    answer = await api.call("GET", f"{path}/$diff", caller=CLINICIAN)
    assert answer.status_code == 200, answer.text
    now = (await api.call("GET", path)).json()
    patched = apply(made, read_patch(answer.json()))
    assert {**patched, "meta": 0} == {**now, "meta": 0}
    assert "meta" not in answer.text
    whole = await api.call("GET", f"{path}/$diff?fromVersion=1&toVersion=2&includeMeta=true")
    assert apply(made, read_patch(whole.json())) == now
    other = await api.patient(active=True)
    query = f"from=Patient/{made['id']}/_history/1&to=Patient/{other['id']}"
    between = await api.call("GET", f"/$diff?{query}", accept="application/fhir+xml")
    assert xml.parse(between.content)["parameter"][0]["part"][2]["valueString"] == "active"
    refused = [f"{path}/$diff?fromVersion=0", "/$diff?from=Patient/1", "/$diff?from=x&to=y",
               f"/$diff?from=Patient/{made['id']}&to=Observation/1"]  # fmt: skip
    for each in refused:
        answer = await api.call("GET", each)
        assert (answer.status_code, len(issues(answer)[0]["expression"])) == (400, 1), each
    first = await api.call("GET", f"/Patient/{other['id']}/$diff")
    assert first.status_code == 400


async def test_a_difference_needs_the_right_to_both(api: World) -> None:
    one, other = await api.patient(), await api.patient()
    own = patient_caller(await api.person_of(one["id"]), one["id"])
    for id in (other["id"], "absent"):
        query = f"from=Patient/{one['id']}&to=Patient/{id}"
        assert (await api.call("GET", f"/$diff?{query}", caller=own)).status_code == 404


async def test_converting(api: World) -> None:
    given = {"resourceType": "Patient", "active": True, "extension": []}
    del given["extension"]
    answer = await api.call("POST", "/$convert", given, accept="application/fhir+xml")
    assert xml.parse(answer.content) == given
    back = await api.call("POST", "/$convert", answer.content,
                          content_type="application/fhir+xml", caller=HOSPITAL)  # fmt: skip
    assert back.json() == given
    assert (await api.call("POST", "/$convert", {"resourceType": "Hat"})).status_code == 400
    assert (await api.call("GET", "/$convert")).status_code == 405
    versions = await api.call("GET", "/$versions")
    assert versions.json()["parameter"][0] == {"name": "version", "valueCode": "4.0"}


async def versions(api: World, id: str) -> list[int]:
    rows = await api.db.fetch("select version from history where id = $1 order by 1", id)
    return [row["version"] for row in rows]


async def test_superseded_versions_are_taken_out(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    for day in (1, 2, 3):
        await api.call("PUT", path, {**made, "birthDate": f"1981-01-0{day}"})
    confirm = path[1:]
    body = parameters(expungePreviousVersions=True, confirm=confirm, limit=2)
    answer = await api.call("POST", f"{path}/$expunge", body)
    said = {p["name"]: p for p in answer.json()["parameter"]}
    assert (said["versions"]["valueInteger"], said["more"]["valueBoolean"]) == (2, True)
    again = await api.call("POST", f"{path}/$expunge", body)
    said = {p["name"]: p for p in again.json()["parameter"]}
    assert (said["count"]["valueInteger"], said["more"]["valueBoolean"]) == (1, False)
    assert await versions(api, made["id"]) == []
    assert (await api.call("GET", f"{path}/_history/1")).status_code == 404
    assert (await api.call("GET", path)).json()["birthDate"] == "1981-01-03"
    person = await api.person_of(made["id"])
    rows = await api.journal(person=person, interaction="expunge", outcome="0")
    assert [row["query"] for row in rows] == ["rows=2", "rows=1"]


async def test_a_whole_resource_is_taken_out(api: World) -> None:
    patient = (await api.patient())["id"]
    made = await api.create(observation(patient))
    path = f"/Observation/{made['id']}"
    body = parameters(expungeEverything=True, confirm=path[1:])
    answer = await api.call("POST", f"{path}/$expunge", body)
    assert answer.status_code == 200, answer.text
    for table in ("resource", "history"):
        sql = f"select count(*) from {table} where id = $1"
        assert await api.db.fetchval(sql, made["id"]) == 0
    assert (await api.call("GET", path)).status_code == 404
    found = await api.call("GET", f"/Observation?patient={patient}")
    assert "entry" not in found.json()
    body = parameters(expungeEverything=True, confirm=f"Patient/{patient}")
    left = await api.call("POST", f"/Patient/{patient}/$expunge", body)
    assert left.status_code == 422
    assert (await api.call("GET", f"/Patient/{patient}")).status_code == 200


async def test_deletions_of_a_type_are_taken_out(api: World) -> None:
    patient = (await api.patient())["id"]
    gone = await api.create(observation(patient))
    kept = await api.create(observation(patient))
    await api.call("DELETE", f"/Observation/{gone['id']}")
    body = parameters(expungeDeletedResources=True, confirm="Observation")
    answer = await api.call("POST", "/Observation/$expunge", body)
    said = {p["name"]: p.get("valueInteger") for p in answer.json()["parameter"]}
    assert said["resources"] >= 1
    assert (await api.call("GET", f"/Observation/{gone['id']}")).status_code == 404
    assert (await api.call("GET", f"/Observation/{kept['id']}")).status_code == 200
    everywhere = parameters(expungeDeletedResources=True, confirm="everything here")
    assert (await api.call("POST", "/$expunge", everywhere)).status_code == 200


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (parameters(expungePreviousVersions=True), 400),
        (parameters(expungePreviousVersions=True, confirm="Patient"), 400),
        (parameters(confirm="{}"), 400),
        (parameters(expungePreviousVersions="yes", confirm="{}"), 400),
        (parameters(expungePreviousVersions=True, confirm="{}", limit=0), 400),
        (parameters(expungePreviousVersions=True, confirm="{}", limit=100_000), 400),
        (parameters(colour=True, confirm="{}"), 400),
    ],
)
async def test_expunging_wants_to_be_sure(api: World, body: dict[str, Any], status: int) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    await api.call("PUT", path, {**made, "birthDate": "1981-01-01"})
    for part in body["parameter"]:
        if part.get("valueString") == "{}":
            part["valueString"] = path[1:]
    answer = await api.call("POST", f"{path}/$expunge", body)
    assert answer.status_code == status, answer.text
    assert issues(answer)[0]["expression"]
    assert await versions(api, made["id"]) == [1]
    assert (await api.call("GET", f"{path}/$expunge")).status_code == 405


async def test_nobody_else_expunges(api: World) -> None:
    made = await api.patient()
    path = f"/Patient/{made['id']}"
    body = parameters(expungePreviousVersions=True, confirm=path[1:])
    own = patient_caller(await api.person_of(made["id"]), made["id"])
    for caller in (CLINICIAN, HOSPITAL, INSURER, own):
        assert (await api.call("POST", f"{path}/$expunge", body, caller)).status_code == 403
    assert LOADER.role == "loader"


async def test_a_batch_calls_operations(api: World) -> None:
    patient = (await api.patient())["id"]
    calls = [
        ("GET", f"Patient/{patient}/$everything?_count=1", None, "200"),
        ("POST", f"Patient/{patient}/$meta-add", parameters(meta={"tag": [TAG]}), "200"),
        ("POST", "$convert", {"resourceType": "Basic"}, "200"),
        ("POST", "Patient/$validate", {"resourceType": "Patient"}, "200"),
        ("GET", "Observation/$lastn", None, "400"),
        ("GET", "Patient/$nothing", None, "404"),
        ("GET", "$convert", None, "405"),
        ("PUT", f"Patient/{patient}/$meta", {"resourceType": "Patient"}, "400"),
    ]
    entries = [
        {"request": {"method": method, "url": url}, **({"resource": body} if body else {})}
        for method, url, body, _ in calls
    ]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries}
    answer = await api.call("POST", "", batch)
    got = [each["response"]["status"] for each in answer.json()["entry"]]
    assert got == [status for *_, status in calls]
    assert answer.json()["entry"][0]["resource"]["type"] == "searchset"
    whole = {"resourceType": "Bundle", "type": "transaction", "entry": [entries[0]]}
    done = await api.call("POST", "", whole)
    assert done.json()["entry"][0]["resource"]["type"] == "searchset"
    refused = await api.call("POST", "", {**whole, "entry": [entries[1]]})
    assert refused.status_code == 400
    assert issues(refused)[0]["expression"] == ["Bundle.entry[0].request"]
