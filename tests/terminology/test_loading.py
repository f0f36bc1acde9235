"""Published files become code systems: whole, exchanged at a stroke, found by every filter."""

from __future__ import annotations

import json
import zipfile
from datetime import UTC, datetime
from pathlib import Path

import pytest

from pater.store.database import Database
from pater.terminology.loading import Loaded, LoadError, Row, System, arranged, load
from pater.terminology.model import Concept, Filter, Query, UnknownFilterError
from pater.terminology.resource_system import ResourceSystem
from pater.terminology.service import Terminology
from pater.terminology.sources import READERS
from pater.terminology.sources.files import Options
from pater.terminology.table_system import LoadedSystems, TableSystem
from pater.terminology.words import asked

NOW = datetime(2026, 1, 1, tzinfo=UTC)
URL = "http://example.org/animals"


def read(kind: str, *paths: Path, **options: object) -> list[tuple[System, dict[str, Row]]]:
    """What a reader makes of files."""
    found = READERS[kind](list(paths), Options(**options))  # type: ignore[arg-type]  # test values
    return [(system, arranged(rows)) for system, rows in found]


async def put(db: Database, system: System, rows: list[Row], digest: str = "d") -> Loaded:
    return await load(db, system, arranged(rows), digest=digest, now=NOW)


def animals() -> list[Row]:
    return [
        Row("animal", "Animal"),
        Row("pet", "Pet", parents=["animal"]),
        Row("dog", "Dog", parents=["pet", "animal"], names=[("cs", "", "Pes domácí")],
            properties=[("legs", "valueInteger", "4")]),
        Row("puppy", "Puppy", parents=["dog"], names=[("cs", "", "Štěně")]),
        Row("bird", "Bird", parents=["animal"], properties=[("legs", "valueInteger", "2")]),
        Row("dodo", "Dodo", parents=["bird"], status="retired", inactive=True),
    ]  # fmt: skip


SYSTEM = System(URL, "1", "Animals", "Animals", "en", properties=(("legs", "", "integer"),))


async def loaded(db: Database, url: str = URL) -> TableSystem:
    (found,) = await LoadedSystems(db).versions(url)
    return found


def twin() -> ResourceSystem:
    """The same code system as a resource."""
    concepts = [
        {
            "code": row.code, "display": row.display,
            "designation": [{"language": lang, "value": v} for lang, _, v in row.names],
            "property": [{"code": "parent", "valueCode": each} for each in row.parents]
            + [{"code": c, k: int(v)} for c, k, v in row.properties]
            + ([{"code": "status", "valueCode": row.status}] if row.status else []),
        }
        for row in animals()
    ]  # fmt: skip
    properties = [
        {"code": "parent", "uri": "http://hl7.org/fhir/concept-properties#parent"},
        {"code": "legs", "type": "integer"},
    ]
    return ResourceSystem({"url": URL, "property": properties, "concept": concepts})


@pytest.mark.parametrize(
    "query",
    [
        Query(),
        Query(offset=2, limit=2),
        Query(active_only=True),
        Query(text=asked("stene")),
        Query(text=asked("pes DOM")),
        Query(text=asked("d")),
        Query(text=("\x00",)),  # a filter without any word: nothing
        Query((Filter("concept", "is-a", "pet"),)),
        Query((Filter("concept", "descendent-of", "animal"),), asked("p")),
        Query((Filter("concept", "is-not-a", "pet"),)),
        Query((Filter("concept", "child-of", "animal"),)),
        Query((Filter("concept", "generalizes", "puppy"),)),
        Query((Filter("concept", "descendent-leaf", "animal"),)),
        Query((Filter("concept", "is-a", "unicorn"),)),
        Query((Filter("code", "in", "dog, bird"),)),
        Query((Filter("code", "not-in", "dog,bird"),)),
        Query((Filter("code", "regex", "d.*o"),)),
        Query((Filter("display", "regex", "[BD].*"),)),
        Query((Filter("display", "=", "Bird"),)),
        Query((Filter("legs", "=", "4"),)),
        Query((Filter("legs", "in", "2,4"),)),
        Query((Filter("legs", "exists", "true"),)),
        Query((Filter("legs", "exists", "false"),)),
        Query((Filter("legs", "regex", "[24]"),)),
        Query((Filter("parent", "=", "animal"),)),
        Query((Filter("child", "=", "dog"),)),
        Query((Filter("inactive", "=", "true"),)),
        Query((Filter("status", "=", "retired"),)),
    ],
)
async def test_tables_answer_as_the_same_system_in_memory_does(
    database: Database, query: Query
) -> None:
    await put(database, SYSTEM, animals())
    table, memory = await loaded(database), twin()

    def plain(concept: Concept) -> tuple[object, ...]:
        parents = tuple(sorted(concept.parents))
        names = tuple((each.language, each.value) for each in concept.designations)
        return concept.code, concept.display, concept.inactive, parents, names

    ours, theirs = await table.page(query), await memory.page(query)
    assert [plain(each) for each in ours.concepts] == [plain(each) for each in theirs.concepts]
    assert ours.total == theirs.total
    codes = [row.code for row in animals()] + ["unicorn"]
    assert await table.among(codes, query.filters) == await memory.among(codes, query.filters)


