"""Páteř: a national eHealth backbone in one program."""

__version__ = "0.1.0"
