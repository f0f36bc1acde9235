"""Parameters that are by definition others together: `combo-*`, whole names and addresses."""

from __future__ import annotations

from typing import Any

from pater.store.database import Database
from tests.store.search_world import LOINC, ask, fill


async def test_what_is_two_parameters_together_is_found_by_either(database: Database) -> None:
    kilos = {"unit": "kg", "system": "http://unitsofmeasure.org", "code": "kg"}

    def observation(id_: str, whole: int | None, *parts: int) -> tuple[int, dict[str, Any]]:
        made: dict[str, Any] = {
            "resourceType": "Observation", "id": id_, "status": "final",
            "code": {"coding": [{"system": LOINC, "code": "whole"}]},
        }  # fmt: skip
        if whole is not None:
            made["valueQuantity"] = {"value": whole, **kilos}
        if parts:
            code = {"coding": [{"system": LOINC, "code": "part"}]}
            made["component"] = [
                {"code": code, "valueQuantity": {"value": part, **kilos}} for part in parts
            ]
        return 0, made

    await fill(database, [
        observation("a", 30), observation("b", None, 20, 50), observation("c", 40, 40, 10),
        observation("n", None),
    ])  # fmt: skip
    for query, expected in {
        "combo-code=part": "bc", "combo-code=whole": "abcn", f"combo-code={LOINC}|part": "bc",
        "combo-code:not=part": "an", "combo-value-quantity=40": "c",
        "combo-value-quantity=gt25||kg": "abc", "combo-value-quantity:missing=true": "n",
        "combo-value-quantity:missing=false": "abc", "combo-value-concept:missing=true": "abcn",
        "combo-code=part&combo-value-quantity=lt15": "c",
    }.items():  # fmt: skip
        page = await ask(database, f"Observation?{query}&_total=accurate&_sort=_id")
        assert "".join(each.id for each in page.matches) == expected, query
        assert page.total == len(page.matches)
    for sort, order in {
        "combo-value-quantity": ["c", "b", "a", "n"],
        "-combo-value-quantity": ["b", "c", "a", "n"],
    }.items():
        seen, cursor = [], ""
        while True:
            page = await ask(database, f"Observation?_sort={sort}", count=1, cursor=cursor)
            seen += [each.id for each in page.matches]
            if page.next is None:
                break
            cursor = page.next
        assert seen == order


async def test_a_whole_name_or_address_is_found_by_any_of_its_parts(database: Database) -> None:
    def patient(id_: str, name: dict[str, Any], **address: Any) -> tuple[int, dict[str, Any]]:
        made: dict[str, Any] = {"resourceType": "Patient", "id": id_, "name": [name]}
        if address:
            made["address"] = [address]
        return 0, made

    await fill(database, [
        patient("a", {"family": "Novák", "given": ["Adam", "Jan"]}, city="Brno", line=["Úzká 1"]),
        patient("b", {"family": "Janů", "prefix": ["MUDr."]}, postalCode="60200", country="CZ"),
        patient("c", {"text": "Jan z Brna"}, district="Brno-venkov", text="u pošty"),
        patient("n", {"use": "old"}),
    ])  # fmt: skip
    for query, expected in {
        "name=jan": "abc", "name=novák": "a", "name=mudr": "b", "name:exact=Jan": "a",
        "name:contains=brn": "c", "phonetic=jan": "abc", "name=adam,mudr": "ab",
        "name:missing=true": "n", "name:missing=false": "abc", "family=jan": "b", "given=jan": "a",
        "address=brno": "ac", "address=602": "b", "address:exact=CZ": "b", "address=u po": "c",
        "address:contains=zk": "a", "address:missing=true": "n", "address-city=brno": "a",
        "name=jan&address=brno": "ac",
    }.items():  # fmt: skip
        page = await ask(database, f"Patient?{query}&_total=accurate&_sort=_id")
        assert "".join(each.id for each in page.matches) == expected, query
        assert page.total == len(page.matches)
    for sort, order in {"name": "bacn", "-name": "abcn", "address": "abcn"}.items():
        page = await ask(database, f"Patient?_sort={sort},_id")
        assert "".join(each.id for each in page.matches) == order, sort
