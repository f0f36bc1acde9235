"""The language of health records: HL7 FHIR R4 as pure functions over plain JSON data."""