async def test_a_property_that_is_not_there_is_no_filter(database: Database) -> None:
    await put(database, SYSTEM, animals())
    with pytest.raises(UnknownFilterError):
        await (await loaded(database)).page(Query((Filter("colour", "=", "red"),)))


async def test_subsumption_with_several_parents(database: Database) -> None:
    await put(database, SYSTEM, animals())
    terms = Terminology(database)
    assert await terms.ancestors(URL, "puppy") == {"puppy", "dog", "pet", "animal"}
    assert await terms.descendants(URL, "bird") == {"bird", "dodo"}
    pets = f"{URL}?fhir_vs=isa/pet"
    assert await terms.expand_codes(pets) == {(URL, "pet"), (URL, "dog"), (URL, "puppy")}
    asked_for = [(URL, "dog"), (URL, "bird"), ("urn:x", "dog")]
    assert await terms.in_value_set(pets, asked_for) == {(URL, "dog")}
    assert (await terms.validate_code(pets, URL, "puppy", display="Štěně")).ok is True
    wrong = await terms.validate_code(pets, URL, "bird")
    assert wrong.ok is False
    assert "bird" in wrong.text
    assert (await terms.known_code("urn:nobody", "x")).ok is None


async def test_loading_again_changes_nothing_and_a_new_file_replaces_all(
    database: Database,
) -> None:
    assert (await put(database, SYSTEM, animals())).changed
    assert not (await put(database, SYSTEM, animals())).changed
    assert (await put(database, SYSTEM, animals()[:2], "other")).changed
    rows = await database.fetch("select system, code from term_concept")
    assert {row["code"] for row in rows} == {"animal", "pet"}
    assert len({row["system"] for row in rows}) == 1
    for table in ("term_designation", "term_property"):
        assert await database.fetchval(f"select count(*) from {table}") == 0
    second = System(URL, "2", "Animals", "Animals")
    await put(database, second, animals(), "second")
    terms = Terminology(database)
    assert (await terms.known_code(URL, "dog")).ok
    assert not (await terms.known_code(URL, "dog", version="1")).ok


async def test_a_load_that_fails_leaves_what_was_there(database: Database) -> None:
    await put(database, SYSTEM, animals())
    circle = [Row("a", "A", parents=["b"]), Row("b", "B", parents=["a"])]
    with pytest.raises(LoadError, match="circle"):
        await put(database, SYSTEM, circle, "bad")
    assert len((await (await loaded(database)).page(Query())).concepts) == 6
    with pytest.raises(LoadError, match="twice"):
        arranged([Row("a", "A"), Row("a", "B")])
    with pytest.raises(LoadError, match="not in the file"):
        arranged([Row("a", "A", parents=["z"])])


def test_mkn10_in_windows_1250_with_its_chapters(tmp_path: Path) -> None:
    file = tmp_path / "mkn10_2026.csv"
    text = (
        "KOD_TECKA;NAZEV\nA00-B99;Infekční nemoci\nA00-A09;Střevní nemoci\n"
        "A00;Cholera\nA00.1;Cholera, biotyp el tor\n"
    )
    file.write_bytes(text.encode("cp1250"))
    ((system, rows),) = read("mkn10", file)
    assert (system.url, system.version) == (
        "https://uzis.cz/terminology/CodeSystem/mkn-10", "2026",
    )  # fmt: skip
    assert rows["A00.1"].parents == ["A00"]
    assert rows["A00"].parents == ["A00-A09"]
    assert rows["A00-A09"].parents == ["A00-B99"]
    assert rows["A00-A09"].display == "Střevní nemoci"


def test_mistakes_in_a_table_are_told_by_line(tmp_path: Path) -> None:
    file = tmp_path / "list_2026.csv"
    file.write_text("kod;nazev\nA;first\n;second\n")
    with pytest.raises(LoadError, match=r"list_2026\.csv:3: no code"):
        read("mkn10", file)
    file.write_text("kod;nazev\nA;b;c;d\n")
    with pytest.raises(LoadError, match=r":2: 2 columns expected, 4 found"):
        read("mkn10", file)
    file.write_text("x;y\nA;b\n")
    with pytest.raises(LoadError, match="--column code="):
        read("mkn10", file)
    with pytest.raises(LoadError, match="--version"):
        unnamed = tmp_path / "list.csv"
        unnamed.write_text("kod;nazev\nA;b\n")
        read("mkn10", unnamed)
    with pytest.raises(LoadError, match="--url"):
        read("csv", file)


