"""HL7 v2 messages as bytes and as values (ER7, HL7 v2.8 chapter 2). Pure.

A message is read strictly where a mistake could change what it says (character set, delimiters),
and leniently where it cannot (line ends, trailing blanks). What is written reads back the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

MOST_BYTES: Final = 262_144
"""Of one message."""
MOST_SEGMENTS: Final = 200
CHARSETS: Final[Mapping[str, str]] = {
    "": "utf-8",
    "ASCII": "ascii",
    "8859/1": "iso8859-1",
    "8859/2": "iso8859-2",
    "8859/15": "iso8859-15",
    "UNICODE UTF-8": "utf-8",
    "UTF-8": "utf-8",
    "CP1250": "cp1250",
    "WINDOWS-1250": "cp1250",
}
"""MSH-18 (table 0211) and what it means here. The two of Windows are in no table, and in use."""
NULL: Final = '""'
"""A field that says: there is none (any more). An empty field says nothing."""
USUAL: Final = "|^~\\&"
_CHARSET: Final = 17
"""The place of MSH-18 when MSH is parted by MSH-1."""
_LONGEST_HEAD: Final = 4_096
_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_ESCAPED: Final = re.compile(r"[\x00-\x1f\x7f]")

Location = tuple[str, int, int, int, int]
"""Segment, its number among those of its name, field, repetition, component; 0 = not said."""


class Hl7Error(ValueError):
    """A message that cannot be read: a code of table 0357, what is wrong, and where."""

    def __init__(self, code: int, text: str, where: Location = ("MSH", 1, 0, 0, 0)) -> None:
        super().__init__(text)
        self.code, self.text, self.where = code, text, where


@dataclass(frozen=True, slots=True)
class Delimiters:
    """The characters that part a message (MSH-1, MSH-2)."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    sub: str = "&"

    @property
    def encoding(self) -> str:
        """MSH-2."""
        return self.component + self.repetition + self.escape + self.sub

    def escaped(self, text: str) -> str:
        """A text as it stands in a message."""
        names = ((self.escape, "E"), (self.field, "F"), (self.component, "S"))
        for char, name in (*names, (self.repetition, "R"), (self.sub, "T")):
            # the escape character first: the others bring it along
            text = text.replace(char, f"{self.escape}{name}{self.escape}")
        return _ESCAPED.sub(lambda m: f"{self.escape}X{ord(m[0]):02X}{self.escape}", text)

    def plain(self, text: str) -> str:
        """What a text of a message says; sequences that only format it are left out."""
        if self.escape not in text:
            return text
        names = {"E": self.escape, "F": self.field, "S": self.component, "R": self.repetition,
                 "T": self.sub, ".br": "\n"}  # fmt: skip
        pieces = text.split(self.escape)
        made = [pieces[0]]
        place = 1
        while place < len(pieces):
            if place + 1 == len(pieces):  # one that does not end is text
                made.append(self.escape + pieces[place])
                break
            made.append(_sequence(pieces[place], names))
            made.append(pieces[place + 1])
            place += 2
        return "".join(made)


def _sequence(name: str, names: Mapping[str, str]) -> str:
    if name in names:
        return names[name]
    if name[:1] == "X":
        try:
            # NUL, which nothing keeps, says nothing
            raw = bytes.fromhex(name[1:]).replace(b"\x00", b"")
        except ValueError:
            return ""
        try:
            return raw.decode("utf-8")
        except UnicodeDecodeError:
            return raw.decode("iso8859-1")
    return ""


Value = tuple[tuple[str, ...], ...]
"""One repetition of a field: components of subcomponents."""


def part(value: Value, component: int, sub: int = 1) -> str:
    """A component of a repetition, by its number from 1; without blanks around it."""
    if component > len(value) or sub > len(value[component - 1]):
        return ""
    text = value[component - 1][sub - 1].strip()
    return "" if text == NULL else text


@dataclass(frozen=True, slots=True)
class Segment:
    """One segment; `fields[n]` is field n as it stands in the message."""

    name: str
    fields: tuple[str, ...]
    delimiters: Delimiters

    def raw(self, number: int) -> str:
        """A field as it stands in the message."""
        return self.fields[number] if number < len(self.fields) else ""

    def null(self, number: int) -> bool:
        """Whether a field says that there is none."""
        return self.raw(number).strip() == NULL

    def values(self, number: int) -> tuple[Value, ...]:
        """The repetitions of a field that say anything."""
        text = self.raw(number)
        if not text.strip() or self.null(number):
            return ()
        by = self.delimiters
        return tuple(
            tuple(
                tuple(by.plain(sub) for sub in component.split(by.sub))
                for component in each.split(by.component)
            )
            for each in text.split(by.repetition)
        )

    def text(self, number: int, component: int = 1, sub: int = 1) -> str:
        """One component of the first repetition."""
        values = self.values(number)
        return part(values[0], component, sub) if values else ""


