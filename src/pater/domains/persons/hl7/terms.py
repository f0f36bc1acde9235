"""Codes of HL7 v2 tables and what they are in FHIR R4, both ways. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

NAME_USES: Final[Mapping[str, str]] = {
    "L": "official", "R": "official", "I": "official", "D": "usual", "M": "maiden", "B": "maiden",
    "N": "nickname", "S": "anonymous", "BAD": "old",
}  # fmt: skip
"""Table 0200; a type that is not here is a name without a use."""
NAME_TYPES: Final = {
    "official": "L", "usual": "D", "maiden": "M", "nickname": "N", "anonymous": "S", "old": "BAD",
    "temp": "U",
}  # fmt: skip
SEXES: Final = {
    "F": "female", "M": "male", "O": "other", "U": "unknown", "A": "other", "N": "other",
    "X": "other",
}  # fmt: skip
"""Table 0001."""
SEX_CODES: Final = {"female": "F", "male": "M", "other": "O", "unknown": "U"}
ADDRESS_USES: Final[Mapping[str, tuple[str, str]]] = {
    "H": ("home", ""), "L": ("home", ""), "P": ("home", ""), "RH": ("home", ""), "C": ("temp", ""),
    "B": ("work", ""), "O": ("work", ""), "M": ("", "postal"), "BA": ("old", ""),
}  # fmt: skip
"""Table 0190: use and type."""
ADDRESS_TYPES: Final = {"home": "H", "temp": "C", "work": "B", "old": "BA"}
NO_ADDRESS: Final = frozenset({"BDL", "N", "F"})
"""Types of places that are not where the person lives: of birth, and the country of origin."""
MARITAL: Final = "http://terminology.hl7.org/CodeSystem/v3-MaritalStatus"
MARITAL_CODES: Final = {
    "S": "S", "M": "M", "D": "D", "W": "W", "A": "L", "E": "L", "N": "A", "I": "I", "P": "T",
    "R": "T", "B": "U",
}  # fmt: skip
"""Table 0002."""
MARITAL_BACK: Final = {
    "S": "S", "M": "M", "D": "D", "W": "W", "L": "E", "A": "N", "I": "I", "T": "P", "U": "B",
}  # fmt: skip
TELECOM_USES: Final = {"PRN": "home", "ORN": "home", "VHN": "temp", "WPN": "work", "PRS": "mobile"}
"""Table 0201."""
TELECOM_CODES: Final = {"home": "PRN", "work": "WPN", "mobile": "PRS", "temp": "VHN"}
EQUIPMENT: Final = {"PH": "phone", "CP": "phone", "SAT": "phone", "FX": "fax", "BP": "pager"}
"""Table 0202; what is mail says so in XTN-2 or XTN-3."""
RELATIONSHIPS: Final = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"
MOTHER_ROLE: Final = "MTH"
RELATED: Final = {
    "MTH": "MTH", "FTH": "FTH", "SPO": "SPS", "PAR": "PRN", "CHD": "CHILD", "SON": "SONC",
    "DAU": "DAUC", "SIB": "SIB", "BRO": "BRO", "SIS": "SIS", "GRD": "GUARD", "GRP": "GRPRN",
    "FND": "FRND", "DOM": "DOMPART", "EXF": "EXT",
}  # fmt: skip
"""Table 0063."""
LANGUAGES: Final = "urn:ietf:bcp:47"
