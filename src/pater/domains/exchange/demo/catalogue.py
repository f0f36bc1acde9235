"""What the demonstration's reports are made of: tests, medicines, allergies, vital signs."""
# ruff: noqa: E501  # tables read better one entry a line

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import Final


@dataclass(frozen=True, slots=True)
class LabTest:
    """A laboratory test: LOINC, names, UCUM unit as printed and as coded, limits of adults."""

    loinc: str
    name: str
    display: str
    unit: str
    ucum: str
    low: Decimal | None
    high: Decimal | None
    panel: str


@dataclass(frozen=True, slots=True)
class Drug:
    """A medicine with an invented product code of the state institute, its substance and ATC."""

    code: str
    name: str
    substance: str
    atc: str
    form: str
    route: str  # SNOMED code


@dataclass(frozen=True, slots=True)
class Allergy:
    """An allergy: substance, category, risk, the reaction."""

    snomed: str
    substance: str
    category: str
    kind: str
    criticality: str
    reaction: tuple[str, str]  # SNOMED code, Czech name
    severity: str
    since: str


def _test(
    loinc: str, name: str, display: str, unit: str, ucum: str, low: str, high: str, panel: str
) -> LabTest:
    def limit(value: str) -> Decimal | None:
        return Decimal(value) if value else None

    return LabTest(loinc, name, display, unit, ucum, limit(low), limit(high), panel)


BLOOD: Final = "Hematologie"
CHEMISTRY: Final = "Biochemie"
COAGULATION: Final = "Koagulace"
GASES: Final = "Acidobazická rovnováha"

# fmt: off
TESTS: Final[dict[str, LabTest]] = {
    "hb": _test("718-7", "Hemoglobin", "Hemoglobin [Mass/volume] in Blood", "g/l", "g/L", "120", "160", BLOOD),
    "leu": _test("6690-2", "Leukocyty", "Leukocytes [#/volume] in Blood by Automated count", "10⁹/l", "10*9/L", "4.0", "10.0", BLOOD),
    "tro": _test("777-3", "Trombocyty", "Platelets [#/volume] in Blood by Automated count", "10⁹/l", "10*9/L", "150", "400", BLOOD),
    "crp": _test("1988-5", "C-reaktivní protein (CRP)", "C reactive protein [Mass/volume] in Serum or Plasma", "mg/l", "mg/L", "", "5.0", CHEMISTRY),
    "pct": _test("33959-8", "Prokalcitonin", "Procalcitonin [Mass/volume] in Serum or Plasma", "µg/l", "ug/L", "", "0.50", CHEMISTRY),
    "krea": _test("14682-9", "Kreatinin", "Creatinine [Moles/volume] in Serum or Plasma", "µmol/l", "umol/L", "49", "90", CHEMISTRY),
    "urea": _test("22664-7", "Urea", "Urea [Moles/volume] in Serum or Plasma", "mmol/l", "mmol/L", "2.8", "8.1", CHEMISTRY),
    "na": _test("2951-2", "Sodík", "Sodium [Moles/volume] in Serum or Plasma", "mmol/l", "mmol/L", "136", "145", CHEMISTRY),
    "k": _test("2823-3", "Draslík", "Potassium [Moles/volume] in Serum or Plasma", "mmol/l", "mmol/L", "3.5", "5.1", CHEMISTRY),
    "glu": _test("14749-6", "Glukóza", "Glucose [Moles/volume] in Serum or Plasma", "mmol/l", "mmol/L", "3.9", "5.6", CHEMISTRY),
    "hba1c": _test("59261-8", "Glykovaný hemoglobin (HbA1c)", "Hemoglobin A1c/Hemoglobin.total in Blood by IFCC protocol", "mmol/mol", "mmol/mol", "20", "42", CHEMISTRY),
    "tnt": _test("67151-1", "Troponin T (vysoce senzitivní)", "Troponin T.cardiac [Mass/volume] in Serum or Plasma by High sensitivity method", "ng/l", "ng/L", "", "14", CHEMISTRY),
    "bnp": _test("33762-6", "NT-proBNP", "Natriuretic peptide.B prohormone N-Terminal [Mass/volume] in Serum or Plasma", "ng/l", "ng/L", "", "125", CHEMISTRY),
    "ldl": _test("22748-8", "LDL cholesterol", "Cholesterol in LDL [Moles/volume] in Serum or Plasma", "mmol/l", "mmol/L", "", "3.0", CHEMISTRY),
    "alt": _test("1742-6", "ALT", "Alanine aminotransferase [Enzymatic activity/volume] in Serum or Plasma", "µkat/l", "ukat/L", "0.17", "0.78", CHEMISTRY),
    "ggt": _test("2324-2", "GGT", "Gamma glutamyl transferase [Enzymatic activity/volume] in Serum or Plasma", "µkat/l", "ukat/L", "0.14", "0.68", CHEMISTRY),
    "bil": _test("14631-6", "Bilirubin celkový", "Bilirubin.total [Moles/volume] in Serum or Plasma", "µmol/l", "umol/L", "", "21", CHEMISTRY),
    "inr": _test("6301-6", "INR", "INR in Platelet poor plasma by Coagulation assay", "", "1", "0.80", "1.20", COAGULATION),
    "ph": _test("2744-1", "pH arteriální krve", "pH of Arterial blood", "", "[pH]", "7.36", "7.44", GASES),
    "hco3": _test("1963-8", "Hydrogenuhličitany", "Bicarbonate [Moles/volume] in Serum or Plasma", "mmol/l", "mmol/L", "22.0", "26.0", GASES),
    "keto": _test("53060-9", "Beta-hydroxybutyrát", "Beta hydroxybutyrate [Moles/volume] in Blood", "mmol/l", "mmol/L", "", "0.6", CHEMISTRY),
}

