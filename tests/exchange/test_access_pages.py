"""Who looked: filters, groups, files with proofs, and disputes that a privacy officer answers."""

from __future__ import annotations

import base64
import csv
import io
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.access.transparency.heads import from_json
from pater.domains.exchange.pages.listing import Look
from pater.domains.exchange.pages.looking import Wanted, as_csv, grouped
from pater.trust.log_keys import public_keys
from pater.trust.merkle import verify_inclusion
from tests.consents.conftest import HOSPITAL, LOADER, Desk, desk, house
from tests.exchange.test_listing import row

__all__ = ["desk", "house"]

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
READER = replace(LOADER, id="his-7", name="Nemocnice Údolí", organization_name="Nemocnice Údolí")


async def looked(desk: Desk, login: str = "jana", times: int = 1) -> str:
    """A system reads a patient's data; the id of the newest entry of it."""
    for _ in range(times):
        answer = await desk.call("GET", f"Patient/{desk.patients[login]}", READER)
        assert answer.status_code == 200
    path = f"AuditEvent?patient=Patient/{desk.patients[login]}&agent:identifier=his-7"
    found = (await desk.call("GET", path)).json()["entry"]
    return str(found[0]["resource"]["id"])


def test_like_looks_of_one_day_stand_together() -> None:
    def look(minutes: int, **changes: Any) -> Look:
        one = Look(
            NOON - timedelta(minutes=minutes), "Doc", "clinician", "H", "read", "Bundle", "TREAT",
            False, "treatment", False, str(minutes),
        )  # fmt: skip
        return replace(one, **changes)

    groups = grouped([look(1), look(2), look(3, about="Patient"), look(4), look(1500)])
    assert [[one.entry for one in group.looks] for group in groups] == [
        ["1", "2"], ["3"], ["4"], ["1500"],
    ]  # fmt: skip
    assert [group.times for group in groups] == [2, 1, 1, 1]
    assert len(grouped([look(1), look(2, refused=True), look(3, told=True)])) == 3


def test_what_is_asked_for() -> None:
    doc = replace(row("doc", 1), organization="12345679", organization_name="Nemocnice Údolí")
    night = replace(doc, purpose="ETREAT", interaction="search-type")
    for wanted, found in (
        (Wanted("udoli"), [doc, night]),
        (Wanted("12345679"), [doc, night]),
        (Wanted("1234567"), []),
        (Wanted("doc"), [doc, night]),
        (Wanted(kind="search"), [night]),
        (Wanted(emergency=True), [night]),
        (Wanted("udoli", "read", True), []),
    ):
        test = wanted.test()
        assert test is not None
        assert [one for one in (doc, night) if test(one)] == found, wanted
    assert Wanted().test() is None


@given(st.text(max_size=30))
def test_a_table_is_read_back_and_holds_no_formula(text: str) -> None:
    names = ("at", "who", "role", "organization", "what", "about", "purpose", "reason", "outcome",
             "entry", "log_number", "log_size", "log_sealed")  # fmt: skip
    line: dict[str, Any] = dict.fromkeys(names)
    content = as_csv([{**line, "who": text, "log_number": 7}]).decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(content, newline=""), delimiter=";"))
    if "\0" not in text:
        assert rows[1][1].removeprefix("'") == text.removeprefix("'")
    assert not rows[1][1].startswith(("=", "+", "-", "@", "\t", "\r"))
    assert rows[1][10] == "7"


async def test_the_page_is_filtered_and_grouped(desk: Desk) -> None:
    await looked(desk, times=3)
    everything = (await desk.get("jana", "/patient/access")).text
    assert "3 times" in everything
    assert everything.count('href="/patient/access/0') >= 3
    assert "Nemocnice Údolí" in everything
    for query, shown in (
        ("provider=udoli", True),
        ("provider=nobody", False),
        ("kind=read", True),
        ("kind=delete", False),
        ("emergency=1", False),
        ("until=2020-01-01", False),
    ):
        page = (await desk.get("jana", f"/patient/access?{query}")).text
        assert ("Nemocnice Údolí" in page.replace('value="udoli"', "")) is shown, query
    for bad in ("since=x", "before=x", "export?format=xml"):
        path = bad if bad.startswith("export") else f"?{bad}"
        await desk.get("jana", f"/patient/access{'/' if path == bad else ''}{path}", 400)
    assert "Nemocnice Údolí" not in (await desk.get("petr", "/patient/access")).text


