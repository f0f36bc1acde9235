"""The one value that says who is asking: the first argument of every access to health data."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b
from typing import Literal

Kind = Literal["person", "system"]

PASSWORD = 1
TWO_FACTORS = 2
KEY = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A person or a system with the role, organisation and purpose it acts under.

    There is no anonymous and no default caller. What is left out gives no right: no scopes means
    nothing is allowed, no purpose means no record of a patient, no person means no own record.

    `id` is the account or client identifier and `organization` the IČO. `purpose` is a code of
    v3 PurposeOfUse (`TREAT`, `ETREAT`, `PATRQT`, `SYSADMIN` …) or empty. `strength` says how the
    caller proved who they are: 1 password, 2 two factors, 3 a private key. `scopes` are SMART v2
    scopes. `person` is a patient's own compartment number and `patient` the Patient id of it;
    `practitioner` is the Practitioner id of a clinician. `request_id` and `source` (network
    address) belong to one request. `app` is the app that acts for a person, `grant` what the person
    allowed it, and `context` the only person whose data it was allowed (None = as the person may).
    Who acts for somebody else has the role `proxy` and `acting`, the representation's id: `person`
    and `patient` are then those of the represented, whose name is `acting_for`.
    """

    kind: Kind
    id: str
    name: str
    role: str
    organization: str = ""
    organization_name: str = ""
    purpose: str = ""
    legal_basis: str = ""
    strength: int = PASSWORD
    scopes: tuple[str, ...] = ()
    person: int | None = None
    patient: str | None = None
    practitioner: str | None = None
    request_id: str = ""
    source: str = ""
    app: str = ""
    app_name: str = ""
    grant: str = ""
    context: int | None = None
    acting: str = ""
    acting_for: str = ""


def owner_number(kind: str, id: str) -> int:
    """The number under which the store keeps what is an account's or a client's own.

    Below zero, where no person's number is, and the same in every process without a look-up.
    """
    digest = blake2b(f"{kind}|{id}".encode(), digest_size=8, person=b"owner").digest()
    return -1 - (int.from_bytes(digest, "big") >> 2)
