"""FHIRPath Patch (R4 3.1.0.8.1): Parameters that change a resource, and those between two."""

from __future__ import annotations

from pater.fhir.patch.applying import apply
from pater.fhir.patch.diffing import difference
from pater.fhir.patch.reading import MOST_OPERATIONS, Operation, PatchError, read_patch
from pater.fhir.patch.values import copied

__all__ = [
    "MOST_OPERATIONS",
    "Operation",
    "PatchError",
    "apply",
    "copied",
    "difference",
    "read_patch",
]
