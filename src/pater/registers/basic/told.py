"""What the basic registers say, as plain data, read from their JSON. Pure.

An answer that is not as it should be is refused as a whole (`Unusable`): half an answer of a
register that others believe would be worse than none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final, Literal

from pater.registers.identifiers import check_ico

Register = Literal["rob", "ruian", "ros", "reza"]
Kind = Literal["parent", "guardian", "authorised", "statutory", "delegated"]

REGISTERS: Final[tuple[Register, ...]] = ("rob", "ruian", "ros", "reza")
"""Persons, addresses, business, rights and mandates."""
REPRESENTATIONS: Final = frozenset({"parent", "guardian", "authorised"})
"""Kinds by which a person acts for a person; the others are mandates of organisations."""
_KINDS: Final = REPRESENTATIONS | {"statutory", "delegated"}
_DOCUMENTS: Final = frozenset({"idcard", "passport"})
_GENDERS: Final = frozenset({"", "male", "female"})
_LONGEST: Final = 200
_MOST: Final = 20
_COUNTRY: Final = re.compile(r"[A-Z]{3}", re.ASCII)
_CODE: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


class Down(Exception):  # noqa: N818 it says what is so
    """A register cannot be asked now; the text says why, without what was asked."""


class LeftAlone(Down):
    """A register failed several times: it is not asked for a while."""


class Unusable(Down):
    """A register answered what cannot be used."""


@dataclass(frozen=True, slots=True)
class Document:
    """An identity document: `idcard` or `passport`, and the country of issue (three letters)."""

    type: str
    country: str
    number: str


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody as the register of persons knows them; `pseudonym` is its own name of theirs."""

    pseudonym: str
    family: str
    given: str
    born: date
    gender: str = ""
    died: date | None = None
    address: str = ""  # code of an address point
    documents: tuple[Document, ...] = ()
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Address:
    """An address point; `valid` is false for one that is there no more."""

    code: str
    city: str
    postal_code: str
    house_number: str
    street: str = ""
    orientation_number: str = ""
    part: str = ""
    valid: bool = True

    @property
    def line(self) -> str:
        """The street or the part of the town, and the numbers."""
        number = self.house_number + (
            f"/{self.orientation_number}" if self.orientation_number else ""
        )
        return f"{self.street or self.part or self.city} {number}".strip()


@dataclass(frozen=True, slots=True)
class Business:
    """An organisation or somebody in business, by IČO."""

    ico: str
    name: str
    address: str = ""
    ended: date | None = None


@dataclass(frozen=True, slots=True)
class Mandate:
    """That `agent` (a pseudonym) acts for a person (pseudonym) or for an organisation (IČO).

    `services` and `categories` are what for, () = for everything. `until` is the moment from which
    it does not hold, `ended` the moment when somebody ended it.
    """

    id: str
    kind: Kind
    agent: str
    since: datetime
    person: str = ""
    organization: str = ""
    services: tuple[str, ...] = ()
    categories: tuple[str, ...] = ()
    until: datetime | None = None
    ended: datetime | None = None
    reference: str = ""


@dataclass(frozen=True, slots=True)
class Changed:
    """A page of a register's changes: what changed, and from where to go on."""

    items: tuple[Any, ...]
    cursor: str


def read_person(value: Any) -> Person:
    """A person of the register. Raises Unusable."""
    said = _object(value)
    listed = said.get("documents", [])
    if not isinstance(listed, list) or len(listed) > _MOST:
        raise Unusable("documents are a short list")
    born = _day(said, "birthDate")
    if born is None:
        raise Unusable("birthDate is missing")
    gender = _text(said, "gender", needed=False)
    if gender not in _GENDERS:
        raise Unusable("gender is male or female")
    died = _day(said, "deathDate")
    if died is not None and died < born:
        raise Unusable("deathDate is before birthDate")
    return Person(
        _text(said, "pseudonym"), _text(said, "family"), _text(said, "given", needed=False), born,
        gender, died, _code(said, "address"), tuple(_document(each) for each in listed),
        _moment(said, "since"),
    )  # fmt: skip


