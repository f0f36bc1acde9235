"""Emergency access: opened with a reason, told to the patient at once, reviewed by an officer."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any
from uuid import uuid4

import httpx

from pater.app import now
from pater.domains.consents import emergency, mailing
from pater.domains.consents.directive import Directive, consent_of
from pater.domains.consents.tables import access, counts, waiting
from pater.fhir.validation import validate
from pater.store.jobs import Job
from tests.consents.conftest import HOSPITAL, Desk, hidden

WHY = "Bezvědomí po pádu, potřebuji alergie."


def _parameters(**values: Any) -> dict[str, Any]:
    kinds = {str: "valueString", int: "valueInteger"}
    return {
        "resourceType": "Parameters",
        "parameter": [{"name": n, kinds[type(v)]: v} for n, v in values.items()],
    }


async def _reason_form(desk: Desk, login: str = "alena", **fields: str) -> httpx.Response:
    """What the search for a patient leads to when the purpose is an emergency."""
    page = await desk.get(login, "/professional")
    form = {"csrf": hidden(page.text, "csrf"), "patient": desk.patients["jana"], **fields}
    return await desk.http.post(
        "/professional/emergency", data=form, headers=await desk.cookie(login)
    )


async def _open(desk: Desk, caller: Any = HOSPITAL, who: str = "jana", **values: Any) -> Any:
    return await desk.call(
        "POST",
        f"Patient/{desk.patients.get(who, who)}/$emergency-access",
        caller,
        json=_parameters(**values),
    )


async def test_a_clinician_says_why_and_the_patient_is_told_at_once(desk: Desk) -> None:
    asked = await _reason_form(desk)
    assert asked.status_code == 200 and "privacy officer reviews" in asked.text
    for reason in ("", "pád", ".............."):
        wrong = await _reason_form(desk, step="open", hours="4", reason=reason)
        assert wrong.status_code == 422, reason
    assert await desk.db.fetchval("select count(*) from emergency_access") == 0

    done = await _reason_form(desk, step="open", hours="4", reason=WHY)
    assert (done.status_code, done.headers["location"]) == (303, "/professional/patient")
    row = await desk.db.fetchrow("select * from emergency_access")
    assert row is not None
    assert (row["agent"], row["reason"], row["organization"]) == ("alena", WHY, "12345679")
    assert (row["until"] - row["since"]).total_seconds() == 4 * 3600
    # while it is open nobody is asked again, and nothing is written again
    again = await _reason_form(desk)
    assert again.status_code == 303
    assert await desk.db.fetchval("select count(*) from emergency_access") == 1
    assert await desk.db.fetchval("select count(*) from notice") == 1
    entries = await desk.db.fetch(
        "select * from journal_entry where interaction = 'emergency-access' and person = $1",
        await desk.person(),
    )
    assert [(e["agent"], e["reason"], e["person"]) for e in entries] == [
        ("alena", "emergency-opened", await desk.person())
    ]

    events = await desk.call("GET", f"AuditEvent?patient=Patient/{desk.patients['jana']}")
    for entry in events.json()["entry"]:
        assert not [i for i in validate(entry["resource"]) if i.severity != "warning"]

    assert "New notices: 1" in (await desk.get("jana", "/patient")).text
    assert "New notices" not in (await desk.get("petr", "/patient")).text
    notices = await desk.get("jana", "/patient/notices")
    assert "MUDr. Alena" in notices.text and "Bezvědomí po pádu" in notices.text
    assert "New notices" not in (await desk.get("jana", "/patient")).text  # it was seen
    assert "MUDr. Alena" in (await desk.get("jana", "/patient/notices")).text  # and stays
    assert "Bezvědomí" not in (await desk.get("petr", "/patient/notices")).text


async def test_the_rescue_service_is_not_asked_why(desk: Desk) -> None:
    done = await _reason_form(desk, "crew")
    assert (done.status_code, done.headers["location"]) == (303, "/professional/patient")
    row = await desk.db.fetchrow("select * from emergency_access")
    assert row is not None and row["agent"] == "crew" and "rescue service" in row["reason"]
    assert "Crew" in (await desk.get("jana", "/patient/notices")).text
    crew = replace(HOSPITAL, id="112", name="Dispatch", role="rescue")
    assert (await _open(desk, crew)).status_code == 200


async def test_a_system_opens_one_by_the_operation(desk: Desk) -> None:
    answer = await _open(desk, reason=WHY, hours=2)
    assert answer.status_code == 200, answer.text
    told = {p["name"]: p for p in answer.json()["parameter"]}
    found = await access(desk.db, told["id"]["valueId"])
    assert found is not None and found.agent == "hospital-b"
    assert (found.until - found.since).total_seconds() == 2 * 3600
    same = await _open(desk, reason=WHY, hours=24)
    assert same.json() == answer.json()  # what is open is not opened again, nor longer


async def test_who_may_not_read_in_an_emergency_opens_nothing(desk: Desk) -> None:
    for caller in (
        replace(HOSPITAL, purpose="TREAT"),
        replace(HOSPITAL, purpose=""),
        replace(HOSPITAL, role="none"),
        replace(HOSPITAL, scopes=("system/Observation.rs",)),
        replace(HOSPITAL, app="diary", grant="0198c000-0000-7000-8000-000000000000"),
    ):
        answer = await _open(desk, caller, reason=WHY)
        assert answer.status_code in (401, 403), (caller, answer.text)
    assert (await _open(desk, who="nobody", reason=WHY)).status_code == 404
    wrong: list[dict[str, Any]] = [
        {}, {"reason": "x"}, {"reason": "y" * 600}, {"reason": WHY, "hours": 25},
        {"reason": WHY, "hours": 0}, {"reason": WHY, "for": "me"},
    ]  # fmt: skip
    for values in wrong:
        answer = await _open(desk, **values)
        assert answer.status_code == 400, values
        assert answer.json()["resourceType"] == "OperationOutcome"
    assert await desk.db.fetchval("select count(*) from emergency_access") == 0
    assert await desk.db.fetchval("select count(*) from notice") == 0


async def test_an_officer_reviews_and_another_is_told_so(desk: Desk) -> None:
    await _open(desk, reason=WHY)
    await desk.call("GET", f"Patient/{desk.patients['jana']}", HOSPITAL)
    queue = await desk.get("officer", "/privacy")
    (item,) = await waiting(desk.db)
    path = f"/privacy/accesses/{item.id}"
    assert path in queue.text and WHY in queue.text
    page = await desk.get("officer", path)
    assert "personal data" in page.text and WHY in page.text
    other = await desk.get("officer-2", path)
    for wrong in ({}, {"verdict": "perhaps"}, {"verdict": "not-justified", "note": ""}):
        await desk.send("officer", path, page, 422, **wrong)
    saved = await desk.send("officer", path, page, verdict="justified", note="Tísňové volání.")
    late = await desk.send("officer-2", path, other, 409, verdict="not-justified", note="x" * 20)
    assert "Another officer has reviewed" in late.text
    assert (await access(desk.db, item.id)).verdict == "justified"  # type: ignore[union-attr]

    after = await desk.get("officer", saved.headers["location"])
    assert "Saved" in after.text
    undo = await desk.get("officer-2", saved.headers["location"])
    await desk.send("officer-2", f"{path}/undo", undo, 409)  # only one's own
    back = await desk.send("officer", f"{path}/undo", after)
    assert back.headers["location"] == path
    assert len(await waiting(desk.db)) == 1
    page = await desk.get("officer", path)
    await desk.send("officer", path, page, verdict="not-justified", note="Nebyl stav nouze.")
    stood = await counts(desk.db, item.since)
    assert (stood.waiting, stood.justified, stood.not_justified) == (0, 0, 1)
    # every look of the officer, and the verdict, is in the journal
    told = await desk.db.fetch("select reason from journal_entry where agent = 'officer'")
    assert "emergency-reviewed" in {row["reason"] for row in told}


async def test_the_queue_is_for_privacy_officers_and_comes_in_pages(desk: Desk) -> None:
    for login in ("jana", "alena"):
        await desk.get(login, "/privacy", 403)
        await desk.get(login, "/privacy/accesses/x", 403)
    await desk.db.execute(
        "insert into emergency_access (id, person, agent_kind, agent, agent_name, organization,"
        " reason, since, until) select 'e-' || n, 1, 'person', 'a', 'Agent ' || n, '', 'why not',"
        " now() - n * interval '1 minute', now() from generate_series(1, 120) n"
    )
    seen: list[str] = []
    path = "/privacy"
    while path:
        page = (await desk.get("officer", path)).text
        seen += [part.split('"')[0] for part in page.split('href="/privacy/accesses/')[1:]]
        _, _, rest = page.partition('rel="next" href="')
        path = rest.partition('"')[0].replace("&amp;", "&")
    assert seen == [f"e-{n}" for n in range(120, 0, -1)]
    await desk.get("officer", "/privacy?after=x", 400)
    await desk.get("officer", "/privacy/accesses/none", 404)


async def test_a_letter_says_that_something_waits_and_nothing_else(desk: Desk) -> None:
    sent: list[tuple[str, str, str]] = []

    async def letters(to: str, subject: str, text: str) -> None:
        sent.append((to, subject, text))

    services = replace(desk.house.services, letters=letters)
    payload = {"patient": desk.patients["jana"]}
    job = Job("1", mailing.KIND, "", payload, {}, 1, now(), desk.db, uuid4())
    assert await mailing.letter_job(services)(job) == {"sent": True}
    ((to, subject, text),) = sent
    assert to == "jana@example.cz"
    assert "/patient/notices" in text
    for word in (WHY, "Jana", "Alena", "nouz", "emergency"):
        assert word not in subject + text
    # it is asked for with the access itself, where there is a gateway for mail
    opening = "select payload::text from job where kind = $1"
    await _open(desk, reason=WHY)
    assert await desk.db.fetchval(opening, mailing.KIND) is None
    await emergency.Desk(services).open(HOSPITAL, desk.patients["petr"], WHY, 1)
    payload = await desk.db.fetchval(opening, mailing.KIND)
    assert desk.patients["petr"] in payload and "@" not in payload


async def _observation(desk: Desk) -> str:
    return await desk.create(
        {
            "resourceType": "Observation",
            "status": "final",
            "code": {"text": "krevní skupina"},
            "subject": {"reference": f"Patient/{desk.patients['jana']}"},
        }
    )


async def test_the_first_question_of_the_rescue_service_opens_the_record(desk: Desk) -> None:
    observation = await _observation(desk)
    crew = replace(HOSPITAL, id="155", name="Dispatch", role="rescue")
    patient = f"Patient/{desk.patients['jana']}"
    found = await desk.call("GET", f"Observation?patient={patient}", crew)
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [observation]
    assert (await desk.call("GET", f"Observation/{observation}", crew)).status_code == 200
    rows = await desk.db.fetch("select agent, reason from emergency_access")
    assert [(row["agent"], "rescue service" in row["reason"]) for row in rows] == [("155", True)]
    assert "Dispatch" in (await desk.get("jana", "/patient/notices")).text
    # who treats is not opened anything by asking
    hospital = await desk.call("GET", f"Observation?patient={patient}", HOSPITAL)
    assert not hospital.json().get("entry")
    assert await desk.db.fetchval("select count(*) from emergency_access") == 1


async def test_what_is_held_back_is_seen_in_an_emergency_and_not_before_or_after(
    desk: Desk,
) -> None:
    """Restrict, ask, override with a reason, ask, and ask again when its time is over."""
    observation = await _observation(desk)
    patient = desk.patients["jana"]
    encounter = {
        "resourceType": "Encounter",
        "status": "in-progress",
        "class": {"code": "AMB"},
        "subject": {"reference": f"Patient/{patient}"},
        "serviceProvider": {
            "identifier": {"system": "https://ncez.mzcr.cz/fhir/sid/ico", "value": "12345679"}
        },
        "period": {"start": now().isoformat()},
    }
    await desk.create(encounter)  # the patient is in care there
    treating = replace(HOSPITAL, purpose="TREAT")

    async def sees(caller: Any) -> bool:
        found = await desk.call("GET", f"Observation?patient=Patient/{patient}", caller)
        assert found.status_code == 200, found.text
        read = await desk.call("GET", f"Observation/{observation}", caller)
        assert (read.status_code == 200) == bool(found.json().get("entry"))
        return read.status_code == 200

    assert await sees(treating)
    await desk.post(
        "jana", "/patient/will/new", "/patient/will/new?topic=everything",
        topic="everything", effect="deny", understood="1",
    )  # fmt: skip
    assert not await sees(treating)
    assert not await sees(HOSPITAL)  # the purpose alone opens nothing
    wish = await desk.create(
        consent_of(
            Directive("dnr", date(2026, 5, 4), "MUDr. Hora", date(2026, 5, 1)),
            b"%PDF-1.7 %%EOF", patient, now(),
        )
    )  # fmt: skip
    shown = await desk.call("GET", f"Consent?patient=Patient/{patient}", HOSPITAL)
    assert [entry["resource"]["id"] for entry in shown.json()["entry"]] == [wish]
    assert (await desk.call("GET", f"Consent/{wish}", treating)).status_code == 404
    assert (await _open(desk, reason=WHY)).status_code == 200
    assert await sees(HOSPITAL)
    assert not await sees(treating)  # but in the emergency
    other = replace(HOSPITAL, id="hospital-c", organization="27520536")
    assert not await sees(other)
    # neither the Consent nor the notice is told to whom it holds back from, and to the patient all
    for kind, expected in (("Consent", [wish]), ("Communication", [])):
        told = await desk.call("GET", f"{kind}?patient=Patient/{patient}", HOSPITAL)
        ids = [entry["resource"]["id"] for entry in told.json().get("entry", ())]
        assert ids == expected, kind
    await desk.db.execute("update emergency_access set until = now() - interval '1 second'")
    assert not await sees(HOSPITAL)
