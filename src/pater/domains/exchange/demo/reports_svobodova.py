"""The demonstration's reports of Jana Svobodová: four stays in both hospitals over two years."""
# ruff: noqa: E501  # clinical prose reads better unbroken

# fmt: off
from __future__ import annotations

from typing import Final

from pater.domains.exchange.demo.report import (
    Diagnosis,
    Done,
    Finding,
    Implant,
    Medicine,
    Report,
)

_HISTORY: Final = (
    "Sledována pro arteriální hypertenzi, diabetes mellitus 2. typu a smíšenou hyperlipidemii. "
    "Operace: apendektomie v dětství. Nekuřačka, alkohol příležitostně. Důchodkyně, dříve účetní, "
    "žije s manželem v bytě ve 2. patře s výtahem. Matka zemřela v 78 letech na CMP, otec měl diabetes."
)
_CHRONIC: Final = (
    Medicine("perindopril", "1 tableta ráno", (1, "d"), why="hypertenze"),
    Medicine("metformin", "1 tableta ráno a večer", (2, "d"), why="diabetes mellitus 2. typu"),
    Medicine("atorvastatin", "1 tableta večer", (1, "d"), why="hyperlipidemie"),
)

REPORTS: Final = (
    Report(
        key="svobodova-kycel",
        number="PZ-2024-004127",
        patient="patient",
        hospital="a",
        author="a-orto",
        attester="a-orto",
        title="Propouštěcí zpráva – totální endoprotéza pravé kyčle",
        department="Ortopedické oddělení",
        start="2024-12-02T07:40",
        end="2024-12-10T10:30",
        admitted_from="mp",
        priority="EL",
        discharged_to="rehab",
        reason="Plánované přijetí k implantaci totální endoprotézy pravého kyčelního kloubu pro koxartrózu III. stupně.",
        admission="Při přijetí v celkově dobrém stavu, afebrilní, oběhově stabilní. Chůze o jedné francouzské holi, antalgická. Pravá kyčel: flexe 80°, vnitřní rotace 0°, bolestivá v krajních polohách, zkrat pravé dolní končetiny 1 cm. Periferie bez známek flebotrombózy.",
        history=_HISTORY + " Bolesti pravé kyčle tři roky, v posledním půlroce klidové a noční, konzervativní léčba bez efektu.",
        course=(
            "Dne 3. 12. 2024 provedena v subarachnoidální anestezii implantace necementované totální endoprotézy pravého kyčelního kloubu z anterolaterálního přístupu. Výkon bez komplikací, krevní ztráta 350 ml, antibiotická profylaxe klindamycinem vzhledem k alergii na penicilin.",
            "Pooperační průběh příznivý. Drén odstraněn 1. pooperační den, od téhož dne vertikalizace s fyzioterapeutem, nácvik chůze o podpažních berlích s odlehčením operované končetiny. Pooperační anémie bez nutnosti převodu, nasazeno perorální železo. Glykemie korigovány přechodně krátkodobým inzulinem, při propuštění zpět na perorální léčbě.",
            "Kontrolní RTG: správné postavení komponent endoprotézy. Rána klidná, bez sekrece.",
        ),
        condition="Při vědomí, orientovaná, afebrilní. Rána zhojena per primam, stehy ponechány. Chůze o dvou berlích po rovině i po schodech zvládnuta, flexe v kyčli 90°. Lýtka měkká, nebolestivá.",
        instructions=(
            "Chůze o dvou podpažních berlích s odlehčením operované končetiny po dobu 6 týdnů. Nekřížit nohy, nesedat na nízké židle, spát s polštářem mezi koleny.",
            "Stehy odstranit 14. den po operaci u praktického lékaře. Prevence tromboembolické nemoci apixabanem do 35. pooperačního dne.",
            "Při zarudnutí či sekreci z rány, teplotě nad 38 °C, otoku lýtka nebo náhlé dušnosti ihned vyhledat lékaře.",
        ),
        plan=(
            ("Překlad na rehabilitační oddělení Krajské nemocnice Javorné", "2024-12-10"),
            ("Odstranění stehů u praktického lékaře", "2024-12-17"),
            ("Kontrola na ortopedické ambulanci včetně RTG", "2025-01-21"),
        ),
        diagnoses=(
            Diagnosis("M16.1", "Jiná primární koxartróza", "2021", note="Vpravo, III. stupeň; stav po implantaci TEP 3. 12. 2024."),
            Diagnosis("D62", "Akutní posthemoragická anemie", "2024-12-04"),
            Diagnosis("I10", "Esenciální (primární) hypertenze", "2009"),
            Diagnosis("E11.9", "Diabetes mellitus 2. typu bez komplikací", "2015-05"),
        ),
        discharge_medicines=(
            *_CHRONIC,
            Medicine("apixaban25", "1 tableta ráno a večer do 7. 1. 2025", (2, "d"), why="prevence tromboembolické nemoci", until="2025-01-07"),
            Medicine("paracetamol", "1–2 tablety při bolesti, nejvýše 8 tablet denně", dose=("2", "tablety"), why="bolest"),
            Medicine("zelezo", "1 tableta denně nalačno", (1, "d"), why="pooperační anémie", until="2025-02-28"),
        ),
        given=(
            Medicine("klindamycin-iv", "600 mg i. v. à 8 hodin, tři dávky", dose=("600", "mg"), why="antibiotická profylaxe", since="2024-12-03T08:10", until="2024-12-04T00:10"),
            Medicine("enoxaparin", "4000 j. s. c. jednou denně", dose=("4000", "j."), why="prevence tromboembolické nemoci", since="2024-12-02T20:00", until="2024-12-09T20:00"),
        ),
        done=(
            Done("52734007", "Totální endoprotéza pravého kyčelního kloubu, necementovaná", "Total replacement of hip", "2024-12-03T08:30", site="pravý kyčelní kloub", note="Subarachnoidální anestezie, délka výkonu 75 minut, krevní ztráta 350 ml."),
        ),
        labs=(
            ("hb", (("2024-12-02T08:30", "134"), ("2024-12-04T06:00", "98"), ("2024-12-09T06:00", "109"))),
            ("leu", (("2024-12-02T08:30", "6.8"), ("2024-12-04T06:00", "11.2"), ("2024-12-09T06:00", "7.4"))),
            ("crp", (("2024-12-02T08:30", "3.1"), ("2024-12-05T06:00", "118.4"), ("2024-12-09T06:00", "34.0"))),
            ("krea", (("2024-12-02T08:30", "71"), ("2024-12-09T06:00", "69"))),
            ("glu", (("2024-12-02T08:30", "7.4"), ("2024-12-04T06:00", "10.9"), ("2024-12-09T06:00", "7.9"))),
            ("hba1c", (("2024-12-02T08:30", "55"),)),
            ("inr", (("2024-12-02T08:30", "1.02"),)),
        ),
        vitals=(
            ("2024-12-02T08:00", {"bp": "142/84", "hr": "76", "temp": "36.6", "spo2": "97", "weight": "81.5", "height": "166"}),
            ("2024-12-10T07:00", {"bp": "128/78", "hr": "72", "temp": "36.7", "spo2": "97"}),
        ),
        implants=(
            Implant("Endoprotéza kyčelního kloubu", "304120007", "necementovaná jamka 52 mm a dřík vel. 12, hlavice keramická 32 mm", "09990000000017", "KN-2024-88412", "2024-12-03", "pravý kyčelní kloub"),
        ),
        original=True,
    ),
    Report(
        key="svobodova-pneumonie",
        number="PZ-2025-001893",
        patient="patient",
        hospital="b",
        author="b-plic",
        attester="b-plic",
        title="Propouštěcí zpráva – pravostranná pneumonie",
        department="Plicní oddělení",
        start="2025-06-11T15:20",
        end="2025-06-19T11:00",
        admitted_from="emd",
        priority="EM",
        discharged_to="home",
        reason="Horečka, produktivní kašel a dušnost trvající tři dny.",
        admission="Febrilní 39,1 °C, dušná při námaze, dechová frekvence 24/min, SpO₂ 90 % bez kyslíku. Poslechově vpravo bazálně chrůpky a trubicové dýchání. CRB-65 skóre 1 bod. Oběhově stabilní, bez otoků.",
        history=_HISTORY + " V prosinci 2024 implantace totální endoprotézy pravé kyčle bez komplikací. Očkovaná proti chřipce, proti pneumokokům dosud neočkovaná.",
        course=(
            "Při přijetí na RTG hrudníku infiltrace pravého dolního laloku. Vzhledem k alergii na penicilin zahájena léčba levofloxacinem intravenózně, po třech dnech poklesu teplot převedena na perorální klaritromycin. Odebrány hemokultury – sterilní, antigen Streptococcus pneumoniae v moči pozitivní.",
            "Přechodně oxygenoterapie kyslíkovými brýlemi 2 l/min, od 16. 6. bez kyslíku se saturací 95 %. Glykemie v průběhu infekce rozkolísané, přidán korekční inzulin; metformin po dobu hypoxémie vysazen a před propuštěním vrácen.",
            "Kontrolní RTG s regresí infiltrace.",
        ),
        condition="Afebrilní od 14. 6., eupnoická v klidu i při chůzi po chodbě, SpO₂ 96 %. Poslechově vpravo bazálně ojedinělé chrůpky.",
        instructions=(
            "Dobrat antibiotika podle rozpisu. Klidový režim 14 dní, dostatek tekutin, dechová rehabilitace.",
            "Doporučeno očkování proti pneumokokům nejdříve za 6 týdnů po uzdravení.",
        ),
        plan=(
            ("Kontrola krevního obrazu a CRP u praktického lékaře", "2025-06-26"),
            ("Kontrolní RTG hrudníku a plicní ambulance", "2025-07-24"),
            ("Očkování proti pneumokokům u praktického lékaře", "2025-08-15"),
        ),
        diagnoses=(
            Diagnosis("J13", "Pneumonie způsobená Streptococcus pneumoniae", "2025-06-09", note="Pravý dolní lalok."),
            Diagnosis("E11.9", "Diabetes mellitus 2. typu bez komplikací", "2015-05"),
            Diagnosis("I10", "Esenciální (primární) hypertenze", "2009"),
            Diagnosis("Z96.6", "Přítomnost ortopedických kloubních implantátů", "2024-12-03"),
        ),
        discharge_medicines=(
            *_CHRONIC,
            Medicine("klaritromycin", "1 tableta ráno a večer do 22. 6. 2025", (2, "d"), why="pneumonie", until="2025-06-22", note="Po dobu užívání vynechat atorvastatin."),
            Medicine("paracetamol", "1 tableta při teplotě nad 38 °C, nejvýše 4× denně", why="horečka"),
        ),
        given=(
            Medicine("levofloxacin-iv", "500 mg i. v. à 12 hodin", dose=("500", "mg"), why="pneumonie", since="2025-06-11T17:00", until="2025-06-14T17:00"),
            Medicine("enoxaparin", "4000 j. s. c. jednou denně", dose=("4000", "j."), why="prevence tromboembolické nemoci", since="2025-06-11T20:00", until="2025-06-18T20:00"),
        ),
        done=(
            Done("399208008", "RTG hrudníku", "Plain X-ray of chest", "2025-06-11T15:55", note="Infiltrace pravého dolního laloku, bez výpotku."),
            Done("399208008", "Kontrolní RTG hrudníku", "Plain X-ray of chest", "2025-06-18T09:10", note="Výrazná regrese infiltrace."),
        ),
        labs=(
            ("leu", (("2025-06-11T15:40", "17.9"), ("2025-06-14T06:30", "11.6"), ("2025-06-18T06:30", "7.8"))),
            ("crp", (("2025-06-11T15:40", "264.0"), ("2025-06-14T06:30", "121.5"), ("2025-06-18T06:30", "22.3"))),
            ("pct", (("2025-06-11T15:40", "2.84"), ("2025-06-14T06:30", "0.61"))),
            ("hb", (("2025-06-11T15:40", "129"), ("2025-06-18T06:30", "127"))),
            ("krea", (("2025-06-11T15:40", "96"), ("2025-06-18T06:30", "74"))),
            ("glu", (("2025-06-11T15:40", "14.2"), ("2025-06-14T06:30", "9.8"), ("2025-06-18T06:30", "8.1"))),
            ("na", (("2025-06-11T15:40", "133"), ("2025-06-18T06:30", "138"))),
            ("k", (("2025-06-11T15:40", "3.9"), ("2025-06-18T06:30", "4.2"))),
        ),
        vitals=(
            ("2025-06-11T15:30", {"bp": "118/70", "hr": "108", "rr": "24", "temp": "39.1", "spo2": "90", "weight": "80.0"}),
            ("2025-06-19T07:00", {"bp": "130/78", "hr": "74", "rr": "16", "temp": "36.5", "spo2": "96"}),
        ),
        original=True,
    ),
    Report(
        key="svobodova-diabetes",
        number="PZ-2026-000904",
        patient="patient",
        hospital="a",
        author="a-interna",
        attester="a-interna",
        title="Propouštěcí zpráva – dekompenzace diabetu",
        department="Interní oddělení",
        start="2026-03-04T11:15",
        end="2026-03-12T10:00",
        admitted_from="gp",
        priority="UR",
        discharged_to="home",
        reason="Polyurie, polydipsie, úbytek hmotnosti 5 kg za měsíc a glykemie 24 mmol/l u praktického lékaře.",
        admission="Dehydratovaná, unavená, orientovaná. TK 112/66, tep 96/min pravidelný, afebrilní. Dýchání čisté, břicho měkké. Dolní končetiny bez defektů, vibrační čití snížené oboustranně.",
        history=_HISTORY + " Totální endoprotéza pravé kyčle 12/2024, pneumonie 6/2025. V posledních měsících nepravidelné užívání metforminu pro dyspepsii.",
        course=(
            "Hyperglykemie bez ketoacidózy. Zahájena rehydratace a intenzifikovaný inzulinový režim, po zvládnutí glukotoxicity převedena na bazální inzulin s perorálními antidiabetiky. Přidán empagliflozin s ohledem na kardiovaskulární riziko a začínající albuminurii.",
            "Edukována v aplikaci inzulinu, selfmonitoringu glykemií, péči o nohy a v dietě 200 g sacharidů. Oční pozadí bez retinopatie. Mikroalbuminurie 42 mg/24 h.",
        ),
        condition="Subjektivně bez obtíží, hydratovaná, glykemický profil 6,4–9,8 mmol/l, bez hypoglykemií. Inzulin si aplikuje samostatně.",
        instructions=(
            "Diabetická dieta 200 g sacharidů, pravidelný pohyb. Měřit glykemii nalačno denně, celý profil jednou týdně.",
            "Při zvracení, horečce nebo nejedení vysadit empagliflozin a metformin a kontaktovat lékaře.",
        ),
        plan=(
            ("Kontrola v diabetologické ambulanci Krajské nemocnice Javorné", "2026-03-26"),
            ("Kontrola HbA1c", "2026-06-10"),
            ("Podiatrická ambulance", "2026-04-14"),
        ),
        diagnoses=(
            Diagnosis("E11.6", "Diabetes mellitus 2. typu s jinými určenými komplikacemi", "2015-05", note="Dekompenzace, nově na inzulinu; začínající diabetická nefropatie."),
            Diagnosis("I10", "Esenciální (primární) hypertenze", "2009"),
            Diagnosis("E78.5", "Hyperlipidemie NS", "2015"),
        ),
        discharge_medicines=(
            Medicine("perindopril", "1 tableta ráno", (1, "d"), why="hypertenze, nefroprotekce"),
            Medicine("metformin", "1 tableta ráno a večer s jídlem", (2, "d"), why="diabetes mellitus 2. typu"),
            Medicine("empagliflozin", "1 tableta ráno", (1, "d"), why="diabetes mellitus 2. typu"),
            Medicine("glargin", "16 jednotek ve 22 hodin", (1, "d"), ("16", "j."), why="diabetes mellitus 2. typu", note="Titrovat o 2 jednotky podle glykemie nalačno."),
            Medicine("atorvastatin", "1 tableta večer", (1, "d"), why="hyperlipidemie"),
        ),
        given=(
            Medicine("inzulin-iv", "kontinuálně dle glykemie", dose=("2", "j./h"), why="hyperglykemie", since="2026-03-04T12:30", until="2026-03-05T14:00"),
        ),
        labs=(
            ("glu", (("2026-03-04T11:30", "26.3"), ("2026-03-05T06:00", "13.1"), ("2026-03-08T06:00", "9.7"), ("2026-03-11T06:00", "7.2"))),
            ("hba1c", (("2026-03-04T11:30", "98"),)),
            ("krea", (("2026-03-04T11:30", "108"), ("2026-03-08T06:00", "84"), ("2026-03-11T06:00", "78"))),
            ("urea", (("2026-03-04T11:30", "11.4"), ("2026-03-11T06:00", "6.2"))),
            ("na", (("2026-03-04T11:30", "131"), ("2026-03-08T06:00", "139"))),
            ("k", (("2026-03-04T11:30", "4.8"), ("2026-03-08T06:00", "4.1"))),
            ("keto", (("2026-03-04T11:30", "0.9"),)),
            ("ph", (("2026-03-04T11:30", "7.38"),)),
            ("ldl", (("2026-03-05T06:00", "2.6"),)),
            ("hb", (("2026-03-05T06:00", "131"),)),
        ),
        vitals=(
            ("2026-03-04T11:20", {"bp": "112/66", "hr": "96", "temp": "36.4", "spo2": "97", "weight": "74.8", "height": "166"}),
            ("2026-03-12T07:00", {"bp": "126/76", "hr": "74", "temp": "36.5", "weight": "76.2"}),
        ),
    ),
    Report(
        key="svobodova-nstemi",
        number="PZ-2026-003316",
        patient="patient",
        hospital="b",
        author="b-interna",
        attester="b-interna",
        title="Propouštěcí zpráva – infarkt myokardu bez elevací ST",
        department="Interní oddělení, koronární jednotka",
        start="2026-09-21T03:45",
        end="2026-09-27T10:15",
        admitted_from="emd",
        priority="EM",
        discharged_to="home",
        reason="Svíravá bolest za hrudní kostí s vyzařováním do levé paže trvající 40 minut, provázená pocením.",
        admission="Opocená, bledá, bolest 6/10. TK 158/92, tep 92/min pravidelný, SpO₂ 95 %. Poslechově dýchání čisté, srdeční ozvy ohraničené. EKG: sinusový rytmus, deprese ST 1,5 mm ve V4–V6.",
        history=_HISTORY + " TEP pravé kyčle 12/2024, pneumonie 6/2025, od března 2026 na inzulinu.",
        course=(
            "Vzestup troponinu T s dynamikou, stav hodnocen jako NSTEMI. Podána kyselina acetylsalicylová, tikagrelor, heparin a nitrát, bolest ustoupila do hodiny. Téhož dne provedena selektivní koronarografie na spádovém pracovišti: 90% stenóza střední části ramus interventricularis anterior ošetřena implantací jednoho lékového stentu s dobrým výsledkem (TIMI 3). Ostatní tepny s nevýznamnými změnami.",
            "Echokardiograficky ejekční frakce levé komory 52 %, hypokineze hrotu, bez významné chlopenní vady. Monitorace bez arytmií. Zahájena intenzivní hypolipidemická léčba a betablokátor. Vpich a. radialis klidný.",
        ),
        condition="Bez stenokardií, chůze po schodech bez obtíží. TK 124/74, tep 62/min. Místo vpichu na pravém zápěstí bez hematomu, pulzace hmatná.",
        instructions=(
            "Duální protidestičková léčba 12 měsíců, bez konzultace s kardiologem nevysazovat. Při opakované bolesti na hrudi volat 155.",
            "Fyzická aktivita dle tolerance, čtyři týdny neřídit motorová vozidla, doporučena ambulantní kardiorehabilitace.",
        ),
        plan=(
            ("Kontrola v kardiologické ambulanci", "2026-10-26"),
            ("Kontrola lipidogramu a jaterních testů", "2026-11-09"),
            ("Ambulantní kardiovaskulární rehabilitace", "2026-10-12"),
        ),
        diagnoses=(
            Diagnosis("I21.4", "Akutní subendokardiální infarkt myokardu", "2026-09-21", note="NSTEMI, stav po PCI RIA s implantací lékového stentu."),
            Diagnosis("I25.1", "Aterosklerotická nemoc srdeční", "2026-09-21"),
            Diagnosis("E11.6", "Diabetes mellitus 2. typu s jinými určenými komplikacemi", "2015-05"),
            Diagnosis("I10", "Esenciální (primární) hypertenze", "2009"),
        ),
        discharge_medicines=(
            Medicine("asa", "1 tableta ráno trvale", (1, "d"), why="stav po PCI"),
            Medicine("tikagrelor", "1 tableta ráno a večer do září 2027", (2, "d"), why="stav po PCI", until="2027-09-21"),
            Medicine("bisoprolol", "1 tableta ráno", (1, "d"), why="ischemická choroba srdeční"),
            Medicine("perindopril", "1 tableta ráno", (1, "d"), why="hypertenze"),
            Medicine("rosuvastatin", "1 tableta večer", (1, "d"), why="cíl LDL pod 1,4 mmol/l", note="Nahrazuje atorvastatin."),
            Medicine("metformin", "1 tableta ráno a večer s jídlem", (2, "d"), why="diabetes mellitus 2. typu"),
            Medicine("empagliflozin", "1 tableta ráno", (1, "d"), why="diabetes mellitus 2. typu"),
            Medicine("glargin", "18 jednotek ve 22 hodin", (1, "d"), ("18", "j."), why="diabetes mellitus 2. typu"),
            Medicine("pantoprazol", "1 tableta ráno nalačno", (1, "d"), why="prevence krvácení do trávicího ústrojí"),
        ),
        given=(
            Medicine("heparin-iv", "5000 j. i. v. bolus", dose=("5000", "j."), why="akutní koronární syndrom", since="2026-09-21T04:05", until="2026-09-21T04:05"),
        ),
        done=(
            Done("33367005", "Selektivní koronarografie", "Coronary angiography", "2026-09-21T09:20", site="koronární tepny"),
            Done("415070008", "Perkutánní koronární intervence s lékovým stentem", "Percutaneous coronary intervention", "2026-09-21T09:45", site="ramus interventricularis anterior", note="Jeden lékový stent 3,0 × 22 mm, výsledný průtok TIMI 3."),
            Done("40701008", "Echokardiografie", "Echocardiography", "2026-09-22T10:30", note="EF 52 %, hypokineze hrotu."),
        ),
        labs=(
            ("tnt", (("2026-09-21T03:55", "86"), ("2026-09-21T06:55", "412"), ("2026-09-22T06:00", "655"), ("2026-09-24T06:00", "238"))),
            ("krea", (("2026-09-21T03:55", "82"), ("2026-09-24T06:00", "85"))),
            ("k", (("2026-09-21T03:55", "4.4"),)),
            ("glu", (("2026-09-21T03:55", "11.8"), ("2026-09-24T06:00", "7.6"))),
            ("hba1c", (("2026-09-22T06:00", "58"),)),
            ("ldl", (("2026-09-22T06:00", "2.9"),)),
            ("hb", (("2026-09-21T03:55", "133"), ("2026-09-24T06:00", "128"))),
            ("alt", (("2026-09-22T06:00", "0.52"),)),
        ),
        vitals=(
            ("2026-09-21T03:50", {"bp": "158/92", "hr": "92", "rr": "20", "temp": "36.4", "spo2": "95", "weight": "77.0"}),
            ("2026-09-27T07:00", {"bp": "124/74", "hr": "62", "temp": "36.5", "spo2": "97"}),
        ),
        findings=(
            Finding("10230-1", "Ejekční frakce levé komory", "Left ventricular Ejection fraction", "52", "%", "2026-09-22T10:30"),
        ),
        implants=(
            Implant("Koronární stent", "65818007", "lékový stent 3,0 × 22 mm", "09990000000031", "DES-77120", "2026-09-21", "ramus interventricularis anterior"),
        ),
        original=True,
    ),
)
