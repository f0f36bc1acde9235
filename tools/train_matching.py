"""Trains the weights of the matching on invented persons, with Splink as the trainer.

Splink (duckdb) draws random pairs for u and true pairs for m; what level a pair has is computed by
the very comparison that the register uses, so that the weights fit it. How common names are comes
from the statistics that ship with `registers.people`.

    PYTHONPATH=src .venv-bench/bin/python tools/train_matching.py [--persons N] [--seed S]
"""

from __future__ import annotations

import argparse
import logging
from collections import Counter
from collections.abc import Callable
from math import log2
from pathlib import Path
from typing import Any

import duckdb
import orjson
import pandas
import splink.comparison_level_library as levels
import splink.comparison_library as comparisons
from splink import Linker, SettingsCreator
from splink.backends.duckdb import DuckDBAPI

from pater.registers.matching.comparing import ATTRIBUTES, NEUTRAL, Compare
from pater.registers.matching.features import Features, features_of, plain
from pater.registers.matching.names import stem
from pater.registers.people import Record, dataset
from pater.registers.people.foreign import often
from pater.registers.people.names import names

TARGET = Path(__file__).resolve().parent.parent / "src/pater/registers/matching/weights"
NATION = 10_900_000
USED = (
    "family", "given", "born", "sex", "birth-number", "insured-number", "document", "address",
    "phone", "email",
)  # fmt: skip
HOME = {"address": 4, "phone": 3, "email": 3}  # levels that relatives share: rarer in a nation
LEAST_U = 1e-7  # nobody draws enough pairs to see what is rarer
LEAST_M = 2e-3
UNSEEN = {"one-digit": 10.0, "two-digits": 2.0, "one-letter": 12.0, "initial": 2.0}
GIVEN = {  # what no invented record has, or too seldom to learn: set by hand, in bits
    "rid": {"same": 23.0, "different": -8.0},
    "mother": {"same": 20.0, "one-digit": 10.0, "two-digits": 2.0, "different": -6.0},
    "birth-order": {"same": 1.0, "different": -8.0},
}
BY_HAND = {
    # relatives share the family name and the house: counted once, with the name
    "address": {"relatives": 0.0}, "phone": {"relatives": 0.0},
    "email": {"relatives": 0.0, "different": -1.5},
    # both names say the same thing when they are swapped; a year is one of eighty
    "family": {"swapped": 6.0}, "given": {"swapped": 6.0}, "born": {"partial": 5.5},
    # documents are renewed, and a foreigner's number ends with a birth number
    "document": {"two-digits": 0.0, "different": -1.0}, "insured-number": {"different": -5.0},
}  # fmt: skip
COMMON_NAMES = 3_000  # so many family names have their own weight


def splinked(persons: int, seed: int, pairs: float) -> dict[str, dict[str, tuple[float, float]]]:
    """m and u of every level of the attributes, as Splink estimates them; 0 where never seen.

    u from pairs of different persons only: among few records a pair of one person is not rare.
    """
    alone = _linker(list(dataset(seed + 1, persons, share=0.0)))
    alone.training.estimate_u_using_random_sampling(
        max_pairs=pairs, seed=seed, min_count_per_level=None
    )
    doubled = _linker(list(dataset(seed, persons, share=0.4)))
    doubled.training.estimate_m_from_label_column("person")
    u, m = _probabilities(alone, "u_probability"), _probabilities(doubled, "m_probability")
    return {
        name: {level: (m[name][level], u[name][level]) for level in ATTRIBUTES[name].levels}
        for name in USED
    }


def _linker(records: list[Record]) -> Linker:
    features = [features_of(each.patient) for each in records]
    connection = duckdb.connect()
    for at, name in enumerate(USED):
        level = _level(features, ATTRIBUTES[name].compare)
        connection.create_function(f"level_{at}", level, ["BIGINT", "BIGINT"], "BIGINT")
    frame = pandas.DataFrame(
        {"unique_id": range(len(records)), "person": [each.person for each in records]}
    )
    settings = SettingsCreator(
        link_type="dedupe_only",
        comparisons=[_comparison(name, at) for at, name in enumerate(USED)],
        blocking_rules_to_generate_predictions=["l.person = r.person"],
    )
    return Linker(DuckDBAPI(connection).register(frame), settings, log_level=logging.ERROR)


