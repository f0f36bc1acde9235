"""What compiling FHIRPath passes around: the closures, where they stand, what they can give."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from pater.fhir.fhirpath.items import Items, Scope

Fn = Callable[[Items, Scope], Items]
"""Focus (`$this`) and scope → the items that result; lists are never changed."""

Kinds = frozenset[str] | None
"""The names of the types that items can have; None = not known before they are there."""


class Part(NamedTuple):
    """A compiled part and what its items can be."""

    fn: Fn
    kinds: Kinds


class Place(NamedTuple):
    """Where a part stands: what its focus can be, what `%resource` is, the variables given."""

    focus: Kinds
    resource: Kinds
    variables: frozenset[str]
