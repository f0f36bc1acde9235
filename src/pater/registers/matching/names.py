"""Names as they are written and heard: the ending of the gender, the sound, familiar forms.

Pure. Everything here but `heard` takes names without marks and case (`spelling.plain`).
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from pater.registers.matching.spelling import canonical, readings

_ENDINGS: Final = ("skaja", "skaia", "skaya", "skij", "skyj", "skyi", "skii", "skiy", "ckaja",
                   "ckij", "ckyj", "ska", "sky", "ski", "cka", "cky")  # fmt: skip
_VOWELS: Final = "aeiouy"
_FLEETING: Final = re.compile(r"(?<=[^aeiouy])e(?=[kcl]$)")  # Hájek, Hájková; Němec, Němcová

_SOUNDS: Final = str.maketrans("gdbzv", "ktpsf")
_DOUBLED: Final = re.compile(r"(.)\1+")
_CODE: Final = 5

_FAMILIAR: Final = (
    "jan honza jenda jenik johan johann john jano janko janos",
    "josef pepa pepik jozef joseph jozka yosyp iosif",
    "jiri jirka juraj georg george yuri jurij yurii iurii heorhii georgij georgii gyorgy",
    "frantisek franta fanda frantik franz ferko", "vaclav vasek vena wenzel",
    "antonin tonda tonik anton toni", "karel kaja karl karol charles",
    "jaroslav jarda jara yaroslav iaroslav", "miroslav mirek mira", "stanislav standa stana",
    "vladimir vlada vladik volodymyr wladimir", "ladislav lada laco vladislav",
    "zdenek zdena zdenda", "petr peta petya petro peter pjotr piotr petar",
    "pavel pavlik pavol pavlo paul palo", "tomas tom tomasek", "martin mara martas",
    "michal misa michael mike mykhailo mychajlo mikhail michail misko", "jakub kuba jacob kubik",
    "lukas luky lucas", "ondrej ondra andrej andrew andrii andrij andrei andrey andreas",
    "vojtech vojta bela", "matej mates mathew", "matyas matias", "david davidek dave",
    "daniel dan danek danny", "filip fila philip", "adam ada adamek", "dominik domca",
    "marek mara mark", "milan milos", "roman roma", "radek radoslav", "radomir radim",
    "rudolf ruda", "bohumil bohous", "oldrich olda", "otakar ota oto", "eduard eda edward",
    "robert bob", "richard risa", "viktor vitek", "vit vitek",
    "alexandr sasa alex aleksandr oleksandr alexander olexandr", "nikola niki nikol nicole",
    "kristyna tyna kristina kristi christina",
    "katerina katka kata kaca katarina catherine kateryna jekaterina ekaterina yekaterina",
    "jana janicka jaja", "marie maruska marenka maria mary marija mariia mariya",
    "anna anicka andulka ana hanna ganna", "eva evicka evka", "hana hanka hanicka hanna",
    "lenka helena lena", "lucie lucka lucia", "petra petruska", "veronika verca verka",
    "vera verka", "tereza terka tera terezie theresa", "zuzana zuzka zuza susanna",
    "marketa meda margita margareta", "alzbeta bety betka elizabeth", "eliska elizabeth",
    "barbora bara barca barbara barunka", "jitka jituska judita",
    "ludmila lida lidka lyudmyla liudmyla ljudmyla ljudmila lyudmila", "jaroslava jarka jaruska",
    "miroslava mirka", "zdenka zdena zdenicka", "vlasta vlastimila", "bozena boza", "dana danka",
    "dagmar dasa", "drahomira draha", "ivana iva ivanka", "jirina jirka jirinka", "kamila kami",
    "karolina kaja karla", "klara klarka clara", "magdalena magda majda", "michaela misa",
    "monika monca", "natalie natalka natasa natalia nataliia natalija natalya natalja",
    "olga olina olha helga", "pavla pavlina", "renata rena", "romana roma", "sarka sari",
    "simona sima", "sofie zofie sofia sophia", "stanislava stana", "vendula vendy vendulka",
    "viktorie viky viktoria victoria viktoriia viktorija", "adela ada adelka", "andrea andy",
    "denisa denca", "gabriela gabi gabina", "iveta ivetka yveta",
    "julie julka julia yuliia julija iuliia yulia", "libuse liba", "nela nelly", "aneta anetka",
    "alena ala alenka", "alexandra sasa oleksandra aleksandra",
    "serhij serhii sergej sergei sergey serhiy", "oleksij oleksii aleksej alexej alexey aleksei",
    "dmytro dmitrij dmitrii dmitry dima", "mykola nikolaj nikolai mikolaj mikulas miklos",
    "jevhen yevhen ievhen evgenij evgenii jevgenij eugen evzen", "olena elena jelena yelena helena",
    "svitlana svetlana svetla", "tetjana tetiana tatjana tatiana tatyana tana", "iryna irina irena",
    "halyna galina halina", "oksana xenie kseniia ksenija oksanka", "marjana mariana maryana",
    "ihor igor", "oleh oleg", "vasyl vasil vasilij vasilii vasile",
    "hryhorij hryhorii grigorij grigorii rehor", "stepan stefan stepanko", "ljubov liubov lubov",
    "lubomir lubos lubo", "ludovit ludvik lajos", "laszlo ladislav", "istvan stefan stepan",
    "ferenc frantisek", "matus matous", "anastasija anastasiia anastazie nasta",
)  # fmt: skip


def _familiar() -> dict[str, frozenset[int]]:
    groups: dict[str, set[int]] = {}
    for number, group in enumerate(_FAMILIAR):
        for name in group.split():
            groups.setdefault(name, set()).add(number)
    return {name: frozenset(numbers) for name, numbers in groups.items()}


_GROUPS: Final = _familiar()


def familiar(one: str, other: str) -> bool:
    """Whether two given names are forms of one: Jan and Honza, Kateřina and Katka."""
    mine = _GROUPS.get(one)
    theirs = _GROUPS.get(other) if mine else None
    return bool(mine and theirs and mine & theirs)


@lru_cache(maxsize=8192)
def stem(name: str) -> str:
    """A family name without what differs between a man and a woman: Novák, Nováková → novak.

    The same is done to both forms, so it need not be a word: Veselý, Veselá → vesel.
    """
    if " " in name or "-" in name:
        parts = [stem(part) for part in re.split(r"[ -]+", name) if part]
        return " ".join(parts)
    for ending in _ENDINGS:
        if name.endswith(ending) and len(name) > len(ending) + 1:
            return name[: -len(ending)] + ending[:1] + "k"
    for ending in ("ova", "eva", "ov", "ev"):
        if name.endswith(ending) and len(name) > len(ending) + 2:
            name = name[: -len(ending)]
            break
    if len(name) > 3 and name[-1] in _VOWELS:
        name = name[:-1]
    return _FLEETING.sub("", name)


@lru_cache(maxsize=8192)
def sound(name: str) -> str:
    """A short code that stays the same over vowels, voice, doubled letters and spellings.

    The first letter and the consonants after it, at most five: for finding, not for comparing.
    """
    name = re.sub(r"[^a-z0-9]", "", name) if name.isascii() else name.replace(" ", "")
    # ch is one sound in Czech and another in English: here it is one with all of theirs
    name = canonical(name.replace("kh", "ch"), czech=False).replace("ck", "k")
    name = _DOUBLED.sub(r"\1", name.translate(_SOUNDS))
    return name[:1] + "".join(c for c in name[1:] if c not in "aeiouh")[: _CODE - 1]


@lru_cache(maxsize=16_384)
def heard(family: str) -> frozenset[str]:
    """The stems of what a family name (no case, perhaps with marks) may stand for."""
    return frozenset(stem(each) for each in readings(family))
