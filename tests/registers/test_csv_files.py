"""Files of strangers: what they are is found out, each line belongs to one row, nothing is lost."""

from __future__ import annotations

import csv
import io
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pater.registers.csv_files import (
    LONGEST,
    FileError,
    Layout,
    Row,
    columns_of,
    day_of,
    row_of,
    rows,
    survey,
)

CZECH = "áčďéěíňóřšťúůýžÁČĎÉĚÍŇÓŘŠŤÚŮÝŽ"
SHARED = settings(suppress_health_check=[HealthCheck.function_scoped_fixture])


def made(folder: Path, data: bytes | str, encoding: str = "utf-8") -> Path:
    path = folder / "list.csv"
    path.write_bytes(data if isinstance(data, bytes) else data.encode(encoding))
    return path


def read(path: Path, layout: Layout | None = None) -> list[Row]:
    return list(rows(path, layout or survey(path)))


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1250", "iso-8859-2"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_encoding_and_delimiter_are_found_out(
    tmp_path: Path, encoding: str, delimiter: str
) -> None:
    table = [["číslo", "příjmení"], ["1", "Žižková"], ["2", "Šťastný"], ["3", "Novák"]]
    text = "".join(delimiter.join(row) + "\r\n" for row in table)
    path = made(tmp_path, text, encoding)
    layout = survey(path)
    assert (layout.encoding, layout.delimiter) == (encoding, delimiter)
    assert layout.header == ("číslo", "příjmení")
    assert [row.cells for row in read(path, layout)] == [tuple(row) for row in table[1:]]


def test_an_encoding_that_is_known_is_believed(tmp_path: Path) -> None:
    path = made(tmp_path, "a;b\n1;Kaľavský\n", "cp1250")
    assert read(path, survey(path, "cp1250"))[0].cells == ("1", "Kaľavský")


def test_a_row_in_another_encoding_is_refused_alone(tmp_path: Path) -> None:
    good = "a;b\n1;Žižka\n2;Šťastný\n".encode()
    problems = [row.problem for row in read(made(tmp_path, good + "3;Říha\n".encode("cp1250")))]
    assert problems == ["", "", "the row is not utf-8, as the others are"]
    good = "a;b\n1;Žižka\n2;Šťastný\n4;MÍŠEK\n".encode("cp1250")
    found = read(made(tmp_path, good + "3;Řežábek\n".encode()))
    assert [row.problem for row in found] == ["", "", "", "the row is UTF-8, the others are cp1250"]
    assert found[2].cells == ("4", "MÍŠEK")  # which might be UTF-8 by chance


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "the file is empty"),
        (b"\n \r\n", "the file is empty"),
        ("a;b\n".encode("utf-16"), "UTF-16"),
        (b"a;\0b\n", "NUL"),
        (b"a;b\r1;2\r", "CR alone"),
        (b'a;"b\n', "quotation mark"),
        (b";".join([b"a"] * 600) + b"\n", "columns"),
        (b"a" * LONGEST + b"\n", "longer"),
        (b"sep=;\n", "the file is empty"),
    ],
)
def test_what_is_no_table_is_refused(tmp_path: Path, data: bytes, text: str) -> None:
    with pytest.raises(FileError, match=text):
        survey(made(tmp_path, data))


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(FileError, match="cannot be read"):
        survey(tmp_path / "nothing.csv")
    layout = Layout("utf-8", ";", ("a",))
    with pytest.raises(FileError, match="cannot be read"):
        read(tmp_path / "nothing.csv", layout)