def test_nclp_atc_and_any_table(tmp_path: Path) -> None:
    items = tmp_path / "nclppol_2026.csv"
    items.write_text("KLIC;N24;N55;JEDN\n02585;S-Sodík;Sodík v séru;mmol/l\n")
    ((system, rows),) = read("nclp", items)
    assert system.url == "https://ncez.mzcr.cz/nclp/CodeSystem/nclppol"
    assert rows["02585"].display == "Sodík v séru"
    assert ("jedn", "valueString", "mmol/l") in rows["02585"].properties
    atc = tmp_path / "atc.csv"
    atc.write_text("ATC;NT;NAZEV;NAZEV_EN\nC;N;Srdce;HEART\nC07;N;Beta;BETA\nC07AB02;N;Meto;METO\n")
    ((_, rows),) = read("atc", atc, version="2026")
    assert rows["C07AB02"].parents == ["C07"]
    assert rows["C07"].names == [("en", "", "BETA")]
    free = tmp_path / "own.tsv"
    free.write_text("k\tn\tup\n1\tOne\t\n2\tTwo\t1\n")
    columns = {"code": "K", "display": "N", "parent": "UP"}
    ((system, rows),) = read("csv", free, url="urn:own", version="1", columns=columns)
    assert system.url == "urn:own"
    assert rows["2"].parents == ["1"]


def test_the_database_of_medicines(tmp_path: Path) -> None:
    file = tmp_path / "DLP20260101.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "dlp_lecivepripravky.csv",
            "KOD_SUKL;H;NAZEV;SILA;FORMA;BALENI;CESTA;DOPLNEK;ATC_WHO;REG\n"
            "0012345;;ŽLUTÝ;5MG;TBL NOB;30;POR;;C07AB02;R\n".encode("cp1250"),
        )
        archive.writestr("dlp_atc.csv", "ATC;NT;NAZEV;NAZEV_EN\nC;N;Srdce;HEART\n")
        archive.writestr("readme.txt", "nothing")
    found = {system.name: (system, rows) for system, rows in read("sukl", file)}
    assert set(found) == {"DLPLecivePripravky", "ATC"}
    system, rows = found["DLPLecivePripravky"]
    assert system.version == "20260101"
    assert rows["0012345"].display == "ŽLUTÝ 5MG TBL NOB 30"
    assert ("ATC", "valueCode", "C07AB02") in rows["0012345"].properties


def test_loinc_with_hierarchy_and_czech_names(tmp_path: Path) -> None:
    file = tmp_path / "Loinc_2.80.zip"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            "LoincTable/Loinc.csv",
            '"LOINC_NUM","COMPONENT","STATUS","LONG_COMMON_NAME","SHORTNAME"\n'
            '"2951-2","Sodium","ACTIVE","Sodium [Moles/volume] in Serum","Sodium SerPl"\n'
            '"1-8","Old","DEPRECATED","Old test","Old"\n',
        )
        archive.writestr(
            "AccessoryFiles/ComponentHierarchyBySystem/ComponentHierarchyBySystem.csv",
            '"PATH_TO_ROOT","SEQUENCE","IMMEDIATE_PARENT","CODE","CODE_TEXT"\n'
            '"","1","","LP1-1","Electrolytes"\n"LP1-1","1","LP1-1","2951-2","Sodium"\n',
        )
        archive.writestr(
            "AccessoryFiles/LinguisticVariants/csCZ32LinguisticVariant.csv",
            '"LOINC_NUM","COMPONENT","LONG_COMMON_NAME"\n"2951-2","sodík","Sodík v séru"\n',
        )
    ((system, rows),) = read("loinc", file)
    assert (system.version, system.case_sensitive) == ("2.80", False)
    assert rows["2951-2"].parents == ["LP1-1"]
    assert ("cs-CZ", "", "Sodík v séru") in rows["2951-2"].names
    assert rows["1-8"].inactive


SCT = "SnomedCT_X/Snapshot/Terminology/"


