"""Links every set with ours, Splink and recordlinkage, in one run: `python -m bench linkage`."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.linkage import measures, ours
from bench.linkage.others import by_recordlinkage, by_splink
from bench.linkage.sets import Linking, Pair, czech, febrl, febrl_shipped, opencr
from pater.registers.matching import Model

OWN = {"ours": 0.0, "splink": 0.0, "recordlinkage": 0.5}
"""Where each linker itself draws the line: an even chance."""


def _sets(asked: argparse.Namespace) -> list[Linking]:
    found = list(febrl(asked.febrl) if asked.febrl else febrl_shipped())
    if asked.opencr:
        found.append(opencr(asked.opencr))
    if asked.foreigners:
        found.append(czech(asked.seed, asked.foreigners, foreigners=True))
    return [*found, *(czech(asked.seed, count) for count in asked.czech)]


def _ours(linking: Linking) -> tuple[dict[Pair, float], Model, set[Pair]]:
    """Scores, the model, and the pairs that are taken without a human being."""
    if linking.name.startswith("Czech"):
        model, pairs = Model.load(), ours.pairs(linking)
    else:
        attributes = ours.OPENCR if linking.name == "OpenCR" else ours.FEBRL
        pairs = ours.pairs(linking, wide=True)
        model = ours.estimated(linking, attributes, pairs)
    scores = ours.scored(linking, model, pairs)
    return scores, model, ours.automatic(linking, model, scores)


def _told(scores: dict[Pair, float], linking: Linking, own: float) -> dict[str, Any]:
    true = linking.true_pairs()
    best = measures.best(scores, true)
    taken = [pair for pair, score in scores.items() if score >= best.threshold]
    clusters = measures.clusters(taken, len(linking.rows))
    return {
        "candidates": len(scores),
        "found": len(true & scores.keys()) / len(true),
        "best": asdict(best),
        "own": asdict(measures.pairwise({p for p, s in scores.items() if s >= own}, true, own)),
        "b_cubed": asdict(measures.b_cubed(clusters, linking.who)),
    }


def measured(linking: Linking, asked: argparse.Namespace) -> dict[str, Any]:
    """All linkers on one set."""
    begun = time.process_time()
    scores, _, taken = _ours(linking)
    told = {"ours": _told(scores, linking, OWN["ours"])}
    told["ours"]["seconds"] = time.process_time() - begun
    true = linking.true_pairs()
    if linking.name.startswith("Czech"):
        # components of what is taken without a human being
        clusters = measures.clusters(taken, len(linking.rows))
        told["ours"]["automatic"] = {
            "pairs": len(taken),
            "false": len(taken - true),
            "recall": len(taken & true) / len(true),
            "b_cubed": asdict(measures.b_cubed(clusters, linking.who)),
        }
    linkers: dict[str, Callable[[Linking], dict[Pair, float]]] = {
        "splink": by_splink,
        "recordlinkage": by_recordlinkage,
    }
    for name, link in linkers.items():
        if name in asked.without:
            continue
        begun = time.process_time()
        told[name] = _told(link(linking), linking, OWN[name])
        told[name]["seconds"] = time.process_time() - begun
    size = {"records": len(linking.rows), "pairs": len(true)}
    return {"set": linking.name, **size, "keys": ours.by_key(linking), **told}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench linkage", description=__doc__)
    parser.add_argument("--febrl", type=Path, help="folder with FEBRL 1 and 2 as CSV")
    parser.add_argument("--opencr", type=Path, help="the CSV file of OpenCR's test set")
    parser.add_argument("--czech", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--foreigners", type=int, default=10_000, help="records of them alone")
    parser.add_argument("--only", default="", help="sets whose name begins so")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--without", nargs="*", default=[], choices=["splink", "recordlinkage"])
    parser.add_argument("--out", type=Path, default=Path("bench/results/latest-linkage.json"))
    asked = parser.parse_args()
    results = []
    for linking in (each for each in _sets(asked) if each.name.startswith(asked.only)):
        result = measured(linking, asked)
        results.append(result)
        for name in ("ours", "splink", "recordlinkage"):
            if name in result:
                told = result[name]
                print(
                    f"{result['set']:24} {name:14} F1 {told['best']['f1']:.4f}"
                    f" (own line {told['own']['f1']:.4f})  B³ {told['b_cubed']['f1']:.4f}"
                    f"  {told['seconds']:.1f} s",
                    flush=True,
                )
        keys = (
            f"{kind} {each['recall']:.3f} ({each['alone']})"
            for kind, each in result["keys"].items()
        )
        print(f"{'':24} {'keys':14} {'  '.join(keys)}", flush=True)
        if "automatic" in result["ours"]:
            print(f"{'':24} {'automatic':14} {result['ours']['automatic']}", flush=True)
    asked.out.parent.mkdir(parents=True, exist_ok=True)
    asked.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
