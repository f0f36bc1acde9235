"""The patient's pages: what is declared, ended, registered and revoked, and by whom not."""

from __future__ import annotations

from typing import Any

from pater.fhir.labels import label
from pater.registers.identifiers import PROFESSIONAL
from tests.consents.conftest import ICO_A, ICO_B, Desk, hidden

PDF = b"%PDF-1.7\nsigned and verified\n%%EOF\n"


async def _document(desk: Desk, bundle: str = "b-1") -> str:
    """A document of Jana's in the record, as intake leaves it."""
    organization = await desk.create(
        {
            "resourceType": "Organization",
            "name": "Nemocnice Podlesí",
            "identifier": [{"system": "https://ncez.mzcr.cz/fhir/sid/ico", "value": ICO_A}],
        }
    )
    reference = await desk.create(
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": {"reference": f"Patient/{desk.patients['jana']}"},
            "custodian": {"reference": f"Organization/{organization}"},
            "date": "2026-05-01T10:00:00Z",
            "description": "Propouštěcí zpráva",
            "content": [{"attachment": {"url": f"Bundle/{bundle}"}}],
        }
    )
    await desk.db.execute(
        "update resource set label = $2 where id = $1", reference, label(document=bundle)
    )
    return reference


async def test_opting_out_asks_for_understanding_and_happens_once(desk: Desk) -> None:
    path = "/patient/will/new?topic=everything"
    assert "hold nothing back" in (await desk.get("jana", "/patient/will")).text
    fields: dict[str, Any] = {"topic": "everything", "effect": "deny"}
    refused = await desk.post("jana", "/patient/will/new", path, 422, **fields)
    assert 'id="error-understood"' in refused.text
    assert await desk.consents() == []

    shown = await desk.get("jana", path)
    for _ in range(2):  # the second is the same form sent twice
        done = await desk.send("jana", "/patient/will/new", shown, understood="1", **fields)
        assert done.headers["location"] == "/patient/will?done=made"
    (consent,) = await desk.consents()
    assert consent["status"] == "active" and consent["provision"] == {"type": "deny"}
    assert consent["patient"]["reference"] == f"Patient/{desk.patients['jana']}"
    # and what is declared already is not declared again by another form
    await desk.post("jana", "/patient/will/new", path, understood="1", **fields)
    assert len(await desk.consents()) == 1

    page = await desk.get("jana", "/patient/will")
    assert "You share nothing" in page.text
    await desk.send("jana", "/patient/will/end", page, id=consent["id"])
    await desk.send("jana", "/patient/will/end", page, id=consent["id"])  # twice is once
    (ended,) = await desk.consents()
    assert ended["status"] == "inactive" and ended["meta"]["versionId"] == "2"
    assert "You share nothing" not in (await desk.get("jana", "/patient/will")).text
    history = await desk.get("jana", "/patient/will/history")
    assert "The whole record" in history.text and "ended" in history.text


async def test_a_kind_of_records_is_held_back_from_one_provider_for_a_time(desk: Desk) -> None:
    await _document(desk)
    fields: dict[str, Any] = {
        "topic": "category",
        "effect": "deny",
        "category": "laboratory-report",
        "who": ICO_A,
        "since": "2026-01-01",
        "until": "2050-12-31",
    }
    path = "/patient/will/new?topic=category"
    shown = await desk.get("jana", path)
    assert f'value="{ICO_A}"' in shown.text  # who sent something is offered
    for wrong in ({"category": ""}, {"category": "consent"}, {"until": "2025-01-01"},
                  {"since": "yesterday"}, {"typed": "27520537"}):  # fmt: skip
        await desk.send("jana", "/patient/will/new", shown, 422, **(fields | wrong))
    await desk.send("jana", "/patient/will/new", shown, **fields)
    (consent,) = await desk.consents()
    provision: dict[str, Any] = consent["provision"]
    assert provision["class"] == [
        {"system": "urn:pater:record-category", "code": "laboratory-report"}
    ]
    (actor,) = provision["actor"]
    assert actor["reference"]["identifier"]["value"] == ICO_A
    assert actor["reference"]["display"] == "Nemocnice Podlesí"
    # days as they are here, not in Greenwich
    assert provision["period"] == {
        "start": "2026-01-01T00:00:00+01:00",
        "end": "2050-12-31T23:59:59+01:00",
    }
    page = await desk.get("jana", "/patient/will")
    assert "Laboratory results" in page.text and "Nemocnice Podlesí" in page.text