def test_each_fault_is_of_its_row_and_the_others_are_read(tmp_path: Path) -> None:
    data = b"\n".join(
        [
            b"sep=;", b"a;b", b"1;x", b"2", b"3;x;y", b"4;x;;", b"", b";", b"5;\0x", b'6;"x" y',
            b'7;"never closed', b'8;"x ""y"""', b"9;z" + b"z" * LONGEST, b'10;"over', b'two lines"',
            b"11;x",
        ]
    )  # fmt: skip
    found = read(made(tmp_path, data))
    good = [(row.line, row.cells) for row in found if not row.problem]
    assert good == [
        (3, ("1", "x")), (6, ("4", "x")), (12, ("8", 'x "y"')), (14, ("10", "over\ntwo lines")),
        (16, ("11", "x")),
    ]  # fmt: skip
    bad = {row.line: row.problem for row in found if row.problem}
    assert bad == {
        4: "the row has 1 columns, the header has 2",
        5: "the row has 3 columns, the header has 2",
        9: "the row holds a NUL",
        10: "the row is no CSV: ';' expected after '\"'",
        11: "a quotation mark is opened and not closed",
        13: f"the row is longer than {LONGEST} bytes",
    }


def test_a_line_of_ten_megabytes_costs_no_memory(tmp_path: Path) -> None:
    path = made(tmp_path, b"a;b\n1;x\n" + b"2;" + b"y" * 10_000_000 + b"\n3;x\n")
    tracemalloc.start()
    found = read(path)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert [row.line for row in found] == [2, 3, 4]
    assert "longer" in found[1].problem
    assert row_of(found[1].raw, survey(path)).problem == found[1].problem
    assert most < 2_000_000


def test_a_column_that_stands_twice_is_named() -> None:
    assert columns_of(("Příjmení", "x"), {"family": ("family", "prijmeni")}) == {"family": 0}
    with pytest.raises(FileError, match="prijmeni stands twice"):
        columns_of(("Příjmení", "prijmeni"), {"family": ("prijmeni",)})


def test_dates_as_people_write_them() -> None:
    for text in ("1985-06-15", "15.6.1985", "15. 06. 1985", "15/06/1985"):
        assert day_of(text).isoformat() == "1985-06-15"


CELL = st.text(st.sampled_from('abc;,"\t' + CZECH), max_size=6)


@SHARED
@given(
    table=st.lists(st.tuples(CELL, CELL), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t"]),
    encoding=st.sampled_from(["utf-8", "utf-8-sig", "cp1250", "iso-8859-2"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_what_is_written_is_read(
    tmp_path: Path, table: list[tuple[str, str]], delimiter: str, encoding: str, end: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=end)
    writer.writerow(["id", "prijmeni"])
    writer.writerows(table)
    path = made(tmp_path, text.getvalue(), encoding)
    layout = survey(path, encoding.removesuffix("-sig"))
    found = read(path, layout)
    whole = [tuple(cell.strip() for cell in row) for row in table]
    # what chance wrote in UTF-8 within another encoding is refused, everything else is read
    assert all("UTF-8" in row.problem for row in found if row.problem)
    if encoding.startswith("utf-8"):
        assert [row.cells for row in found] == [row for row in whole if any(row)]


@SHARED
@given(
    body=st.one_of(
        st.binary(max_size=200),
        st.lists(
            st.sampled_from([b"a;b", b'"', b"\n", b"\r\n", b";", b"\0", b"\xc5\xbe", b"\x9e"]),
            max_size=40,
        ).map(b"".join),
    )
)  # fmt: skip
def test_every_byte_belongs_to_one_row_and_reading_goes_on_anywhere(
    tmp_path: Path, body: bytes
) -> None:
    path = made(tmp_path, b"a;b\n" + body)
    layout = survey(path)
    found = read(path, layout)
    at = layout.begins[0]
    for row in found:
        between = body[at - 4 : row.at - 4]  # lines without cells
        assert not between.replace(b";", b"").replace(b'"', b"").strip()
        assert row.raw == (b"a;b\n" + body)[row.at : row.end[0]]
        assert bool(row.problem) != (len(row.cells) == 2)
        at = row.end[0]
    for place, row in enumerate(found):
        assert list(rows(path, layout, row.end)) == found[place + 1 :]
