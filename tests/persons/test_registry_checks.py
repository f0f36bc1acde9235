"""The registrars' file says what the basic registers say; an empty register is no share of zero."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from pater.clock import now
from pater.registers.basic import checks, waiting
from pater.registers.basic.identities import NAME, address_of
from pater.registers.basic.room import disputing
from pater.registers.basic.told import Address
from pater.settings import Settings
from pater.store.database import Database
from tests.persons.registry import Office, opened, somebody

POINT = Address("41000001", "Olomouc", "77900", "17", street="Květná")


@dataclass
class Answer:
    value: Address | None


class Addresses:
    """A register of addresses that knows one."""

    async def address(self, code: str) -> Answer:
        return Answer(POINT if code == POINT.code else None)


@pytest.fixture
async def office(database: Database, tmp_path: Path) -> AsyncIterator[Office]:
    async with opened(Settings(data=tmp_path, policy="cz"), database.dsn) as made:
        yield made


def rows(page: str) -> list[str]:
    """The lines of what the basic registers say."""
    return page.split("What the basic registers say</caption>")[1].split("</table>")[0].split(
        "<tr"
    )[2:]  # fmt: skip


async def test_each_check_stands_beside_what_is_disputed(office: Office) -> None:
    db = office.house.db
    moved: dict[str, Any] = {**address_of(POINT), "city": "Brno"}
    plain = {"line": ["Tichá 5"], "city": "Praha", "postalCode": "11000"}
    who = await office.tell(somebody("Adresná", address=[moved, plain]))
    path = f"/registry/persons/{who.patient}"
    page = await office.get("eva", path)
    assert "nobody is asked" in page
    person, coded, uncoded = rows(page)
    assert "Register of inhabitants" in person and "has told nothing" in person
    assert "code 41000001" in coded and "has told nothing" in coded
    assert "no code to compare by" in uncoded and "Tichá 5" in uncoded

    await waiting.who(db, {who.person}, now())
    compared = checks.Checks(db, Addresses(), now)  # type: ignore[arg-type]  # of it only this
    compared.keep("Patient", disputing(office.registers.merging.disputes))
    await compared.ask([("Patient", who.patient)])
    person, coded, _ = rows(await office.get("eva", path))
    assert "is still to be asked" in person and "is still to be asked" in coded

    assert await compared.drain() == 1
    await db.execute("update source_record set source = $2 where person = $1", who.person, NAME)
    page = await office.get("eva", path)
    person, coded, _ = rows(page)
    assert "knows the person" in person
    assert "differs" in coded and "Town" in coded and "Květná 17, 77900 Olomouc" in coded
    disputed = page.split("Disputed attributes</caption>")[1].split("</table>")[0]
    assert "Address" in disputed and "asic registers" in disputed and "waiting" in disputed


async def test_an_empty_register_shows_no_shares_and_says_what_to_do(office: Office) -> None:
    page = await office.get("eva", "/registry/statistics")
    assert "The register is empty" in page and "pater persons import" in page
    assert "0.00" not in page and "none was matched by comparison" in page
    await office.tell(somebody("První"))
    page = await office.get("eva", "/registry/statistics")
    assert "The register is empty" not in page and "100.00 %" in page
