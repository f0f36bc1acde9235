"""Answers to HL7 v2 messages: acknowledgements in both modes, and the heads of query answers. Pure.

Original mode: one answer says what came of the message (AA, AE, AR). Enhanced mode (MSH-15 or
MSH-16 filled): an accept acknowledgement (CA, CE, CR) and an application acknowledgement, each only
when it is asked for (HL7 v2.8 chapter 2.9).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from pater.domains.persons.hl7.codec import (
    Fields,
    Location,
    Message,
    Segment,
    Written,
    encoded,
    segment,
)
from pater.domains.persons.hl7.numbers import Fault

TEXTS: Final = {
    100: "Segment sequence error", 101: "Required field missing", 102: "Data type error",
    103: "Table value not found", 200: "Unsupported message type", 201: "Unsupported event code",
    202: "Unsupported processing id", 203: "Unsupported version id",
    204: "Unknown key identifier", 205: "Duplicate key identifier",
    206: "Application record locked", 207: "Application error",
}  # fmt: skip
"""Table 0357."""
_ERR_FIELDS_SINCE: Final = (2, 5)
_MOST_FAULTS: Final = 20


@dataclass(frozen=True, slots=True)
class Writer:
    """Writes answers: when, and with a fresh control id."""

    clock: Callable[[], datetime]
    new_id: Callable[[], str]

    def acknowledged(self, asked: Message | None, code: str, faults: Sequence[Fault] = ()) -> bytes:
        """ACK with an acknowledgement code."""
        event = asked.event if asked is not None else ""
        structure = "ACK" if _since(asked, _ERR_FIELDS_SINCE) else ""
        kind = ("ACK", event, structure) if event else ("ACK",)
        return self.message(asked, kind, self.outcome(asked, code, faults))

    def outcome(
        self, asked: Message | None, code: str, faults: Sequence[Fault] = ()
    ) -> list[tuple[str, Fields]]:
        """MSA, and ERR for each fault as the version of the message has them."""
        control = asked.control if asked is not None else ""
        errors = [each for each in faults if each.severity == "E"]
        if _since(asked, _ERR_FIELDS_SINCE):
            made: list[tuple[str, Fields]] = [("MSA", {1: code, 2: control})]
            made += [
                (
                    "ERR",
                    {
                        2: _location(each.where),
                        3: _coded(each.code),
                        4: each.severity,
                        8: each.text[:250],
                    },
                )
                for each in faults[:_MOST_FAULTS]
            ]
            return made
        text = "; ".join(each.text for each in errors)[:80]
        head: Fields = {1: code, 2: control, 3: text}
        if errors:
            head = {**head, 6: _coded(errors[0].code)}
        made = [("MSA", head)]
        if errors:
            places: list[Written] = [
                (each.where[0], _number(each.where[1]), _number(each.where[2]), _coded(each.code))
                for each in errors[:_MOST_FAULTS]
            ]
            made.append(("ERR", {1: places}))
        return made

    def message(
        self,
        asked: Message | None,
        kind: tuple[str, ...],
        segments: Sequence[tuple[str, Fields]],
        echo: Segment | None = None,
    ) -> bytes:
        """An answer to a message, in its delimiters, version and character set.

        `echo` is the question, which stands as it came behind QAK.
        """
        head: Fields = {
            7: self.clock().strftime("%Y%m%d%H%M%S+0000"),
            9: kind,
            10: self.new_id().replace("-", "")[:20],
            11: "P",
            12: "2.5",
            18: "UNICODE UTF-8",
        }
        if asked is None:
            lines = [segment(name, fields) for name, fields in [("MSH", head), *segments]]
            return encoded(lines, "UNICODE UTF-8")
        by = asked.head.delimiters
        was = {each: asked.head.text(each) for each in (3, 4, 5, 6, 11, 12)}
        names = {3: 5, 4: 6, 5: 3, 6: 4}
        head = {
            **head,
            **{to: was[of] for to, of in names.items()},
            11: was[11] or "P",
            12: was[12] or "2.5",
        }
        for charset in dict.fromkeys([asked.charset, "UNICODE UTF-8"]):
            head = {**head, 18: charset}
            lines = []
            for name, fields in [("MSH", head), *segments]:
                lines.append(segment(name, fields, by))
                if name == "QAK" and echo is not None:
                    lines.append(by.field.join(echo.fields))
            try:
                return encoded(lines, charset)
            except UnicodeEncodeError:  # not everything can be said in the sender's own set
                continue
        raise AssertionError("UTF-8 can say everything")


def location(where: Location) -> str:
    """A place in a message for people, as ERR-2 has it."""
    return "^".join(str(each) if each else "" for each in where).rstrip("^")


def _location(where: Location) -> Written:
    return tuple(str(each) if each else "" for each in where)


def _coded(code: int) -> tuple[str, ...]:
    return (str(code), TEXTS.get(code, ""), "HL70357")


def _number(value: int) -> str:
    return str(value) if value else ""


def _since(asked: Message | None, version: tuple[int, int]) -> bool:
    """Whether a message is of this version or a newer one."""
    if asked is None:
        return True
    numbers = [int(each) for each in asked.version.split(".")[:2] if each.isdigit()]
    return len(numbers) == 2 and tuple(numbers) >= version
