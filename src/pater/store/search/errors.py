"""The refusals of a search that only the store can know: what its index cannot answer."""

from __future__ import annotations

from pater.fhir.issues import Issue
from pater.fhir.search.query import SearchError


def not_supported(what: str) -> SearchError:
    """A search that this release has no index for."""
    return SearchError([Issue("error", "not-supported", "", f"{what} is not supported")])


def outlived() -> SearchError:
    """A cursor whose first page was read too long ago."""
    text = "the first page of this search was read too long ago: search again from the beginning"
    return SearchError([Issue("error", "processing", "", text)])


def too_costly(what: str) -> SearchError:
    """A search that would need more rows than one request may read."""
    return SearchError([Issue("error", "too-costly", "", what)])
