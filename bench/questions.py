"""The searches that are timed, a class each, with the answer that the population's facts give."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from urllib.parse import quote

from bench.patients import DIAGNOSES, ICD, KINDS, LOINC, NUMBERS, RESULTS, Person
from pater.fhir.search.text import normalise

_LIMITS: Final = {"8867-4": 85.05, "2339-0": 140.05, "718-7": 13.05, "29463-7": 90.05}
_FILTER: Final = "code eq {code} and date ge {since} and value-quantity gt {limit}"


@dataclass(frozen=True, slots=True)
class Case:
    """A search and what its first page holds; None = not looked at."""

    query: str
    matches: int
    included: int = 0
    total: int | None = None
    dates: tuple[str, ...] | None = None

    def wrong(self, bundle: Mapping[str, Any]) -> str:
        """What is wrong with an answer, or ""."""
        entries = bundle.get("entry", ())
        modes = [each.get("search", {}).get("mode") for each in entries]
        found = (modes.count("match"), modes.count("include"), bundle.get("total"))
        wanted = (self.matches, self.included, self.total)
        if found[:2] != wanted[:2] or (self.total is not None and found != wanted):
            return f"{self.query}: (matches, included, total) {found}, not {wanted}"
        if self.dates is not None:
            got = tuple(each["resource"]["effectiveDateTime"] for each in entries)
            if got != self.dates:
                return f"{self.query}: not the newest ones in their order"
        return ""


class Truth:
    """The population with the ids that the server gave its patients; answers over everybody."""

    def __init__(self, people: Sequence[Person], ids: Sequence[str]) -> None:
        self.people = people
        self._ids = ids
        everything = sorted(
            ((found.when, found) for one in people for found in one.results),
            key=lambda pair: pair[0],
            reverse=True,
        )
        self.by_code = {
            code: [found for _, found in everything if found.code == code] for code in RESULTS
        }

    def id(self, one: Person) -> str:
        """The id of the person's Patient."""
        return self._ids[one.number]

    def dates(self, code: str, most: int) -> tuple[str, ...]:
        """When the newest results of a code were."""
        return tuple(found.when for found in self.by_code[code][:most])


Make = Callable[[Truth, Random], Case]


def _token(system: str, code: str) -> str:
    return quote(f"{system}|{code}", safe="")


def _of(one: Person, code: str, since: str = "") -> list[str]:
    """When the person's results of a code were, newest first."""
    return sorted((r.when for r in one.results if r.code == code and r.when >= since), reverse=True)


def _identifier(truth: Truth, random: Random) -> Case:
    return Case(f"Patient?identifier={_token(NUMBERS, random.choice(truth.people).record)}", 1)


def _name(truth: Truth, random: Random) -> Case:
    prefix = normalise(random.choice(truth.people).family)[:3]
    count = sum(
        normalise(one.family).startswith(prefix) or normalise(one.given).startswith(prefix)
        for one in truth.people
    )
    return Case(f"Patient?name={prefix}&_count=50", min(50, count))


def _born(truth: Truth, random: Random) -> Case:
    someone = random.choice(truth.people)
    year, gender = someone.born.year - random.randrange(3), someone.gender
    count = sum(one.gender == gender and year <= one.born.year < year + 3 for one in truth.people)
    return Case(
        f"Patient?birthdate=ge{year}-01-01&birthdate=lt{year + 3}-01-01&gender={gender}&_count=50",
        min(50, count),
    )


def _latest(truth: Truth, random: Random) -> Case:
    one, code = random.choice(truth.people), random.choice(tuple(RESULTS))
    since = f"{random.randrange(2016, 2020)}-01-01"
    dates = tuple(_of(one, code, since)[:20])
    return Case(
        f"Observation?patient=Patient/{truth.id(one)}&code={_token(LOINC, code)}"
        f"&date=ge{since}&_sort=-date&_count=20",
        len(dates),
        dates=dates,
    )


def _sorted(truth: Truth, random: Random) -> Case:
    code = random.choice(tuple(RESULTS))
    dates = truth.dates(code, 50)
    return Case(
        f"Observation?code={_token(LOINC, code)}&_sort=-date&_count=50", len(dates), dates=dates
    )