async def test_a_provider_is_found_by_name_and_any_by_its_number(desk: Desk) -> None:
    await _document(desk)
    path = "/patient/will/new?topic=provider"
    fields: dict[str, Any] = {"topic": "provider", "effect": "permit"}
    shown = await desk.get("jana", path)
    choice = await desk.send("jana", "/patient/will/new", shown, 200, typed="nemocnice", **fields)
    assert "Nemocnice Podles" in choice.text and "Whom do you mean?" in choice.text
    await desk.send("jana", "/patient/will/new", choice, who=ICO_A, **fields)
    await desk.post("jana", "/patient/will/new", path, typed=ICO_B, **fields)
    nobody = await desk.post("jana", "/patient/will/new", path, 422, typed="Zzz", **fields)
    assert "Nobody was found" in nobody.text
    await desk.post("jana", "/patient/will/new", path, 422, **fields)  # nobody named
    named = {
        actor["reference"]["identifier"]["value"]
        for consent in await desk.consents()
        for actor in consent["provision"]["actor"]
    }
    assert named == {ICO_A, ICO_B}


async def test_one_professional_is_left_out_by_the_number_of_the_register(desk: Desk) -> None:
    path = "/patient/will/new?topic=professional"
    fields: dict[str, Any] = {"topic": "professional", "effect": "deny"}
    for number in ("012345678", "12345678"):
        await desk.post("jana", "/patient/will/new", path, 422, typed=number, **fields)
    await desk.create(
        {
            "resourceType": "Practitioner",
            "identifier": [{"system": PROFESSIONAL, "value": "112400101"}],
            "name": [{"family": "Blažek", "given": ["Karel"], "prefix": ["MUDr."]}],
        }
    )
    await desk.post("jana", "/patient/will/new", path, typed="112400101", **fields)
    (consent,) = await desk.consents()
    (actor,) = consent["provision"]["actor"]
    assert actor["reference"]["identifier"] == {"system": PROFESSIONAL, "value": "112400101"}
    assert "MUDr. Karel Blažek" in (await desk.get("jana", "/patient/will")).text


async def test_one_document_is_held_back_from_its_own_page(desk: Desk) -> None:
    reference = await _document(desk)
    path = "/patient/will/new?document=b-1"
    shown = await desk.get("jana", path)
    assert "Propouštěcí zpráva" in shown.text
    fields: dict[str, Any] = {"topic": "document", "effect": "deny", "document": "b-1"}
    await desk.send("jana", "/patient/will/new", shown, **fields)
    (consent,) = await desk.consents()
    (data,) = consent["provision"]["data"]
    assert data["meaning"] == "instance"
    assert data["reference"]["reference"] == f"DocumentReference/{reference}"
    # nobody restricts what is not theirs, or not there
    await desk.get("petr", path, 404)
    await desk.get("jana", "/patient/will/new?document=b-2", 404)


async def test_nobody_ends_or_makes_a_declaration_for_somebody_else(desk: Desk) -> None:
    path = "/patient/will/new?topic=everything"
    fields: dict[str, Any] = {"topic": "everything", "effect": "deny", "understood": "1"}
    await desk.post("jana", "/patient/will/new", path, **fields)
    (consent,) = await desk.consents()
    await desk.post("petr", "/patient/will/end", "/patient/will/new?topic=everything", 404,
                    id=consent["id"])  # fmt: skip
    assert (await desk.consents())[0]["status"] == "active"
    for login in ("alena", "officer"):
        await desk.get(login, "/patient/will", 403)
    # a form without its key, or of a topic that is none, does nothing
    shown = await desk.get("jana", path)
    cookie = await desk.cookie("jana")
    for body in ({"csrf": hidden(shown.text, "csrf"), **fields},
                 {"csrf": hidden(shown.text, "csrf"), "key": hidden(shown.text, "key"),
                  "topic": "all", "effect": "deny"}):  # fmt: skip
        answer = await desk.http.post("/patient/will/new", data=body, headers=cookie)
        assert answer.status_code == 400
    assert len(await desk.consents()) == 1