async def test_files_carry_proofs(desk: Desk) -> None:
    entry = await looked(desk)
    log = desk.house.services.log
    assert log is not None
    await log.keeper.advance()
    answer = await desk.get("jana", "/patient/access/export?format=json&provider=udoli")
    [line] = answer.json()["entries"]
    assert (line["entry"], line["who"], line["outcome"]) == (entry, "Nemocnice Údolí", "done")
    proof = line["proof"]
    head = from_json(proof["head"]).verified(public_keys(log.keys.head.jwks()))
    leaf = sha256(b"\0" + proof["entry"].encode()).digest()
    path = [base64.b64decode(hash) for hash in proof["path"]]
    assert verify_inclusion(leaf, proof["leaf"], proof["size"], path, head.root)
    table = await desk.get("jana", "/patient/access/export?format=csv&provider=udoli")
    assert table.headers["content-type"].startswith("text/csv")
    rows = list(csv.DictReader(io.StringIO(table.text.removeprefix("\ufeff")), delimiter=";"))
    assert [(one["entry"], one["log_number"]) for one in rows] == [(entry, str(proof["leaf"] + 1))]
    print_ = await desk.get("jana", "/patient/access/export?format=pdf")
    assert print_.content.startswith(b"%PDF")


async def test_a_dispute_goes_to_the_officer_and_its_answer_back(desk: Desk) -> None:
    entry = await looked(desk)
    page = f"/patient/access/{entry}"
    short = await desk.post("jana", f"{page}/dispute", page, 422, text="no")
    assert "Say in a sentence" in short.text
    words = "I was never at this hospital."
    for _ in range(2):  # said twice is said once
        shown = await desk.get("jana", page)
        if "Dispute this access" in shown.text:
            await desk.send("jana", f"{page}/dispute", shown, text=words)
    # a form of before is harmless
    await desk.post("jana", f"{page}/dispute", "/account", text=words)
    assert await desk.db.fetchval("select count(*) from access_dispute") == 1
    mine = (await desk.get("jana", "/patient/access")).text
    assert words in mine
    assert "It waits for the answer" in mine
    queue = (await desk.get("officer", "/privacy/disputes")).text
    assert words in queue
    assert "Nemocnice Údolí" in queue
    id = await desk.db.fetchval("select id::text from access_dispute")
    other = await desk.get("officer-2", "/privacy/disputes")
    refused = await desk.post(
        "officer", f"/privacy/disputes/{id}", "/privacy/disputes", 422, answer="short"
    )
    assert "Say whether it was justified" in refused.text
    said = "The hospital looked by mistake and was told so."
    await desk.post(
        "officer", f"/privacy/disputes/{id}", "/privacy/disputes",
        answer=said, verdict="unjustified",
    )  # fmt: skip
    late = await desk.send(
        "officer-2", f"/privacy/disputes/{id}", other, answer="Something else.", verdict="justified"
    )
    assert late.headers["location"] == "/privacy/disputes?taken=1"
    answered = (await desk.get("jana", page)).text
    assert said in answered
    assert "the access was not justified" in answered
    assert words not in (await desk.get("officer", "/privacy/disputes")).text
    # the patient sees that the officer looked, and everybody's doing is in the journal
    reasons = await desk.db.fetch(
        "select reason, agent from journal_entry where interaction = 'access-dispute'"
        " and person = $1 order by seq",
        await desk.person(),
    )
    told = [tuple(one) for one in reasons]
    assert told[0] == ("disputed", "jana")
    assert ("review", "officer") in told
    assert told[-1] == ("dispute-answered", "officer") or ("dispute-answered", "officer") in told


async def test_nobody_disputes_or_answers_for_others(desk: Desk) -> None:
    entry = await looked(desk)
    await desk.get("petr", f"/patient/access/{entry}", 404)
    await desk.post("petr", f"/patient/access/{entry}/dispute", "/account", 404, text="x" * 20)
    await desk.get("jana", f"/patient/access/{uuid4()}", 404)
    await desk.get("jana", "/patient/access/nonsense", 404)
    for login in ("jana", "alena"):
        await desk.get(login, "/privacy/disputes", 403)
    await desk.post(
        "officer", f"/privacy/disputes/{uuid4()}", "/account", 404, answer="x" * 20, verdict="x"
    )


async def test_what_a_provider_told_is_marked(desk: Desk) -> None:
    teller = replace(HOSPITAL, scopes=("system/AuditEvent.c",))
    event = {
        "resourceType": "AuditEvent",
        "type": {
            "system": "http://terminology.hl7.org/CodeSystem/audit-event-type",
            "code": "rest",
        },
        "action": "R",
        "recorded": datetime.now(UTC).isoformat(),
        "agent": [{"name": "MUDr. Cizí", "requestor": True}],
        "source": {"observer": {"display": "HIS"}},
        "entity": [{"what": {"reference": f"Patient/{desk.patients['jana']}"}}],
    }
    answer = await desk.call("POST", "AuditEvent", teller, json=event)
    assert answer.status_code == 201, answer.text
    page = (await desk.get("jana", "/patient/access")).text
    assert "told by the provider" in page
    assert "MUDr. Cizí" in page
    assert "Nemocnice B" in page


@pytest.mark.parametrize("path", ["/patient/access/export?format=csv", "/patient/access"])
async def test_who_is_tied_to_no_record_sees_nothing(desk: Desk, path: str) -> None:
    await desk.db.execute("update account set person = null, patient = null where id = 'jana'")
    page = await desk.get("jana", path)
    assert "his-7" not in page.text
