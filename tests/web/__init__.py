"""Tests of the shell of the pages."""
