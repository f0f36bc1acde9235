"""A document Bundle laid out for a reader, as plain frozen data for pages and print."""

from pater.domains.exchange.view.files import attachment_bytes
from pater.domains.exchange.view.layout import document_view
from pater.domains.exchange.view.model import (
    Attachment,
    Bar,
    Cell,
    Code,
    DocumentView,
    Field,
    Party,
    PatientView,
    Row,
    Section,
    Stay,
    Table,
)

__all__ = [
    "Attachment",
    "Bar",
    "Cell",
    "Code",
    "DocumentView",
    "Field",
    "Party",
    "PatientView",
    "Row",
    "Section",
    "Stay",
    "Table",
    "attachment_bytes",
    "document_view",
]
