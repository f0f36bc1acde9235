"""Names of invented foreigners, each as passports, Czech offices and their own script have it.

Shares are of everybody who lives in the country, after the Czech Statistical Office's count of
foreigners at the end of 2024, refugees included.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final, NamedTuple

SHARES: Final = (("UKR", 0.054), ("SVK", 0.011), ("VNM", 0.006), ("RUS", 0.0035))


class Spelled(NamedTuple):
    """One name: as in the passport, as the Czech write it, in the own script or with its marks."""

    passport: str
    czech: str
    own: str


class Line(NamedTuple):
    """A family name of men and of women."""

    man: Spelled
    woman: Spelled


def _spelled(text: str) -> Spelled:
    first, *others = text.split("|")
    czech = others[0] if others else first
    return Spelled(first, czech, others[1] if len(others) > 1 else czech)


def _lines(text: str) -> tuple[Line, ...]:
    """One line a name; the woman's form after a semicolon where she has one."""
    found = []
    for line in text.strip().splitlines():
        man, _, woman = line.strip().partition("; ")
        found.append(Line(_spelled(man), _spelled(woman or man)))
    return tuple(found)


def _names(text: str) -> tuple[Spelled, ...]:
    return tuple(_spelled(each.strip()) for each in text.strip().split("\n"))


_FAMILIES: Final = {
    "UKR": _lines("""
        Shevchenko|Ševčenko|Шевченко
        Kovalenko|Kovalenko|Коваленко
        Bondarenko|Bondarenko|Бондаренко
        Tkachenko|Tkačenko|Ткаченко
        Kravchenko|Kravčenko|Кравченко
        Oliinyk|Olijnyk|Олійник
        Shevchuk|Ševčuk|Шевчук
        Polishchuk|Poliščuk|Поліщук
        Lysenko|Lysenko|Лисенко
        Marchenko|Marčenko|Марченко
        Rudenko|Rudenko|Руденко
        Savchenko|Savčenko|Савченко
        Petrenko|Petrenko|Петренко
        Melnyk|Melnyk|Мельник
        Klymenko|Klymenko|Клименко
        Pavlenko|Pavlenko|Павленко
        Havryliuk|Havryljuk|Гаврилюк
        Khomenko|Chomenko|Хоменко
        Zhuk|Žuk|Жук
        Yurchenko|Jurčenko|Юрченко
        Kovalchuk|Kovalčuk|Ковальчук
        Kravchuk|Kravčuk|Кравчук
        Moroz|Moroz|Мороз
        Honcharenko|Hončarenko|Гончаренко
        Romaniuk|Romaňuk|Романюк
        Bilous|Bilous|Білоус
        Shcherbak|Ščerbak|Щербак
        Tsymbal|Cymbal|Цимбал
        Kharchenko|Charčenko|Харченко
        Yakovenko|Jakovenko|Яковенко
        Chornyi|Čornyj|Чорний; Chorna|Čorna|Чорна
        Kovalskyi|Kovalskyj|Ковальський; Kovalska|Kovalska|Ковальська
        Vyshnevskyi|Vyšnevskyj|Вишневський; Vyshnevska|Vyšnevska|Вишневська
        Bilyi|Bilyj|Білий; Bila|Bila|Біла
        Zaitsev|Zajcev|Зайцев; Zaitseva|Zajceva|Зайцева
        Hnatiuk|Hnaťuk|Гнатюк
        Dziuba|Dzjuba|Дзюба
        Yushchenko|Juščenko|Ющенко
        Ivashchenko|Ivaščenko|Іващенко
        Stelmakh|Stelmach|Стельмах
    """),
    "RUS": _lines("""
        Ivanov|Ivanov|Иванов; Ivanova|Ivanova|Иванова
        Kuznetsov|Kuzněcov|Кузнецов; Kuznetsova|Kuzněcova|Кузнецова
        Smirnov|Smirnov|Смирнов; Smirnova|Smirnova|Смирнова
        Zhukov|Žukov|Жуков; Zhukova|Žukova|Жукова
        Chernyshev|Černyšev|Чернышев; Chernysheva|Černyševa|Чернышева
        Shcherbakov|Ščerbakov|Щербаков; Shcherbakova|Ščerbakova|Щербакова
        Tarkovskii|Tarkovskij|Тарковский; Tarkovskaia|Tarkovskaja|Тарковская
        Khabarov|Chabarov|Хабаров; Khabarova|Chabarova|Хабарова
        Iakovlev|Jakovlev|Яковлев; Iakovleva|Jakovleva|Яковлева
        Golubev|Golubjev|Голубев; Golubeva|Golubjeva|Голубева
    """),
    "VNM": _lines("""
        Nguyen|Nguyen|Nguyễn
        Tran|Tran|Trần
        Le|Le|Lê
        Pham|Pham|Phạm
        Hoang|Hoang|Hoàng
        Vu|Vu|Vũ
        Dang|Dang|Đặng
        Bui|Bui|Bùi
        Do|Do|Đỗ
        Ngo|Ngo|Ngô
        Duong|Duong|Dương
        Dinh|Dinh|Đinh
    """),
    "SVK": _lines("""
        Kováč|Kovář; Kováčová|Kovářová
        Horváth|Horvát; Horváthová|Horvátová
        Varga; Vargová
        Tóth|Tót; Tóthová|Tótová
        Nagy|Naď; Nagyová|Naďová
        Baláž; Balážová
        Szabó|Sabo; Szabóová|Sabová
        Molnár|Molnar; Molnárová|Molnarová
        Balog; Balogová
        Lukáč|Lukač; Lukáčová|Lukačová
        Hudák|Hudák; Hudáková|Hudáková
        Gajdoš; Gajdošová
        Oravec; Oravcová
        Sokol; Sokolová
        Németh|Nemet; Némethová|Nemetová
        Ďurica|Durica; Ďuricová|Duricová
        Ľupták|Lupták; Ľuptáková|Luptáková
        Krajčír|Krajčí; Krajčírová|Krajčíová
    """),
}
_OFTEN: Final = {"VNM": (38, 11, 10, 7, 5, 4, 2, 2, 2, 1, 1, 1)}
_GIVENS: Final = {
    ("UKR", "m"): _names("""Oleksandr|Oleksandr|Олександр
        Serhii|Serhij|Сергій
        Andrii|Andrij|Андрій
        Volodymyr|Volodymyr|Володимир
        Mykhailo|Mychajlo|Михайло
        Dmytro|Dmytro|Дмитро
        Yurii|Jurij|Юрій
        Ivan|Ivan|Іван
        Vasyl|Vasyl|Василь
        Mykola|Mykola|Микола
        Oleksii|Oleksij|Олексій
        Yevhen|Jevhen|Євген
        Ihor|Ihor|Ігор
        Yaroslav|Jaroslav|Ярослав
        Taras|Taras|Тарас
        Viacheslav|Vjačeslav|В'ячеслав"""),
    ("UKR", "f"): _names("""Olena|Olena|Олена
        Nataliia|Natalija|Наталія
        Oksana|Oksana|Оксана
        Iryna|Iryna|Ірина
        Tetiana|Teťana|Тетяна
        Yuliia|Julija|Юлія
        Liudmyla|Ljudmyla|Людмила
        Halyna|Halyna|Галина
        Svitlana|Svitlana|Світлана
        Mariia|Marija|Марія
        Khrystyna|Chrystyna|Христина
        Yana|Jana|Яна
        Anastasiia|Anastasija|Анастасія
        Zhanna|Žanna|Жанна
        Mariana|Marjana|Мар'яна"""),
    ("RUS", "m"): _names("""Sergei|Sergej|Сергей
        Aleksei|Alexej|Алексей
        Dmitrii|Dmitrij|Дмитрий
        Mikhail|Michail|Михаил
        Evgenii|Jevgenij|Евгений
        Iurii|Jurij|Юрий"""),
    ("RUS", "f"): _names("""Elena|Jelena|Елена
        Iuliia|Julija|Юлия
        Natalia|Natalja|Наталья
        Tatiana|Taťana|Татьяна
        Ekaterina|Jekatěrina|Екатерина
        Olga|Olga|Ольга"""),
    ("VNM", "m"): _names("""Van Minh|Van Minh|Văn Minh
        Duc Anh|Duc Anh|Đức Anh
        Van Hung|Van Hung|Văn Hùng
        Quang Huy|Quang Huy|Quang Huy
        Van Nam|Van Nam|Văn Nam
        Tuan Anh|Tuan Anh|Tuấn Anh
        Xuan Son|Xuan Son|Xuân Sơn
        Dinh Trong|Dinh Trong|Đình Trọng
        Van Thanh|Van Thanh|Văn Thành"""),
    ("VNM", "f"): _names("""Thi Lan|Thi Lan|Thị Lan
        Thi Hoa|Thi Hoa|Thị Hoa
        Thu Ha|Thu Ha|Thu Hà
        Thi Mai|Thi Mai|Thị Mai
        Ngoc Anh|Ngoc Anh|Ngọc Ánh
        Thi Huong|Thi Huong|Thị Hương
        Minh Chau|Minh Chau|Minh Châu
        Thi Dung|Thi Dung|Thị Dung
        Thi Bich Dao|Thi Bich Dao|Thị Bích Đào"""),
    ("SVK", "m"): _names("""Jozef|Josef
        Ján|Jan
        Juraj|Jiří
        Štefan|Štěpán
        Peter|Petr
        Pavol|Pavel
        Ľubomír|Lubomír
        Ľudovít|Ludvík
        Ondrej|Ondřej
        Matúš|Matouš
        Tomáš
        Michal
        Marek"""),
    ("SVK", "f"): _names("""Mária|Marie
        Katarína|Kateřina
        Alžbeta|Alžběta
        Lucia|Lucie
        Natália|Natálie
        Júlia|Julie
        Ľudmila|Ludmila
        Zuzana
        Jana
        Eva
        Monika
        Andrea"""),
}


