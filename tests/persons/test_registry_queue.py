"""Registrars' pages: a case that somebody took, filters, insurance and registering providers."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from html import unescape
from typing import Any

import pytest

from pater.registers.identifiers import BIRTH_NUMBER, INSURED_NUMBER
from pater.settings import Settings
from pater.store.database import Database
from tests.persons.registry import Office, opened, somebody

FIELDS = re.compile(r'name="(version|other)" value="(\d+)"')


@pytest.fixture(scope="module")
async def office(
    module_database: Database, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Office]:
    settings = Settings(data=tmp_path_factory.mktemp("queue"), demo=True, policy="cz")
    async with opened(settings, module_database.dsn) as made:
        yield made


async def _a_case(office: Office, family: str, born: str = "1985-06-09") -> str:
    """The address of a case."""
    await office.tell(somebody(family, birthDate=born))
    swapped = f"{born[:4]}-{born[8:]}-{born[5:7]}"
    other = await office.tell(
        somebody(family, birthDate=swapped, address=None, telecom=None), by="b"
    )
    assert other.case is not None, other
    return f"/registry/cases/{other.case}"


async def _fields(office: Office, login: str, path: str) -> dict[str, Any]:
    return dict(FIELDS.findall(await office.get(login, path)))


async def test_a_case_that_one_took_is_closed_to_the_other(office: Office) -> None:
    case = await _a_case(office, "Zabraná")
    seen = await _fields(office, "jan", case)
    mine = await office.post("eva", case, decision="take", **seen)
    assert mine.headers["location"] == case
    assert "yours until" in await office.get("eva", case)
    # who opened the page before is told who has it, and nothing is saved
    late = await office.post("jan", case, 409, page="/registry", decision="new", **seen)
    assert "Eva took this case meanwhile" in unescape(late.text)
    theirs = await office.get("jan", case)
    assert "Eva is at this case" in theirs and 'name="decision"' not in theirs
    queue = await office.get("jan", "/registry/cases")
    assert "Eva is at it" in queue
    for taken, who in (("mine", "eva"), ("others", "jan"), ("free", "")):
        for login in ("eva", "jan"):
            found = case in await office.get(login, f"/registry/cases?taken={taken}")
            assert found == (login == who), (taken, login)
    # whoever goes on to the next case does not come to this one
    other = await _a_case(office, "Volná", "1991-04-07")
    assert f'href="{case}"' not in await office.get("jan", other)
    await office.post("eva", case, decision="give", **await _fields(office, "eva", case))
    assert 'name="decision" value="match"' in await office.get("jan", case)


async def test_filters_of_the_queue_go_along_from_case_to_case(office: Office) -> None:
    case = await _a_case(office, "Vybraná", "1979-10-11")
    shown = await office.get("eva", "/registry/cases?reason=possible&source=12345679&age=day")
    assert f"{case}?reason=possible&age=day&source=12345679" in shown
    assert "Nemocnice B" in shown
    path = f"{case}?source=12345679"
    done = await office.post("eva", path, decision="new", **await _fields(office, "eva", path))
    assert "source=12345679" in done.headers["location"]
    for nothing in ("source=99999999", "age=older", "reason=numbers", "score=against"):
        assert case not in await office.get("eva", f"/registry/cases?{nothing}")
    for odd in ("score=x", "age=%00", "taken=everybody", "source=" + "x" * 999, "source=%ff"):
        await office.get("eva", f"/registry/cases?{odd}")
    assert "No such case waits" in await office.get("eva", "/registry/cases?age=older")
    await office.post("eva", case, 400, page="/registry", decision="steal", version="1")


async def test_the_file_tells_insurance_and_registering_providers_of_a_day(office: Office) -> None:
    def told(insurer: str, since: str, doctor: str) -> dict[str, Any]:
        return somebody(
            "Pojištěná",
            birthDate="1971-05-12",
            identifier=[
                {"system": BIRTH_NUMBER, "value": "7155120016"},
                {
                    "system": INSURED_NUMBER,
                    "value": "7155120016",
                    "period": {"start": since},
                    "assigner": {
                        "identifier": {
                            "system": "https://ncez.mzcr.cz/fhir/sid/kp",
                            "value": insurer,
                        }
                    },
                },
            ],
            extension=[
                {
                    "url": "https://hl7.cz/fhir/core/StructureDefinition/registering-provider-cz",
                    "extension": [
                        {
                            "url": "category",
                            "valueCodeableConcept": {
                                "coding": [
                                    {"system": "http://snomed.info/sct", "code": "722176000"}
                                ]
                            },
                        },
                        {"url": "value", "valueReference": {"display": doctor}},
                        {"url": "period", "valuePeriod": {"start": since}},
                    ],
                }
            ],
        )

    await office.tell(told("111", "2015-01-01", "MUDr. Zubová"), number="ins-1")
    who = await office.tell(told("205", "2022-07-01", "MUDr. Moláč"), number="ins-1")
    page = await office.get("eva", f"/registry/persons/{who.patient}")
    whole = page[page.index("Insurance</caption>") :]
    for text in ("Všeobecná", "Česká průmyslová", "dentist", "MUDr. Zubová", "MUDr. Moláč"):
        assert text in whole, text
    then = await office.get("eva", f"/registry/persons/{who.patient}?valid=2018-03-01")
    then = then[then.index("Insurance as of the date") : then.index("What was done")]
    assert "Všeobecná" in then and "Česká průmyslová" not in then
    assert "MUDr. Zubová" in then and "MUDr. Moláč" not in then


async def test_the_figures_tell_what_the_register_did_by_itself(office: Office) -> None:
    number = [{"system": BIRTH_NUMBER, "value": "8060050020"}]
    await office.tell(somebody("Poznaná", birthDate="1980-10-05", identifier=number))
    await office.tell(somebody("Poznaná", birthDate="1980-10-05", identifier=number), by="b")
    page = await office.get("eva", "/registry/statistics?days=7")
    for text in ("Known by a number", "Matched by comparison", "of automatic matches stand"):
        assert text in page, text
    assert re.search(r'data-label="Known by a number"[^>]*>\s*[1-9]', page)
