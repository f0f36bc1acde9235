"""Providers and professionals as a register: what a place offers, when, and who works where.

The register itself is FHIR resources that belong to nobody (person 0): Organization, Location,
HealthcareService, Endpoint, OrganizationAffiliation, Practitioner, PractitionerRole. Here is what
is made of them so that questions are quick: narrow tables that follow the feed.
"""

from pathlib import Path
from typing import Final

MIGRATIONS: Final = Path(__file__).resolve().parent / "migrations"
