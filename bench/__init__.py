"""Measures the hot paths beside their floors, in one run on one machine: `python -m bench`."""