# Of each: LOINC, Czech name, display, unit as printed, unit as coded.
VITALS: Final[dict[str, tuple[str, str, str, str, str]]] = {
    "hr": ("8867-4", "Tepová frekvence", "Heart rate", "/min", "/min"),
    "rr": ("9279-1", "Dechová frekvence", "Respiratory rate", "/min", "/min"),
    "temp": ("8310-5", "Tělesná teplota", "Body temperature", "°C", "Cel"),
    "spo2": ("59408-5", "Saturace kyslíkem (SpO₂)", "Oxygen saturation in Arterial blood by Pulse oximetry", "%", "%"),
    "weight": ("29463-7", "Tělesná hmotnost", "Body weight", "kg", "kg"),
    "height": ("8302-2", "Tělesná výška", "Body height", "cm", "cm"),
}

ORAL: Final = "26643006"
SUBCUTANEOUS: Final = "34206005"
INTRAVENOUS: Final = "47625008"
INHALED: Final = "447694001"
ROUTES: Final[dict[str, str]] = {
    ORAL: "Perorálně",
    SUBCUTANEOUS: "Subkutánně",
    INTRAVENOUS: "Intravenózně",
    INHALED: "Inhalačně",
}

DRUGS: Final[dict[str, Drug]] = {
    "perindopril": Drug("0901011", "Perindopril 5 mg tbl.", "perindopril arginin", "C09AA04", "tableta", ORAL),
    "amlodipin": Drug("0901022", "Amlodipin 5 mg tbl.", "amlodipin", "C08CA01", "tableta", ORAL),
    "metformin": Drug("0901033", "Metformin 1000 mg tbl.", "metformin-hydrochlorid", "A10BA02", "tableta", ORAL),
    "empagliflozin": Drug("0901044", "Empagliflozin 10 mg tbl.", "empagliflozin", "A10BK03", "tableta", ORAL),
    "glargin": Drug("0901055", "Inzulin glargin 100 j./ml, pero", "inzulin glargin", "A10AE04", "injekční pero", SUBCUTANEOUS),
    "aspart": Drug("0901066", "Inzulin aspart 100 j./ml, pero", "inzulin aspart", "A10AB05", "injekční pero", SUBCUTANEOUS),
    "atorvastatin": Drug("0901077", "Atorvastatin 40 mg tbl.", "atorvastatin", "C10AA05", "tableta", ORAL),
    "rosuvastatin": Drug("0901088", "Rosuvastatin 40 mg tbl.", "rosuvastatin", "C10AA07", "tableta", ORAL),
    "asa": Drug("0901099", "Kyselina acetylsalicylová 100 mg tbl.", "kyselina acetylsalicylová", "B01AC06", "tableta", ORAL),
    "tikagrelor": Drug("0901100", "Tikagrelor 90 mg tbl.", "tikagrelor", "B01AC24", "tableta", ORAL),
    "bisoprolol": Drug("0901111", "Bisoprolol 2,5 mg tbl.", "bisoprolol", "C07AB07", "tableta", ORAL),
    "apixaban": Drug("0901122", "Apixaban 5 mg tbl.", "apixaban", "B01AF02", "tableta", ORAL),
    "apixaban25": Drug("0901133", "Apixaban 2,5 mg tbl.", "apixaban", "B01AF02", "tableta", ORAL),
    "paracetamol": Drug("0901144", "Paracetamol 500 mg tbl.", "paracetamol", "N02BE01", "tableta", ORAL),
    "metamizol": Drug("0901155", "Metamizol 500 mg tbl.", "metamizol", "N02BB02", "tableta", ORAL),
    "tramadol": Drug("0901166", "Tramadol 50 mg cps.", "tramadol", "N02AX02", "tobolka", ORAL),
    "pantoprazol": Drug("0901177", "Pantoprazol 40 mg tbl.", "pantoprazol", "A02BC02", "tableta", ORAL),
    "klaritromycin": Drug("0901188", "Klaritromycin 500 mg tbl.", "klaritromycin", "J01FA09", "tableta", ORAL),
    "doxycyklin": Drug("0901199", "Doxycyklin 100 mg tbl.", "doxycyklin", "J01AA02", "tableta", ORAL),
    "ciprofloxacin": Drug("0901200", "Ciprofloxacin 500 mg tbl.", "ciprofloxacin", "J01MA02", "tableta", ORAL),
    "levofloxacin-iv": Drug("0901211", "Levofloxacin 500 mg inf.", "levofloxacin", "J01MA12", "infuzní roztok", INTRAVENOUS),
    "ciprofloxacin-iv": Drug("0901222", "Ciprofloxacin 400 mg inf.", "ciprofloxacin", "J01MA02", "infuzní roztok", INTRAVENOUS),
    "cefazolin-iv": Drug("0901233", "Cefazolin 2 g inj.", "cefazolin", "J01DB04", "injekce", INTRAVENOUS),
    "cefuroxim-iv": Drug("0901244", "Cefuroxim 1,5 g inj.", "cefuroxim", "J01DC02", "injekce", INTRAVENOUS),
    "klindamycin-iv": Drug("0901255", "Klindamycin 600 mg inj.", "klindamycin", "J01FF01", "injekce", INTRAVENOUS),
    "prednison": Drug("0901266", "Prednison 20 mg tbl.", "prednison", "H02AB07", "tableta", ORAL),
    "methylprednisolon-iv": Drug("0901277", "Methylprednisolon 40 mg inj.", "methylprednisolon", "H02AB04", "injekce", INTRAVENOUS),
    "tiotropium": Drug("0901288", "Tiotropium/olodaterol 2,5/2,5 µg inh.", "tiotropium a olodaterol", "R03AL06", "inhalátor", INHALED),
    "salbutamol": Drug("0901299", "Salbutamol 100 µg inh.", "salbutamol", "R03AC02", "inhalátor", INHALED),
    "enoxaparin": Drug("0901300", "Enoxaparin 4000 j. inj.", "enoxaparin", "B01AB05", "injekční stříkačka", SUBCUTANEOUS),
    "altepláza": Drug("0901311", "Altepláza 50 mg inf.", "altepláza", "B01AD02", "infuzní roztok", INTRAVENOUS),
    "heparin-iv": Drug("0901322", "Heparin 5000 j./ml inj.", "heparin", "B01AB01", "injekce", INTRAVENOUS),
    "inzulin-iv": Drug("0901333", "Inzulin humánní krátkodobý inf.", "inzulin humánní", "A10AB01", "infuzní roztok", INTRAVENOUS),
    "oxytocin-iv": Drug("0901344", "Oxytocin 5 j. inj.", "oxytocin", "H01BB02", "injekce", INTRAVENOUS),
    "zelezo": Drug("0901355", "Síran železnatý 105 mg tbl.", "síran železnatý", "B03AA07", "tableta", ORAL),
    "levothyroxin": Drug("0901366", "Levothyroxin 75 µg tbl.", "levothyroxin", "H03AA01", "tableta", ORAL),
    "vitamin-d": Drug("0901377", "Cholekalciferol 800 j. tbl.", "cholekalciferol", "A11CC05", "tableta", ORAL),
    "furosemid": Drug("0901388", "Furosemid 40 mg tbl.", "furosemid", "C03CA01", "tableta", ORAL),
    "spironolakton": Drug("0901399", "Spironolakton 25 mg tbl.", "spironolakton", "C03DA01", "tableta", ORAL),
    "ibuprofen": Drug("0901400", "Ibuprofen 400 mg tbl.", "ibuprofen", "M01AE01", "tableta", ORAL),
}

