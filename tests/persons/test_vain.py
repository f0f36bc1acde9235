"""A number whose check fails, or a date that cannot be, is said and not passed over in silence."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from pater.fhir.validation import validate
from pater.registers.identifiers import INSURED_NUMBER
from tests.persons.faces import BIRTH_NUMBER, NUMBER, REGISTRAR, RID, A, Faces, somebody
from tests.rest.world import issues

BAD = NUMBER[:-1] + str((int(NUMBER[-1]) + 1) % 10)
DESK = replace(REGISTRAR, purpose="HOPERAT")


def told(answer: Any) -> tuple[int, list[tuple[str, str]]]:
    """How many a Bundle found, and (severity, place) of what it remarks."""
    assert answer.status_code == 200, answer.text
    bundle = answer.json()
    assert not [each for each in validate(bundle) if each.severity == "error"], bundle
    entries = bundle.get("entry", [])
    found = [each for each in entries if each["search"]["mode"] == "match"]
    assert bundle.get("total", len(found)) == len(found)
    said = [e["resource"] for e in entries if e["search"]["mode"] == "outcome"]
    return len(found), [(i["severity"], i["expression"][0]) for o in said for i in o["issue"]]


async def match(at: Faces, **patient: Any) -> Any:
    return await at.call("POST", "/Patient/$match", {"resourceType": "Patient", **patient})


async def test_a_match_says_which_numbers_and_dates_can_be_nobodys(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    person = {k: v for k, v in somebody().items() if k != "resourceType"}
    for system, value in ((BIRTH_NUMBER, BAD), (RID, "1234567890"), (RID, "D12"),
                          (INSURED_NUMBER, BAD)):  # fmt: skip
        wrong = {"system": system, "value": value}
        good = {"system": BIRTH_NUMBER, "value": NUMBER}
        found, said = told(await match(at, **person, identifier=[good, wrong]))
        assert found == 1 and said == [("warning", "Patient.identifier[1].value")]
        refused = await match(at, identifier=[wrong])
        assert refused.status_code == 422
        places = [each["expression"][0] for each in issues(refused)]
        assert places == ["Patient.identifier[0].value", "Patient"], refused.text
        assert "check" in issues(refused)[0]["diagnostics"] or value == "D12"
    for born in ("2090-01-01", "1700-01-01"):
        found, said = told(await match(at, **{**person, "birthDate": born}))
        assert said == [("warning", "Patient.birthDate")]
        refused = await match(at, name=[{"family": "Nikdo"}], birthDate=born)
        assert refused.status_code == 422
        assert issues(refused)[0]["expression"] == ["Patient.birthDate"]
    assert (await match(at, **{**person, "birthDate": "1985-02-31"})).status_code == 422
    # a number that says another birth date is remarked, too
    other = {"system": BIRTH_NUMBER, "value": NUMBER}
    _, said = told(await match(at, **{**person, "birthDate": "1985-06-16"}, identifier=[other]))
    assert said == [("warning", "Patient.identifier[0].value")]
    # and nothing where nothing is wrong
    assert told(await match(at, **person, identifier=[other])) == (1, [])


async def test_a_search_by_a_number_that_is_nobodys_says_so(at: Faces) -> None:
    await at.feed("1", somebody((BIRTH_NUMBER, NUMBER)))
    for by in (A, DESK):
        for query, expected in (
            (f"identifier={BIRTH_NUMBER}|{BAD}", (0, [("warning", "identifier")])),
            (f"identifier={BIRTH_NUMBER}|{NUMBER[:6]}/{NUMBER[6:]}", (1, [])),
            (f"identifier={RID}|1234567890,{BIRTH_NUMBER}|{NUMBER}",
             (1, [("warning", "identifier")])),
            ("family=Procházková&given=Ludmila&birthdate=2085-06-15",
             (0, [("warning", "birthdate")])),
            ("family=Procházková&given=Ludmila&birthdate=1985-06-15", (1, [])),
        ):  # fmt: skip
            assert told(await at.call("GET", f"/Patient?{query}", by=by)) == expected, query


async def test_a_cross_reference_of_a_number_that_is_nobodys_says_why(at: Faces) -> None:
    answer = await at.call("GET", f"/Patient/$ihe-pix?sourceIdentifier={BIRTH_NUMBER}|{BAD}")
    assert answer.status_code == 404
    assert [each["code"] for each in issues(answer)] == ["not-found", "value"]
    assert "check digit" in issues(answer)[1]["diagnostics"]
