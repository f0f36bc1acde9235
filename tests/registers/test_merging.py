"""Two persons who are one: everything is found through either, and all of it can be taken back."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from pater.app import person_tables
from pater.records.errors import Conflict, Forbidden, NotFound, Unprocessable
from pater.registers.acts import OWN
from tests.registers.merging_world import (
    HOSPITAL,
    LOADER,
    REGISTRAR,
    Ward,
    consent,
    coverage,
    observation,
    same,
)


async def pair(ward: Ward) -> tuple[tuple[str, str], tuple[str, str]]:
    """Two persons with a document each, who are one in truth."""
    one = await ward.somebody("Nováková")
    return one, await ward.somebody("Svobodová", born=ward.known[one[0]]["born"])


async def test_everything_is_found_through_either(ward: Ward) -> None:
    (rid, one), (other_rid, other) = await pair(ward)
    mine = await ward.create(observation(one))
    theirs = await ward.create(observation(other))
    insured = await ward.create(coverage(other))
    assert theirs not in await ward.found(f"Observation?patient={one}")
    await ward.merging.merge(REGISTRAR, one, other, "one person")

    both = await ward.found(f"Observation?patient={one}&_count=50")
    assert {mine, theirs} <= set(both) and len(both) == 4
    for path in (
        f"Observation?patient={other}",
        f"Observation?patient=Patient/{other}",
        f"Observation?subject:Patient={other}",
        f"Observation?subject={other}&code=8867-4",
        f"Observation?patient._id={other}",
        f"Observation?patient.identifier={rid}",
        f"Observation?patient.identifier={other_rid}",
        f"Observation?_filter=patient eq {other}",
        f"Patient/{other}/Observation",
        f"Patient/{one}/Observation",
    ):
        assert await ward.found(f"{path}{'&' if '?' in path else '?'}_count=50") == both, path
    counted = await ward.get(f"Observation?patient={other}&_summary=count")
    assert counted["total"] == 4
    assert await ward.found(f"Observation?patient={other},{one}") == both
    assert await ward.found(f"Coverage?beneficiary={other}") == [insured]
    assert await ward.found(f"Coverage?beneficiary={one}") == [insured]
    whole = await ward.found(f"Patient/{one}/$everything?_count=200")
    assert await ward.found(f"Patient/{other}/$everything?_count=200") == whole
    assert {one, other, mine, theirs} <= set(whole)
    lasting = await ward.found(f"Observation/$lastn?patient={one}&max=9")
    assert await ward.found(f"Observation/$lastn?patient={other}&max=9") == lasting
    assert len(lasting) == 4


async def test_the_merged_patient_leads_to_the_survivor(ward: Ward) -> None:
    (rid, one), (other_rid, other) = await pair(ward)
    await ward.merging.merge(REGISTRAR, one, other, "one person")
    merged = await ward.get(f"Patient/{other}")
    assert merged["active"] is False
    assert merged["link"] == [{"other": {"reference": f"Patient/{one}"}, "type": "replaced-by"}]
    survivor = await ward.get(f"Patient/{one}")
    assert survivor["link"] == [{"other": {"reference": f"Patient/{other}"}, "type": "replaces"}]
    numbers = {each["value"]: each.get("use") for each in survivor["identifier"]}
    assert numbers[other_rid] == "old" and numbers[rid] != "old"
    names = {each["family"]: each.get("use") for each in survivor["name"]}
    assert names == {"Nováková": None, "Svobodová": "old"}
    # what comes under the old number comes to the survivor, whichever name it has
    await ward.document(other_rid)
    assert len(await ward.found(f"DocumentReference?patient={one}")) == 3


async def test_the_hospital_of_either_sees_both_and_what_is_held_back_stays_so(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    stranger = replace(HOSPITAL, id="b", organization="12345679")
    held = await ward.create(consent(other))
    await ward.merging.merge(REGISTRAR, one, other, "one person")
    assert len(await ward.found(f"Observation?patient={other}", HOSPITAL)) == 2
    assert await ward.get(f"Patient/{other}", HOSPITAL)
    will = await ward.db.fetchrow("select person from will where source = $1", held)
    assert will is not None and will["person"] == await ward.person(one)
    assert await ward.found(f"Observation?patient={one}", stranger) == []


async def test_who_searched_before_the_merge_finds_all_after_it_and_after_its_end(
    ward: Ward,
) -> None:
    (_, one), (_, other) = await pair(ward)
    alone = [await ward.found(f"Observation?patient={each}", HOSPITAL) for each in (one, other)]
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    for _ in range(2):
        for each in (other, one):
            found = await ward.found(f"Observation?patient={each}", HOSPITAL)
            assert found == sorted([*alone[0], *alone[1]])
    await ward.merging.undo(REGISTRAR, act.id)
    for _ in range(2):
        for each, before in zip((one, other), alone, strict=True):
            assert await ward.found(f"Observation?patient={each}", HOSPITAL) == before


async def test_what_is_written_for_the_merged_one_belongs_to_the_survivor(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    late = await ward.create(observation(other, 99))
    own = await ward.create(observation(one, 55))
    stored = await ward.get(f"Observation/{late}")
    assert stored["subject"] == {"reference": f"Patient/{one}"}
    assert late in await ward.found(f"Observation?patient={other}")
    assert late in await ward.found(f"Observation?patient={one}")
    await ward.merging.undo(REGISTRAR, act.id)
    assert (await ward.get(f"Observation/{late}"))["subject"]["reference"] == f"Patient/{other}"
    assert late in await ward.found(f"Observation?patient={other}")
    assert late not in await ward.found(f"Observation?patient={one}")
    assert own in await ward.found(f"Observation?patient={one}")


async def test_nobody_changes_a_merged_patient(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    await ward.merging.merge(REGISTRAR, one, other, "one person")
    merged = await ward.get(f"Patient/{other}")
    for method, body in (("PUT", {**merged, "active": True}), ("DELETE", None)):
        answer = await ward.call(method, f"Patient/{other}", json=body)
        assert answer.status_code == 422, answer.text
        assert "merged" in answer.text


async def test_undo_puts_everything_back(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    await ward.create(observation(other))
    await ward.create(consent(other))
    await ward.create(coverage(one))
    gone = await ward.create(observation(other, 1))
    assert (await ward.call("DELETE", f"Observation/{gone}")).status_code in (200, 204)
    await ward.account("jana-undo", other)
    before = await ward.picture()
    act = await ward.merging.merge(REGISTRAR, one, other, "one person")
    account = await ward.db.fetchrow("select person, patient from account where id = 'jana-undo'")
    assert dict(account) == {"person": await ward.person(one), "patient": one}
    undone = await ward.merging.undo(REGISTRAR, act.id)
    assert undone.undone is not None and undone.undone_by == "registrar"
    assert same(before, await ward.picture()) == []


async def test_merges_upon_merges_are_undone_from_the_last(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    _, third = await ward.somebody("Dvořáková")
    before = await ward.picture()
    first = await ward.merging.merge(REGISTRAR, other, third, "one person")
    between = await ward.picture()
    second = await ward.merging.merge(REGISTRAR, one, other, "one person too")
    assert await ward.found(f"Observation?patient={third}") == await ward.found(
        f"Observation?patient={one}"
    )
    assert len(await ward.found(f"Observation?patient={third}")) == 3
    with pytest.raises(Unprocessable, match="later one first"):
        await ward.merging.undo(REGISTRAR, first.id)
    late = await ward.create(observation(third, 99))
    await ward.merging.undo(REGISTRAR, second.id)
    assert (await ward.get(f"Observation/{late}"))["subject"]["reference"] == f"Patient/{other}"
    await ward.call("DELETE", f"Observation/{late}")
    assert _without(same(between, await ward.picture()), late) == []
    await ward.merging.undo(REGISTRAR, first.id)
    assert _without(same(before, await ward.picture()), late) == []


def _without(told: list[str], id: str) -> list[str]:
    return [each for each in told if id not in each]


async def test_what_cannot_be_merged_is_refused_with_the_reason(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    merging = ward.merging

    async def refused(why: str, *args: Any) -> None:
        with pytest.raises(Unprocessable, match=why):
            await merging.merge(REGISTRAR, *args)

    await refused("itself", one, one, "why")
    await refused("say why", one, other, " ")
    with pytest.raises(NotFound):
        await merging.merge(REGISTRAR, one, "nobody", "why")
    with pytest.raises(Forbidden):
        await merging.merge(HOSPITAL, one, other, "why")
    act = await merging.merge(REGISTRAR, one, other, "why")
    await refused("was merged", one, other, "again")
    await refused("was merged", other, one, "a loop")
    with pytest.raises(Unprocessable, match="no link"):
        await merging.unlink(REGISTRAR, act.id)
    with pytest.raises(NotFound):
        await merging.undo(REGISTRAR, "not-an-act")
    await merging.undo(REGISTRAR, act.id)
    with pytest.raises(Conflict, match="undone already"):
        await merging.undo(REGISTRAR, act.id)
    await ward.db.execute(
        "insert into representation (id, person, patient, person_name, agent, agent_name, kind,"
        " source, reference, categories, since, until, recorded) values"
        " ($1, $2, $3, 'a', $4, 'b', 'parent', 'register', '', '{}', now(), 'infinity', now())",
        f"of-{one}", await ward.person(one), one, await ward.person(other),
    )  # fmt: skip
    await refused("acts for the other", one, other, "why")


@pytest.mark.parametrize("reason", ["", " ", "a\0b", "a\ud800", "x" * 5000])
async def test_a_reason_that_cannot_be_kept_is_refused(ward: Ward, reason: str) -> None:
    (_, one), (_, other) = await pair(ward)
    with pytest.raises(Unprocessable):
        await ward.merging.merge(REGISTRAR, one, other, reason)
    with pytest.raises(NotFound):
        await ward.merging.link(REGISTRAR, one, "a\0b", "alike")


async def test_two_registrars_at_once(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    seen = [(await ward.get(f"Patient/{each}"))["meta"]["versionId"] for each in (one, other)]
    versions = int(seen[0]), int(seen[1])
    before = await ward.picture()
    done = await asyncio.gather(
        ward.merging.merge(REGISTRAR, one, other, "one", versions),
        ward.merging.merge(REGISTRAR, other, one, "the other way", versions),
        return_exceptions=True,
    )
    made = [each for each in done if not isinstance(each, BaseException)]
    [refusal] = [each for each in done if isinstance(each, BaseException)]
    assert len(made) == 1 and isinstance(refusal, Conflict | Unprocessable)
    undone = await asyncio.gather(
        *(ward.merging.undo(REGISTRAR, made[0].id) for _ in range(3)), return_exceptions=True
    )
    assert sum(not isinstance(each, BaseException) for each in undone) == 1
    assert all(isinstance(each, Conflict) for each in undone if isinstance(each, BaseException))
    assert same(before, await ward.picture()) == []


async def test_nothing_that_is_written_meanwhile_is_lost(ward: Ward) -> None:
    (_, one), (other_rid, other) = await pair(ward)
    written: list[str] = []

    async def writing() -> None:
        for number in range(12):
            written.append(await ward.create(observation(other, number)))

    documents = [ward.document(other_rid) for _ in range(3)]
    act, *_ = await asyncio.gather(
        ward.merging.merge(REGISTRAR, one, other, "one person"),
        writing(), writing(), *documents,
    )  # fmt: skip
    found = await ward.found(f"Observation?patient={one}&_count=200")
    assert set(written) <= set(found)
    former = act.former
    left = await ward.db.fetchval("select count(*) from resource where person = $1", former)
    assert left == 0
    assert (await ward.merging.one(act.id)).settled
    await ward.merging.undo(REGISTRAR, act.id)
    back = await ward.found(f"Observation?patient={other}&_count=200")
    assert set(written) <= set(back)


async def test_the_journal_is_read_through_either(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    await ward.get(f"Patient/{other}", HOSPITAL)
    await ward.merging.merge(REGISTRAR, one, other, "one person")
    entries = await ward.get(f"AuditEvent?patient={one}&_count=100")
    assert {each["resource"]["id"] for each in entries["entry"]} <= {
        each["resource"]["id"]
        for each in (await ward.get(f"AuditEvent?patient={other}&_count=100"))["entry"]
    }
    rows = await ward.house.gate.journal(LOADER, person=await ward.person(one), count=200)
    assert any(row.patient == other and row.agent == "hospital" for row in rows)
    assert any(row.interaction == "merge" for row in rows)


async def test_links_note_and_move_nothing(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    before = await ward.picture()
    act = await ward.merging.link(REGISTRAR, one, other, "perhaps")
    assert (await ward.get(f"Patient/{one}"))["link"] == [
        {"other": {"reference": f"Patient/{other}"}, "type": "seealso"}
    ]
    with pytest.raises(Unprocessable, match="linked already"):
        await ward.merging.link(REGISTRAR, one, other, "again")
    assert len(await ward.found(f"Observation?patient={one}")) == 1
    await ward.merging.unlink(REGISTRAR, act.id)
    assert same(before, await ward.picture()) == []


async def test_somebody_entered_by_mistake_is_cancelled(ward: Ward) -> None:
    _, busy = await ward.somebody()
    with pytest.raises(Unprocessable, match="has records"):
        await ward.merging.cancel(REGISTRAR, busy, "a mistake")
    patient = await ward.create(
        {
            "resourceType": "Patient",
            "identifier": [{"system": "https://ncez.mzcr.cz/fhir/sid/rcis", "value": "7161264528"}],
            "name": [{"family": "Omylem", "given": ["Eva"]}],
            "birthDate": "1971-11-26",
        }
    )
    person = await ward.person(patient)
    await ward.db.execute(
        "insert into person (person, rid, temporary, patient, created)"
        " values ($1, 'D000000001', true, $2, now())", person, patient,
    )  # fmt: skip
    before = await ward.picture()
    act = await ward.merging.cancel(REGISTRAR, patient, "a mistake")
    assert (await ward.get(f"Patient/{patient}"))["active"] is False
    assert await ward.db.fetchval("select count(*) from claim where person = $1", person) == 0
    with pytest.raises(Unprocessable, match="cancelled"):
        await ward.merging.merge(REGISTRAR, busy, patient, "why")
    await ward.merging.undo(REGISTRAR, act.id)
    assert same(before, await ward.picture()) == []


async def test_a_document_keeps_its_bytes(ward: Ward) -> None:
    (_, one), (_, other) = await pair(ward)
    sql = "select bundle from exchange_document where person = $1"
    bundle = await ward.db.fetchval(sql, await ward.person(other))
    before = await ward.call("GET", f"Bundle/{bundle}", HOSPITAL)
    await ward.merging.merge(REGISTRAR, one, other, "one person")
    after = await ward.call("GET", f"Bundle/{bundle}", HOSPITAL)
    assert after.status_code == 200 and after.content == before.content
    assert await ward.db.fetchval(sql, await ward.person(one)) is not None
    history = await ward.get(f"Bundle/{bundle}/_history", HOSPITAL)
    assert len(history["entry"]) == 2


# Where a number stays although persons are merged: the journal and what leads from it, what is
# moved by rows of its own kind, and the register's own index and queue.
STAYS = {
    "person", "person_index", "person_key", "match_case", "match_candidate", "alias", "merge",
    "will_state", "resource", "history", "string_index", "date_index", "number_index", "code_index",
    "text_index", "claim", "journal", "journal_entry", "merge_moving",
}  # fmt: skip


async def test_every_table_with_a_person_number_is_declared(ward: Ward) -> None:
    """Whoever adds a table says whether its rows move when persons are merged."""
    rows = await ward.db.fetch(
        "select table_name, column_name from information_schema.columns"
        " where table_schema = 'public' and data_type in ('bigint', 'integer')"
        " and column_name in ('person', 'agent', 'represented', 'subject_person')"
    )
    declared = {(each.table, each.person) for each in [*person_tables(), *OWN]}
    missing = {
        (row["table_name"], row["column_name"])
        for row in rows
        if row["table_name"].partition("_2")[0].removesuffix("_default") not in STAYS
    } - declared
    assert missing == set()
