"""The terminology operations answer HL7's tx-ecosystem suite as it expects.

Every case runs whose request and expected answer are beside the checkout. Left out, with reasons:
suites that need licensed content (SNOMED CT, CPT, OMOP …) or are written for one server only
(`tx.fhir.org`: `$related`, `$compare`, server bugs); of these the UCUM suite is run as well.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.conftest import Clock, fresh_database
from tests.rest.terminology_world import terminology_world
from tests.rest.world import World
from tests.terminology import tx_suite

DIFFERENT = {
    "overload/expand-enum-bad": "expects the display of version 1.0.0 for a code of 2.0.0",
    "tho/act-exclusion": "counts the codes of a later edition of the HL7 terminology than R4 has",
    "UCUM/lookup-with-annotation": "an annotation with spaces, which UCUM (§12) does not allow",
    "UCUM/expand-ucum-all-4": "written for one server: codes instead of the displays that the R4"
    " value set gives",
    "UCUM/expand-ucum-canonical": "written for one server: a filter of its own, `canonical`",
    "UCUM/validate-ucum-canonical-bad": "the same filter",
    "UCUM/validate-ucum-all-bad": "written for one server: the words of its unit parser",
}


@pytest.fixture(scope="module")
async def api(postgres: object, template: str) -> AsyncIterator[World]:
    """One world for all cases: none of them writes."""
    from datetime import UTC, datetime

    async with (
        fresh_database(postgres, template) as db,  # type: ignore[arg-type]  # the session's server
        terminology_world(db, Clock(datetime.now(UTC))) as made,
    ):
        yield made


async def _difference(api: World, case: tx_suite.Case) -> str:
    test = case.test
    address = tx_suite.ADDRESSES[test["operation"]]
    if test["operation"] == "term-caps":
        answer = await api.call("GET", address)
        expected = tx_suite.load(test["response"])
        return tx_suite.difference(expected, answer.json(), pattern=True)
    headers = {}
    if "Accept-Language" in test:
        headers["Accept_Language"] = test["Accept-Language"]
    answer = await api.call("POST", address, tx_suite.request_of(case), **headers)
    if not str(answer.status_code).startswith(test.get("http-code", "2")[0]):
        return f"status {answer.status_code}: {answer.text[:500]}"
    return tx_suite.difference(tx_suite.load(test["response"]), tx_suite.in_r5(answer.json()))


async def test_every_case_of_the_suite_is_answered_as_expected(api: World) -> None:
    cases = list(tx_suite.cases("UCUM"))
    failed = {}
    for case in cases:
        found = await _difference(api, case)
        if found:
            failed[case.name] = found
    unexpected = {name: why for name, why in failed.items() if name not in DIFFERENT}
    assert not unexpected, "\n".join(f"{name}\n   {why}" for name, why in unexpected.items())
    assert len(cases) - len(failed) >= 371
    assert set(failed) == set(DIFFERENT), "a case in the list of differences passes now"


def test_the_comparison_sees_differences() -> None:
    expected = {"a": ["x", {"$optional$": True, "name": "b"}], "n": "$external:1:one|two$"}
    assert not tx_suite.difference(expected, {"a": ["x"], "n": "Two and ONE"})
    assert tx_suite.difference(expected, {"a": ["x"], "n": "one"})
    assert tx_suite.difference(expected, {"a": ["x", "y"], "n": "one two"})
    assert tx_suite.difference(expected, {"a": [{"name": "b"}], "n": "one two"})
    assert tx_suite.difference(expected, {"a": ["x"], "n": "one two", "more": 1})