def _level(features: list[Features], compare: Compare) -> Callable[[int, int], int]:
    def level(one: int, other: int) -> int:
        return compare(features[one], features[other])

    return level


def _probabilities(linker: Linker, which: str) -> dict[str, dict[str, float]]:
    return {
        comparison.output_column_name.replace("_", "-"): {
            level.label_for_charts: _number(getattr(level, which))
            if getattr(level, f"_has_estimated_{which[0]}_values")
            else 0.0
            for level in comparison.comparison_levels
            if not level.is_null_level
        }
        for comparison in linker._settings_obj.comparisons
    }


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _comparison(name: str, at: int) -> Any:
    value = f"level_{at}(unique_id_l, unique_id_r)"
    return comparisons.CustomComparison(
        output_column_name=name.replace("-", "_"),
        comparison_levels=[
            levels.CustomLevel(f"{value} = {NEUTRAL}", "unknown").configure(is_null_level=True),
            *(
                levels.CustomLevel(f"{value} = {number}", label)
                for number, label in enumerate(ATTRIBUTES[name].levels[:-1])
            ),
            levels.ElseLevel().configure(label_for_charts=ATTRIBUTES[name].levels[-1]),
        ],
    )


def weights(found: dict[str, dict[str, tuple[float, float]]], persons: int) -> dict[str, Any]:
    """log2(m/u) by attribute and level."""
    made: dict[str, Any] = {}
    for name, by_level in found.items():
        shared = HOME.get(name, 0)
        made[name] = {}
        for at, level in enumerate(ATTRIBUTES[name].levels):
            m, u = by_level[level]
            if at < shared:
                u *= persons / NATION
            if m == 0.0 and level in UNSEEN:
                made[name][level] = UNSEEN[level]
                continue
            made[name][level] = round(log2(max(m, LEAST_M) / max(u, LEAST_U)), 2)
        made[name] |= BY_HAND.get(name, {})
        for level in {"marks", "spelling"} & made[name].keys():
            made[name][level] = min(made[name][level], made[name]["same"])
    return made | GIVEN


def frequencies() -> dict[str, Any]:
    """How much more or less than average agreement on a name is worth, in bits."""
    families: Counter[str] = Counter()
    givens: Counter[str] = Counter()
    for name, count in names().counts["family"].items():
        families[stem(plain(name))] += count
    for name, count in names().counts["given"].items():
        givens[plain(name)] += count
    for counts, kind in ((families, "family"), (givens, "given")):
        everybody = counts.total()
        for name, share in often(kind).items():
            own = stem(plain(name)) if kind == "family" else plain(name)
            counts[own] = max(counts[own], round(share * everybody))
    found: dict[str, Any] = {"rare": []}
    for kind, counts in (("family", families), ("given", givens)):
        total = counts.total()
        average = sum((n / total) ** 2 for n in counts.values())
        common = counts.most_common(COMMON_NAMES)
        found[kind] = {n: round(log2(average / (count / total)), 1) for n, count in common}
        found["rare"].append(round(min(log2(average / (common[-1][1] / total)) + 1, 8.0), 1))
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--persons", type=int, default=30_000)
    parser.add_argument("--seed", type=int, default=20_260)
    parser.add_argument("--pairs", type=float, default=1e6)
    parser.add_argument("--name", default="cz-2")
    asked = parser.parse_args()
    found = splinked(asked.persons, asked.seed, asked.pairs)
    model = {
        "name": asked.name,
        "trained": {"by": "splink", "records": asked.persons, "seed": asked.seed},
        "prior": round(-log2(NATION), 2),
        "automatic": 10.0,
        "possible": 0.0,
        "margin": 10.0,
        "attributes": weights(found, asked.persons),
        "names": frequencies(),
    }
    path = TARGET / f"{asked.name}.json"
    path.write_bytes(orjson.dumps(model, option=orjson.OPT_INDENT_2) + b"\n")
    for name, by_level in model["attributes"].items():
        print(name, by_level)
    print(f"{path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
