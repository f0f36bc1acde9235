"""What a reader may rely on: nothing wrong gets in, and what gets in comes out the same."""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pater.fhir.json import JsonError, dumps, parse

DECIMALS = [
    "1.10", "1e400", "0.000000000000000000001", "100.00", "1E5", "1e+5", "-0", "-0.0", "1.0E-7",
    "12345678901234567890123", "18446744073709551616", "0.1", "3", "1.0", "99999999999999.990",
    "123456789.123456789123456789", "1e16", "1e-400",
]  # fmt: skip


@pytest.mark.parametrize("literal", DECIMALS)
def test_every_decimal_comes_back_as_it_was_written(literal: str) -> None:
    text = f'{{"value":{literal}}}'.encode()
    assert dumps(parse(text)) == text
    assert Decimal(str(parse(text)["value"])) == Decimal(literal)


@pytest.mark.parametrize("literal", DECIMALS)
def test_layout_does_not_hide_a_risky_number(literal: str) -> None:
    text = f'{{\n  "a" : [ {literal}, "x y" ]\n}}'.encode()
    assert dumps(parse(text)) == f'{{"a":[{literal},"x y"]}}'.encode()


def test_numbers_that_are_safe_stay_plain() -> None:
    value = parse(b'{"a": 1.5, "b": 2, "c": 1.50}')
    assert type(value["a"]) is float
    assert type(value["b"]) is int
    assert isinstance(value["c"], Decimal)


@pytest.mark.parametrize(
    ("text", "path", "line"),
    [
        ('{"a":1,"a":1}', "a", 1),
        ('{"resourceType":"Patient",\n"name":[{},{"family":"A",\n"family":"B"}]}',
         "Patient.name[1].family", 3),
        ('{"resourceType":"Patient","a":{"b":{"c":{"d":1,"\\u0064":2}}}}', "Patient.a.b.c.d", 1),
        ('{"a":1, "a":{"b":1,"b":2}}', "a", 1),
        ('{"a": 1e400, "a": 2}', "a", 1),
    ],
)  # fmt: skip
def test_duplicate_keys_are_refused_with_their_place(text: str, path: str, line: int) -> None:
    with pytest.raises(JsonError, match="occurs twice") as caught:
        parse(text.encode())
    assert (caught.value.path, caught.value.line) == (path, line)


@pytest.mark.parametrize(
    "data",
    [
        b"", b"   ", b"[]", b"1", b"null", b'"x"', b"{", b'{"a":', b'{"a":1', b'{"a":1}}',
        b'{"a":NaN}', b'{"a":Infinity}', b'{"a":-Infinity}', b'{"a":1e400,"b":NaN}',
        b'{"a":"\xff"}', b'\xef\xbb\xbf{"a":1}', b'{"a":"\\ud800"}', b'{"a":1e400,"b":"\\ud800"}',
        b'{"a":01}', b'{"a":1,}', b"{'a':1}", b'{"a":"\n"}', b'{"a":1e99999999999999999999}',
        b'{"a":1e99999}', b'{"a":' + b"9" * 5000 + b"}", b'{"a":1 /* no */}', b'{"a":1}\x00',
    ],
)  # fmt: skip
def test_what_is_not_json_is_refused(data: bytes) -> None:
    with pytest.raises(JsonError):
        parse(data)


@pytest.mark.parametrize(
    "tail", ['"z":1,"z":2}', '"z":[' + "[" * 70 + "]" * 71 + "}", '"z":oops}'], ids=["", "", ""]
)
def test_a_fault_far_inside_a_big_text_is_refused_without_its_path(tail: str) -> None:
    head = "{" + "".join(f'"k{number}":{number},' for number in range(150_000))
    with pytest.raises(JsonError) as caught:
        parse((head + tail).encode())
    assert caught.value.path == ""


def test_a_syntax_error_names_line_column_and_path() -> None:
    text = b'{"resourceType":"Patient",\n "name":[{"family":"A"},\n  {"family": oops}]}'
    with pytest.raises(JsonError) as caught:
        parse(text)
    assert caught.value.line == 3
    assert caught.value.path == "Patient.name[1].family"
    assert caught.value.column > 1


@pytest.mark.parametrize("depth", [64, 65, 300, 1500, 100_000])
@pytest.mark.parametrize("inner", ["1", "1e400"])
def test_depth_is_limited(depth: int, inner: str) -> None:
    text = ('{"a":' + "[" * (depth - 1) + inner + "]" * (depth - 1) + "}").encode()
    if depth <= 64:
        assert dumps(parse(text)) == text
        return
    with pytest.raises(JsonError, match="deep"):
        parse(text)


def test_the_depth_limit_can_be_chosen_and_brackets_in_strings_do_not_count() -> None:
    with pytest.raises(JsonError) as caught:
        parse(b'{"resourceType":"List","a":[{"b":[{}]}]}', max_depth=4)
    assert caught.value.path == "List.a[0].b[0]"
    assert parse(b'{"a":"' + b"[{" * 100 + b'"}', max_depth=1)


def test_key_order_and_text_are_kept() -> None:
    text = '{"z":1,"a":{"ž":"Páteř \\" \\\\ / \\n"},"m":[null,true,false]}'.encode()
    assert dumps(parse(text)) == text


def test_only_json_can_be_written() -> None:
    for value in (object(), Decimal("NaN"), Decimal("Infinity"), {"a": {1, 2}}):
        with pytest.raises(TypeError):
            dumps(value)


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70).map(lambda n: n if abs(n) < 2**63 else Decimal(n))
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.decimals(allow_nan=False, allow_infinity=False, places=6)
    | st.text(st.characters(codec="utf-8")),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(st.text(st.characters(codec="utf-8")), inner, max_size=4)
    ),
    max_leaves=20,
)


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), JSON, max_size=5))
def test_round_trip(value: dict[str, Any]) -> None:
    text = dumps(value)
    again = parse(text)
    assert dumps(again) == text
    assert _plain(again) == _plain(value)


@given(
    st.binary(max_size=60) | st.text(max_size=60).map(lambda text: text.encode("utf-8", "ignore"))
)
def test_any_bytes_give_an_object_or_a_json_error(data: bytes) -> None:
    try:
        assert isinstance(parse(data), dict)
    except JsonError:
        pass


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, int | float | Decimal) and not isinstance(value, bool):
        number = Decimal(str(value))
        return Decimal(0) if number == 0 or math.isclose(number, 0, abs_tol=0) else number
    return value
