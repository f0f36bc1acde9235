"""Tests of the installation's keys."""
