"""Our matching on a set: pairs by blocking keys, weights of a file or estimated on the set."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from itertools import combinations

from bench.linkage.estimating import estimate
from bench.linkage.sets import Linking, Pair
from pater.registers.matching import Model, blocking_keys
from pater.registers.matching.features import Features
from pater.registers.matching.keys import KINDS, kinds
from pater.registers.matching.names import sound

_COMMON = 200  # a key that more records share finds nobody
FEBRL = (
    "family", "given", "born", "document", "address-street", "address-number", "address-postcode",
    "address-city", "address-district", "address-state",
)  # fmt: skip
OPENCR = ("family", "given", "born", "sex", "document", "phone")


def pairs(linking: Linking, *, wide: bool = False) -> set[Pair]:
    """Pairs of records that share a blocking key.

    The keys of the register are made for ten million persons. For a small set `wide` takes single
    attributes too, like the rules the other linkers get.
    """
    blocks: dict[object, list[int]] = defaultdict(list)
    for number, each in enumerate(linking.features):
        for key in (*blocking_keys(each), *(_wide(each) if wide else ())):
            blocks[key].append(number)
    found: set[Pair] = set()
    for members in blocks.values():
        if 1 < len(members) <= _COMMON:
            found.update(p for p in combinations(members, 2) if linking.compared(*p))
    return found


def by_key(linking: Linking) -> dict[str, dict[str, float]]:
    """What each kind of the register's keys finds: the share of the true pairs, how many of them
    nothing else finds, and how many such keys a record has.
    """
    blocks: dict[int, list[int]] = defaultdict(list)
    kind: dict[int, str] = {}
    made: Counter[str] = Counter()
    for number, each in enumerate(linking.features):
        for key, name in kinds(each).items():
            blocks[key].append(number)
            kind[key] = name
            made[name] += 1
    true = linking.true_pairs()
    found: dict[str, set[Pair]] = defaultdict(set)
    for key, members in blocks.items():
        if 1 < len(members) <= _COMMON:
            found[kind[key]].update(p for p in combinations(members, 2) if p in true)
    times = Counter(pair for pairs in found.values() for pair in pairs)
    return {
        name: {
            "recall": len(found[name]) / len(true),
            "alone": sum(times[pair] == 1 for pair in found[name]),
            "keys": made[name] / len(linking.features),
        }
        for name in KINDS
        if made[name]
    }


def _wide(f: Features) -> Iterator[tuple[str, str]]:
    for family in f.stems:
        yield "family", sound(family)
    for given in f.givens_plain[:1]:
        yield "given", sound(given)
    yield from (("document", each) for each in f.documents)
    for address in f.addresses[:1]:
        if address.number:
            yield "house", f"{address.number} {address.postcode}"
        yield "street", address.street
        yield "postcode", address.postcode
        yield "district", address.district
    if f.born:
        yield "born", f.born


def scored(linking: Linking, model: Model, found: set[Pair]) -> dict[Pair, float]:
    """The weight of each pair."""
    features = linking.features
    return {(a, b): model.score(features[a], features[b]).weight for a, b in found}


def automatic(linking: Linking, model: Model, scores: dict[Pair, float]) -> set[Pair]:
    """Pairs that would be merged without a human being."""
    features = linking.features
    return {
        (a, b)
        for (a, b), weight in scores.items()
        if weight >= model.automatic and not model.score(features[a], features[b]).contradictions
    }


def estimated(linking: Linking, attributes: Sequence[str], found: set[Pair]) -> Model:
    """Weights for these attributes, estimated on the set without knowing the truth."""
    return Model(estimate(linking.name, linking.features, attributes, found))