async def test_snomed_release_format_2(tmp_path: Path, database: Database) -> None:
    file = tmp_path / "snomed.zip"
    synonym, full = "900000000000013009", "900000000000003001"
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(
            f"{SCT}sct2_Concept_Snapshot_INT_20260101.txt",
            "id\teffectiveTime\tactive\tmoduleId\tdefinitionStatusId\n"
            + "".join(
                f"{code}\t20260101\t{active}\t9\t900000000000073002\r\n"
                for code, active in (("138875005", 1), ("404684003", 1), ("22298006", 1), ("99", 0))
            ),
        )
        archive.writestr(
            f"{SCT}sct2_Description_Snapshot-en_INT_20260101.txt",
            "id\teffectiveTime\tactive\tmoduleId\tconceptId\tlanguageCode\ttypeId\tterm\t"
            "caseSignificanceId\n"
            f"1\t20260101\t1\t9\t22298006\ten\t{full}\tMyocardial infarction (disorder)\t9\n"
            f'2\t20260101\t1\t9\t22298006\ten\t{synonym}\tHeart "attack"\t9\n'
            f"3\t20260101\t1\t9\t22298006\ten\t{synonym}\tMyocardial infarction\t9\n"
            f"4\t20260101\t1\t9\t22298006\tcs\t{synonym}\tInfarkt myokardu\t9\n"
            f"5\t20260101\t1\t9\t404684003\ten\t{full}\tClinical finding (finding)\t9\n",
        )
        archive.writestr(
            f"{SCT}sct2_Relationship_Snapshot_INT_20260101.txt",
            "id\teffectiveTime\tactive\tmoduleId\tsourceId\tdestinationId\trelationshipGroup\t"
            "typeId\tcharacteristicTypeId\tmodifierId\n"
            "1\t1\t1\t9\t22298006\t404684003\t0\t116680003\t9\t9\n"
            "2\t1\t1\t9\t404684003\t138875005\t0\t116680003\t9\t9\n"
            "3\t1\t0\t9\t22298006\t138875005\t0\t116680003\t9\t9\n",
        )
        archive.writestr(
            "SnomedCT_X/Snapshot/Refset/Language/der2_cRefset_LanguageSnapshot-en_INT_20260101.txt",
            "id\teffectiveTime\tactive\tmoduleId\trefsetId\treferencedComponentId\t"
            "acceptabilityId\nx\t1\t1\t9\t9\t3\t900000000000548007\n",
        )  # fmt: skip
    ((system, rows),) = read("snomed", file)
    assert system.version == "http://snomed.info/sct/900000000000207008/version/20260101"
    assert rows["22298006"].display == "Myocardial infarction"
    assert rows["404684003"].display == "Clinical finding (finding)"
    assert rows["99"].inactive
    await load(database, system, rows, digest="s", now=NOW)
    terms = Terminology(database)
    finding = "http://snomed.info/sct?fhir_vs=isa/404684003"
    verdict = await terms.validate_code(
        finding, "http://snomed.info/sct", "22298006", display='heart "ATTACK"'
    )
    assert verdict.ok, verdict.text
    czech = await terms.validate_code(finding, "http://snomed.info/sct", "22298006", language="cs")
    assert czech.display == "Infarkt myokardu"


ORPHA_XML = """<?xml version="1.0" encoding="UTF-8"?>
<JDBOR date="2026" version="1.3.42 / 4.1.8"><DisorderList count="1"><Disorder id="1">
<OrphaCode>58</OrphaCode><Name lang="cs">Alexandrova choroba</Name>
<SynonymList count="1"><Synonym lang="cs">AxD</Synonym></SynonymList>
<DisorderType id="2"><Name lang="cs">Nemoc</Name></DisorderType>
<ExternalReferenceList><ExternalReference id="3"><Source>ICD-10</Source>
<Reference>E75.2</Reference></ExternalReference></ExternalReferenceList>
</Disorder></DisorderList></JDBOR>"""


def test_orphanet_in_xml_and_json(tmp_path: Path) -> None:
    xml = tmp_path / "cs_product1.xml"
    xml.write_text(ORPHA_XML)
    other = tmp_path / "en_product1.json"
    disorder = {"OrphaCode": "58", "Name": [{"lang": "en", "label": "Alexander disease"}]}
    held = [{"version": "1.3.42", "DisorderList": [{"Disorder": [disorder]}]}]
    other.write_text(json.dumps({"JDBOR": held}))
    ((system, rows),) = read("orpha", xml, other)
    assert (system.version, system.language) == ("1.3.42", "cs")
    row = rows["58"]
    assert row.display == "Alexandrova choroba"
    assert ("en", "", "Alexander disease") in row.names
    assert ("cs", "", "AxD") in row.names
    assert ("ICD-10", "valueString", "E75.2") in row.properties
    bad = tmp_path / "bad.xml"
    bad.write_text('<!DOCTYPE a [<!ENTITY e "x">]><JDBOR version="1">&e;</JDBOR>')
    with pytest.raises(LoadError, match="entities"):
        read("orpha", bad)
    bad.write_text("<JDBOR>\n<a>")
    with pytest.raises(LoadError, match=r"bad\.xml:2"):
        read("orpha", bad)