def country(random: Random) -> str:
    """Of which country a household is, ISO 3166 alpha-3; empty for Czech."""
    draw = random.random()
    for name, share in SHARES:
        if draw < share:
            return name
        draw -= share
    return ""


def line(random: Random, country: str) -> Line:
    """A family name; in Vietnam a few families bear most of them."""
    families = _FAMILIES[country]
    return random.choices(families, _OFTEN.get(country))[0]


def given(random: Random, country: str, sex: str, taken: Sequence[str]) -> Spelled:
    """A given name that is not taken by a sibling (as the passport has it)."""
    names = _GIVENS[country, sex]
    while True:
        chosen = random.choice(names)
        if chosen.passport not in taken:
            return chosen


def often(kind: str) -> dict[str, float]:
    """How large a share of everybody bears these family or given names, in each spelling, roughly.

    A dozen families bear most Vietnamese names; of others one in 250 of the country has each.
    """
    found: dict[str, float] = {}
    for country, share in SHARES:
        if kind == "family":
            weights = _OFTEN.get(country)
            for place, line in enumerate(_FAMILIES[country]):
                own = weights[place] / 100 if weights else 0.004
                for name in (*line.man, *line.woman):
                    found[name] = max(found.get(name, 0.0), share * own)
        else:
            for sex in "mf":
                names = _GIVENS[country, sex]
                for name in (words[-1] for each in names for words in map(str.split, each)):
                    found[name] = max(found.get(name, 0.0), share / 2 / len(names))
    return found
