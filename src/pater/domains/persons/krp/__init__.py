"""The questions of the national register of patients (KRP) under its own addresses, as JSON."""
