"""The small pure pieces: charts, signed values, the pruning of the vendor's style sheet."""

from __future__ import annotations

import importlib.util
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.web.assets import load_assets
from pater.web.charts import bars
from pater.web.forms import Signer, safe_next

NOW = datetime(2026, 11, 22, tzinfo=UTC)


@given(st.lists(st.tuples(st.text(max_size=5), st.floats(-1e12, 1e12)), max_size=30))
def test_bars_stay_inside_and_the_greatest_is_full(series: list[tuple[str, float]]) -> None:
    chart = bars(series)
    assert [(bar.label, bar.value) for bar in chart.bars] == series
    assert all(0 <= bar.width <= 100 and bar.y + 48 <= chart.height for bar in chart.bars)
    if max((value for _, value in series), default=0) > 0:
        assert max(bar.width for bar in chart.bars) == 100


def test_bars_are_proportional() -> None:
    assert [bar.width for bar in bars([("a", 10), ("b", 40), ("c", -3)]).bars] == [25, 100, 0]


@given(st.text(max_size=60))
def test_a_safe_target_is_a_path_of_this_site(target: str) -> None:
    result = safe_next(target, "")
    assert result in ("", target)
    if result:
        assert result[0] == "/" and result[1:2] not in ("/", "\\") and "\\" not in result
        assert "\n" not in result and "\r" not in result and "\t" not in result


@given(st.text(max_size=120))
def test_forged_values_do_not_open(text: str) -> None:
    assert Signer(b"k" * 16, "visit").open(text, NOW) is None


def test_sealed_values_open_until_they_expire_and_for_one_use() -> None:
    signer = Signer(b"k" * 16, "visit")
    sealed = signer.seal("abc", NOW + timedelta(minutes=1))
    assert signer.open(sealed, NOW) == "abc"
    assert signer.open(sealed, NOW + timedelta(minutes=2)) is None
    assert Signer(b"k" * 16, "step").open(sealed, NOW) is None
    assert Signer(b"l" * 16, "visit").open(sealed, NOW) is None


def test_a_domain_brings_its_own_files(tmp_path: Path) -> None:
    (tmp_path / "x.css").write_text("a{}")
    (tmp_path / "notes.txt").write_text("not for browsers")
    assets = load_assets({"sample": tmp_path})
    assert assets.url("sample/x.css").startswith("/static/sample/x.css?v=")
    with pytest.raises(KeyError):
        assets.url("sample/notes.txt")
    shown = str(assets.icon("search", '"><script>'))
    assert "<script>" not in shown and 'role="img"' in shown
    assert 'aria-hidden="true"' in str(assets.icon("search"))


@pytest.fixture(scope="module")
def builder() -> ModuleType:
    """The build script as a module."""
    path = Path(__file__).resolve().parents[2] / "tools" / "build_assets.py"
    spec = importlib.util.spec_from_file_location("build_assets", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pruning_keeps_what_plain_html_can_match(builder: ModuleType) -> None:
    css = (
        "gov-button,.gov-button{a:b}"
        ".gov-button[data-size=xxl]{c:d}.gov-button[data-size=s]:hover{e:f}"
        ".gov-button .element,.gov-other{g:h}"
        "@media(min-width: 1em){.gov-tag{i:j}gov-tag{k:l}}@media(x){gov-a{m:n}}"
        ".gov-button:is(gov-button,.gov-tag):not(gov-x){o:p}"
    )
    pruned = builder.prune(css)
    assert pruned == (
        ".gov-button{a:b}.gov-button[data-size=s]:hover{e:f}@media(min-width: 1em){.gov-tag{i:j}}"
    )
