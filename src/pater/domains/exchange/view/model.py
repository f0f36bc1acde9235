"""The shapes of a document laid out for a reader: plain frozen data for pages and print."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pater.terminology.names import Language


@dataclass(frozen=True, slots=True)
class Code:
    """A coded thing in words: its name, the small code, the system people know it by."""

    name: str
    code: str = ""
    system: str = ""
    original: str = ""  # the author's own words, when the name is a translation


@dataclass(frozen=True, slots=True)
class Bar:
    """Where a result lies against its reference range, all in per cent of the drawn line."""

    low: float
    high: float
    value: float


@dataclass(frozen=True, slots=True)
class Cell:
    """One field of a table: text, the code behind it, a second small line, a flag in words."""

    text: str = ""
    code: str = ""
    note: str = ""
    flag: str = ""  # "", "high", "low" or "abnormal": for the look
    flag_text: str = ""  # the same said in words
    bar: Bar | None = None

    def __bool__(self) -> bool:
        return bool(self.text or self.code or self.note or self.flag_text)


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a table; `level` is the indentation of a part under its group."""

    cells: tuple[Cell, ...]
    level: int = 0
    group: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """The entries of one kind within a section; columns that hold nothing are left out."""

    kind: str  # the resource type
    caption: str
    columns: tuple[str, ...]
    rows: tuple[Row, ...]


@dataclass(frozen=True, slots=True)
class Section:
    """A section: the title in the reader's language, the author's own, narrative and tables."""

    anchor: str  # unique in the page
    level: int  # 1 = directly under the document
    title: str
    original_title: str
    code: str
    html: str  # sanitised narrative, "" when none
    empty_reason: str
    tables: tuple[Table, ...]
    sections: tuple[Section, ...]


@dataclass(frozen=True, slots=True)
class Field:
    """A label with its value."""

    label: str
    value: str


@dataclass(frozen=True, slots=True)
class PatientView:
    """The person the document is about."""

    name: str
    birth_date: str
    age: str  # at the time of the document, "" when it cannot be told
    gender: str
    identifiers: tuple[Field, ...]
    address: str
    contacts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Party:
    """Somebody who answers for the document, with the organisation and the time of signing."""

    role: str
    name: str
    organization: str = ""
    detail: str = ""  # identifiers, speciality
    time: str = ""


@dataclass(frozen=True, slots=True)
class Stay:
    """The stay or visit that the document tells about."""

    kind: str
    period: str
    length: str
    departments: tuple[str, ...]
    admission: str
    disposition: str
    identifier: str
    provider: str
    diagnoses: tuple[Code, ...]

    @property
    def fields(self) -> tuple[str, ...]:
        """The single values in the order of reading; empty ones included."""
        return (self.kind, self.period, self.length, self.admission, self.disposition)


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file carried by the document; `index` is what `attachment_bytes` takes."""

    index: int
    title: str
    content_type: str
    size: int | None  # bytes, None when the file is only linked
    created: str
    url: str  # only for a file that is not inside
    original: bool  # the document itself as its author signed it


@dataclass(frozen=True, slots=True)
class DocumentView:
    """A document in the reader's language: header, sections, files; `words` labels the layout."""

    lang: Language
    document_lang: str  # the language the author wrote in, "" when not said
    title: str
    type: Code
    category: str
    status: str
    status_code: str
    confidentiality: str
    date: str
    identifier: str
    version: str
    replaces: tuple[str, ...]
    patient: PatientView
    authors: tuple[Party, ...]
    attesters: tuple[Party, ...]
    custodian: Party | None
    recipients: tuple[Party, ...]
    stay: Stay | None
    sections: tuple[Section, ...]
    attachments: tuple[Attachment, ...]
    words: Mapping[str, str]
