"""Narratives: ordinary markup passes, whatever could run in a browser does not."""

from __future__ import annotations

import pytest

from pater.fhir.validation.xhtml import xhtml

HEAD = '<div xmlns="http://www.w3.org/1999/xhtml"'


@pytest.mark.parametrize(
    "inner",
    [
        "Páteř &amp; &lt; &#160;",
        '<table border="1"><tr><th colspan="2">a</th></tr><tr><td style="color: red">b</td></tr>'
        "</table>",
        '<p><a href="https://example.org/x">x</a><br/><img src="#p" alt="p"/></p>',
        "<!-- a remark --><ul><li>a</li></ul>",
        '<h2 xml:lang="cs" lang="cs" id="a" class="b">c</h2>',
        '<img src="data:image/png;base64,AAAA"/>',
    ],
)
def test_ordinary_markup_passes(inner: str) -> None:
    assert xhtml(f"{HEAD}>{inner}</div>") is None


@pytest.mark.parametrize(
    "div",
    [
        f"{HEAD}><script>alert(1)</script></div>",
        f'{HEAD}><p onclick="x()">a</p></div>',
        f'{HEAD} onload="x()">a</div>',
        f'{HEAD}><a href="javascript:x()">a</a></div>',
        f'{HEAD}><a href=" JaVaScript:x()">a</a></div>',
        f'{HEAD}><a href="java&#10;script:x()">a</a></div>',
        f'{HEAD}><a href="data:text/html,x">a</a></div>',
        f'{HEAD}><p style="width: expression(x)">a</p></div>',
        f'{HEAD}><iframe src="https://e.org">a</iframe></div>',
        f'{HEAD}><form action="https://e.org"><input/>a</form></div>',
        f"{HEAD}><svg>a</svg></div>",
        f'{HEAD}>a<svg xmlns="http://www.w3.org/2000/svg"/></div>',
        f"{HEAD}><style>p {{}}</style>a</div>",
        "<div>no namespace</div>",
        '<p xmlns="http://www.w3.org/1999/xhtml">no div</p>',
        f"{HEAD}>&nbsp;</div>",
        f"{HEAD}>a</p></div>",
        f"{HEAD}>a</div><p/>",
        f"{HEAD}> \n </div>",
        f"{HEAD}><?php x ?>a</div>",
        f'<!DOCTYPE div [<!ENTITY a "aaaa">]>{HEAD}>&a;</div>',
        f'<!DOCTYPE div SYSTEM "file:///etc/passwd">{HEAD}>a</div>',
        "text",
        "",
        f"{HEAD}>\ud800</div>",
        5,
        None,
        {},
    ],
)
def test_what_is_wrong_or_dangerous_is_refused(div: object) -> None:
    found = xhtml(div)
    assert found
    assert all(each.severity == "error" for each in found)


def test_many_faults_are_told_once_each_and_few() -> None:
    found = xhtml(f"{HEAD}>" + "<script>a</script>" * 500 + "</div>")
    assert found is not None
    assert len(found) == 1
    mess = "".join(f'<p a{n}="">x</p>' for n in range(500))
    found = xhtml(f"{HEAD}>{mess}</div>")
    assert found is not None
    assert len(found) <= 20