def _chained(truth: Truth, random: Random) -> Case:
    one, code = random.choice(truth.people), random.choice(tuple(RESULTS))
    return Case(
        f"Observation?subject:Patient.identifier={_token(NUMBERS, one.record)}"
        f"&code={_token(LOINC, code)}&_count=20",
        min(20, len(_of(one, code))),
    )


def _chained_wide(truth: Truth, random: Random) -> Case:
    code, year = random.choice(tuple(DIAGNOSES)), random.randrange(1945, 2000)
    count = sum(one.born.year < year and code in one.diagnoses for one in truth.people)
    return Case(
        f"Condition?patient.birthdate=lt{year}-01-01&code={_token(ICD, code)}&_count=50",
        min(50, count),
    )


def _include(truth: Truth, random: Random) -> Case:
    id = truth.id(random.choice(truth.people))
    return Case(
        f"Encounter?patient=Patient/{id}&_include=Encounter:patient&_count=50",
        KINDS["Encounter"],
        1,
    )


def _revinclude(truth: Truth, random: Random) -> Case:
    number = _token(NUMBERS, random.choice(truth.people).record)
    return Case(
        f"Patient?identifier={number}"
        "&_revinclude=Condition:patient&_revinclude=MedicationRequest:patient",
        1,
        KINDS["Condition"] + KINDS["MedicationRequest"],
    )


def _has(truth: Truth, random: Random) -> Case:
    code = random.choice(tuple(DIAGNOSES))
    count = sum(code in one.diagnoses for one in truth.people)
    return Case(
        f"Patient?_has:Condition:patient:code={_token(ICD, code)}&_count=50", min(50, count)
    )


def _total(truth: Truth, random: Random) -> Case:
    code = random.choice(tuple(RESULTS))
    count = len(truth.by_code[code])
    return Case(
        f"Observation?code={_token(LOINC, code)}&_total=accurate&_count=10",
        min(10, count),
        total=count,
    )


def _above(truth: Truth, code: str, since: str = "") -> int:
    limit = _LIMITS[code]
    return sum(r.value > limit and r.when >= since for r in truth.by_code[code])


def _value(truth: Truth, random: Random) -> Case:
    code = random.choice(tuple(_LIMITS))
    count = _above(truth, code)
    return Case(
        f"Observation?code={_token(LOINC, code)}&value-quantity=gt{_LIMITS[code]}"
        "&_total=accurate&_count=20",
        min(20, count),
        total=count,
    )


def _composite(truth: Truth, random: Random) -> Case:
    code = random.choice(tuple(_LIMITS))
    return Case(
        f"Observation?code-value-quantity={_token(LOINC, code)}%24gt{_LIMITS[code]}&_count=20",
        min(20, _above(truth, code)),
    )


def _words(truth: Truth, random: Random) -> Case:
    word = normalise(random.choice(tuple(DIAGNOSES.values()))).split()[0]
    count = sum(
        word in normalise(DIAGNOSES[code]).split() for one in truth.people for code in one.diagnoses
    )
    return Case(f"Condition?_content={quote(word)}&_count=20", min(20, count))


def _filter(truth: Truth, random: Random) -> Case:
    code, since = random.choice(tuple(_LIMITS)), f"{random.randrange(2016, 2024)}-01-01"
    text = _FILTER.format(code=f"{LOINC}|{code}", since=since, limit=_LIMITS[code])
    return Case(
        f"Observation?_filter={quote(text, safe='')}&_count=20",
        min(20, _above(truth, code, since)),
    )


SEARCHES: Final[Mapping[str, Make]] = {
    "identifier": _identifier,
    "name prefix": _name,
    "birth years and gender": _born,
    "latest results of a patient": _latest,
    "code over everybody, sorted": _sorted,
    "chained": _chained,
    "chained wide": _chained_wide,
    "_include": _include,
    "_revinclude": _revinclude,
    "_has": _has,
    "_total=accurate": _total,
    "value with total": _value,
    "composite": _composite,
    "full text": _words,
    "_filter": _filter,
}


def cases(name: str, truth: Truth, count: int) -> list[Case]:
    """So many searches of a class, always the same ones for the same population."""
    random = Random(name)
    return [SEARCHES[name](truth, random) for _ in range(count)]
