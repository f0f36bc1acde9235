"""The label of a resource: of which category, confidentiality, provider and document it is.

A label is one number that stands beside the row, so that what a person holds back can be left out
by an index-free comparison in the search itself. A `Veil` says which labels of one person are held
back from one caller; it is compiled from the person's consents and compares nothing but numbers.
"""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Final

CATEGORIES: Final = (
    "other", "identification", "patient-summary", "ambulatory-report", "laboratory-order",
    "laboratory-report", "imaging-order", "imaging-report", "discharge-report", "medication",
    "vaccination", "advance-directive", "epidemiology", "consent", "notice", "care-relation",
)  # fmt: skip
"""Categories of records; a category's place here is its number and never changes."""

NORMAL, RESTRICTED, VERY_RESTRICTED = 0, 1, 2
"""Confidentiality, as N, R and V of HL7 v3 Confidentiality; what says nothing is normal."""

CATEGORY_MASK: Final = (1 << 6) - 1
CONFIDENTIALITY_MASK: Final = 0b11 << 6
PROVIDER_MASK: Final = ((1 << 27) - 1) << 8
DOCUMENT_MASK: Final = ((1 << 28) - 1) << 35


def label(
    category: str = "other", confidentiality: int = NORMAL, provider: str = "", document: str = ""
) -> int:
    """The number of a label.

    `provider` is an IČO ("" or anything else = unknown) and `document` the id of the chain of
    versions that a document belongs to ("" = in no document).
    """
    number = CATEGORIES.index(category) | (confidentiality << 6)
    return number | provider_bits(provider) | document_bits(document)


def category_bits(category: str) -> int:
    """The part of a label that says the category."""
    return CATEGORIES.index(category)


def provider_bits(provider: str) -> int:
    """The part of a label that says the provider, by IČO; 0 when it is none."""
    if len(provider) != 8 or not (provider.isascii() and provider.isdigit()):
        return 0
    return int(provider) << 8


def document_bits(document: str) -> int:
    """The part of a label that says the document: 28 bits of a hash, never 0 for a document."""
    if not document:
        return 0
    digest = blake2b(document.encode(), digest_size=8, person=b"document").digest()
    return (int.from_bytes(digest, "big") % ((1 << 28) - 1) + 1) << 35


@dataclass(frozen=True, slots=True)
class Level:
    """What is said of labels that agree in some parts: shown, held back, or nothing."""

    mask: int
    shown: frozenset[int]
    held: frozenset[int]


@dataclass(frozen=True, slots=True)
class Veil:
    """What of one person's record is held back from one caller; the first level that speaks wins.

    `otherwise` is said of a label of which no level says anything.
    """

    levels: tuple[Level, ...]
    otherwise: bool = False

    def holds_back(self, label: int) -> bool:
        """Whether a row with this label does not exist for the caller."""
        for level in self.levels:
            part = label & level.mask
            if part in level.shown:
                return False
            if part in level.held:
                return True
        return self.otherwise
