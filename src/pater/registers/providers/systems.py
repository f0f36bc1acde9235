"""Names of code systems, identifiers and extensions of the register of providers."""

from __future__ import annotations

from typing import Final

DRZAR: Final = "https://ncez.mzcr.cz/terminology/CodeSystem/drzar"
"""Kind of facility, the national list."""
FIELD: Final = "urn:pater:field-of-care"
FORM: Final = "urn:pater:form-of-care"
KIND: Final = "urn:pater:kind-of-care"
"""The published file names fields, forms and kinds of care by words; the codes are made of them."""
PROFESSION: Final = "https://ncez.mzcr.cz/terminology/CodeSystem/nrzp-povolani"
ORGANIZATION_TYPE: Final = "http://terminology.hl7.org/CodeSystem/organization-type"
MCSD_TYPE: Final = (
    "https://profiles.ihe.net/ITI/mCSD/CodeSystem/IHE.mCSD.Organization.Location.Types"
)
AFFILIATION: Final = "urn:pater:affiliation"
"""`permit`: an authority let the provider offer services at a place."""
ROLE: Final = "urn:pater:role"
"""`member`: of a chamber; what is no employment."""

PLACE_ID: Final = "urn:pater:nrpzs:place"
PLACE_CODE: Final = "urn:pater:nrpzs:code"
WORKPLACE: Final = "urn:pater:nrpzs:pcz"
PERMIT: Final = "urn:pater:permit"
DATA_BOX: Final = "urn:pater:data-box"
RUIAN: Final = "https://ncez.mzcr.cz/fhir/sid/ruian"
ADDRESS_POINT: Final = "https://hl7.cz/fhir/core/StructureDefinition/address-point-cz"
EQUIPMENT: Final = "urn:pater:equipment"
"""Extension of a Location. A Device would be a patient's in this policy, as implants are."""
BEDS: Final = "urn:pater:beds"
RESTRICTION: Final = "urn:pater:restriction"
"""Extension of a Practitioner: what may not be done, in words, and its period."""

TYPES: Final = (
    "Organization", "Location", "HealthcareService", "Endpoint", "OrganizationAffiliation",
    "Practitioner", "PractitionerRole",
)  # fmt: skip
"""What the register consists of; the types of IHE mCSD."""
