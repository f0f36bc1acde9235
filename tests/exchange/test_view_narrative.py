"""The narrative of a document can neither run, fetch nor hide anything, and says what it said."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.domains.exchange.view.narrative import blocks, sanitise

XHTML = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


@pytest.mark.parametrize(
    "evil",
    [
        "<script>alert(1)</script>",
        "<p onclick='alert(1)'>x</p>",
        "<img src='https://spy.example/a.png' onerror='alert(1)'/>",
        "<a href='javascript:alert(1)'>x</a>",
        "<a href='JaVaScRiPt:alert(1)'>x</a>",
        "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
        "<a href='//spy.example/'>x</a>",
        "<a href='http://spy.example/'>x</a>",
        "<style>body{display:none}</style>",
        "<p style='position:fixed;inset:0'>x</p>",
        "<iframe src='https://spy.example/'></iframe>",
        "<svg><script>alert(1)</script></svg>",
        "<math><mtext><style><img src=x onerror=alert(1)></style></mtext></math>",
        "<form action='https://spy.example'><input name='a'/></form>",
        "<!--><img src=x onerror=alert(1)>-->",
        "<p class='doc-hidden' id='doc-patient'>x</p>",
        "<table background='https://spy.example/a.png'><tr><td>x</td></tr></table>",
        "<meta http-equiv='refresh' content='0;url=https://spy.example'/>",
    ],
)
def test_nothing_dangerous_survives(evil: str) -> None:
    clean = sanitise(XHTML.format("<p>Text zprávy.</p>" + evil)).lower()
    assert "text zprávy." in clean
    for sign in ("script", "onclick", "onerror", "spy.example", "style", "<img", "class=", "id="):
        assert sign not in clean


class _Seen(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes.update(name for name, _ in attrs)


@given(
    st.lists(
        st.sampled_from(
            ["<script", "<a href=", "javascript:", "<svg ", "onload=", "<p>", "</p>", "<!--", "-->",
             "<style>", "]]>", "'", '"', ">", "&#x3c;", "<table>", "<td>", "x", "<title>", "\x00"]
        ),
        max_size=20,
    ).map("".join)
)  # fmt: skip
def test_no_mixture_gives_a_foreign_element(text: str) -> None:
    seen = _Seen()
    seen.feed(sanitise(text))
    assert seen.tags <= {"a", "p", "table", "tbody", "tr", "td", "div"}
    assert seen.attributes <= {"href", "rel"}


def test_links_stay_on_the_page_or_go_over_https_without_an_opener() -> None:
    clean = sanitise(XHTML.format('<a href="#s1">a</a><a href="https://x.example/">b</a>'))
    assert 'href="#s1"' in clean
    assert 'href="https://x.example/"' in clean
    assert clean.count("noopener") == 2


def test_headings_sink_below_those_of_the_page() -> None:
    assert sanitise(XHTML.format("<h1>A</h1><h3>B</h3>")) == ("<div><h5>A</h5><h6>B</h6></div>")


@pytest.mark.parametrize("empty", [None, 7, "", "<div/>", XHTML.format("<p> </p>")])
def test_an_empty_narrative_is_empty(empty: object) -> None:
    assert sanitise(empty) == ""


def test_text_lists_and_tables_become_printable_blocks() -> None:
    html = sanitise(
        XHTML.format(
            "<p>Pacient <b>afebrilní</b>.</p><ol><li>první</li><li>druhý</li></ol>"
            "<table><thead><tr><th>Lék</th><th>Dávka</th></tr></thead>"
            "<tbody><tr><td colspan='2'>Paralen</td></tr></tbody></table>"
        )
    )
    text, first, second, table = blocks(html)
    assert "".join(run["text"] for run in text["runs"]) == "Pacient afebrilní."
    assert [run["bold"] for run in text["runs"]] == [False, True, False]
    assert (first["mark"], second["mark"]) == ("1.", "2.")
    assert table["columns"] == 2
    assert [cell["header"] for cell in table["rows"][0]] == [True, True]
    assert table["rows"][1][0]["span"] == 2
