"""Matching: whether two records are of one person (features, keys, comparing, model)."""

from pater.registers.matching.features import MOTHER, Features, features_of, pack, unpack
from pater.registers.matching.keys import blocking_keys
from pater.registers.matching.model import Decision, Model, Outcome, Part, Score, decide

__all__ = [
    "MOTHER",
    "Decision",
    "Features",
    "Model",
    "Outcome",
    "Part",
    "Score",
    "blocking_keys",
    "decide",
    "features_of",
    "pack",
    "unpack",
]
