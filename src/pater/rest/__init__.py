"""The FHIR R4 HTTP API: one ASGI application over the gate."""
