"""Makes the narrative of a document safe to show, and splits it into blocks for print."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any, Final

import nh3

# What FHIR R4 2.4.5 allows in a narrative, less everything that fetches, runs or restyles: images
# would tell a foreign server who reads, styles and classes could hide text or cover the page.
_TAGS: Final = frozenset(
    """a abbr acronym address b bdo big blockquote br caption cite code col colgroup dd del dfn div
    dl dt em h1 h2 h3 h4 h5 h6 hr i ins kbd li ol p pre q s samp small span strong sub sup table
    tbody td tfoot th thead tr tt u ul var""".split()
)
_ATTRIBUTES: Final = {
    "*": {"lang", "dir", "title"},
    "a": {"href"},
    "td": {"colspan", "rowspan", "headers"},
    "th": {"colspan", "rowspan", "scope", "headers"},
    "col": {"span"},
    "colgroup": {"span"},
    "ol": {"start"},
}
_BLOCKS: Final = frozenset(
    "p div h1 h2 h3 h4 h5 h6 li ul ol table tr caption pre blockquote dl dt dd hr address".split()
)
_HEADINGS: Final = frozenset("h1 h2 h3 h4 h5 h6".split())


def _attribute(tag: str, name: str, value: str) -> str | None:
    if tag == "a" and name == "href":
        return value if value.startswith(("https://", "#")) else None
    if name in {"colspan", "rowspan", "span"}:
        return value if value.isdigit() and 0 < int(value) <= 100 else None
    return value


_CLEANER: Final = nh3.Cleaner(
    tags=set(_TAGS),
    clean_content_tags={"script", "style", "iframe", "object", "template", "noscript", "title"},
    attributes=_ATTRIBUTES,
    attribute_filter=_attribute,
    url_schemes={"https"},
    link_rel="noopener noreferrer",
    generic_attribute_prefixes=set(),
    strip_comments=True,
)
# Headings of a narrative stand below those of the page.
_HEADING: Final = re.compile(r"(</?)h([1-6])(?=[\s>])")


def sanitise(div: Any) -> str:
    """The narrative as safe HTML; "" when it is missing or says nothing.

    Kept are the elements of FHIR narrative without style, class, id, images and scripts; links
    only to the same page or over https, with rel=noopener. Headings are lowered to h5 and h6.
    """
    if not isinstance(div, str):
        return ""
    clean = _CLEANER.clean(div)
    if not _says_something(clean):
        return ""
    return _HEADING.sub(lambda tag: f"{tag[1]}h{min(int(tag[2]) + 4, 6)}", clean).strip()


def _says_something(html: str) -> bool:
    return any(run["text"].strip() for block in blocks(html) for run in _runs(block))


def _runs(block: dict[str, Any]) -> list[dict[str, Any]]:
    if block["kind"] == "table":
        return [run for row in block["rows"] for cell in row for run in cell["runs"]]
    runs: list[dict[str, Any]] = block["runs"]
    return runs


class _Blocks(HTMLParser):
    """Reads sanitised HTML into paragraphs, list items and tables of plain runs of text."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[dict[str, Any]] = []
        self._runs: list[dict[str, Any]] = []
        self._bold = self._italic = self._depth = 0
        self._lists: list[int | None] = []
        self._heading = False
        self._mark = ""
        self._tables: list[list[list[dict[str, Any]]]] = []
        self._cells: list[tuple[bool, int, list[dict[str, Any]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _BLOCKS:
            self._break()
        if tag in {"b", "strong", "th", "dt"}:
            self._bold += 1
        elif tag in {"i", "em", "cite"}:
            self._italic += 1
        elif tag == "br":
            self._runs.append({"text": "\n", "bold": False, "italic": False})
        elif tag in {"ul", "ol"}:
            self._lists.append(0 if tag == "ol" else None)
        elif tag == "table":
            self._tables.append([])
        elif tag == "tr" and self._tables:
            self._tables[-1].append([])
        if tag in {"td", "th"} and self._tables:
            self._break()
            span = next((int(v) for k, v in attrs if k == "colspan" and v and v.isdigit()), 1)
            self._cells.append((tag == "th", min(span, 20), []))
        if tag == "li":
            self._mark = "•"
            if self._lists and self._lists[-1] is not None:
                self._lists[-1] += 1
                self._mark = f"{self._lists[-1]}."
        if tag in _HEADINGS:
            self._heading = True

    def handle_endtag(self, tag: str) -> None:
        if tag in _BLOCKS:
            self._break()
        if tag in {"td", "th"} and self._cells:
            self._break()
            header, span, runs = self._cells.pop()
            if self._tables and self._tables[-1]:
                self._tables[-1][-1].append({"header": header, "span": span, "runs": runs})
        if tag in {"b", "strong", "th", "dt"}:
            self._bold = max(0, self._bold - 1)
        elif tag in {"i", "em", "cite"}:
            self._italic = max(0, self._italic - 1)
        elif tag in {"ul", "ol"} and self._lists:
            self._lists.pop()
        elif tag == "table" and self._tables:
            rows = [row for row in self._tables.pop() if row]
            if rows:
                self._put_table(rows)
        if tag in _HEADINGS:
            self._heading = False

    def handle_data(self, data: str) -> None:
        plain = " ".join(data.split())
        if not plain:
            if self._runs and data:
                self._runs[-1]["text"] += " "
            return
        lead = " " if data[:1].isspace() and self._runs else ""
        tail = " " if data[-1:].isspace() else ""
        self._runs.append(
            {"text": lead + plain + tail, "bold": self._bold > 0, "italic": self._italic > 0}
        )

    def _put_table(self, rows: list[list[dict[str, Any]]]) -> None:
        if self._cells:  # a table within a cell becomes lines of that cell
            into = self._cells[-1][2]
            for row in rows:
                if into:
                    into.append({"text": "\n", "bold": False, "italic": False})
                for number, cell in enumerate(row):
                    if number:
                        into.append({"text": "  ", "bold": False, "italic": False})
                    into.extend(cell["runs"])
            return
        columns = max(sum(cell["span"] for cell in row) for row in rows)
        self.found.append({"kind": "table", "columns": columns, "rows": rows})

    def _break(self) -> None:
        runs, self._runs = self._runs, []
        if not any(run["text"].strip() for run in runs):
            return
        if self._cells:
            into = self._cells[-1][2]
            if into:
                into.append({"text": "\n", "bold": False, "italic": False})
            into.extend(runs)
            return
        kind = "heading" if self._heading else "item" if self._mark or self._lists else "text"
        level = len(self._lists)
        self.found.append({"kind": kind, "mark": self._mark, "level": level, "runs": runs})
        self._mark = ""

    def close(self) -> None:
        super().close()
        self._break()


def blocks(html: str) -> list[dict[str, Any]]:
    """Sanitised HTML as printable blocks.

    Each is {kind: text|heading|item, mark, level, runs} or {kind: table, columns, rows} with rows
    of cells {header, span, runs}; a run is {text, bold, italic}, "\\n" being a line break.
    """
    parser = _Blocks()
    parser.feed(html)
    parser.close()
    return parser.found
