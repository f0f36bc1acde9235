"""Other people's linkers on the same sets: Splink and recordlinkage, trained without the truth."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Sequence

import numpy
import pandas
import recordlinkage
import splink.comparison_library as comparisons
from splink import Linker, SettingsCreator, block_on
from splink.backends.duckdb import DuckDBAPI

from bench.linkage.sets import Linking, Pair

BLOCKS = {
    "surname": [
        ("given_name",), ("surname",), ("date_of_birth",), ("soc_sec_id",), ("uganda_nin",),
        ("art_number",), ("phone_number",), ("postcode", "street_number"), ("address_1",),
    ],
    "birth_number": [
        ("birth_number",), ("surname", "date_of_birth"), ("given_name", "date_of_birth"),
        ("surname", "given_name"), ("date_of_birth", "postcode"), ("phone_number",), ("email",),
        ("given_name", "postcode"),
    ],
}  # fmt: skip
CHUNK = 200_000
"""Pairs that recordlinkage compares at once."""
_NAMES = ("given_name", "surname")
_TEXTS = ("address_1", "address_2", "suburb", "street", "city")
_CODES = (
    "soc_sec_id", "postcode", "street_number", "number", "uganda_nin", "art_number",
    "phone_number", "birth_number",
)  # fmt: skip
_EQUAL = ("state", "sex", "email")


def _frame(linking: Linking) -> pandas.DataFrame:
    frame = pandas.DataFrame(linking.rows).replace("", None)
    frame["unique_id"] = range(len(frame))
    frame["file"] = linking.file
    return frame.drop(columns=["rec_id"])


def _blocks(frame: pandas.DataFrame) -> Sequence[tuple[str, ...]]:
    rules = BLOCKS["birth_number" if "birth_number" in frame else "surname"]
    return [rule for rule in rules if set(rule) <= set(frame.columns)]


def by_splink(linking: Linking) -> dict[Pair, float]:
    """Match weights (log2 of odds) by Splink: u from random pairs, m by EM, name frequencies."""
    warnings.simplefilter("ignore")
    frame = _frame(linking)
    rules = [block_on(*rule) for rule in _blocks(frame)]
    made = []
    for name in frame.columns:
        if name in _NAMES:
            made.append(
                comparisons.JaroWinklerAtThresholds(name, [0.92, 0.85]).configure(
                    term_frequency_adjustments=True
                )
            )
        elif name in _TEXTS:
            made.append(comparisons.JaroWinklerAtThresholds(name, [0.92, 0.8]))
        elif name in (*_CODES, "date_of_birth"):
            made.append(comparisons.DamerauLevenshteinAtThresholds(name, [1, 2]))
        elif name in _EQUAL:
            made.append(comparisons.ExactMatch(name))
    settings = SettingsCreator(
        link_type="link_only" if linking.two_files else "dedupe_only",
        comparisons=made,
        blocking_rules_to_generate_predictions=rules,
    )
    api = DuckDBAPI()
    parts = [frame[frame["file"] == number] for number in sorted(set(linking.file))]
    linker = Linker([api.register(part) for part in parts], settings, log_level=logging.ERROR)
    training = linker.training
    sure = "birth_number" if "birth_number" in frame else "soc_sec_id"
    exact = [block_on(sure)] if sure in frame else [block_on("uganda_nin")]
    training.estimate_probability_two_random_records_match(exact, recall=0.6)
    training.estimate_u_using_random_sampling(max_pairs=2e6, seed=1)
    for rule in (("date_of_birth",), ("surname", "given_name")):
        training.estimate_parameters_using_expectation_maximisation(block_on(*rule))
    found = linker.inference.predict(threshold_match_weight=-40).as_pandas_dataframe()
    ones, others = found["unique_id_l"].tolist(), found["unique_id_r"].tolist()
    weights = found["match_weight"].tolist()
    return {(min(a, b), max(a, b)): w for a, b, w in zip(ones, others, weights, strict=True)}


def by_recordlinkage(linking: Linking) -> dict[Pair, float]:
    """Probabilities by recordlinkage's unsupervised classifier (ECM) over thresholded likeness.

    Pairs are compared `CHUNK` at a time, and of each only its pattern of agreement is kept: what
    the classifier learns from and decides by is the same, in bounded memory.
    """
    warnings.simplefilter("ignore")
    frame = _frame(linking).set_index("unique_id")
    indexer = recordlinkage.Index()
    for rule in _blocks(frame):
        indexer.block(list(rule))
    numbers = sorted(set(linking.file))
    pairs = indexer.index(*(frame[frame["file"] == number] for number in numbers))
    frame = frame.astype(object).where(frame.notna(), "")
    files = [frame[frame["file"] == number] for number in numbers]
    compare = recordlinkage.Compare()
    for name in frame.columns:
        if name in (*_NAMES, *_TEXTS):
            compare.string(name, name, method="jarowinkler", threshold=0.85, label=name)
        elif name in (*_CODES, "date_of_birth"):
            compare.string(name, name, method="damerau_levenshtein", threshold=0.8, label=name)
        elif name in _EQUAL:
            compare.exact(name, name, label=name)
    parts = []
    for start in range(0, len(pairs), CHUNK):
        part = compare.compute(pairs[start : start + CHUNK], *files)
        parts.append(part.to_numpy().astype(numpy.int8))
        labels = list(part.columns)
    vectors = numpy.concatenate(parts)
    learner = recordlinkage.ECMClassifier()
    learner.fit(pandas.DataFrame(vectors, index=pairs, columns=labels))
    patterns, which = numpy.unique(vectors, axis=0, return_inverse=True)
    index = pandas.MultiIndex.from_arrays([range(len(patterns)), range(len(patterns))])
    chances = learner.prob(pandas.DataFrame(patterns, index=index, columns=labels)).tolist()
    ones = pairs.get_level_values(0).tolist()
    others = pairs.get_level_values(1).tolist()
    return {
        (min(a, b), max(a, b)): chances[pattern]
        for a, b, pattern in zip(ones, others, which.ravel().tolist(), strict=True)
    }
