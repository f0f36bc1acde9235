"""Code systems published as tables: MKN-10, NČLP, ATC, the SÚKL database of medicines, others."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from pater.terminology.loading import LoadError, Row, System
from pater.terminology.sources.files import Options, Part, column, edition, parts, rows

Found = Iterator[tuple[System, Iterator[Row]]]
_BLOCK: Final = re.compile(r"([A-Z]\d\d)-([A-Z]\d\d)")
_ATC_LENGTHS: Final = (1, 3, 4, 5, 7)


@dataclass(frozen=True, slots=True)
class _Table:
    """How one table is read: columns by role (first match), further names, properties."""

    url: str
    name: str
    title: str
    code: tuple[str, ...]
    display: tuple[str, ...]
    parent: tuple[str, ...] = ("parent", "nadrazeny", "nadrazeny_kod", "rodic")
    english: tuple[str, ...] = ("nazev_en", "name_en")
    definition: tuple[str, ...] = ("definition", "definice", "popis")
    joined: tuple[str, ...] = ()  # columns that make the display longer
    properties: Mapping[str, str] | None = None  # column -> property code; None = all others


def mkn10(paths: Sequence[Path], options: Options) -> Found:
    """MKN-10 of ÚZIS: code with a dot, Czech name; chapters, blocks and categories above."""
    table = _Table(
        "https://uzis.cz/terminology/CodeSystem/mkn-10", "MKN10", "MKN-10",
        ("kod_tecka", "kod_s_teckou", "kod", "code", "mkn10", "mkn"),
        ("nazev_plny", "nazev", "název", "display", "text"),
        properties={},
    )  # fmt: skip
    yield from _one(paths, options, table, _above_in_mkn)


def nclp(paths: Sequence[Path], options: Options) -> Found:
    """NČLP: items or materials by their key, the longest name, all other columns as properties."""
    for part in parts(paths):
        material = "mat" in part.last
        table = _Table(
            f"https://ncez.mzcr.cz/nclp/CodeSystem/{'nclpmat' if material else 'nclppol'}",
            "NCLPMAT" if material else "NCLPPOL",
            "NČLP, materiály" if material else "NČLP, položky",
            ("klic", "klíč", "klic_nclp", "code"),
            ("nazev", "n55", "n55l", "n32", "n24", "text", "display"),
        )  # fmt: skip
        yield _system(part, table, options), _rows(part, options, table, None)


def atc(paths: Sequence[Path], options: Options) -> Found:
    """The ATC classification as SÚKL publishes it; the levels follow from the code's length."""
    yield from _one(paths, options, _ATC, _above_in_atc)


_ATC: Final = _Table(
    "https://sukl.cz/terminology/CodeSystem/dlp-atc", "ATC", "ATC klasifikace",
    ("atc", "code", "kod"), ("nazev", "display"), properties={"nt": "NT"},
)  # fmt: skip
_DLP: Final[Mapping[str, _Table]] = {
    "dlp_lecivepripravky": _Table(
        "https://sukl.cz/terminology/CodeSystem/dlp-lecivepripravky", "DLPLecivePripravky",
        "Léčivé přípravky", ("kod_sukl",), ("nazev",),
        joined=("sila", "forma", "baleni", "doplnek"),
        properties={"atc_who": "ATC", "forma": "FORMA", "cesta": "CESTA", "reg": "REG",
                    "drz": "DRZ", "sila": "SILA", "baleni": "BALENI", "stav": "STAV",
                    "rc": "RC", "vydej": "VYDEJ"},
    ),
    "dlp_atc": _ATC,
    "dlp_formy": _Table(
        "https://sukl.cz/terminology/CodeSystem/dlp-formy", "DLPFormy", "Lékové formy",
        ("forma",), ("nazev",), properties={},
    ),
    "dlp_latky": _Table(
        "https://sukl.cz/terminology/CodeSystem/dlp-lecivelatky", "DLPLeciveLatky",
        "Léčivé látky", ("kod_latky",), ("nazev", "nazev_inn", "nazev_en"), properties={},
    ),
    "dlp_cesty": _Table(
        "https://sukl.cz/terminology/CodeSystem/dlp-cesty", "DLPCesty", "Cesty podání",
        ("cesta",), ("nazev",), properties={},
    ),
}  # fmt: skip


def sukl(paths: Sequence[Path], options: Options) -> Found:
    """The DLP zip of SÚKL: medicines, ATC, forms, substances, routes, as far as they are in it."""
    found = 0
    for part in parts(paths):
        table = _DLP.get(part.last.removesuffix(".csv"))
        if table is not None:
            found += 1
            above = _above_in_atc if table is _ATC else None
            yield _system(part, table, options, own_url=False), _rows(part, options, table, above)
    if not found:
        raise LoadError(f"none of {', '.join(f'{name}.csv' for name in _DLP)} is in the files")


