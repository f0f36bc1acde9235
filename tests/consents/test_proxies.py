"""Acting for somebody on the pages: who may, what they see, and that the represented sees it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from pater.access import audit, representation, sessions
from pater.access.caller import Caller
from pater.access.representation import Representation, birthday
from pater.app import now
from pater.fhir.labels import label
from pater.fhir.search.query import parse_search
from pater.records.errors import Forbidden, NotFound
from pater.registers.identifiers import RID, new_rid
from tests.consents.conftest import Desk

PATH = "/patient/proxies"


async def numbered(desk: Desk, login: str = "petr") -> str:
    """A Patient with a RID that is claimed, as the register of patients keeps it."""
    rid = new_rid(Random(login + desk.patients[login]))
    patient = desk.patients[login]
    stored = (await desk.call("GET", f"Patient/{patient}")).json()
    stored["identifier"] = [{"system": RID, "value": rid}]
    answer = await desk.call("PUT", f"Patient/{patient}", json=stored)
    assert answer.status_code == 200, answer.text
    return rid


async def authorise(desk: Desk, status: int = 303, **fields: Any) -> str:
    """Jana authorises Petr; gives the page that answers."""
    rid = await numbered(desk)
    form = {"rid": rid, "family": "Petr", "born": "1980-02-01", "until": "", **fields}
    return (await desk.post("jana", PATH, status=status, **form)).text


async def between(desk: Desk) -> Representation:
    """What Petr has of Jana, whether it holds or not."""
    (one,) = await representation.history(desk.db, await desk.person("jana"))
    return one


async def document(desk: Desk, title: str, category: str, login: str = "jana") -> str:
    """A document of somebody's, of a category; gives the id of its DocumentReference."""
    id = await desk.create(
        {
            "resourceType": "DocumentReference",
            "status": "current",
            "subject": {"reference": f"Patient/{desk.patients[login]}"},
            "date": "2026-05-01T10:00:00Z",
            "description": title,
            "content": [{"attachment": {"url": f"Bundle/{title}"}}],
        }
    )
    await desk.db.execute("update resource set label = $2 where id = $1", id, label(category))
    return id


async def acting(desk: Desk, login: str = "petr") -> Caller:
    """Somebody's session as the gate gets it."""
    token = (await desk.cookie(login))["Cookie"].split("pater_session=")[1].split(";")[0]
    session = await sessions.read_session(desk.db, token, now)
    assert session is not None
    return sessions.caller_of(session)


async def test_who_is_authorised_reads_the_record_until_it_is_ended(desk: Desk) -> None:
    await document(desk, "Propustka", "discharge-report")
    await authorise(desk)
    assert "Petr" in (await desk.get("jana", PATH)).text
    (consent,) = await desk.consents()
    (actor,) = consent["provision"]["actor"]
    assert actor["role"]["coding"][0]["code"] == "DELEGATEE"
    one = await between(desk)
    assert one.source == consent["id"] and one.holds(now())

    assert "Propustka" not in (await desk.get("petr", "/patient")).text
    began = await desk.post("petr", f"{PATH}/act", PATH, id=one.id)
    assert began.headers["location"] == "/patient"
    page = await desk.get("petr", "/patient")
    assert "Propustka" in page.text and "You act for" in page.text and ">Jana<" in page.text
    # what is the patient's alone is not there, and nothing can be declared or allowed
    for path in ("/patient/will", "/patient/access", "/patient/notices", PATH):
        await desk.get("petr", path, 403)
        assert f'href="{path}"' not in page.text
    await desk.get("petr", "/oauth/consent?ask=x", 403)

    looked = (await desk.get("jana", "/patient/access")).text
    assert f"Petr{audit.FOR_MARK}Jana" in looked and "Representative" in looked

    shown = await desk.get("jana", PATH)
    await desk.send("jana", f"{PATH}/end", shown, id=one.id)
    await desk.send("jana", f"{PATH}/end", shown, id=one.id)  # twice is once
    (consent,) = await desk.consents()
    assert consent["status"] == "inactive" and consent["meta"]["versionId"] == "2"
    page = await desk.get("petr", "/patient")
    assert "Propustka" not in page.text and "You act for" not in page.text
    assert not (await between(desk)).holds(now())