ALLERGIES: Final[dict[str, Allergy]] = {
    "penicilin": Allergy("373270004", "Penicilin", "medication", "allergy", "high", ("126485001", "Kopřivka"), "severe", "1985"),
    "diklofenak": Allergy("7034005", "Diklofenak", "medication", "intolerance", "low", ("271807003", "Vyrážka"), "mild", "2011"),
    "jod": Allergy("293637006", "Jódové kontrastní látky", "medication", "allergy", "high", ("41291007", "Angioedém"), "moderate", "2012-04"),
    "pyl": Allergy("256277009", "Pyl travin", "environment", "allergy", "low", ("70076002", "Rýma"), "mild", "2005"),
}

DIAGNOSES: Final[dict[str, str]] = {
    "I10": "Esenciální (primární) hypertenze",
    "E11.9": "Diabetes mellitus 2. typu bez komplikací",
    "E78.5": "Hyperlipidemie NS",
    "E78.0": "Čistá hypercholesterolemie",
    "F17.2": "Syndrom závislosti na tabáku",
    "I48.0": "Paroxysmální fibrilace síní",
    "E03.9": "Hypotyreóza NS",
    "N18.3": "Chronické onemocnění ledvin, stadium 3",
    "J44.9": "Chronická obstrukční plicní nemoc NS",
    "E66.9": "Obezita NS",
    "K21.9": "Gastroezofageální reflux bez ezofagitidy",
}
