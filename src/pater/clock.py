"""The clock of the running program, and fresh ids: what rules get passed in."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import uuid4


def now() -> datetime:
    """The clock of the running program."""
    return datetime.now(UTC)


def new_id() -> str:
    """A fresh resource id."""
    return str(uuid4())
