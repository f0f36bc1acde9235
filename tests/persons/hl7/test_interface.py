"""What senders rely on: repeats, updates, both modes, quarantine, paging, the journal."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.access import clients
from pater.domains.persons.hl7 import DONE_KEPT, FAILED_KEPT, tables
from pater.domains.persons.hl7.desk import Peer
from pater.registers.identifiers import ico_from
from tests.persons.hl7.hl7_world import Bench

PAVEL = "AB-1^^^TEST||Říha^Pavel^^^^^L||19700304|M|||Květná 1^^Brno^^60200||^PRN^PH^^^^541222333"

ODD = [
    b"|", b"^", b"~", b'""', b"\\X00\\", b"\r", b"*", b"&", b"\x00", b"\xc5\x99", b"|" * 30,
    b"9" * 300,
]  # fmt: skip


async def test_a_message_that_comes_again_is_answered_again_and_done_once(at: Bench) -> None:
    first = await at.adt(PAVEL, control="SAME")
    again = await at.adt(PAVEL, control="SAME")
    assert again.one == first.one
    entries = await at.api.journal(agent="test_harness")
    other = await at.adt(PAVEL.replace("AB-1", "AB-2"), control="SAME")
    assert other.code == "AA"
    assert other.text("MSH", 10) != first.text("MSH", 10)
    assert len(await at.api.journal(agent="test_harness")) > len(entries)


async def test_what_is_done_is_forgotten_after_its_time(at: Bench) -> None:
    await at.adt(PAVEL, control="SAME")
    await at.adt("AB-7||Říha^Pavel", control="BAD")
    now = at.api.clock()
    await tables.forget(at.api.db, now - DONE_KEPT, now - FAILED_KEPT)
    assert await at.api.db.fetchval("select count(*) from hl7_taken") == 1
    assert len(await tables.failures(at.api.db, "", 10)) == 1
    await tables.forget(at.api.db, now + DONE_KEPT, now + FAILED_KEPT)
    assert await at.api.db.fetchval("select count(*) from hl7_taken") == 0
    assert not await tables.failures(at.api.db, "", 10)


async def test_every_event_of_identity_registers(at: Bench) -> None:
    for place, event in enumerate(["A01", "A04", "A08", "A28", "A31"]):
        told = PAVEL.replace("AB-1", f"AB-{event}").replace("1970", f"197{place}")
        assert (await at.adt(told, event=event)).code == "AA"
        assert f"AB-{event}^TEST" in (await at.pix(f"AB-{event}^^^TEST")).numbers()


async def test_an_empty_field_changes_nothing_and_quotes_take_away(at: Bench) -> None:
    await at.adt(PAVEL)
    await at.adt("AB-1^^^TEST||Říha^Pavel^^^^^L||19700304", event="A08")
    [pid] = (await at.pdq("@PID.3.1^AB-1~@PID.3.4.1^TEST", by="TEST_HARNESS")).people
    assert (pid.text(8), pid.text(11, 3)) == ("M", "Brno")
    await at.adt('AB-1^^^TEST||Říha^Pavel^^^^^L||19700304|M|||""', event="A08")
    [pid] = (await at.pdq("@PID.3.1^AB-1~@PID.3.4.1^TEST", by="TEST_HARNESS")).people
    assert pid.text(11, 3) == ""
    assert pid.text(13) or pid.text(13, 7)
    await at.adt("AB-1^^^TEST||Říha^Pavel^^^^^L||19700304|M|||Nová 2^^Plzeň", event="A31")
    await at.adt("AB-1^^^TEST||Říha^Pavel^^^^^L||19700304||||||||||||||||||||||20240101|Y")
    [pid] = (await at.pdq("@PID.3.1^AB-1~@PID.3.4.1^TEST", by="TEST_HARNESS")).people
    assert (pid.text(11, 3), pid.text(29), pid.text(30)) == ("Plzeň", "20240101", "Y")


async def test_enhanced_mode_answers_what_it_is_asked_for(at: Bench) -> None:
    head = "MSH|^~\\&|TEST_HARNESS|TEST|CR1|MOH|20240101||ADT^A28|{0}|P|2.5|||{1}|{2}"

    async def codes(accept: str, application: str, pid: str = PAVEL) -> list[str]:
        head_ = head.format(f"{accept}-{application}-{len(pid)}", accept, application)
        got = await at.send(head_, f"PID|||{pid}")
        return [m.first("MSA").text(1) for m in got.messages]  # type: ignore[union-attr]

    bad = "AB-1^^^NOWHERE||Říha^Pavel"
    assert await codes("AL", "AL") == ["CA", "AA"]
    assert await codes("AL", "NE") == ["CA"]
    assert await codes("NE", "AL") == ["AA"]
    assert await codes("ER", "ER") == []
    assert await codes("ER", "ER", bad) == ["AE"]
    assert await codes("AL", "SU", bad) == ["CA"]
    got = await at.send(head.format("X", "AL", "AL").replace("A28", "A99"), f"PID|||{PAVEL}")
    assert got.code == "CR"
    assert got.errors[0].text(3) == "201"


WRONG = [
    (("ADT^A28", "ORU^R01"), "200", "MSH^1^9^1^1"),
    (("ADT^A28", "ADT^A05"), "201", "MSH^1^9^1^2"),
    (("|P|2.5", "|D|2.5"), "202", "MSH^1^11"),
    (("|P|2.5", "|P|3.0"), "", ""),
    (("|K1|", "||"), "101", "MSH^1^10"),
    (("TEST_HARNESS", "SOMEBODY"), "207", "MSH^1^3"),
    (("TEST_HARNESS", "SOME\\X00\\BODY"), "207", "MSH^1^3"),
    (("PID|||AB", "PV1|||AB"), "100", "PID^1"),
    (("19700304", "19701399"), "102", "PID^1^7^1"),
    (("19700304", "30000101"), "102", "PID^1^7^1"),
    (("|M|", "|Q|"), "103", "PID^1^8^1"),
    (("AB-1^^^TEST", "1234567891^^^RID~AB-1^^^TEST"), "102", "PID^1^3^"),
]


async def test_what_is_wrong_is_said_with_its_place(at: Bench) -> None:
    text = f"MSH|^~\\&|TEST_HARNESS|TEST|CR1|MOH|20240101||ADT^A28|K1|P|2.5\rPID|||{PAVEL}"
    for change, code, place in WRONG:
        got = await at.send(*text.replace(*change).split("\r"))
        assert got.code in ("AE", "AR"), change
        if code:
            assert got.errors[0].text(3) == code, change
            assert got.place.startswith(place), change
    assert await at.count() == 0


async def test_who_cannot_be_read_knows_to_what_the_answer_is(at: Bench) -> None:
    head = "MSH|^~\\&|TEST_HARNESS|TEST|CR1|MOH|20240101||ADT^A28|K7|P|2.5"
    for told in (
        f"{head}||||||KLINGON\rPID|||AB-1^^^TEST",
        f"{head}\rPID|||AB-1^^^TEST||Ku\xe8era",
    ):
        got = await at.raw(told.encode("iso8859-1"))
        assert (got.code, got.one.head.text(5), got.text("MSA", 2)) == ("AR", "TEST_HARNESS", "K7")
    nothing = await at.raw(b"MSH|^~\\&|\xff|" + b"|" * 9_000)
    assert (nothing.code, nothing.text("MSA", 2)) == ("AR", "")


async def test_czech_in_the_senders_character_set(at: Bench) -> None:
    head = "MSH|^~\\&|TEST_HARNESS|TEST|CR1|MOH|20240101||{0}|{1}|P|2.5||||||8859/2"
    got = await at.send(
        head.format("ADT^A28", "K1"), "PID|||AB-1^^^TEST||Kučeřík^Řehoř||19700304|M",
        charset="iso8859-2",
    )  # fmt: skip
    assert got.code == "AA"
    found = await at.send(
        head.format("QBP^Q22", "K2"), "QPD|Q22|T|@PID.3.1^AB-1~@PID.3.4.1^TEST", "RCP|I",
        charset="iso8859-2",
    )  # fmt: skip
    assert (found.one.charset, found.text("PID", 5, 1)) == ("8859/2", "Kučeřík")


async def test_other_providers_numbers_are_not_told(at: Bench) -> None:
    at_a = "A-1^^^TEST_A~9001010007^^^RC||Malá^Iva||19900101|M"
    await at.adt(at_a, by="TEST_HARNESS_A")
    at_b = "B-1^^^TEST_B~9001010007^^^RC||Malá^Iva||19900101|M"
    await at.adt(at_b, by="TEST_HARNESS_B")
    found = await at.pix("9001010007^^^RC", by="TEST_HARNESS_B")
    assert "B-1^TEST_B" in found.numbers()
    assert "9001010007^RC" in found.numbers()
    assert "A-1^TEST_A" not in found.numbers()
    assert (await at.pix("A-1^^^TEST_A", by="TEST_HARNESS_B")).status == "AE"
    everything = await at.pix("A-1^^^TEST_A", by="REGISTRY")
    assert {"A-1^TEST_A", "B-1^TEST_B"} <= set(everything.numbers())
    shown = await at.pdq("@PID.3.1^9001010007~@PID.3.4.1^RC", by="TEST_HARNESS_B")
    assert "A-1^TEST_A" not in shown.numbers()


async def test_every_answer_has_its_entry_in_the_journal(at: Bench) -> None:
    await at.adt(PAVEL)
    before = len(await at.api.journal(agent="test_harness"))
    await at.pix("AB-1^^^TEST")
    await at.pdq("@PID.3.1^AB-1~@PID.3.4.1^TEST", by="TEST_HARNESS")
    await at.pix("AB-99^^^TEST")
    entries = (await at.api.journal(agent="test_harness"))[before:]
    assert [bool(each["person"]) for each in entries] == [True, True, False]
    assert {each["source"] for each in entries} == {"127.0.0.1"}


async def test_more_people_come_by_continuation(at: Bench) -> None:
    for number in range(5):
        await at.adt(f"AB-{number}^^^TEST||Dlouhý^{'ABCDE'[number]}{number}||197{number}0304|M")
    found: list[str] = []
    pointer = ""
    for _ in range(5):
        got = await at.pdq("@PID.5.1^Dlouhý", "^^^TEST", count=2, pointer=pointer)
        found += [value[0][0] for pid in got.people for value in pid.values(3)]
        dsc = got.one.first("DSC")
        if dsc is None:
            break
        pointer = dsc.raw(1)
    assert sorted(found) == [f"AB-{n}" for n in range(5)]
    assert (await at.pdq("@PID.5.1^Dlouhý", pointer="nonsense")).code == "AE"


async def test_what_failed_waits_in_quarantine_until_it_can_be_done(at: Bench) -> None:
    await at.api.db.execute("update identity_domain set name = 'LATER' where name = 'TEST'")
    for _ in range(2):
        assert (await at.adt(PAVEL, control="K1")).code == "AE"
    [failed] = await tables.failures(at.api.db, "", 10)
    assert (failed.client, failed.code, failed.tries) == ("test_harness", 204, 2)
    assert failed.place == "PID^1^3^1^4"
    assert "TEST" in failed.reason
    assert await at.desk.retry(failed)
    await at.api.db.execute("update identity_domain set name = 'TEST' where name = 'LATER'")
    assert await at.desk.retry(failed) == ""
    assert not await tables.failures(at.api.db, "", 10)
    assert "AB-1^TEST" in (await at.pix("AB-1^^^TEST")).numbers()


async def test_what_was_said_since_is_not_undone_by_the_quarantine(at: Bench) -> None:
    await at.adt(PAVEL)
    await at.adt("AB-1^^^TEST~5^^^NOWHERE||Stará^Jana||19700304|F", control="K1")
    [failed] = await tables.failures(at.api.db, "", 10)
    at.api.clock.move(hours=1)
    await at.adt(PAVEL.replace("Pavel", "Petr"), event="A08")
    await at.api.db.execute("update identity_domain set name = 'NOWHERE' where name = 'NID'")
    assert "since" in await at.desk.retry(failed)
    assert await tables.drop(at.api.db, failed.id)
    assert not await tables.drop(at.api.db, failed.id)


async def test_a_sender_without_right_or_registration_gets_nothing(at: Bench) -> None:
    stranger = replace(at, peer=Peer("127.0.0.1"))
    assert (await stranger.adt(PAVEL)).code == "AR"
    assert (await at.adt(PAVEL, by="REGISTRY")).code in ("AE", "AR")
    client = await clients.find(at.api.db, "test_harness")
    assert client is not None
    await clients.register(at.api.db, replace(client, scopes=("system/*.rs",)), at.api.clock)
    assert (await at.adt(PAVEL)).code == "AR"
    await clients.register(at.api.db, replace(client, active=False), at.api.clock)
    assert (await at.pix("AB-1^^^TEST")).code == "AR"
    assert await at.count() == 0


async def test_merged_numbers_follow_and_come_back_into_use(at: Bench) -> None:
    for number in ("AB-1", "AB-2", "AB-3"):
        await at.adt(PAVEL.replace("AB-1", number))
    for kept, gone in (("AB-2", "AB-1"), ("AB-3", "AB-2")):
        for _ in range(2):
            got = await at.adt(PAVEL.replace("AB-1", kept), f"MRG|{gone}^^^TEST", event="A40")
            assert got.code == "AA"
    assert sorted((await at.pix("AB-3^^^TEST", "^^^TEST")).numbers()) == [
        "AB-1^TEST", "AB-2^TEST", "AB-3^TEST",
    ]  # fmt: skip
    assert (await at.pix("AB-1^^^TEST")).status == "AE"
    await at.adt(PAVEL, event="A28")
    assert (await at.pix("AB-1^^^TEST")).status == "OK"
    alone = await at.adt(PAVEL, "MRG|AB-1^^^TEST", event="A40")
    assert alone.code == "AE"


async def test_sixteen_senders_of_one_new_person_make_one(at: Bench) -> None:
    for number in range(16):
        client = await clients.find(at.api.db, "test_harness")
        assert client is not None
        ico = ico_from(f"{number + 100:07d}")
        name = f"s{number}"
        await clients.register(at.api.db, replace(client, id=name, organization=ico), at.api.clock)
        await tables.keep_sender(at.api.db, tables.Sender(name, "TEST", name, ""), at.api.clock())
    told = "9001010007^^^RC||Malá^Iva||19900101|M"
    answers = await asyncio.gather(*(at.adt(told, by=f"s{n}", event="A28") for n in range(16)))
    assert {each.code for each in answers} == {"AA"}
    assert await at.count() == 1


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
async def test_nothing_that_comes_breaks_the_desk(at: Bench, data: st.DataObject) -> None:
    """Whatever a sender changes in a message, there is an answer, and it reads back."""
    heads = [
        f"MSH|^~\\&|TEST_HARNESS|TEST|CR1|MOH|20240101||ADT^A28|K1|P|2.5\rPID|||{PAVEL}",
        f"MSH|^~\\&|TEST_HARNESS|TEST|CR1|MOH|20240101||ADT^A40|K1|P|2.5\rPID|||{PAVEL}\rMRG|AB-2^^^TEST",
        "MSH|^~\\&|REGISTRY|TEST|C|M|2024||QBP^Q22|K|P|2.5\rQPD|Q22|T|@PID.5.1^A~@PID.7^1984\rRCP|I|3",
        "MSH|^~\\&|REGISTRY|TEST|C|M|2024||QBP^Q23|K|P|2.5\rQPD|Q23|T|AB-1^^^TEST|^^^TEST\rRCP|I",
    ]
    raw = bytearray(data.draw(st.sampled_from(heads)).encode())
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(raw)))
        gone = data.draw(st.integers(0, 6))
        piece = data.draw(st.one_of(st.binary(max_size=4), st.sampled_from(ODD)))
        raw[place : place + gone] = piece
    got = await at.raw(bytes(raw))
    for message in got.messages:
        assert message.type in ("ACK", "RSP")
        errors = [each.text(8) + each.text(1, 5) for each in message.all("ERR")]
        assert "the register failed: try again" not in errors