def read_address(value: Any, code: str) -> Address:
    """The address point of a code. Raises Unusable, also for another code's."""
    said = _object(value)
    if _code(said, "code") != code:
        raise Unusable("another address was asked for")
    return Address(
        code, _text(said, "city"), _text(said, "postalCode"), _text(said, "houseNumber"),
        _text(said, "street", needed=False), _text(said, "orientationNumber", needed=False),
        _text(said, "part", needed=False), _flag(said, "valid"),
    )  # fmt: skip


def read_business(value: Any, ico: str) -> Business:
    """The business of an IČO. Raises Unusable, also for another one's."""
    said = _object(value)
    if _text(said, "ico") != ico:
        raise Unusable("another business was asked for")
    return Business(ico, _text(said, "name"), _code(said, "address"), _day(said, "ended"))


def read_mandate(value: Any) -> Mandate:
    """A mandate or a representation. Raises Unusable."""
    said = _object(value)
    kind, organization = _text(said, "kind"), _text(said, "organization", needed=False)
    person = _text(said, "person", needed=False)
    if kind not in _KINDS:
        raise Unusable("kind is none that is known")
    if (kind in REPRESENTATIONS) != bool(person) or bool(person) == bool(organization):
        raise Unusable("a person or an organisation is represented, by its kind")
    if organization and check_ico(organization).ok is False:
        raise Unusable("organization is no IČO")
    since = _moment(said, "since")
    if since is None:
        raise Unusable("since is missing")
    return Mandate(
        _text(said, "id"), kind, _text(said, "agent"), since, person, organization,  # type: ignore[arg-type]  # one of _KINDS
        _texts(said, "services"), _texts(said, "categories"), _moment(said, "until"),
        _moment(said, "ended"), _text(said, "reference", needed=False),
    )  # fmt: skip


def read_changes(value: Any, most: int) -> Changed:
    """A page of changes as it is, at most so many. Raises Unusable."""
    said = _object(value)
    items = said.get("changes")
    if not isinstance(items, list) or len(items) > most:
        raise Unusable(f"changes are a list of at most {most}")
    return Changed(tuple(items), _text(said, "cursor"))


def read_pseudonym(value: Any) -> str:
    """Who changed. Raises Unusable."""
    return _text(_object(value), "pseudonym")


def read_ico(value: Any) -> str:
    """Which business changed. Raises Unusable."""
    ico = _text(_object(value), "ico")
    if check_ico(ico).ok is False:
        raise Unusable("ico is no IČO")
    return ico


def _object(value: Any) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise Unusable("the answer is no object")
    return value


def _text(said: Mapping[str, Any], name: str, *, needed: bool = True) -> str:
    value = said.get(name)
    if value is None and not needed:
        return ""
    if not isinstance(value, str) or len(value) > _LONGEST or not value.isprintable():
        raise Unusable(f"{name} is no text of one line")
    if needed and not value.strip():
        raise Unusable(f"{name} is missing")
    return value.strip()


def _texts(said: Mapping[str, Any], name: str) -> tuple[str, ...]:
    value = said.get(name, [])
    if not isinstance(value, list) or len(value) > _MOST:
        raise Unusable(f"{name} is a short list")
    return tuple(_text({name: each}, name) for each in value)


def _code(said: Mapping[str, Any], name: str) -> str:
    value = said.get(name)
    if value is None:
        return ""
    if not isinstance(value, str) or not _CODE.fullmatch(value):
        raise Unusable(f"{name} is no code of an address point")
    return value


def _flag(said: Mapping[str, Any], name: str) -> bool:
    value = said.get(name, True)
    if not isinstance(value, bool):
        raise Unusable(f"{name} is true or false")
    return value


def _day(said: Mapping[str, Any], name: str) -> date | None:
    text = _text(said, name, needed=False)
    try:
        return date.fromisoformat(text) if text else None
    except ValueError as error:
        raise Unusable(f"{name} is no date") from error


def _moment(said: Mapping[str, Any], name: str) -> datetime | None:
    text = _text(said, name, needed=False)
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None:
            raise Unusable(f"{name} has no time zone")
        return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise Unusable(f"{name} is no moment") from error


def _document(value: Any) -> Document:
    said = _object(value)
    made = Document(_text(said, "type"), _text(said, "country"), _text(said, "number"))
    if made.type not in _DOCUMENTS or not _COUNTRY.fullmatch(made.country):
        raise Unusable("a document is an idcard or a passport, of a country of three letters")
    return made