def plain(paths: Sequence[Path], options: Options) -> Found:
    """Any table: --url says what it is, columns `code`, `display`, `parent`, others properties."""
    if not options.url:
        raise LoadError("say which code system this is: --url")
    name = re.sub(r"\W+", "", options.url.rpartition("/")[2].title()) or "CodeSystem"
    table = _Table(options.url, name, name, ("code", "kod"), ("display", "nazev", "name"))
    yield from _one(paths, options, table, None)


def _one(
    paths: Sequence[Path],
    options: Options,
    table: _Table,
    above: Callable[[str, frozenset[str]], str] | None,
) -> Found:
    found = parts(paths)
    if len(found) != 1:
        raise LoadError(f"one file is expected, these are {len(found)}")
    (part,) = found
    yield _system(part, table, options), _rows(part, options, table, above)


def _system(part: Part, table: _Table, options: Options, *, own_url: bool = True) -> System:
    named = table.properties
    codes = tuple(named.values()) if named is not None else ()
    return System(
        url=(options.url if own_url else "") or table.url,
        version=edition(part.path, options.version),
        name=table.name,
        title=table.title,
        language="cs",
        properties=tuple((code, "", "code" if code == "ATC" else "string") for code in codes),
    )


def _rows(
    part: Part,
    options: Options,
    table: _Table,
    above: Callable[[str, frozenset[str]], str] | None,
) -> Iterator[Row]:
    made: list[Row] = []
    roles: dict[str, str] = {}
    for line, values in rows(part, encoding=options.encoding, delimiter=options.delimiter):
        if not roles:
            roles = _roles(values, options, table, part)
        code = values.get(roles["code"], "")
        if not code:
            raise LoadError(f"{part.name}:{line}: no code")
        made.append(_row(code, values, roles, table))
    if not made:
        raise LoadError(f"{part.name}: the table is empty")
    if above is not None and not roles["parent"]:
        codes = frozenset(row.code for row in made)
        for row in made:
            parent = above(row.code, codes)
            row.parents = [parent] if parent else []
    yield from made


def _roles(
    values: Mapping[str, str], options: Options, table: _Table, part: Part
) -> dict[str, str]:
    given = {role: name.strip().lower() for role, name in options.columns.items()}
    for name in given.values():
        if name not in values:
            raise LoadError(f"{part.name}: there is no column {name}")
    roles = {
        "code": column(values, (given.get("code", ""), *table.code), part, "code"),
        "display": column(values, (given.get("display", ""), *table.display), part, "display"),
    }
    for role, wanted in (
        ("parent", table.parent),
        ("english", table.english),
        ("definition", table.definition),
    ):
        choices = (given.get(role, ""), *wanted)
        roles[role] = next((each for each in choices if each and each in values), "")
    return roles


def _row(code: str, values: Mapping[str, str], roles: Mapping[str, str], table: _Table) -> Row:
    display = values.get(roles["display"], "")
    more = [values[each] for each in table.joined if values.get(each)]
    english = values.get(roles["english"], "") if roles["english"] else ""
    parent = values.get(roles["parent"], "") if roles["parent"] else ""
    used = set(roles.values()) | set(table.joined)
    if table.properties is None:
        held = [(k, "valueString", v) for k, v in values.items() if v and k and k not in used]
    else:
        held = [
            (name, "valueCode" if name == "ATC" else "valueString", values[key])
            for key, name in table.properties.items()
            if values.get(key)
        ]
    return Row(
        code=code,
        display=" ".join([display, *more]) or code,
        definition=values.get(roles["definition"], "") if roles["definition"] else "",
        parents=[parent] if parent else [],
        names=[("en", "", english)] if english else [],
        properties=held,
    )


def _above_in_mkn(code: str, codes: frozenset[str]) -> str:
    """The category of a code, the narrowest block around a category."""
    bare = code.rstrip("*+†")
    match = _BLOCK.fullmatch(bare)
    for end in range(len(bare) - 1, 2 if match is None else len(bare), -1):
        shorter = bare[:end].rstrip(".")
        if shorter in codes and shorter != code:
            return shorter
    low, high = (match[1], match[2]) if match else (bare[:3], bare[:3])
    around = [
        (each, found)
        for each in codes
        if each != code
        and (found := _BLOCK.fullmatch(each)) is not None
        and found[1] <= low
        and high <= found[2]
    ]
    narrowest = min(around, key=lambda each: _width(each[1]), default=None)
    return narrowest[0] if narrowest else ""


def _width(block: re.Match[str]) -> int:
    def place(code: str) -> int:
        return ord(code[0]) * 100 + int(code[1:])

    return place(block[2]) - place(block[1])


def _above_in_atc(code: str, codes: frozenset[str]) -> str:
    shorter = [code[:length] for length in _ATC_LENGTHS if length < len(code)]
    return next((each for each in reversed(shorter) if each in codes), "")
