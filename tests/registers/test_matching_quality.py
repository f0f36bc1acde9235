"""How good the matching is, on sets small enough for every run; `python -m bench linkage` has more.

The floors are what was measured, rounded down.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from functools import lru_cache
from itertools import combinations

import pytest

from pater.registers.matching import Features, Model, Score, blocking_keys, decide, features_of
from pater.registers.people import dataset
from tests.shared_data import shared

Pair = tuple[int, int]
MODEL = Model.load()


def _pairs(features: list[Features]) -> set[Pair]:
    blocks: dict[int, list[int]] = defaultdict(list)
    for number, each in enumerate(features):
        for key in blocking_keys(each):
            blocks[key].append(number)
    return {pair for members in blocks.values() for pair in combinations(members, 2)}


def _true(who: list[str]) -> set[Pair]:
    members: dict[str, list[int]] = defaultdict(list)
    for number, person in enumerate(who):
        members[person].append(number)
    return {pair for each in members.values() for pair in combinations(each, 2)}


def _f1(found: set[Pair], true: set[Pair]) -> float:
    return 2 * len(found & true) / (len(found) + len(true))


@lru_cache(maxsize=3)
def _czech(seed: int) -> tuple[list[Features], set[Pair], dict[Pair, Score]]:
    records = list(dataset(seed, 5_000))
    features = [features_of(record.patient) for record in records]
    scores = {(a, b): MODEL.score(features[a], features[b]) for a, b in _pairs(features)}
    return features, _true([str(record.person) for record in records]), scores


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_nobody_is_merged_wrongly_without_a_human_being(seed: int) -> None:
    _, true, scores = _czech(seed)
    taken = {
        pair
        for pair, score in scores.items()
        if score.weight >= MODEL.automatic and not score.contradictions
    }
    assert taken <= true
    assert len(taken) > 0.7 * len(true)


@pytest.mark.parametrize("seed", [101, 102, 103])
def test_pairs_of_invented_czech_persons_are_told_apart(seed: int) -> None:
    _, true, scores = _czech(seed)
    assert len(true & scores.keys()) > 0.98 * len(true)
    likely = {pair for pair, score in scores.items() if score.weight >= MODEL.possible}
    assert _f1(likely, true) > 0.98


def test_foreigners_are_told_apart_as_well() -> None:
    """Three spellings of a name, two scripts, and names that half of a country bears."""
    records = list(dataset(105, 2_500, foreigners=True))
    features = [features_of(record.patient) for record in records]
    true = _true([str(record.person) for record in records])
    scores = {(a, b): MODEL.score(features[a], features[b]) for a, b in _pairs(features)}
    assert len(true & scores.keys()) > 0.98 * len(true)
    assert _f1({p for p, score in scores.items() if score.weight >= MODEL.possible}, true) > 0.98
    taken = {
        pair
        for pair, score in scores.items()
        if score.weight >= MODEL.automatic and not score.contradictions
    }
    assert taken <= true
    assert len(taken) > 0.8 * len(true)


def test_who_comes_again_is_found_or_shown_to_a_human_being() -> None:
    """Each second record against all first ones, as it is registered."""
    records = list(dataset(104, 3_000))
    held: dict[int, list[int]] = defaultdict(list)
    persons: dict[int, Features] = {}
    outcomes: dict[str, int] = defaultdict(int)
    for record in records:
        features = features_of(record.patient)
        if record.person not in persons:
            persons[record.person] = features
            for key in blocking_keys(features):
                held[key].append(record.person)
    for record in records:
        if not record.mistakes:
            continue
        features = features_of(record.patient)
        found = {person for key in blocking_keys(features) for person in held[key]}
        decision = decide(MODEL, features, [(person, persons[person]) for person in found])
        best = decision.ranked[0][0] if decision.ranked else -1
        if decision.outcome == "match":
            assert best == record.person
        outcomes[decision.outcome if best in (record.person, -1) else "another"] += 1
    assert outcomes["match"] > 0.7 * sum(outcomes.values())
    assert outcomes["new"] + outcomes["another"] < 0.03 * sum(outcomes.values())


def test_the_register_s_own_keys_and_weights_do_well_on_a_foreign_set() -> None:
    """FEBRL 1 by the Czech weights as they are: they have never seen an Australian."""
    with shared("linkage/febrl-dataset1.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file, skipinitialspace=True))
    features = [features_of(_patient(row)) for row in rows]
    pairs = {
        (a, b)
        for a, b in _pairs(features)
        if MODEL.score(features[a], features[b]).weight >= MODEL.possible
    }
    assert _f1(pairs, _true([row["rec_id"].split("-")[1] for row in rows])) > 0.95


def _patient(row: dict[str, str]) -> dict[str, object]:
    born = row["date_of_birth"].strip()
    return {
        "name": [{"family": row["surname"], "given": [row["given_name"]]}],
        "birthDate": f"{born[:4]}-{born[4:6]}-{born[6:]}",
        "identifier": [{"system": "urn:ssn", "value": row["soc_sec_id"]}],
        "address": [
            {
                "line": [f"{row['address_1']} {row['street_number']}"],
                "city": row["suburb"],
                "postalCode": row["postcode"],
            }
        ],
    }