@dataclass(frozen=True, slots=True)
class Message:
    """A message as it was read: its segments, MSH first, and the name of its character set."""

    segments: tuple[Segment, ...]
    charset: str

    @property
    def head(self) -> Segment:
        """MSH."""
        return self.segments[0]

    @property
    def type(self) -> str:
        """MSH-9.1."""
        return self.head.text(9, 1).upper()

    @property
    def event(self) -> str:
        """MSH-9.2."""
        return self.head.text(9, 2).upper()

    @property
    def control(self) -> str:
        """MSH-10."""
        return self.head.text(10)

    @property
    def version(self) -> str:
        """MSH-12."""
        return self.head.text(12)

    def first(self, name: str) -> Segment | None:
        """The first segment of a name."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[Segment]:
        """The segments of a name."""
        return (each for each in self.segments if each.name == name)


def parse(data: bytes) -> Message:
    """Reads a message. Raises Hl7Error."""
    if len(data) > MOST_BYTES:
        raise Hl7Error(102, f"a message has at most {MOST_BYTES} bytes")
    lines = [each for each in re.split(rb"[\r\n]+", data) if each.strip()]
    if not lines or not lines[0].startswith(b"MSH") or len(lines[0]) < 9:
        raise Hl7Error(100, "a message begins with MSH")
    if len(lines) > MOST_SEGMENTS:
        raise Hl7Error(100, f"a message has at most {MOST_SEGMENTS} segments")
    by = _delimiters(lines[0])
    named = lines[0].decode("iso8859-1").split(by.field)
    charset = (named[17] if len(named) > 17 else "").split(by.repetition)[0].strip().upper()
    if charset not in CHARSETS:
        where = ("MSH", 1, 18, 1, 0)
        raise Hl7Error(103, f"character sets are: {', '.join(filter(None, CHARSETS))}", where)
    segments = []
    for line in lines:
        try:
            text = line.decode(CHARSETS[charset])
        except UnicodeDecodeError as error:
            said = charset or "UNICODE UTF-8, as no character set is named"
            raise Hl7Error(102, f"the bytes are not {said}", ("MSH", 1, 18, 1, 0)) from error
        segments.append(_segment(text, by))
    return Message(tuple(segments), charset)


def head_of(data: bytes) -> Message | None:
    """The MSH, as far as the character set, of a message that cannot be read: its sender has to
    know to which one the answer is. None = that cannot be read either.
    """
    lines = re.split(rb"[\r\n]+", data[:_LONGEST_HEAD])
    line = next((each for each in lines if each.strip()), b"")
    mark = line[3:4]
    try:
        return parse(mark.join(line.split(mark)[:_CHARSET])) if mark else None
    except Hl7Error:
        return None


def _delimiters(head: bytes) -> Delimiters:
    given = head[3:8].decode("iso8859-1")
    marks = given[:1] + given[1:].split(given[0])[0]
    if len(marks) == 4:  # a message without subcomponents need not name their mark
        marks += "&"
    odd = any(c.isalnum() or c.isspace() or not " " < c < "\x7f" for c in marks)
    if len(marks) != 5 or len(set(marks)) != 5 or odd:
        raise Hl7Error(102, "MSH-1 and MSH-2 name five different marks", ("MSH", 1, 2, 1, 0))
    return Delimiters(*marks)


def _segment(line: str, by: Delimiters) -> Segment:
    name, *fields = line.split(by.field)
    name = name.strip()
    if not _NAME.fullmatch(name):
        raise Hl7Error(100, "a line is no segment", ("MSH", 1, 0, 0, 0))
    if "\x00" in line:
        raise Hl7Error(102, "a message has no NUL characters", (name, 1, 0, 0, 0))
    # MSH-1 is the field separator itself
    return Segment(name, (name, by.field, *fields) if name == "MSH" else (name, *fields), by)


Written = str | Sequence["str | Sequence[str]"]
"""One repetition to be written: a text, or components, each a text or its subcomponents."""
Fields = Mapping[int, Written | list[Written]]
"""The fields of a segment by number; a list holds repetitions, a tuple components."""


def segment(name: str, fields: Fields, by: Delimiters = Delimiters()) -> str:
    """A segment as text."""
    last = max(fields, default=0)
    texts = [_field(fields.get(number, ""), by) for number in range(1, last + 1)]
    if name == "MSH":
        texts = [by.encoding, *texts[2:]]
    return by.field.join([name, *texts]).rstrip(by.field)


def _field(value: Written | list[Written], by: Delimiters) -> str:
    if isinstance(value, list):
        return by.repetition.join(_one(each, by) for each in value)
    return _one(value, by)


def _one(value: Written, by: Delimiters) -> str:
    if isinstance(value, str):
        return by.escaped(value)
    made = by.component.join(
        by.escaped(each)
        if isinstance(each, str)
        else by.sub.join(map(by.escaped, each)).rstrip(by.sub)
        for each in value
    )
    return made.rstrip(by.component)


def encoded(lines: Sequence[str], charset: str) -> bytes:
    """A message as bytes: each segment ends with CR. Raises UnicodeEncodeError."""
    return "".join(f"{line}\r" for line in lines).encode(CHARSETS[charset])
