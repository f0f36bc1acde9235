"""Makes the compact file of Czech names by which persons are invented (`registers/people`).

Input: the folder of an unpacked archive with `firstnames-by-birth-decade.csv` (public statistics of
the Ministry of the Interior), `firstnames-boys.csv`, `firstnames-girls.csv` and `surnames.txt`.
The statistics count given names; surnames come without counts. The hundred commonest are known in
their order, the others get places by a shuffle that stays the same, and counts follow a power law
that meets the published numbers of the first, tenth and hundredth.

    .venv/bin/python tools/generate_names.py FOLDER
"""

from __future__ import annotations

import csv
import sys
from pathlib import Path
from random import Random

import orjson
import zstandard

TARGET = Path(__file__).resolve().parent.parent / "src/pater/registers/people/names.json.zst"
DECADES = [str(year) for year in range(1920, 2011, 10)]
FEWEST = 60  # bearers of a given name
COMMONEST = """
Novák Svoboda Novotný Dvořák Černý Procházka Kučera Veselý Horák Němec Marek Pospíšil Pokorný Hájek
Král Jelínek Růžička Beneš Fiala Sedláček Doležal Zeman Kolář Krejčí Navrátil Čermák Urban Vaněk
Blažek Kříž Kratochvíl Kopecký Bartoš Vlček Musil Kovář Šimek Polák Konečný Malý Čech Štěpánek
Staněk Kadlec Holub Soukup Šťastný Mareš Vávra Sýkora Moravec Tichý Ševčík Valenta Kašpar Bureš
Vítek Beran Dušek Říha Hrubý Matoušek Havlíček Bláha Mach Müller Janda Strnad Jaroš Šimon Toman
Hruška Šebesta Pavlík Švec Kovařík Straka Slavík Havel Ježek Zelenka Klíma Vacek Tomášek Vondráček
Urbánek Bárta Šmíd Hanák Kubíček Kubát Bednář Vaníček Macháček Hora Žák Janeček Pavlíček Kos Pešek
""".split()


def feminine(name: str) -> list[str]:
    """How a woman of the family may be called, the likeliest first."""
    if name.endswith(("ý", "ský", "cký")):
        return [name[:-1] + "á"]
    if name.endswith(("í", "ů")):
        return [name]
    found = []
    soft = {"něk": "ňková", "děk": "ďková", "těk": "ťková"}.get(name[-3:])
    if soft:
        found.append(name[:-3] + soft)
    if name[-2:] in ("ek", "ec", "el") and len(name) > 3:
        found.append(name[:-2] + name[-1] + "ová")
    if name[-1] in "aeoi":
        found.append(name[:-1] + "ová")
    return [*found, name + "ová"]


def surnames(names: set[str]) -> list[list[object]]:
    """Masculine form, feminine form, count of men; the commonest first."""
    pairs = {}
    for name in names:
        if name.endswith(("ová", "ská", "cká")):
            continue
        form = next((each for each in feminine(name) if each in names), None)
        if form and not (form == name and not name.endswith(("í", "ů"))):
            pairs[name] = form
    known = [name for name in COMMONEST if name in pairs]
    others = sorted(set(pairs) - set(known))
    Random(1).shuffle(others)
    ranked = [*known, *others]
    return [[name, pairs[name], _count(rank)] for rank, name in enumerate(ranked, 1)]


def _count(rank: int) -> int:
    return round(34_000 * rank**-0.5 if rank <= 100 else 3_400 * (rank / 100) ** -0.65)


def givens(folder: Path) -> dict[str, list[list[object]]]:
    """By sex: name and counts by decade of birth."""
    lists = {
        sex: set((folder / f"firstnames-{kind}.csv").read_text(encoding="utf-8").splitlines())
        for sex, kind in (("m", "boys"), ("f", "girls"), ("", "neutral"))
    }
    found: dict[str, list[list[object]]] = {"m": [], "f": []}
    with (folder / "firstnames-by-birth-decade.csv").open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = row["name"]
            if int(row["total"]) < FEWEST or not name.isalpha():
                continue
            boy, girl = name in lists["m"], name in lists["f"]
            listed = boy or girl or name in lists[""]
            if not listed and int(row["total"]) < 1_000:
                continue
            by_ending = "f" if name.endswith(("A", "E", "IE")) else "m"
            sex = by_ending if boy == girl else "m" if boy else "f"
            found[sex].append([name.capitalize(), *(int(row[d] or 0) for d in DECADES)])
    return found


def main() -> None:
    folder = Path(sys.argv[1])
    families = surnames(set((folder / "surnames.txt").read_text(encoding="utf-8").split()))
    made = {"decades": [int(d) for d in DECADES], "given": givens(folder), "family": families}
    TARGET.write_bytes(zstandard.compress(orjson.dumps(made), 19))
    counts = {sex: len(names) for sex, names in made["given"].items()}
    print(f"{len(families)} families, given names {counts}, {TARGET.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
