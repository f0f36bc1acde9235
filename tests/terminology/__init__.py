"""Tests of the names of codes."""
