"""The demonstration's reports of the town hospital in Jílový Brod."""
# ruff: noqa: E501  # clinical prose reads better unbroken

# fmt: off
from __future__ import annotations

from dataclasses import replace
from typing import Final

from pater.domains.exchange.demo.report import Diagnosis, Done, Finding, Implant, Medicine, Report

_COPD_HISTORY: Final = (
    "CHOPN od roku 2014, fenotyp s častými exacerbacemi, hypertenze. Bývalý horník, kouřil 40 let 20 cigaret denně, "
    "nyní 5 denně. Po diklofenaku kožní vyrážka. Žije s manželkou v rodinném domě."
)
_COPD_HOME: Final = (
    Medicine("tiotropium", "2 vdechy ráno", (1, "d"), ("2", "vdechy"), why="CHOPN"),
    Medicine("salbutamol", "1–2 vdechy při dušnosti, nejvýše 8 denně", dose=("2", "vdechy"), why="CHOPN"),
    Medicine("amlodipin", "1 tableta ráno", (1, "d"), why="hypertenze"),
)

_UROSEPSIS: Final = Report(
    key="pokorna-ledviny", number="PZ-2026-001102", patient="pokorna", hospital="b",
    author="b-interna", attester="b-interna",
    title="Propouštěcí zpráva – akutní pyelonefritida",
    department="Interní oddělení",
    start="2026-04-02T19:30", end="2026-04-09T10:00",
    admitted_from="emd", priority="UR", discharged_to="home",
    reason="Horečka 39,5 °C s třesavkou, bolest v pravé bederní krajině a pálení při močení dva dny.",
    admission="Schvácená, TK 98/60, tep 112/min, dechová frekvence 22/min. Tapottement vpravo pozitivní, břicho měkké. qSOFA 2.",
    history="Gastroezofageální reflux. Dvě nekomplikované infekce močových cest v posledním roce. Alergie na penicilin – kopřivka. Nekuřačka, prodavačka.",
    course=(
        "Podle ultrazvuku bez dilatace dutého systému. Po odběru kultivací zahájena rehydratace a ciprofloxacin intravenózně. V moči i v hemokultuře Escherichia coli citlivá na ciprofloxacin. Od 4. 4. afebrilní, oběhově stabilní, převedena na perorální léčbu.",
    ),
    condition="Afebrilní, bez dysurie, tapottement negativní, TK 122/74.",
    instructions=("Dobrat antibiotika, pít nejméně 2 litry tekutin denně. Po dobu užívání ciprofloxacinu se vyhnout slunění.",),
    plan=(("Kontrola moči a CRP u praktického lékaře", "2026-04-20"), ("Urologické vyšetření", "2026-05-11")),
    diagnoses=(Diagnosis("N10", "Akutní tubulointersticiální nefritida", "2026-03-31"), Diagnosis("A41.9", "Sepse NS", "2026-04-02", resolved=True), Diagnosis("K21.9", "Gastroezofageální reflux bez ezofagitidy", "2017")),
    discharge_medicines=(
        Medicine("ciprofloxacin", "1 tableta ráno a večer do 12. 4. 2026", (2, "d"), why="pyelonefritida", until="2026-04-12"),
        Medicine("pantoprazol", "1 tableta ráno nalačno", (1, "d"), why="gastroezofageální reflux"),
    ),
    given=(Medicine("ciprofloxacin-iv", "400 mg i. v. à 12 hodin", dose=("400", "mg"), why="pyelonefritida, sepse", since="2026-04-02T20:15", until="2026-04-05T20:15"),),
    labs=(
        ("leu", (("2026-04-02T19:40", "19.4"), ("2026-04-05T06:00", "11.0"), ("2026-04-08T06:00", "7.1"))),
        ("crp", (("2026-04-02T19:40", "231.0"), ("2026-04-05T06:00", "98.0"), ("2026-04-08T06:00", "19.6"))),
        ("pct", (("2026-04-02T19:40", "8.60"), ("2026-04-05T06:00", "1.12"))),
        ("krea", (("2026-04-02T19:40", "138"), ("2026-04-05T06:00", "92"), ("2026-04-08T06:00", "76"))),
        ("urea", (("2026-04-02T19:40", "10.2"), ("2026-04-08T06:00", "5.1"))),
        ("tro", (("2026-04-02T19:40", "142"), ("2026-04-08T06:00", "268"))),
    ),
    vitals=(("2026-04-02T19:35", {"bp": "98/60", "hr": "112", "rr": "22", "temp": "39.5", "spo2": "95", "weight": "68.0", "height": "164"}), ("2026-04-09T07:00", {"bp": "122/74", "hr": "72", "rr": "15", "temp": "36.5", "spo2": "98"})),
    original=True,
)

