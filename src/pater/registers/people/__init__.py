"""Invented Czech persons: families, twins, newborns, foreigners, and mistakes in their records.

The same seed gives the same persons; nobody among them lives. For demonstrations, measurements and
the training of weights.
"""

from pater.registers.people.errors import ERRORS, Record, dataset, mistaken
from pater.registers.people.households import MOST, Person, people
from pater.registers.people.patients import patient_of
from pater.registers.people.places import Home

__all__ = [
    "ERRORS",
    "MOST",
    "Home",
    "Person",
    "Record",
    "dataset",
    "mistaken",
    "patient_of",
    "people",
]