async def test_acting_ends_with_a_click_and_stands_in_the_journal(desk: Desk) -> None:
    await authorise(desk)
    one = await between(desk)
    await desk.post("petr", f"{PATH}/act", PATH, id=one.id)
    await desk.post("petr", f"{PATH}/act", "/patient")
    assert "You act for" not in (await desk.get("petr", "/patient")).text
    rows = await desk.db.fetch(
        "select reason, agent, agent_name, role from journal_entry where person = $1"
        " and reason like 'acting-%' and agent = 'petr' order by seq",
        one.person,
    )
    told = [(row["reason"], row["agent_name"], row["role"]) for row in rows]
    name = f"Petr{audit.FOR_MARK}Jana"
    assert ("acting-began", name, "proxy") in told and ("acting-ended", name, "proxy") in told


async def test_only_the_categories_that_were_allowed_are_there_for_every_way_to_ask(
    desk: Desk,
) -> None:
    shown = await document(desk, "Ockovani", "vaccination")
    hidden = await document(desk, "Laborator", "laboratory-report")
    await authorise(desk, 303, **{"c-vaccination": "1"})
    await desk.post("petr", f"{PATH}/act", PATH, id=(await between(desk)).id)
    page = (await desk.get("petr", "/patient")).text
    assert "Ockovani" in page and "Laborator" not in page
    caller, gate = await acting(desk), desk.house.gate
    whose = ("patient", f"Patient/{desk.patients['jana']}")
    for more in ([], [("_total", "accurate")], [("_id", hidden)]):
        found = await gate.search(
            caller, parse_search("DocumentReference", [whose, *more]), count=10
        )
        assert {each.id for each in found.matches} <= {shown}
        assert found.total in (None, len(found.matches))
    assert (await gate.read(caller, "DocumentReference", shown)).id == shown
    with pytest.raises(NotFound):
        await gate.read(caller, "DocumentReference", hidden)
    # the own record is not there while acting, nor anybody else's
    own = parse_search("DocumentReference", [("patient", f"Patient/{desk.patients['petr']}")])
    with pytest.raises((NotFound, Forbidden)):
        await gate.read(caller, "Patient", desk.patients["petr"])
    try:
        assert not (await gate.search(caller, own, count=10)).matches
    except Forbidden:
        pass


async def test_who_is_not_named_rightly_is_not_found(desk: Desk) -> None:
    for wrong in ({"born": "1980-02-02"}, {"family": "Jiný"}, {"rid": "1234567890"}):
        assert "Nobody was found" in await authorise(desk, 422, **wrong)
    assert "This is you" in await authorise(
        desk, 422, rid=await numbered(desk, "jana"), family="Jana"
    )
    assert "This day is over" in await authorise(desk, 422, until="2020-01-01")
    assert await desk.consents() == []
    assert await representation.history(desk.db, await desk.person("jana")) == []


async def test_a_representation_is_nobody_elses_to_use_end_or_open(desk: Desk) -> None:
    await authorise(desk)
    one = await between(desk)
    await desk.post("jana", f"{PATH}/act", PATH, 404, id=one.id)
    guardian = replace(one, id=f"g-{one.id}", kind="guardian", source=representation.REGISTER)
    statement = representation.made(guardian)
    await desk.db.execute(statement.sql, *statement.args)
    for login in ("jana", "petr"):  # what an official entered an official ends
        await desk.post(login, f"{PATH}/end", PATH, 404, id=guardian.id)
    await desk.post("jana", f"{PATH}/open", PATH, 404, id=guardian.id, show="1")
    await desk.post("petr", f"{PATH}/end", PATH, id=one.id)  # but who was authorised gives it back
    found = await representation.find(desk.db, one.id)
    assert found is not None and found.ended is not None


async def test_a_child_of_fifteen_shows_a_parent_what_is_hidden(desk: Desk) -> None:
    await document(desk, "Laborator", "laboratory-report")
    today = now()
    born = date(today.year - 16, 1, 1)
    one = Representation(
        id=str(uuid4()),
        person=await desk.person("jana"),
        patient=desk.patients["jana"],
        person_name="Jana",
        agent=await desk.person("petr"),
        agent_name="Petr",
        kind="parent",
        source=representation.REGISTER,
        born=born,
        since=datetime(2020, 1, 1, tzinfo=UTC),
        until=birthday(born, 18),
        recorded=today - timedelta(days=1),
    )
    statement = representation.made(one)
    await desk.db.execute(statement.sql, *statement.args)
    await desk.post("petr", f"{PATH}/act", PATH, id=one.id)
    assert "Laborator" not in (await desk.get("petr", "/patient")).text
    for show, seen in (("1", True), ("0", False)):
        await desk.post("jana", f"{PATH}/open", PATH, id=one.id, show=show)
        assert ("Laborator" in (await desk.get("petr", "/patient")).text) is seen
