"""Runs FHIR TestScript resources against any server and tells what came out as a TestReport."""
