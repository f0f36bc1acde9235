"""The roles under which people and systems act, and what each may choose for a session."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

ROLE_PURPOSES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "provider-system": ("TREAT", "ETREAT"),
        "clinician": ("TREAT", "ETREAT"),
        "rescue": ("ETREAT",),
        "khs": ("PUBHLTH",),
        "police": (),
        "insurer": ("HPAYMT",),
        "researcher": ("HRESCH",),
        "patient": ("PATRQT",),
        "proxy": ("PATRQT",),
        "privacy-officer": ("HCOMPL",),
        "auditor": ("HCOMPL",),
        "administrator": ("SYSADMIN",),
        "registrar": ("HOPERAT",),
        "loader": ("SYSADMIN",),
        "none": (),
    }
)
"""The purposes of use (v3 PurposeOfUse) that an account or a client of a role may choose from."""

ROLES: Final = tuple(ROLE_PURPOSES)

ROLE_SCOPES: Final[Mapping[str, tuple[str, ...]]] = MappingProxyType(
    {
        "provider-system": (
            "system/*.rs", "system/AuditEvent.c", "system/Bundle.c", "system/Encounter.cu",
            "system/Patient.cu", "system/Subscription.cud",
        ),
        "clinician": ("user/*.rs", "user/Encounter.cu", "user/Subscription.cud"),
        "rescue": ("user/*.rs", "system/*.rs"),
        "khs": ("user/*.rs", "system/*.rs"),
        "police": (),
        "insurer": ("user/*.rs", "system/*.rs"),
        "researcher": ("user/*.rs", "system/*.rs"),
        "patient": ("patient/*.rs", "patient/Consent.cu", "patient/Subscription.cud"),
        "proxy": ("patient/*.rs",),
        "privacy-officer": ("user/*.rs",),
        "auditor": ("user/*.rs", "system/*.rs"),
        "administrator": ("user/*.rs", "system/*.rs"),
        "registrar": ("user/*.rs", "user/Patient.cu"),
        "loader": ("system/*.cruds", "user/*.cruds"),
        "none": (),
    }
)  # fmt: skip
"""What a session of a person may be used for; a client has the scopes it is registered with."""