REPORTS: Final = (
    _UROSEPSIS,
    # The hospital found the length of the treatment too short and issued the report anew.
    replace(
        _UROSEPSIS,
        key="pokorna-ledviny-oprava",
        number="PZ-2026-001102-2",
        issued="2026-04-10T08:40",
        version="2",
        replaces="pokorna-ledviny",
        title="Propouštěcí zpráva – akutní pyelonefritida (oprava)",
        course=(
            *_UROSEPSIS.course,
            "Oprava ze dne 10. 4. 2026: vzhledem k pozitivní hemokultuře je celková doba antibiotické léčby 14 dní, ciprofloxacin užívat do 16. 4. 2026 (v původní zprávě chybně uvedeno 12. 4. 2026).",
        ),
        discharge_medicines=(
            Medicine("ciprofloxacin", "1 tableta ráno a večer do 16. 4. 2026", (2, "d"), why="pyelonefritida se sepsí", until="2026-04-16"),
            Medicine("pantoprazol", "1 tableta ráno nalačno", (1, "d"), why="gastroezofageální reflux"),
        ),
    ),
    Report(
        key="kucera-chopn-1", number="PZ-2025-000131", patient="kucera", hospital="b",
        author="b-plic", attester="b-plic",
        title="Propouštěcí zpráva – akutní exacerbace CHOPN",
        department="Plicní oddělení",
        start="2025-01-21T10:50", end="2025-01-29T10:00",
        admitted_from="gp", priority="UR", discharged_to="home",
        reason="Zhoršení dušnosti a hnisavá expektorace čtyři dny.",
        admission="Dušný v klidu, zapojuje pomocné dýchací svaly, SpO₂ 86 %. Poslechově difuzně pískoty a vrzoty, prodloužené exspirium. Bez otoků.",
        history=_COPD_HISTORY,
        course=(
            "Zahájena řízená oxygenoterapie s cílem SpO₂ 88–92 %, nebulizovaná bronchodilatancia, systémové kortikoidy a doxycyklin. V krevních plynech kompenzovaná hyperkapnie, neinvazivní ventilace nebyla nutná. RTG hrudníku bez infiltrace.",
            "Postupné zlepšení, nácvik inhalační techniky, intervence proti kouření.",
        ),
        condition="Dušnost při chůzi do schodů (mMRC 2), SpO₂ 92 % bez kyslíku, ojedinělé pískoty.",
        instructions=("Přestat kouřit. Prednison ukončit 30. 1. 2025. Dechová rehabilitace denně.",),
        plan=(("Plicní ambulance se spirometrií", "2025-03-04"), ("Očkování proti pneumokokům", "2025-02-28")),
        diagnoses=(Diagnosis("J44.1", "Chronická obstrukční plicní nemoc s akutní exacerbací NS", "2025-01-17"), Diagnosis("I10", "Esenciální (primární) hypertenze", "2008"), Diagnosis("F17.2", "Syndrom závislosti na tabáku", "1975")),
        discharge_medicines=(*_COPD_HOME, Medicine("prednison", "2 tablety ráno do 30. 1. 2025", (1, "d"), ("2", "tablety"), why="exacerbace CHOPN", until="2025-01-30")),
        given=(Medicine("methylprednisolon-iv", "40 mg i. v. denně", dose=("40", "mg"), why="exacerbace CHOPN", since="2025-01-21T12:00", until="2025-01-24T12:00"),),
        done=(Done("399208008", "RTG hrudníku", "Plain X-ray of chest", "2025-01-21T11:30", note="Emfyzém, bez infiltrace."),),
        labs=(
            ("leu", (("2025-01-21T11:00", "13.1"), ("2025-01-28T06:00", "10.8"))),
            ("crp", (("2025-01-21T11:00", "48.2"), ("2025-01-28T06:00", "6.4"))),
            ("ph", (("2025-01-21T11:00", "7.36"), ("2025-01-28T06:00", "7.39"))),
            ("hco3", (("2025-01-21T11:00", "29.8"), ("2025-01-28T06:00", "28.1"))),
            ("hb", (("2025-01-21T11:00", "168"),)),
        ),
        vitals=(("2025-01-21T10:55", {"bp": "148/86", "hr": "104", "rr": "28", "temp": "37.4", "spo2": "86", "weight": "70.5", "height": "172"}), ("2025-01-29T07:00", {"bp": "134/80", "hr": "82", "rr": "18", "spo2": "92"})),
    ),
    Report(
        key="kucera-chopn-2", number="PZ-2026-000077", patient="kucera", hospital="b",
        author="b-plic", attester="b-plic",
        title="Propouštěcí zpráva – exacerbace CHOPN s respiračním selháním",
        department="Plicní oddělení, jednotka intenzivní péče",
        start="2026-01-09T02:15", end="2026-01-21T11:00",
        admitted_from="emd", priority="EM", discharged_to="home",
        reason="Náhlé zhoršení dušnosti v noci, přivezen záchrannou službou.",
        admission="Klidová dušnost, mluví po slovech, SpO₂ 78 %, spavý. Oslabené dýchání oboustranně s pískoty. TK 162/94, tep 118/min.",
        history=_COPD_HISTORY + " Poslední hospitalizace pro exacerbaci v lednu 2025.",
        course=(
            "Hyperkapnické respirační selhání s respirační acidózou. Zahájena neinvazivní ventilace, kortikoidy, bronchodilatancia a antibiotika, do 24 hodin úprava pH. Ventilace ukončena 12. 1., poté oxygenoterapie. PCR chřipka A pozitivní.",
            "Po zvládnutí akutního stavu indikována dlouhodobá domácí oxygenoterapie 2 l/min, koncentrátor zajištěn.",
        ),
        condition="SpO₂ 91 % na kyslíku 2 l/min, dušnost mMRC 3, chůze 120 m s přestávkou.",
        instructions=("Domácí oxygenoterapie nejméně 16 hodin denně, v blízkosti kyslíku nekouřit. Očkování proti chřipce každý podzim.",),
        plan=(("Plicní ambulance – kontrola DDOT", "2026-02-10"),),
        diagnoses=(Diagnosis("J44.1", "Chronická obstrukční plicní nemoc s akutní exacerbací NS", "2026-01-08"), Diagnosis("J96.0", "Akutní respirační selhání", "2026-01-09", resolved=True), Diagnosis("I10", "Esenciální (primární) hypertenze", "2008")),
        discharge_medicines=(*_COPD_HOME, Medicine("prednison", "1 tableta ráno, snižovat do 4. 2. 2026", (1, "d"), why="exacerbace CHOPN", until="2026-02-04")),
        given=(
            Medicine("methylprednisolon-iv", "40 mg i. v. à 12 hodin", dose=("40", "mg"), why="exacerbace CHOPN", since="2026-01-09T02:40", until="2026-01-14T14:00"),
            Medicine("doxycyklin", "100 mg p. o. à 12 hodin", dose=("100", "mg"), why="bakteriální superinfekce", since="2026-01-09T08:00", until="2026-01-16T08:00"),
        ),
        labs=(
            ("ph", (("2026-01-09T02:20", "7.22"), ("2026-01-09T12:00", "7.31"), ("2026-01-10T06:00", "7.37"))),
            ("hco3", (("2026-01-09T02:20", "31.6"), ("2026-01-10T06:00", "30.9"))),
            ("crp", (("2026-01-09T02:20", "87.0"), ("2026-01-18T06:00", "9.2"))),
            ("leu", (("2026-01-09T02:20", "14.9"), ("2026-01-18T06:00", "11.4"))),
            ("bnp", (("2026-01-09T02:20", "610"),)),
        ),
        vitals=(("2026-01-09T02:20", {"bp": "162/94", "hr": "118", "rr": "34", "temp": "38.2", "spo2": "78", "weight": "67.0"}), ("2026-01-21T07:00", {"bp": "130/78", "hr": "84", "rr": "18", "temp": "36.6", "spo2": "91"})),
        original=True,
    ),
    Report(
        key="cerna-krcek", number="PZ-2026-002744", patient="cerna", hospital="b",
        author="b-trauma", attester="b-trauma",
        title="Propouštěcí zpráva – zlomenina krčku stehenní kosti",
        department="Traumatologické oddělení",
        start="2026-08-03T16:05", end="2026-08-14T12:00",
        admitted_from="emd", priority="EM", discharged_to="rehab",
        reason="Pád doma na levý bok, nemožnost postavit se.",
        admission="Orientovaná, levá dolní končetina zkrácená v zevní rotaci, bolest v třísle. Periferie prokrvená. RTG: dislokovaná zlomenina krčku femuru vlevo.",
        history="Hypertenze, hypotyreóza na substituci, chronické onemocnění ledvin 3. stadia. Bydlí sama, chodila s holí. Alergie neguje.",
        course=(
            "Po předoperační přípravě 4. 8. 2026 implantována cervikokapitální endoprotéza levé kyčle ve spinální anestezii. Pooperačně přechodné zhoršení renálních funkcí při hypovolemii, upraveno hydratací. Podány 2 transfuzní jednotky erytrocytů.",
            "Bez deliria, od 2. dne nácvik chůze v chodítku. Zahájena substituce vitaminem D, doporučeno vyšetření osteoporózy.",
        ),
        condition="Rána klidná, chůze v chodítku 15 m s dopomocí. Barthelův test 65 bodů.",
        instructions=("Prevence tromboembolické nemoci do 8. 9. 2026. Režim po endoprotéze kyčle, prevence pádů v domácnosti.",),
        plan=(("Překlad na lůžka následné rehabilitace", "2026-08-14"), ("Kontrola s RTG v traumatologické ambulanci", "2026-09-16"), ("Denzitometrie", "2026-10-05")),
        diagnoses=(Diagnosis("S72.0", "Zlomenina krčku kosti stehenní", "2026-08-03", note="Vlevo."), Diagnosis("D62", "Akutní posthemoragická anemie", "2026-08-05"), Diagnosis("N18.3", "Chronické onemocnění ledvin, stadium 3", "2020"), Diagnosis("E03.9", "Hypotyreóza NS", "2006")),
        discharge_medicines=(
            Medicine("levothyroxin", "1 tableta ráno nalačno", (1, "d"), why="hypotyreóza"),
            Medicine("amlodipin", "1 tableta ráno", (1, "d"), why="hypertenze"),
            Medicine("apixaban25", "1 tableta ráno a večer do 8. 9. 2026", (2, "d"), why="prevence tromboembolické nemoci", until="2026-09-08"),
            Medicine("vitamin-d", "1 tableta denně", (1, "d"), why="prevence osteoporózy"),
            Medicine("paracetamol", "1 tableta při bolesti, nejvýše 4× denně", why="bolest"),
        ),
        given=(Medicine("cefazolin-iv", "2 g i. v. před výkonem", dose=("2", "g"), why="antibiotická profylaxe", since="2026-08-04T09:15", until="2026-08-04T09:15"),),
        done=(Done("52734007", "Cervikokapitální endoprotéza levé kyčle", "Prosthetic hemiarthroplasty of hip", "2026-08-04T09:40", site="levý kyčelní kloub"),),
        labs=(
            ("hb", (("2026-08-03T16:20", "118"), ("2026-08-05T06:00", "79"), ("2026-08-07T06:00", "97"), ("2026-08-13T06:00", "104"))),
            ("krea", (("2026-08-03T16:20", "128"), ("2026-08-05T06:00", "171"), ("2026-08-13T06:00", "124"))),
            ("urea", (("2026-08-03T16:20", "10.1"), ("2026-08-05T06:00", "14.8"), ("2026-08-13T06:00", "9.6"))),
            ("k", (("2026-08-03T16:20", "4.7"), ("2026-08-05T06:00", "5.4"), ("2026-08-13T06:00", "4.8"))),
            ("crp", (("2026-08-05T06:00", "96.0"), ("2026-08-13T06:00", "24.0"))),
        ),
        vitals=(("2026-08-03T16:10", {"bp": "156/84", "hr": "88", "temp": "36.5", "spo2": "94", "weight": "62.0", "height": "158"}), ("2026-08-14T07:00", {"bp": "132/76", "hr": "74", "temp": "36.6", "spo2": "96"})),
        findings=(Finding("96761-2", "Barthelův test (ADL)", "Total score Barthel Index", "65", "bodů", "2026-08-13T10:00"),),
        implants=(Implant("Endoprotéza kyčelního kloubu", "304120007", "cervikokapitální endoprotéza, cementovaný dřík", "09990000000048", "CK-2026-1120", "2026-08-04", "levý kyčelní kloub"),),
    ),
    Report(
        key="vesely-apendix", number="PZ-2024-003390", patient="vesely", hospital="b",
        author="b-chir", attester="b-chir",
        title="Propouštěcí zpráva – akutní apendicitida",
        department="Chirurgické oddělení",
        start="2024-11-24T20:30", end="2024-11-27T09:30",
        admitted_from="emd", priority="EM", discharged_to="home",
        reason="Bolest v pravém podbřišku od rána, nechutenství, jednou zvracel.",
        admission="TT 37,6 °C, břicho bolestivé v McBurneyově bodě s lokální defenzí, Rovsingův příznak pozitivní.",
        history="Zdráv, bez léků, alergie neguje. Student vysoké školy.",
        course=("Ultrazvukem potvrzena apendicitida, téhož večera laparoskopická apendektomie bez komplikací. Pooperační průběh hladký.",),
        condition="Bez bolestí, afebrilní, rány klidné, toleruje běžnou stravu.",
        instructions=("Tělesné šetření 4 týdny, stehy odstranit 7. den.",),
        plan=(("Odstranění stehů u praktického lékaře", "2024-12-02"),),
        diagnoses=(Diagnosis("K35.8", "Akutní apendicitida jiná a NS", "2024-11-24", resolved=True),),
        discharge_medicines=(Medicine("ibuprofen", "1 tableta při bolesti, nejvýše 3× denně", why="pooperační bolest", until="2024-12-03"),),
        done=(Done("174041007", "Laparoskopická urgentní apendektomie", "Laparoscopic emergency appendectomy", "2024-11-24T22:50", site="apendix"),),
        labs=(("leu", (("2024-11-24T20:40", "14.2"), ("2024-11-26T06:00", "8.8"))), ("crp", (("2024-11-24T20:40", "24.8"), ("2024-11-26T06:00", "31.2")))),
        vitals=(("2024-11-24T20:35", {"bp": "128/78", "hr": "90", "temp": "37.6", "spo2": "99", "weight": "77.0", "height": "184"}),),
    ),
    Report(
        key="dvorak-kontrola", number="PZ-2026-001988", patient="patient-2", hospital="b",
        author="b-interna", attester="b-interna",
        title="Propouštěcí zpráva – paroxysmus fibrilace síní",
        department="Interní oddělení",
        start="2026-05-26T17:40", end="2026-05-28T11:00",
        admitted_from="emd", priority="UR", discharged_to="home",
        reason="Náhle vzniklé bušení srdce s tlakem na hrudi trvající čtyři hodiny.",
        admission="TK 136/84, tep 138/min nepravidelný, kardiopulmonálně kompenzován. EKG: fibrilace síní s rychlou odpovědí komor, bez ischemických změn.",
        history="Infarkt myokardu spodní stěny 1/2025 s PCI pravé věnčité tepny, tikagrelor ukončen v lednu 2026. Nekouří od infarktu. Hypertenze, hypercholesterolemie.",
        course=("Troponin bez dynamiky, akutní koronární syndrom vyloučen. Po betablokátoru a substituci kalia a magnezia spontánní verze na sinusový rytmus po 9 hodinách. CHA₂DS₂-VASc 2, zahájena antikoagulace apixabanem, kyselina acetylsalicylová ponechána po dohodě s kardiologem do kontroly.",),
        condition="Sinusový rytmus 64/min, TK 126/76, bez obtíží.",
        instructions=("Při opakování palpitací trvajících přes hodinu přijít na urgentní příjem. Omezit alkohol.",),
        plan=(("Kardiologická ambulance, úprava antitrombotické léčby", "2026-06-16"), ("Holterovské monitorování EKG", "2026-06-16")),
        diagnoses=(Diagnosis("I48.0", "Paroxysmální fibrilace síní", "2026-05-26"), Diagnosis("I25.2", "Starý infarkt myokardu", "2025-01-14"), Diagnosis("I10", "Esenciální (primární) hypertenze", "2016")),
        discharge_medicines=(
            Medicine("apixaban", "1 tableta ráno a večer", (2, "d"), why="fibrilace síní"),
            Medicine("asa", "1 tableta ráno do kontroly", (1, "d"), why="ischemická choroba srdeční", until="2026-06-16"),
            Medicine("bisoprolol", "2 tablety ráno", (1, "d"), ("2", "tablety"), why="fibrilace síní, ICHS"),
            Medicine("rosuvastatin", "1 tableta večer", (1, "d"), why="hypercholesterolemie"),
            Medicine("perindopril", "1 tableta ráno", (1, "d"), why="hypertenze"),
        ),
        labs=(
            ("tnt", (("2026-05-26T17:50", "12"), ("2026-05-26T20:50", "13"))),
            ("k", (("2026-05-26T17:50", "3.4"), ("2026-05-27T06:00", "4.3"))),
            ("krea", (("2026-05-26T17:50", "94"),)),
            ("ldl", (("2026-05-27T06:00", "1.3"),)),
            ("glu", (("2026-05-27T06:00", "5.5"),)),
        ),
        vitals=(("2026-05-26T17:45", {"bp": "136/84", "hr": "138", "rr": "18", "temp": "36.6", "spo2": "97", "weight": "88.0", "height": "181"}), ("2026-05-28T07:00", {"bp": "126/76", "hr": "64", "spo2": "98"})),
    ),
)
