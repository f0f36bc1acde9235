"""What the rest of Páteř asks the basic registers: one protocol each, whoever answers."""

from __future__ import annotations

from typing import Any, Protocol

from pater.registers.basic.told import Address, Business, Changed, Person

Question = dict[str, Any]
"""Who is meant: `family`, `given`, `birthDate`, perhaps `document` (type, country, number)."""


class Persons(Protocol):
    """The register of persons (ROB). Each raises Down."""

    async def find(self, question: Question) -> Person | None:
        """The one person who is meant; None for nobody, and for several."""

    async def read(self, pseudonym: str) -> Person | None:
        """The person of a pseudonym."""

    async def changes(self, after: str, count: int) -> Changed:
        """Pseudonyms of persons of whom something changed after a cursor ("" = ever)."""


class Addresses(Protocol):
    """The register of addresses (RUIAN). Raises Down."""

    async def address(self, code: str) -> Address | None:
        """The address point of a code."""


class Businesses(Protocol):
    """The register of business (ROS). Raises Down."""

    async def business(self, ico: str) -> Business | None:
        """The business of an IČO."""

    async def business_changes(self, after: str, count: int) -> Changed:
        """IČO of businesses of which something changed after a cursor ("" = ever)."""


class Mandates(Protocol):
    """The register of rights and mandates (REZA). Raises Down."""

    async def mandates(self, after: str, count: int) -> Changed:
        """Mandates and representations that were made or changed after a cursor ("" = all)."""
