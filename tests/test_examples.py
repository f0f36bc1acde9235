"""Property tests try the same examples in every run, whatever else is loaded or was changed."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st


def drawn() -> list[object]:
    """The examples of one property."""
    found: list[object] = []

    @settings(max_examples=300)
    @given(st.integers() | st.text(max_size=20))
    def keep(value: object) -> None:
        found.append(value)

    keep()
    return found


@pytest.mark.skipif(
    settings.get_current_profile_name() != "same", reason="other examples are asked for"
)
def test_a_module_that_is_loaded_meanwhile_changes_no_example(tmp_path: Path) -> None:
    before = drawn()
    literals = [f"{number} = 'literal {number}', {number}_000_017" for number in range(1, 60)]
    file = tmp_path / "loaded_meanwhile.py"
    file.write_text("\n".join(f"x{line}" for line in literals))
    spec = importlib.util.spec_from_file_location("loaded_meanwhile", file)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "loaded_meanwhile", module)
        spec.loader.exec_module(module)
        assert drawn() == before