async def test_an_advance_directive_is_registered_with_its_paper_and_revoked(desk: Desk) -> None:
    path = "/patient/directives"
    fields: dict[str, Any] = {
        "kind": "dnr",
        "signed": "2026-05-04",
        "physician": "MUDr. Hora",
        "instructed": "2026-05-01",
    }
    shown = await desk.get("jana", path)
    wrong: list[tuple[dict[str, Any], bytes]] = [
        (fields, b"no pdf"), (fields, PDF[:-6] + b"x" * 2**21 + b"%%EOF"),
        (fields | {"signed": "2999-01-01"}, PDF), (fields | {"physician": ""}, PDF),
    ]  # fmt: skip
    for values, content in wrong:
        files = {"paper": ("paper.pdf", content, "application/pdf")}
        await desk.send("jana", path, shown, 422, files=files, **values)
    huge = {"paper": ("paper.pdf", b"x" * (4 * 2**20), "application/pdf")}
    await desk.send("jana", path, shown, 413, files=huge, **fields)
    files = {"paper": ("paper.pdf", PDF, "application/pdf")}
    await desk.send("jana", path, shown, files=files, **fields)
    await desk.send("jana", path, shown, files=files, **fields)
    (consent,) = await desk.consents()
    assert consent["scope"]["coding"][0]["code"] == "adr"
    page = await desk.get("jana", path)
    assert "Do not resuscitate" in page.text and "MUDr. Hora" in page.text
    paper = await desk.get("jana", f"{path}/{consent['id']}/paper")
    assert paper.content == PDF and paper.headers["content-disposition"].startswith("attachment")
    await desk.get("petr", f"{path}/{consent['id']}/paper", 404)
    # it is not among what is held back, and is revoked on its own page
    assert "Nothing yet" in (await desk.get("jana", "/patient/will")).text
    await desk.send("jana", "/patient/will/end", page, id=consent["id"], of="directive")
    assert "revoked" in (await desk.get("jana", path)).text


async def test_who_has_no_record_yet_is_told_so(desk: Desk) -> None:
    await desk.db.execute("update account set person = null, patient = null where id = 'petr'")
    for path in ("/patient/will", "/patient/directives", "/patient/notices"):
        assert "not tied to a record" in (await desk.get("petr", path)).text
    assert "New notices" not in (await desk.get("petr", "/patient")).text


async def test_what_is_said_anew_takes_the_place_of_what_was_said_of_the_same(desk: Desk) -> None:
    path = "/patient/will/new?topic=provider"
    fields: dict[str, Any] = {"topic": "provider", "typed": ICO_B}

    async def stands() -> list[tuple[str, bool]]:
        found = sorted(await desk.consents(), key=lambda c: int(c["meta"]["versionId"]))
        return [(c["provision"]["type"], "period" in c["provision"])
                for c in found if c["status"] == "active"]  # fmt: skip

    for effect in ("deny", "permit", "deny"):
        await desk.post("jana", "/patient/will/new", path, effect=effect, **fields)
        assert await stands() == [(effect, False)]
    # for a while something else: what holds before and after it stays
    await desk.post(
        "jana", "/patient/will/new", path, effect="permit", until="2050-01-01", **fields
    )
    assert sorted(await stands()) == [("deny", False), ("permit", True)]
    # and whom it concerns is part of what it is about
    other: dict[str, Any] = fields | {"typed": ICO_A}
    await desk.post("jana", "/patient/will/new", path, effect="permit", **other)
    assert len(await stands()) == 3


async def test_files_are_taken_from_nobody_who_is_not_logged_in(desk: Desk) -> None:
    files = {"paper": ("paper.pdf", PDF, "application/pdf")}
    for path in ("/patient/directives", "/login"):
        answer = await desk.http.post(path, data={"csrf": "x"}, files=files)
        assert answer.status_code == 400
    cookie = await desk.cookie("jana")
    shown = await desk.get("jana", "/patient/directives")
    bad = {**cookie, "Content-Type": "multipart/form-data; boundary=x"}
    for body in (b"", b"--x\r\n", b"no form", b"--x\r\nContent-Disposition: form-data\r\n\r\n1"):
        answer = await desk.http.post("/patient/directives", content=body, headers=bad)
        assert answer.status_code in (400, 403)
    # the proof that a form is ours counts for files too
    answer = await desk.http.post(
        "/patient/directives", data={"csrf": "x"}, files=files, headers=cookie
    )
    assert answer.status_code == 403
    twice = [("csrf", (None, hidden(shown.text, "csrf"))), ("kind", (None, "acd")),
             ("kind", (None, "dnr"))]  # fmt: skip
    answer = await desk.http.post("/patient/directives", files=twice, headers=cookie)
    assert answer.status_code == 400
