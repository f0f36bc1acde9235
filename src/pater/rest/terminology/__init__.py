"""The terminology operations of FHIR R4 over HTTP (R4 section 4.8.7)."""

from __future__ import annotations

from pater.domain import Parts, Services
from pater.rest.terminology.capabilities import Capabilities
from pater.rest.terminology.operations import Operations

__all__ = ["parts"]


def parts(services: Services) -> Parts:
    """What the terminology service adds to the API."""
    terms = services.gate.terms
    operations = Operations(services, terms)
    capabilities = Capabilities(terms, services)
    return Parts(operations=operations.all(), metadata={"terminology": capabilities})
