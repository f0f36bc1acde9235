"""HL7 v2 as bytes and values: what is written reads back, what cannot be read is refused."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.domains.persons.hl7 import reading, terms, writing
from pater.domains.persons.hl7.codec import (
    CHARSETS,
    Delimiters,
    Hl7Error,
    Message,
    encoded,
    parse,
    segment,
)
from pater.domains.persons.hl7.mllp import Broken, Frames, framed
from pater.fhir.validation import validate

HEAD = "MSH|^~\\&|A|B|C|D|20240101||ADT^A28|1|P|2.5"
ALPHABET = "aěščřžýáíéúůďťň ČŘ|^~\\&#\r\n\x1c\x0b\t'\"<>0"
texts = st.text(ALPHABET, max_size=12)
marks = st.sampled_from(["|^~\\&", "|^~\\&", "#@*!%", "$:;/+"])


@given(marks, st.lists(st.lists(st.lists(texts, max_size=3), max_size=3), max_size=4))
def test_what_is_written_reads_back(mark: str, repetitions: list[list[list[str]]]) -> None:
    by = Delimiters(*mark)
    head = segment("MSH", {3: "A", 9: ("ADT", "A28"), 10: "1", 12: "2.5"}, by)
    written: list[Any] = [tuple(tuple(c) for c in each) for each in repetitions]
    message = parse(encoded([head, segment("PID", {5: written}, by)], "UNICODE UTF-8"))
    found = message.first("PID")
    assert found is not None
    kept = [[list(c) for c in value] for value in found.values(5)]

    def bare(value: list[list[str]]) -> list[list[str]]:
        """Without empty parts at the end, which nobody can tell from none."""
        made = []
        for component in value:
            while component and component[-1] == "":
                component = component[:-1]
            made.append(component)
        while made and not made[-1]:
            made = made[:-1]
        return made

    wanted = [bare(each) for each in repetitions]
    if not any("".join("".join(c) for c in each).strip() for each in wanted):
        return  # a field of nothing but blanks says nothing
    assert [bare(each) for each in kept] == wanted


@pytest.mark.parametrize(
    ("charset", "python"), [(k, v) for k, v in CHARSETS.items() if k not in ("ASCII", "8859/1")]
)
def test_czech_names_in_every_character_set(charset: str, python: str) -> None:
    if charset == "8859/15":
        name = "Šafář Žižka"  # it has no ř, and says so
        with pytest.raises(UnicodeEncodeError):
            name.encode(python)
        return
    name = "Příliš Žluťoučký"
    data = f"{HEAD}||||||{charset}\rPID|||1||{name}^Řehoř".encode(python)
    found = parse(data).first("PID")
    assert found is not None and found.text(5) == name


@pytest.mark.parametrize(
    ("data", "code", "place"),
    [
        (b"", 100, ("MSH", 1, 0, 0, 0)),
        (b"PID|1", 100, ("MSH", 1, 0, 0, 0)),
        (b"MSH|^~\\^|A|B", 102, ("MSH", 1, 2, 1, 0)),
        (b"MSH|^^^^|A|B", 102, ("MSH", 1, 2, 1, 0)),
        (f"{HEAD}||||||KOI8\rPID|".encode(), 103, ("MSH", 1, 18, 1, 0)),
        (f"{HEAD}\rPID|||1||".encode() + b"\xe8\xf8", 102, ("MSH", 1, 18, 1, 0)),
        (f"{HEAD}||||||ASCII\rPID|||1||Říha".encode(), 102, ("MSH", 1, 18, 1, 0)),
        (f"{HEAD}\rnonsense".encode(), 100, ("MSH", 1, 0, 0, 0)),
        (f"{HEAD}\rPID|||1||A\x00".encode(), 102, ("PID", 1, 0, 0, 0)),
        (HEAD.encode() + b"\rZZZ|1" * 300, 100, ("MSH", 1, 0, 0, 0)),
        (HEAD.encode() + b"|" * 300_000, 102, ("MSH", 1, 0, 0, 0)),
    ],
)
def test_what_cannot_be_read_is_refused(data: bytes, code: int, place: tuple[Any, ...]) -> None:
    with pytest.raises(Hl7Error) as error:
        parse(data)
    assert (error.value.code, error.value.where) == (code, place)


def test_escapes_and_line_ends_of_others() -> None:
    data = f"{HEAD}\nPID|||1||A\\T\\B\\F\\C\\E\\D\\H\\x\\N\\^\\X41\\\\X00\\\\.br\\z\\\n\r\nPV1||I\n"
    message = parse(data.encode())
    pid = message.first("PID")
    assert pid is not None
    assert (pid.text(5, 1), pid.text(5, 2)) == ("A&B|C\\Dx", "A\nz\\")
    assert message.first("PV1") is not None


names = st.text("abcčdďeěřšžáí", min_size=1, max_size=8)
dates = st.dates().map(lambda d: d.isoformat()).filter(lambda d: d >= "1850")


@st.composite
def patients(draw: st.DrawFn) -> dict[str, Any]:
    """Patients with all that PID carries there and back."""
    made: dict[str, Any] = {"resourceType": "Patient"}
    made["name"] = draw(
        st.lists(
            st.fixed_dictionaries(
                {"family": names, "given": st.lists(names, min_size=1, max_size=3)},
                optional={
                    "use": st.sampled_from(sorted({"official", "usual", "maiden", "nickname"})),
                    "prefix": st.lists(names, min_size=1, max_size=1),
                    "suffix": st.lists(names, min_size=1, max_size=2),
                    "period": st.fixed_dictionaries({"start": dates}),
                },
            ),
            min_size=1,
            max_size=3,
        )
    )
    made["address"] = draw(
        st.lists(
            st.fixed_dictionaries(
                {"line": st.lists(names, min_size=1, max_size=2), "city": names},
                optional={
                    "use": st.sampled_from(["home", "temp", "work"]), "postalCode": names,
                    "country": names, "state": names, "district": names,
                },
            ),
            min_size=1,
            max_size=2,
        )
    )  # fmt: skip
    number = st.from_regex(r"\A(\+420 )?[0-9]{3} [0-9]{6}\Z")
    phone = {"system": st.sampled_from(["phone", "fax"]), "value": number, "use": st.just("home")}
    mail = {"system": st.just("email"), "value": names.map(lambda n: f"{n}@x.cz")}
    mail["use"] = st.sampled_from(["home", "work"])
    made["telecom"] = draw(
        st.lists(st.one_of(st.fixed_dictionaries(phone), st.fixed_dictionaries(mail)), min_size=1)
    )
    made["birthDate"] = draw(dates)
    made["gender"] = draw(st.sampled_from(sorted(terms.SEX_CODES)))
    status = draw(st.sampled_from(sorted(terms.MARITAL_BACK)))
    made["maritalStatus"] = {"coding": [{"system": terms.MARITAL, "code": status}]}
    if draw(st.booleans()):
        made["multipleBirthInteger"] = draw(st.integers(1, 9))
    if draw(st.booleans()):
        made["deceasedDateTime"] = draw(st.one_of(dates, st.just("2020-01-02T03:04:05+01:00")))
    return made


def _sorted_telecom(patient: dict[str, Any]) -> dict[str, Any]:
    listed = sorted(patient["telecom"], key=lambda t: (t["use"] == "work", t["value"], t["system"]))
    return {**patient, "telecom": listed}


@given(patients())
def test_a_person_goes_there_and_back(patient: dict[str, Any]) -> None:
    lines = [HEAD, segment("PID", writing.pid(patient))]
    message = parse(encoded(lines, "UNICODE UTF-8"))
    pid = message.first("PID")
    assert pid is not None
    told = reading.told(message, pid)
    assert not told.faults
    assert _sorted_telecom(told.patient) == _sorted_telecom(patient)
    assert not [each for each in validate(told.patient) if each.severity == "error"]


def test_all_that_a_message_says_of_a_person() -> None:
    message = parse(
        f"{HEAD}\r"
        "PID|||1||Nová^Eva^Marie^^Ing.^Ph.D.^L~Stará^Eva^^^^^M|Matná^Jana|19850615|F|||"
        "Květná 17&Květná&17^byt 2^Olomouc^^77900^CZE^H^^okres~^^Brno^^^^BDL||"
        "^PRN^CP^eva@x.cz^420^^603111222|||||||||||Y|2|CZE|||20240102030405+0100|Y\r"
        "PD1||||7^Kovář^Jan^^^MUDr.\r"
        "NK1|1|Nový^Petr|SPO|Jiná 3^^Brno|^PRN^PH^^^^541222333".encode()
    )
    pid = message.first("PID")
    assert pid is not None
    made = reading.told(message, pid).patient
    assert [n.get("use") for n in made["name"]] == ["official", "maiden"]
    assert made["name"][0]["suffix"] == ["Ph.D."]
    assert [a["city"] for a in made["address"]] == ["Olomouc"]
    assert made["address"][0]["line"] == ["Květná 17", "byt 2"]
    assert [t["value"] for t in made["telecom"]] == ["eva@x.cz", "+420 603111222"]
    assert made["telecom"][1]["use"] == "mobile"
    assert made["multipleBirthInteger"] == 2
    assert made["deceasedDateTime"] == "2024-01-02T03:04:05+01:00"
    assert [c["name"]["family"] for c in made["contact"]] == ["Matná", "Nový"]
    assert made["generalPractitioner"] == [{"display": "MUDr. Jan Kovář"}]
    assert not [each for each in validate(made) if each.severity == "error"]


@given(st.lists(st.binary(max_size=40)), st.lists(st.integers(1, 7), min_size=1))
def test_frames_are_the_same_in_whatever_pieces_they_come(
    messages: list[bytes], sizes: list[int]
) -> None:
    plain = [m.replace(b"\x1c", b"").replace(b"\x0b", b"") for m in messages]
    data = b"".join(framed(each) for each in plain)
    frames, found, place, turn = Frames(), [], 0, 0
    while place < len(data):
        size = sizes[turn % len(sizes)]
        frames.feed(data[place : place + size])
        place, turn = place + size, turn + 1
        while (message := frames.take()) is not None:
            found.append(message)
    assert found == plain
    assert not frames.begun


@pytest.mark.parametrize("data", [b"GET / HTTP/1.1", b"\x0bMSH\x1cX", b"\x0b" + b"a" * 2000])
def test_what_is_no_frame_ends_the_connection(data: bytes) -> None:
    frames = Frames(1000)
    frames.feed(data)
    with pytest.raises(Broken):
        frames.take()


def test_a_message_of_the_codec_is_what_it_was() -> None:
    message = parse(f"{HEAD}\rPID|||1".encode())
    assert isinstance(message, Message)
    assert (message.type, message.event, message.control, message.version) == (
        "ADT", "A28", "1", "2.5",
    )  # fmt: skip
