"""GraphQL over FHIR (R4 section 3.3): queries over one resource or over the whole server."""

from __future__ import annotations

from pater.rest.graphql.operations import operations

__all__ = ["operations"]
