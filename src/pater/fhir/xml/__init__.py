"""FHIR XML (R4 section 2.6.1) to the same trees that JSON gives, and back, without loss."""

from __future__ import annotations

from pater.fhir.xml.reading import parse
from pater.fhir.xml.shapes import XmlError
from pater.fhir.xml.writing import dumps

__all__ = ["XmlError", "dumps", "parse"]
