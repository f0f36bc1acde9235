"""The gate: the only way to health data; each step is decide, do and record in one call."""
