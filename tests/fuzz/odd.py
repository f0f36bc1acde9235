"""Good input with something odd in it: trees, texts and bytes, as Hypothesis strategies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from typing import Any, Final

from hypothesis import strategies as st

TEXTS: Final = (
    "", " ", "a", "\x00", "\ud83e", "é", "🦴" * 20, "x" * 3_000, "9" * 400, "-0", "1e999999",
    "true", "null", "../..", "%00", "%", "'", '"', "\\", "|", "$", "*", ",", "a|b|c", "a$b",
    "Patient/1", "#a", "urn:uuid:1", "http://", "http://[", "http://a:99999999/", "urn:oid:1",
    "Patient?identifier=a|b", "Patient?", "Patient?a=b&", "/Patient", "?", "$x", "Patient/a/$x",
    "0000", "0000-01-01", "9999-12-31T23:59:59.999999999Z", "2026-02-30", "2026-13", "24:00:00",
    "2026-01-01T00:00:00+99:99", "2026-01-01T00:00:00", "ge2026", "cs-CZ-x-" + "a" * 50, "@", "{}",
    "(" * 100, "[" * 100, "a." * 100 + "a", "$this", "%x", "now()", "a or", "http://a|1|2", "ſ",
    "\u202e", "\ufeff", "data:,x", "mailto:a@b", "javascript:x", "ftp://a", "http://127.0.0.1:1/",
)  # fmt: skip
ODD: Final[tuple[Any, ...]] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**70), 0.1, 1e308, -1e-308, 5e-324, [], {},
    [None], [[]], [{}], {"": 1}, {"a": None}, [{"resourceType": "Patient"}], {"reference": "#"},
    {"resourceType": "Bundle", "entry": [{}]}, {"coding": [{}]}, {"value": 1, "code": "[x"},
    {"system": "http://unitsofmeasure.org", "code": "m" * 300}, {"extension": [{"url": "a"}]},
)  # fmt: skip

texts = st.sampled_from([each for each in TEXTS if each != "\ud83e"]) | st.text(
    st.characters(codec="utf-8"), max_size=12
)
odd = st.sampled_from(ODD).map(deepcopy) | texts
Draw = Callable[[st.SearchStrategy[Any]], Any]


def spoil(draw: Draw, value: Any, times: int = 2) -> Any:
    """A copy of a JSON tree with some nodes replaced, removed, doubled, moved or wrapped."""
    whole = {"": deepcopy(value)}
    for _ in range(draw(st.integers(0, times))):
        places: list[tuple[Any, Any]] = []
        waiting: list[Any] = [whole]
        while waiting:
            node = waiting.pop()
            inner = node.items() if isinstance(node, dict) else enumerate(node)
            for key, child in inner:
                if node is not whole:
                    places.append((node, key))
                if isinstance(child, dict | list):
                    waiting.append(child)
        if not places:
            break
        node, key = draw(st.sampled_from(places))
        what = draw(st.integers(0, 6))
        other, name = draw(st.sampled_from(places))
        if what == 0:
            del node[key]
        elif what == 1:
            node[key] = [node[key], deepcopy(node[key])]
        elif what == 2:
            node[key] = {"a": node[key]}
        elif what == 3:
            node[key] = deepcopy(other[name])
        elif what == 4 and isinstance(node, dict):
            node[str(draw(texts))] = node.pop(key)
        elif what == 4 and isinstance(node[key], list):
            node[key] = node[key] * 3
        else:
            node[key] = draw(odd)
    return whole[""]


@st.composite
def spoiled(draw: Any, values: Sequence[Any], times: int = 2) -> Any:
    """One of the trees with something odd in it."""
    return spoil(draw, draw(st.sampled_from(values)), times)


@st.composite
def spoiled_bytes(draw: Any, values: Sequence[bytes]) -> bytes:
    """One of the texts with some bytes cut, changed, doubled, or put in from another one."""
    data = bytearray(draw(st.sampled_from(values)))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.sampled_from((0, 1, 1, 2, 5, 30))))
        what = draw(st.integers(0, 4))
        if what == 0:
            new = b""
        elif what == 1:
            new = draw(st.binary(max_size=4))
        elif what == 2:
            new = str(draw(texts)).encode("utf-8", "replace")
        elif what == 3:
            new = bytes(data[start:end]) * draw(st.sampled_from((2, 3, 50)))
        else:
            other = draw(st.sampled_from(values))
            place = draw(st.integers(0, len(other)))
            new = other[place : place + draw(st.sampled_from((1, 4, 40)))]
        data[start:end] = new
    return bytes(data[:20_000])


@st.composite
def spoiled_pairs(draw: Any, pairs: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    """Parameters of a query with some left out, doubled, or with an odd name or value."""
    made = [each for each in pairs if draw(st.integers(0, 5))]
    for _ in range(draw(st.integers(0, 2))):
        if not made:
            break
        at = draw(st.integers(0, len(made) - 1))
        name, value = made[at]
        what = draw(st.integers(0, 3))
        if what == 0:
            made.append((name, value))
        elif what == 1:
            made[at] = (name + draw(st.sampled_from((":missing", ":not", ".a", ":", "-"))), value)
        else:
            made[at] = (name, draw(texts))
    return made


def named(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A Parameters resource of names and typed values (`{"url:valueUri": "…"}`)."""
    listed = []
    for key, value in parameters.items():
        name, _, kind = key.rpartition(":")
        listed.append({"name": name, kind: value})
    return {"resourceType": "Parameters", "parameter": listed}
